# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts through two target groups of an Application Load Balancer (the double's), on hosts that know neither boto3 nor a key."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from line import ROOT, Line
from loaded import FRONT, until_it_flows

HOSTS = ("h1", "h2")
AWS = """
import boto3, json, sys
at = json.loads(sys.argv[1])
elb = boto3.client("elbv2", endpoint_url=at["endpoint_url"], region_name=at["region"],
                   aws_access_key_id=at["access_key"], aws_secret_access_key=at["secret_key"])
def found(arn):
    lines = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {line["Target"]["Id"]: line["TargetHealth"]["State"] for line in lines}
"""
SECOND = (
    AWS
    + """
options = {"Protocol": "HTTP", "Port": 4000, "VpcId": at["vpc"], "HealthCheckPath": "/health", "TargetType": "instance"}
arn = elb.create_target_group(Name="second", **options)["TargetGroups"][0]["TargetGroupArn"]
elb.create_listener(LoadBalancerArn=at["load_balancer"], Protocol="HTTP", Port=81, DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}])
elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance} for instance in at["instances"].values()])
print(arn)
"""
)
LOOK = AWS + "print(json.dumps([found(arn) for arn in sys.argv[2:]]))\n"


class Groups:
    """Two target groups with the same hosts, as the double tells of them."""

    def __init__(self, hosts: t.Any) -> None:
        self.hosts = hosts
        self.at = hosts.services()["aws"]
        self.arns = [self.at["target_group"], self._python(SECOND).strip()]

    def _python(self, script: str, *words: str) -> str:
        return str(self.hosts.control(*self.argv(script, *words)))

    def argv(self, script: str, *words: str) -> list[str]:
        return [sys.executable, "-c", script, json.dumps(self.at), *words]

    def look(self) -> list[dict[str, str]]:
        return [
            {host: group[instance] for host, instance in self.at["instances"].items()}
            for group in json.loads(self._python(LOOK, *self.arns))
        ]


@pytest.fixture(scope="module")
def groups(hosts: t.Any) -> Groups:
    hosts.fleet("up", str(len(HOSTS)), "--aws", "--balancer", "--s3", timeout=580)
    return Groups(hosts)


@pytest.fixture(scope="module")
def line(hosts: t.Any, groups: Groups, tmp_path_factory: pytest.TempPathFactory) -> Line:
    directory = tmp_path_factory.mktemp("line")
    hook = directory / "look.yml"
    hook.write_text(
        json.dumps(
            [
                {
                    "name": "See what the target groups say of a host that is about to restart",
                    "delegate_to": "localhost",
                    "become": False,
                    "register": "looked",
                    "ansible.builtin.command": {"argv": groups.argv(LOOK, *groups.arns)},
                    "changed_when": False,
                },
                {
                    "name": "Keep it",
                    "delegate_to": "localhost",
                    "become": False,
                    "ansible.builtin.copy": {
                        "content": "{{ looked.stdout }}",
                        "dest": "%s/looked-{{ inventory_hostname }}" % directory,
                        "mode": "0644",
                    },
                },
            ]
        )
    )
    keys, s3 = ("endpoint_url", "region", "access_key", "secret_key"), hosts.services()["s3"]
    made = Line(
        hosts,
        directory,
        HOSTS,
        ["0.1.0", "0.2.0", "1.0.0-never-healthy"],
        beam_store="s3://%s/alb" % s3["bucket"],
        beam_store_options={key: s3[key] for key in keys},
        beam_balancers=[{"kind": "alb", "target_groups": groups.arns, **{key: groups.at[key] for key in keys}}],
        beam_member={"target": "{{ fleet_instance_id }}"},
        beam_hooks={"before_restart": str(hook)},
        service_env={"PORT": "4000", "BEACON_IP": "0.0.0.0"},
    )
    made.prepare()
    made.playbook("setup", "alchemist.beam.rollout", "-e", "beam_version=0.1.0")
    made.assert_all_run("0.1.0")
    return made


class Load:
    """Requests through the balancer that both target groups stand for."""

    def __init__(self, line: Line, name: str) -> None:
        self.out = line.directory / (name + ".json")
        argv = [
            str(ROOT / "tests/fleet/fleet"),
            "--name",
            line.hosts.name,
            "run",
            "--",
            "python",
            str(ROOT / "tests/fleet/load.py"),
            FRONT,
        ]
        self.argv = [
            *argv,
            "--rate",
            "30",
            "--slow",
            "2:3000",
            "--stream",
            "6:5000",
            "--drain-ms",
            "30000",
            "--out",
            str(self.out),
        ]
        self.result: dict[str, t.Any] = {}

    def __enter__(self) -> Load:
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        until_it_flows(self.out)
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        said, _nothing = self.process.communicate(timeout=60)
        assert self.out.exists(), said
        self.result = json.loads(self.out.read_text(encoding="utf-8"))

    def assert_all_answered(self, least: int) -> None:
        assert self.result["failed"] == 0, self.result.get("first_failures")
        assert self.result["requests"] > least and self.result["clients"]["stream"]["cut"] == 0


