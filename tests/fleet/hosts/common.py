# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a fleet keeps its things, and the few helpers that every file here uses."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "fleet"
NETWORK = "10.99.0"  # exists inside the fleet's own namespaces only, so every fleet may use the same
CONTROL_ADDRESS = NETWORK + ".1"
# Not 169.254.169.254: a mistake outside the namespace would reach the machine's own cloud.
METADATA_PORT = 1338
PATIENCE = 240.0  # seconds for what happens within a moment unless the machine is busy with other things
METADATA_URL = "http://%s:%d" % (CONTROL_ADDRESS, METADATA_PORT)


class FleetError(Exception):
    """Something that a person can read and act on."""


@dataclass
class Fleet:
    """One fleet: everything of it on the machine carries its name (namespaces NAME-*, cgroup beam-fleet-NAME, directory .cache/fleet/NAME)."""

    name: str
    hosts: list[str] = field(default_factory=list)
    inotify_before: int | None = None
    services: list[str] = field(default_factory=list)  # of services.NAMES
    releases: dict[str, str] = field(default_factory=dict)  # host -> Debian release, where it is not this machine's
    images: dict[str, str] = field(
        default_factory=dict
    )  # host -> what it was made from, where that is not the plain tree: images.py

    @property
    def directory(self) -> Path:
        return CACHE / self.name

    @property
    def run_directory(self) -> Path:
        """Short, because paths of unix sockets (ssh's ControlPath) may have 107 bytes."""
        return Path("/run/beam-fleet") / self.name

    @property
    def control(self) -> str:
        return self.name + "-ctl"

    def netns(self, host: str) -> str:
        return "%s-%s" % (self.name, host)

    def host_directory(self, host: str) -> Path:
        return self.directory / "hosts" / host

    def mount(self, host: str) -> Path:
        return self.host_directory(host) / "m"

    @property
    def state_file(self) -> Path:
        return self.directory / "state.json"

    def save(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write(self.state_file, json.dumps({name: value for name, value in vars(self).items() if name != "name"}) + "\n")

    @classmethod
    def load(cls, name: str) -> Fleet:
        try:
            state = json.loads(cls(name).state_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(name)
        return cls(name, **state)

    def known(self, host: str) -> str:
        if host not in self.hosts:
            raise FleetError("no host %r in fleet %r: it has %s" % (host, self.name, " ".join(self.hosts) or "none"))
        return host


def address(host: str) -> str:
    return "%s.%d" % (NETWORK, 10 + int(host[1:]))


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(mode)
    new.rename(path)


def run(*argv: str | Path, check: bool = True, timeout: float = 60) -> str:
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise FleetError(
            "%s: exit code %d: %s" % (" ".join(words), done.returncode, (done.stderr or done.stdout).strip()[-2000:])
        )
    return done.stdout


def wait_for(what: str, condition: t.Callable[[], t.Any], seconds: float = PATIENCE, every: float = 0.05) -> t.Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise FleetError("%s: not within %d s" % (what, seconds))
        time.sleep(every)


@contextmanager
def locked(path: Path) -> t.Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _equals, value in (line.partition("=") for line in lines)}


def under(directory: Path) -> list[str]:
    """What is mounted under it: nothing may be removed through a mount."""
    real = os.path.realpath(directory)
    mounted = run("findmnt", "-rno", "TARGET").splitlines()
    return [target for target in mounted if target == real or target.startswith(real + "/")]
