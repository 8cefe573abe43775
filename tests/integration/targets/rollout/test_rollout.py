# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks over two nodes of this machine: what a person types, and what is true afterwards."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import typing as t
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_ports

import playbooks


@dataclass
class Run:
    code: int
    text: str
    report: dict[str, t.Any]

    def changed(self) -> int:
        return sum(int(n) for n in re.findall(r"changed=(\d+)", self.text))


class Fleet:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = free_ports(4)
        self.ports = {"a": ports[0], "b": ports[1]}
        self.inventory = {
            "all": {
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "beam_name": "beacon",
                    "beam_repo": str(directory / "repo"),
                    "beam_build_dir": str(directory / "build"),
                    "beam_store": "file://%s" % (directory / "store"),
                    "beam_manager": "daemon",
                    "beam_batches": [1, "100%"],
                    "beam_stop_timeout": 10,
                    "beam_boot_timeout": 20,
                    "beam_health": {
                        "http": {
                            "url": "http://127.0.0.1:{{ beam_port }}/health",
                            "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
                        },
                        "within": 6,
                        "passes": 2,
                        "interval": 0.3,
                        "stable": 0.5,
                    },
                }
            },
            "beam": {
                "hosts": {
                    host: {
                        "beam_base": str(directory / "nodes" / host),
                        "beam_port": self.ports[host],
                        "beam_env": {"PORT": str(self.ports[host])},
                        "service_node": "beacon_%s_%d@127.0.0.1" % (host, self.ports[host]),
                        "service_dist_port": ports[2 + index],
                    }
                    for index, host in enumerate(self.ports)
                }
            },
        }
        (directory / "inventory.json").write_text(json.dumps(self.inventory))
        subprocess.run(
            [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(directory / "repo")],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def play(self, name: str, *arguments: str, **variables: t.Any) -> Run:
        report = self.directory / "report.json"
        report.unlink(missing_ok=True)
        given = json.dumps({"beam_report": str(report), **variables})
        inventory = str(self.directory / "inventory.json")
        done = playbooks.run(
            ["ansible-playbook", "-i", inventory, "-e", given, "alchemist.beam." + name, *arguments],
            env={
                **os.environ,
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live"),
            },
        )
        print(done.stdout)
        return Run(done.returncode, done.stdout, json.loads(report.read_text()) if report.exists() else {})

    def answers(self) -> dict[str, tuple[str, int]]:
        """Version and OS pid, as each node itself says."""
        found = {}
        for host, port in self.ports.items():
            with urllib.request.urlopen("http://127.0.0.1:%d/health" % port, timeout=5) as answer:
                body = json.load(answer)
            found[host] = (body["version"], int(body["pid"]))
        return found

    def versions(self) -> dict[str, str]:
        return {host: version for host, (version, _pid) in self.answers().items()}

    def channel(self, name: str = "production") -> dict[str, t.Any]:
        return json.loads((self.directory / "store" / "beacon" / "channels" / (name + ".json")).read_text())

    def same(self, before: tuple[t.Any, t.Any]) -> None:
        answers, files = before
        now = self.everything()
        assert sorted(path for path in {**files, **now} if files.get(path) != now.get(path)) == []
        assert self.answers() == answers

    def everything(self) -> dict[str, tuple[int, int]]:
        """Every file that a playbook may write to, but the logs and run-time files of the nodes themselves."""
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for top in ("store", "nodes", "build")
            for path in sorted((self.directory / top).rglob("*"))
            if "/shared/" not in str(path) and "/.git" not in str(path)
        }


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    assert made.play("setup").code == 0
    try:
        yield made
    finally:
        assert made.play("stop").code == 0


def test_1_a_first_version_that_fails_leaves_nothing_behind(fleet: Fleet) -> None:
    run = fleet.play("deploy", beam_ref="v0.3.0", beam_channel="trial")
    assert run.code != 0
    assert [row["outcome"] for row in run.report["rows"]] == ["returned", "skipped"]
    for host, port in fleet.ports.items():
        assert not (fleet.directory / "nodes" / host / "current").is_symlink()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert fleet.channel("trial")["stable"] is None
    assert [g["version"] for g in fleet.channel("trial")["ghosts"]] == ["0.3.0"]


