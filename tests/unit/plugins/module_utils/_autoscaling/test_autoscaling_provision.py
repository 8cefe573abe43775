# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups as they are wanted: what is asked of AWS, in which order, and that nothing else is touched."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.provision import run_group
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

HOOK = {"name": "beam-launching", "transition": "launching", "timeout": 300, "default_result": "ABANDON"}
TRACKING = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0}
NEW: dict[str, t.Any] = {
    "name": "site",
    "launch_template": {"name": "shop", "version": "1"},
    "keep_template": False,
    "subnets": ["subnet-1"],
    "min_size": 2,
    "max_size": 4,
    "desired": None,
    "target_groups": ["arn:tg"],
    "health_check": "ELB",
    "grace": 60,
    "tags": {"beam:channel": "production"},
    "hooks": [HOOK],
    "target_tracking": TRACKING,
}
OPERATIONS = (
    "create_auto_scaling_group",
    "put_lifecycle_hook",
    "update_auto_scaling_group",
    "attach_load_balancer_target_groups",
    "create_or_update_tags",
    "put_scaling_policy",
)


@pytest.fixture
def aws(fake: t.Any) -> t.Any:
    fake.policies = []
    fake.describe_policies = lambda **_more: {"ScalingPolicies": fake.policies}
    for operation in OPERATIONS:
        setattr(fake, operation, lambda **_more: {})
    seen = fake.describe_auto_scaling_groups
    fake.describe_auto_scaling_groups = lambda **given: (
        {"AutoScalingGroups": [fake.raw]}
        if fake.said("create_auto_scaling_group") and given["AutoScalingGroupNames"] == ["site"]
        else seen(**given)
    )
    return fake


def asked(fake: t.Any) -> list[str]:
    return [name for name, _parameters in fake.calls if name in OPERATIONS]


def test_a_new_group_is_empty_until_its_hooks_are_there(aws: t.Any) -> None:
    result = run_group(NEW, False, aws.aws())
    assert result["changed"] and result["created"]
    assert asked(aws) == [
        "create_auto_scaling_group",
        "put_lifecycle_hook",
        "update_auto_scaling_group",
        "put_scaling_policy",
    ]
    (made,), (sized,) = aws.said("create_auto_scaling_group"), aws.said("update_auto_scaling_group")
    assert made["MinSize"] == made["DesiredCapacity"] == 0 and made["LaunchTemplate"] == {
        "LaunchTemplateName": "shop",
        "Version": "1",
    }
    assert sized == {"AutoScalingGroupName": "site", "MinSize": 2, "DesiredCapacity": 2}


def test_check_mode_asks_for_nothing(aws: t.Any) -> None:
    result = run_group(NEW, True, aws.aws())
    assert result["changed"] and result["group"] is None and asked(aws) == []


def adopt(fake: t.Any, **changes: t.Any) -> dict[str, t.Any]:
    return run_group({**NEW, "name": "shop", **changes}, False, fake.aws())


def test_a_group_that_is_there_keeps_its_size_and_what_was_not_asked_for(aws: t.Any) -> None:
    aws.raw["DesiredCapacity"] = 3
    assert adopt(aws)["changed"]
    (update,) = aws.said("update_auto_scaling_group")
    assert update == {
        "AutoScalingGroupName": "shop",
        "MinSize": 2,
        "VPCZoneIdentifier": "subnet-1",
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 60,
    }
    assert asked(aws) == [
        "put_lifecycle_hook",
        "update_auto_scaling_group",
        "create_or_update_tags",
        "put_scaling_policy",
    ]


def test_no_server_is_ended_by_a_maximum(aws: t.Any) -> None:
    """AWS would bring the number of servers down to it, hooks or not."""
    aws.raw.update(DesiredCapacity=5, MaxSize=20)
    with pytest.raises(BeamError) as caught:
        adopt(aws)
    assert (
        caught.value.code == "group_would_shrink"
        and "AWS would end 1 of them" in caught.value.message
        and asked(aws) == []
    )
    assert adopt(aws, max_size=5)["changed"]


def test_a_group_that_is_as_it_is_wanted_is_left_alone(aws: t.Any) -> None:
    aws.raw.update(MinSize=2, VPCZoneIdentifier="subnet-1", HealthCheckType="ELB", HealthCheckGracePeriod=60)
    aws.raw["Tags"] = [
        {"Key": "beam:channel", "Value": "production", "PropagateAtLaunch": True},
        {"Key": "other", "Value": "x", "PropagateAtLaunch": False},
    ]
    aws.hooks = [
        {
            "LifecycleHookName": "beam-launching",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "HeartbeatTimeout": 300,
            "DefaultResult": "ABANDON",
        }
    ]
    aws.policies = [
        {"PolicyName": "beam-target-tracking", "TargetTrackingConfiguration": {**TRACKING, "DisableScaleIn": False}},
        {"PolicyName": "other"},
    ]
    assert not adopt(aws)["changed"] and asked(aws) == []
    assert adopt(aws, target_tracking={**TRACKING, "TargetValue": 60.0})["actions"] == ["the scaling policy is set"]
    assert adopt(aws, hooks=[{**HOOK, "timeout": 60}])["actions"] == ["the hook beam-launching is put"]
    assert adopt(aws, target_groups=["arn:tg", "arn:other"])["actions"] == ["attached to arn:other"]
    assert adopt(aws, tags={"beam:channel": "canary"})["actions"] == ["tagged with beam:channel"]
    third = {"name": "shop", "version": "3"}
    assert adopt(aws, launch_template=third)["actions"] == ["LaunchTemplate set"]
    assert not adopt(aws, launch_template=third, keep_template=True)["changed"]
    assert not adopt(aws, launch_template=None, subnets=[])["changed"]


@pytest.mark.parametrize(
    "changes", [{"min_size": 5}, {"desired": 1}, {"desired": 5}, {"launch_template": None}, {"subnets": []}]
)
def test_what_makes_no_group_is_refused(aws: t.Any, changes: dict[str, t.Any]) -> None:
    with pytest.raises(BeamError) as caught:
        run_group({**NEW, **changes}, False, aws.aws())
    assert caught.value.code == "group_option" and asked(aws) == []
