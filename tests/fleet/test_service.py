# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role service and beam_restart on a real systemd host: what a unit does when all is well, and when it is not."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ansible_collections.alchemist.beam.plugins.module_utils._node.envfile import parse_of_unit
from instances import eventually

if t.TYPE_CHECKING:
    from conftest import Hosts

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests" / "integration" / "targets" / "setup_node" / "build.sh"
STOP_TIMEOUT = 20
URL = "http://127.0.0.1:4000/health"
SECRET = 'it\'s a $ecret "x" \\ `y`'
PEM = "-----BEGIN KEY-----\nMIIEit's\n\n-----END KEY-----\n"
# What systemd takes, and what it passes over, in files that everybody may read.
MORE = {
    "a.env": "A1='one\ntwo'\nexport A2=2\nnonsense\nA3=x \\\n  y\n",
    "b.env": "B1=\u2028\x85\nB2='x'\"\\$y\"z \nB3=a\\b\nB4='bell\x07'\n",
}
PLAY: list[dict[str, t.Any]] = [
    {
        "hosts": "beam",
        "gather_facts": False,
        "become": True,
        "vars": {
            "beam_name": "beacon",
            "beam_base": "/srv/beacon",
            "service_stop_timeout": STOP_TIMEOUT,
            "beam_files": [{"path": "key.pem", "content": PEM}],
            "beam_env": {"PORT": 4000, "BEACON_SECRET": SECRET, "ON": True, "PEM": PEM},
        },
        "roles": ["alchemist.beam.service"],
    }
]
COPY: list[dict[str, t.Any]] = [
    {
        "hosts": "beam",
        "gather_facts": False,
        "become": True,
        "tasks": [
            {
                "ansible.builtin.unarchive": {
                    "src": "{{ archive }}",
                    "dest": "/srv/beacon",
                    "owner": "root",
                    "group": "root",
                }
            }
        ],
    }
]


class Server:
    def __init__(self, hosts: Hosts, where: Path) -> None:
        self.hosts = hosts
        self.where = where

    def play(self, plays: list[dict[str, t.Any]], *words: str) -> str:
        file = self.where / "play.json"
        file.write_text(json.dumps(plays))
        return self.hosts.control("ansible-playbook", str(file), *words)

    def module(self, name: str, check: bool = False, fails: bool = False, **options: t.Any) -> dict[str, t.Any]:
        words = [
            "ansible",
            "h1",
            "--become",
            "-m",
            "alchemist.beam." + name,
            "-a",
            json.dumps({"name": "beacon", "base": "/srv/beacon", **options}),
        ]
        done = self.hosts.try_fleet("run", "--", *words, *(["--check"] if check else []))
        assert (done.returncode != 0) is fails, done.stdout
        return dict(json.loads(done.stdout[done.stdout.index("=> {") + 3 : done.stdout.rindex("}") + 1]))

    def restart(self, fails: bool = False, **options: t.Any) -> dict[str, t.Any]:
        health = {"http": {"url": URL}, "passes": 2, "interval": 0.1, "within": 60, **options.pop("health", {})}
        return self.module("beam_restart", fails=fails, health=health, **options)

    def sh(self, script: str) -> str:
        return self.hosts.shell("h1", script)

    def current(self, version: str) -> None:
        self.sh("ln -sfn releases/%s /srv/beacon/current" % version)

    def fault(self, name: str = "") -> None:
        """The environment file with a fault in it; its time stays, so that this is no reason to restart by itself."""
        self.sh(
            "cp -p /etc/beacon/env /etc/beacon/env.kept; sed -i /BEACON_FAULT/d /etc/beacon/env; %s touch -r /etc/beacon/env.kept /etc/beacon/env"
            % ("echo BEACON_FAULT=%s >> /etc/beacon/env;" % name if name else "")
        )

    def answer(self) -> dict[str, t.Any]:
        return dict(
            json.loads(
                self.sh("python3 -c 'import urllib.request as u; print(u.urlopen(\"%s\").read().decode())'" % URL)
            )
        )

    def pid(self) -> int:
        return int(self.sh("systemctl show --property=MainPID --value beacon"))


