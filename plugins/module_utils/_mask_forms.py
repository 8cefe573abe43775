# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which values are secret, which parts of them are, and how programs write them. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
import typing as t
from urllib.parse import quote, quote_plus, unquote

from ._json import parse_json

_SECRET_NAME = re.compile(
    r"COOKIE|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS(?![A-Z])|_PWD$|TOKEN|CREDENTIAL|KEY|AUTH(?![A-Z])|DSN|(?:^|_)(?:SALT|PEM|PIN|OTP|JWT)(?:_|$)|SIGNING|"
    r"ENCRYPTION|(?:DATABASE|DB|POSTGRES\w*|PG|REDIS\w*|RABBIT\w*|AMQP|CLOUDAMQP|MONGO\w*|MYSQL|ECTO|CLICKHOUSE\w*|KAFKA|SMTP|SENTRY|WEBHOOK)_?(?:URL|URI)$",
    re.IGNORECASE,
)
_OPEN_NAME = re.compile(
    r"PUBLIC_?KEY|PUBLISHABLE|SITE_?KEY|(?:_ID|_PATH|_FILE|_DIR|_NAME|_HOST|_PORT|_TTL|_LENGTH|_ENABLED|_TIMEOUT|_USER|_USERNAME|_SECURE|_SAMESITE|_DOMAIN"
    r"|_ALGORITHM|_PROVIDER|_METHOD|_REGION|_EXPIR\w*|_MAX_AGE|_COUNT|_SIZE)$",
    re.IGNORECASE,
)
# Of no use to anybody, and without them no message could be read.
_COMMON = frozenset(
    "true false yes no on off none null nil unused prod production staging stage stress canary dev development test testing local localhost demo default "
    "info debug warn warning error notice critical password secret token cookie key admin root user guest public private example changeme "
    "postgres postgresql mysql redis http https ecto amqp smtp s3 file enabled disabled required optional strict lax always never auto value text name".split()
)
_ADDRESS = r"\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?"
_HOST = r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,}(?::\d+)?"
# Where no name says that it is a secret, these are none: paths, addresses, hosts, URLs that are only a place, nodes, modules, versions, regions, numbers.
_PLAIN = re.compile(
    r"/[\w./@-]*|%s|%s|[a-z][a-z0-9+.-]*://[\w.\[\]:-]*(?:/[\w.~-]{0,24}){0,8}|[\w.+-]+@[\w.-]+|[A-Z]\w*(?:\.[A-Z]\w*)+|v?\d+(?:\.\d+){1,3}(?:[-+][\w.]+)?"
    r"|[a-z]{2}(?:-[a-z]+)+-\d|[-+]?\d{1,15}(?:\.\d*)?\s*(?:ms|s|m|h|d|[kKMGT]i?B?|%%)?|[A-Za-z_]{1,8}\.UTF-?8|[A-Z][a-z]+/[A-Z]\w+"
    % (_ADDRESS, _HOST)
)
_PATH = re.compile(r"(?:/[a-z0-9._][a-z0-9._-]{0,30}){2,}/?")
_SHORT_NUMBER = re.compile(r"[-+]?\d{0,5}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#\"'<>]*)@([^\s/?#@\"'<>]*)([^\s?#\"'<>]*)")
# A password with a slash in it, which it should not have. What is a port and a path with an @ in it is none.
_BAD_URL = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s:/?#@\[\]\"'<>]*:(?!\d+/)[^\s@\"'<>]*)@([^\s/?#@\"'<>]*)([^\s?#\"'<>]*)"
)
_QUERY = re.compile(r"[?&;]([\w.-]+)=([^&;\s\"'<>#]+)")
_DSN = re.compile(
    r"\b(?:password|passwd|pwd|sslpassword)\s*=\s*(?:'([^']+)'|\"([^\"]+)\"|([^\s;&\"']+))", re.IGNORECASE
)
_LINE = 8  # letters of one line, or of one part of a list
_FEWEST = 4
_MOST = 1 << 16  # letters of a value that is taken apart


def says_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _OPEN_NAME.search(name)


def common(value: str) -> bool:
    return value.lower() in _COMMON or bool(_SHORT_NUMBER.fullmatch(value)) or not value.strip(" *-_.")


def pieces(named: t.Iterable[tuple[str, str]], least: int) -> set[str]:
    """What must not be shown: values, and the parts of them that are secret alone."""
    found: set[str] = set()
    for name, value in named:
        found |= set(_of(name, value, least))
    return {piece for piece in found if len(piece) >= _FEWEST and not common(piece)}


