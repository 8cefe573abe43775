# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transitions of a channel, as pure functions, and its document."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import (
    Channel,
    Stamp,
    Target,
    add_ghost,
    parse_channel,
    promote,
    propose,
    remove_ghost,
    roll_back,
    withdraw,
)

A, B, C = (Target("1.%d.0" % i, "%064x" % i) for i in range(3))
_tokens = itertools.count()


def stamp() -> Stamp:
    return Stamp("me@here", "2026-01-01T00:00:00Z", "token %d" % next(_tokens))


def channel(*promoted: Target) -> Channel:
    value = Channel("shop", "production")
    for target in promoted:
        value = promote(value, target, stamp())
    return value


def test_promote() -> None:
    value = channel(A, B)
    assert (value.serial, value.stable, value.previous) == (2, B, A)
    assert promote(value, B, stamp()) is value
    assert promote(propose(value, C, stamp()), C, stamp()).candidate is None
    assert promote(propose(value, C, stamp()), A, stamp()).candidate == C


def test_a_candidate_comes_and_goes() -> None:
    value = propose(channel(A), B, stamp())
    assert (value.candidate, value.stable, value.serial) == (B, A, 2)
    assert propose(value, B, stamp()) is value
    assert withdraw(value, stamp()).candidate is None
    assert withdraw(channel(A), stamp()).serial == 1


def test_roll_back_makes_a_ghost() -> None:
    value = roll_back(channel(A, B), stamp(), ghost_reason="bad")
    assert (value.stable, value.previous, [g.reason for g in value.ghosts]) == (A, B, ["bad"])
    assert roll_back(channel(A, B), stamp(), ghost_reason=None).ghosts == ()
    assert roll_back(channel(A, B, C), stamp(), A).stable == A


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda: roll_back(channel(), stamp()), "no_stable"),
        (lambda: roll_back(channel(A), stamp()), "no_previous"),
        (lambda: roll_back(channel(A, B), stamp(), B), "rollback_to_itself"),
        (lambda: roll_back(roll_back(channel(A, B), stamp()), stamp()), "ghost"),
        (lambda: promote(roll_back(channel(A, B), stamp()), B, stamp()), "ghost"),
        (lambda: propose(roll_back(channel(A, B), stamp()), B, stamp()), "ghost"),
        (lambda: add_ghost(channel(A), A, "x", stamp()), "ghost_is_stable"),
    ],
)
def test_what_is_refused(work: t.Callable[[], Channel], code: str) -> None:
    with pytest.raises(BeamError) as caught:
        work()
    assert caught.value.code == code and caught.value.hint


def test_ghosts() -> None:
    value = add_ghost(propose(channel(A), B, stamp()), B, "never healthy", stamp())
    assert value.candidate is None and value.ghost(B.digest) is not None
    assert add_ghost(value, B, "again", stamp()) is value
    assert remove_ghost(value, B, stamp()).ghosts == ()
    assert remove_ghost(channel(A), B, stamp()).serial == 1
    forced = promote(value, B, stamp(), force=True)
    assert forced.stable == B and forced.ghosts == ()


def test_what_a_channel_protects() -> None:
    assert set(propose(channel(A, B), C, stamp()).targets()) == {A, B, C}


def test_the_document() -> None:
    value = roll_back(propose(channel(A, B), C, stamp()), stamp(), ghost_reason="häßlich\n{{ x }}")
    assert parse_channel(value.to_bytes()) == value
    assert promote(promote(promote(channel(), A, stamp()), B, stamp()), A, stamp()).to_bytes() != channel(A).to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 2**63},
        {"serial": 0},
        {"serial": "1"},
        {"serial": None},
        {"schema": 2},
        {"name": "../x"},
        {"channel": "a/b"},
        {"stable": {"version": "1"}},
        {"stable": {"version": "..", "digest": "0" * 64}},
        {"stable": {"version": "1", "digest": "x"}},
        {"ghosts": [1]},
        {"unknown": 1},
    ],
)
def test_documents_that_are_refused(change: dict[str, t.Any]) -> None:
    doc = {**json.loads(channel(A, B).to_bytes()), **change}
    with pytest.raises(BeamError) as caught:
        parse_channel(json.dumps(doc).encode())
    assert caught.value.code == "channel_invalid"


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"null", b"[" * 100_000, b" " * (1024 * 1024 + 1)])
def test_what_is_no_document(data: bytes) -> None:
    with pytest.raises(BeamError):
        parse_channel(data)
