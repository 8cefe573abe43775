# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instance refreshes that really replace instances, and rollouts that know the group's members better than the inventory does."""

from __future__ import annotations

import json
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "support")]
import rollout_site
from cloud import Cloud, ansible


@pytest.fixture(scope="module")
def cloud() -> t.Iterator[Cloud]:
    made = Cloud()
    yield made
    made.close()


@pytest.fixture(scope="module")
def refresh(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> t.Callable[..., dict[str, t.Any]]:
    cloud.template("web")
    cloud.group("web", 3)
    cloud.template("web")
    directory = tmp_path_factory.mktemp("tmp")

    def run(*more: str, **options: t.Any) -> dict[str, t.Any]:
        return ansible("alchemist.beam.autoscaling_refresh", {"group": "web", "wait_timeout": 20, **cloud.options, **options}, directory, *more)

    return run


def test_a_refresh_replaces_every_instance_and_the_second_one_none(cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]) -> None:
    before = cloud.members("web")
    template = {"name": "web", "version": "$Latest"}
    assert refresh("--check", launch_template=template)["changed"] and cloud.members("web") == before
    result = refresh(launch_template=template, checkpoints=[30], checkpoint_delay=1, bake=1)
    assert result["exit"] == 0 and result["changed"] and result["refresh"]["status"] == "Successful", result
    assert cloud.versions("web") == ["2"] * 3 and not set(before) & set(cloud.members("web"))
    assert cloud.raw("web")["LaunchTemplate"]["Version"] == "2"
    assert sorted(one["instance_id"] for one in result["members"]) == sorted(cloud.members("web"))
    now = cloud.members("web")
    again = refresh(launch_template=template)
    assert not again["changed"] and cloud.members("web") == now
    assert refresh(skip_matching=False)["changed"] and not set(now) & set(cloud.members("web"))


def test_an_alarm_brings_the_former_configuration_back_and_the_task_fails(cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]) -> None:
    version = cloud.template("web")
    cloud.clients["cloudwatch"].put_metric_alarm(AlarmName="5xx", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1)
    cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="OK", StateReason="x")
    threading.Timer(3, lambda: cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="ALARM", StateReason="x")).start()
    result = refresh(launch_template={"name": "web", "version": version}, bake=60, alarms=["5xx"])
    assert result["exit"] != 0 and result["error"]["code"] == "refresh_rolled_back" and "5xx" in result["msg"], result
    assert cloud.versions("web") == ["2"] * 3 and cloud.raw("web")["LaunchTemplate"]["Version"] == "2"


def test_one_that_goes_on_is_followed_refused_or_ended(cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]) -> None:
    cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="OK", StateReason="x")
    third = {"name": "web", "version": "3"}
    slow = refresh(launch_template=third, bake=60, wait_timeout=2)
    assert slow["exit"] != 0 and slow["error"]["code"] == "refresh_unfinished", slow
    assert refresh(launch_template={"name": "web", "version": "1"})["error"]["code"] == "refresh_in_progress"
    assert refresh(launch_template=third, wait_timeout=1)["error"]["code"] == "refresh_unfinished"
    result = refresh(state="rolled_back")
    assert result["changed"] and result["refresh"]["status"] == "RollbackSuccessful" and cloud.versions("web") == ["2"] * 3, result
    assert not refresh(state="cancelled")["changed"]


