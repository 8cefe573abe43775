# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a playbook of this collection shows: what changed, what is told and what went wrong, and nothing of what did not happen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.plugin_utils import _screen
from ansible_collections.alchemist.beam.plugins.plugin_utils._screen import Screen, is_noise

LIVE = Path(_screen.__file__).parents[4]
TASK = "alchemist.beam.build : Build"


def test_what_changed_is_one_line_for_all_hosts() -> None:
    screen = Screen()
    assert screen.ok("a", TASK, "x", {"changed": True}) == [] == screen.ok("b", TASK, "x", {"changed": True})
    assert screen.ok("a", "Other", "x", {"changed": True}) == ["changed: Build (a, b)"]
    assert screen.changed() == ["changed: Other (a)"] and screen.changed() == []
    assert screen.ok("a", TASK, "x", {"changed": False}) == [] == screen.changed()


def test_what_may_take_minutes_says_that_it_began() -> None:
    screen = Screen()
    assert screen.begins("a", TASK, "alchemist.beam.mix_release", "1") == ["a | Build"]
    assert (
        screen.begins("b", TASK, "alchemist.beam.mix_release", "1")
        == []
        == screen.begins("a", "See", "alchemist.beam.beam_info", "2")
    )


def test_the_machinery_and_what_was_told_when_it_began_needs_no_line() -> None:
    screen = Screen()
    screen.ok("a", "Note", "alchemist.beam.rollout_journal", {"changed": True})
    screen.ok("a", "Restart", "alchemist.beam.beam_restart", {"changed": True}, step=True)
    screen.ok(
        "a", "Begin", "alchemist.beam.rollout_fleet", {"changed": True, "machinery": True, "channel": {}}, step=True
    )
    assert screen.changed() == []
    screen.ok("a", "Roll the channel back", "alchemist.beam.rollout_fleet", {"changed": True, "channel": {}}, step=True)
    assert screen.changed() == ["changed: Roll the channel back (a)"]


def test_what_is_told_is_told_line_by_line_and_after_what_changed_before_it() -> None:
    screen = Screen()
    screen.ok("a", TASK, "x", {"changed": True})
    assert screen.ok("a", "Show", "ansible.builtin.debug", {"msg": ["one", "two"]}) == [
        "changed: Build (a)",
        "one",
        "two",
    ]
    assert screen.ok("a", "Show", "ansible.builtin.debug", {"msg": "a\nb"}) == ["a", "b"]
    assert screen.ok(
        "a", "Show", "ansible.builtin.debug", {"x": 1, "_ansible_verbose_always": True, "changed": False}
    ) == ["x: 1"]


def test_a_failure_is_its_message_and_no_document() -> None:
    screen = Screen()
    assert screen.failed("a", TASK, {"msg": "it broke.\nHere.", "error": {"code": "x"}}) == [
        "failed: [a] Build: it broke.",
        "    Here.",
    ]
    found = screen.failed("a", TASK, {"msg": "non-zero return code", "stderr": "no such file"})
    assert found == ["failed: [a] Build: non-zero return code", "    no such file"]
    assert screen.failed("a", TASK, {"results": [{"failed": False}, {"failed": True, "msg": "the second"}]}) == [
        "failed: [a] Build: the second"
    ]
    assert screen.failed("a", TASK, {}, True) == ["ignored: [a] Build: without a message"]
    # The verdict stands below the table already.
    screen.ok("a", "Show", "ansible.builtin.debug", {"msg": ["table", "It was not rolled out."]})
    assert screen.failed("a", "Fail the rollout", {"msg": "It was not rolled out."}) == ["failed: [a] Fail the rollout"]


def test_which_python_was_found_is_no_news() -> None:
    assert is_noise(
        "Host 'h1' is using the discovered Python interpreter at '/usr/bin/python3.11', but future installation …"
    )
    assert not is_noise("nothing here reads the variable image_tag: it is ignored")


def play(directory: Path, *words: str, **env: str) -> tuple[int, str]:
    hosts = {host: {"ansible_connection": "local"} for host in ("a", "b")}
    variables = {"beam_name": "shop", "beam_store": "file:///nowhere", "beam_heatlh": {}}
    (directory / "inventory.json").write_text(json.dumps({"all": {"vars": variables}, "beam": {"hosts": hosts}}))
    given = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", *words],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**given, "ANSIBLE_COLLECTIONS_PATH": str(LIVE), "ANSIBLE_LOCAL_TEMP": str(directory), **env},
    )
    return done.returncode, done.stdout


def test_a_playbook_of_this_collection_is_quiet_by_itself(tmp_path: Path) -> None:
    code, said = play(tmp_path, "alchemist.beam.stop")
    lines = [line for line in said.splitlines() if line]
    assert (
        code == 2
        and len(lines) == 3
        and lines[0].startswith("failed: [a] Check the settings: Nothing reads these variables")
    ), said
    assert "TASK" not in said and "PLAY RECAP" in said


@pytest.mark.parametrize(("words", "env"), [(["-v"], {}), ([], {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"})])
def test_it_is_as_ever_for_who_wants_the_rest_or_another_callback(
    tmp_path: Path, words: list[str], env: dict[str, str]
) -> None:
    code, said = play(tmp_path, "alchemist.beam.stop", *words, **env)
    assert (
        code == 2
        and "TASK [Check the settings]" in said
        and "fatal: [a]: FAILED!" in said
        and "Skipping plugin" not in said
    )


def test_plays_of_others_look_as_ever(tmp_path: Path) -> None:
    mine = {
        "name": "Mine",
        "hosts": "beam",
        "gather_facts": False,
        "tasks": [{"name": "Say it", "ansible.builtin.debug": {"msg": "hello"}}],
    }
    (tmp_path / "site.yml").write_text(
        json.dumps([mine, {"name": "Stop", "ansible.builtin.import_playbook": "alchemist.beam.stop"}])
    )
    code, said = play(tmp_path, "site.yml")
    assert code == 2 and "TASK [Say it]" in said and "ok: [a] => {" in said and "PLAY [Stop the nodes]" not in said
    assert "failed: [a] Check the settings: Nothing reads these variables" in said
