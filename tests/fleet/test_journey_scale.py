# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phases 5 and 7 of docs/journey.md: its commands and inventories as they stand there, before a double of AWS whose groups launch real systemd hosts.

The environment says where AWS is, as it does for every AWS tool; servers have none, so the inventory's group_vars tell them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fleet")]

from instances import Aws, eventually, instance_of
from line import changes
from reader import Reader

HOSTS = {"build1": "h1", "app1": "h2", "image1": "h3"}
LAYERS = "ls /srv/beacon/layers"


class Scaler(Reader):
    aws: Aws

    def go(self) -> None:
        self.prepare()
        subprocess.run(
            [str(ROOT / "tests" / "support" / "setup.sh"), "awscollections"], stdin=subprocess.DEVNULL, check=True
        )
        self.ansible["ANSIBLE_COLLECTIONS_PATH"] = "%s:%s" % (
            ROOT / ".cache" / "live",
            ROOT / ".cache" / "awscollections",
        )
        services = self.hosts.services()
        s3, at = services["s3"], services["aws"]
        elsewhere = {"AWS_ENDPOINT_URL_" + name: at["endpoint_url"] for name in ("AUTO_SCALING", "EC2", "IAM", "STS")}
        self.environment.update(
            elsewhere,
            BEAM_STORE="s3://%s/journey" % s3["bucket"],
            AWS_ENDPOINT_URL=s3["endpoint_url"],
            AWS_REGION=s3["region"],
            AWS_ACCESS_KEY_ID=s3["access_key"],
            AWS_SECRET_ACCESS_KEY=s3["secret_key"],
            ALCHEMIST=str(self.directory / "alchemist"),
            BEAM_IMAGE=at["image"],
            BEAM_SUBNETS=at["subnet"],
            BEAM_USER="deploy",
            IMAGE_HOST="image1",
            IMAGE_INSTANCE=instance_of(self.hosts, "h3"),
        )
        shutil.copytree(ROOT / "examples", self.directory / "alchemist" / "examples")
        mine = self.directory / "alchemist" / "examples" / "journey" / "group_vars"
        mine.mkdir()
        doubles = {"endpoint_url": at["endpoint_url"], "metadata_url": services["cloud"]["metadata_url"]}
        less = {"bootstrap_drain": 2, "bootstrap_jitter": 1, "bootstrap_heartbeat": 5, "bootstrap_deadline": 120}
        (mine / "all.yml").write_text(json.dumps({"bootstrap_aws": doubles, **less}), encoding="utf-8")
        self.aws = Aws(self.hosts, "ec2")

    def members(self, number: int) -> list[str]:
        """Who serves, and nobody else is there."""
        return sorted(eventually(lambda: self._members(number)))

    def _members(self, number: int) -> dict[str, str]:
        found = self.aws.instances()
        return found if list(found.values()) == ["InService"] * number else {}

    def assert_born(self, version: str, hosts: t.Iterable[str]) -> None:
        """On this version, and by themselves: the bootstrap starts the node, so its unit is not enabled."""
        for host in hosts:
            health = self.line.health(host)
            assert (self.line.runs(host), health.get("version"), health.get("ready")) == (version, version, True), (
                "%s: %s" % (host, health)
            )
            assert self.hosts.try_fleet("exec", host, "systemctl", "is-enabled", "beacon").stdout.strip() == "disabled"

    def layers(self, host: str) -> set[str]:
        return set(self.hosts.shell(host, LAYERS).split())


@pytest.fixture(scope="module")
def scaler(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Scaler]:
    hosts.fleet("up", str(len(HOSTS)), "--cloud", timeout=580)
    made = Scaler(hosts, tmp_path_factory.mktemp("scale"), HOSTS)
    made.go()
    yield made
    made.aws.process.terminate()
    made.aws.process.wait(timeout=60)


def test_phase_5_a_group(scaler: Scaler) -> None:
    said = scaler.types("phase-5", slice(0, 1))
    assert scaler.members(1) == ["h4"]
    scaler.assert_run("0.1.0", ["h2"])
    scaler.assert_born("0.1.0", ["h4"])
    assert re.search(r"%s .*not in the inventory, InService in beacon" % instance_of(scaler.hosts, "h4"), said)


def test_phase_5_a_deploy_moves_who_is_there_and_who_comes_later_boots_it(scaler: Scaler) -> None:
    first = instance_of(scaler.hosts, "h4")
    said = scaler.types("phase-5", slice(1, 2))
    assert re.search(r"%s +moved +0\.1\.0 +0\.2\.0" % first, said)
    assert "runs on 2 of 2 hosts" in said  # app1 and h4: h5 was born afterwards
    assert scaler.members(2) == ["h4", "h5"] and instance_of(scaler.hosts, "h4") == first
    scaler.assert_run("0.2.0", ["h2"])
    scaler.assert_born("0.2.0", ["h4", "h5"])
    assert scaler.hosts.shell("h5", "ls /srv/beacon/releases").split() == ["0.2.0"]  # it never had the other one


def test_phase_7_an_image_replaces_the_servers(scaler: Scaler) -> None:
    before = {instance_of(scaler.hosts, host) for host in scaler.members(2)}
    said = scaler.types("phase-7", slice(0, 1))
    image = re.search(r"export BEAM_IMAGE=(ami-\w+)", said)
    assert image
    said = scaler.types("phase-7", slice(1, 2), BEAM_IMAGE=image.group(1))
    now = scaler.members(2)
    new = {instance_of(scaler.hosts, host) for host in now}
    assert len(new) == 2 and not new & before
    scaler.assert_born("0.2.0", now)
    assert set(re.findall(r"(i-\w+) .*not in the inventory, InService in beacon", said)) == new
    found = scaler.aws.ask("ec2", "describe_instances", {"InstanceIds": sorted(new)})["Reservations"]
    assert {one["ImageId"] for line in found for one in line["Instances"]} == {image.group(1)}
    # The image had the release, and nothing was set up by user data.
    for host in now:
        assert scaler.layers(host) == scaler.layers("h3")
        assert scaler.hosts.try_fleet("exec", host, "ls", "/var/lib/cloud/instance/scripts/part-001").returncode != 0
    assert changes(scaler.types("phase-7", slice(1, 2), BEAM_IMAGE=image.group(1))) == []
    assert {instance_of(scaler.hosts, host) for host in scaler.members(2)} == new
