# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates that are asked for: what is wrong with them is said before anything runs."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._gates.wanted import make_gates


def test_names_and_options() -> None:
    gates = make_gates(
        [
            "format",
            {"name": "coverage", "floor": 80},
            {"name": "test", "arguments": "--exclude slow", "timeout": 5},
            {"name": "licenses", "command": "mix licenses --reuse 'a b'"},
        ],
        60,
    )
    assert [(gate.name, gate.timeout) for gate in gates] == [
        ("format", 60),
        ("coverage", 60),
        ("test", 5),
        ("licenses", 60),
    ]
    assert gates[2].arguments == ("--exclude", "slow") and gates[3].command == ("mix", "licenses", "--reuse", "a b")
    assert gates[1].floor == 80 and gates[3].kind is None
    # More time changes nothing that is found.
    assert gates[0].decides() == make_gates([{"name": "format", "timeout": 9}], 60)[0].decides()
    assert gates[1].decides() != make_gates(["coverage"], 60)[0].decides()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "gates is empty"),
        (["tests"], "Write test, or give it a command"),
        (["zzz"], "Write one of format, compile"),
        (["test", "test"], "named twice"),
        ([7], "7 is not a gate"),
        ([{"floor": 3}], "it has no name"),
        (["../x"], "is not the name of a gate"),
        ([{"name": "test", "flor": 3}], "has no option flor"),
        ([{"name": "test", "floor": 3}], "only coverage has one"),
        ([{"name": "coverage", "floor": 101}], "it is a percentage"),
        ([{"name": "coverage", "floor": True}], "it is a percentage"),
        ([{"name": "test", "timeout": 0}], "1 second or more"),
        ([{"name": "test", "timeout": "5"}], "1 second or more"),
        ([{"name": "test", "command": "true"}], "can't have a command"),
        ([{"name": "own", "command": ""}], "is empty"),
        ([{"name": "own", "command": "a 'b"}], "Correct the quotes"),
        ([{"name": "own", "command": "a", "floor": 3}], "can't have floor"),
        ([{"name": "test", "arguments": 7}], "can't be split"),
    ],
)
def test_bad_input(given: list[t.Any], said: str) -> None:
    with pytest.raises(BeamError) as caught:
        make_gates(given, 60)
    assert caught.value.code == "invalid_gate" and said in caught.value.message
