# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instance refreshes of the double, which moto does not know: they really replace instances, one after the other.

    start      the configuration that is wanted holds for new instances; the group shows it when the refresh is successful
    replace    above a minimum of 90 % healthy first a new one, else first the old one leaves; the next when the new one is in service
    wait       at each checkpoint, and at the end for the bake time; an alarm that is in the state ALARM ends it
    fail       a new instance that leaves before it is in service; then, if so asked, the former configuration comes back in the same way

Works on moto alone, where instances are in service at once, and on aws_scaling.py, where each is a host.
"""

from __future__ import annotations

import datetime
import threading
import time
import typing as t

from moto.autoscaling import models, responses
from moto.autoscaling.exceptions import AutoscalingClientError
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplateVersion

PACE = 0.1
ACTIVE = ("Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking")


class Ended(Exception):
    """Somebody or something ended it: the state it goes to, and why."""


class Refresh:
    known: t.ClassVar[dict[str, list[Refresh]]] = {}  # of each group, the newest first
    moto_launch: t.ClassVar[t.Any]

    @classmethod
    def install(cls) -> None:
        """After aws_scaling.py, if that is used."""
        group: t.Any = models.FakeAutoScalingGroup
        answers: t.Any = responses.AutoScalingResponse
        cls.moto_launch = staticmethod(group.replace_autoscaling_group_instances)
        group.replace_autoscaling_group_instances = launch
        # moto says the default version of the group's template of every instance; it is the one that the instance was launched from.
        models.InstanceState.launch_template = property(lambda self: self.__dict__.get("fleet_template"))  # type: ignore[assignment,method-assign]
        shown = group.launch_template.fget
        group.launch_template = property(lambda self: self.__dict__.get("fleet_shown") or shown(self))
        # moto takes the user data of a template's second version for what it refuses in the first.
        LaunchTemplateVersion.user_data = property(user_data)  # type: ignore[assignment,method-assign]
        answers.start_instance_refresh, answers.describe_instance_refreshes = start, describe
        answers.cancel_instance_refresh, answers.rollback_instance_refresh = cancel, rollback

    def __init__(self, group: t.Any, options: dict[str, t.Any]) -> None:
        self.group = group
        self.preferences: dict[str, t.Any] = options.get("Preferences") or {}
        self.wanted: dict[str, t.Any] = (options.get("DesiredConfiguration") or {}).get("LaunchTemplate") or {}
        self.former = group.launch_template
        self.ended: tuple[str, str] | None = None  # the state that it was told to go to
        self.raw: dict[str, t.Any] = {
            "InstanceRefreshId": "%08x-refresh-%d" % (id(self) & 0xFFFFFFFF, len(Refresh.known.get(group.name, ()))),
            "AutoScalingGroupName": group.name,
            "Status": "Pending",
            "StartTime": now(),
            "PercentageComplete": 0,
            "InstancesToUpdate": 0,
            "Preferences": self.preferences,
        }
        if self.wanted:
            self.raw["DesiredConfiguration"] = {"LaunchTemplate": self.wanted}

    def run(self) -> None:
        try:
            self.go()
        except Exception as exc:  # a thread that dies in silence would be a refresh that goes on for ever
            self.raw["StatusReason"] = "The double broke: %r" % exc
            self.finish("Failed")
            raise

    def go(self) -> None:
        try:
            self.configure(self.wanted, shown=False)
            self.raw["Status"] = "InProgress"
            self.replace_all(stoppable=True)
            if self.preferences.get("BakeTime"):
                self.raw["Status"] = "Baking"
                self.rest(float(self.preferences["BakeTime"]))
            self.configure(self.wanted, shown=True)
            self.finish("Successful")
        except Ended as exc:
            status, reason = exc.args
            self.raw["StatusReason"] = reason
            if status == "Cancelled":
                self.configure(self.former or {}, shown=True)
                self.finish("Cancelled")
            elif status == "RollbackSuccessful" or (self.preferences.get("AutoRollback") and self.former):
                self.go_back(reason)
            else:
                self.configure(self.former or {}, shown=True)
                self.finish("Failed")

    def go_back(self, reason: str) -> None:
        self.raw.update(
            Status="RollbackInProgress", RollbackDetails={"RollbackReason": reason, "RollbackStartTime": now()}
        )
        self.configure(self.former or {}, shown=True)
        try:
            self.replace_all(stoppable=False)
        except Ended as exc:
            self.raw["StatusReason"] = exc.args[1]
            self.finish("RollbackFailed")
        else:
            self.finish("RollbackSuccessful")

    def finish(self, status: str) -> None:
        self.raw.update(Status=status, EndTime=now())

    def configure(self, template: dict[str, t.Any], shown: bool) -> None:
        if template:
            given = (
                {key: value for key, value in template.items() if key in ("LaunchTemplateId", "Version")}
                if template.get("LaunchTemplateId")
                else template
            )
            self.group._set_launch_configuration("", dict(given), None)
        self.group.__dict__["fleet_shown"] = None if shown else self.former

    def replace_all(self, stoppable: bool) -> None:
        number = template_of(self.group)
        skip = self.preferences.get("SkipMatching") or not stoppable
        # On the way back also who has not made it into service.
        old = [
            one
            for one in (serving(self.group) if stoppable else self.group.active_instances())
            if not skip or one.launch_template != number
        ]
        checkpoints = [int(one) for one in self.preferences.get("CheckpointPercentages") or ()] if stoppable else []
        for index, state in enumerate(old):
            self.raw.update(InstancesToUpdate=len(old) - index, PercentageComplete=100 * index // len(old))
            self.replace(state, stoppable)
            while checkpoints and 100 * (index + 1) >= checkpoints[0] * len(old):
                if checkpoints.pop(0) < 100:
                    self.raw.update(
                        PercentageComplete=100 * (index + 1) // len(old), StatusReason="Waiting at a checkpoint."
                    )
                    self.rest(float(self.preferences.get("CheckpointDelay") or 3600))
        self.raw.update(InstancesToUpdate=0, PercentageComplete=100)

    def replace(self, state: t.Any, stoppable: bool) -> None:
        group, before = self.group, {id(one) for one in self.group.instance_states}
        backend, first = group.autoscaling_backend, int(self.preferences.get("MinHealthyPercentage") or 90) > 90
        if first:
            group.set_desired_capacity(group.desired_capacity + 1)
            try:
                self.settle(before, stoppable)
            except Ended:
                group.desired_capacity -= 1
                for one in [
                    one
                    for one in group.active_instances()
                    if id(one) not in before and one.lifecycle_state.startswith("Pending")
                ]:
                    backend.terminate_instance(one.instance.id, False)
                raise
        elif stoppable:
            self.check()
        if state in group.instance_states:
            backend.terminate_instance(state.instance.id, first)
            if not first and len(group.active_instances()) < group.desired_capacity:
                group.set_desired_capacity(group.desired_capacity)  # moto alone launches none in its place
        if not first:
            self.settle(before, stoppable)
        backend.update_attached_target_groups(group.name)

    def settle(self, before: set[int], stoppable: bool) -> None:
        """Until the new ones are in service, and as many as there have to be."""
        while True:
            if stoppable:
                self.check()
            new = [one for one in self.group.instance_states if id(one) not in before]
            lost = [one for one in new if one.lifecycle_state.startswith("Terminat")]
            if lost:
                raise Ended("Failed", "The instance %s was terminated before it was in service." % lost[0].instance.id)
            if (
                new
                and all(one.lifecycle_state == "InService" for one in new)
                and len(serving(self.group)) >= self.group.desired_capacity
            ):
                return
            time.sleep(PACE)

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(PACE)

    def check(self) -> None:
        if self.ended:
            raise Ended(*self.ended)
        names = (self.preferences.get("AlarmSpecification") or {}).get("Alarms") or ()
        backend = self.group.autoscaling_backend
        alarms = cloudwatch_backends[backend.account_id][backend.region_name].alarms
        for name in names:
            if name in alarms and alarms[name].state_value == "ALARM":
                raise Ended("Failed", "The alarm %s is in the state ALARM." % name)


def user_data(self: t.Any) -> Base64EncodedString | None:
    found = self.data.get("UserData")
    return Base64EncodedString(str(found)) if found else None


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def template_of(group: t.Any) -> dict[str, t.Any] | None:
    template = group.ec2_launch_template
    if template is None:
        return None
    number = template.get_version(group.launch_template_version).number
    return {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "Version": str(number)}


def serving(group: t.Any) -> list[t.Any]:
    return [one for one in group.instance_states if one.lifecycle_state == "InService"]


def launch(self: t.Any, count: int, tags: dict[str, str]) -> None:
    known = {id(state) for state in self.instance_states}
    Refresh.moto_launch(self, count, tags)
    for state in self.instance_states:
        if id(state) not in known:
            state.fleet_template = template_of(self)


def found(self: t.Any) -> tuple[t.Any, Refresh | None]:
    group = self.autoscaling_backend.describe_auto_scaling_groups([self._get_param("AutoScalingGroupName")])
    if not group:
        raise AutoscalingClientError("ValidationError", "AutoScalingGroup name not found - null")
    going = next((one for one in Refresh.known.get(group[0].name, ()) if one.raw["Status"] in ACTIVE), None)
    return group[0], going


def start(self: t.Any) -> t.Any:
    group, going = found(self)
    if going:
        raise AutoscalingClientError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this one.",
        )
    options = self._get_params()
    version = ((options.get("DesiredConfiguration") or {}).get("LaunchTemplate") or {}).get("Version")
    if (options.get("Preferences") or {}).get("AutoRollback") and not str(version or "").isdigit():
        raise AutoscalingClientError(
            "ValidationError", "AutoRollback needs a DesiredConfiguration with a numbered version of a launch template."
        )
    made = Refresh(group, options)
    Refresh.known.setdefault(group.name, []).insert(0, made)
    threading.Thread(target=made.run, daemon=True).start()
    return ActionResult({"InstanceRefreshId": made.raw["InstanceRefreshId"]})


def describe(self: t.Any) -> t.Any:
    group, _going = found(self)
    wanted = self._get_param("InstanceRefreshIds", [])
    told = [
        dict(one.raw)
        for one in Refresh.known.get(group.name, ())
        if not wanted or one.raw["InstanceRefreshId"] in wanted
    ]
    return ActionResult({"InstanceRefreshes": told})


def end(self: t.Any, status: str, begun: str, why: str) -> t.Any:
    _group, going = found(self)
    if going is None or going.raw["Status"] not in ("Pending", "InProgress", "Baking"):
        raise AutoscalingClientError(
            "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found."
        )
    going.raw["Status"] = begun
    going.ended = (status, why)
    return ActionResult({"InstanceRefreshId": going.raw["InstanceRefreshId"]})


def cancel(self: t.Any) -> t.Any:
    return end(self, "Cancelled", "Cancelling", "Cancelled by the user.")


def rollback(self: t.Any) -> t.Any:
    return end(self, "RollbackSuccessful", "RollbackInProgress", "Rolled back by the user.")
