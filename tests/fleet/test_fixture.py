# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixture itself: what the other tests believe about their hosts has to be true."""

from __future__ import annotations

import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import eventually


@pytest.fixture(scope="module")
def pair(hosts: t.Any) -> t.Any:
    hosts.fleet("up", "2", timeout=580)  # the first time it builds the base tree
    return hosts


def test_hosts_run_systemd_as_pid_1_each_with_its_own_name_and_network(pair: t.Any) -> None:
    for host, address in (("h1", "10.99.0.11"), ("h2", "10.99.0.12")):
        assert pair.on(host, "cat", "/proc/1/comm").strip() == "systemd"
        assert pair.fleet("ssh", host, "hostname; hostname -I").split() == [host, address]
        assert pair.on(host, "systemctl", "is-system-running").strip() == "running"
        assert pair.on(host, "systemctl", "--failed", "--no-legend").strip() == ""


def test_the_command_line_says_what_the_tests_are_told(pair: t.Any) -> None:
    """Tests ask in their own process."""
    for words in (
        ("status", "--json"),
        ("status",),
        ("exec", "h1", "hostname"),
        ("exec", "h2", "sh", "-c", "echo said; exit 7"),
        ("exec", "h2", "--", "echo", "--", "x"),
        ("exec", "h9", "true"),
        ("balancer",),
    ):
        typed, told = pair.command(*words), pair.try_fleet(*words)
        assert (told.returncode, told.stdout) == (typed.returncode, typed.stdout)
    assert pair.try_fleet("exec", "h2", "sh", "-c", "echo said; exit 7").stdout == "said\n"
    assert pair.try_fleet("exec", "h9", "true").stdout.startswith("fleet: no host 'h9'")


def test_services_of_two_hosts_are_not_in_one_cgroup(pair: t.Any) -> None:
    def processes(host: str) -> list[str]:
        return pair.shell(host, "cat /sys/fs/cgroup/system.slice/ssh.service/cgroup.procs").split()

    # One that served a connection may be on its way out.
    eventually(lambda: [len(processes(host)) for host in ("h1", "h2")] == [1, 1])


def test_ansible_reaches_all_hosts_from_the_control_namespace(pair: t.Any) -> None:
    said = pair.control("ansible", "beam", "-o", "-m", "ansible.builtin.ping")
    assert said.count("SUCCESS") == 2, said
    as_user = pair.control(
        "ansible", "beam", "-o", "-b", "-u", "deploy", "-m", "ansible.builtin.command", "-a", "id -un"
    )
    assert as_user.count("(stdout) root") == 2, as_user


def test_control_namespace_has_no_way_out(pair: t.Any) -> None:
    assert pair.control("ip", "route").split() == "10.99.0.0/24 dev br0 proto kernel scope link src 10.99.0.1".split()


def test_services_with_hardening_start(pair: t.Any) -> None:
    options = "DynamicUser=yes PrivateTmp=yes ProtectSystem=strict ProtectProc=invisible RuntimeDirectory=probe MemoryDenyWriteExecute=yes".split()
    asked = [word for option in options for word in ("-p", option)]
    pair.on("h1", "systemd-run", "--wait", "--quiet", *asked, "touch", "/run/probe/x")


def test_power_cut_ends_all_and_keeps_the_disk(pair: t.Any) -> None:
    pair.shell("h1", "echo kept > /srv/file; sync")
    pair.on("h1", "systemd-run", "--quiet", "--unit=longer", "sleep", "1000")
    pair.fleet("kill", "h1")
    assert pair.status()["h1"]["state"] == "off"
    assert pair.try_fleet("ssh", "h1", "true").returncode == 255
    pair.fleet("start", "h1")
    assert pair.shell("h1", "cat /srv/file").strip() == "kept"
    assert pair.try_fleet("exec", "h1", "systemctl", "is-active", "longer").returncode != 0


