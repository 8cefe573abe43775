# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instance refreshes: what is asked of AWS, what is refused, and that success is not claimed by accident."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.groups import run_info, translate
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.refresh import request_of, run_refresh
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

DEFAULTS: dict[str, t.Any] = {
    "group": "shop",
    "state": "refreshed",
    "launch_template": None,
    "min_healthy": 90,
    "max_healthy": None,
    "warmup": None,
    "checkpoints": [],
    "checkpoint_delay": 3600,
    "bake": 0,
    "alarms": [],
    "auto_rollback": True,
    "skip_matching": True,
    "protected_instances": "wait",
    "standby_instances": "wait",
    "wait": True,
    "wait_timeout": 5,
}
SECOND = {"id": None, "name": "shop", "version": "2"}


def refresh(fake: t.Any, check_mode: bool = False, **changes: t.Any) -> dict[str, t.Any]:
    return run_refresh({**DEFAULTS, **changes}, check_mode, fake.aws(), pace=0.01)


def refused(fake: t.Any, **changes: t.Any) -> BeamError:
    with pytest.raises(BeamError) as caught:
        refresh(fake, **changes)
    return caught.value


def test_a_new_version_is_asked_for_by_its_number(fake: t.Any) -> None:
    result = refresh(
        fake,
        launch_template={**SECOND, "version": "$Latest"},
        checkpoints=[10, 50],
        checkpoint_delay=60,
        bake=120,
        alarms=["5xx"],
        warmup=5,
        min_healthy=100,
        max_healthy=150,
    )
    assert result["changed"] and result["action"] == "start" and result["refresh"]["status"] == "Successful"
    (asked,) = fake.said("start_instance_refresh")
    assert asked["DesiredConfiguration"] == {"LaunchTemplate": {"LaunchTemplateName": "shop", "Version": "2"}}
    assert asked["Preferences"] == {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": 150,
        "InstanceWarmup": 5,
        "SkipMatching": True,
        "AutoRollback": True,
        "CheckpointPercentages": [10, 50, 100],
        "CheckpointDelay": 60,
        "BakeTime": 120,
        "AlarmSpecification": {"Alarms": ["5xx"]},
        "ScaleInProtectedInstances": "Wait",
        "StandbyInstances": "Wait",
    }
    assert {one["launch_template"]["version"] for one in result["members"]} == {"2"}


def test_a_second_run_does_nothing(fake: t.Any) -> None:
    refresh(fake, launch_template=SECOND)
    again = refresh(fake, launch_template=SECOND)
    assert not again["changed"] and again["action"] == "none" and len(fake.said("start_instance_refresh")) == 1


def test_instances_that_match_are_replaced_only_when_asked(fake: t.Any) -> None:
    assert refresh(fake)["action"] == "none"
    result = refresh(fake, skip_matching=False)
    assert (
        result["action"] == "start" and fake.said("start_instance_refresh")[0]["Preferences"]["SkipMatching"] is False
    )


def test_check_mode_starts_nothing(fake: t.Any) -> None:
    result = refresh(fake, check_mode=True, launch_template=SECOND)
    assert result["changed"] and result["action"] == "start" and not fake.said("start_instance_refresh")
    assert result["launch_template"]["version"] == "2" and len(result["members"]) == 2


def test_a_group_that_is_still_set_to_the_former_version_is_refreshed_though_it_is_empty(fake: t.Any) -> None:
    fake.raw["Instances"] = []
    assert refresh(fake)["action"] == "none"
    assert refresh(fake, launch_template=SECOND)["action"] == "start"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("Failed", "refresh_failed"),
        ("Cancelled", "refresh_cancelled"),
        ("RollbackSuccessful", "refresh_rolled_back"),
        ("RollbackFailed", "refresh_rollback_failed"),
    ],
)
def test_every_other_end_is_a_failure(fake: t.Any, end: str, code: str) -> None:
    fake.steps = ["InProgress", end]
    error = refused(fake, launch_template=SECOND)
    assert error.code == code and error.details["refresh"]["status"] == end


