# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What setup says of SELinux. No host of the tests has it: the files of such a host stand in for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._host.selinux import _type, advice


def host(root: Path, enforce: str, *directories: str) -> str:
    for directory in directories:
        (root / directory).mkdir(parents=True)
    if enforce:
        (root / "sys/fs/selinux").mkdir(parents=True)
        (root / "sys/fs/selinux/enforce").write_text(enforce)
    return str(root)


@pytest.mark.parametrize(
    ("enforce", "directories", "types", "said"),
    [
        ("", ["srv"], {"srv": "var_t"}, ""),
        ("0", ["srv"], {"srv": "var_t"}, ""),
        ("1", ["srv"], {"srv": "var_t"}, "/srv has the type var_t"),
        ("1", ["srv/shop"], {"srv/shop": "var_t"}, "/srv/shop has the type var_t"),
        (
            "1",
            ["srv/shop/releases", "srv/shop/tmp"],
            {"srv/shop/releases": "bin_t", "srv/shop/tmp": "var_t"},
            "/srv/shop/tmp has the type var_t",
        ),
        ("1", ["srv/shop/releases", "srv/shop/tmp"], {"srv/shop/releases": "bin_t", "srv/shop/tmp": "bin_t"}, ""),
        ("1", ["srv"], {}, "/srv has the type of nobody"),
    ],
)
def test_setup_says_what_systemd_may_not_execute(
    tmp_path: Path, enforce: str, directories: list[str], types: dict[str, str], said: str
) -> None:
    root = host(tmp_path, enforce, *directories)
    found = advice("/srv/shop", root, lambda path: types.get(str(Path(path).relative_to(tmp_path)), ""))
    assert len(found) == bool(said)
    if said:
        assert (
            said in found[0]
            and "semanage fcontext -a -t bin_t '/srv/shop/(layers|releases|tmp)(/.*)?' && restorecon -R /srv/shop"
            in found[0]
        )


def test_a_file_without_a_label(tmp_path: Path) -> None:
    assert _type(str(tmp_path / "none")) == ""
