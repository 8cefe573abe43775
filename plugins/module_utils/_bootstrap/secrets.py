# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The cookie and the secrets of a node: from where they are kept into files that nobody else may read.

They are never in argv, user data, the configuration or a log.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets as random
import stat
import string
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .._node import envfile
from .._node.envtext import quoted
from .aws import Client
from .config import Config

MAX_BYTES = 64 * 1024
COOKIE_LENGTH = 64
COOKIE_MODE, SECRETS_MODE = 0o400, 0o600


class Sources:
    """Reads each source once, and remembers what it read, so that it can be masked."""

    def __init__(self, config: Config, region: str | None, client: t.Callable[[str], Client] | None = None) -> None:
        self._where = config.aws.region or region or "its region"
        self._make = client or (lambda service: Client(service, config.aws, region))
        self._clients: dict[str, Client] = {}
        self._values: dict[str, str] = {}
        self.read: list[str] = []

    def get(self, source: str) -> str:
        kind, _colon, place = source.partition(":")
        name, _hash, key = place.partition("#") if kind == "secretsmanager" else (place, "", "")
        raw = self._raw(kind, name)
        value = _member(raw, key, source) if key else raw
        if value not in self.read:
            self.read.append(value)
        return value

    def _raw(self, kind: str, name: str) -> str:
        known = self._values.get(kind + ":" + name)
        if known is None:
            known = self._values[kind + ":" + name] = self._fetch(kind, name)
        return known

    def _fetch(self, kind: str, name: str) -> str:
        what = "the secret %s:%s can't be read" % (kind, name)
        if kind == "file":
            return _from_file(name, what)
        if kind not in self._clients:
            self._clients[kind] = self._make(kind)
        client = self._clients[kind]
        try:
            if kind == "ssm":
                return str(client.call("get_parameter", what, Name=name, WithDecryption=True)["Parameter"]["Value"])
            answer = client.call("get_secret_value", what, SecretId=name)
        except BeamError as error:
            if error.details.get("aws") in ("ParameterNotFound", "ResourceNotFoundException"):
                why = "there is no such secret in %s, in this account" % self._where
                raise BeamError("secret_missing", what, why, "Create it, or correct its name or aws.region") from error
            raise
        if "SecretString" not in answer:
            raise BeamError("secret_invalid", what, "it is binary", "Store it as text")
        return str(answer["SecretString"])


def _from_file(path: str, what: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            if os.fstat(stream.fileno()).st_mode & stat.S_IRWXO:
                raise BeamError(
                    "secret_open",
                    what,
                    "everybody on this server may open the file",
                    "chmod it to 0600, and change the secret",
                )
            return stream.read(MAX_BYTES).rstrip("\n")
    except FileNotFoundError:
        raise BeamError("secret_missing", what, "there is no such file", "Put it there, or correct its path") from None
    except UnicodeDecodeError:
        raise BeamError("secret_invalid", what, "it is not UTF-8 text", "Store it as text") from None
    except OSError as exc:
        raise BeamError("secret_denied", what, exc.strerror or str(exc), "Run as root") from None


def _member(text: str, key: str, source: str) -> str:
    try:
        value = parse_json(text)[key]
    except (ValueError, KeyError, TypeError):
        # Its content is secret, so the error shows nothing of it.
        raise BeamError(
            "secret_invalid",
            "the secret %s can't be read" % source,
            "it is no JSON object with this key",
            "Correct the key",
        ) from None
    return value if isinstance(value, str) else json.dumps(value)


def refresh(config: Config, sources: Sources) -> list[str]:
    """Everything is read before anything is written. The paths of the files that changed."""
    cookie = _cookie(config, sources)
    lines = {key: sources.get(source) for key, source in sorted(config.secrets.items())}
    text = secrets_text(lines)
    changed = []
    if cookie is not None and config.cookie_file and put(config.cookie_file, cookie, COOKIE_MODE, config.owner):
        changed.append(config.cookie_file)
    if config.secrets and config.secrets_file and put(config.secrets_file, text, SECRETS_MODE, None):
        changed.append(config.secrets_file)
    return changed


def _cookie(config: Config, sources: Sources) -> str | None:
    """None where the file stays as it is."""
    if config.cookie is not None:
        cookie = sources.get(config.cookie).strip()
        if not cookie or not cookie.isascii() or not cookie.isprintable() or " " in cookie or len(cookie) > 255:
            why = "a cookie is 1 to 255 printable ASCII characters"
            raise BeamError("cookie_invalid", "the cookie from %s can't be used" % config.cookie, why, "Change it")
        return cookie
    if config.cookie_file is None or os.path.lexists(config.cookie_file):
        return None
    if config.cluster is not None:
        raise BeamError(
            "cookie_missing",
            "%s can't join its cluster" % config.name,
            "there is no cookie that all of its nodes have: each server would make up its own",
            "Name in beam_cookie_source (bootstrap_cookie) where it is kept, and make the bundle again",
        )
    return "".join(random.choice(string.ascii_letters + string.digits) for _index in range(COOKIE_LENGTH))


def secrets_text(values: t.Mapping[str, str]) -> str:
    """As the role service writes environment files (its template env.j2)."""
    return "".join("%s=%s\n" % (key, _quoted(key, value)) for key, value in sorted(values.items()))


def _quoted(key: str, value: str) -> str:
    if "\0" in value:
        why = "it has a zero byte, which no environment can hold"
        raise BeamError("secret_invalid", "the secret %s can't be used" % key, why, "Encode it, such as by base64")
    return quoted(value)


def put(path: str, text: str, mode: int, owner: str | None) -> bool:
    """False, and nothing written, where the file is this already: content, mode and owner."""
    uid, gid = _ids(owner, path)
    data = text.encode("utf-8")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise BeamError(
            "secret_file", "%s can't be written" % path, exc.strerror or str(exc), "Remove it, and find out who made it"
        ) from None
    else:
        with os.fdopen(handle, "rb") as stream:
            info = os.fstat(stream.fileno())
            if (
                stream.read(len(data) + 1) == data
                and stat.S_IMODE(info.st_mode) == mode
                and (info.st_uid, info.st_gid) == (uid, gid)
            ):
                return False
    _write(path, data, mode, uid, gid)
    return True


def _ids(owner: str | None, path: str) -> tuple[int, int]:
    if owner is None:
        return os.geteuid(), os.getegid()
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        raise BeamError(
            "owner_missing",
            "%s can't be written" % path,
            "there is no user %s" % owner,
            "Run setup with the kit of this server first",
        ) from None
    return user.pw_uid, user.pw_gid


def _write(path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
    """The directory may be the node's own, so nothing in it is followed, and the file is nobody else's before it is written to."""
    new = "%s.%s.new" % (path, random.token_hex(8))
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                if (uid, gid) != (os.geteuid(), os.getegid()):
                    os.fchown(stream.fileno(), uid, gid)
                os.fchmod(stream.fileno(), mode)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as exc:
        raise BeamError(
            "secret_file",
            "%s can't be written" % path,
            exc.strerror or str(exc),
            "Run setup with the kit of this server first",
        ) from None


def known_secrets(config: Config) -> list[str]:
    """What is in the files now: for the mask of whoever shows a log."""
    found: list[str] = []
    if config.secrets_file:
        try:
            found += envfile.load(config.secrets_file, required=False).values()
        except BeamError:
            pass
    if config.cookie_file:
        try:
            with open(config.cookie_file, encoding="utf-8", errors="replace") as stream:
                found.append(stream.read(4096).strip())
        except OSError:
            pass
    return found
