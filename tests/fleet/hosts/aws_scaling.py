# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Auto scaling groups of the double: an instance that a group launches is a new host of the fleet, one that it terminates is powered off.

    launch     Pending, the host boots; with a hook Pending:Wait until complete_lifecycle_action, then Pending:Proceed; InService, registered
    terminate  Terminating, deregistered and drained; with a hook Terminating:Wait, then Terminating:Proceed; the host is powered off

Instances that are attached, and the rest, are moto's.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import balancer
import cloud
from common import Fleet, address
from moto.autoscaling import models, responses
from moto.autoscaling.exceptions import ValidationError
from moto.core.responses import EmptyResult

OUTSIDE = 9  # a file descriptor of the machine's own network namespace: services.py opens it
HOOK = {"launch": "autoscaling:EC2_INSTANCE_LAUNCHING", "terminate": "autoscaling:EC2_INSTANCE_TERMINATING"}


class Waiting:
    """An instance that a lifecycle hook holds."""

    def __init__(self, hook: t.Any) -> None:
        self.hook = hook
        self.result = hook.default_result
        self.done = threading.Event()
        self.beat()

    def beat(self) -> None:
        self.deadline = time.monotonic() + self.hook.heartbeat_timeout

    def wait(self) -> str:
        while not self.done.wait(0.1) and time.monotonic() < self.deadline:
            pass
        return str(self.result)