def test_successful_is_not_believed_when_instances_are_of_the_former_version(fake: t.Any) -> None:
    fake.replaces = False
    error = refused(fake, launch_template=SECOND)
    assert error.code == "refresh_incomplete" and error.details["left"] == ["i-1", "i-2"]


def test_one_that_takes_too_long_says_that_it_goes_on_and_the_next_run_waits_for_it(fake: t.Any) -> None:
    fake.steps = ["InProgress"] * 5
    error = refused(fake, launch_template=SECOND, wait_timeout=0.02)
    assert error.code == "refresh_unfinished" and "InProgress" in error.message
    fake.history[0]["steps"] = ["Baking", "Successful"]
    result = refresh(fake, launch_template=SECOND)
    assert result["action"] == "follow" and not result["changed"] and len(fake.said("start_instance_refresh")) == 1


def test_throttling_while_it_waits_is_no_failure(fake: t.Any) -> None:
    fake.raw["DesiredCapacity"] = 2
    aws = fake.aws()
    look, seen = fake.describe_instance_refreshes, []

    def throttled(**parameters: t.Any) -> t.Any:
        seen.append(parameters)
        if len(seen) == 2:
            fake.errors["describe_instance_refreshes"] = ["Throttling"] * 2
        return look(**parameters)

    fake.describe_instance_refreshes = throttled
    assert (
        run_refresh({**DEFAULTS, "launch_template": SECOND}, False, aws, pace=0.01)["refresh"]["status"] == "Successful"
    )
    assert fake.errors["describe_instance_refreshes"] == []


def test_another_refresh_is_not_disturbed(fake: t.Any) -> None:
    fake.steps = ["InProgress"] * 9
    refresh(fake, launch_template=SECOND, wait=False)
    fake.raw["LaunchTemplate"]["Version"] = "1"
    assert refused(fake, launch_template={**SECOND, "version": "3"}).code == "refresh_in_progress"
    assert refused(fake).code == "refresh_in_progress"
    fake.history[0]["Status"] = "RollbackInProgress"
    assert refused(fake, launch_template=SECOND).code == "refresh_in_progress"


def test_a_group_of_codedeploy_is_refused(fake: t.Any) -> None:
    fake.hooks = [
        {
            "LifecycleHookName": "CodeDeploy-managed-automatic-launch-deployment-hook-x",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        }
    ]
    error = refused(fake, launch_template=SECOND)
    assert error.code == "group_codedeploy" and "automatic-launch-deployment-hook-x" in error.message
    assert not fake.said("start_instance_refresh")


@pytest.mark.parametrize(
    "process", ["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AddToLoadBalancer", "InstanceRefresh"]
)
def test_a_suspended_process_that_it_takes_is_refused(fake: t.Any, process: str) -> None:
    fake.raw["SuspendedProcesses"] = [{"ProcessName": process, "SuspensionReason": "User suspended"}]
    error = refused(fake, launch_template=SECOND)
    assert error.code == "group_suspended" and process in error.message


def test_a_suspended_process_that_it_does_not_take_is_nobody_s_business(fake: t.Any) -> None:
    fake.raw["SuspendedProcesses"] = [{"ProcessName": "AZRebalance"}, {"ProcessName": "ScheduledActions"}]
    assert refresh(fake, launch_template=SECOND)["changed"]


def test_no_way_back_is_refused_unless_it_is_not_wanted(fake: t.Any) -> None:
    fake.raw["LaunchTemplate"]["Version"] = "$Latest"
    assert refused(fake).code == "refresh_no_rollback"  # 1 runs, $Latest is 2
    result = refresh(fake, auto_rollback=False)
    assert result["changed"] and "DesiredConfiguration" not in fake.said("start_instance_refresh")[0]
    del fake.raw["LaunchTemplate"]
    fake.history.clear()
    assert refused(fake).code == "refresh_no_rollback"


