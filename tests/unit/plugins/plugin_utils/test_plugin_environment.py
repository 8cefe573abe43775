# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What YAML makes of a variable is text again when it reaches the node; what can't be is refused by name, and never with its value."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.alchemist.beam.plugins.module_utils._node.envfile import parse, parse_of_unit
from ansible_collections.alchemist.beam.plugins.plugin_utils import _environment as environment

PEM = "-----BEGIN KEY-----\nMIIE=\n\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (4000, "4000"),
        (-1, "-1"),
        (0.5, "0.5"),
        ("", ""),
        ("True", "True"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("a b", "a b"),
        (PEM, PEM),
        ('it\'s a $ecret "x" \\ `y`', 'it\'s a $ecret "x" \\ `y`'),
        ("\u2028\x85é", "\u2028\x85é"),
        ("a\\\nb", "a\\\nb"),
        ("it's \\\n two", "it's \\\n two"),
        (" blank ", " blank "),
        ("#x;y=z", "#x;y=z"),
        ("a\tb", "a\tb"),
        ("a\r\nb\x07'\r", "a\r\nb\x07'\r"),
    ],
)
def test_a_value_arrives(value: t.Any, text: str) -> None:
    assert environment.problems({"A": value}, "service_env") == []
    written = environment.lines({"b": "last", "A": value}) + "\n"
    expected = {"A": text, "b": "last"}
    assert parse(written, "env") == parse_of_unit(written) == expected


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"EMPTY": None}, "EMPTY in service_env has no value: leave it out, or write '' for an empty one"),
        ({"LIST": ["hunter2"]}, "LIST in service_env is a list and no text"),
        ({"DICT": {"a": "hunter2"}}, "DICT in service_env is a dictionary and no text"),
        ({"A-B": "hunter2"}, "A-B in service_env is no name"),
        ({1: "hunter2"}, "1 in service_env is no name"),
        (
            {True: "hunter2"},
            "True in service_env is no name of an environment variable: YAML takes it for a bool, so write it in quotes",
        ),
        ({"HOME": "hunter2"}, "HOME in service_env is set by the role itself"),
        (
            {"NUL": "hunter2\0"},
            "NUL in service_env has a zero byte, which no environment can hold: encode it (b64encode), or put it into a file",
        ),
        (["A=hunter2"], "service_env must be a dictionary of variables"),
        (None, "service_env must be a dictionary of variables"),
    ],
)
def test_what_would_not_arrive_is_named(values: t.Any, said: str) -> None:
    [found] = environment.problems(values, "service_env", ["HOME"])
    assert found.startswith(said) and "hunter2" not in found
    assert len(environment.problems({"A": None, "B": None}, "x")) == 2


WRITTEN = """
OCTAL: 0777
FLOAT: 1.10
EXPONENT: 1.0e+3
TIME: 12:30
WHOLE: 1000.0
DAY: 2026-01-02
HEX: 0x1F
GROUPS: 1_000
FLOW: {x: 1.50, y: 0022}
QUOTED: "0777"
AGREED: yes
"""


def test_numbers_are_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text(WRITTEN)
    values = DataLoader().load_from_file(str(file))
    values.update(values.pop("FLOW"))
    assert {name: environment.as_text(value) for name, value in values.items()} == {
        "OCTAL": "0777",
        "FLOAT": "1.10",
        "EXPONENT": "1.0e+3",
        "TIME": "12:30",
        "WHOLE": "1000.0",
        "DAY": "2026-01-02",
        "HEX": "31",
        "GROUPS": "1000",
        "x": "1.50",
        "y": "0022",
        "QUOTED": "0777",
        "AGREED": "true",
    }
    assert environment.doubtful(values) == []
    # The file is another one by now: what stands there is not what was read.
    file.write_text("OCTAL: 1\nOCTAL: 1\n")
    environment._text.cache_clear()
    assert environment.as_text(values["OCTAL"]) == "511"


def test_a_number_of_which_nobody_knows_how_it_was_written_is_told() -> None:
    """As of -e '{"RATIO": 1e3}'."""
    assert environment.doubtful({"RATIO": 1e3, "SMALL": 1e-7, "HALF": 0.5, "PORT": 4000}) == [
        "RATIO=1000.0",
        "SMALL=1e-07",
    ]
    assert environment.doubtful(None) == []