def test_2_deploy(fleet: Fleet) -> None:
    run = fleet.play("deploy", beam_ref="v0.1.0")
    assert run.code == 0 and run.report["succeeded"]
    assert fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
    assert fleet.channel()["stable"]["version"] == "0.1.0" and fleet.channel()["candidate"] is None


def test_3_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before, files = fleet.answers(), fleet.everything()
    run = fleet.play("deploy", beam_ref="v0.1.0", beam_report="")
    assert run.code == 0 and run.changed() == 0
    fleet.same((before, files))


def test_4_check_mode_tells_and_writes_nothing(fleet: Fleet) -> None:
    assert fleet.play("build", beam_ref="v0.2.0").code == 0
    before, files = fleet.answers(), fleet.everything()
    run = fleet.play("deploy", "--check", "--diff", beam_ref="v0.2.0", beam_report="")
    assert run.code == 0
    assert re.search(
        r"beacon 0\.2\.0 \(commit [0-9a-f]{12}\) is not in the store yet\. It is built, and would be published",
        run.text,
    )
    fleet.same((before, files))
    # Published, it can be rehearsed to the end.
    assert fleet.play("distribute", "-e", json.dumps({"distribute_path": _tree(fleet, "0.2.0")})).code == 0
    files = fleet.everything()
    run = fleet.play("rollout", "--check", "--diff", beam_version="0.2.0", beam_report="")
    assert run.code == 0 and "would run on 2 of 2 hosts" in run.text
    fleet.same((before, files))
    # Nor is it staged for a rehearsal of a hot upgrade, so what speaks against that is not known.
    run = fleet.play("upgrade", "--check", beam_version="0.2.0", beam_report="")
    assert run.code == 0 and "would run on 2 of 2 hosts" in run.text and "upgrade without a restart" in run.text
    fleet.same((before, files))


def _tree(fleet: Fleet, version: str) -> str:
    found = [p for p in (fleet.directory / "build").rglob("beacon-%s-*" % version) if p.is_dir()]
    assert len(found) == 1
    return str(found[0])


def test_5_the_second_version_moves_only_what_changed(fleet: Fleet) -> None:
    run = fleet.play("deploy", beam_ref="v0.2.0")
    assert run.code == 0
    assert fleet.versions() == {"a": "0.2.0", "b": "0.2.0"}
    release = run.report["published"]["bytes"]["release"]
    assert all(0 < row["fetched"] < 0.05 * release for row in run.report["rows"])


def test_6_a_bad_version_touches_one_batch_and_goes_back(fleet: Fleet) -> None:
    before = fleet.answers()
    run = fleet.play("deploy", beam_ref="v0.3.0")
    after = fleet.answers()
    assert run.code != 0 and not run.report["succeeded"]
    assert [row["outcome"] for row in run.report["rows"]] == ["returned", "skipped"]
    assert {host: version for host, (version, _pid) in after.items()} == {"a": "0.2.0", "b": "0.2.0"}
    assert after["b"] == before["b"], "the second batch must not have been touched"
    channel = fleet.channel()
    assert channel["stable"]["version"] == "0.2.0" and [g["version"] for g in channel["ghosts"]] == ["0.3.0"]
    assert "does not become healthy" in run.report["verdict"]


def test_7_a_ghost_is_refused_before_anything_moves(fleet: Fleet) -> None:
    before, files = fleet.answers(), fleet.everything()
    run = fleet.play("rollout", beam_version="0.3.0")
    assert run.code != 0 and "it is a ghost since" in run.text
    fleet.same((before, files))


