# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Target groups, against moto's API; what a target's health is, the test decides. Real AWS was never asked."""

from __future__ import annotations

import typing as t

import boto3
import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import alb
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.alb import Target, TargetGroup, places, state_of
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.plan import check_known, plan_drain, plan_join
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from moto import mock_aws
from moto.elbv2 import models
from moto.elbv2.exceptions import ELBClientError

REGION = "us-east-1"
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not match an error shape"
)  # moto, of the codes that we make it answer


class Throttled(ELBClientError):
    def __init__(self, code: str) -> None:
        super().__init__(code, "as the test says")


class Api:
    """moto's elbv2, with the health of each target in our hands. lag: how often describe is asked before a change shows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options = {"region": REGION, "access_key": "double", "secret_key": "double"}
        self.health: dict[str, tuple[str, str]] = {}  # target -> state, reason; default healthy
        self.registered: dict[str, set[tuple[str, int]]] = {}
        self.draining: dict[tuple[str, str], int] = {}  # group, target -> how many looks it still drains
        self.drain_looks = 3
        self.calls: list[tuple[str, t.Any]] = []
        self.fail: t.Callable[[str], str] = lambda operation: ""
        self.client = boto3.client(
            "elbv2", region_name=REGION, aws_access_key_id="double", aws_secret_access_key="double"
        )
        ec2 = boto3.client("ec2", region_name=REGION, aws_access_key_id="double", aws_secret_access_key="double")
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self._patch(monkeypatch)

    def _patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        api = self

        def check(operation: str, targets: t.Any = None) -> None:
            api.calls.append((operation, targets))
            code = api.fail(operation)
            if code:
                raise Throttled(code)

        def register(backend: t.Any, arn: str, instances: t.Any) -> None:
            check("register", instances)
            for target in instances:
                api.registered.setdefault(arn, set()).add((target["Id"], int(target["Port"])))
                api.draining.pop((arn, target["Id"]), None)

        def deregister(backend: t.Any, arn: str, instances: t.Any) -> None:
            check("deregister", instances)
            for target in instances:
                # One that it does not know is no error, as AWS says.
                if (target["Id"], int(target["Port"])) in api.registered.get(arn, set()):
                    api.draining[arn, target["Id"]] = api.drain_looks

        def describe(backend: t.Any, arn: str, targets: t.Any) -> list[t.Any]:
            check("describe", targets)
            if arn not in backend.target_groups:
                raise models.TargetGroupNotFoundError()
            known = api.registered.setdefault(arn, set())
            asked = [(one["Id"], int(one.get("Port") or 80)) for one in targets] if targets else sorted(known)
            found = []
            for target, port in asked:
                state, reason = api.health.get(target, ("healthy", ""))
                if (target, port) not in known:
                    state, reason = "unused", "Target.NotRegistered"
                elif (arn, target) in api.draining:
                    api.draining[arn, target] -= 1
                    state, reason = "draining", "Target.DeregistrationInProgress"
                    if api.draining[arn, target] <= 0:
                        known.discard((target, port))
                        del api.draining[arn, target]
                found.append(models.FakeHealthStatus(target, str(port), "80", state, reason or None, None))
            return found

        monkeypatch.setattr(models.ELBv2Backend, "register_targets", register)
        monkeypatch.setattr(models.ELBv2Backend, "deregister_targets", deregister)
        monkeypatch.setattr(models.ELBv2Backend, "describe_target_health", describe)

    def group(self, name: str, *targets: str, port: int = 4000) -> str:
        made = self.client.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=port,
            VpcId=self.vpc,
            TargetType="ip" if any("." in one for one in targets) else "instance",
            HealthCheckIntervalSeconds=10,
            HealthyThresholdCount=3,
        )["TargetGroups"][0]
        arn = str(made["TargetGroupArn"])
        self.registered[arn] = {(one, port) for one in targets}
        return arn

    def verbs(self, verb: str) -> list[t.Any]:
        return [targets for operation, targets in self.calls if operation == verb]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Api]:
    with mock_aws():
        yield Api(monkeypatch)


A, B, C = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb", "i-0cccccccccccccccc"


class Move:
    def __init__(self, api: Api, arns: t.Sequence[str], **targets: Target) -> None:
        self.places = alb.places({**api.options, "target_groups": list(arns)}, targets)
        self.mover = Mover(self.places, Timing(60.0, 0.1, 0.02, patience=30.0, undo=30.0))

    def drain(self, *names: str, floor: t.Optional[int] = None) -> t.Any:
        looks = self.mover.look()
        check_known(self.places, looks, names, False)
        plan = plan_drain(self.places, looks, names, None, floor)
        return plan if plan.capacity.refusal else self.mover.drain(plan)

    def join(self, *names: str) -> t.Any:
        looks = self.mover.look()
        check_known(self.places, looks, names, True)
        return self.mover.join(plan_join(self.places, looks, names))


def fails(code: str, work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as caught:
        work()
    assert caught.value.code == code, caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("state", "reason", "seen", "rotation", "healthy"),
    [
        ("healthy", "", False, "in", True),
        ("initial", "Elb.RegistrationInProgress", False, "in", False),
        ("unhealthy", "Target.Timeout", False, "in", False),
        ("draining", "Target.DeregistrationInProgress", False, "draining", False),
        ("unused", "Target.NotRegistered", True, "out", False),
        ("unused", "Target.NotRegistered", False, "unknown", False),
        ("unused", "Target.NotInUse", True, "in", False),
        ("unused", "Target.InvalidState", True, "in", False),
        ("unavailable", "Target.HealthCheckDisabled", True, "in", False),
        ("unhealthy.draining", "", True, "in", False),
    ],
)
def test_what_a_state_means(state: str, reason: str, seen: bool, rotation: str, healthy: bool) -> None:
    found = state_of(state, reason, "", seen)
    assert (found.rotation, found.healthy, found.sessions) == (rotation, healthy, None)


def test_out_of_two_groups_and_back(api: Api) -> None:
    one, two = api.group("one", A, B, C), api.group("two", A, B, port=5000)
    move = Move(api, [one, two], a=Target(A), b=Target(B))
    row = move.drain("a", floor=1)["a"]
    assert (row.before, row.after, len(row.taken), row.cut) == ("in", "out", 2, 0)
    assert api.registered == {one: {(B, 4000), (C, 4000)}, two: {(B, 5000)}}
    api.health[A] = ("initial", "Elb.InitialHealthChecking")
    back = Move(api, [one, two], a=Target(A), b=Target(B))  # another process: it never saw it registered
    normal, looks = api.fail, {"n": 0}

    def later(operation: str) -> str:
        looks["n"] += operation == "describe"
        if looks["n"] > 10:
            api.health.pop(A, None)
        return normal(operation)

    api.fail = later
    row = back.join("a")["a"]
    assert row.after == "in" and all(state.healthy for state in row.states.values())
    assert api.registered[one] >= {(A, 4000)} and api.registered[two] >= {(A, 5000)} and len(api.verbs("register")) == 2


def test_addresses_ports_and_zones(api: Api) -> None:
    arn = api.group("ip", "10.0.0.1", "10.0.0.2", port=80)
    api.registered[arn] = {("10.0.0.1", 4001), ("10.0.0.1", 4002), ("10.0.0.2", 4001)}
    move = Move(api, [arn], a=Target("10.0.0.1", 4001, "all"))
    assert move.drain("a")["a"].after == "out" and api.registered[arn] == {("10.0.0.1", 4002), ("10.0.0.2", 4001)}
    move.join("a")
    assert api.verbs("register") == [[{"Id": "10.0.0.1", "Port": 4001, "AvailabilityZone": "all"}]]


def test_a_target_that_the_group_does_not_know_is_not_drained(api: Api) -> None:
    arn = api.group("one", B, C)
    error = fails("member_unknown", lambda: Move(api, [arn], a=Target(A)).drain("a"))
    assert "NotRegistered" in error.message and not api.verbs("deregister")
    api.registered[arn].add((A, 9999))
    error = fails("member_unknown", lambda: Move(api, [arn], a=Target(A)).drain("a"))
    assert "is registered with port 9999, not 4000" in error.message
    api.registered[arn].discard((A, 9999))
    row = Move(api, [arn], a=Target(A, left=True)).drain("a")["a"]  # the caller's journal says that it took it out
    assert (row.before, row.after, row.taken) == ("out", "out", ())


def test_still_draining_at_the_deadline_is_told(api: Api) -> None:
    api.drain_looks = 10_000
    arn = api.group("one", A, B)
    move = Move(api, [arn], a=Target(A))
    move.mover = Mover(move.places, Timing(0.5, 0.1, 0.02))
    row = move.drain("a")["a"]
    assert (row.after, row.cut) == ("draining", None) and "still says draining" in row.note
    assert Move(api, [arn], a=Target(A)).join("a")["a"].after == "in", "registering again ends the draining"


def test_fail_open_and_the_floor(api: Api) -> None:
    arn = api.group("one", A, B, C)
    api.health = dict.fromkeys((A, B, C), ("unhealthy", "Target.ResponseCodeMismatch"))
    move = Move(api, [arn], a=Target(A), b=Target(B))
    assert "sends requests to all of them" in move.drain("a", floor=1).capacity.refusal and not api.verbs("deregister")
    api.health = {}
    assert "1 would be without a, b" in move.drain("a", "b", floor=2).capacity.refusal and not api.verbs("deregister")
    assert move.drain("a", floor=2)["a"].after == "out"


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded", "ServiceUnavailable"])
def test_throttled_on_the_way_is_asked_again(api: Api, code: str) -> None:
    arn = api.group("one", A, B)
    count = {"n": 0}

    def fail(operation: str) -> str:
        count["n"] += 1
        return code if count["n"] in (2, 3, 5, 6) else ""

    api.fail = fail
    assert Move(api, [arn], a=Target(A)).drain("a")["a"].after == "out"


def test_denied_in_the_second_group_puts_back_in_the_first(api: Api) -> None:
    one, two = api.group("one", A, B), api.group("two", A, B)
    api.fail = lambda operation: (
        "AccessDenied" if operation == "deregister" and len(api.verbs("deregister")) > 1 else ""
    )
    error = fails("balancer_denied", lambda: Move(api, [one, two], a=Target(A)).drain("a"))
    assert (
        "put back: a" in error.why and "DeregisterTargets" in error.hint and error.details["members"]["a"]["put_back"]
    )
    assert (A, 4000) in api.registered[one] and not api.draining


def test_denied_when_joining_says_how_it_was_left(api: Api) -> None:
    arn = api.group("one", A, B)
    move = Move(api, [arn], a=Target(A))
    move.drain("a")
    api.fail = lambda operation: "AccessDenied" if operation == "register" else ""
    error = fails("balancer_denied", lambda: move.join("a"))
    assert error.details["members"]["a"]["left"] == "out" and (A, 4000) not in api.registered[arn]


def test_never_healthy(api: Api) -> None:
    arn = api.group("one", A, B)
    move = Move(api, [arn], a=Target(A))
    move.drain("a")
    api.health[A] = ("unhealthy", "Target.ResponseCodeMismatch")
    move.mover = Mover(move.places, Timing(0.5, 0.1, 0.02))
    error = fails("not_joined", lambda: move.join("a"))
    assert "Target.ResponseCodeMismatch" in error.why and error.details["members"]["a"]["left"] == "in"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ExpiredToken", "balancer_credentials"),
        ("AccessDeniedException", "balancer_denied"),
        ("InvalidTarget", "member_unknown"),
        ("Odd", "balancer_refused"),
    ],
)
def test_names_of_failures(api: Api, code: str, expected: str) -> None:
    arn = api.group("one", A)
    api.fail = lambda operation: code if operation == "register" else ""
    fails(expected, lambda: Move(api, [arn], a=Target(A)).places[0].join("a"))


def test_a_group_that_is_not_there_and_an_api_that_is_not(api: Api) -> None:
    arn = api.group("one", A)
    fails("balancer_missing", lambda: TargetGroup(api.client, arn + "0", {}).look())
    away = places({**api.options, "endpoint_url": "http://127.0.0.1:9", "target_groups": [arn]}, {})
    fails("balancer_unreachable", away[0].look)


def test_forecast(api: Api) -> None:
    arn = api.group("one", A)
    api.client.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "45"}]
    )
    assert Move(api, [arn], a=Target(A)).places[0].forecast() == {"leave": 45.0, "join": 30.0, "slow_start": 0.0}
    assert Move(api, [arn], a=Target(A)).places[0].label.startswith("alb one/")
