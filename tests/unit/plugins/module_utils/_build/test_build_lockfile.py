# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.lockfile import Locked, moved, parse_lock, used

LOCK = """%{
  "bcrypt_elixir": {:hex, :bcrypt_elixir, "3.0.1", "9be8", [:make, :mix], [{:elixir_make, "~> 0.6", [hex: :elixir_make, repo: "hexpm", \
optional: false]}], "hexpm", "486b"},
  "decimal": {:hex, :decimal, "2.1.1", "5611", [:mix], [], "hexpm", "53cf"},
  "elixir_make": {:hex, :elixir_make, "0.7.7", "7128", [:mix], [{:castore, "~> 0.1 or ~> 1.0", [hex: :castore, optional: true]}], "hexpm", "5bc1"},
  "heroicons": {:git, "https://example.org/a,b}/heroicons.git", "88ab3a0d790e6a47404cba02800a6b25d2afae50", [tag: "v2.1.1", sparse: "optimized"]},
  "jason": {:hex, :jason, "1.4.1", "af1", [:mix], [{:decimal, "~> 1.0 or ~> 2.0", [hex: :decimal, repo: "hexpm", optional: true]}], "hexpm", "fbb0"},
  "telemetry": {:hex, :telemetry, "1.2.1", "68fd", [:rebar3], [], "hexpm", "dad9"},
}
"""


def test_entries() -> None:
    lock = parse_lock(LOCK)
    assert list(lock) == ["bcrypt_elixir", "decimal", "elixir_make", "heroicons", "jason", "telemetry"]
    assert (lock["bcrypt_elixir"].version, lock["bcrypt_elixir"].managers, lock["bcrypt_elixir"].needs) == ("3.0.1", ("make", "mix"), ("elixir_make",))
    assert lock["telemetry"].managers == ("rebar3",) and lock["jason"].needs == lock["elixir_make"].needs == ()
    assert (lock["heroicons"].source, lock["heroicons"].label) == ("git", "v2.1.1 (88ab3a0d790e)")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("%{}\n", {}),
        ("nothing of a lock\n\0\xff", {}),
        ('%{\n  "a": {:hex, :a, "1.0.0"}\n}\n', {"a": ("hex", "1.0.0")}),
        ('%{"a" => {:hex, :a, "1.0.0", "x", [:mix], [], "hexpm", "y"}}', {"a": ("hex", "1.0.0")}),
        ('%{"a": {:hex, :a, "1.0.0", "x", [:mix], [{:b, "~> 1"}]}, "b": {:hex, :b, "2.0.0"}}', {"a": ("hex", "1.0.0"), "b": ("hex", "2.0.0")}),
        ('%{\n  "a":\n    {:hex, :a,\n      "1.0.0", "x",\n      [:mix], [], "hexpm"},\n}\n', {"a": ("hex", "1.0.0")}),
        ('  "a": {:hg, "url", 17},\n  "b": {:git, "url", "0123456789abcdef", []},\n', {"a": ("hg", ""), "b": ("git", "0123456789ab")}),
        ('  "a": {:hex, :a, "1.0.0", "cut\n  "b": {:hex, :b, "2.0.0", "x"},\n', {"a": ("", ""), "b": ("hex", "2.0.0")}),
        ('<<<<<<< HEAD\n  "a": {:hex, :a, "1.0.0"},\n=======\n  "a": {:hex, :a, "1.1.0"},\n>>>>>>> x\n', {"a": ("hex", "1.1.0")}),
        ('  "a": %{version: "1"},\n  "b": "text",\n  "c": ' + "[" * 3000 + "\n", {"a": ("", ""), "b": ("", ""), "c": ("", "")}),
        ('  "a": {:hex, :"a-b", "1.0.0-rc.1+x\\"y", "x", nil, [{:b}, {:c, "~> 1", [optional: 7]}, 3, []]},\n', {"a": ("hex", '1.0.0-rc.1+x"y')}),
    ],
)
def test_whatever_stands_in_it(text: str, found: dict[str, tuple[str, str]]) -> None:
    assert {name: (entry.source, entry.label) for name, entry in parse_lock(text).items()} == found


def test_what_is_used() -> None:
    lock = parse_lock(LOCK)
    assert used(lock, ["bcrypt_elixir", "heroicons"]) == ["bcrypt_elixir", "elixir_make", "heroicons"]
    assert used(lock, ["jason", "of_no_lock"]) == ["jason", "of_no_lock"]
    assert used({"a": Locked("a", "", needs=("b",)), "b": Locked("b", "", needs=("a",))}, ["a"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (LOCK, LOCK, []),
        (LOCK, LOCK.replace("\n  ", "\n      ").replace(", ", ",  "), []),
        (LOCK, LOCK.replace('"1.4.1"', '"1.4.4"'), ["jason: from 1.4.1 to 1.4.4"]),
        (LOCK, LOCK.replace('"fbb0"', '"0000"'), ["jason 1.4.1 was written anew (the same version, other details)"]),
        (LOCK, LOCK.replace("88ab", "99ab"), ["heroicons: from v2.1.1 (88ab3a0d790e) to v2.1.1 (99ab3a0d790e)"]),
        ("", '"b": {:hex, :b, "2.0.0"},', ["b 2.0.0 was added"]),
        ('"b": {:hex, :b, "2.0.0"},', "", ["b 2.0.0 was removed"]),
        ('"b": {:hex, :b, "2.0.0"},', '"b": {:git, "u", "0123456789abcdef", []},', ["b: from 2.0.0 (hex) to 0123456789ab (git)"]),
        ('"b": what', '"b": other', ["b was written anew"]),
        ('"b": what', '"b": {:hex, :b, "2.0.0"}', ["b: from something that can't be read to 2.0.0 (hex)"]),
        (
            '"a": {:hex, :a, "1.0.0"},\n"b": {:hex, :b, "1.0.0"},\n"c": {:hex, :c, "1.0.0"},',
            '"aa": {:hex, :aa, "3.0.0"},\n"a": {:hex, :a, "1.0.0", "x"},\n"c": {:hex, :c, "0.9.0"},',
            ["c: from 1.0.0 to 0.9.0", "aa 3.0.0 was added", "b 1.0.0 was removed", "a 1.0.0 was written anew (the same version, other details)"],
        ),
    ],
)
def test_what_moved(before: str, after: str, said: list[str]) -> None:
    assert moved(parse_lock(before), parse_lock(after)) == said
