# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instance refreshes that really replace instances."""

from __future__ import annotations

import sys
import threading
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
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
        return ansible(
            "alchemist.beam.autoscaling_refresh",
            {"group": "web", "wait_timeout": 20, **cloud.options, **options},
            directory,
            *more,
        )

    return run


def test_a_refresh_replaces_every_instance_and_the_second_one_none(
    cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]
) -> None:
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


def test_an_alarm_brings_the_former_configuration_back_and_the_task_fails(
    cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]
) -> None:
    version = cloud.template("web")
    cloud.clients["cloudwatch"].put_metric_alarm(
        AlarmName="5xx", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1
    )
    cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="OK", StateReason="x")
    threading.Timer(
        3, lambda: cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="ALARM", StateReason="x")
    ).start()
    result = refresh(launch_template={"name": "web", "version": version}, bake=60, alarms=["5xx"])
    assert result["exit"] != 0 and result["error"]["code"] == "refresh_rolled_back" and "5xx" in result["msg"], result
    assert cloud.versions("web") == ["2"] * 3 and cloud.raw("web")["LaunchTemplate"]["Version"] == "2"


def test_one_that_goes_on_is_followed_refused_or_ended(
    cloud: Cloud, refresh: t.Callable[..., dict[str, t.Any]]
) -> None:
    cloud.clients["cloudwatch"].set_alarm_state(AlarmName="5xx", StateValue="OK", StateReason="x")
    third = {"name": "web", "version": "3"}
    slow = refresh(launch_template=third, bake=60, wait_timeout=2)
    assert slow["exit"] != 0 and slow["error"]["code"] == "refresh_unfinished", slow
    assert refresh(launch_template={"name": "web", "version": "1"})["error"]["code"] == "refresh_in_progress"
    assert refresh(launch_template=third, wait_timeout=1)["error"]["code"] == "refresh_unfinished"
    result = refresh(state="rolled_back")
    assert (
        result["changed"] and result["refresh"]["status"] == "RollbackSuccessful" and cloud.versions("web") == ["2"] * 3
    ), result
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
