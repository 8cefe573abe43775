# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""Records of boots that failed, in the store: an instance that was given up takes its logs with it."""

from __future__ import annotations

import contextlib
import datetime
import json
import posixpath
import re
import typing as t
from dataclasses import asdict, dataclass

from .._errors import BeamError
from .._json import parse_json
from .._node.ending import ENDINGS
from .._release.names import check_channel, check_instance, check_name
from .._store.base import Stat, Store, named
from .._store.keys import boot_key, boots_prefix

SCHEMA = 1
MAX_BYTES = 256 * 1024
MAX_LINES = 50
READ_AT_MOST = 32  # records of former versions, whose keys don't tell the digest
LOOK_AT_MOST = 5000  # of the last hours, the newest
# TIME_WHAT-INSTANCE.json; former versions wrote TIME-INSTANCE.json.
_KEY = re.compile(r"[0-9TZ]{16}(?:_([0-9a-f]{12}|unknown|ended))?-([A-Za-z0-9._-]{1,128})\.json")


@dataclass(frozen=True)
class Boot:
    name: str
    channel: str
    instance: str
    digest: str  # "" where it was not even known what to install
    version: str
    code: str
    what: str
    why: str
    next: str
    log: tuple[str, ...]
    seconds: float
    at: str  # ISO 8601, UTC, by the clock of the server
    ok: bool = False  # only failures are written

    def to_bytes(self) -> bytes:
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True, indent=1) + "\n").encode("ascii")

    @property
    def of(self) -> str:
        """What the record speaks against. A boot that was taken away half-way says nothing about the release."""
        return "ended" if self.code in ENDINGS else _of(self.digest)

    @property
    def key(self) -> str:
        return boot_key(self.name, self.channel, self.at.replace("-", "").replace(":", ""), self.of, self.instance)


def _of(digest: str) -> str:
    return digest[:12] or "unknown"


def parse_boot(data: bytes) -> Boot:
    try:
        doc: t.Any = parse_json(data)
        if doc.pop("schema") != SCHEMA:
            raise ValueError("its schema is unknown")
        check_name(doc["name"]), check_channel(doc["channel"]), check_instance(doc["instance"])
        return Boot(**{**doc, "log": tuple(str(line) for line in doc["log"]), "seconds": float(doc["seconds"])})
    except (ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "boot_invalid", "a record of a boot can't be read", str(exc) or type(exc).__name__, "Find out who wrote it"
        ) from exc


def make_boot(
    name: str,
    channel: str,
    instance: str,
    error: BeamError,
    version: str,
    digest: str,
    seconds: float,
    now: datetime.datetime,
    said: t.Iterable[str] = (),
) -> Boot:
    """said: what the bootstrap told meanwhile, for where there was no node yet that could have said something."""
    log = [str(line)[:500] for line in error.details.get("log") or error.details.get("output") or said]
    return Boot(
        name,
        channel,
        instance,
        digest,
        version,
        error.code,
        error.what,
        error.why,
        error.hint,
        tuple(log[-MAX_LINES:]),
        round(seconds, 3),
        now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def write_boot(store: Store, boot: Boot) -> bool:
    data = boot.to_bytes()
    return store.put_if_absent(boot.key, data, len(data))


def list_boots(store: Store, name: str, channel: str, day: str = "") -> list[Stat]:
    """The newest last. day: yyyymmdd."""
    return [stat for stat in store.list(boots_prefix(name, channel) + day) if stat.key.endswith(".json")]


def read_boot(store: Store, key: str) -> Boot:
    with named(store.location, key):
        return parse_boot(store.get(key, MAX_BYTES).data)


def failed_on(store: Store, name: str, channel: str, digest: str, within: float, now: datetime.datetime) -> list[str]:
    """The instances that recently could not boot this digest. Only the store's clock tells their age, because the clocks of servers may be wrong.

    Each server of the group may write here, and a hostile one may write anything. So an instance counts once, however many records name it, and
    no record can keep one of another instance from being counted, as long as there are no more than LOOK_AT_MOST.
    """
    days = sorted({(now - datetime.timedelta(seconds=ago)).strftime("%Y%m%d") for ago in (0, within)})
    stats = sorted(
        (stat for day in days for stat in list_boots(store, name, channel, day)), key=lambda one: one.modified
    )[-LOOK_AT_MOST:]
    if not stats:
        return []
    newest = stats[-1].modified
    found, wanted, former = set(), _of(digest), []
    for stat in stats:
        key = _KEY.fullmatch(posixpath.basename(stat.key))
        if key is None or stat.modified < newest - within:
            continue
        if key[1] == wanted:
            found.add(key[2])
        elif key[1] is None:
            former.append(stat)
    for stat in former[-READ_AT_MOST:]:
        with contextlib.suppress(BeamError):
            boot = read_boot(store, stat.key)
            if boot.digest == digest and boot.code not in ENDINGS:
                found.add(boot.instance)
    return sorted(found)
