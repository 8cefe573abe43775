# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New settings of a node: into place, back, and what a run that was cut leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.settings import run_settings

OURS = "# Copyright (c) 2026, alchemist.beam contributors\n"


class Place:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "env"
        self.next, self.former = directory / "env.next", directory / "env.former"

    def have(self, text: str) -> None:
        self.path.write_text(OURS + text)
        self.path.chmod(0o600)

    def stage(self, text: str) -> None:
        self.next.write_text(OURS + text)
        self.next.chmod(0o600)

    def do(self, state: str, check_mode: bool = False) -> bool:
        found = run_settings([str(self.path), str(self.path)], state, check_mode)
        assert found["files"] in ([], [str(self.path)])
        return bool(found["changed"])

    def text(self) -> str:
        return self.path.read_text()[len(OURS) :]

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path.parent))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_into_place_and_settled(place: Place) -> None:
    place.have("A='1'\n")
    os.utime(place.path, (1, 1))
    place.stage("A='2'\n")
    assert place.do("applied", check_mode=True) and place.text() == "A='1'\n" and place.next.exists()
    assert place.do("applied") and place.text() == "A='2'\n"
    # A node that was started before it has to see that it is new.
    assert place.path.stat().st_mtime > time.time() - 60
    assert place.names() == ["env", "env.former"]
    assert {os.stat(one).st_mode & 0o777 for one in (place.path, place.former)} == {0o600}
    assert not place.do("applied") and not place.do("settled")
    assert place.names() == ["env"] and place.text() == "A='2'\n"


def test_back_again(place: Place) -> None:
    place.have("A='1'\n# mine\n")
    place.stage("B='2'\n")
    place.do("applied")
    assert place.do("returned", check_mode=True) and place.text() == "B='2'\n"
    assert place.do("returned") and place.text() == "A='1'\n# mine\n" and place.names() == ["env"]
    assert not place.do("returned")


def test_there_was_no_file(place: Place) -> None:
    place.stage("A='1'\n")
    assert place.do("applied") and place.text() == "A='1'\n"
    assert place.do("returned") and place.names() == []


def test_what_is_the_same_is_left_alone(place: Place) -> None:
    place.have("A='1'\n")
    os.utime(place.path, (1, 1))
    place.stage('# another comment\nA="1"\n')
    assert not place.do("applied") and place.path.stat().st_mtime == 1 and place.names() == ["env"]


def test_after_a_run_that_was_cut_the_way_back_leads_to_what_was_proven(place: Place) -> None:
    place.have("A='1'\n")
    for again in ("2", "3"):
        place.stage("A='%s'\n" % again)
        place.do("applied")
    place.do("returned")
    assert place.text() == "A='1'\n"


def test_settings_of_somebody_else_are_not_taken_back(place: Place) -> None:
    place.have("A='1'\n")
    place.stage("A='2'\n")
    place.do("applied")
    place.have("A='setup'\n")
    assert not place.do("returned") and place.text() == "A='setup'\n"
    # And they are what the next change goes back to.
    place.stage("A='3'\n")
    place.do("applied")
    place.do("returned")
    assert place.text() == "A='setup'\n"


def test_what_was_staged_in_vain_goes(place: Place) -> None:
    place.have("A='1'\n")
    place.stage("A='2'\n")
    assert not place.do("unstaged", check_mode=True) and place.next.exists()
    place.do("unstaged")
    assert place.names() == ["env"]


def test_a_link_and_a_directory_are_refused(place: Place) -> None:
    place.have("A='1'\n")
    place.next.symlink_to("/etc/passwd")
    with pytest.raises(BeamError) as caught:
        place.do("applied")
    assert caught.value.code == "settings_denied" and "A='1'" in place.text()
    place.next.unlink()
    place.next.mkdir()
    with pytest.raises(BeamError) as strange:
        place.do("applied")
    assert strange.value.code == "settings_strange" and "no regular file" in strange.value.why
