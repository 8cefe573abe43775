# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release without ERTS (include_erts: false) is refused where it is staged, unless the server has the very Erlang that it was built with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import install
from ansible_collections.alchemist.beam.plugins.module_utils._host.search import Search

from .conftest import Shelf, listing

# As Mix writes it.
REL = """%% coding: utf-8
{release,{"demo","1.0.0"},
         {erts,"13.1.5"},
         [{kernel,"8.5.3",permanent},
          {demo,"1.0.0",permanent},
          {iex,"1.14.0",none}]}.
"""
TREE = {
    "": {
        "bin/demo": b"#!/bin/sh\n",
        "releases/start_erl.data": b"13.1.5 1.0.0",
        "releases/1.0.0/demo.rel": REL.encode(),
        "lib/demo-1.0.0/ebin/demo.beam": b"demo",
        "lib/iex-1.14.0/ebin/iex.beam": b"iex",
    },
}


class Server:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        monkeypatch.setattr(install, "search_of", lambda bases: Search((str(root / "none"), str(root / "bin"))))

    def erlang(self, erts: str = "13.1.5", kernel: str = "8.5.3") -> None:
        home = self.root / "usr/lib/erlang"
        for path in ("bin/erl", "erts-%s/bin/erlexec" % erts, "lib/kernel-%s/ebin/kernel.app" % kernel):
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text("")
            (home / path).chmod(0o755)
        (self.root / "bin").mkdir()
        os.symlink("../usr/lib/erlang/bin/erl", self.root / "bin/erl")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path / "server", monkeypatch)


def refused(shelf: Shelf, **options: object) -> BeamError:
    with pytest.raises(BeamError) as caught:
        shelf.install(version="1.0.0", **options)
    assert "include_erts: true" in caught.value.hint and "beam_abi_ignore: [erlang]" in caught.value.hint
    assert not os.path.exists(shelf.base + "/releases/1.0.0") and not os.path.exists(shelf.base + "/current")
    return caught.value


@pytest.mark.parametrize("check_mode", [True, False])
def test_no_erlang(shelf: Shelf, server: Server, check_mode: bool) -> None:
    shelf.publish("1.0.0", content=TREE)
    before = listing(shelf.base) if os.path.exists(shelf.base) else []
    error = refused(shelf, check_mode=check_mode)
    assert error.code == "erts_missing" and "there is no erl in %s" % (server.root / "none") in error.message
    assert (listing(shelf.base) if os.path.exists(shelf.base) else []) == before  # not even fetched
    assert shelf.install(version="1.0.0", abi_ignore=["erlang"])["changed"]


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"erts": "14.2"}, "built with erts-13.1.5, and {root}/bin/erl starts erts-14.2"),
        ({"kernel": "8.5.4"}, "has erts-13.1.5, but not kernel-8.5.3"),
    ],
)
def test_another_erlang(shelf: Shelf, server: Server, here: dict[str, str], said: str) -> None:
    shelf.publish("1.0.0", content=TREE)
    server.erlang(**here)
    error = refused(shelf)
    assert error.code == "erts_mismatch" and said.format(root=server.root) in error.message


def test_the_erlang_that_it_was_built_with(shelf: Shelf, server: Server) -> None:
    shelf.publish("1.0.0", content=TREE)
    server.erlang()
    assert shelf.install(version="1.0.0")["changed"]
    # It is gone when the release is to be activated.
    (server.root / "bin/erl").unlink()
    with pytest.raises(BeamError) as caught:
        shelf.install(version="1.0.0", state="active")
    assert caught.value.code == "erts_missing" and not os.path.exists(shelf.base + "/current")


def test_an_erlang_of_which_nothing_can_be_told(shelf: Shelf, server: Server) -> None:
    shelf.publish("1.0.0", content=TREE)
    (server.root / "bin").mkdir(parents=True)
    (server.root / "bin/erl").write_text("#!/bin/sh\nexec asdf exec erl\n")
    (server.root / "bin/erl").chmod(0o755)
    assert "can't be told" in refused(shelf).message


def test_a_release_that_brings_its_own_is_not_asked(shelf: Shelf, server: Server) -> None:
    shelf.publish("1.0.0")
    assert shelf.install(version="1.0.0", state="active")["changed"]
