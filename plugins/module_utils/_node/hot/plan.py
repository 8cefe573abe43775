# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a hot upgrade would do, and what speaks against it. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .facts import Application, Changed, Group, Look

# Another version of these, or another module in one of them, is another system below the application: nobody tests that it can be swapped.
CORE = frozenset(
    ("kernel", "stdlib", "sasl", "compiler", "crypto", "ssl", "public_key", "asn1", "elixir", "logger", "iex")
)
SUPERVISORS = frozenset(("supervisor", "Elixir.Supervisor", "Elixir.DynamicSupervisor"))
APPLICATIONS = frozenset(("application", "Elixir.Application"))
EVENTS = "gen_event"
# What a person may know better: that the children, or what the application does at its start, are the same; that the settings can wait.
ACCEPTABLE = ("supervisor_changed", "application_changed", "settings_changed")
_MOST = 5  # names in one sentence


@dataclass(frozen=True)
class Blocker:
    code: str
    why: str

    def facts(self) -> dict[str, str]:
        return {"code": self.code, "why": self.why}


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    version: str
    digest: str = ""
    downgrade: bool = False
    expect_running: t.Optional[str] = None
    ghosts: tuple[str, ...] = ()  # versions and digests
    accept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A release on the server."""

    root: str
    version: str


@dataclass(frozen=True)
class Keys:
    """Names of configuration, as app.key; never a value."""

    changed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def facts(self) -> dict[str, list[str]]:
        return {"changed": list(self.changed), "new": list(self.new), "gone": list(self.gone)}


@dataclass(frozen=True)
class Plan:
    start: t.Optional[Place]  # None: nobody knows what runs
    target: Place
    look: t.Optional[Look] = None
    keys: Keys = Keys()
    blockers: tuple[Blocker, ...] = ()
    down: bool = False
    applications: tuple[tuple[str, str, str], ...] = field(default_factory=tuple)  # name, from, to

    @property
    def nothing(self) -> bool:
        """The node runs it already."""
        return (
            self.start == self.target and self.look is not None and not self.look.changed and not self.look.added
        ) and not self.blockers

    @property
    def suspended(self) -> tuple[Changed, ...]:
        """Modules whose processes are asked to change their state."""
        return tuple(one for one in (self.look.changed if self.look else ()) if migrates(one, self.down))

    @property
    def processes(self) -> tuple[Group, ...]:
        names = {one.module for one in self.suspended}
        return tuple(group for group in (self.look.processes if self.look else ()) if group.module in names)

    def facts(self) -> dict[str, t.Any]:
        look = self.look
        return {
            "from": self.start.version if self.start else None,
            "to": self.target.version,
            "direction": "down" if self.down else "up",
            "modules": {
                "changed": [one.module for one in look.changed] if look else [],
                "added": [one.module for one in look.added] if look else [],
                "removed": list(look.removed) if look else [],
            },
            "processes": [group.facts() for group in self.processes],
            "inside": [group.facts() for group in look.inside] if look else [],
            "applications": {name: {"from": old, "to": new} for name, old, new in self.applications},
            "configuration": self.keys.facts(),
            "blockers": [one.facts() for one in self.blockers],
        }


def migrates(one: Changed, down: bool) -> bool:
    """Who has to change a state: the newer of the two knows how."""
    return one.migrates if down else one.migrates_to or bool(one.behaviours & SUPERVISORS)


def make(
    wish: Wish,
    start: Place,
    target: Place,
    look: Look,
    keys: Keys = Keys(),
    *,
    unread: bool = False,
    libraries: t.Sequence[str] = (),
) -> Plan:
    """unread: the settings of the node changed after it had started. libraries: native ones that are loaded, and others in the release."""
    down = start.root != target.root and newer(start.version, target.version)
    blockers = [*of_wish(wish, start.version), *_of_release(look), *_of_modules(look), *_of_processes(look)]
    if libraries and start != target:
        why = "the node has loaded native libraries that are others in the release: %s"
        blockers.append(Blocker("native_code", why % _some(libraries)))
    if unread and start != target:
        why = "its settings (unit or environment file) changed after it had started, and only a restart reads them"
        blockers.append(Blocker("settings_changed", why))
    kept = tuple(one for one in blockers if one.code not in wish.accept)
    return Plan(start, target, look, keys, kept, down, _moved(look))


def blocked(wish: Wish, target: Place, start: t.Optional[Place], *blockers: Blocker) -> Plan:
    """Of a node that can't be looked at."""
    return Plan(start, target, None, Keys(), (*blockers, *of_wish(wish, start.version if start else None)))