def layers(line: Line) -> dict[str, set[str]]:
    return {host: set(line.hosts.on(host, "ls", "/srv/beacon/layers").split()) for host in HOSTS}


def given(line: Line, host: str) -> list[set[str]]:
    """Of each module that reads a release on the host and ran since, the layers that it got URLs for: what Ansible sent is kept there."""
    each = "grep -Eo '/layers/[0-9a-f]{64}' $f | sort -u | tr '\\n' ' '; echo"
    names = " -o ".join("-name AnsiballZ_%s.py" % name for name in ("release_install", "rollout_look", "rollout_host"))
    script = "for f in $(find ~root/.ansible/tmp %s); do %s; done" % (names, each)
    return [
        {word.rpartition("/")[2] for word in found.split()} for found in line.hosts.shell(host, script).splitlines()
    ]


def test_hosts_leave_both_groups_and_fetch_what_they_lack_by_urls_alone(line: Line, groups: Groups) -> None:
    for host in HOSTS:
        line.hosts.shell(
            host, "! python3 -c 'import boto3' 2>/dev/null && test ! -e ~root/.aws && rm -rf ~root/.ansible/tmp"
        )
    before = layers(line)
    inventories = line.inventories()
    argv = ["env", "ANSIBLE_KEEP_REMOTE_FILES=1", "ANSIBLE_PIPELINING=0", "ansible-playbook", "-vvv"]
    with Load(line, "rolling") as load:
        done = line.hosts.try_fleet(
            "run", "--", *argv, *inventories, "alchemist.beam.rollout", "-e", "beam_version=0.2.0", timeout=400
        )
        assert done.returncode == 0, done.stdout[-8000:]
    line.assert_all_run("0.2.0")
    load.assert_all_answered(300)
    assert groups.look() == [dict.fromkeys(HOSTS, "healthy")] * 2
    after = layers(line)
    for host in HOSTS:
        lacked = after[host] - before[host]
        # Asked what it lacks, with URLs of the documents only; staged; pointed at it and restarted without the store.
        assert lacked and sorted(map(len, given(line, host))) == [0, 0, 0, len(lacked)] and lacked in given(line, host)
        looked = json.loads((line.directory / ("looked-" + host)).read_text())
        assert [group.get(groups.at["instances"][host], "gone") for group in looked] == ["gone", "gone"]
        assert all(set(group.values()) == {"healthy"} for group in looked), looked
    report = line.report()
    assert [row["outcome"] for row in report["rows"]] == ["moved"] * len(HOSTS) and report["totals"]["cut"] == 0
    assert all(row["drain"] > 0 and row["join"] > 0 for row in report["rows"])
    store = {
        "store": "{{ beam_store }}",
        **{key: "{{ fleet_s3.%s }}" % key for key in ("endpoint_url", "region", "access_key", "secret_key")},
    }
    asked = json.dumps({"name": "beacon", "channel": "production", **store})
    kept = line.hosts.control("ansible", *inventories, "localhost", "-m", "alchemist.beam.rollout_info", "-a", asked)
    assert report["id"] in kept and '"events"' in kept  # the journal and the history, as they are in the store
    for text in (done.stdout, json.dumps(report), kept):
        for word in (line.hosts.services()["s3"]["secret_key"], "X-Amz-Signature", "X-Amz-Credential"):
            assert word not in text


def test_a_bad_version_goes_back_into_both_groups(line: Line, groups: Groups) -> None:
    before = line.pids()
    with Load(line, "bad") as load:
        line.playbook(
            "rollout",
            "-e",
            "beam_version=1.0.0-never-healthy",
            "-e",
            json.dumps(
                {
                    "beam_health": {
                        "http": {
                            "url": "http://127.0.0.1:4000/health",
                            "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
                        },
                        "within": "{{ 5 if rollout_expected_version == '1.0.0-never-healthy' else 60 }}",
                    }
                }
            ),
            expect=2,
        )
    load.assert_all_answered(180)
    assert set(load.result["versions"]) == {"0.2.0"}
    line.assert_all_run("0.2.0")
    assert [host for host in HOSTS if before[host] != line.pid(host)] == ["h1"]
    assert groups.look() == [dict.fromkeys(HOSTS, "healthy")] * 2
    report = line.report()
    assert [row["outcome"] for row in report["rows"]] == ["returned", "skipped"] and report["blame"]
