# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release a process runs whose code may have been replaced."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import replaced
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Status
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess


class Node:
    """Says where its code comes from, and counts who asks."""

    def __init__(self, patch: pytest.MonkeyPatch, *paths: str) -> None:
        self.paths: t.Any = [[ord(char) for char in path] for path in paths]
        self.asked = 0
        patch.setattr(replaced, "connect", self.connect)

    @contextlib.contextmanager
    def connect(self, _process: NodeProcess, _timeout: float) -> t.Iterator[Node]:
        self.asked += 1
        if not self.paths:
            raise BeamError("node_down", "it is down")
        yield self

    def call(self, *_call: t.Any, timeout: float) -> t.Any:
        return self.paths


def process(base: Path, ticks: int = 7) -> NodeProcess:
    return NodeProcess(10, ticks, True, str(base / "releases" / "1.0.0"), "1.0.0", "shop@here")


def test_only_who_was_upgraded_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, str(tmp_path / "releases/1.1.0/lib/shop-1.1.0/ebin"), "/usr/lib/erlang", ".")
    old = process(tmp_path)
    assert replaced.as_it_runs(str(tmp_path), "current", old) == old and node.asked == 0
    replaced.remember(str(tmp_path), "current", old)
    found = replaced.status_as_it_runs(str(tmp_path), "current", Status(old, "active")).process
    assert found and (found.version, found.root, found.booted) == ("1.1.0", str(tmp_path / "releases/1.1.0"), "1.0.0")
    assert found.facts()["upgraded_from"] == "1.0.0" and found.identity == old.identity and node.asked == 1
    # The next process under the same pid, and the node of another pointer, are other nodes.
    assert replaced.as_it_runs(str(tmp_path), "current", process(tmp_path, 8)).version == "1.0.0"
    assert replaced.as_it_runs(str(tmp_path), "blue", old).version == "1.0.0" and node.asked == 1
    assert replaced.status_as_it_runs(str(tmp_path), "current", Status(None, "failed")).process is None


@pytest.mark.parametrize("releases", [(), ("1.0.0",), ("1.0.0", "1.1.0")], ids=["silent", "as booted", "two at once"])
def test_who_does_not_say_runs_what_it_was_booted_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, releases: tuple[str, ...]
) -> None:
    Node(monkeypatch, *(str(tmp_path / "releases" / one / "lib/shop/ebin") for one in releases))
    replaced.remember(str(tmp_path), "current", process(tmp_path))
    found = replaced.as_it_runs(str(tmp_path), "current", process(tmp_path))
    assert found.version == "1.0.0" and "upgraded_from" not in found.facts()


def test_what_cannot_be_noted_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(BeamError) as caught:
        replaced.remember(str(tmp_path / "gone"), "current", process(tmp_path))
    assert caught.value.code == "upgrade_not_noted" and "Nothing was touched" in caught.value.hint