def of_wish(wish: Wish, running: t.Optional[str]) -> t.Iterator[Blocker]:
    for name in (wish.version, wish.digest):
        if name and name in wish.ghosts:
            yield Blocker("ghost", "%s is a ghost: it failed before" % wish.version)
            break
    if running is None:
        return
    if wish.expect_running is not None and wish.expect_running != running:
        yield Blocker("other_version", "the node runs %s, not %s" % (running, wish.expect_running))
    if newer(running, wish.version) and not wish.downgrade:
        yield Blocker("not_newer", "the node runs %s, which is newer than %s" % (running, wish.version))


def _of_release(look: Look) -> t.Iterator[Blocker]:
    if look.erts != look.erts_to:
        yield Blocker("erts_differs", "the node runs ERTS %s, the release has %s" % (look.erts, look.erts_to))
    here, there = _by_name(look.apps), _by_name(look.apps_to)
    loaded = _by_name(look.loaded)
    for name in sorted(set(here) & set(there) & CORE):
        running = loaded[name].version if name in loaded else here[name].version
        if running != there[name].version:
            yield Blocker("core_differs", "%s %s becomes %s" % (name, running, there[name].version))
    added = sorted(name for name in there if name not in here and name not in loaded)
    if added:
        yield Blocker("application_added", "the release has new applications: %s" % _some(added))
    removed = sorted(set(here) - set(there))
    if removed:
        yield Blocker("application_removed", "the release lacks applications that run: %s" % _some(removed))


def _of_modules(look: Look) -> t.Iterator[Blocker]:
    fresh = [one.module for one in look.added if one.native]
    if fresh:
        yield Blocker("native_code", "new modules have code that runs when they are loaded: %s" % _some(fresh))
    core = [one.module for one in look.changed if one.app in CORE]
    if core:
        yield Blocker("core_differs", "modules of the core are other code under the same version: %s" % _some(core))
    for code, why, wrong in (
        ("native_code", "changed modules have NIFs, or code that runs when they are loaded", lambda one: one.native),
        (
            "supervisor_changed",
            "changed modules are supervisors, whose new children nobody would start",
            lambda one: bool(one.behaviours & SUPERVISORS),
        ),
        (
            "application_changed",
            "changed modules are started with their application, which is not started again",
            lambda one: bool(one.behaviours & APPLICATIONS),
        ),
        (
            "no_way_back",
            "the code that is loaded is not that of the release which runs, so nothing could be put back",
            lambda one: not one.kept,
        ),
    ):
        names = [one.module for one in look.changed if wrong(one)]
        if names:
            yield Blocker(code, "%s: %s" % (why, _some(names)))


def _of_processes(look: Look) -> t.Iterator[Blocker]:
    touched = {one.module for one in look.changed} | set(look.removed)
    stale = [group for group in look.old_code if group.module in touched]
    if stale:
        yield Blocker(
            "old_code_in_use",
            "code from before the last change of these modules is still in use: %s"
            % _some(["%s (%s)" % (shown(group.module), ", ".join(group.names)) for group in stale]),
        )
    orphans = [group for group in (*look.processes, *look.inside) if group.module in look.removed]
    if orphans:
        yield Blocker(
            "removed_in_use",
            "processes run modules that the release lacks: %s"
            % _some(["%s (%s)" % (shown(group.module), ", ".join(group.names)) for group in orphans]),
        )


def _by_name(apps: t.Iterable[Application]) -> dict[str, Application]:
    return {one.name: one for one in apps}


def _moved(look: Look) -> tuple[tuple[str, str, str], ...]:
    loaded = _by_name(look.loaded)
    return tuple(
        (one.name, loaded[one.name].version, one.version)
        for one in sorted(look.apps_to, key=lambda one: one.name)
        if one.name in loaded and (one.name in look.specs or loaded[one.name].version != one.version)
    )


def shown(module: str) -> str:
    """As its people write it."""
    return module[len("Elixir.") :] if module.startswith("Elixir.") else module


def _some(names: t.Sequence[str]) -> str:
    words = [shown(name) for name in names]
    return ", ".join(words[:_MOST]) + (" and %d more" % (len(words) - _MOST) if len(words) > _MOST else "")


def newer(one: str, other: str) -> bool:
    """Whether one version is newer than another, as semver has it. What is no such version is not newer than anything."""
    first, second = _semver(one), _semver(other)
    return first is not None and second is not None and first > second


_SEMVER = re.compile(r"(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def _semver(version: str) -> t.Optional[tuple[t.Any, ...]]:
    match = _SEMVER.fullmatch(version)
    if match is None:
        return None
    numbers = tuple(int(part) for part in match.group(1).split("."))
    before = match.group(2)
    # A version without a suffix is newer than each with one.
    suffix = (1,) if before is None else (0, *(_part(part) for part in before.split(".")))
    return numbers, suffix


def _part(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)
