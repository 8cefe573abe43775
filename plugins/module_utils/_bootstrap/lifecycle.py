# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The lifecycle hook of an auto scaling group that holds this instance: heartbeats while we work, then its completion.

launch     Pending -> Pending:Wait (the hook) -> Pending:Proceed -> InService       (Warmed:Pending... into a warm pool)
terminate  Terminating -> Terminating:Wait (the hook) -> Terminating:Proceed -> Terminated
"""

from __future__ import annotations

import threading
import time
import typing as t

from .._errors import BeamError
from .aws import Client
from .config import Config, Hooks
from .identify import Identity

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
RIGHTS = "autoscaling:DescribeAutoScalingInstances, DescribeLifecycleHooks, CompleteLifecycleAction, RecordLifecycleActionHeartbeat"
# From Pending, where an instance can be up already, to Pending:Wait. A balancer may drain for long between Terminating and Terminating:Wait.
WAIT_SECONDS = {"Pending": 60.0, "Terminating": 600.0}
PAUSE = 1.0

Tried = t.Callable[[t.Callable[[], t.Any]], t.Any]


class Lifecycle:
    """Of no group: nothing to complete."""

    launching = False  # whether a group waits for this instance to come into service

    def check(self) -> None:
        """Raise where it makes no sense to go on."""

    def taken_away(self, tried: Tried) -> BeamError | None:
        """What this instance fails by, whatever happens on it: its group terminates it."""
        return None

    def complete(self, result: str, tried: Tried) -> None:
        """CONTINUE or ABANDON."""

    def close(self) -> None:
        """No more heartbeats."""


class GroupLifecycle(Lifecycle):
    def __init__(
        self,
        client: Client,
        instance: str,
        group: str,
        hook: str,
        state: str,
        heartbeat: float,
        say: t.Callable[[str], None],
        terminating: bool = False,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self.client, self.instance, self.group, self.hook, self.say = client, instance, group, hook, say
        self.state = state
        self.kind = "Terminating" if terminating or "Terminating" in state else "Pending"
        self.launching = bool(hook) and is_pending(state)
        self._every = heartbeat
        self._stop = threading.Event()
        self._gone = ""  # why the action is not ours to complete any more
        self._thread: threading.Thread | None = None

    def start(self) -> GroupLifecycle:
        """Heartbeats from now on."""
        if self.hook:
            self._thread = threading.Thread(target=self._beat, daemon=True)
            self._thread.start()
        return self

    def check(self) -> None:
        if self._gone:
            self._see_the_end()

    def taken_away(self, tried: Tried) -> BeamError | None:
        try:
            state = tried(lambda: state_of(self.client, self.instance))
        except BeamError:
            return None
        return None if state and "Terminat" not in state else self._terminated(state)

    def complete(self, result: str, tried: Tried) -> None:
        if not self.hook:
            return
        self._stop.set()
        wait = _Wait(WAIT_SECONDS[self.kind], self._clock, self._sleep)

        def work() -> bool:
            state = state_of(self.client, self.instance)
            if not waits(state, self.kind):
                if self._comes(state) and not wait.over():
                    return False
                self._completed(state, result)
                return True
            try:
                self.client.call(
                    "complete_lifecycle_action",
                    "the launch of %s can't be completed" % self.instance,
                    AutoScalingGroupName=self.group,
                    LifecycleHookName=self.hook,
                    InstanceId=self.instance,
                    LifecycleActionResult=result,
                )
            except BeamError as error:
                if not _no_action(error):
                    raise
                state = state_of(self.client, self.instance)
                if not waits(state, self.kind):
                    self._completed(state, result)
                elif not wait.over():
                    return False  # it was completed, perhaps by a call of ours whose answer was lost, and moves on in a moment
                return True
            self.say("Told the group %s: %s" % (self.group, result))
            return True

        while not tried(work):
            wait.pause()
        self.launching = False

    def close(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(15)

    def _beat(self) -> None:
        told = ""
        while not self._gone and not self._stop.wait(self._every):
            problem = self._beat_once()
            if problem and problem != told:
                self.say(problem)
            told = problem

    def _beat_once(self) -> str:
        """What went wrong, if it may pass."""
        try:
            self.client.call(
                "record_lifecycle_action_heartbeat",
                "the heartbeat of %s can't be sent" % self.instance,
                AutoScalingGroupName=self.group,
                LifecycleHookName=self.hook,
                InstanceId=self.instance,
            )
            return ""
        except BeamError as error:
            if not _no_action(error):
                return error.message
            if not self._not_yet():
                self._gone = error.why
            return ""

    def _not_yet(self) -> bool:
        """Still on the way to the hook."""
        try:
            return self._comes(state_of(self.client, self.instance))
        except BeamError:
            return True

    def _comes(self, state: str) -> bool:
        """Not at the hook yet. A spot interruption, or the metadata, may tell of an end before the group does."""
        return state.endswith(self.kind) or (self.kind == "Terminating" and bool(state) and "Terminat" not in state)

    def _see_the_end(self) -> None:
        try:
            state = state_of(self.client, self.instance)
        except BeamError:
            return  # the completion will tell
        self._gone = ""
        if not waits(state, self.kind) and self.kind != "Terminating":
            self._completed(state, "")

    def _completed(self, state: str, result: str) -> None:
        """Somebody else, or the hook's time, has completed it."""
        self.launching = False
        if self.kind == "Terminating":
            self.say("The termination was completed by somebody else: it is %s" % state)
        elif (
            state.endswith(("InService", "Proceed", "Standby", "Stopped", "Running", "Hibernated"))
            and "Terminating" not in state
        ):
            self.say("The launch was completed already: this instance is %s" % state)
        elif result != "ABANDON":
            raise self._terminated(state)

    def _terminated(self, state: str) -> BeamError:
        return BeamError(
            "instance_terminating",
            "%s can't come into service" % self.instance,
            "the group %s terminates it: it is %s" % (self.group, state or "gone"),
            "If the hook's time ran out, raise its heartbeat timeout or the deadline",
        )


