# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes on one real systemd host: the next release starts beside the one that serves. The tests are one story and run in this order."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact

sys.path.insert(0, str(Path(__file__).parent))
from instances import eventually

if t.TYPE_CHECKING:
    from conftest import Hosts

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests" / "integration" / "targets" / "setup_node" / "build.sh"
BASE = "/srv/beacon"
SECRET = "canary-of-the-colours"
PORTS = {"": 4000, "blue": 4001, "green": 4002}
COLORS = ["blue", "green"]


class Server:
    def __init__(self, hosts: Hosts, where: Path) -> None:
        self.hosts = hosts
        self.where = where

    def role(self, *words: str, **options: t.Any) -> str:
        given = {
            "beam_name": "beacon",
            "beam_base": BASE,
            "beam_env": {"PORT": 4000, "BEACON_SECRET": SECRET},
            **options,
        }
        file = self.where / "play.json"
        file.write_text(
            json.dumps(
                [
                    {
                        "hosts": "beam",
                        "gather_facts": False,
                        "become": True,
                        "vars": given,
                        "roles": ["alchemist.beam.service"],
                    }
                ]
            )
        )
        done = self.hosts.try_fleet("run", "--", "ansible-playbook", str(file), *words)
        assert SECRET not in done.stdout
        return str(done.stdout)

    def module(self, module: str, fails: str = "", /, **options: t.Any) -> dict[str, t.Any]:
        given = (
            json.dumps({"name": "beacon", "base": BASE, **options})
            if module.startswith("alchemist")
            else json.dumps(options)
        )
        done = self.hosts.try_fleet("run", "--", "ansible", "h1", "--become", "-m", module, "-a", given)
        assert SECRET not in done.stdout
        result = dict(json.loads(done.stdout[done.stdout.index("=> {") + 3 : done.stdout.rindex("}") + 1]))
        assert (done.returncode != 0) is bool(fails) and result.get("error", {}).get("code", "") == fails, done.stdout
        return result

    def install(self, state: str, **options: t.Any) -> dict[str, t.Any]:
        return self.module("alchemist.beam.release_install", store="file:///srv/store", state=state, **options)

    def restart(self, color: str, fails: str = "", **options: t.Any) -> dict[str, t.Any]:
        health = {
            "http": {"url": "http://127.0.0.1:%d/health" % PORTS[color], "json": {"ready": True}},
            "passes": 2,
            "interval": 0.1,
            "within": 6 if fails == "unhealthy" else 60,
        }
        return self.module("alchemist.beam.beam_restart", fails, pointer=color or "current", health=health, **options)

    def info(self, **options: t.Any) -> dict[str, t.Any]:
        return self.module("alchemist.beam.beam_info", **{"colors": COLORS, **options})

    def enable(self, unit: str, enabled: bool) -> None:
        self.module("ansible.builtin.systemd_service", name=unit, enabled=enabled)

    def answer(self, color: str) -> dict[str, t.Any]:
        """What the application says; empty where nothing listens."""
        done = self.hosts.try_fleet(
            "exec", "h1", "curl", "-sS", "--max-time", "3", "http://127.0.0.1:%d/health" % PORTS[color]
        )
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def sh(self, script: str) -> str:
        return self.hosts.shell("h1", script).strip()

    def unit(self, color: str, key: str) -> str:
        return self.sh("systemctl show --value --property=%s beacon%s" % (key, "-" + color if color else ""))


