# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Secrets that nobody has named, known by their shape: passwords in URLs, signatures, headers, keys, tokens. Pure.

Each pattern is bounded, and is tried only where a text has the letters that it cannot do without.
"""

from __future__ import annotations

import re
import typing as t

from ._mask_forms import common, says_secret

_WHOLE_USERINFO = ("http", "https", "s3", "git+https", "git+http")  # the user may be a token, or a key
_USERINFO = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})://([^\s/?#\"'<>\\]{1,2000})@")
_BAD_USERINFO = re.compile(
    r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})://([^\s:/?#@\[\]\"'<>]{0,200}:(?!\d{1,5}(?:[/?#]|$))[^\s@\"'<>]{1,2000})@"
)
_QUOTED_USERINFO = re.compile(r"(%3A%2F%2F)((?:[^\s%&\"'<>]|%(?!40|2F)[0-9A-F]{2}){1,2000})(%40)", re.IGNORECASE)
_QUERY = re.compile(
    r"((?:[?&;]|\\u0026|%26|%3F)(?:X-Amz-(?:Signature|Security-Token|Credential)|Signature|AWSAccessKeyId|sig|token|[a-z]+_token|api_?key|key|"
    r"pass(?:word|wd)?|pwd|secret|client_secret|sslpassword)(?:=|%3D))[^&;\s\"'<>#\\]{1,8000}",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"((?:authorization|x-api-key|x-auth-token|x-amz-security-token|private-token|job-token)[\"']?\s{0,4}(?:[:=,]|=>)\s{0,4}[\"']?"
    r"(?:(?:bearer|basic|token|digest)\s{1,4})?)(?!(?:bearer|basic|token|digest)\s)[^\s\"',;]{4,8000}",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b((?:Bearer|Basic)\s{1,4})(?=[^\s]{0,200}[0-9=])[A-Za-z0-9+/=_.~-]{12,8000}")
# With its end, where that is there: a log may have cut it.
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s\\:,]|-(?!----))*(?:-----END [A-Z0-9 ]{1,80}-----)?",
)
_TOKEN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|xox[abeprs]-[\w-]{10,255}|sk_live_\w{10,255}|"
    r"eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,4000})"
)
_MARKS = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk_live_", "eyJ")
_WEBHOOK = re.compile(
    r"\b(https?://(?:hooks\.[\w.-]{1,200}|[\w.-]{1,200}\.webhook\.office\.com|[\w.:-]{1,200}(?:/[\w.-]{1,40}){0,4}/webhooks?))/[^\s\"'<>]{6,4000}"
)
_SET = re.compile(
    r"(?<![A-Za-z0-9_])([A-Z][A-Z0-9_]{2,100})=(\"[^\"\n]{1,8000}\"|'[^'\n]{1,8000}'|[^\s\"'$<{(][^\s\"']{3,8000})"
)
_SAID = re.compile(
    r"((?:password|passwd|passphrase|secret_key_base|secret_access_key|private_key|api_key|client_secret)[\"']?\s{0,2}(?::|=>|=)\s{0,2})"
    r"(?:\"(?:[^\"\\\n]|\\.){1,8000}\"|(?:<<)?\\\"(?:[^\"\\\n]){1,8000}\\\")",
    re.IGNORECASE,
)
_DSN = re.compile(r"\b((?:ssl)?password=)(?:'[^'\n]{1,2000}'|[^\s;&\"'*]{1,2000})", re.IGNORECASE)
_COOKIE = re.compile(
    r"((?:-setcookie|--cookie)(?:\s{1,4}|\"?,\s{0,2}\"?)(?:\S{1,200}@\S{1,200}\s{1,4})?[\"']?)(?!unused\b)[^\s\"'$,]{1,255}"
)


# What a terminal obeys and does not show: what follows ESC, and other control signs but tabs and ends of lines.
_UNSEEN = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[ -/]+[0-~]?|[0-~])?"
    r"|\x9b[0-?]*[ -/]*[@-~]?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
# ESC as a program prints it in a string.
_PRINTED = re.compile(r"(?:\\e|\\u001[bB]|\\[ux]\{1[bB]\}|\\x1[bB]|\\033)\[[0-?]*[ -/]*[@-~]")


# Titles, links and commands: a text that no terminal shows.
_STRINGS = re.compile(r"\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?")


def shown(text: str) -> str:
    return _STRINGS.sub("", text)


def bare(text: str) -> str:
    """As a terminal shows it."""
    if "\\" in text:
        text = _PRINTED.sub("", text)
    return _UNSEEN.sub("", shown(text))


def shapeless(text: str, hidden: str) -> str:
    """The text without them."""
    low = text.lower()
    if "://" in text and "@" in text:
        text = _USERINFO.sub(lambda found: _userinfo(found, hidden), text)
        text = _BAD_USERINFO.sub(lambda found: _userinfo(found, hidden), text)
    if "%3a%2f%2f" in low and "%40" in low:
        text = _QUOTED_USERINFO.sub(lambda found: found.group(1) + hidden + found.group(3), text)
    if "=" in text or "%3d" in low:
        text = _QUERY.sub(lambda found: found.group(1) + hidden, text)
        text = _SET.sub(lambda found: _set(found, hidden), text)
        text = _DSN.sub(lambda found: found.group(1) + hidden, text)
    if "authorization" in low or "-token" in low or "-api-key" in low:
        text = _HEADER.sub(lambda found: found.group(1) + hidden, text)
    if "Bearer" in text or "Basic" in text:
        text = _SCHEME.sub(lambda found: found.group(1) + hidden, text)
    if "PRIVATE KEY" in text:
        text = _KEY.sub(hidden, text)
    if any(mark in text for mark in _MARKS):
        text = _TOKEN.sub(hidden, text)
    if "hook" in low and "://" in text:
        text = _WEBHOOK.sub(lambda found: "%s/%s" % (found.group(1), hidden), text)
    if "pass" in low or "_key" in low or "secret" in low:
        text = _SAID.sub(lambda found: '%s"%s"' % (found.group(1), hidden), text)
    return _COOKIE.sub(lambda found: found.group(1) + hidden, text) if "cookie" in low else text


def _userinfo(found: re.Match[str], hidden: str) -> str:
    scheme, userinfo = found.groups()
    user, colon, _password = userinfo.partition(":")
    if scheme.lower() in _WHOLE_USERINFO:
        return "%s://%s@" % (scheme, hidden)
    return "%s://%s:%s@" % (scheme, user, hidden) if colon else found.group()


def _set(found: re.Match[str], hidden: str) -> str:
    name, value = found.groups()
    bare = value.strip("\"'")
    return (
        "%s=%s" % (name, hidden)
        if says_secret(name) and not common(bare) and not bare.startswith(("$", "<", "{", "/"))
        else found.group()
    )


def has_userinfo(text: str) -> bool:
    """Whether there is a URL with a password, or with what may be a token."""
    return any(
        ":" in found.group(2) or found.group(1).lower() in _WHOLE_USERINFO
        for found in [*_USERINFO.finditer(text), *_BAD_USERINFO.finditer(text)]
    )


def credentials_of(text: str) -> list[str]:
    """What is secret in the URLs of a text, in its parts: to be told to whoever hides values by themselves."""
    if "://" not in text:
        return []
    found: list[str] = []
    for match in [*_USERINFO.finditer(text), *_BAD_USERINFO.finditer(text)]:
        scheme, userinfo = match.groups()
        user, colon, password = userinfo.partition(":")
        found += [userinfo if colon else "", password, user if scheme.lower() in _WHOLE_USERINFO else ""]
    found += [match.group().partition(match.group(1))[2] for match in _QUERY.finditer(text)]
    # A word that stands everywhere would be taken out of everything.
    return sorted(
        {part for part in found if len(part) > 3 and not common(part)} | {part for part in found if ":" in part},
        key=len,
        reverse=True,
    )


def strings(value: t.Any) -> t.Iterator[str]:
    """All texts within a value of options."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, t.Mapping):
            left += item.values()
        elif isinstance(item, (list, tuple)):
            left += item