def test_what_aws_would_wait_for_is_refused(cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]) -> None:
    third = {"name": "web", "version": "3"}
    cloud.autoscaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    assert refresh(launch_template=third)["error"]["code"] == "group_suspended"
    cloud.autoscaling.resume_processes(AutoScalingGroupName="web")
    hook = {"AutoScalingGroupName": "web", "LifecycleHookName": "CodeDeploy-managed-automatic-launch-deployment-hook-x"}
    cloud.autoscaling.put_lifecycle_hook(**hook, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    assert refresh(launch_template=third)["error"]["code"] == "group_codedeploy"
    cloud.autoscaling.delete_lifecycle_hook(**hook)
    assert cloud.versions("web") == ["2"] * 3
    assert refresh(group="wbe")["error"]["code"] == "group_missing"


class Site(rollout_site.Site):
    """Three instances, of which the inventory knows the first one; what else it says is said of the group."""

    def __init__(self, directory: Path, trees: t.Mapping[str, Path], cloud: Cloud) -> None:
        cloud.template("shop")
        super().__init__(
            directory, trees, cloud.group("shop", 3), beam_min_healthy=1, beam_autoscaling_options=cloud.options, beam_autoscaling_wait=5,
        )  # fmt: skip
        self.whole = {**self.inventory}
        places = self.inventory["beam"]["hosts"]
        known = {key: "{{ places[inventory_hostname].%s }}" % key for key in next(iter(places.values()))}
        self.inventory["all"]["vars"]["places"] = places
        self.inventory["beam"] = {"hosts": {self.hosts[0]: {}}, "vars": {**known, "beam_autoscaling_group": "shop"}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> t.Iterator[Site]:
    trees = rollout_site.build(tmp_path_factory.mktemp("built"), "0.1.0", "0.2.0")
    made = Site(tmp_path_factory.mktemp("site") / "s", trees, cloud)
    try:
        made.write(made.whole)
        assert made.play("setup").code == 0
        assert made.play("rollout", beam_version="0.1.0").code == 0
        made.write(made.inventory)
        yield made
    finally:
        made.close()


def test_status_shows_every_member_of_the_group(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    run = site.play("status")
    assert run.code == 0
    rows = {line.split()[0]: line for line in run.report["table"]}
    assert set(site.hosts) <= set(rows)
    assert "not in the inventory" not in rows[site.hosts[0]]
    assert "not in the inventory, InService in shop" in rows[site.hosts[1]] and "not in the inventory, Pending:Wait in shop" in rows[site.hosts[2]]


def test_a_rollout_takes_members_along_and_brings_home_who_came_meanwhile(site: Site, cloud: Cloud) -> None:
    """The third one is on its way in when the rollout begins, looks at the channel before it is promoted, and serves when it is swept."""
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    mark = site.directory / "promoting"
    hook = site.directory / "hook.yml"
    hook.write_text('[{"ansible.builtin.file": {"path": "%s", "state": "touch"}, "delegate_to": "localhost"}]' % mark)

    def arrive() -> None:
        while not mark.exists():
            time.sleep(0.1)
        cloud.set_state("shop", site.hosts[2], "InService")

    thread = threading.Thread(target=arrive, daemon=True)
    thread.start()
    run = site.play("rollout", beam_version="0.2.0", beam_hooks={"before_promote": str(hook)})
    mark.touch()
    thread.join()
    assert run.code == 0 and site.versions() == dict.fromkeys(site.hosts, "0.2.0")
    assert {row["host"]: row["outcome"] for row in run.report["rows"]} == dict.fromkeys(site.hosts, "moved")
    assert sorted(site.witness.samples[-1].serving) == sorted(site.hosts)
    again = site.play("rollout")
    assert again.code == 0 and "there was nothing to do" in again.text and len(again.report["rows"]) == 3


def test_a_sweep_that_fails_is_told_and_leaves_nothing_open(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    state = Path(site.bases[site.hosts[2]]) / "state.json"
    kept = state.read_bytes()
    hook = site.directory / "spoil.yml"
    arrive = {"ansible.builtin.command": {"argv": ["touch", str(site.directory / "arrives")]}, "delegate_to": "localhost"}
    spoil = {"ansible.builtin.copy": {"content": "{", "dest": str(state), "mode": "preserve"}, "delegate_to": "localhost"}
    hook.write_text(json.dumps([spoil, arrive]))

    def come() -> None:
        while not (site.directory / "arrives").exists():
            time.sleep(0.1)
        cloud.set_state("shop", site.hosts[2], "InService")

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    run = site.play("rollout", beam_version="0.1.0", beam_hooks={"before_promote": str(hook)})
    (site.directory / "arrives").touch()
    thread.join()
    assert run.code != 0 and "state.json" in run.report["reason"], run.report
    assert site.stable() == "0.1.0" and [site.versions()[host] for host in site.hosts] == ["0.1.0", "0.1.0", "0.2.0"]
    assert site.document("journal")["state"] == "finished" and site.document("locks")["holder"] is None
    state.write_bytes(kept)
    assert site.play("rollout", beam_version="0.2.0", beam_force=True).code == 0 and site.versions() == dict.fromkeys(site.hosts, "0.2.0")


def test_who_is_still_on_the_way_in_is_left_to_itself(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    before = site.answers()[site.hosts[2]]
    run = site.play("rollout", beam_version="0.1.0")
    assert run.code == 0 and [site.versions()[host] for host in site.hosts] == ["0.1.0", "0.1.0", "0.2.0"]
    assert site.answers()[site.hosts[2]] == before
    assert any("on the way into the auto scaling group" in note and site.hosts[2] in note for note in run.report["notes"])
    # It failed to look, and serves: the next rollout finds the drift, though the one host that the inventory knows is right.
    cloud.set_state("shop", site.hosts[2], "InService")
    assert "not what the channel says" in next(line for line in site.play("status").report["table"] if line.startswith(site.hosts[2]))
    assert site.play("rollout").code == 0 and site.versions() == dict.fromkeys(site.hosts, "0.1.0")


def test_a_group_that_cannot_be_seen_ends_it_before_anything_is_touched(site: Site) -> None:
    before = site.answers()
    run = site.play("rollout", beam_version="0.2.0", beam_autoscaling_group="shpo")
    assert run.code != 0 and "There is no auto scaling group shpo" in run.line and site.answers() == before
