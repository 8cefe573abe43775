# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is rolled out, by what was asked for and what the store says."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.draft import (
    Aim,
    Asked,
    aim,
    check_aim,
    homecoming,
    left_behind,
    parse_known,
    proposal,
    target_of,
    unpublished,
    waits,
)

OLD, NEW = {"version": "0.1.0", "digest": "a" * 64}, {"version": "0.2.0", "digest": "b" * 64}
CHANNEL = {"stable": OLD, "candidate": NEW, "ghosts": []}
RUNNING = {"id": "j", "state": "running", **NEW}
NAMED, NOT = Asked("0.2.0"), Asked()


@pytest.mark.parametrize(
    ("journal", "unfinished", "channel", "asked", "target", "why"),
    [
        (None, False, CHANNEL, NOT, OLD, "stable"),
        (None, False, CHANNEL, NAMED, None, "named"),
        (RUNNING, False, CHANNEL, NOT, OLD, "stable"),
        (RUNNING, True, CHANNEL, NOT, NEW, "resumed"),
        (RUNNING, True, CHANNEL, NAMED, None, "named"),
        (RUNNING, True, CHANNEL, Asked(resume="revert"), OLD, "reverted"),
        ({**RUNNING, "state": "reverting"}, True, CHANNEL, NOT, OLD, "reverted"),
        ({**RUNNING, "state": "reverting"}, True, CHANNEL, Asked(resume="resume"), NEW, "resumed"),
        (RUNNING, True, {**CHANNEL, "ghosts": [NEW]}, Asked(resume="resume"), OLD, "reverted"),
        (RUNNING, True, {**CHANNEL, "candidate": None}, NOT, OLD, "reverted"),
    ],
)
def test_what_a_run_aims_at(
    journal: t.Any, unfinished: bool, channel: t.Any, asked: Asked, target: t.Any, why: str
) -> None:
    known = parse_known({"journal": journal, "unfinished": unfinished, "channel": channel})
    assert aim(known, asked) == Aim(target_of(target), why)


@pytest.mark.parametrize("asked", [Asked(resume="refuse"), Asked("0.2.0", resume="refuse")])
def test_a_rollout_that_never_ended_is_refused_where_that_is_wanted(asked: Asked) -> None:
    with pytest.raises(BeamError, match="^The rollout j of 0.2.0 was interrupted and never ended. Set beam_resume to"):
        aim(parse_known({"journal": RUNNING, "unfinished": True, "channel": CHANNEL}), asked)


def test_it_does_not_guess() -> None:
    nothing = parse_known({"channel": {}})
    with pytest.raises(
        BeamError, match="^There is nothing to roll out: no version .* on the channel live. Say beam_version"
    ):
        check_aim(NOT, aim(nothing, NOT), "live")
    check_aim(NAMED, aim(nothing, NAMED), "live")


@pytest.mark.parametrize(
    ("asked", "target", "wanted"),
    [
        (Asked("0.1.0"), None, {"version": "0.1.0"}),
        (Asked("0.2.0", NEW["digest"]), None, {"digest": NEW["digest"]}),
        (Asked("", OLD["digest"]), None, {}),
        (NOT, OLD, {}),
        (NOT, NEW, {"digest": NEW["digest"]}),
    ],
)
def test_what_the_store_is_asked_for(asked: Asked, target: t.Any, wanted: t.Any) -> None:
    known = parse_known({"channel": CHANNEL})
    assert proposal(known, asked, Aim(target_of(target), "")) == wanted
    assert [homecoming(known, t.cast("t.Any", target_of(one))) for one in (OLD, NEW)] == [True, False]


@pytest.mark.parametrize(
    ("unfinished", "left", "dealt"),
    [(True, [], True), (False, ["h1"], True), (False, ["h9"], False), (False, [], False)],
)
def test_which_journal_is_dealt_with(unfinished: bool, left: list[str], dealt: bool) -> None:
    known = parse_known({"journal": RUNNING, "unfinished": unfinished, "interrupted_hosts": left, "channel": CHANNEL})
    assert left_behind(known, ["h1", "h2"]) == (RUNNING if dealt else {})


HELD: dict[str, t.Any] = {"held": True, "owner": "anna"}


@pytest.mark.parametrize(
    ("lock", "seconds", "check", "rolled_back", "waiting"),
    [
        (HELD, 60, False, False, True),
        (None, 60, False, False, False),
        ({"held": False}, 60, False, False, False),
        (HELD, 0, False, False, False),
        (HELD, 60, True, False, False),
        (HELD, 60, False, True, False),
    ],
)
def test_whether_another_rollout_is_waited_for(
    lock: t.Any, seconds: int, check: bool, rolled_back: bool, waiting: bool
) -> None:
    assert waits(lock, seconds, check, rolled_back) is waiting


@pytest.mark.parametrize(
    ("rehearsed", "first"),
    [
        ({}, "shop (its version can not be told before it is checked out) is not in the store yet. It would be built"),
        (
            {"version": "2", "commit": "c" * 40, "layers": {"sent": 3, "total": 9}},
            "shop 2 (commit cccccccccccc) is not in the store yet. It is built, and would be published: 3 of its 9 layers",
        ),
        ({"version": "2", "commit": "", "layers": None}, "shop 2 is not in the store yet. It would be built and"),
    ],
)
def test_the_rehearsal_of_what_is_not_published(rehearsed: t.Any, first: str) -> None:
    said = unpublished("shop", rehearsed)
    assert said.startswith(first) and said.endswith("then rehearse the rollout.")
