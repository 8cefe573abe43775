# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The wanted group, planned purely as a list of requests, each with its reason. Settings that the options do not name are left alone."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from . import transformations
from .groups import Aws
from .transformations import hook_of

TRANSITION = {"launching": "autoscaling:EC2_INSTANCE_LAUNCHING", "terminating": "autoscaling:EC2_INSTANCE_TERMINATING"}
POLICY = "beam-target-tracking"
Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Call:
    operation: str
    parameters: Raw
    why: str


def plan(group: t.Optional[Raw], hooks: t.Sequence[Raw], policies: t.Sequence[Raw], params: Raw) -> tuple[Call, ...]:
    """group: as AWS describes it; None: there is none."""
    calls = [] if group else [_create(params)]
    # Before the size: a server that is launched before the hooks are there would be in service before it is proven.
    calls += _hooks(hooks, params)
    made = {
        "MinSize": 0,
        "MaxSize": params["max_size"],
        **_configuration(params),
        "Tags": _tags(params),
        "TargetGroupARNs": params["target_groups"],
    }
    now = group or made
    calls += _update(now, params, new=group is None)
    calls += _attach(now, params) + _tag(now, params) + _policy(policies, params)
    return tuple(calls)


def _template(params: Raw) -> dict[str, t.Any]:
    given = params.get("launch_template")
    return {"LaunchTemplate": {"LaunchTemplateName": given["name"], "Version": str(given["version"])}} if given else {}


def _configuration(params: Raw) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {**_template(params)}
    if params["subnets"]:
        found["VPCZoneIdentifier"] = ",".join(params["subnets"])
    if params["health_check"]:
        found["HealthCheckType"] = params["health_check"]
    if params["grace"] is not None:
        found["HealthCheckGracePeriod"] = params["grace"]
    return found


def _create(params: Raw) -> Call:
    if not params.get("launch_template") or not params["subnets"]:
        raise BeamError(
            "group_option",
            "The group %s can't be made" % params["name"],
            "a new group needs launch_template and subnets",
            "Give both, or the name of a group that is there",
        )
    more = {"TargetGroupARNs": list(params["target_groups"])} if params["target_groups"] else {}
    more.update({"Tags": _tags(params)} if params["tags"] else {})
    given = {
        "AutoScalingGroupName": params["name"],
        "MinSize": 0,
        "DesiredCapacity": 0,
        "MaxSize": params["max_size"],
        **_configuration(params),
        **more,
    }
    return Call("create_auto_scaling_group", given, "the group is made, empty")


def _hooks(hooks: t.Sequence[Raw], params: Raw) -> list[Call]:
    known = {one["LifecycleHookName"]: one for one in hooks}
    calls = []
    for wanted in params["hooks"]:
        given = {
            "LifecycleHookName": wanted["name"],
            "AutoScalingGroupName": params["name"],
            "LifecycleTransition": TRANSITION[wanted["transition"]],
            "HeartbeatTimeout": wanted["timeout"],
            "DefaultResult": wanted["default_result"],
        }
        if wanted["name"] not in known or hook_of(known[wanted["name"]]) != hook_of(given):
            calls.append(Call("put_lifecycle_hook", given, "the hook %s is put" % wanted["name"]))
    return calls


