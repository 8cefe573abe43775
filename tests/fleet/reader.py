# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who follows docs/journey.md, or another page, in front of a fleet.

What a reader brings along is made here: names of servers in the settings of ssh, a repository and a Python package index that the servers reach.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fleet")]

import s3_server
from journey import script
from line import Line

CONTROL = "10.99.0.1"
WEB = CONTROL + ":8099"
KEPT = ("BEAM_CODE_CACHE", "PYTHONPYCACHEPREFIX")  # of the tests: what was compiled before


def here(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


class Reader:
    """Somebody who follows the journey: a home, nothing in the environment but what the page says, and the command line."""

    page = "journey.md"
    builder = "build1"

    def __init__(self, hosts: t.Any, directory: Path, names: t.Mapping[str, str], **environment: str) -> None:
        """names: what the page calls each host of the fleet. environment: what else the page says that it needs."""
        self.hosts = hosts
        self.directory = directory
        self.names = names
        self.line = Line(hosts, directory, sorted(names.values()))
        self.home = directory / "home"
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ALCHEMIST": str(ROOT),
            "BEAM_REPO": "http://%s/beacon.git" % WEB,
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **environment,
        }
        self.ansible = {"ANSIBLE_CONFIG": str(self.home / "ansible.cfg")}

    def prepare(self) -> None:
        """The servers have no way out of their network: what has to be fetched is fetched before, and served inside."""
        s3_server.install()
        self._settings()
        web = self.directory / "web"
        self.bring(web)
        boto3 = "boto3==" + importlib.metadata.version("boto3")
        here(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            str(web / "wheels"),
            boto3,
        )
        serve = "python -m http.server --bind %s --directory %s 8099 >/dev/null 2>&1 &" % (
            CONTROL,
            shlex.quote(str(web)),
        )
        self.hosts.control("sh", "-c", serve)
        self.hosts.control(
            "curl",
            "-sSf",
            "--retry",
            "240",
            "--retry-delay",
            "1",
            "--retry-connrefused",
            "-o",
            "/dev/null",
            "http://%s/wheels/" % WEB,
        )
        pip = "[global]\\nno-index = true\\nfind-links = http://%s/wheels/\\ntrusted-host = %s\\n" % (WEB, CONTROL)
        self.hosts.shell(self.names[self.builder], "printf '%s' > /etc/pip.conf" % pip)

    def bring(self, web: Path) -> None:
        """The repository that the page names."""
        made = self.directory / "repo"
        here(sys.executable, str(ROOT / "examples" / "make_versions.py"), str(made))
        here("git", "clone", "--quiet", "--bare", str(made), str(web / "beacon.git"))
        here("git", "-C", str(web / "beacon.git"), "update-server-info")

    def _settings(self) -> None:
        (self.home / "ssh").mkdir(parents=True)
        fleet = self.hosts.directory
        names = "".join("Host %s\n    HostName 10.99.0.1%s\n" % (name, host[1:]) for name, host in self.names.items())
        settings = (fleet / "ssh" / "config").read_text(encoding="utf-8").replace("Host 10.99.0.*", "Host *")
        (self.home / "ssh" / "config").write_text(names + settings, encoding="utf-8")
        ansible = (
            (fleet / "ansible.cfg")
            .read_text(encoding="utf-8")
            .replace(str(fleet / "ssh" / "config"), str(self.home / "ssh" / "config"))
        )
        (self.home / "ansible.cfg").write_text(ansible, encoding="utf-8")

    def types(self, phase: str, part: slice = slice(None), **more: str) -> str:
        settings = ["%s=%s" % pair for pair in self.ansible.items()] or ["-u", "ANSIBLE_CONFIG"]
        done = self.hosts.try_fleet(
            "run",
            "--",
            "env",
            *settings,
            "bash",
            "-c",
            script(phase, part, self.page),
            timeout=1200,
            env={**self.environment, **more},
            cwd=self.home,
        )
        print(done.stdout)
        assert done.returncode == 0
        return str(done.stdout)

    def assert_run(self, version: str, hosts: t.Iterable[str]) -> None:
        for host in hosts:
            assert self.line.runs(host) == version, host
            health = self.line.health(host)
            assert (health.get("version"), health.get("ready")) == (version, True), "%s: %s" % (host, health)
            assert self.hosts.on(host, "systemctl", "is-enabled", "beacon").strip() == "enabled"
