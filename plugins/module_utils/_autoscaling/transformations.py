# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What AWS answers, as what we mean by it. Pure."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

# Of a refresh: that it still goes on.
ACTIVE = frozenset(("Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"))
# A group where one of these is suspended does not replace instances, or does not notice that it has to.
NEEDED = ("Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AddToLoadBalancer", "InstanceRefresh")
# What CodeDeploy names the hook that it puts on a group: from then on new instances get what CodeDeploy thinks.
CODEDEPLOY = "CodeDeploy-managed-"


@dataclass(frozen=True)
class Hook:
    name: str
    transition: str  # launching or terminating
    timeout: int
    default_result: str

    @property
    def codedeploy(self) -> bool:
        return self.name.startswith(CODEDEPLOY)


@dataclass(frozen=True)
class Group:
    name: str
    arn: str
    minimum: int
    maximum: int
    desired: int
    template: t.Mapping[
        str, str
    ]  # id, name, version as written ($Latest, $Default or a number); empty where it has none
    mixed: bool  # several instance types: the template is in its policy
    target_groups: tuple[str, ...]
    suspended: tuple[str, ...]
    hooks: tuple[Hook, ...]
    instances: tuple[t.Mapping[str, t.Any], ...]  # as AWS says
    refresh: t.Mapping[str, t.Any]  # the newest one, as AWS says; empty where there was none


@dataclass(frozen=True)
class Member:
    id: str
    lifecycle: str
    healthy: bool
    protected: bool
    zone: str
    template: t.Mapping[str, str]
    state: str  # of the machine: pending, running, shutting-down, terminated, stopping, stopped; empty where EC2 knows nothing of it
    private_ip: str
    public_ip: str
    private_dns: str
    name: str  # its tag Name
    launched: str

    @property
    def stays(self) -> bool:
        """It serves, or it is about to: whoever is not on its way out."""
        return self.lifecycle.startswith(("Pending", "InService", "Standby", "EnteringStandby"))


def template_of(raw: t.Optional[t.Mapping[str, t.Any]]) -> dict[str, str]:
    if not raw:
        return {}
    return {
        "id": str(raw.get("LaunchTemplateId") or ""),
        "name": str(raw.get("LaunchTemplateName") or ""),
        "version": str(raw.get("Version") or "$Default"),
    }


def same_template(one: t.Mapping[str, str], other: t.Mapping[str, str]) -> bool:
    if not one or not other:
        return False
    known = [key for key in ("id", "name") if one.get(key) and other.get(key)]
    return (
        bool(known) and all(one[key] == other[key] for key in known[:1]) and one.get("version") == other.get("version")
    )


def group_of(
    raw: t.Mapping[str, t.Any], hooks: t.Sequence[t.Mapping[str, t.Any]], refreshes: t.Sequence[t.Mapping[str, t.Any]]
) -> Group:
    mixed = ((raw.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}).get("LaunchTemplateSpecification")
    return Group(
        name=raw["AutoScalingGroupName"],
        arn=str(raw.get("AutoScalingGroupARN") or ""),
        minimum=int(raw.get("MinSize") or 0),
        maximum=int(raw.get("MaxSize") or 0),
        desired=int(raw.get("DesiredCapacity") or 0),
        template=template_of(raw.get("LaunchTemplate") or mixed),
        mixed=bool(mixed),
        target_groups=tuple(raw.get("TargetGroupARNs") or ()),
        suspended=tuple(sorted(one["ProcessName"] for one in raw.get("SuspendedProcesses") or ())),
        hooks=tuple(hook_of(one) for one in hooks),
        instances=tuple(raw.get("Instances") or ()),
        refresh=newest(refreshes),
    )


def hook_of(raw: t.Mapping[str, t.Any]) -> Hook:
    launching = str(raw.get("LifecycleTransition") or "").endswith("LAUNCHING")
    timeout, result = int(raw.get("HeartbeatTimeout") or 3600), str(raw.get("DefaultResult") or "ABANDON")
    return Hook(raw["LifecycleHookName"], "launching" if launching else "terminating", timeout, result)


def newest(refreshes: t.Sequence[t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any]:
    """One that goes on wins over one that ended, and the newer over the older."""
    ordered = sorted(
        refreshes, key=lambda one: (one.get("Status") in ACTIVE, stamp(one.get("StartTime"))), reverse=True
    )
    return ordered[0] if ordered else {}


def stamp(value: t.Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value or "")


def member_of(raw: t.Mapping[str, t.Any], machine: t.Optional[t.Mapping[str, t.Any]]) -> Member:
    machine = machine or {}
    tags = {one["Key"]: one["Value"] for one in machine.get("Tags") or ()}
    return Member(
        id=raw["InstanceId"],
        lifecycle=str(raw.get("LifecycleState") or ""),
        healthy=str(raw.get("HealthStatus") or "").upper() == "HEALTHY",
        protected=bool(raw.get("ProtectedFromScaleIn")),
        zone=str(raw.get("AvailabilityZone") or ""),
        template=template_of(raw.get("LaunchTemplate")),
        state=str((machine.get("State") or {}).get("Name") or ""),
        private_ip=str(machine.get("PrivateIpAddress") or ""),
        public_ip=str(machine.get("PublicIpAddress") or ""),
        private_dns=str(machine.get("PrivateDnsName") or ""),
        name=str(tags.get("Name") or ""),
        launched=stamp(machine.get("LaunchTime")),
    )


def told(group: Group) -> dict[str, t.Any]:
    return {
        "name": group.name,
        "arn": group.arn,
        "min": group.minimum,
        "max": group.maximum,
        "desired": group.desired,
        "launch_template": dict(group.template),
        "target_groups": list(group.target_groups),
        "suspended": list(group.suspended),
        "hooks": [
            {
                "name": one.name,
                "transition": one.transition,
                "timeout": one.timeout,
                "default_result": one.default_result,
                "codedeploy": one.codedeploy,
            }
            for one in group.hooks
        ],
        "refresh": told_refresh(group.refresh) or None,
    }


def told_member(member: Member, group: str) -> dict[str, t.Any]:
    return {
        "instance_id": member.id,
        "group": group,
        "lifecycle_state": member.lifecycle,
        "healthy": member.healthy,
        "stays": member.stays,
        "protected": member.protected,
        "zone": member.zone,
        "launch_template": dict(member.template),
        "state": member.state,
        "private_ip": member.private_ip,
        "public_ip": member.public_ip,
        "private_dns": member.private_dns,
        "name": member.name,
        "launched": member.launched,
    }


def told_refresh(raw: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    if not raw:
        return {}
    rollback = raw.get("RollbackDetails") or {}
    return {
        "id": str(raw.get("InstanceRefreshId") or ""),
        "status": str(raw.get("Status") or ""),
        "active": raw.get("Status") in ACTIVE,
        "percent": int(raw.get("PercentageComplete") or 0),
        "to_update": int(raw.get("InstancesToUpdate") or 0),
        "reason": str(raw.get("StatusReason") or ""),
        "rollback_reason": str(rollback.get("RollbackReason") or ""),
        "started": stamp(raw.get("StartTime")),
        "ended": stamp(raw.get("EndTime")),
        "launch_template": template_of((raw.get("DesiredConfiguration") or {}).get("LaunchTemplate")),
    }