@pytest.fixture(scope="module")
def server(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Server:
    where = tmp_path_factory.mktemp("colors")
    versions = ("0.1.0", "0.2.0", "0.3.0")
    subprocess.run([str(BUILD), str(where), *versions], check=True, stdin=subprocess.DEVNULL)
    (where / "store").mkdir()
    for version in versions:
        path = str(where / "releases" / version)
        run_artifact(
            {
                "store": "file://%s" % (where / "store"),
                "state": "present",
                "path": path,
                "name": "beacon",
                "version": version,
            },
            False,
        )
    subprocess.run(
        ["tar", "-C", str(where), "-czf", str(where / "store.tgz"), "--owner=0", "--group=0", "--mode=go+rX", "store"],
        check=True,
    )
    hosts.fleet("up", "1")
    made = Server(hosts, where)
    made.module("ansible.builtin.unarchive", src=str(where / "store.tgz"), dest="/srv")
    return made


def test_colours_come_to_a_host_that_has_one_node(server: Server) -> None:
    assert "failed=0" in server.role()
    server.install("active", version="0.1.0")
    server.restart("")
    pid = server.unit("", "MainPID")
    colored: dict[str, t.Any] = {
        "service_colors": COLORS,
        "service_color_env": {"blue": {"PORT": 4001}, "green": {"PORT": 4002}},
    }
    assert "failed=0" in server.role("--check", **colored)
    assert "failed=0" in server.role(**colored)
    assert "changed=0" in server.role(**colored)
    info = server.info()
    assert (info["live"], info["idle"], info["running"], info["version"], str(info["pid"])) == (
        None,
        "blue",
        True,
        "0.1.0",
        pid,
    )
    assert [server.unit(color, "UnitFileState") for color in ("", *COLORS)] == ["enabled", "disabled", "disabled"]


def test_a_migration_runs_as_the_service_does(server: Server) -> None:
    server.install("staged", version="0.2.0")
    said = 'IO.puts(elem(System.cmd("id", ["-un"]), 0)); IO.inspect({System.get_env("PORT"), Node.alive?(), File.cwd!()}); '
    said += 'IO.puts(System.get_env("BEACON_SECRET"))'
    done = server.module("alchemist.beam.beam_migrate", version="0.2.0", expression=said, pointer="blue")
    assert done["output"] == ["beacon", '{"4001", false, "/var/lib/beacon"}', "********"]
    assert (
        server.module("alchemist.beam.beam_migrate", version="0.2.0", expression=said, pointer="blue")["changed"]
        is False
    )
    assert server.sh("stat -c '%%a %%U' %s/shared/migrations %s" % (BASE, done["log_file"])).splitlines() == [
        "700 root",
        "600 root",
    ]
    assert server.sh("ls -d /run/migrate-* 2>/dev/null || true") == "" and SECRET not in server.sh(
        "cat %s/shared/migrations/*" % BASE
    )


def switch(server: Server, version: str) -> dict[str, t.Any]:
    """What a rollout does on one host: everything in this order, so that at each moment something serves and would come back after a reboot."""
    before = server.info()
    live, idle = before["live"], before["idle"]
    server.install("active", version=version, pointer=idle)
    started = server.restart(idle, expect_version=version)
    assert started["after"]["version"] == version
    both = [server.answer(color) for color in (live or "", idle)]
    assert (
        both[0]["version"] == before["version"]
        and both[1]["version"] == version
        and both[0]["boot_id"] != both[1]["boot_id"]
    )
    # Here a balancer takes the one in and lets the other one go.
    server.install("active", version=version)
    server.enable("beacon-%s" % idle, True)
    middle = server.info()
    old = "beacon-%s" % live if live else "beacon"
    assert middle["live"] == idle and (middle["idle"] == live if live else True)
    server.enable(old, False)
    server.module("alchemist.beam.beam_restart", state="stopped", unit=old)
    assert server.answer(live or "") == {} and server.answer(idle)["boot_id"] == both[1]["boot_id"]
    after = server.info()
    assert (after["live"], after["version"], after["drift"], after["enabled"]) == (idle, version, False, True)
    return after


def test_from_the_one_node_to_blue(server: Server) -> None:
    after = switch(server, "0.1.0")
    assert after["live"] == "blue" and after["colors"]["blue"]["node"] == "beacon-blue@127.0.0.1"
    assert server.unit("", "ActiveState") == "inactive"


def test_from_blue_to_green_beside_it(server: Server) -> None:
    after = switch(server, "0.2.0")
    assert (
        after["live"] == "green"
        and after["colors"]["blue"]["points_at"] == "0.1.0"
        and after["colors"]["green"]["points_at"] == "0.2.0"
    )


def test_a_version_that_is_not_healthy_does_not_touch_the_one_that_serves(server: Server) -> None:
    pid = server.unit("green", "MainPID")
    server.install("active", version="0.3.0", pointer="blue")
    server.restart("blue", fails="unhealthy")
    assert (
        server.unit("green", "MainPID") == pid
        and server.answer("green")["version"] == "0.2.0"
        and server.info()["live"] == "green"
    )
    listening = server.sh("ss -Hltn | awk '{print $4}'").split()
    assert {"127.0.0.1:4371", "127.0.0.1:4372", "127.0.0.1:4002"} <= set(listening) and not [
        address for address in listening if address.endswith(":4369")
    ]
    assert server.sh("stat -c '%a %U' /run/beacon-blue /run/beacon-green").splitlines() == ["700 beacon"] * 2
    # Neither what a colour points at nor what it runs is removed, however few are kept.
    assert server.install("active", version="0.2.0", keep=1)["pruned"] == []
    server.module("alchemist.beam.release_install", "release_current", version="0.3.0", state="absent")
    server.install("inactive", pointer="blue")
    assert server.install("active", version="0.2.0", keep=1)["pruned"] == []
    server.module("alchemist.beam.beam_restart", state="stopped", pointer="blue")
    assert server.install("active", version="0.2.0", keep=1)["pruned"] == ["0.3.0"]


def test_the_same_version_again_and_a_run_that_was_cut_off(server: Server) -> None:
    """Both run the same: only what is started at boot tells them apart."""
    server.install("active", version="0.2.0", pointer="blue")
    server.restart("blue")
    assert server.info()["live"] == "green"
    server.enable("beacon-blue", True)
    server.enable("beacon-green", False)
    info = server.info()
    assert (info["live"], info["idle"]) == ("blue", "green") and info["colors"]["green"]["running"]
    server.enable("beacon-green", True)
    server.enable("beacon-blue", False)
    assert server.restart("blue", state="stopped")["action"] == "stop" and server.info()["live"] == "green"


def test_after_a_reboot_the_one_that_served_serves(server: Server) -> None:
    server.hosts.fleet("reboot", "h1")
    eventually(lambda: server.answer("green"))
    info = server.info()
    assert (info["live"], info["version"], info["colors"]["blue"]["running"]) == (
        "green",
        "0.2.0",
        False,
    ) and server.answer("") == {}


def test_a_deploy_that_lost_its_lock_restarts_nothing(server: Server) -> None:
    pid = server.unit("green", "MainPID")
    server.install("active", version="0.2.0", fence=5, fence_channel="production")
    server.restart("green", fails="lock_lost", force=True, fence=4, fence_channel="production")
    assert server.unit("green", "MainPID") == pid
    assert server.restart("green", force=True, fence=5, fence_channel="production")["changed"]
