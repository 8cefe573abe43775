# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blanks of an inventory, each named once."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.plugin_utils import _blanks

STORE = "{{ undef(hint='beam_store: where releases live (beam.yml)') }}"
SECRET = '{{ vault_x | default(undef(hint="Put vault_x into vault.yml")) }}'


def test_only_what_may_be_blank_is_asked() -> None:
    asked: list[str] = []

    def is_defined(_host: str, text: str) -> bool:
        asked.append(text)
        return text == SECRET

    values = {
        "beam_store": STORE,
        "beam_env": {"A": SECRET, "B": "{{ lookup('pipe', 'date') }}", "C": ["x", STORE]},
        "number": 5,
    }
    found = _blanks.blanks({"h1": values, "h2": values}, is_defined)
    assert [(one.name, one.hosts) for one in found] == [("beam_store", ["h1", "h2"]), ("beam_env.C[1]", ["h1", "h2"])]
    assert set(asked) == {STORE, SECRET}


def test_what_another_host_has_is_no_blank() -> None:
    found = _blanks.blanks(
        {"build1": {"beam_env": {"A": SECRET}}, "app1": {"beam_env": {"A": "1"}}}, lambda _host, _text: False
    )
    assert found == []


def test_groups_and_the_message() -> None:
    found = _blanks.empty({"all": ["a"], "beam": [], "other": []}, {"beam": "put the servers there", "build": "one"})
    found += _blanks.blanks({"h": {"beam_store": STORE}}, lambda _host, _text: False)
    assert _blanks.message(found) == (
        "The inventory has 2 blanks that only you can fill in:\n  - the group beam: put the servers there.\n  - beam_store: where releases live (beam.yml)."
    )
    assert "1 blank that" in _blanks.message(found[:1])
