# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The balancer, the double of AWS and the load generator of the fixture: what tests of rollouts believe about them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from instances import HOOK_SECONDS, Aws, eventually, states

if t.TYPE_CHECKING:
    from conftest import Hosts

ROOT = Path(__file__).resolve().parents[2]
STUB = (ROOT / "tests" / "fleet" / "stub.py").read_text(encoding="utf-8")


def run_stub(hosts: Hosts, host: str, version: str) -> None:
    hosts.shell(
        host, 'until [ "$(systemctl show --property=LoadState --value stub)" = not-found ]; do sleep 0.05; done'
    )  # the former one is collected
    hosts.on(host, "systemd-run", "--quiet", "--collect", "--unit=stub", "python3", "-c", STUB, version)


@pytest.fixture(scope="module")
def pair(hosts: Hosts) -> Hosts:
    hosts.fleet("up", "2", "--balancer", "--aws", timeout=580)
    for host in ("h1", "h2"):
        run_stub(hosts, host, host)
    eventually(lambda: all(status == "UP" for status in states(hosts).values()))
    return hosts


def answers(hosts: Hosts, count: int = 10) -> set[str]:
    """Who answers through the balancer."""
    words = ["curl", "-sS", "--fail-with-body"] + [hosts.services()["balancer"]["url"] + "/"] * count
    return {json.loads(line + "}")["version"] for line in hosts.control(*words).split("}") if line.strip()}


@pytest.fixture(scope="module")
def aws(pair: Hosts) -> t.Iterator[Aws]:
    made = Aws(pair)
    yield made
    made.process.terminate()
    made.process.wait(timeout=60)


def targets(hosts: Hosts, *names: str) -> list[dict[str, str]]:
    return [{"Id": hosts.services()["aws"]["instances"][name]} for name in names]


class Held:
    """A request that is in flight until it is released, and the server that it is at."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        words = [str(ROOT / "tests/fleet/fleet"), "--name", hosts.name, "run", "--", "curl", "-sS", "--fail-with-body"]
        url = hosts.services()["balancer"]["url"] + "/held"
        self.process = subprocess.Popen([*words, url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.host = eventually(lambda: next((name for name, row in rows(hosts).items() if row[3] == "1"), None))

    def ends(self) -> str:
        """The version that answered."""
        self.hosts.on(self.host, "touch", "/run/released")
        said = self.process.communicate(timeout=240)[0]
        self.hosts.on(self.host, "rm", "/run/released")
        return str(json.loads(said)["version"])


def rows(hosts: Hosts) -> dict[str, list[str]]:
    """The balancer's table: server, status, check, sessions, requests, 5xx, errors."""
    lines = [line.split() for line in hosts.fleet("balancer").splitlines()[1:]]
    return {line[0]: line for line in lines}


def healthy(hosts: Hosts, *names: str) -> None:
    """All of these are asked, as the balancer sees it."""
    eventually(lambda: all(states(hosts)[name] == "UP" for name in names))
    eventually(lambda: answers(hosts) == set(names))


def test_balancer_asks_all_hosts_and_notices_one_that_stopped(pair: Hosts) -> None:
    healthy(pair, "h1", "h2")
    pair.on("h2", "systemctl", "stop", "stub")
    eventually(lambda: states(pair)["h2"] == "DOWN")
    assert answers(pair) == {"h1"}
    run_stub(pair, "h2", "h2")
    eventually(lambda: states(pair)["h2"] == "UP")


def test_runtime_api_drains_on_both_sockets(pair: Hosts) -> None:
    healthy(pair, "h1", "h2")
    request = Held(pair)
    busy, other = request.host, {"h1": "h2", "h2": "h1"}[request.host]
    pair.fleet("balancer", "set", "server", "app/" + busy, "state", "drain")
    assert answers(pair) == {other}
    assert request.ends() == busy  # what was in flight came to its end
    address, port = pair.services()["balancer"]["address"].split(":")
    script = (
        "import socket, sys; s = socket.create_connection((%r, %s)); s.sendall(sys.argv[1].encode()); print(s.recv(100))"
        % (address, port)
    )
    pair.control(sys.executable, "-c", script, "set server app/%s state ready\n" % busy)
    healthy(pair, "h1", "h2")


