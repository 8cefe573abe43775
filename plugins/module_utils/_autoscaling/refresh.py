# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Replace the instances of a group, by AWS's own instance refresh: planned purely, started, and waited for to its true end."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .._deadline import Limit
from .._errors import BeamError
from .groups import Aws, Unavailable
from .transformations import NEEDED, Group, Member, same_template, told_member, told_refresh

LAST_LOOK = 1.0  # seconds that a look is given, however late it is
_ENDS = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}
_SAID = {
    "Failed": (
        "refresh_failed",
        "Instances of both configurations may be there; look at the group's activities, and run it again or roll back",
    ),
    "Cancelled": ("refresh_cancelled", "Instances that were replaced stay replaced; run it again, or roll back"),
    "RollbackSuccessful": (
        "refresh_rolled_back",
        "Everything runs the former configuration again; look at why, and mend the new one",
    ),
    "RollbackFailed": ("refresh_rollback_failed", "The group holds both configurations; look at its activities"),
}


@dataclass(frozen=True)
class Request:
    group: str
    template: t.Mapping[str, str] = field(default_factory=dict)  # id or name, version; empty: the group's own
    min_healthy: int = 90
    max_healthy: t.Optional[int] = None
    warmup: t.Optional[int] = None
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay: int = 3600
    bake: int = 0
    alarms: tuple[str, ...] = ()
    auto_rollback: bool = True
    skip_matching: bool = True
    protected: str = "Wait"
    standby: str = "Wait"


@dataclass(frozen=True)
class Plan:
    action: str  # none, follow (one to the same end goes on already) or start
    why: str
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    refresh: str = ""  # the one to follow
    wanted: t.Mapping[str, str] = field(default_factory=dict)


def request_of(params: t.Mapping[str, t.Any]) -> Request:
    template = params.get("launch_template") or {}
    if template and not (template.get("id") or template.get("name")):
        raise _option("launch_template needs id or name")
    checkpoints = tuple(params.get("checkpoints") or ())
    if list(checkpoints) != sorted(set(checkpoints)) or any(not 1 <= one <= 100 for one in checkpoints):
        raise _option(
            "checkpoints are percentages from 1 to 100, each greater than the one before, not %s" % list(checkpoints)
        )
    least, most = params["min_healthy"], params.get("max_healthy")
    if not 0 <= least <= 100:
        raise _option("min_healthy is a percentage from 0 to 100, not %s" % least)
    if most is not None and not (100 <= most <= 200 and most - least <= 100):
        raise _option("max_healthy is from 100 to 200, and at most 100 more than min_healthy, not %s" % most)
    if not 0 <= params["bake"] <= 172800:
        raise _option("bake is from 0 to 172800 seconds, not %s" % params["bake"])
    words = {"wait": "Wait", "ignore": "Ignore", "refresh": "Refresh", "terminate": "Terminate"}
    return Request(
        params["group"],
        {key: str(value) for key, value in template.items() if value},
        least,
        most,
        params.get("warmup"),
        checkpoints,
        params["checkpoint_delay"],
        params["bake"],
        tuple(params.get("alarms") or ()),
        params["auto_rollback"],
        params["skip_matching"],
        words[params["protected_instances"]],
        words[params["standby_instances"]],
    )


def _option(why: str) -> BeamError:
    return BeamError("refresh_option", "The instance refresh can't be planned", why, "Correct the task's options")


def check(group: Group) -> None:
    """What makes a refresh hang, lie or fight with somebody, before it is started."""
    what = "Refusing to refresh the instances of %s" % group.name
    hooks = [one.name for one in group.hooks if one.codedeploy]
    if hooks:
        raise BeamError(
            "group_codedeploy",
            what,
            "CodeDeploy holds new instances by its hook %s: they would get what CodeDeploy deployed last"
            % ", ".join(hooks),
            "Take the group out of the deployment group of CodeDeploy, which removes the hook",
        )
    suspended = [one for one in NEEDED if one in group.suspended]
    if suspended:
        raise BeamError(
            "group_suspended",
            what,
            "%s %s suspended: the refresh would wait for ever"
            % (", ".join(suspended), "is" if len(suspended) == 1 else "are"),
            "Find out who suspended it; then resume it with ResumeProcesses",
        )


