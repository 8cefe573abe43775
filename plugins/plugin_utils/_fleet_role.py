# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a step of the action rollout_fleet knows of the role, and how it runs modules: their options are made from the plan here."""

from __future__ import annotations

import functools
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import Memory
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed

Vars = t.Mapping[str, t.Any]
Result = dict[str, t.Any]
SKIPPED: Vars = {"changed": False, "skipped": True}
NO_LOCK: Vars = {"mine": False}
PAUSE = 5.0


@dataclass(frozen=True)
class Fleet:
    """What the role knows. `ask` gives one of its variables. `call` runs a module with options, where the task runs; it rehearses it where told to.

    hostvars: with the record of each host, from the memory, beside its variables.
    """

    ask: t.Callable[[str], t.Any]
    hostvars: Vars
    call: t.Callable[..., Result]
    check_mode: bool = False
    now: t.Callable[[], float] = time.time
    sleep: t.Callable[[float], None] = time.sleep
    memory: Memory = field(default_factory=Memory)

    def known(self, name: str) -> t.Any:
        """What is remembered for the whole rollout."""
        return (self.hostvars.get("localhost") or {}).get(name)

    def told(self, step: str) -> Vars:
        """What an earlier step of the fleet answered; empty where it has not been, or is not kept."""
        return self.memory.told(step)

    def registered(self, name: str) -> Vars:
        """What a task of the role registered; empty where there is nothing."""
        found = self.ask(name)
        return found if isinstance(found, t.Mapping) else {}

    @property
    def plan(self) -> Vars:
        return t.cast("Vars", self.known("rollout_plan"))

    @property
    def held(self) -> Vars:
        return self.known("rollout_held") or {}

    @property
    def rolled_back(self) -> Vars:
        """The channel, where this run has rolled it back before; empty where it has not."""
        return self.known("rollout_rolled_back") or {}

    def run(self, module: str, rehearse: bool = False, **options: t.Any) -> Result:
        """A module that works in the store, on the channel. An option that is None is left to its default."""
        where = {key: self.ask("rollout_" + key) for key in ("store", "name", "channel")}
        given = {**(self.ask("rollout_store_options") or {}), **where, **options}
        return self.call(module, {key: value for key, value in given.items() if value is not None}, rehearse)

    def at_balancers(self, members: Vars, **options: t.Any) -> Result:
        """What the balancers say of these, or do with them."""
        return self.call("balancer_member", {"balancers": self.ask("rollout_balancers"), "members": members, **options})

    def look_until(self, good: t.Callable[[Result], bool], look: t.Callable[[], Result], looks: int) -> Result:
        """What was seen at last. looks: how often at most, with a pause between two of them."""
        found = look()
        for _more in range(looks - 1):
            if good(found):
                break
            self.sleep(PAUSE)
            found = look()
        return found

    def move(self, state: str, **options: t.Any) -> Result:
        """The channel, under our lock where there is one: a rehearsal holds none."""
        return self.run("release_channel", state=state, fence=self.held.get("fence"), **options)

    def note(self, state: str, held: Vars, **options: t.Any) -> Result:
        """The journal, which the holder of the lock alone writes."""
        return self.run("rollout_journal", state=state, fence=held.get("fence"), token=held.get("token"), **options)


Step = t.TypeVar("Step", bound=t.Callable[..., Result])


def refusing(step: Step) -> Step:
    """What a step refuses is its answer."""

    @functools.wraps(step)
    def told(*given: t.Any, **options: t.Any) -> Result:
        try:
            return step(*given, **options)
        except BeamError as exc:
            return NOTHING_NAMED.error(exc).as_failure()

    return t.cast("Step", told)


def lock(fleet: Fleet, purpose: str) -> tuple[Result, Result]:
    """What was said, and the lock as it is remembered. A rehearsal holds none."""
    found = fleet.run(
        "rollout_lock", state="held", purpose=purpose, wait=fleet.ask("rollout_wait"), ttl=fleet.ask("rollout_lock_ttl")
    )
    if failed(found) or fleet.check_mode:
        return found, dict(NO_LOCK)
    return found, {"mine": True, "token": found["lock"]["token"], "fence": found["lock"]["serial"]}


def unlock(fleet: Fleet, held: Vars) -> Result:
    return fleet.run("rollout_lock", state="released", token=held["token"])
