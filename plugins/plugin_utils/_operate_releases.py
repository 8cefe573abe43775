# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""releases: what is in the store, as lines for a person. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render

ROLES = ("stable", "candidate", "previous")
SHOWN = 40  # files of one kind
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def releases_asked(desk: Desk) -> Result:
    """Which version it is about. Without one, what is stable on the channel; what is compared with that is what was stable before."""
    action, version = str(desk.ask("operate_releases")), str(desk.ask("operate_version"))
    channel = next((one for one in _channels(desk) if one.get("channel") == desk.ask("operate_channel")), {})
    stable, previous = _version(channel.get("stable")), _version(channel.get("previous"))
    if action in ("show", "export", "diff"):
        version = version or stable
        if not version:
            raise _unnamed(action, desk, "nothing is stable", "Give beam_version")
    older = ""
    if action == "diff":
        older = str(desk.ask("operate_compare")) or (previous if version == stable else stable)
        if not older or older == version:
            raise _unnamed(action, desk, "there is no other version", "Give beam_compare, which is the older one")
    return {"version": version, "compare_to": older}


def _unnamed(action: str, desk: Desk, why: str, hint: str) -> BeamError:
    return BeamError(
        "version_unnamed",
        "%s knows no version" % action,
        "%s on the channel %s" % (why, desk.ask("operate_channel")),
        hint,
    )


def releases(desk: Desk) -> Result:
    action = str(desk.ask("operate_releases"))
    found, done = desk.told("operate_found"), desk.told("operate_done")
    if action == "list":
        lines = _list(found.get("releases") or (), _channels(desk))
    elif action == "show":
        lines = _show(_one(found, desk), _channels(desk))
    elif action == "diff":
        asked = desk.told("operate_asked")
        _one(found, desk)
        lines = _diff(asked["compare_to"], asked["version"], found["difference"])
    elif action == "verify":
        lines = [
            "Every byte is right of %s: %d files, %s."
            % (", ".join(done["verified"]), done["files"], size(done["bytes"]["release"]))
        ]
    elif action == "export":
        lines = [
            "%s %s is in %s%s."
            % (done["name"], done["version"], done["dest"], "" if done["changed"] else ", as it was")
        ]
    else:
        lines = _pruned(done, desk.check_mode)
    return {"lines": lines, "wrong": ""}


def size(count: t.Any) -> str:
    """Bytes, as a person reads them."""
    number = float(count or 0)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return "%.0f %s" % (number, unit) if unit == "B" or number >= 100 else "%.1f %s" % (number, unit)
        number /= 1024
    return "%.1f GiB" % number


def _channels(desk: Desk) -> list[Vars]:
    return list(desk.told("operate_channels_now").get("channels") or ())


def _version(target: t.Any) -> str:
    return str((target or {}).get("version") or "")


def _named(version: str, channels: t.Iterable[Vars]) -> list[str]:
    """Where it is stable, candidate or previous, and where a ghost."""
    found = []
    for channel in channels:
        found += ["%s on %s" % (role, channel["channel"]) for role in ROLES if _version(channel.get(role)) == version]
        if any(ghost.get("version") == version for ghost in channel.get("ghosts") or ()):
            found.append("ghost on %s" % channel["channel"])
    return found


def _list(found: t.Sequence[Vars], channels: t.Sequence[Vars]) -> list[str]:
    rows = [
        {
            "version": one["version"],
            "published": one.get("published"),
            "size": size(one.get("size")),
            "unpacked": size(one.get("unpacked_size")),
            "commit": ((one.get("provenance") or {}).get("git_sha") or "")[:12],
            "channels": ", ".join([*_named(one["version"], channels), *(["pinned"] if one.get("pinned") else [])]),
        }
        for one in found
    ]
    lines = render(rows, ("version", "published", "size", "unpacked", "commit", "channels")) if rows else []
    there = {one["version"] for one in found}
    ghosts = [
        "%s on %s" % (ghost["version"], channel["channel"])
        for channel in channels
        for ghost in channel.get("ghosts") or ()
    ]
    gone = [ghost for ghost in ghosts if ghost.partition(" ")[0] not in there]
    return (lines or ["Nothing is published."]) + (
        ["Ghosts that are not in the store: %s." % ", ".join(gone)] if gone else []
    )


def _one(found: Vars, desk: Desk) -> Vars:
    one = next(iter(found.get("releases") or ()), None)
    if one is None:
        raise BeamError(
            "release_unpublished",
            "%s %s can't be shown" % (desk.ask("operate_name"), desk.told("operate_asked").get("version")),
            "it is not in the store",
            "Say alchemist.beam.releases for a list of what is",
        )
    return t.cast("Vars", one)


def _show(one: Vars, channels: t.Iterable[Vars]) -> list[str]:
    made, abi = one.get("provenance") or {}, one.get("abi") or {}
    facts = {
        "version": one["version"],
        "digest": one["digest"],
        "published": one.get("published"),
        "size": "%s in %d layers, %s in %d files"
        % (size(one["size"]), one["layers"], size(one["unpacked_size"]), one["files"]),
        "commit": "%s%s"
        % (
            made.get("git_sha") or "not known",
            ", with changes that were not committed" if made.get("git_dirty") else "",
        ),
        "built with": ", ".join(
            "%s %s" % (tool, made[tool]) for tool in ("elixir", "otp", "mix_env") if made.get(tool)
        ),
        "needs": ", ".join("%s %s" % (key, _flat(value)) for key, value in sorted(abi.items()) if value),
        "channels": ", ".join(_named(one["version"], channels)),
        "kept because": one.get("protected"),
    }
    width = max(map(len, facts))
    return ["%s  %s" % (name.ljust(width), value) for name, value in facts.items() if value]


def _flat(value: t.Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _diff(older: str, newer: str, found: Vars) -> list[str]:
    apps, files = found["applications"], found["files"]
    lines = ["%s -> %s" % (older, newer), "a server fetches %s" % size(found["fetched"])]
    before, after = found["commits"]
    if before == after:
        lines.append("commit %s, the same" % (after[:12] or "not known"))
    else:
        lines.append("commits %s -> %s" % (before[:12] or "?", after[:12] or "?"))
        lines += ["  git log --oneline %s..%s" % (before[:12], after[:12])] if before and after else []
    lines += (
        ["erts %s -> %s" % tuple(one or "none" for one in found["erts"])]
        if found["erts"][0] != found["erts"][1]
        else []
    )
    lines += [
        "%s %s -> %s" % (tool, old or "?", new or "?") for tool, (old, new) in sorted(found["built_with"].items())
    ]
    lines += ["+ application %s %s" % item for item in apps["added"].items()]
    lines += ["- application %s %s" % item for item in apps["removed"].items()]
    lines += ["~ application %s %s -> %s" % (app, *both) for app, both in apps["moved"].items()]
    lines += ["~ application %s, of the same version" % app for app in apps["same_version"]]
    for kind, mark in _MARKS.items():
        lines += ["%s %s" % (mark, path) for path in files[kind][:SHOWN]]
        more = files["counts"][kind] - SHOWN
        lines += ["%s %d files more" % (mark, more)] if more > 0 else []
    return lines


def _pruned(done: Vars, check_mode: bool) -> list[str]:
    would = "Would remove" if check_mode else "Removed"
    lines = ["%s %s, and %s." % (would, ", ".join(done["removed"]) or "no version", size(done["bytes"]["collected"]))]
    return lines + ["Kept %s: %s." % item for item in sorted((done.get("kept") or {}).items())]
