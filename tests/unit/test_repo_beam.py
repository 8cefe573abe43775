# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `beam`: it runs ansible-playbook with what it was given, shows that, and refuses what can't be run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEAM = ROOT / "scripts" / "beam"
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


class Shell:
    """A directory with an ansible-playbook that tells its arguments, and nothing else of Ansible."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.tools = where / "tools"
        self.tools.mkdir()
        fake = self.tools / "ansible-playbook"
        fake.write_text('#!/bin/sh\nprintf "[%s]\\n" "$@"\nexit 7\n')
        fake.chmod(0o755)
        (where / "ansible.cfg").write_text("")

    def run(self, *words: str, path: str = "", beam: Path = BEAM) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "%s:/usr/bin:/bin" % (path or self.tools), "HOME": str(self.where)}
        return subprocess.run(
            [str(beam), *words], cwd=self.where, env=env, capture_output=True, text=True, check=False, timeout=30
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_it_runs_what_it_shows_and_passes_all_of_it_on(shell: Shell) -> None:
    done = shell.run("rpc", "-i", "my hosts.yml", "-e", "beam_expression=IO.puts('a')", "--limit", "h1,h2", "-vv", "")
    words = ["alchemist.beam.rpc", "-i", "my hosts.yml", "-e", "beam_expression=IO.puts('a')", "--limit", "h1,h2"]
    assert done.stdout == "".join("[%s]\n" % word for word in [*words, "-vv", ""]) and done.returncode == 7
    shown = done.stderr.removeprefix("+ ")
    assert "-i 'my hosts.yml'" in shown and shown.endswith("--limit h1,h2 -vv ''\n")
    # What is shown is what a shell runs.
    env = {"PATH": "%s:/usr/bin:/bin" % shell.tools}
    again = subprocess.run(["sh", "-c", shown], env=env, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout


def test_every_playbook_is_a_command_and_is_told(shell: Shell) -> None:
    told = shell.run("help")
    assert (
        told.returncode == 0 and [line.split()[0] for line in told.stdout.splitlines() if line[:2] == "  "] == PLAYBOOKS
    )
    assert all(len(line.split(maxsplit=1)) == 2 for line in told.stdout.splitlines() if line[:2] == "  ")
    nothing = shell.run()
    assert nothing.returncode == 2 and nothing.stdout == "" and nothing.stderr == told.stdout
    assert shell.run("alchemist.beam.status").stdout == "[alchemist.beam.status]\n"


@pytest.mark.parametrize("word", ["reboot", "ping.yml", "../playbooks/ping", "p*", "-i"])
def test_what_is_no_command(shell: Shell, word: str) -> None:
    done = shell.run(word, "inventory.yml")
    assert done.returncode == 2 and done.stdout == ""
    assert "the command comes first" in done.stderr if word == "-i" else "there is no command %s" % word in done.stderr


def test_without_an_inventory_it_says_so(shell: Shell) -> None:
    (shell.where / "ansible.cfg").unlink()
    if any(os.path.exists("/etc/ansible/" + name) for name in ("hosts", "ansible.cfg")):
        pytest.skip("this machine has an inventory of its own")
    done = shell.run("status")
    assert done.returncode == 2 and "there is no inventory. Give -i FILE" in done.stderr and done.stdout == ""
    assert [shell.run("status", *words).returncode for words in (["-i", "x"], ["-ix"], ["--inventory=x"])] == [7, 7, 7]
    assert shell.run("init").returncode == 7


def test_without_ansible_it_says_so(shell: Shell, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for tool in ("sh", "basename", "dirname", "readlink", "grep", "tr", "sed"):
        (empty / tool).symlink_to(
            next(path for path in (Path("/usr/bin") / tool, Path("/bin") / tool) if path.exists())
        )
    env = {"PATH": str(empty), "HOME": str(tmp_path)}
    done = subprocess.run([str(BEAM), "status"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "ansible-playbook is not in PATH" in done.stderr


def test_it_may_be_a_link(shell: Shell) -> None:
    link = shell.where / "beam"
    link.symlink_to(BEAM)
    assert shell.run("ping", beam=link).stdout == "[alchemist.beam.ping]\n"