class Scaling:
    waiting: t.ClassVar[dict[str, Waiting]] = {}  # instance id -> what holds it
    fleet_name: t.ClassVar[str]
    adopt: t.ClassVar[t.Callable[[str, str], None]]  # instance id, host
    moto_replace: t.ClassVar[t.Any]
    moto_desire: t.ClassVar[t.Any]

    @classmethod
    def install(cls, fleet_name: str, adopt: t.Callable[[str, str], None]) -> None:
        cls.fleet_name, cls.adopt = fleet_name, staticmethod(adopt)
        group: t.Any = models.FakeAutoScalingGroup
        backend: t.Any = models.AutoScalingBackend
        answers: t.Any = responses.AutoScalingResponse
        cls.moto_replace, cls.moto_desire = (
            staticmethod(group.replace_autoscaling_group_instances),
            staticmethod(group.set_desired_capacity),
        )
        group.replace_autoscaling_group_instances, group.set_desired_capacity = cls.replace, cls.desire
        group.active_instances = lambda self: [
            one for one in self.instance_states if one.lifecycle_state.startswith(("Pending", "InService"))
        ]
        backend.update_attached_target_groups, backend.terminate_instance = (
            cls.update_target_groups,
            cls.terminate_instance,
        )
        answers.complete_lifecycle_action, answers.record_lifecycle_action_heartbeat = cls.complete, cls.heartbeat

    # In the place of moto's methods.

    def replace(self: t.Any, count: int, tags: dict[str, str]) -> None:
        known = {id(state) for state in self.instance_states}
        Scaling.moto_replace(self, count, tags)
        for state in [one for one in self.instance_states if id(one) not in known]:
            state.lifecycle_state = "Pending"
            host = Scaling.next_host()
            interface = state.instance.nics[0]
            interface.private_ip_address = address(host)
            interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address(host)}]
            Scaling.adopt(state.instance.id, host)
            in_background(Scaling.launch, self, state, host)

    def desire(self: t.Any, capacity: int | None) -> None:
        """Fewer: the oldest that are not protected leave."""
        surplus = len(self.active_instances()) - (self.min_size if capacity is None else capacity)
        for state in [one for one in self.active_instances() if not one.protected_from_scale_in][: max(surplus, 0)]:
            retire(self, state)
        Scaling.moto_desire(self, capacity)

    def update_target_groups(self: t.Any, group_name: str) -> None:
        group = self.autoscaling_groups[group_name]
        for arn in group.target_group_arns:
            targets = self.elbv2_backend.target_groups[arn].targets
            wanted = {one.instance.id for one in group.instance_states if one.lifecycle_state == "InService"}
            self.elbv2_backend.register_targets(arn, [{"Id": one} for one in sorted(wanted - set(targets))])
            leaving = {one.instance.id for one in group.instance_states} - wanted
            self.elbv2_backend.deregister_targets(arn, [{"Id": one} for one in sorted(leaving & set(targets))])

    def terminate_instance(self: t.Any, instance_id: str, should_decrement: bool) -> t.Any:
        group, state = next(
            (group, one)
            for group in self.autoscaling_groups.values()
            for one in group.instance_states
            if one.instance.id == instance_id
        )
        before = group.desired_capacity
        retire(group, state)
        group.set_desired_capacity(before - 1 if should_decrement else before)
        return models.TerminateInstanceActivity(state.instance, before)

    def complete(self: t.Any) -> t.Any:
        held = Scaling.held(self._get_param("InstanceId"), self._get_param("LifecycleHookName"))
        held.result = self._get_param("LifecycleActionResult")
        held.done.set()
        return EmptyResult()

    def heartbeat(self: t.Any) -> t.Any:
        group, name = self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookName")
        held = Scaling.held(self._get_param("InstanceId"), name)
        held.hook = self.autoscaling_backend.describe_lifecycle_hooks(group, [name])[0]  # by the time that it has now
        held.beat()
        return EmptyResult()

    # What happens in the background.

    @classmethod
    def held(cls, instance: str, hook: str) -> Waiting:
        held = cls.waiting.get(instance)
        if held is None or held.hook.name != hook or held.done.is_set():
            raise ValidationError("No active Lifecycle Action found with instance ID %s" % instance)
        return held

    @classmethod
    def next_host(cls) -> str:
        from aws_double import TargetGroup

        if cloud.Cloud.running:
            return cloud.free_name()
        return "h%d" % (
            max(int(host[1:]) for host in {*TargetGroup.hosts.values(), *Fleet.load(cls.fleet_name).hosts}) + 1
        )

    @classmethod
    def hooked(cls, group: t.Any, state: t.Any, transition: str) -> str:
        """Holds the instance as long as the group's hook says, and tells how that ended."""
        hooks = group.autoscaling_backend.describe_lifecycle_hooks(group.name)
        before = state.lifecycle_state
        for hook in [one for one in hooks if one.lifecycle_transition == HOOK[transition]]:
            held = cls.waiting[state.instance.id] = Waiting(hook)
            state.lifecycle_state = before + ":Wait"
            result = held.wait()
            if cls.waiting.get(state.instance.id) is held:
                del cls.waiting[state.instance.id]
            if result != "CONTINUE":
                return result
            state.lifecycle_state = before + ":Proceed"
        return "CONTINUE"

    @classmethod
    def launch(cls, group: t.Any, state: t.Any, host: str) -> None:
        if cloud.Cloud.running:
            fleet_command(cls.fleet_name, *cloud.launch_words(state.instance, host))
        else:
            fleet_command(cls.fleet_name, "add", host)
            balancer.tell(
                balancer.socket_path(Fleet(cls.fleet_name)), "set server %s/%s state maint" % (balancer.BACKEND, host)
            )  # until it is registered
        if state.lifecycle_state.startswith(
            "Terminating"
        ):  # while it was made: its hook of leaving is not to be taken for that of its launch
            return
        ended = cls.hooked(group, state, "launch")
        if state.lifecycle_state.startswith("Terminating"):  # while it was held
            return
        if ended != "CONTINUE":
            retire(group, state)
            group.set_desired_capacity(group.desired_capacity)
            return
        state.lifecycle_state = "InService"
        group.autoscaling_backend.update_attached_target_groups(group.name)

    @classmethod
    def leave(cls, group: t.Any, state: t.Any, host: str) -> None:
        elb, target = group.autoscaling_backend.elbv2_backend, {"Id": state.instance.id}
        while any(elb.describe_target_health(arn, [target])[0].status == "draining" for arn in group.target_group_arns):
            time.sleep(0.2)
        cls.hooked(group, state, "terminate")
        if cloud.Cloud.running:
            fleet_command(cls.fleet_name, "remove", host)
        else:
            fleet_command(cls.fleet_name, "poweroff", host)
        group.instance_states.remove(state)
        group.autoscaling_backend.ec2_backend.terminate_instances([state.instance.id])
        if cloud.Cloud.running:
            cloud.forget(host)


def retire(group: t.Any, state: t.Any) -> None:
    from aws_double import TargetGroup

    state.lifecycle_state = "Terminating"
    held = Scaling.waiting.pop(state.instance.id, None)
    if held:
        held.result = "TERMINATED"
        held.done.set()
    group.autoscaling_backend.update_attached_target_groups(group.name)
    in_background(Scaling.leave, group, state, TargetGroup.hosts[state.instance.id])


def in_background(action: t.Callable[..., None], *words: t.Any) -> threading.Thread:
    made = threading.Thread(target=action, args=words, daemon=True)
    made.start()
    return made


def fleet_command(name: str, *words: str) -> None:
    """The fleet's own command line, in the machine's network namespace."""
    argv = [
        "nsenter",
        "--net=/proc/self/fd/%d" % OUTSIDE,
        "--",
        str(Path(__file__).parents[1] / "fleet"),
        "--name",
        name,
        *words,
    ]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=(OUTSIDE,), check=False
    )
    print(
        "fleet %s: %d %s%s" % (" ".join(words), done.returncode, done.stdout, done.stderr), file=sys.stderr, flush=True
    )