class _Wait:
    """For a state that comes: seconds of the clock, which counts the calls between two pauses as well."""

    def __init__(self, seconds: float, clock: t.Callable[[], float], sleep: t.Callable[[float], None]) -> None:
        self._end = clock() + seconds
        self._clock, self._sleep = clock, sleep

    def over(self) -> bool:
        return self._clock() >= self._end

    def pause(self) -> None:
        self._sleep(min(PAUSE, max(0.0, self._end - self._clock())))


def is_pending(state: str) -> bool:
    """On its way into service, or into a warm pool."""
    return "Pending" in state


def waits(state: str, kind: str) -> bool:
    return state.endswith(kind + ":Wait")


def state_of(client: Client, instance: str) -> str:
    """'' where no group has it."""
    return _membership(client, instance)[1]


def find_lifecycle(
    config: Config,
    identity: Identity,
    say: t.Callable[[str], None],
    client: Client | None = None,
    terminating: bool = False,
) -> Lifecycle:
    """What holds this instance now. terminating: it is on its way out."""
    if config.lifecycle == "none":
        return Lifecycle()
    client = client or Client("autoscaling", config.aws, identity.region, rights=RIGHTS)
    group, state = _membership(client, identity.instance)
    named = config.lifecycle if isinstance(config.lifecycle, Hooks) else None
    if not state:
        if named:
            raise BeamError(
                "not_in_group",
                "%s is not in the auto scaling group %s" % (identity.instance, named.group),
                "the configuration says that it is",
                "Correct lifecycle, or set it to none",
            )
        return Lifecycle()
    if named and named.group != group:
        raise BeamError(
            "not_in_group",
            "%s is not in the auto scaling group %s" % (identity.instance, named.group),
            "it is in %s" % group,
            "Correct lifecycle",
        )
    if "Terminat" in state and not terminating:
        raise BeamError(
            "instance_terminating", "%s is not brought into service" % identity.instance, "its group terminates it", ""
        )
    hook = ""
    if terminating or is_pending(state):
        wanted = (named.terminating if terminating else named.launching) if named else None
        hook = _hook(client, group, TERMINATING if terminating else LAUNCHING, wanted)
    return GroupLifecycle(client, identity.instance, group, hook, state, config.heartbeat, say, terminating).start()


def _membership(client: Client, instance: str) -> tuple[str, str]:
    found = client.call(
        "describe_auto_scaling_instances", "the group of %s can't be told" % instance, InstanceIds=[instance]
    )["AutoScalingInstances"]
    return (found[0]["AutoScalingGroupName"], found[0]["LifecycleState"]) if found else ("", "")


def _hook(client: Client, group: str, transition: str, wanted: str | None) -> str:
    """'' where the group has none of this kind."""
    hooks = client.call(
        "describe_lifecycle_hooks", "the hooks of the group %s can't be told" % group, AutoScalingGroupName=group
    )["LifecycleHooks"]
    names = sorted(hook["LifecycleHookName"] for hook in hooks if hook["LifecycleTransition"] == transition)
    kind = "launching" if transition == LAUNCHING else "terminating"
    if wanted is not None:
        if wanted not in names:
            raise BeamError(
                "hook_missing",
                "the group %s has no %s hook %s" % (group, kind, wanted),
                "it has %s" % (", ".join(names) or "none"),
                "Correct lifecycle.%s" % kind,
            )
        return wanted
    if len(names) > 1:
        raise BeamError(
            "hook_ambiguous",
            "which %s hook of the group %s is ours can't be told" % (kind, group),
            "it has %s" % ", ".join(names),
            "Name it, with bootstrap_lifecycle: {group: %s, %s: NAME}" % (group, kind),
        )
    return names[0] if names else ""


def _no_action(error: BeamError) -> bool:
    return error.details.get("aws") in (
        "ValidationError",
        "ValidationException",
    ) and "No active Lifecycle Action" in str(error.details.get("said"))
