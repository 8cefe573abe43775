# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of a build that somebody else may write to are refused, with all that is on the way to them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _ours as ours
from ansible_collections.alchemist.beam.plugins.module_utils._build.build import run_build
from ansible_collections.alchemist.beam.plugins.module_utils._build.ours import refuse_foreign
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import make_request
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

OPTION = "build_dir"
DEFAULTS: dict[str, t.Any] = {"mix_env": "prod", "deps": "locked", "timeout": 60, "keep": 5, "force": False, "allow_dirty": False}


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> t.Iterator[Path]:
    place = tmp_path / "way" / "out"
    place.mkdir(parents=True)
    for path in (place, place.parent):
        path.chmod(0o755)
    yield place
    for path in (place.parent, place):
        path.chmod(0o755)


def refused(path: Path) -> BeamError:
    with pytest.raises(BeamError) as caught:
        refuse_foreign(str(path), OPTION)
    assert caught.value.code == "build_dir_foreign" and OPTION in caught.value.hint
    return caught.value


def test_ours_is_taken_whether_it_is_there_or_not(place: Path) -> None:
    refuse_foreign(str(place), OPTION)
    refuse_foreign(str(place / "not" / "yet"), OPTION)
    place.chmod(0o700)
    refuse_foreign(str(place), OPTION)


@pytest.mark.parametrize("which", ["out", "way"])
def test_what_everybody_may_write_to(place: Path, which: str) -> None:
    open_to_all = place if which == "out" else place.parent
    open_to_all.chmod(0o777)
    error = refused(place / "more")
    assert str(open_to_all) in error.what and "mode 0777" in error.why
    # As /tmp is: nobody moves what is another's.
    open_to_all.chmod(0o1777)
    refuse_foreign(str(place / "more"), OPTION)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("which", ["out", "way", "link"])
def test_what_belongs_to_another_user(place: Path, which: str) -> None:
    link = place.parent / "link"
    link.symlink_to(place)
    os.chown({"out": place, "way": place.parent, "link": link}[which], 4321, 4321, follow_symlinks=False)
    assert "user with the id 4321" in refused(link).why
    if which == "link":
        refuse_foreign(str(place), OPTION)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_who_became_root_is_no_other(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(place, 4321, 4321)
    refused(place)
    monkeypatch.setenv("SUDO_UID", "4321")
    refuse_foreign(str(place), OPTION)


def test_where_a_link_leads_to_counts(place: Path) -> None:
    away = place.parent.parent / "away"
    (away / "in").mkdir(parents=True)
    (place / "link").symlink_to("../../away/in")
    refuse_foreign(str(place / "link" / "x"), OPTION)
    away.chmod(0o777)
    assert str(away) in refused(place / "link" / "x").what
    (place / "round").symlink_to("round")
    refuse_foreign(str(place / "round" / "x"), OPTION)  # it leads nowhere, and opening it will say so


def test_a_group_of_ones_own_is_no_other(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.chmod(0o2775)
    monkeypatch.setattr(ours, "_others_of", lambda gid: "")
    refuse_foreign(str(place), OPTION)
    monkeypatch.setattr(ours, "_others_of", lambda gid: "the group of amy")
    assert "the group of amy may write to it" in refused(place).why
    monkeypatch.setattr(ours, "_others_of", lambda gid: "")
    monkeypatch.setattr(ours, "_has_acl", lambda place: True)
    assert "access control list" in refused(place).why


def test_the_group_of_root_has_nobody_else_in_it() -> None:
    assert isinstance(ours._others_of(os.getegid()), str)


def test_a_build_is_refused_before_anything_is_done(place: Path) -> None:
    place.chmod(0o777)
    with pytest.raises(BeamError, match="everybody may write to it") as caught:
        run_build(make_request({**DEFAULTS, "project_dir": str(place / "app"), "repo": "https://127.0.0.1:1/x", "build_dir": str(place.parent / "b")}, {}))
    assert caught.value.code == "build_dir_foreign" and "beam_build_dir" in caught.value.hint and not (place / "app").exists()
