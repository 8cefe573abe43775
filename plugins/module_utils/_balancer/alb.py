# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Target groups of an Application Load Balancer (or a network one), through boto3.

DescribeTargetHealth is the only truth: deregistering a target that a group does not know succeeds, and so does asking for one. How much is in flight is
not told by AWS; `draining` ends when the deregistration delay does, not when the last request did.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._aws import BUSY, CREDENTIALS, DENIED, OPTION, REFUSED, UNREACHABLE, Limits, TooLate, ask, make_client, said
from .._errors import BeamError
from .base import DRAINING, IN, OUT, UNKNOWN, MemberState, Unavailable, beam_option

_RIGHTS = (
    "The rights it takes: elasticloadbalancing:DescribeTargetGroups, DescribeTargetGroupAttributes, "
    "DescribeTargetHealth, RegisterTargets, DeregisterTargets"
)

# By the kind of a failure, the code of ours and what to do.
_MEANINGS = {
    BUSY: ("balancer_busy", "Run the task again later"),
    CREDENTIALS: ("balancer_credentials", "Give profile, or renew or correct the credentials, and run the task again"),
    DENIED: ("balancer_denied", _RIGHTS),
    REFUSED: ("balancer_refused", "Look at the target group"),
    UNREACHABLE: ("balancer_unreachable", "Check the network, region and endpoint_url"),
    OPTION: ("balancer_option", "Check the balancer's options"),
}
# One attempt: waiting, retrying and giving up are the mover's, over all requests together.
_LIMITS = Limits(connect=3, read=10, attempts=1)


@dataclass(frozen=True)
class Target:
    """What a host is in a group: an instance id or an IP address, and the port; None: the group's own."""

    id: str
    port: t.Optional[int] = None
    zone: str = ""  # `all` for an address outside of the VPC
    left: bool = False  # the caller took it out before: that it is not registered is no surprise


def translate(exc: BaseException, what: str) -> t.Optional[BeamError]:
    """None for what is no error of the API or the way there."""
    failure = said(exc)
    if failure is None:
        return None
    if failure.code in ("InvalidTarget", "InvalidInstance", "InvalidInstanceID.NotFound"):
        hint = "Correct the host's target: an instance id or an address of the group's network, and running"
        return BeamError("member_unknown", what, failure.why, hint)
    if failure.code.startswith("TargetGroupNotFound"):
        return BeamError(
            "balancer_missing", what, failure.why, "Correct target_groups and region (in an inventory beam_balancers)"
        )
    code, hint = _MEANINGS[failure.kind]
    return (Unavailable if failure.kind in (BUSY, UNREACHABLE) else BeamError)(code, what, failure.why, hint)


def state_of(state: str, reason: str, description: str, seen: bool) -> MemberState:
    """seen: that we know it as a member. Otherwise, not registered is not `out`: it may be a typing error."""
    note = " ".join(part for part in (state, reason, "(%s)" % description if description else "") if part)
    if reason == "Target.NotRegistered":
        return MemberState(OUT if seen else UNKNOWN, False, None, note)
    if state == "draining":
        return MemberState(DRAINING, False, None, note)
    # initial, unhealthy, unhealthy.draining, unavailable, and unused for another reason (no listener, a stopped instance): registered all the same
    return MemberState(IN, state == "healthy", None, note)


