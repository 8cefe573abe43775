# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A person's first hour: init in a checkout, the blanks that setup names, and then a deploy with what init has written (project_init, inventory_blanks)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_port

import playbooks

BEAM, ENV, HOSTS = "group_vars/all/beam.yml", "group_vars/all/env.yml", "inventory.yml"


class Person:
    def __init__(self, home: Path) -> None:
        self.project = home / "beacon"
        shutil.copytree(ROOT / "examples" / "beacon", self.project)
        self.inventory = self.project / "deploy"
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live"),
        }
        (self.project / ".gitignore").write_text("/_build/\n/deps/\n/deploy/\n")
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
            self.run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words)

    def run(self, *words: str, where: Path | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            words,
            cwd=where or self.project,
            env={**self.environment, "PWD": str(where or self.project)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout)
        assert (done.returncode != 0) == fails
        return done.stdout

    def play(self, name: str, *words: str, where: Path | None = None, fails: bool = False) -> str:
        where = where or self.project
        done = playbooks.run(
            ["ansible-playbook", "alchemist.beam." + name, *words], {**self.environment, "PWD": str(where)}, where
        )
        print(done.stdout)
        assert (done.returncode != 0) == fails
        return done.stdout

    def edit(self, file: str, *changes: tuple[str, str], more: str = "") -> None:
        path = self.inventory / file
        text = path.read_text()
        for pattern, new in changes:
            text, count = re.subn(pattern, new, text)
            assert count, pattern
        path.write_text(text + more)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Person]:
    one = Person(tmp_path_factory.mktemp("home"))
    yield one
    if (one.inventory / BEAM).exists() and "beam_manager" in (one.inventory / BEAM).read_text():
        one.play("stop", where=one.inventory)


def test_check_mode_writes_nothing(person: Person) -> None:
    said = person.play("init", "--check", "--diff")
    assert "would be written" in said and "+beam_name: beacon" in said and not person.inventory.exists()


def test_it_writes_an_inventory_that_ansible_reads(person: Person) -> None:
    said = person.play("init")
    assert "changed=1" in said and "group_vars/all/vault.yml" not in said
    listed = json.loads(person.run("ansible-inventory", "--host", "localhost", where=person.inventory))
    assert (
        listed["beam_name"] == "beacon"
        and listed["beam_env"]["PORT"] == "4000"
        and listed["beam_health"]["tcp"] == {"port": 4000}
    )


def test_again_nothing_changes(person: Person) -> None:
    assert "changed=0" in person.play("init") and "changed=0" in person.play("init", where=person.inventory)


def test_setup_names_each_blank(person: Person) -> None:
    said = person.play("setup", where=person.inventory, fails=True)
    blanks = re.findall(r"(?m)^ +- (.*)", said)
    assert [blank.partition(":")[0] for blank in blanks] == [
        "the group build",
        "the group beam",
        "beam_repo",
        "beam_store",
    ]
    assert "Make the servers ready" not in said and BEAM in blanks[-1]


def test_filled_in_it_deploys_and_serves(person: Person) -> None:
    home, port = person.environment["HOME"], free_port()
    local = (
        "\n    localhost: {ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'}\n"
    )
    person.edit(HOSTS, (r"    # build1.*\n", local), (r"    # app1.*\n", local))
    person.edit(ENV, ("4000", str(port)))
    person.edit(
        BEAM,
        (r'beam_store: ".*', "beam_store: file://%s/store" % home),
        (r'beam_repo: ".*', "beam_repo: %s" % person.project),
        (r"port: 4000", "port: %d" % port),
        more="beam_manager: daemon\nbeam_toolchain_method: prebuilt\nbeam_base: %s/srv\nbeam_build_dir: %s/build\n"
        % (home, home),
    )
    person.play("setup", where=person.inventory)
    said = person.play("deploy", where=person.inventory)
    assert "runs on 1 of 1 hosts" in said
    with urllib.request.urlopen("http://127.0.0.1:%d/health" % port, timeout=10) as answer:
        assert json.load(answer)["version"].startswith("0.1.0+g")


def test_what_a_person_changed_is_kept_and_the_difference_is_shown(person: Person) -> None:
    person.edit(ENV, more="  API_TOKEN: hush-hush\n")
    before = (person.inventory / BEAM).read_text()
    said = person.play("init", "--diff", where=person.inventory)
    assert "changed=0" in said and "changed by a person, and kept" in said and "-beam_manager: daemon" in said
    assert "hush-hush" not in said and (person.inventory / BEAM).read_text() == before
    said = person.play(
        "init",
        "-e",
        "beam_init_force=true",
        "-e",
        "beam_init_dest=" + str(person.project / "other"),
        where=person.inventory,
    )
    assert (person.inventory / BEAM).read_text() == before


def test_no_project(person: Person, tmp_path: Path) -> None:
    said = person.play("init", where=tmp_path, fails=True)
    assert "can't be read" in said and "beam_repo" in said and "Traceback" not in said
