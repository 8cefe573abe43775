# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application that runs as the owner of its releases (manager daemon) can't write through a hard link into a layer; and what is read-only goes away."""

from __future__ import annotations

import os
import tempfile
import traceback
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._host import install as install_module
from ansible_collections.alchemist.beam.plugins.module_utils._tree import remove_tree

from .conftest import Shelf, check_whole, tree

NOBODY = 65534
EMPTY = "releases/%s/lib/kernel-8.5/ebin/kernel.app"


def as_nobody(work: t.Callable[[Shelf], None]) -> None:
    """root may write whatever the mode says, so that what is tried here is tried by another user."""
    root = Path(tempfile.mkdtemp(prefix="beam-read-only-"))
    child = 0
    try:
        if os.geteuid() != 0:
            work(Shelf(root))
            return
        os.chown(root, NOBODY, NOBODY)
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                work(Shelf(root))
            except BaseException:  # pylint: disable=broad-exception-caught
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        remove_tree(str(root))


def lock(directory: str) -> None:
    for place, _names, _files in os.walk(directory):
        os.chmod(place, 0o555)


def test_a_file_of_a_release_can_t_be_written_and_may_be_replaced() -> None:
    def work(shelf: Shelf) -> None:
        old, new = shelf.publish("1.0.0"), shelf.publish("1.1.0")
        shelf.install(version="1.0.0", state="active")
        shelf.install(version="1.1.0")
        path = Path(shelf.base, EMPTY % "1.0.0")
        with pytest.raises(PermissionError):
            path.write_bytes(b"latest")
        # File.rename of something new over it is this release's affair alone.
        (path.parent / "new").write_bytes(b"latest")
        os.rename(path.parent / "new", path)
        check_whole(shelf.base, new)
        assert shelf.install(version="1.0.0", state="active")["damaged"] == [(EMPTY % "1.0.0").partition("1.0.0/")[2]]
        check_whole(shelf.base, old)
        assert not shelf.install(version="1.0.0", state="active")["changed"]

    as_nobody(work)


def test_layers_of_a_former_version_are_closed_when_they_are_used_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    old = shelf.publish("1.0.0")
    shelf.install(version="1.0.0", state="active")
    for path, file in old.files().items():
        os.chmod(os.path.join(shelf.base, "releases/1.0.0", path), file.mode)
    # Nothing of it is damaged, and nothing is fetched for it.
    assert not shelf.install(version="1.0.0", state="active")["changed"]
    shelf.publish("1.1.0")
    assert shelf.install(version="1.1.0")["layers"] == {"fetched": 1, "reused": 2}
    assert os.stat(os.path.join(shelf.base, EMPTY % "1.0.0")).st_mode & 0o777 == 0o444


def test_directories_that_are_read_only_are_mended_pruned_and_removed() -> None:
    def work(shelf: Shelf) -> None:
        old = shelf.publish("1.0.0")
        shelf.install(version="1.0.0", state="active")
        Path(shelf.base, EMPTY % "1.0.0").unlink()
        lock(shelf.base + "/releases/1.0.0")
        assert shelf.install(version="1.0.0", state="active")["damaged"]
        check_whole(shelf.base, old)
        for version in ("1.1.0", "1.2.0", "1.3.0"):
            shelf.publish(version)
            shelf.install(version=version, state="active", keep=1)
            lock(shelf.base + "/releases/" + version)
            lock(shelf.base + "/layers")
            os.chmod(shelf.base + "/layers", 0o755)
        assert sorted(os.listdir(shelf.base + "/releases")) == ["1.2.0", "1.3.0"]
        assert shelf.install(version="1.2.0", state="absent")["changed"]
        assert os.listdir(shelf.base + "/releases") == ["1.3.0"] and os.listdir(shelf.base + "/tmp") == []

    as_nobody(work)


@pytest.mark.parametrize("unit", [False, True])
def test_root_may_write_whatever_the_mode_says_and_reaches_no_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: bool
) -> None:
    """A node without a unit runs as whoever installs: what root writes into priv is its own release's. A unit has a user of its own, and links are cheap."""
    monkeypatch.setattr(install_module, "_may_write_all", lambda search: not unit)
    shelf = Shelf(tmp_path)
    priv = {"lib/tz-1.0": {"priv/latest.txt": b"old", "ebin/tz.beam": b"tz"}}
    for version in ("1.0.0", "1.1.0"):
        shelf.publish(version, content={**tree(version), **priv})
        shelf.install(version=version)
    latest = [Path(shelf.base, "releases", version, "lib/tz-1.0/priv/latest.txt") for version in ("1.0.0", "1.1.0")]
    assert (len({path.stat().st_ino for path in latest}) == 1) is unit
    assert len({(path.parents[1] / "ebin/tz.beam").stat().st_ino for path in latest}) == 1
    if not unit:
        latest[0].chmod(0o644)
        latest[0].write_bytes(b"new")
        assert latest[1].read_bytes() == b"old"
        assert (
            shelf.install(version="1.0.0", verify=True)["damaged"] == ["lib/tz-1.0/priv/latest.txt"]
            and latest[0].read_bytes() == b"old"
        )