def plan(group: Group, members: t.Sequence[Member], request: Request, wanted: t.Mapping[str, str], named: bool) -> Plan:
    """wanted: the launch template with its version as a number. named: that the task asked for it, so that the group may have another one still."""
    going = told_refresh(group.refresh)
    if going and going["active"]:
        same = (
            named
            and same_template(going["launch_template"], wanted)
            and not going["status"].startswith(("Rollback", "Cancelling"))
        )
        if same:
            return Plan(
                "follow", "a refresh to version %s goes on already" % wanted["version"], {}, going["id"], wanted
            )
        raise BeamError(
            "refresh_in_progress",
            "Refusing to refresh the instances of %s" % group.name,
            "the refresh %s is %s, at %d %%" % (going["id"], going["status"], going["percent"]),
            "Wait for its end, or end it with state: cancelled",
            refresh=going,
        )
    check(group)
    staying = [one for one in members if one.stays]
    settled = not named or same_template(group.template, wanted)  # later launches get the wanted version, too
    if settled and not staying:
        return Plan("none", "the group has no instance", {}, "", wanted)
    if settled and request.skip_matching and wanted and all(same_template(one.template, wanted) for one in staying):
        return Plan(
            "none", "every instance is of version %s of the launch template" % wanted["version"], {}, "", wanted
        )
    if request.auto_rollback:
        _check_rollback(group, wanted)
    why = "%d of %d instances are to be replaced" % (_others(staying, wanted, request), len(staying))
    return Plan("start", why, parameters(request, wanted, named), "", wanted)


def _others(members: t.Sequence[Member], wanted: t.Mapping[str, str], request: Request) -> int:
    return sum(not (request.skip_matching and same_template(one.template, wanted)) for one in members)


def _check_rollback(group: Group, wanted: t.Mapping[str, str]) -> None:
    what = "Refusing to refresh the instances of %s without a way back" % group.name
    version = group.template.get("version", "")
    if not wanted:
        why = (
            "it has several instance types, and only a launch template can be named here"
            if group.mixed
            else "it has no launch template"
        )
        raise BeamError("refresh_no_rollback", what, why, "Say auto_rollback: false")
    if not version.isdigit():
        raise BeamError(
            "refresh_no_rollback",
            what,
            "the group is set to version %s of its launch template, which AWS can't roll back to" % version,
            "Set the group to a number (the role alchemist.beam.autoscaling does so), or say auto_rollback: false",
        )


def parameters(request: Request, wanted: t.Mapping[str, str], named: bool) -> dict[str, t.Any]:
    preferences: dict[str, t.Any] = {
        "MinHealthyPercentage": request.min_healthy,
        "SkipMatching": request.skip_matching,
        "AutoRollback": request.auto_rollback,
        "ScaleInProtectedInstances": request.protected,
        "StandbyInstances": request.standby,
    }
    if request.max_healthy is not None:
        preferences["MaxHealthyPercentage"] = request.max_healthy
    if request.warmup is not None:
        preferences["InstanceWarmup"] = request.warmup
    if request.checkpoints:
        # Without 100 at the end AWS calls it successful when the last checkpoint is reached, with the rest never replaced.
        preferences["CheckpointPercentages"] = [
            *request.checkpoints,
            *([] if request.checkpoints[-1] == 100 else [100]),
        ]
        preferences["CheckpointDelay"] = request.checkpoint_delay
    if request.bake:
        preferences["BakeTime"] = request.bake
    if request.alarms:
        preferences["AlarmSpecification"] = {"Alarms": list(request.alarms)}
    found: dict[str, t.Any] = {"AutoScalingGroupName": request.group, "Strategy": "Rolling", "Preferences": preferences}
    if wanted and (named or request.auto_rollback):
        # A way back needs to know the way there: AWS rolls back only a refresh that names its configuration.
        chosen = {"LaunchTemplateId": wanted["id"]} if wanted.get("id") else {"LaunchTemplateName": wanted["name"]}
        found["DesiredConfiguration"] = {"LaunchTemplate": {**chosen, "Version": wanted["version"]}}
    return found


def look(aws: Aws, group: Group, request: Request) -> Plan:
    template = request.template or group.template
    wanted: dict[str, str] = {}
    if template:
        version = template.get("version") or "$Latest"
        number = version if version.isdigit() else aws.template_version(template, version)
        wanted = {"id": template.get("id", ""), "name": template.get("name", ""), "version": number}
    if request.template and group.mixed:
        raise _option(
            "the group has several instance types, so its launch template is changed in the group itself, not by launch_template"
        )
    # The configuration of a group with several instance types is more than a template: without naming it, it is taken as the group has it.
    return plan(group, aws.members(group), request, {} if group.mixed else wanted, bool(request.template))


def ended(raw: t.Mapping[str, t.Any], name: str) -> None:
    """Nothing for a refresh that reached its end, its reason for any other."""
    now = told_refresh(raw)
    if now["status"] == "Successful":
        return
    code, hint = _SAID.get(now["status"], ("refresh_failed", "Look at the group's activities"))
    why = "; ".join(
        part
        for part in ("it is %s at %d %%" % (now["status"], now["percent"]), now["rollback_reason"], now["reason"])
        if part
    )
    raise BeamError(code, "The instances of %s were not refreshed" % name, why, hint, refresh=now)


