# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What lies on this server now, read without changing anything."""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from dataclasses import replace
from datetime import datetime, timezone

from .._errors import BeamError
from .._release.names import check_version
from .files import named_errors, open_directory
from .layout import Layout
from .resolve import known_manifests
from .state import Installed, State, load_state


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_directories(layout: Layout, create: bool = False) -> None:
    """The directories we write to are ours and on one file system; planted symlinks and foreign owners are refused."""
    if create and not os.path.isdir(layout.base):
        os.makedirs(layout.base, 0o755, exist_ok=True)
    if not create and not os.path.lexists(layout.base):
        # Whatever appears below it from here on is another run's, which checks it itself.
        return
    devices = {}
    for path in (layout.base, layout.layers, layout.releases, layout.manifests, layout.tmp):
        if not create and not os.path.lexists(path):
            continue
        handle = open_directory(path, create)
        devices[path] = os.fstat(handle).st_dev
        os.close(handle)
    other = [path for path, device in devices.items() if device != devices[layout.base]]
    if other:
        raise BeamError(
            "base_split",
            "%s can't be used" % layout.base,
            "%s is on another file system" % other[0],
            "Mount the whole base, not a directory in it: releases appear by rename",
        )


def read_current(layout: Layout) -> str | None:
    """The version that the pointer points at; None where it is missing or dangling, which activation repairs."""
    try:
        info = os.lstat(layout.link)
    except FileNotFoundError:
        return None
    hint = "Remove it, and activate a release again"
    if not stat.S_ISLNK(info.st_mode):
        kind = "directory" if stat.S_ISDIR(info.st_mode) else "file"
        raise BeamError(
            "current_not_a_link", "%s can't be switched" % layout.link, "it is a %s, not a symlink" % kind, hint
        )
    target = posixpath.normpath(posixpath.join(layout.base, os.readlink(layout.link)))
    if target == layout.link:
        raise BeamError("current_loop", "%s can't be switched" % layout.link, "it points at itself", hint)
    parent, version = posixpath.split(target)
    try:
        inside = parent == layout.releases and bool(check_version(version))
    except BeamError:
        inside = False
    if not inside:
        raise BeamError(
            "current_outside",
            "%s can't be switched" % layout.link,
            "it points at %s, which is no release in %s" % (target, layout.releases),
            hint,
            target=target,
        )
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        raise BeamError(
            "current_outside",
            "%s can't be switched" % layout.link,
            "%s is not a directory" % target,
            hint,
            target=target,
        )
    return version


def read_pointers(layout: Layout) -> dict[str, str]:
    """The version of every symlink in the base that points at a release: none of these is ever removed."""
    links: list[os.DirEntry[str]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(layout.base) as entries:
        links = [entry for entry in entries if entry.is_symlink()]
    found = {}
    for link in links:
        with contextlib.suppress(FileNotFoundError):  # taken away meanwhile
            parent, version = posixpath.split(posixpath.normpath(posixpath.join(layout.base, os.readlink(link.path))))
            if parent == layout.releases and os.path.isdir(link.path):
                found[link.name] = version
    return found


def versions_on_disk(layout: Layout) -> frozenset[str]:
    found = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(layout.releases) as entries:
        found = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
    return frozenset(found)


def layers_on_disk(layout: Layout) -> frozenset[str]:
    try:
        return frozenset(os.listdir(layout.layers))
    except FileNotFoundError:
        return frozenset()


def has_leftovers(layout: Layout) -> bool:
    """Whether a run that died left something in tmp, or one is at work now."""
    try:
        return bool(os.listdir(layout.tmp))
    except FileNotFoundError:
        return False


def read_state(layout: Layout, name: str) -> State:
    return look_at_state(layout, name)[1]


def look_at_state(layout: Layout, name: str) -> tuple[State, State]:
    """What the state file says; and what is: the state file, put right by what is on the disk: what everybody goes by who asks what is installed here.

    A run that died between the rename of a release and its note in the state left a whole release and its manifest: they
    are found again, also when the state file itself is gone. One that died in a removal left notes of what is gone, and one
    that died after the switch left a note of the one before.
    """
    with named_errors("%s can't be read" % layout.state):
        noted = state = load_state(layout.state, name)
        present = versions_on_disk(layout)
        state = state.without(set(state.installed) - present)
        digests = {release.digest for release in state.installed.values()}
        for digest, manifest in known_manifests(layout, digests):
            if manifest.name == name and manifest.version in present and manifest.version not in state.installed:
                at = utc(os.stat(layout.release(manifest.version)).st_mtime)
                state = state.with_release(
                    manifest.version, Installed(digest, at, tuple(layer.sha256 for layer in manifest.layers))
                )
        with contextlib.suppress(BeamError):  # whoever switches it says so
            current = read_current(Layout(layout.base))
            state = state.activated(current, state.current) if current is not None else state
        current, previous = (version if version in present else None for version in (state.current, state.previous))
        return noted, replace(state, current=current, previous=previous)


def is_noted(layout: Layout, state: State) -> bool:
    """Whether the state file says that already: read_state also returns what a run that died had no time to record."""
    try:
        return load_state(layout.state, state.name) == state
    except BeamError:
        return False
