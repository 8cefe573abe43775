# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deploy to ten hosts over ssh, restart left out: one task, beside a bare ssh loop and a plain playbook.

The hosts are addresses of the loopback network behind one sshd of our own, each with its own base directory.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore
from common import ROOT, Release, rounds, say
from transfer import Shop, run, void

HOSTS = ["127.0.77.%d" % n for n in range(1, 11)]
BIN = ROOT / ".cache" / "venv" / "bin"


@contextlib.contextmanager
def sshd(place: Path) -> t.Iterator[list[str]]:
    """The options that ssh needs to reach any of the hosts."""
    place.mkdir(mode=0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / key)], check=True)
    shutil.copy(place / "user.pub", place / "authorized_keys")
    with socket.socket() as sock:
        sock.bind((HOSTS[0], 0))
        port = sock.getsockname()[1]
    lines = ["ListenAddress %s:%d" % (host, port) for host in HOSTS]
    lines += [
        "HostKey %s/host" % place,
        "AuthorizedKeysFile %s/authorized_keys" % place,
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin prohibit-password",
        "MaxStartups 100:30:200",
        "Subsystem sftp internal-sftp",
        "SetEnv HOME=%s/home"
        % place,  # what a shell of this machine's user does at its start is none of a server's cost
    ]
    (place / "home").mkdir()
    (place / "sshd_config").write_text("\n".join(lines) + "\n")
    program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if program is None:
        raise FileNotFoundError("sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # its privilege separation wants it
    with open(place / "sshd.log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(place / "sshd_config")], stdout=log, stderr=log)
    try:
        options = [
            "-p",
            str(port),
            "-i",
            str(place / "user"),
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=%s/known" % place,
            "-o",
            "LogLevel=ERROR",
        ]
        for _try in range(50):
            if (
                subprocess.run(
                    ["ssh", *options, "-o", "BatchMode=yes", HOSTS[0], "true"], check=False, capture_output=True
                ).returncode
                == 0
            ):
                break
            time.sleep(0.1)
        else:
            raise OSError("sshd does not answer: " + (place / "sshd.log").read_text()[-500:])
        yield options
    finally:
        disconnect(place)
        server.terminate()
        server.wait()


def disconnect(place: Path) -> None:
    """End the connections that ansible-playbook keeps open for the next play: the ssh loop makes new ones, too."""
    ours = b"ssh: %s/cp/" % os.fsencode(place)
    for process in map(Path, glob.glob("/proc/[0-9]*")):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().startswith(ours):
                os.kill(int(process.name), signal.SIGTERM)


def playbook(place: Path, name: str, tasks: list[dict[str, t.Any]]) -> str:
    path = place / (name + ".yml")
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    path.chmod(0o600)  # presigned URLs are in it
    return str(path)


def measure_deploy(shop: Shop, first: Release, second: Release, place: Path, figures: dict[str, float]) -> None:
    try:
        with sshd(place) as ssh:
            _measure(shop, first, second, place, ssh, figures)
    except OSError as exc:
        say("NOT MEASURED: deploys over ssh: %s" % exc)


def _measure(
    shop: Shop, first: Release, second: Release, place: Path, ssh: list[str], figures: dict[str, float]
) -> None:
    # A new directory for every work: see measure_fetch.
    numbers = itertools.count()
    top = place / "hosts"
    (place / "inventory.json").write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {host: {"base": "{{ top }}/" + host} for host in HOSTS},
                    "vars": {
                        "ansible_python_interpreter": str(BIN / "python"),
                        "ansible_ssh_common_args": " ".join(ssh),
                        "ansible_user": "root",
                    },
                }
            }
        )
    )
    config = (
        "[defaults]\nhost_key_checking = false\nforks = 10\n[connection]\npipelining = true\n[ssh_connection]\ncontrol_path_dir = %s/cp\n"
        "ssh_args = -o ControlMaster=auto -o ControlPersist=60s\n" % place
    )
    (place / "ansible.cfg").write_text(config)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "live"),
        "ANSIBLE_LOCAL_TEMP": str(place / "tmp"),
    }
    store_of_first = shop.presign(first.version)
    url = shop.url(second.version)
    ours = playbook(
        place,
        "ours",
        [
            {
                "alchemist.beam.release_install": {
                    "name": "beacon",
                    "base": "{{ base }}",
                    "version": second.version,
                    "state": "active",
                    "presigned": shop.presign(second.version),
                }
            }
        ],
    )
    root = "{{ base }}/releases/" + second.version
    plain = playbook(
        place,
        "plain",
        [
            {"ansible.builtin.file": {"path": "{{ base }}", "state": "directory", "mode": "0755"}},
            {"ansible.builtin.file": {"path": "{{ base }}/releases", "state": "directory", "mode": "0755"}},
            {"ansible.builtin.file": {"path": root, "state": "directory", "mode": "0755"}},
            {"ansible.builtin.get_url": {"url": url, "dest": "{{ base }}/r.tgz", "mode": "0644"}},
            {"ansible.builtin.unarchive": {"src": "{{ base }}/r.tgz", "dest": root, "remote_src": True}},
            {"ansible.builtin.file": {"path": "{{ base }}/r.tgz", "state": "absent"}},
            {
                "ansible.builtin.file": {
                    "src": "releases/" + second.version,
                    "dest": "{{ base }}/current",
                    "state": "link",
                }
            },
        ],
    )
    script = "mkdir -p {0}/releases/{1} && curl -sSf '{2}' | tar xzf - -C {0}/releases/{1} && ln -sfn releases/{1} {0}/current"

    pattern = place / "first"
    install(
        Request(Wanted("beacon", version=first.version), str(pattern), "active"),
        lambda: HttpStore(presigned=store_of_first),
    )

    def empty() -> None:
        nonlocal top
        disconnect(place)
        top = place / ("hosts-%d" % next(numbers))
        top.mkdir()

    def with_first(hosts: list[str]) -> None:
        """The other works make no use of what a host has already."""
        empty()
        for host in hosts:
            # Hard links: nothing ever writes to these files.
            subprocess.run(["cp", "-al", str(pattern), str(top / host)], check=True)

    def loop(hosts: list[str]) -> None:
        jobs = [subprocess.Popen(["ssh", *ssh, host, script.format(top / host, second.version, url)]) for host in hosts]
        try:
            codes = [job.wait() for job in jobs]  # all of them, also after one that failed
        finally:
            for job in jobs:
                job.kill()
        if any(codes):
            raise SystemExit("the ssh loop failed")

    def play(book: str, hosts: list[str]) -> None:
        void(
            run(
                [
                    str(BIN / "ansible-playbook"),
                    "-i",
                    str(place / "inventory.json"),
                    "-l",
                    ",".join(hosts),
                    "-e",
                    "top=%s" % top,
                    book,
                ],
                env=env,
            )
        )
        for host in hosts:
            assert os.readlink(top / host / "current") == "releases/" + second.version

    for count in (1, 5, 10):
        hosts = HOSTS[:count]
        ready = functools.partial(with_first, hosts)
        seconds = rounds(
            {
                "ssh loop: curl | tar, ln": (empty, lambda hosts=hosts: loop(hosts)),
                "release_install, one task": (ready, lambda hosts=hosts: play(ours, hosts)),
                **({"plain playbook, 7 tasks": (empty, lambda hosts=hosts: play(plain, hosts))} if count == 10 else {}),
            },
            limit=150,
            seldom=["plain playbook, 7 tasks"],
        )
        seconds.table("Deploy of a second version to %d hosts" % count, "ssh loop: curl | tar, ln")
    figures["deploy10_vs_ssh_loop"] = seconds["release_install, one task"] / seconds["ssh loop: curl | tar, ln"]
    figures["deploy10_vs_playbook"] = seconds["release_install, one task"] / seconds["plain playbook, 7 tasks"]
