# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""When each step of a host began and how long it took, from what its tasks registered. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed, looked, member_of, parts, said_of

Vars = t.Mapping[str, t.Any]


def seconds(found: Vars, key: str) -> float | None:
    value = (
        (found.get("seconds") or {}).get(key) if isinstance(found.get("seconds"), t.Mapping) else found.get("seconds")
    )
    return None if value is None else round(float(value), 2)


def steps(host: str, of: Vars, side: t.Optional[Vars] = None) -> list[dict[str, t.Any]]:
    """side: of a host with two nodes, which of them was to serve."""
    side = side or {}
    found: list[dict[str, t.Any]] = []

    def add(step: str, start: t.Any, length: t.Any, ok: bool = True) -> None:
        if start is not None and length is not None:
            found.append({"step": step, "start": round(float(start), 3), "seconds": round(float(length), 3), "ok": ok})

    def member(name: str, step: str, *colors: t.Any) -> None:
        said = said_of(of, name)
        mine = member_of(said, host, *colors)
        add(step, mine.get("began") or said.get("began"), mine.get("seconds"), not failed(said))

    def restart(name: str, label: str = "") -> None:
        done = said_of(of, name)
        start = done.get("began")
        if start is None:
            return
        if label:
            add(label, start, seconds(done, "total"), not failed(done))
            return
        if done.get("action") == "hot":
            gate = float((done.get("health") or {}).get("seconds") or 0)
            swap = max(0.0, (seconds(done, "total") or 0.0) - gate)
            add("activate", start, swap, not failed(done))
            add("gate", float(start) + swap, gate)
            return
        parts = [
            ("stop", seconds(done, "stop")),
            ("boot", seconds(done, "boot")),
            ("gate", (done.get("health") or {}).get("seconds")),
        ]
        known = [(step, float(length)) for step, length in parts if length is not None]
        for number, (step, length) in enumerate(known):
            add(step, start, length, not failed(done) or number < len(known) - 1)
            start = float(start) + length

    def stop(done: Vars) -> None:
        one = stopped(done)
        add("stop", one.get("began"), seconds(one, "stop"), not failed(one))

    staged = looked(of, "staged")
    add("stage", staged.get("began"), seconds(staged, "total"), not failed(staged))
    if not side:
        member("leave", "drain")
    activated = said_of(of, "activate")
    add("activate", activated.get("began"), seconds(activated, "total"), not failed(activated))
    restart("restart")
    member("join", "join", side.get("to"))
    baked = said_of(of, "bake")
    compared = baked.get("comparison") or {}
    add("bake", compared.get("began"), compared.get("seconds"), not failed(baked))
    if not side:
        member("back_leave", "drain")
        restart("back_restart", "return")
        member("back_join", "join")
        return found
    # The other way round with two nodes: the one is in before the other one leaves, and stops last.
    member("leave", "drain", *former(side))
    stop(said_of(of, "stop"))
    restart("back_restart", "return")
    member("back_join", "join", side.get("back"))
    member("back_leave", "drain", side.get("to"))
    stop(said_of(of, "back_stop"))
    return found


def former(side: Vars) -> list[str]:
    """The nodes that went, first the one that served."""
    return [color for color in (side.get("live"), *(side.get("others") or ())) if color and color != side.get("to")]


def stopped(found: Vars) -> Vars:
    """Of the nodes that were to be stopped, the one that ran."""
    return next((item for item in parts(found) if seconds(item, "stop") is not None), {})
