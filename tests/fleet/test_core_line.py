# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core line on real systemd hosts: from a commit by way of a real S3 server to three servers that are proven to run it.

The tests of this file are one story and run in this order. What is believed is asked of the hosts themselves, not of the playbooks that are tested.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("h1", "h2", "h3")


class Line:
    """The controller's desk: an inventory beside the fleet's own, and the playbooks of the collection."""

    def __init__(self, hosts: t.Any, directory: Path) -> None:
        self.hosts = hosts
        self.directory = directory
        self.report_file = directory / "report.json"

    def prepare(self) -> None:
        support = ROOT / "tests" / "support"
        # The control namespace has no way out: what has to be fetched is fetched before.
        subprocess.run([sys.executable, "-c", "import s3_server; s3_server.install()"], cwd=support, stdin=subprocess.DEVNULL, check=True)
        made = [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(self.directory / "repo")]
        subprocess.run(made, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        server = ["python", str(support / "s3_server.py")]
        where = ["--dir", str(self.directory / "s3")]
        self.hosts.control(*server, "start", "--bind", "10.99.0.1", *where)
        said = self.hosts.control(*server, "env", *where)
        pairs = (word.partition("=") for word in shlex.split(said) if "=" in word)
        s3 = {name: value for name, _equals, value in pairs}
        variables = {
            "beam_name": "beacon",
            "beam_repo": str(self.directory / "repo"),
            "beam_build_dir": str(self.directory / "build"),
            "beam_base": "/srv/beacon",
            "beam_store": "s3://%s/line" % s3["S3_BUCKET"],
            "beam_store_options": {
                "endpoint_url": s3["S3_ENDPOINT"], "region": "us-east-1", "access_key": s3["S3_ACCESS_KEY"], "secret_key": s3["S3_SECRET_KEY"],
            },
            "beam_channel": "production",
            "beam_batches": [1, "100%"],
            "beam_report": str(self.report_file),
            "service_env": {"PORT": "4000"},
            "beam_health": {
                "http": {"url": "http://127.0.0.1:4000/health", "json": {"ready": True, "version": "{{ rollout_expected_version }}"}}, "within": 15,
            },
        }  # fmt: skip
        inventory = {"all": {"vars": variables}}
        (self.directory / "line.yml").write_text(json.dumps(inventory), encoding="utf-8")
        (self.directory / "line.yml").chmod(0o600)  # it holds the keys of the store

    def playbook(self, name: str, *words: str, expect: int = 0) -> str:
        self.report_file.unlink(missing_ok=True)
        inventories = ["-i", str(self.hosts.directory / "inventory.yml"), "-i", str(self.directory / "line.yml")]
        done = self.hosts.try_fleet("run", "--", "ansible-playbook", *inventories, "alchemist.beam." + name, *words, timeout=400)
        assert (done.returncode != 0) == bool(expect), "%s %s: exit code %d\n%s" % (name, " ".join(words), done.returncode, done.stdout)
        assert "Traceback" not in done.stdout, done.stdout
        return str(done.stdout)

    def report(self) -> dict[str, t.Any]:
        return json.loads(self.report_file.read_text(encoding="utf-8"))

    def health(self, host: str) -> dict[str, t.Any]:
        """What the application says of itself; empty while nothing answers."""
        done = self.hosts.try_fleet("exec", host, "curl", "-sS", "--max-time", "3", "http://127.0.0.1:4000/health")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def pid(self, host: str) -> int:
        return int(self.hosts.on(host, "systemctl", "show", "--value", "--property=MainPID", "beacon.service"))

    def runs(self, host: str) -> str:
        """The version of the release directory that the service's own process was started from: the kernel tells, nobody else is asked."""
        pid = self.pid(host)
        assert pid, "%s: the service does not run\n%s" % (host, self.hosts.try_fleet("exec", host, "journalctl", "-n", "40", "--no-pager").stdout)
        executable = self.hosts.on(host, "readlink", "/proc/%d/exe" % pid).strip()
        found = re.match(r"/srv/beacon/releases/([^/]+)/erts-", executable)
        assert found, "%s runs %s" % (host, executable)
        return found.group(1)

    def assert_all_run(self, version: str) -> None:
        for host in HOSTS:
            assert self.runs(host) == version, host
            health = self.health(host)
            assert (health.get("version"), health.get("ready")) == (version, True), "%s: %s" % (host, health)
            assert self.hosts.on(host, "readlink", "/srv/beacon/current").strip() == "releases/" + version
            assert self.hosts.on(host, "systemctl", "is-system-running").strip() == "running"

    def pids(self) -> dict[str, int]:
        return {host: self.pid(host) for host in HOSTS}


def changes(output: str) -> list[str]:
    """The tasks that changed something, with their host. A report is new each time, and says so."""
    found = []
    task = ""
    for text in output.splitlines():
        if text.startswith("TASK ["):
            task = text[len("TASK [") :].rpartition("]")[0]
        elif text.startswith("changed: [") and not task.endswith("Write the report"):
            found.append("%s: %s" % (task, text))
    return found


@pytest.fixture(scope="module")
def line(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Line:
    hosts.fleet("up", str(len(HOSTS)), timeout=580)
    made = Line(hosts, tmp_path_factory.mktemp("line"))
    made.prepare()
    return made


def test_servers_are_made_ready_once(line: Line) -> None:
    assert changes(line.playbook("setup"))
    assert changes(line.playbook("setup")) == []
    for host in HOSTS:
        assert line.hosts.shell(host, "stat -c %a /etc/beacon/env").strip() == "600"
        assert line.hosts.try_fleet("exec", host, "systemctl", "is-active", "beacon").stdout.strip() == "inactive"


def test_first_version(line: Line) -> None:
    line.playbook("deploy", "-e", "beam_ref=v0.1.0")
    line.assert_all_run("0.1.0")


def test_second_run_changes_nothing(line: Line) -> None:
    before = line.pids()
    assert changes(line.playbook("deploy", "-e", "beam_ref=v0.1.0")) == []
    assert line.pids() == before


def test_cookie_is_nowhere_for_others_to_read(line: Line) -> None:
    cookie = line.hosts.on("h1", "cat", "/var/lib/beacon/.erlang.cookie").strip()
    assert len(cookie) >= 20
    assert line.hosts.on("h1", "stat", "-c", "%U %a", "/var/lib/beacon/.erlang.cookie").split() == ["beacon", "400"]
    # As another user: no file below the release, no command line and no environment of a process may hold it. The pattern does not match itself.
    pattern = "[%s]%s" % (cookie[0], cookie[1:])
    look = "grep -rsal '%s' /srv/beacon /proc/[0-9]*/cmdline /proc/[0-9]*/environ || true" % pattern
    assert line.hosts.on("h1", "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c", look).strip() == ""
    assert cookie not in line.hosts.on("h1", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_second_version_moves_only_what_changed(line: Line) -> None:
    before = line.pids()
    line.playbook("deploy", "-e", "beam_ref=v0.2.0")
    line.assert_all_run("0.2.0")
    after = line.pids()
    for host in HOSTS:
        assert after[host] != before[host]
        # Of the files of both versions most are one file on the disk, under two names.
        count = "find /srv/beacon/releases/0.2.0 -type f %s | wc -l"
        every, shared = (int(line.hosts.shell(host, count % links)) for links in ("", "-links +2"))
        assert shared > 0.8 * every > 100


def test_check_mode_tells_and_moves_nothing(line: Line) -> None:
    before = line.pids()
    line.playbook("rollout", "--check", "--diff", "-e", "beam_version=0.1.0")
    assert line.pids() == before
    line.assert_all_run("0.2.0")


def test_bad_version_goes_back_by_itself(line: Line) -> None:
    before = line.pids()
    said = line.playbook("deploy", "-e", "beam_ref=v0.3.0", expect=2)
    assert "0.3.0" in said
    line.assert_all_run("0.2.0")
    after = line.pids()
    # The first batch is one host: it moved and came back, the others never noticed.
    assert [host for host in HOSTS if after[host] != before[host]] == ["h1"]


def test_ghost_is_not_rolled_out_again_unless_asked(line: Line) -> None:
    before = line.pids()
    said = line.playbook("rollout", "-e", "beam_version=0.3.0", expect=2)
    assert "ghost" in said
    assert line.pids() == before


def test_host_that_is_not_reachable_stops_the_rollout_before_anything_moved(line: Line) -> None:
    before = line.pids()
    line.hosts.fleet("cut", "h3")
    try:
        line.playbook("rollout", "-e", "beam_version=0.1.0", expect=2)
        assert line.pids() == before
        said = line.playbook("status", "-e", "ansible_ssh_timeout=3")
        assert re.search(r"h3\b.*unreachable", said), said
    finally:
        line.hosts.fleet("mend", "h3")
    line.assert_all_run("0.2.0")


def test_rollback(line: Line) -> None:
    line.playbook("rollback")
    line.assert_all_run("0.1.0")


def wait_until_all_are_well(line: Line, version: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not all(line.health(host).get("ready") for host in HOSTS):
        time.sleep(0.3)
    line.assert_all_run(version)


def test_nodes_come_back_by_themselves_after_a_reboot(line: Line) -> None:
    line.hosts.fleet("reboot", *HOSTS)
    wait_until_all_are_well(line, "0.1.0")


def test_nodes_come_back_by_themselves_after_a_power_cut(line: Line) -> None:
    line.hosts.fleet("kill", *HOSTS)
    line.hosts.fleet("start", *HOSTS)
    wait_until_all_are_well(line, "0.1.0")


def test_status_names_what_runs(line: Line) -> None:
    said = line.playbook("status")
    for host in HOSTS:
        assert re.search(r"%s\b.*0\.1\.0" % host, said), said


def test_keys_of_the_store_are_in_no_log(line: Line) -> None:
    secret = json.loads((line.directory / "line.yml").read_text(encoding="utf-8"))["all"]["vars"]["beam_store_options"]["secret_key"]
    for host in HOSTS:
        assert secret not in line.hosts.on(host, "journalctl", "--no-pager", "--output=cat")
        assert line.hosts.shell(host, "grep -rsalF %s /srv /etc /var /tmp /root || true" % shlex.quote(secret)).strip() == ""