def _of(name: str, value: str, least: int) -> t.Iterator[str]:
    sure = says_secret(name)
    if sure:
        if not _PATH.fullmatch(value):
            yield value
            if value != value.strip():
                yield value.strip()
    elif (
        len(value) >= least
        and not name.startswith(("RELEASE_", "ERL_"))
        and not _PLAIN.fullmatch(value)
        and not all(map(_is_plain, value.split(",")))
    ):
        yield value
    if len(value) > _MOST:
        return
    yield from _of_urls(value)
    for match in _DSN.finditer(value):
        yield "".join(filter(None, match.groups()))
    if "\n" in value:
        # A log shows it line by line.
        yield from (
            line.strip() for line in value.split("\n") if len(line.strip()) >= _LINE and not line.startswith("-----")
        )
    if value.lstrip()[:1] in ("{", "["):
        yield from _of_json(name, value, least)
    elif sure and "://" not in value:
        if "," in value:
            yield from (part.strip() for part in value.split(",") if len(part.strip()) >= _LINE)
        user, colon, password = value.partition(":")
        if colon and user and len(password) >= 6:
            yield password


def _is_plain(value: str) -> bool:
    return bool(_PLAIN.fullmatch(value.strip())) or common(value.strip())


def _of_urls(value: str) -> t.Iterator[str]:
    if "://" not in value:
        return
    for match in [*_URL.finditer(value), *_BAD_URL.finditer(value)]:
        scheme, userinfo, host, path = match.groups()
        user, colon, password = userinfo.partition(":")
        # One that is the user, too, or the database, says no more than these.
        known = {user, scheme, host.partition(":")[0], path.strip("/")}
        if colon:
            yield from (one for one in (password, unquote(password)) if one not in known)
        if scheme.lower() in ("http", "https") and (not colon or not password or password == "x-oauth-basic"):
            yield from (user, unquote(user))
    for name, said in _QUERY.findall(value):
        if says_secret(name) and len(said) >= 6:
            yield from (said, unquote(said))


def _of_json(name: str, value: str, least: int) -> t.Iterator[str]:
    try:
        left: list[tuple[str, t.Any]] = [(name, parse_json(value))]
    except ValueError:
        return
    while left:
        label, item = left.pop()
        if isinstance(item, dict):
            left += [("%s_%s" % (name, key) if says_secret(name) else str(key), one) for key, one in item.items()]
        elif isinstance(item, list):
            left += [(label, one) for one in item]
        elif isinstance(item, str) and (says_secret(label) or len(item) >= least):
            # No JSON within JSON, and nothing that is as plain as a name.
            if not item.lstrip().startswith(("{", "[")) and not (_PLAIN.fullmatch(item) or common(item)):
                yield from _of(label, item, least)


def forms(piece: str) -> set[str]:
    """How a text may hold it; base64 is told by `base64_cores`."""
    data = piece.encode("utf-8", "surrogatepass")
    found = {piece, data.hex(), data.hex().upper()}
    quoted = {quote(piece, safe=safe, errors="replace") for safe in ("", "/", "!*'()~", ":/?#[]@!$&'()*+,;=~")} | {
        quote_plus(piece, errors="replace")
    }
    found |= quoted | {re.sub(r"%[0-9A-F]{2}", lambda code: code.group().lower(), one) for one in quoted}
    inner = {json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1]}
    # As Elixir inspects, JSON within JSON, a list of a single quoted text.
    inner |= (
        {one.replace("#{", "\\#{") for one in inner}
        | {json.dumps(one)[1:-1] for one in inner}
        | {one.replace("/", "\\/") for one in inner}
    )
    found |= inner | {piece.replace("\\", "\\\\").replace("'", "\\'"), repr(piece)[1:-1]}
    # A shell, YAML, the environment files of the role service.
    found |= {
        piece.replace("'", "'\\''"),
        piece.replace("'", "'\"'\"'"),
        piece.replace("'", "''"),
        re.sub(r'([\\"$`])', r"\\\1", piece),
    }
    escaped = html.escape(piece)
    found |= {escaped, html.escape(piece, quote=False), escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}
    if not piece.isascii():
        # Octal, as Erlang escapes in a text of bytes, and by code points.
        found |= {"".join(chr(byte) if 32 <= byte < 127 else "\\%03o" % byte for byte in data), data.decode("latin-1")}
        found.add("".join(sign if sign.isascii() else "\\x{%x}" % ord(sign) for sign in piece))
        found.add("".join(sign if sign.isascii() else "\\x{%X}" % ord(sign) for sign in piece))
    return found


def base64_cores(piece: str) -> set[str]:
    """The letters of base64 that are the same whatever stands before and after it, for each of the three places where a byte can begin."""
    data = piece.encode("utf-8", "surrogatepass")
    found = set()
    if len(data) > 4:
        for before in range(3):
            whole = base64.b64encode(b"\0" * before + data).decode("ascii")
            core = whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found