def test_a_group_of_several_instance_types_keeps_its_policy(fake: t.Any) -> None:
    template = fake.raw.pop("LaunchTemplate")
    fake.raw["MixedInstancesPolicy"] = {"LaunchTemplate": {"LaunchTemplateSpecification": template}}
    assert refused(fake, launch_template=SECOND).code == "refresh_option"
    assert "several instance types" in refused(fake).message
    assert refresh(fake, auto_rollback=False)["changed"]


def test_cancelled_and_rolled_back(fake: t.Any) -> None:
    assert not refresh(fake, state="cancelled")["changed"]
    for state, operation, end in (
        ("cancelled", "cancel_instance_refresh", "Cancelled"),
        ("rolled_back", "rollback_instance_refresh", "RollbackSuccessful"),
    ):
        fake.steps = ["InProgress"] * 3
        refresh(fake, launch_template=SECOND, wait=False)
        assert refresh(fake, check_mode=True, state=state)["changed"] and not fake.said(operation)
        result = refresh(fake, state=state)
        assert result["changed"] and result["refresh"]["status"] == end and len(fake.said(operation)) == 1
        assert not refresh(fake, state=state)["changed"]


def test_a_rollback_that_comes_too_late_is_told(fake: t.Any) -> None:
    refresh(fake, launch_template=SECOND, wait=False)
    fake.rollback_instance_refresh = lambda **_more: {"InstanceRefreshId": "r-0"}
    assert refused(fake, state="rolled_back").code == "refresh_too_late"


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoints": [50, 10]},
        {"checkpoints": [0, 50]},
        {"checkpoints": [50, 101]},
        {"min_healthy": 101},
        {"max_healthy": 99},
        {"max_healthy": 201},
        {"min_healthy": 50, "max_healthy": 151},
        {"bake": -1},
        {"bake": 172801},
        {"launch_template": {"id": None, "name": None, "version": "2"}},
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, t.Any]) -> None:
    with pytest.raises(BeamError, match="can't be planned"):
        request_of({**DEFAULTS, **changes})


def test_a_group_or_a_version_that_is_not_there(fake: t.Any) -> None:
    assert refused(fake, group="shpo").code == "group_missing"
    fake.describe_launch_template_versions = lambda **_more: {"LaunchTemplateVersions": []}
    assert refused(fake, launch_template={**SECOND, "version": "$Latest"}).code == "template_missing"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("AccessDenied", "aws_denied"), ("ExpiredToken", "aws_credentials"), ("ValidationError", "aws_refused")],
)
def test_what_aws_refuses_is_told_in_its_words(fake: t.Any, code: str, expected: str) -> None:
    fake.errors["start_instance_refresh"] = [code]
    error = refused(fake, launch_template=SECOND)
    assert error.code == expected and "as the test wants it" in error.message


def test_what_is_no_answer_of_aws_stays_a_bug() -> None:
    assert translate(KeyError("x"), "it") is None
    assert translate(OSError("no route"), "it").code == "aws_unreachable"  # type: ignore[union-attr]


def test_info_tells_every_instance_whatever_its_state(fake: t.Any) -> None:
    fake.raw["Instances"][1]["LifecycleState"] = "Pending:Wait"
    fake.raw["Instances"].append(
        {**fake.raw["Instances"][0], "InstanceId": "i-9", "LifecycleState": "Terminating:Wait"}
    )
    result = run_info({"groups": ["shop"]}, fake.aws())
    assert [(one["instance_id"], one["stays"], one["private_ip"], one["name"]) for one in result["members"]] == [
        ("i-1", True, "10.0.0.1", "shop-i-1"),
        ("i-2", True, "10.0.0.2", "shop-i-2"),
        ("i-9", False, "", ""),
    ]
    (group,) = result["groups"]
    assert (
        group["refresh"] is None
        and group["launch_template"] == {"id": "lt-1", "name": "shop", "version": "1"}
        and group["target_groups"] == ["arn:tg"]
    )
