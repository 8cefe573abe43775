# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A project, the collection's playbooks and one server, all on this machine, for measurements of builds."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from common import ROOT

# The collection's own playbooks, and what they registered, for whoever measures.
_PLAYS = """
- import_playbook: alchemist.beam.build
{publish}- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ {{'build': build_result, 'published': distribute_result | default({{}})}} | to_json }}}}"
        dest: "{{{{ bench_result }}}}"
        mode: "0600"
"""


@dataclass(frozen=True)
class Project:
    url: str
    ref: str = ""
    subdir: str = ""
    release: str = ""
    elixir_path: str = ""
    env: t.Mapping[str, str] = field(default_factory=dict)
    after_compile: t.Sequence[str] = ()
    change: str = ""  # the file that gets a line; "": the module of the application
    app_env: t.Mapping[str, str] = field(default_factory=dict)  # of the running application


def example(place: Path) -> str:
    """The repository of the example application."""
    subprocess.run(
        [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(place)], check=True, stdout=subprocess.DEVNULL
    )
    return str(place)


class Origin:
    """A copy of the project's repository, that can get commits."""

    def __init__(self, project: Project, place: Path) -> None:
        self.project, self.place = project, place
        self._git(None, "clone", "--quiet", project.url, str(place))
        self._git(place, "checkout", "--quiet", "-B", "bench", *([self._ref()] if project.ref else []))
        self.file = project.change or self._module()

    @property
    def commit(self) -> str:
        return self._git(self.place, "rev-parse", "HEAD").strip()

    def change_one_line(self, number: int) -> str:
        """Another public function, in the place of the one before."""
        path = self.place / self.file
        lines = [
            line for line in path.read_text(encoding="utf-8").rstrip().splitlines() if "def bench_change" not in line
        ]
        if lines[-1] != "end":
            raise SystemExit(
                "%s does not close a module with its last line. Name another file with --change" % self.file
            )
        lines.insert(-1, "  def bench_change, do: %d" % number)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        self._git(self.place, *author, "commit", "--quiet", "--all", "--message", "Change %d" % number)
        return self.commit

    def _ref(self) -> str:
        for name in ("origin/" + self.project.ref, self.project.ref):
            found = subprocess.run(
                ["git", "rev-parse", "--verify", "--quiet", name + "^{commit}"],
                cwd=self.place,
                check=False,
                capture_output=True,
            )
            if found.returncode == 0:
                return name
        raise SystemExit(
            "%s is not in %s. Name a branch, a tag or a commit with --ref" % (self.project.ref, self.project.url)
        )

    def _module(self) -> str:
        below = self.project.subdir + "/" if self.project.subdir else ""
        files = [
            name
            for name in self._git(self.place, "ls-files", "*.ex").splitlines()
            if name.startswith(below) and re.search(r"(^|/)lib/", name)
        ]
        found = sorted(files, key=lambda name: (not name.endswith("application.ex"), name.count("/"), name))
        if not found:
            raise SystemExit("%s has no module below lib/. Name the file to change with --change" % self.project.url)
        return found[0]

    @staticmethod
    def _git(place: Path | None, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=place, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("git %s: %s" % (" ".join(arguments), done.stderr.strip()))
        return done.stdout


class Site:
    """Runs the playbooks. Each place stands for a build server: what is built in it is unknown to the others."""

    def __init__(self, project: Project, origin: Origin, scratch: Path) -> None:
        self.project, self.origin, self.scratch = project, origin, scratch
        self.store = "file://%s/store" % scratch
        (scratch / "store").mkdir()
        self.log = scratch / "ansible.log"
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            self.port, dist_port = one.getsockname()[1], two.getsockname()[1]
        # What a Phoenix application asks for; any other one passes over it.
        served = {
            "PORT": str(self.port),
            "PHX_SERVER": "true",
            "PHX_HOST": "localhost",
            "SECRET_KEY_BASE": secrets.token_urlsafe(48),
        }
        self.inventory = {
            "all": {
                "vars": {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"},
                "children": {
                    "beam": {
                        "hosts": {
                            "node1": {
                                "beam_base": "%s/node1" % scratch,
                                "beam_env": {**served, **project.app_env},
                                "service_dist_port": dist_port,
                                "service_node": "bench@127.0.0.1",
                            }
                        }
                    }
                },
            }
        }

    def build(self, place: str, ref: str, publish: bool = False, **more: t.Any) -> dict[str, t.Any]:
        """What mix_release (and release_artifact) returned."""
        play = self.scratch / ("publish.yml" if publish else "build.yml")
        play.write_text(
            _PLAYS.format(publish="- import_playbook: alchemist.beam.distribute\n" if publish else ""), encoding="utf-8"
        )
        result = self.scratch / "result.json"
        result.unlink(missing_ok=True)
        self._playbook(str(play), place, ref, bench_result=str(result), **(self._stored() if publish else {}), **more)
        return t.cast("dict[str, t.Any]", json.loads(result.read_text(encoding="utf-8")))

    def deploy(self, place: str, ref: str, name: str) -> tuple[float, dict[str, t.Any]]:
        """Seconds of the whole command, and the report of the rollout."""
        report = self.scratch / "report.json"
        report.unlink(missing_ok=True)
        seconds = self._playbook("alchemist.beam.deploy", place, ref, beam_report=str(report), **self._served(name))
        return seconds, t.cast("dict[str, t.Any]", json.loads(report.read_text(encoding="utf-8")))

    def setup(self, name: str) -> None:
        self._playbook("alchemist.beam.setup", "first", "", **self._served(name))

    def stop(self, name: str) -> None:
        if (self.scratch / "node1").exists():
            self._playbook("alchemist.beam.stop", "first", "", **self._served(name))

    def forget(self, place: str) -> None:
        shutil.rmtree(self.scratch / place, ignore_errors=True)

    def _stored(self) -> dict[str, t.Any]:
        return {"beam_store": self.store, "beam_build_version": "git"}

    def _served(self, name: str) -> dict[str, t.Any]:
        health = {"tcp": {"port": self.port}, "passes": 2, "interval": 0.25, "within": 30}
        return {
            **self._stored(),
            "beam_name": name,
            "beam_manager": "daemon",
            "beam_channel": "bench",
            "beam_health": health,
            "build_release": self.project.release,
        }

    def _playbook(self, play: str, place: str, ref: str, **variables: t.Any) -> float:
        given = {
            "beam_name": "bench",  # the build tells the release's own
            "beam_repo": str(self.origin.place),
            "beam_ref": ref,
            "beam_build_dir": str(self.scratch / place),
            "beam_build_subdir": self.project.subdir,
            "build_release": self.project.release,
            "beam_build_env": dict(self.project.env),
            "beam_build_after_compile": list(self.project.after_compile),
            "beam_elixir_path": self.project.elixir_path,
            "beam_build_version": "git",
            **variables,
        }
        inventory, extra = self.scratch / "inventory.json", self.scratch / "variables.json"
        for path, document in ((inventory, self.inventory), (extra, given)):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
                json.dump(document, stream)
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(inventory),
            "-e",
            "@%s" % extra,
            play,
        ]
        env = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "live"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        began = time.monotonic()
        with open(self.log, "ab+") as log:
            at = log.tell()
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, check=False
            )
            seconds = time.monotonic() - began
            if done.returncode:
                log.seek(at)
                raise SystemExit(
                    "%s ended with %d:\n%s" % (play, done.returncode, log.read().decode(errors="replace")[-4000:])
                )
        return seconds