@pytest.fixture(scope="module")
def server(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Server:
    where = tmp_path_factory.mktemp("service")
    subprocess.run([str(BUILD), str(where), "0.1.0", "0.2.0"], check=True, stdin=subprocess.DEVNULL)
    for cookie in where.glob("releases/*/releases/COOKIE"):
        cookie.unlink()  # as the store hands them out
    subprocess.run(
        ["tar", "-C", str(where), "-czf", str(where / "releases.tgz"), "--mode=go+rX", "releases"], check=True
    )
    hosts.fleet("up", "1")
    made = Server(hosts, where)
    first = made.play(PLAY, "--check", "--diff")
    assert SECRET not in first and "failed=0" in first
    assert "No such file" in made.sh("ls /etc/beacon 2>&1 || true")  # check mode wrote nothing
    made.play(PLAY)
    made.play(COPY, "-e", json.dumps({"archive": str(where / "releases.tgz")}))
    made.current("0.1.0")
    return made


@pytest.fixture
def running(server: Server) -> Server:
    """0.1.0 runs, without a fault."""
    server.fault()
    server.current("0.1.0")
    server.restart(stop_timeout=3)
    return server


def test_the_role_changes_nothing_the_second_time(server: Server) -> None:
    before = server.sh("cat /var/lib/beacon/.erlang.cookie")
    assert re.search(r"h1 .*changed=0 .*failed=0", server.play(PLAY))
    assert server.sh("cat /var/lib/beacon/.erlang.cookie") == before and len(before.strip()) == 64


def test_a_host_of_a_former_version_is_known_by_its_unit(server: Server) -> None:
    server.sh("rm -r /etc/alchemist-beam")
    assert re.search(r"h1 .*changed=1 .*failed=0", server.play(PLAY))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ssl", "/etc/ssl (root's, mode 0755, not empty)"),
        ("proxy", "the account proxy"),
        ("customer_notification_dispatch_service", "38 letters"),
    ],
)
def test_what_is_the_system_s_is_not_taken(server: Server, name: str, said: str) -> None:
    look = "stat -c '%a %U %y %n' /etc/ssl /etc /srv /var/lib /etc/systemd/system /etc/passwd /etc/group"
    before = server.sh(look)
    (server.where / "taken.json").write_text(json.dumps([{**PLAY[0], "vars": {"beam_name": name}}]))
    done = server.hosts.try_fleet("run", "--", "ansible-playbook", str(server.where / "taken.json"))
    assert done.returncode == 2 and said in done.stdout and server.sh(look) == before, done.stdout


def test_second_version(running: Server) -> None:
    assert running.restart()["changed"] is False
    boot_id = running.answer()["boot_id"]
    running.current("0.2.0")
    preview = running.module("beam_restart", check=True)
    assert preview["changed"] is True and preview["action"] == "restart" and running.pid() == preview["before"]["pid"]
    done = running.restart(
        health={"http": {"url": URL, "json": {"version": "0.2.0"}}, "node": {"applications": ["beacon"]}, "stable": 1}
    )
    assert done["before"]["version"] == "0.1.0" and done["after"]["version"] == "0.2.0" and done["escalated"] != "kill"
    assert done["after"]["pid"] == running.pid() != done["before"]["pid"]
    assert done["seconds"]["stop"] < done["seconds"]["outage"] < done["seconds"]["total"]
    assert running.answer()["boot_id"] != boot_id
    info = running.module("beam_info")
    assert (
        info["running"]
        and info["answers"]
        and not info["drift"]
        and info["version"] == "0.2.0"
        and info["applications"]["beacon"] == "0.2.0"
    )
    running.current("0.1.0")
    assert running.module("beam_info")["drift"] is True