def test_8_a_later_batch_that_fails_takes_the_earlier_ones_back(fleet: Fleet) -> None:
    before = fleet.answers()
    # 0.1.0 is fine on a; on b its gate asks for what no version says.
    health = {
        "http": {
            "url": "http://127.0.0.1:{{ beam_port }}/health",
            "json": {"ready": "{{ inventory_hostname == 'a' or rollout_expected_version == '0.2.0' }}"},
        },
        "within": 3,
        "passes": 1,
        "stable": 0,
    }
    run = fleet.play("rollout", beam_version="0.1.0", beam_health=health)
    assert run.code != 0
    assert [row["outcome"] for row in run.report["rows"]] == ["returned", "returned"]
    assert fleet.versions() == {"a": "0.2.0", "b": "0.2.0"}
    assert fleet.answers()["a"] != before["a"]
    assert fleet.channel()["stable"]["version"] == "0.2.0"


def test_9_rollback_and_its_own_rollback(fleet: Fleet) -> None:
    # 0.1.0 became a ghost above, although it is what ran before: rolling back to it has to be said.
    refused = fleet.play("rollback")
    assert refused.code != 0 and "it is a ghost since" in refused.text
    run = fleet.play("rollback", rollout_force=True)
    assert run.code == 0 and fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
    assert all(row["fetched"] == 0 for row in run.report["rows"])
    assert fleet.channel()["stable"]["version"] == "0.1.0"
    again = fleet.play("rollback")
    assert again.code != 0 and "0.2.0" in again.text and "it is a ghost since" in again.text
    assert fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}


def test_10_status_shows_drift(fleet: Fleet) -> None:
    current = fleet.directory / "nodes" / "a" / "current"
    current.unlink()
    current.symlink_to("releases/0.2.0")
    run = fleet.play("status")
    current.unlink()
    current.symlink_to("releases/0.1.0")
    assert run.code == 0
    table = run.report["table"]
    assert "runs another version than current" in table[1] and table[2].split()[:4] == ["b", "0.1.0", "0.1.0", "0.1.0"]


def test_11_a_host_that_is_away_is_no_ghost(fleet: Fleet) -> None:
    away = json.loads((fleet.directory / "inventory.json").read_text())
    away["beam"]["hosts"]["b"].update(ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=9)
    (fleet.directory / "inventory.json").write_text(json.dumps(away))
    before = fleet.channel()["ghosts"]
    run = fleet.play("rollout", beam_version="0.2.0", rollout_force=True)
    (fleet.directory / "inventory.json").write_text(json.dumps(fleet.inventory))
    assert run.code != 0
    assert fleet.versions() == {"a": "0.1.0", "b": "0.1.0"} and fleet.channel()["ghosts"] == before


def test_12_a_host_that_is_lost_half_way_does_not_strand_the_others(fleet: Fleet) -> None:
    before = fleet.channel()
    lost = json.loads((fleet.directory / "inventory.json").read_text())
    lost["beam"]["hosts"]["b"].update(
        ansible_host="127.0.0.1",
        ansible_port=9,
        ansible_connection="{{ 'local' if ((hostvars['a'].rollout_done | default({})).answers | default({})).restart is not defined else 'ssh' }}",
    )
    (fleet.directory / "inventory.json").write_text(json.dumps(lost))
    run = fleet.play("rollout", beam_version="0.2.0", rollout_force=True)
    (fleet.directory / "inventory.json").write_text(json.dumps(fleet.inventory))
    assert run.code != 0
    assert [row["outcome"] for row in run.report["rows"]] == ["returned", "unreachable"]
    assert fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
    after = fleet.channel()
    assert after["candidate"] is None and after["stable"] == before["stable"]


def test_13_a_server_that_is_not_ready_is_no_ghost(fleet: Fleet) -> None:
    before = fleet.channel()["ghosts"]
    env = fleet.directory / "nodes" / "a" / "shared" / "beacon.env"
    env.chmod(0o644)
    run = fleet.play("rollout", beam_version="0.2.0", rollout_force=True, beam_on_failure="halt")
    env.chmod(0o600)
    assert run.code != 0 and "others can read it" in run.report["verdict"]
    assert fleet.play("rollout").code == 0
    assert (
        fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
        and [g for g in fleet.channel()["ghosts"] if g not in before] == []
    )


