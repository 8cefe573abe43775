# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new cookie: for the node first, then for its files; and from wherever an earlier run was cut."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import dist
from ansible_collections.alchemist.beam.plugins.module_utils._node.cookie import Rotation, check_cookie, rotate
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Status
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess

OLD, NEW = "old-cookie-1", "new-cookie-2"


class Node:
    """A node that runs: what it is asked, and the cookie that it has."""

    def __init__(self, cookie: str = OLD, takes: bool = True) -> None:
        self.cookie, self.takes, self.asked = cookie, takes, ""

    def connect(self, process: NodeProcess, _timeout: float) -> t.Any:
        if process.cookie() != self.cookie:
            raise dist.WrongCookie("node_wrong_cookie", "no", "another one")
        return self

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def call(self, _module: str, function: str, *args: t.Any) -> t.Any:
        self.asked += function + " "
        if function == "set_cookie" and self.takes:
            self.cookie = str(args[1])
        return {"nodes": ["b@h", "a@h"], "node": "n@h"}.get(function, True)


class Site:
    def __init__(self, base: Path, runs: bool = True, **more: t.Any) -> None:
        self.daemon = Daemon(str(base), "shop")
        Path(self.daemon.run_dir).mkdir(parents=True)
        self.home = Path(self.daemon.run_dir) / ".erlang.cookie"
        self.env = Path(self.daemon.env_file)
        self.kept = base / "shared" / "shop.cookie"
        for path, text in ((self.home, OLD), (self.kept, OLD), (self.env, "A=1\nRELEASE_COOKIE='%s'\nB=2\n" % OLD)):
            path.write_text(text)
            path.chmod(0o600)
            os.utime(path, (5, 5))
        given = {"distribution": "name", "node": "n@h", "cookie_file": str(self.home), **more}
        self.process = NodeProcess(pid=1, ticks=1, **given) if runs else None

    def rotate(self, node: Node, **more: t.Any) -> dict[str, t.Any]:
        self.daemon.status = lambda: Status(self.process, "running")  # type: ignore[method-assign]
        return rotate({"current": self.daemon}, Rotation(**{"new": NEW, "connect": node.connect, **more}))

    def files(self) -> list[str]:
        return [self.home.read_text(), self.kept.read_text(), self.env.read_text()]


WRITTEN = [NEW, NEW, "A=1\nRELEASE_COOKIE='%s'\nB=2\n" % NEW]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_node_is_given_it_and_then_the_files_are_written(site: Site) -> None:
    node, before = Node(), site.files()
    told = site.rotate(node, check_mode=True)
    assert told["changed"] and node.cookie == OLD and site.files() == before
    found = site.rotate(node)
    assert found["changed"] and node.cookie == NEW and site.files() == WRITTEN
    assert found["nodes"] == [{"pointer": "current", "node": "n@h", "had": "old", "connected": ["a@h", "b@h"]}]
    # As old as they were, so that nothing restarts a node for it; and for nobody else to read.
    assert {(path.stat().st_mtime, path.stat().st_mode & 0o777) for path in (site.home, site.env)} == {(5, 0o600)}
    again = site.rotate(node)
    assert not again["changed"] and again["files"] == [] and again["nodes"][0]["had"] == "new"
    assert NEW not in str(found) and OLD not in str(found) and NEW not in repr(Rotation(NEW))


def test_a_run_that_was_cut_after_the_node_had_it_is_finished(site: Site) -> None:
    found = site.rotate(Node(NEW))
    assert found["changed"] and found["nodes"][0]["had"] == "new" and site.files() == WRITTEN


def test_where_only_the_file_is_new_the_former_one_has_to_be_said(site: Site) -> None:
    site.home.write_text(NEW)
    with pytest.raises(BeamError) as caught:
        site.rotate(Node())
    assert caught.value.code == "cookie_unknown" and "beam_cookie_former" in caught.value.hint
    node = Node()
    assert site.rotate(node, former=OLD)["nodes"][0]["had"] == "old" and node.cookie == NEW


def test_a_node_that_does_not_take_it_leaves_the_files(site: Site) -> None:
    before = site.files()
    with pytest.raises(dist.WrongCookie):
        site.rotate(Node(takes=False))
    assert site.files() == before


def test_a_node_that_does_not_run_gets_it_at_its_start(tmp_path: Path) -> None:
    site = Site(tmp_path, runs=False)
    found = site.rotate(Node())
    assert found["nodes"] == [] and found["changed"] and site.files() == WRITTEN
    site.env.write_text("A=1\n")
    site.rotate(Node())
    assert site.env.read_text() == "A=1\nRELEASE_COOKIE='%s'\n" % NEW
    for path in (site.home, site.kept, site.env):
        path.unlink()
    with pytest.raises(BeamError) as caught:
        site.rotate(Node())
    assert caught.value.code == "cookie_nowhere"


def test_what_is_not_ours_to_replace(tmp_path: Path) -> None:
    seen = Site(tmp_path / "a", cookie_file="", argv_cookie=OLD)
    with pytest.raises(BeamError) as caught:
        seen.rotate(Node())
    assert caught.value.code == "cookie_in_argv" and OLD not in caught.value.message
    alone = Site(tmp_path / "b", distribution="none")
    node = Node()
    assert alone.rotate(node)["nodes"][0]["had"] is None and node.asked == "" and alone.files() == WRITTEN
    planted = Site(tmp_path / "c", runs=False)
    planted.home.unlink()
    planted.home.symlink_to("/etc/hostname")
    with pytest.raises(BeamError) as denied:
        planted.rotate(Node())
    assert denied.value.code == "cookie_denied"


@pytest.mark.parametrize(
    "text", ["", "short", "unused", "with blank 1", "quote'quote", "dollar$HOME", "x" * 256, "a\nb\nc\nd\ne"]
)
def test_a_cookie_that_can_not_be_used(text: str) -> None:
    with pytest.raises(BeamError) as caught:
        check_cookie(text)
    assert caught.value.code == "cookie_invalid" and (not text or text not in caught.value.message)
