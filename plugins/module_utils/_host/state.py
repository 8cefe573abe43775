# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is installed on this server: <base>/state.json, as a value.

`current` itself (the symlink) is the truth about what is activated; the state remembers it too, so that a run that died
between the two still knows what was there before.
"""

from __future__ import annotations

import json
import os
import stat
import typing as t
from dataclasses import asdict, dataclass, field, replace

from .._errors import BeamError
from .._json import parse_json
from .._release.channel import MAX_SERIAL
from .._release.names import check_channel, check_digest, check_name, check_version

SCHEMA = 1
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Installed:
    digest: str
    at: str  # when it was staged, ISO 8601, UTC
    layers: tuple[str, ...]  # sha256 of each


@dataclass(frozen=True)
class Seen:
    """The newest a channel was ever seen here: an older one is a replay."""

    serial: int
    digest: str


@dataclass(frozen=True)
class State:
    name: str
    installed: t.Mapping[str, Installed] = field(default_factory=dict)
    current: str | None = None
    previous: str | None = None
    seen: t.Mapping[str, Seen] = field(default_factory=dict)
    fences: t.Mapping[str, int] = field(default_factory=dict)  # by channel, the highest that ever wrote here

    def with_release(self, version: str, release: Installed) -> State:
        return replace(self, installed={**self.installed, version: release})

    def without(self, versions: t.Iterable[str]) -> State:
        gone = set(versions)
        left = {version: release for version, release in self.installed.items() if version not in gone}
        return replace(self, installed=left, previous=None if self.previous in gone else self.previous)

    def activated(self, version: str, before: str | None) -> State:
        """before: what `current` pointed at until now. Activating what is active changes nothing."""
        if before is None or version == before:
            # The link was lost, or the switch was made by a run that died before it could say so.
            before = self.current
        if version == before:
            return self
        return replace(self, current=version, previous=before or self.previous)

    def deactivated(self) -> State:
        return replace(self, current=None)

    def saw(self, channel: str, seen: Seen) -> State:
        return replace(self, seen={**self.seen, channel: seen})

    def fenced(self, channel: str, number: int) -> State:
        return replace(self, fences={**self.fences, channel: max(number, self.fences.get(channel, 0))})

    def to_bytes(self) -> bytes:
        # What an older version of the collection does not know it does not mind, so the schema stays.
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True, indent=1) + "\n").encode("ascii")


def parse_state(data: bytes, path: str) -> State:
    try:
        doc = parse_json(data)
        if doc["schema"] != SCHEMA:
            raise ValueError("its schema is %r, this collection reads %d" % (doc["schema"], SCHEMA))
        installed = {
            check_version(version): Installed(
                check_digest(row["digest"]), str(row["at"]), tuple(check_digest(x) for x in row["layers"])
            )
            for version, row in doc["installed"].items()
        }
        seen = {
            check_channel(name): Seen(_serial(row["serial"]), check_digest(row["digest"]))
            for name, row in doc["seen"].items()
        }
        fences = {check_channel(name): _serial(number) for name, number in doc.get("fences", {}).items()}
        return State(
            check_name(doc["name"]), installed, _version(doc["current"]), _version(doc["previous"]), seen, fences
        )
    except (ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "state_invalid",
            "%s can't be read" % path,
            str(exc) or type(exc).__name__,
            "Move it away: what is installed is found again from the manifests beside it (what channels were seen is forgotten)",
        ) from exc


def load_state(path: str, name: str) -> State:
    try:
        # Where the base is the node's own, it can put anything here: no link is followed, and no pipe waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return State(name)
    try:
        info = os.fstat(handle)
        whole = stat.S_ISREG(info.st_mode) and info.st_size <= LARGEST
        state = parse_state(_read(handle) if whole else b"no file of ours", path)
    finally:
        os.close(handle)
    if state.name != name:
        raise BeamError(
            "other_release",
            "%s can't be installed in %s" % (name, os.path.dirname(path)),
            "%s is installed there" % state.name,
            "Give each release a base of its own",
        )
    return state


def _read(handle: int) -> bytes:
    with open(handle, "rb", closefd=False) as stream:
        return stream.read(LARGEST)


def _serial(value: t.Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= MAX_SERIAL:
        raise ValueError("%r is not a serial" % (value,))
    return value


def _version(value: t.Any) -> str | None:
    return None if value is None else check_version(value)