def test_14_what_can_be_known_to_be_wrong_is_refused_before_anything_is_done(fleet: Fleet) -> None:
    before = fleet.answers(), fleet.everything()
    run = fleet.play("rollout", beam_hosts="nobody")
    assert run.code != 0 and "matches no host" in run.text
    for playbook in ("deploy", "setup", "status"):
        run = fleet.play(playbook, beam_ref="v0.2.0", beam_heatlh={})
        assert run.code != 0 and "beam_heatlh: did you mean beam_health?" in run.text and run.changed() == 0
    wrong = {
        "beam_batches": "abc",
        "beam_min_healthy": "100%",
        "beam_hooks": {"leav": "/nowhere.yml"},
        "beam_canary": {"on_no_traffic": "stop"},
    }
    run = fleet.play("deploy", "--check", beam_ref="v0.2.0", **wrong)
    assert run.code != 0 and run.changed() == 0
    for words in (
        "can't be 'abc'",
        "no host could ever be restarted",
        "beam_hooks.leav: did you mean leave?",
        "must be one of: pass, fail, got: stop",
    ):
        assert words in run.text
    assert fleet.play("rollout", beam_ticket=7, beam_own_variables=["beam_ticket"]).code == 0
    fleet.same(before)


def test_15_settings_that_only_setup_writes_are_named(fleet: Fleet) -> None:
    before = fleet.answers()
    changed = {"PORT": "{{ beam_port }}", "PHX_SERVER": "hunter2"}
    run = fleet.play("rollout", beam_env=changed, beam_health={})
    assert run.code == 0 and fleet.answers() == before
    notes = [
        note for note in run.report["notes"] if "alchemist.beam.setup --limit" in note
    ]  # each host has a base of its own
    assert (
        len(notes) == 2
        and all("new: PHX_SERVER. " in note and "PORT" not in note for note in notes)
        and "hunter2" not in run.text
    )
    assert fleet.play("setup", beam_env=changed).code == 0
    run = fleet.play("rollout", beam_env=changed, beam_health={"stable": 0})
    # Now the nodes are what is behind, and the plan says that nobody asks what a user would.
    assert run.code == 0 and all(fleet.answers()[host][1] != pid for host, (_version, pid) in before.items())
    assert (
        not [note for note in run.report["notes"] if "alchemist.beam.setup" in note]
        and "neither http nor tcp" in run.text
    )


class Load(threading.Thread):
    """Counts up on both nodes, one request after the other, each on a connection of its own."""

    def __init__(self, ports: t.Mapping[str, int]) -> None:
        super().__init__(daemon=True)
        self.ports = ports
        self.counts: dict[str, list[int]] = {host: [] for host in ports}
        self.failed: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            for host in self.ports:
                self.ask(host)
            time.sleep(0.005)

    def ask(self, host: str) -> None:
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/counter" % self.ports[host], timeout=5) as answer:
                self.counts[host].append(int(json.load(answer)["count"]))
        except (OSError, ValueError) as exc:
            self.failed.append("%s: %r" % (host, exc))

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.over.set()
        self.join(10)


def test_16_hot_under_load_and_hot_again_on_the_way_back(fleet: Fleet) -> None:
    before, files = fleet.answers(), fleet.everything()
    pids = {host: pid for host, (_version, pid) in before.items()}
    hot = {"beam_strategy": "hot", "rollout_force": True, "beam_version": "0.2.0"}
    run = fleet.play("rollout", "--check", "--diff", **{**hot, "beam_report": ""})
    assert run.code == 0 and run.text.count("upgrade without a restart") >= 2 and "would run on 2 of 2" in run.text
    fleet.same((before, files))
    with Load(fleet.ports) as load:
        # On b the gate asks for what only the version before says: b goes back, and then a, which had moved.
        wrong = {
            "http": {
                "url": "http://127.0.0.1:{{ beam_port }}/health",
                "json": {"version": "{{ '0.1.0' if inventory_hostname == 'b' else rollout_expected_version }}"},
            },
            **{"within": 2, "passes": 1, "stable": 0},
        }
        run = fleet.play("rollout", **hot, beam_health=wrong)
        assert run.code != 0 and [row["outcome"] for row in run.report["rows"]] == ["returned", "returned"]
        assert fleet.answers() == before, "both run what they ran, in the same processes"
        assert not run.report["blame"]
        run = fleet.play("rollout", **hot)
        assert run.code == 0 and fleet.answers() == {host: ("0.2.0", pid) for host, pid in pids.items()}
    assert load.failed == []
    for host, counts in load.counts.items():
        assert counts == list(range(counts[0], counts[0] + len(counts))), "state was lost on %s" % host
    print("requests: %d, failed: 0" % sum(map(len, load.counts.values())))
    assert [row["outage"] for row in run.report["rows"]] == [0.0, 0.0] and fleet.channel()["stable"][
        "version"
    ] == "0.2.0"
    assert "Upgraded without a restart: a, b." in run.text
    # Nobody takes them for the version that they were booted from.
    run = fleet.play("rollout", beam_report="")
    assert run.code == 0 and run.changed() == 0 and "there was nothing to do" in run.text
    table = fleet.play("status").report["table"]
    assert all(line.split()[1:4] == ["0.2.0"] * 3 and "upgraded hot from 0.1.0" in line for line in table[1:3])