def _update(now: Raw, params: Raw, new: bool) -> list[Call]:
    wanted: dict[str, t.Any] = {"MinSize": params["min_size"], "MaxSize": params["max_size"], **_configuration(params)}
    if not new and params["keep_template"]:
        wanted.pop("LaunchTemplate", None)
    if "LaunchTemplate" in wanted:
        had = now.get("LaunchTemplate") or {}
        if all(str(had.get(key)) == value for key, value in wanted["LaunchTemplate"].items()):
            del wanted["LaunchTemplate"]
    if "VPCZoneIdentifier" in wanted and set(wanted["VPCZoneIdentifier"].split(",")) == set(
        str(now.get("VPCZoneIdentifier") or "").split(",")
    ):
        del wanted["VPCZoneIdentifier"]
    changed = {key: value for key, value in wanted.items() if key == "LaunchTemplate" or value != now.get(key)}
    size = int(now.get("DesiredCapacity") or 0)
    if new:
        # Only a new group gets a number of servers. Scaling policies decide it for an existing one.
        changed["DesiredCapacity"] = params["desired"] or params["min_size"]
    elif params["max_size"] < size:
        raise BeamError(
            "group_would_shrink",
            "The group %s is not changed" % params["name"],
            "it has %d servers, and with a max_size of %d AWS would end %d of them"
            % (size, params["max_size"], size - params["max_size"]),
            "Give a max_size of at least %d, or scale the group in first" % size,
        )
    if not changed:
        return []
    return [
        Call(
            "update_auto_scaling_group",
            {"AutoScalingGroupName": params["name"], **changed},
            "%s set" % ", ".join(sorted(changed)),
        )
    ]


def _attach(now: Raw, params: Raw) -> list[Call]:
    missing = [arn for arn in params["target_groups"] or () if arn not in (now.get("TargetGroupARNs") or ())]
    given = {"AutoScalingGroupName": params["name"], "TargetGroupARNs": missing}
    return [Call("attach_load_balancer_target_groups", given, "attached to %s" % ", ".join(missing))] if missing else []


def _tags(params: Raw) -> list[dict[str, t.Any]]:
    common = {"ResourceId": params["name"], "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
    return [{**common, "Key": key, "Value": str(value)} for key, value in sorted((params["tags"] or {}).items())]


def _tag(now: Raw, params: Raw) -> list[Call]:
    had = {(one["Key"], one["Value"], bool(one.get("PropagateAtLaunch"))) for one in now.get("Tags") or ()}
    missing = [one for one in _tags(params) if (one["Key"], one["Value"], True) not in had]
    return (
        [Call("create_or_update_tags", {"Tags": missing}, "tagged with %s" % ", ".join(one["Key"] for one in missing))]
        if missing
        else []
    )


def _policy(policies: t.Sequence[Raw], params: Raw) -> list[Call]:
    wanted = params["target_tracking"]
    if not wanted:
        return []
    had = next((one.get("TargetTrackingConfiguration") or {} for one in policies if one["PolicyName"] == POLICY), {})
    if _covers(had, wanted):
        return []
    given = {
        "AutoScalingGroupName": params["name"],
        "PolicyName": POLICY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": wanted,
    }
    return [Call("put_scaling_policy", given, "the scaling policy is set")]


def _covers(had: t.Any, wanted: t.Any) -> bool:
    """AWS adds its defaults to what it was given."""
    if isinstance(wanted, t.Mapping):
        return isinstance(had, t.Mapping) and all(
            key in had and _covers(had[key], value) for key, value in wanted.items()
        )
    return bool(had == wanted)


def run_group(params: Raw, check_mode: bool, aws: t.Optional[Aws] = None) -> dict[str, t.Any]:
    """The result of the module autoscaling_group."""
    aws = aws or Aws(params)
    name = params["name"]
    if not 0 <= params["min_size"] <= (params["desired"] or params["min_size"]) <= params["max_size"]:
        sizes = (params["min_size"], params["desired"] or params["min_size"], params["max_size"])
        why = "min_size %d, desired %d and max_size %d are not in this order" % sizes
        raise BeamError("group_option", "The group %s can't be made" % name, why, "Correct them")
    found = aws.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name])
    hooks = (
        aws.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=name)["LifecycleHooks"]
        if found
        else []
    )
    policies = (
        aws.pages("autoscaling", "describe_policies", "ScalingPolicies", AutoScalingGroupName=name) if found else []
    )
    calls = plan(found[0] if found else None, hooks, policies, params)
    if not check_mode:
        for call in calls:
            aws.call(
                "autoscaling",
                call.operation,
                "The group %s is not as it is wanted: %s failed" % (name, call.operation),
                **call.parameters,
            )
    group = None if check_mode and not found else transformations.told(aws.group(name))
    return {"changed": bool(calls), "created": not found, "actions": [call.why for call in calls], "group": group}