def test_reboot_and_power_off(pair: t.Any) -> None:
    before = pair.status()["h1"]["pid"]
    pair.fleet("reboot", "h1")
    assert pair.status()["h1"]["pid"] != before
    assert pair.fleet("ssh", "h1", "cat /srv/file").strip() == "kept"
    # A service that takes its time to stop gets it, unlike in a power cut.
    script = "trap 'sleep 0.3; echo stopped > /srv/slow; exit 0' TERM; touch /run/slow; while :; do sleep 0.05; done"
    pair.on("h1", "systemd-run", "--quiet", "--unit=slow", "sh", "-c", script)
    eventually(lambda: pair.try_fleet("exec", "h1", "test", "-e", "/run/slow").returncode == 0)  # from then on it hears
    pair.fleet("poweroff", "h1")
    assert pair.status()["h1"]["state"] == "off"
    pair.fleet("start", "h1")
    assert pair.shell("h1", "cat /srv/slow").strip() == "stopped"


def test_a_frozen_host_answers_nothing_and_goes_on(pair: t.Any) -> None:
    pair.fleet("freeze", "h2")
    try:
        assert pair.status()["h2"]["state"] == "frozen"
        assert "ssh-ed25519" not in pair.try_fleet("run", "--", "ssh-keyscan", "-T", "1", "10.99.0.12").stdout
    finally:
        pair.fleet("thaw", "h2")
    assert "ssh-ed25519" in pair.control("ssh-keyscan", "-T", "30", "10.99.0.12")


def test_a_host_cut_off_runs_and_is_reached_by_nobody(pair: t.Any) -> None:
    pair.fleet("cut", "h2")
    try:
        assert pair.try_fleet("run", "--", "ping", "-c", "1", "-W", "1", "10.99.0.12").returncode != 0
        assert pair.on("h2", "hostname").strip() == "h2"
    finally:
        pair.fleet("mend", "h2")
    assert pair.fleet("ssh", "h2", "hostname").strip() == "h2"


def test_up_again_adds_what_is_missing_and_nothing_else(pair: t.Any) -> None:
    before = pair.status()["h1"]["pid"]
    pair.fleet("up", "3")
    assert pair.status()["h1"]["pid"] == before
    assert pair.fleet("ssh", "h3", "hostname").strip() == "h3"


def test_down_leaves_nothing_also_after_a_supervisor_died(pair: t.Any) -> None:
    # The supervisor of h2 is killed behind the fixture's back: its container goes on without it, and must be found.
    supervisor = next(
        int(pid) for pid in _processes_of(pair.name, "h2") if Path("/proc", pid, "comm").read_text().strip() == "sh"
    )
    subprocess.run(["kill", "-KILL", str(supervisor)], check=True)
    pair.try_fleet("run", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
    began = time.monotonic()
    pair.fleet("down")
    assert time.monotonic() - began < 90  # nobody was waited for: systemd would give each service as long
    assert not _processes_of(pair.name, "h1") and not _processes_of(pair.name, "h2")
    assert (
        pair.name + "-"
        not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    )
    assert (
        pair.name
        not in subprocess.run(["findmnt", "-rno", "SOURCE,TARGET"], capture_output=True, text=True, check=True).stdout
    )
    assert not pair.directory.exists()
    assert not list(Path("/sys/fs/cgroup").glob("**/beam-fleet-%s" % pair.name))
    assert not list(Path("/run/systemd/nspawn").glob("*/%s-*" % pair.name))
    pair.fleet("down")  # and again: nothing to do is no error


def _processes_of(name: str, host: str) -> list[str]:
    groups = [
        path
        for path in Path("/sys/fs/cgroup").glob("**/beam-fleet-%s/%s" % (name, host))
        if "unified" in path.parts or len(path.parts) == 6
    ]
    return [pid for group in groups for procs in group.rglob("cgroup.procs") for pid in procs.read_text().split()]