def test_17_hot_where_that_can_be_and_a_restart_where_not(fleet: Fleet) -> None:
    os.utime(fleet.directory / "nodes" / "b" / "shared" / "beacon.env")
    before, files = fleet.answers(), fleet.everything()
    back = {"rollout_force": True, "beam_version": "0.1.0"}
    run = fleet.play("upgrade", **back)
    assert run.code != 0 and "1 of 2 hosts can't be upgraded without a restart: b: its settings" in re.sub(
        r"\s+", " ", run.text
    )
    fleet.same((before, files))
    run = fleet.play("upgrade", **back, beam_on_blocked="restart")
    assert run.code == 0 and fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
    after = fleet.answers()
    assert after["a"][1] == before["a"][1] and after["b"][1] != before["b"][1]
    # A restart boots what is current, cold.
    assert fleet.play("restart").code == 0 and fleet.versions() == {"a": "0.1.0", "b": "0.1.0"}
    assert not [line for line in fleet.play("status").report["table"] if "upgraded hot" in line]


def test_18_new_settings_without_a_release_and_back_where_they_fail(fleet: Fleet) -> None:
    meant = {"PORT": "{{ beam_port }}", "BEACON_SECRET": "hunter2hunter2"}
    before, files = fleet.answers(), [fleet.directory / "nodes" / host / "shared" / "beacon.env" for host in "ab"]
    texts = [file.read_text() for file in files]
    run = fleet.play("env", "--check", beam_env=meant)
    assert run.code == 0 and run.text.count("new: BEACON_SECRET") >= 2 and "hunter2" not in run.text
    assert fleet.answers() == before and [file.read_text() for file in files] == texts
    run = fleet.play("env", beam_env=meant)
    assert run.code == 0 and [row["outcome"] for row in run.report["rows"]] == ["moved", "moved"]
    assert "hunter2" not in run.text and run.report["kind"] == "restart"
    now = fleet.answers()
    for host, (_version, pid) in now.items():
        assert pid != before[host][1] and b"BEACON_SECRET=hunter2hunter2" in Path("/proc/%d/environ" % pid).read_bytes()
    run = fleet.play("env", beam_env=meant)
    assert run.code == 0 and run.changed() == 0 and fleet.answers() == now
    # On b it is a setting with which no node boots: both go back, to what they had.
    broken = {**meant, "BEACON_FAULT": "{{ 'boot_error' if inventory_hostname == 'b' else 'none' }}"}
    texts = [file.read_text() for file in files]
    run = fleet.play("env", beam_env=broken)
    assert run.code != 0 and [row["outcome"] for row in run.report["rows"]] == ["returned", "returned"]
    assert fleet.versions() == {host: version for host, (version, _pid) in now.items()}
    assert [file.read_text() for file in files] == texts
    for _version, pid in fleet.answers().values():
        assert b"BEACON_FAULT" not in Path("/proc/%d/environ" % pid).read_bytes()
    assert not [path for file in files for path in file.parent.glob("beacon.env?*")]
