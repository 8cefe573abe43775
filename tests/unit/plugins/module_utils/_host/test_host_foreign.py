# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A base below a directory of somebody else, who could put a tree of his own in its place, is refused, whatever is asked of it."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _ours
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import main
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.files import refuse_foreign_root

from .conftest import Shelf, listing

ROOT = os.geteuid() == 0
STRANGER = 4321
RUNS: list[dict[str, t.Any]] = [
    {"version": "1.0.0"},
    {"version": "1.0.0", "state": "active"},
    {"state": "inactive"},
    {"version": "1.0.0", "state": "absent"},
]


@pytest.fixture(name="above")
def _above(shelf: Shelf) -> Path:
    """The directory that the base is in, which has a release already."""
    above = shelf.root / "above"
    above.mkdir(mode=0o755)
    shelf.base = str(above / "base")
    shelf.publish("1.0.0")
    shelf.install(version="1.0.0")
    return above


def refused(work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as error:
        work()
    assert error.value.code == "base_foreign", error.value.message
    return error.value


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("options", RUNS, ids=lambda options: options.get("state", "staged"))
def test_a_directory_that_everybody_may_write_to(
    options: dict[str, t.Any], check_mode: bool, above: Path, shelf: Shelf
) -> None:
    above.chmod(0o777)
    before = listing(shelf.base)
    error = refused(lambda: shelf.install(check_mode, **options))
    assert str(above) in error.what and "mode 0777" in error.why and "`chmod go-w %s`" % above in error.hint
    assert listing(shelf.base) == before
    above.chmod(0o1777)  # as /tmp is: nobody moves what is another's
    shelf.install(check_mode, **options)


def test_what_the_message_says_mends_it(above: Path, shelf: Shelf) -> None:
    above.chmod(0o777)
    command = refused(lambda: shelf.install(version="1.0.0", state="active")).hint.split("`")[1]
    assert os.waitstatus_to_exitcode(os.system(command)) == 0
    shelf.install(version="1.0.0", state="active")


@pytest.mark.skipif(not ROOT, reason="NOT TESTED: only root can give a directory to somebody else")
def test_a_directory_of_another_user(above: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    os.chown(above, STRANGER, -1)
    error = refused(lambda: shelf.install(version="1.0.0", state="active"))
    assert "id %d" % STRANGER in error.why and "`chown -h 0 %s`" % above in error.hint
    monkeypatch.setenv("SUDO_UID", str(STRANGER))  # who became root by sudo could do as much anyway
    shelf.install(version="1.0.0", state="active")
    # A base of his own is his; one that does not lie there yet is refused as well.
    monkeypatch.delenv("SUDO_UID")
    refused(lambda: shelf.install(version="1.0.0", base=str(above / "new" / "base")))
    assert not (above / "new").exists()


def test_a_link_on_the_way_leads_through_a_directory_of_others(above: Path, shelf: Shelf) -> None:
    link = shelf.root / "open" / "link"
    link.parent.mkdir()
    link.symlink_to(above)
    shelf.install(version="1.0.0", base=str(link / "base"))
    link.parent.chmod(0o777)
    assert str(link.parent) in refused(lambda: shelf.install(version="1.0.0", base=str(link / "base"))).what


def test_a_group_with_others_in_it(above: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    above.chmod(0o775)
    monkeypatch.setattr(_ours, "_others_of", lambda gid: "")
    shelf.install(version="1.0.0")
    monkeypatch.setattr(_ours, "_others_of", lambda gid: "the group of amy")
    assert "chmod g-w" in refused(lambda: shelf.install(version="1.0.0")).hint
    # The base itself may be a group's, as its lock file then is.
    above.chmod(0o755)
    os.chmod(shelf.base, 0o775)
    shelf.install(version="1.0.0", state="active")


def test_the_bootstrap_begins_nothing(above: Path) -> None:
    config = t.cast(t.Any, type("Config", (), {"base": str(above / "new"), "deadline": 5, "name": "demo"}))
    above.chmod(0o777)

    def work() -> None:
        with main._alone(config, t.cast(t.Any, None)):
            raise AssertionError

    refused(work)
    assert not (above / "new").exists()


@pytest.mark.parametrize("part", ["", "lib"])
def test_the_root_of_a_bundle_is_looked_at_with_its_way(part: str, tmp_path: Path) -> None:
    root = tmp_path / "above" / "lib"
    root.mkdir(parents=True)
    refuse_foreign_root(str(root))
    place = tmp_path / "above" / part
    place.chmod(0o777)
    error = refused(lambda: refuse_foreign_root(str(root)))
    assert error.details["place"] == str(place) and "`chmod go-w %s`" % place in error.hint