def test_secrets_are_where_they_belong(running: Server) -> None:
    pid = running.pid()
    cookie = running.sh("cat /var/lib/beacon/.erlang.cookie").strip()
    assert cookie not in running.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '") and cookie not in running.sh(
        "cat /proc/%d/environ" % pid
    )
    assert SECRET in running.sh("cat /proc/%d/environ" % pid)
    modes = running.sh(
        "stat -c '%a %U %n' /etc/beacon /etc/beacon/env /var/lib/beacon /var/lib/beacon/.erlang.cookie /run/beacon /srv/beacon/releases"
    )
    assert modes.splitlines() == [
        "700 root /etc/beacon",
        "600 root /etc/beacon/env",
        "700 beacon /var/lib/beacon",
        "400 beacon /var/lib/beacon/.erlang.cookie",
        "700 beacon /run/beacon",
        "755 root /srv/beacon/releases",
    ]
    assert running.sh("cd /srv/beacon/shared; stat -c '%a %U %G' key.pem; cat key.pem") == "400 beacon beacon\n" + PEM
    listening = running.sh("ss -Hltn | awk '{print $4}'").split()
    assert "127.0.0.1:4370" in listening and not [address for address in listening if address.endswith(":4369")]
    assert "Permission denied" in running.sh(
        "setpriv --reuid=beacon --regid=beacon --clear-groups touch /srv/beacon/releases/0.1.0/x 2>&1 || true"
    )


def test_environment_files_that_systemd_takes_are_no_reason_not_to_restart(running: Server) -> None:
    def environment() -> dict[str, str]:
        words = running.sh("cat /proc/%d/environ | base64 -w0" % running.pid())
        return dict(word.partition("=")[::2] for word in base64.b64decode(words).decode().split("\0"))

    assert environment()["PEM"] == PEM and environment()["ON"] == "true"
    put = " && ".join(
        "echo %s | base64 -d > /etc/beacon/more/%s" % (base64.b64encode(text.encode()).decode(), name)
        for name, text in MORE.items()
    )
    running.sh("mkdir -p /etc/beacon/more /etc/systemd/system/beacon.service.d && " + put)
    running.sh(
        "printf '[Service]\\nEnvironmentFile=/etc/beacon/more/*.env\\n' > /etc/systemd/system/beacon.service.d/more.conf; systemctl daemon-reload"
    )
    try:
        assert running.restart()["reason"] == "its configuration changed after it had started"
        found = environment()
        expected = {key: value for text in MORE.values() for key, value in parse_of_unit(text).items()}
        assert {key: value for key, value in found.items() if re.fullmatch(r"[AB]\d", key)} == expected and len(
            expected
        ) == 6
    finally:
        running.sh("rm -r /etc/systemd/system/beacon.service.d /etc/beacon/more; systemctl daemon-reload")


def test_the_unit_lets_a_node_ask_for_its_own_addresses(running: Server) -> None:
    assert running.sh("beacon-remote rpc ':inet.getifaddrs() |> elem(0) |> IO.inspect()'").strip() == ":ok"


def test_a_shell_in_the_node(running: Server) -> None:
    assert ':"beacon@127.0.0.1"' in running.sh("beacon-remote rpc 'IO.inspect(Node.self())'")
    assert "usage" in running.sh("beacon-remote stop 2>&1 || true") and running.pid()
    script = "/srv/beacon/releases/0.1.0/releases/0.1.0/env.sh"
    running.sh("cp -p %s /root/env.sh; echo 'export RELEASE_NODE=named-$PORT@127.0.0.1' >> %s" % (script, script))
    try:
        assert running.restart(force=True)["after"]["node"] == "named-4000@127.0.0.1"
        assert ':"named-4000@127.0.0.1"' in running.sh("beacon-remote rpc 'IO.inspect(Node.self())'")
        assert running.module("beam_info")["answers"]
    finally:
        running.sh("cp -p /root/env.sh %s; systemctl restart beacon" % script)


