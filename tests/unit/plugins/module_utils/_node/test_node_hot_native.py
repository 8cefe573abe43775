# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Native libraries that a node has loaded, against those of a release: real directories, and a /proc that the test writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.native import libraries, others


class Disk:
    def __init__(self, where: Path) -> None:
        self.base = where / "srv" / "shop"
        self.proc = where / "proc"
        (self.base / "releases").mkdir(parents=True)
        (self.proc / "7").mkdir(parents=True)

    def file(self, path: str, content: str = "code") -> str:
        file = self.base / "releases" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return str(file)

    def maps(self, *paths: str) -> None:
        lines = ["7f4c0000-7f4d0000 r-xp 00000000 fe:00 %d    %s" % (index, path) for index, path in enumerate(paths)]
        (self.proc / "7" / "maps").write_text("\n".join(["7ffc0000-7ffd0000 rw-p 00000000 00:00 0", *lines]) + "\n")

    def loaded(self) -> tuple[str, ...]:
        return libraries(7, str(self.base), str(self.proc))

    def others(self) -> tuple[str, ...]:
        return others(self.loaded(), str(self.base), str(self.base / "releases" / "1.1.0"))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_only_what_came_from_a_release_counts(disk: Disk) -> None:
    ours = disk.file("1.0.0/lib/shop-1.0.0/priv/shop nif.so")
    numbered = disk.file("1.0.0/lib/db-2.0/priv/libdb.so.3")
    code = disk.file("1.0.0/lib/shop-1.0.0/ebin/shop.beam")
    disk.maps("/usr/lib/x86_64-linux-gnu/libc.so.6", ours, ours, code, "[heap]", numbered)
    assert disk.loaded() == tuple(sorted((ours, numbered)))


def test_a_process_that_may_not_be_looked_into(disk: Disk) -> None:
    with pytest.raises(BeamError) as caught:
        disk.loaded()
    assert caught.value.code == "node_denied"


def test_the_same_bytes_in_an_application_of_another_version(disk: Disk) -> None:
    disk.maps(disk.file("1.0.0/lib/shop-1.0.0/priv/nif.so"), disk.file("1.0.0/lib/shop_db-1.0.0/priv/nif.so", "db"))
    disk.file("1.1.0/lib/shop-1.1.0/priv/nif.so")
    disk.file("1.1.0/lib/shop_db-1.0.0/priv/nif.so", "db")
    assert disk.others() == ()


def test_other_bytes_and_what_is_no_longer_there(disk: Disk) -> None:
    disk.maps(disk.file("1.0.0/lib/shop-1.0.0/priv/nif.so"), disk.file("1.0.0/lib/db-2.0/priv/gone.so"))
    disk.file("1.1.0/lib/shop-1.1.0/priv/nif.so", "codE")
    disk.file("1.1.0/lib/db-2.0/priv/new.so")
    assert disk.others() == ("db/priv/gone.so", "shop/priv/nif.so")


def test_one_that_was_removed_from_the_disk_is_taken_for_another(disk: Disk) -> None:
    disk.maps(str(disk.base / "releases" / "0.9.0/lib/shop-0.9.0/priv/nif.so (deleted)"))
    disk.file("1.1.0/lib/shop-1.1.0/priv/nif.so")
    assert disk.others() == ("shop/priv/nif.so",)


def test_directories_without_a_version_and_outside_of_lib(disk: Disk) -> None:
    disk.maps(disk.file("1.0.0/lib/shop/priv/nif.so"), disk.file("1.0.0/erts-13.1/lib/x.so"))
    assert disk.others() == ("shop/priv/nif.so",)