def verify(group: Group, members: t.Sequence[Member], wanted: t.Mapping[str, str]) -> None:
    """Successful is AWS's word for its own steps. Ours: whoever stays in the group is of the wanted version and in service."""
    if not wanted:
        return
    wrong = [
        one for one in members if one.stays and one.lifecycle == "InService" and not same_template(one.template, wanted)
    ]
    if wrong:
        raise BeamError(
            "refresh_incomplete",
            "The instances of %s were not all refreshed" % group.name,
            "AWS says Successful, and %s %s not of version %s"
            % (", ".join(one.id for one in wrong), "is" if len(wrong) == 1 else "are", wanted["version"]),
            "Protected and standby instances may have been skipped: see protected_instances and standby_instances",
            left=[one.id for one in wrong],
        )


def wait(
    aws: Aws, name: str, refresh: str, seconds: float, pace: float = 5.0, until: t.Container[str] | None = None
) -> t.Mapping[str, t.Any]:
    """The refresh at its end. Who only looks is not thrown off by AWS being away for a while."""
    deadline = time.monotonic() + seconds
    raw: t.Mapping[str, t.Any] = {}
    while True:
        try:
            with Limit(max(LAST_LOOK, deadline - time.monotonic())):
                raw = next(iter(aws.refreshes(name, refresh)), {})
        except Unavailable:
            if time.monotonic() >= deadline:
                raise
        if raw and raw.get("Status") in (until or _ENDS):
            return raw
        if time.monotonic() >= deadline:
            now = told_refresh(raw)
            raise BeamError(
                "refresh_unfinished",
                "The refresh %s of %s has not ended within %d s" % (refresh, name, seconds),
                "it is %s, at %d %%%s"
                % (
                    now.get("status", "unknown"),
                    now.get("percent", 0),
                    "; " + now["reason"] if now.get("reason") else "",
                ),
                "It goes on without this task: run the task again to wait for it, or end it with state: cancelled or rolled_back",
                refresh=now,
            )
        time.sleep(max(0.0, min(pace, deadline - time.monotonic())))


def run_refresh(
    params: t.Mapping[str, t.Any], check_mode: bool, aws: t.Optional[Aws] = None, pace: float = 5.0
) -> dict[str, t.Any]:
    """The result of the module autoscaling_refresh."""
    aws = aws or Aws(params)
    name = params["group"]
    if params["state"] != "refreshed":
        return _end(aws, name, params, check_mode, pace)
    request = request_of(params)
    group = aws.group(name)
    planned = look(aws, group, request)
    result: dict[str, t.Any] = {
        "changed": planned.action == "start",
        "action": planned.action,
        "why": planned.why,
        "launch_template": dict(planned.wanted),
    }
    if planned.action == "none" or check_mode:
        return {**result, "refresh": None, "members": [told_member(one, name) for one in aws.members(group)]}
    refresh = planned.refresh
    if planned.action == "start":
        answer = aws.call(
            "autoscaling", "start_instance_refresh", "The refresh of %s was not started" % name, **planned.parameters
        )
        refresh = answer["InstanceRefreshId"]
    if not params["wait"]:
        return {**result, "refresh": told_refresh(next(iter(aws.refreshes(name, refresh)), {})), "members": []}
    raw = wait(aws, name, refresh, params["wait_timeout"], pace)
    ended(raw, name)
    group = aws.group(name)
    members = aws.members(group)
    if request.protected != "Ignore" and request.standby != "Ignore":
        verify(group, members, planned.wanted)
    return {**result, "refresh": told_refresh(raw), "members": [told_member(one, name) for one in members]}


def _end(aws: Aws, name: str, params: t.Mapping[str, t.Any], check_mode: bool, pace: float) -> dict[str, t.Any]:
    """Stop a refresh where it is, or roll it back. If no refresh is running, there is nothing to do."""
    going = told_refresh(aws.group(name).refresh)
    operation, goal = (
        ("cancel_instance_refresh", "Cancelled")
        if params["state"] == "cancelled"
        else ("rollback_instance_refresh", "RollbackSuccessful")
    )
    result: dict[str, t.Any] = {
        "action": "none",
        "why": "no refresh goes on",
        "changed": False,
        "refresh": going or None,
        "members": [],
        "launch_template": {},
    }
    if not going or not going["active"]:
        return result
    result.update(action=params["state"], why="the refresh %s is %s" % (going["id"], going["status"]), changed=True)
    begun = {"Cancelled": "Cancelling", "RollbackSuccessful": "RollbackInProgress"}[goal]
    if going["status"] == begun:
        result["changed"] = False
    elif not check_mode:
        aws.call(
            "autoscaling",
            operation,
            "The refresh %s of %s was not ended" % (going["id"], name),
            AutoScalingGroupName=name,
        )
    if check_mode or not params["wait"]:
        return result
    raw = wait(aws, name, going["id"], params["wait_timeout"], pace)
    if raw.get("Status") != goal:
        if raw.get("Status") == "Successful":
            what = "The refresh of %s was not ended" % name
            raise BeamError(
                "refresh_too_late",
                what,
                "it had reached its end before",
                "Refresh to the former configuration",
                refresh=told_refresh(raw),
            )
        ended(raw, name)
    return {**result, "refresh": told_refresh(raw)}