def test_a_node_with_heart_that_restarts_itself(running: Server) -> None:
    """systemd ends heart together with its node, so its command never runs, and starts the node again by itself."""
    script, drop = "/srv/beacon/releases/0.1.0/releases/0.1.0/vm.args", "/run/systemd/system/beacon.service.d"
    running.sh(
        "cp -p %s /root/vm.args; echo -heart >> %s; echo HEART_COMMAND='/srv/beacon/current/bin/beacon daemon' >> /etc/beacon/env"
        % (script, script)
    )
    try:
        running.restart()
        pid, boot = running.pid(), running.answer()["boot_id"]
        # Within its process: nothing that a restart has to prove.
        running.sh("beacon-remote rpc 'System.restart()' 2>&1 || true")
        eventually(lambda: "boot_id" in (said := running.sh("curl -s %s || true" % URL)) and boot not in said)
        assert running.pid() == pid and not running.restart()["changed"]
        running.sh("kill -9 %d" % pid)
        info = eventually(lambda: (found := running.module("beam_info"))["restarts"] and found["running"] and found)
        assert info["restarts"] == 1
        # The node runs before it has started its heart.
        eventually(lambda: running.sh("pgrep -c '^beam|^heart' || true").strip() == "2")
        done = running.restart(force=True)
        assert done["escalated"] != "kill" and running.sh("pgrep -c '^beam|^heart'").strip() == "2"
        # It ends without a fault, which is no reason for systemd to start it again, unless it is told to.
        running.sh(
            "mkdir -p %s; printf '[Service]\\nRestart=always\\n' > %s/always.conf; systemctl daemon-reload"
            % (drop, drop)
        )
        running.sh("beacon-remote rpc ':init.reboot()' 2>&1 || true")
        assert (
            eventually(lambda: (found := running.module("beam_info"))["restarts"] and found["running"] and found)[
                "restarts"
            ]
            == 1
        )
    finally:
        running.sh(
            "cp -p /root/vm.args %s; sed -i /HEART_COMMAND/d /etc/beacon/env; rm -rf %s; systemctl daemon-reload"
            % (script, drop)
        )


def test_a_changed_environment_is_noticed(running: Server) -> None:
    running.sh("touch /etc/beacon/env")
    assert running.restart()["reason"] == "its configuration changed after it had started"
    assert running.restart()["changed"] is False


def test_masked_and_missing_units_stop_nothing(running: Server) -> None:
    pid = running.pid()
    running.current("0.2.0")
    assert running.restart(fails=True, unit="nosuch")["error"]["code"] == "unit_missing"
    running.sh(
        "mv /etc/systemd/system/beacon.service /root/; ln -s /dev/null /etc/systemd/system/beacon.service; systemctl daemon-reload"
    )
    try:
        assert running.restart(fails=True)["error"]["code"] == "unit_masked"
        assert running.module("beam_restart", fails=True, check=True)["error"]["code"] == "unit_masked"
    finally:
        running.sh(
            "rm /etc/systemd/system/beacon.service; mv /root/beacon.service /etc/systemd/system/; systemctl daemon-reload"
        )
    assert running.pid() == pid


def test_a_missing_cookie_stops_nothing(running: Server) -> None:
    pid = running.pid()
    running.current("0.2.0")
    running.sh("mv /var/lib/beacon/.erlang.cookie /root/cookie")
    try:
        assert running.restart(fails=True)["error"]["code"] == "cookie_missing" and running.pid() == pid
    finally:
        running.sh("mv /root/cookie /var/lib/beacon/.erlang.cookie")


@pytest.mark.parametrize("fault", ["boot_error", "crash_loop:200", "exit0:200", "never_healthy"])
def test_a_version_that_does_not_live_and_the_way_back(running: Server, fault: str) -> None:
    running.fault(fault)
    running.current("0.2.0")
    failed = running.restart(fails=True, health={"stable": 4, "within": 3})
    assert failed["error"]["code"] in ("node_died", "unhealthy") and failed["changed"] is True and failed["log"]
    assert SECRET not in json.dumps(failed["log"])
    running.fault()
    running.current("0.1.0")
    assert running.restart()["after"]["version"] == "0.1.0"


