# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is different between two releases."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.difference import applications, difference
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File, Layer, Manifest, Provenance


def made(version: str, files: t.Mapping[str, str], size: int = 10, **provenance: t.Any) -> Manifest:
    """A layer for each file: its content is one letter."""
    layers = [Layer(letter * 64, size, "", (File(path, 0o644, 1, letter * 64),)) for path, letter in files.items()]
    return Manifest("shop", version, t.cast(Abi, None), Provenance(**provenance), tuple(layers))


OLD = {
    "erts-13.1/bin/beam.smp": "a",
    "lib/shop-1.0.0/ebin/a.beam": "b",
    "lib/shop-1.0.0/ebin/gone.beam": "c",
    "lib/jason-1.4.0/ebin/j.beam": "d",
    "lib/left-2.0/ebin/l.beam": "e",
    "releases/1.0.0/sys.config": "f",
}
NEW = {
    "erts-13.1/bin/beam.smp": "a",
    "lib/shop-1.1.0/ebin/a.beam": "b",
    "lib/shop-1.1.0/ebin/new.beam": "0",
    "lib/jason-1.4.0/ebin/j.beam": "1",
    "lib/right-3.0/ebin/r.beam": "2",
    "releases/1.1.0/sys.config": "f",
}


def test_what_leads_from_one_to_the_other() -> None:
    found = difference(
        made("1.0.0", OLD, git_sha="old", elixir="1.14"), made("1.1.0", NEW, git_sha="new", elixir="1.15")
    )
    assert found["applications"] == {
        "added": {"right": "3.0"},
        "removed": {"left": "2.0"},
        "moved": {"shop": ["1.0.0", "1.1.0"]},
        "same_version": ["jason"],
    }
    assert found["files"]["added"] == ["lib/right/ebin/r.beam", "lib/shop/ebin/new.beam"]
    assert found["files"]["removed"] == ["lib/left/ebin/l.beam", "lib/shop/ebin/gone.beam"]
    assert found["files"]["changed"] == ["lib/jason/ebin/j.beam"]
    assert found["files"]["counts"] == {"added": 2, "removed": 2, "changed": 1}
    # Only the layers that the former one has not.
    assert found["fetched"] == 30 and found["erts"] == ["13.1", "13.1"]
    assert found["commits"] == ["old", "new"] and found["built_with"] == {"elixir": ["1.14", "1.15"]}


def test_the_same_is_no_difference() -> None:
    found = difference(made("1.0.0", OLD), made("1.0.0", OLD))
    assert found["fetched"] == 0 and found["built_with"] == {} and set(found["files"]["counts"].values()) == {0}
    assert not any(found["applications"].values())


def test_a_release_without_erts_and_a_mode() -> None:
    without = {path: letter for path, letter in OLD.items() if not path.startswith("erts")}
    assert difference(made("1.0.0", OLD), made("1.0.0", without))["erts"] == ["13.1", ""]
    assert applications(made("1.0.0", OLD)) == {"shop": "1.0.0", "jason": "1.4.0", "left": "2.0"}