class TargetGroup:
    """One target group."""

    fails_open = True
    adds = True
    sees_all = True
    pace = 2.0

    def __init__(self, client: t.Any, arn: str, targets: t.Mapping[str, Target]) -> None:
        self.label = "alb %s" % (arn.split(":targetgroup/")[-1] if ":targetgroup/" in arn else arn)
        self._client, self._arn, self._targets = client, arn, dict(targets)
        self._port: t.Optional[int] = None
        self._in: set[str] = set()  # as of the last look
        self._seen: set[str] = {host for host, target in targets.items() if target.left}

    def _call(self, operation: str, **parameters: t.Any) -> t.Any:
        what = "%s of %s failed" % (operation, self.label)
        try:
            return ask(self._client, operation, _LIMITS, parameters, lambda exc: translate(exc, what))
        except Exception as exc:
            error = translate(exc, what)
            if error is None:
                raise
            raise error from exc

    def _group_port(self) -> int:
        if self._port is None:
            self._port = int(self._group().get("Port") or 0)
        return self._port

    def _group(self) -> t.Any:
        found = self._call("describe_target_groups", TargetGroupArns=[self._arn])["TargetGroups"]
        if not found:
            hint = "Correct target_groups and region (in an inventory beam_balancers)"
            raise BeamError("balancer_missing", "%s can't be used" % self.label, "AWS tells no such group", hint)
        return found[0]

    def _description(self, host: str) -> dict[str, t.Any]:
        target = self._targets[host]
        described: dict[str, t.Any] = {"Id": target.id, "Port": target.port or self._group_port()}
        if target.zone:
            described["AvailabilityZone"] = target.zone
        return described

    def _health(self, **parameters: t.Any) -> dict[tuple[str, int], t.Any]:
        found = self._call("describe_target_health", TargetGroupArn=self._arn, **parameters)["TargetHealthDescriptions"]
        return {(one["Target"]["Id"], int(one["Target"].get("Port") or 0)): one["TargetHealth"] for one in found}

    def look(self) -> dict[str, MemberState]:
        wanted = {host: (self._targets[host].id, int(self._description(host)["Port"])) for host in self._targets}
        healths = self._health()
        ours = {key: host for host, key in wanted.items()}
        found = {}
        for key, health in healths.items():
            host = ours.get(key, "%s:%d" % key)
            not_registered = health.get("Reason") == "Target.NotRegistered"
            if host in wanted and not not_registered:
                self._seen.add(host)
            found[host] = state_of(
                health.get("State", ""), health.get("Reason", ""), health.get("Description", ""), host in self._seen
            )
        for host, key in wanted.items():
            if host not in found:
                found[host] = self._missing(host, key, [port for target, port in healths if target == key[0]])
        self._in = {host for host in wanted if found[host].rotation == IN}
        return found

    def _missing(self, host: str, key: tuple[str, int], ports: t.Sequence[int]) -> MemberState:
        """Not in the list: asked by name, it may still be draining."""
        try:
            health = self._health(Targets=[{"Id": key[0], "Port": key[1]}]).get(key, {})
        except BeamError as exc:
            if exc.code != "member_unknown":
                raise
            health = {}
        state, reason = (
            "unused",
            "Target.NotRegistered",
        )  # whatever it says of a target that it does not list, but for one
        if health.get("State") == "draining":
            state, reason = "draining", health.get("Reason", "")
            self._seen.add(host)
        description = (
            "%s is registered with port %s, not %d" % (key[0], ", ".join(map(str, ports)), key[1])
            if ports
            else "%s, port %d" % key
        )
        return state_of(state, reason, description, host in self._seen)

    def leave(self, name: str) -> None:
        self._call("deregister_targets", TargetGroupArn=self._arn, Targets=[self._description(name)])

    def shut(self, name: str) -> None:
        """A target that is deregistered gets nothing."""

    def join(self, name: str, checked: bool = True) -> None:
        # There is no way to have a target checked before it is registered; until it is healthy, the balancer sends it nothing but the checks.
        if name not in self._in or not checked:
            self._call("register_targets", TargetGroupArn=self._arn, Targets=[self._description(name)])

    def forecast(self) -> dict[str, float]:
        group = self._group()
        listed = self._call("describe_target_group_attributes", TargetGroupArn=self._arn)["Attributes"]
        attributes = {one["Key"]: one["Value"] for one in listed}
        delay = float(attributes.get("deregistration_delay.timeout_seconds") or 300)
        joining = float(group.get("HealthyThresholdCount") or 5) * float(group.get("HealthCheckIntervalSeconds") or 30)
        return {
            "leave": delay,
            "join": joining,
            "slow_start": float(attributes.get("slow_start.duration_seconds") or 0),
        }


def _connect(options: t.Mapping[str, t.Any]) -> t.Any:
    what = "The balancer of kind alb can't be used"
    try:
        return make_client("elbv2", options, _LIMITS, what, "balancer_option")
    except TooLate as exc:
        raise translate(exc, what) or exc from exc


def places(options: t.Mapping[str, t.Any], targets: t.Mapping[str, Target], client: t.Any = None) -> list[TargetGroup]:
    if not options.get("target_groups"):
        raise beam_option("Cannot use a balancer of kind alb", "it needs target_groups", "Give their ARNs")
    client = client or _connect(options)
    return [TargetGroup(client, arn, targets) for arn in options["target_groups"]]