def test_a_setting_that_is_wrong_is_told_and_not_blamed(running: Server) -> None:
    running.sh("cp -p /etc/beacon/env /etc/beacon/env.kept; echo PORT=many >> /etc/beacon/env")
    try:
        failed = running.restart(fails=True)
        assert failed["error"]["code"] == "misconfigured" and failed["cause"] == "setting_invalid", (
            failed["error"],
            failed["crash"],
            failed["log"],
        )
        assert "not a textual representation of an integer" in failed["msg"] and "beam_env" in failed["error"]["next"]
        # Nothing of the process before, which was told to end.
        assert failed["log"] and not [line for line in failed["log"] if "SIGTERM" in line or "Stopping" in line], (
            failed["log"]
        )
        assert "not a textual representation" in running.module("beam_info")["why"]
        # A unit that systemd can't even start: its words are translated. One without its user is refused before that.
        running.sh(
            "mv /etc/beacon/env.kept /etc/beacon/env; systemctl stop beacon; mkdir -p /run/systemd/system/beacon.service.d"
        )
        for line, code, said in (
            ("WorkingDirectory=/not-there", "misconfigured", "systemd can't enter the working directory of the unit"),
            ("User=nobody-here", "user_missing", "nobody-here"),
        ):
            running.sh(
                "printf '[Service]\\n%s\\n' > /run/systemd/system/beacon.service.d/line.conf; systemctl daemon-reload"
                % line
            )
            failed = running.restart(fails=True)
            assert failed["error"]["code"] == code and said in failed["msg"], (failed["error"], failed["log"])
    finally:
        running.sh("rm -rf /run/systemd/system/beacon.service.d; systemctl daemon-reload")
        running.sh("[ ! -e /etc/beacon/env.kept ] || mv /etc/beacon/env.kept /etc/beacon/env")
    assert running.restart()["after"]["version"] == "0.1.0" and running.module("beam_info")["why"] is None


def test_a_unit_that_gave_up_is_started_again(running: Server) -> None:
    again = (
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do systemctl start --no-block beacon; systemctl stop beacon; done 2>&1"
    )
    # However long these starts take.
    drop = "/run/systemd/system/beacon.service.d"
    running.sh(
        "mkdir -p %s; printf '[Unit]\\nStartLimitIntervalSec=1h\\n' > %s/long.conf; systemctl daemon-reload"
        % (drop, drop)
    )
    try:
        assert "start-limit-hit" in running.sh(
            "systemctl stop beacon; %s; systemctl start beacon 2>&1; systemctl show --property=Result beacon" % again
        )
        assert running.restart()["after"]["version"] == "0.1.0"
    finally:
        running.sh("rm -r %s; systemctl daemon-reload; systemctl reset-failed beacon" % drop)


def test_hang_on_stop_and_a_frozen_vm_are_killed_at_the_deadline(running: Server) -> None:
    running.fault("hang_on_stop")
    running.restart(force=True)
    done = running.restart(force=True, stop_timeout=2)
    assert done["escalated"] == "kill" and 2 <= done["seconds"]["stop"] < STOP_TIMEOUT
    running.fault()
    running.sh("kill -STOP %d" % running.pid())
    done = running.restart(force=True, stop_timeout=2)
    assert (
        done["escalated"] == "kill"
        and 2 <= done["seconds"]["stop"] < STOP_TIMEOUT
        and done["after"]["pid"] == running.pid()
    )


def test_a_stop_during_early_boot_is_heard(running: Server) -> None:
    running.sh("systemctl stop beacon; systemctl start --no-block beacon; sleep 0.25")
    done = running.module("beam_restart", state="stopped")
    assert done["after"] is None and done["escalated"] != "kill" and running.pid() == 0
    assert running.module("beam_restart", state="stopped")["changed"] is False
    assert running.module("beam_info")["running"] is False


def test_systemd_brings_a_killed_node_back_and_a_reboot_too(running: Server) -> None:
    running.sh("kill -9 %d" % running.pid())
    info = eventually(lambda: (found := running.module("beam_info"))["restarts"] and found["running"] and found)
    assert info["restarts"] == 1
    running.current("0.2.0")
    running.hosts.fleet("reboot", "h1")
    # It is active before it has become the node.
    eventually(lambda: running.module("beam_info")["version"] == "0.2.0")