def test_target_group_is_the_balancers_backend(pair: Hosts, aws: Aws) -> None:
    eventually(lambda: aws.targets("describe_target_health") == {"h1": "healthy", "h2": "healthy"})
    request = Held(pair)
    busy, other = request.host, {"h1": "h2", "h2": "h1"}[request.host]
    aws.targets("deregister_targets", Targets=targets(pair, busy))
    assert aws.targets("describe_target_health")[busy] == "draining"
    assert answers(pair) == {other}
    assert request.ends() == busy
    eventually(lambda: aws.targets("describe_target_health", Targets=targets(pair, busy)) == {busy: "unused"})
    eventually(lambda: aws.targets("describe_target_health") == {other: "healthy"})
    pair.on(busy, "systemctl", "stop", "stub")
    what = {"TargetGroupArn": pair.services()["aws"]["target_group"], "Targets": targets(pair, busy)}
    aws.ask("elbv2", "register_targets", what)
    assert (
        aws.ask("elbv2", "describe_target_health", what)["TargetHealthDescriptions"][0]["TargetHealth"]["State"]
        == "initial"
    )
    assert answers(pair) == {other}
    run_stub(pair, busy, busy)
    eventually(lambda: aws.targets("describe_target_health")[busy] == "healthy")
    healthy(pair, "h1", "h2")


def load(hosts: Hosts, during: t.Callable[[], None]) -> dict[str, t.Any]:
    """The load generator, and something that is done to the hosts once all of its clients were answered, by both of them."""
    out = hosts.directory / "load.json"
    out.unlink(missing_ok=True)
    words = ["--rate", "200", "--slow", "20:1000", "--stream", "30:1500", "--every", "250", "--out", str(out)]
    argv = [
        str(ROOT / "tests/fleet/fleet"),
        "--name",
        hosts.name,
        "run",
        "--",
        sys.executable,
        str(ROOT / "tests/fleet/load.py"),
    ]
    process = subprocess.Popen(
        [*argv, hosts.services()["balancer"]["url"], *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: out.exists() and _under_way(json.loads(out.read_text())))
        during()
    finally:
        process.terminate()
        process.wait(timeout=240)
    found: dict[str, t.Any] = json.loads(out.read_text())
    assert process.returncode == (1 if found["failed"] else 0) and found["running"] is False
    assert _under_way(found), found
    return found


def _under_way(found: dict[str, t.Any]) -> bool:
    kinds = [found["clients"][kind]["ok"] > 2 for kind in ("keepalive", "fresh", "slow", "stream")]
    return found["requests"] > 300 and set(found["versions"]) == {"h1", "h2"} and all(kinds)


def cut(hosts: Hosts, path: str) -> int:
    """Requests of this path that ended with their server h1, as the balancer's log has it."""
    log = (hosts.directory / "balancer" / "haproxy.log").read_text(encoding="utf-8", errors="replace")
    return len(re.findall(r' app/h1 \S+ -?\d+ \d+ - - S\S-- .*"GET %s\?' % path, log))


def test_load_counts_nothing_when_a_server_is_drained_first(pair: Hosts) -> None:
    def drain_then_kill() -> None:
        pair.fleet("balancer", "set", "server", "app/h1", "state", "drain")
        eventually(lambda: rows(pair)["h1"][3] == "0")
        pair.on("h1", "systemctl", "kill", "--signal=KILL", "stub")
        run_stub(pair, "h1", "h1")
        pair.fleet("balancer", "set", "server", "app/h1", "state", "ready")
        eventually(lambda: states(pair)["h1"] == "UP")
        before = int(rows(pair)["h1"][4])
        eventually(lambda: int(rows(pair)["h1"][4]) > before)

    healthy(pair, "h1", "h2")
    found = load(pair, drain_then_kill)
    assert found["failed"] == 0, found["first_failures"]


def test_load_counts_what_fails_when_a_server_is_killed(pair: Hosts) -> None:
    def kill() -> None:
        pair.on("h1", "systemctl", "kill", "--signal=KILL", "stub")
        eventually(lambda: states(pair)["h1"] == "DOWN")
        run_stub(pair, "h1", "h1")
        eventually(lambda: states(pair)["h1"] == "UP")

    healthy(pair, "h1", "h2")
    before = [cut(pair, path) for path in ("/stream", "/slow")]
    found = load(pair, kill)
    # About half of the long requests were there, by chance: streams, which end early, and slow ones, which the balancer answers.
    streams, slow = (cut(pair, path) - was for path, was in zip(("/stream", "/slow"), before))
    # One that had no header yet when its server died is answered by the balancer, whichever of the two it is.
    assert 1 <= streams == sum(found["clients"]["stream"]["failures"].values()) <= 30, (streams, found)
    assert set(found["clients"]["stream"]["failures"]) - {"5xx"} == {"abnormal_close"}, found
    assert 1 <= slow == found["clients"]["slow"]["failures"]["5xx"] <= 20, (slow, found)
    assert (
        found["failed"]
        == sum(found["failures"].values())
        == sum(client["failed"] for client in found["clients"].values())
    )
    assert (
        found["failed"] == len(found["first_failures"])
        and sum(second[2] for second in found["timeline"]) == found["failed"]
    )


def test_a_host_that_is_added_joins_the_balancer_and_the_target_group(pair: Hosts, aws: Aws) -> None:
    pair.fleet("up", "3")
    assert pair.services()["balancer"]["servers"] == ["h1", "h2", "h3"]
    run_stub(pair, "h3", "h3")
    eventually(lambda: states(pair)["h3"] == "UP")
    eventually(lambda: aws.targets("describe_target_health").get("h3") == "healthy")
    healthy(pair, "h1", "h2", "h3")
    variables = json.loads(pair.control("ansible-inventory", "--host", "h3"))
    assert (
        variables["fleet_balancer"]["url"] == "http://10.99.0.1:8080"
        and variables["fleet_instance_id"] == pair.services()["aws"]["instances"]["h3"]
    )


def test_an_auto_scaling_group_starts_and_ends_hosts(pair: Hosts, aws: Aws) -> None:
    at = pair.services()["aws"]
    group = {"AutoScalingGroupName": "app"}
    aws.scaling(
        "create_launch_configuration", LaunchConfigurationName="app", ImageId="ami-12c6146b", InstanceType="t3.micro"
    )
    options = {
        "MinSize": 0,
        "MaxSize": 9,
        "VPCZoneIdentifier": at["subnet"],
        "LaunchConfigurationName": "app",
        "TargetGroupARNs": [at["target_group"]],
    }
    aws.scaling("create_auto_scaling_group", **group, **options)
    aws.scaling("attach_instances", **group, InstanceIds=[at["instances"]["h1"]])
    for name in ("launching", "terminating"):
        transition = "autoscaling:EC2_INSTANCE_" + name.upper()
        aws.scaling(
            "put_lifecycle_hook",
            **group,
            LifecycleHookName=name,
            LifecycleTransition=transition,
            HeartbeatTimeout=HOOK_SECONDS,
        )
    assert aws.instances() == {"h1": "InService"}

    aws.scaling("set_desired_capacity", **group, DesiredCapacity=2)
    eventually(lambda: "h4" in pair.services()["aws"]["instances"])
    eventually(lambda: aws.instances() == {"h1": "InService", "h4": "Pending:Wait"})
    assert pair.fleet("ssh", "h4", "hostname").strip() == "h4"
    run_stub(pair, "h4", "h4")
    assert "h4" not in answers(pair) and "h4" not in aws.targets("describe_target_health")
    instance = pair.services()["aws"]["instances"]["h4"]
    done = {**group, "InstanceId": instance, "LifecycleActionResult": "CONTINUE"}
    aws.scaling("complete_lifecycle_action", **done, LifecycleHookName="launching")
    eventually(lambda: aws.instances()["h4"] == "InService")
    eventually(lambda: aws.targets("describe_target_health")["h4"] == "healthy" and "h4" in answers(pair))

    terminate = {"InstanceId": instance, "ShouldDecrementDesiredCapacity": True}
    aws.scaling("terminate_instance_in_auto_scaling_group", **terminate)
    eventually(lambda: aws.instances()["h4"] == "Terminating:Wait")
    assert "h4" not in answers(pair) and pair.status()["h4"]["state"] == "on"
    aws.scaling("complete_lifecycle_action", **done, LifecycleHookName="terminating")
    eventually(lambda: aws.instances() == {"h1": "InService"})
    assert pair.status()["h4"]["state"] == "off"
    pair.fleet("add", "h5")
    assert {host: one["state"] for host, one in pair.status().items()} == {
        "h1": "on",
        "h2": "on",
        "h3": "on",
        "h4": "off",
        "h5": "on",
    }
