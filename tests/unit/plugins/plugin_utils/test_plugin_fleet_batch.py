# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A batch on its way, task by task, without Ansible: what is done once, whose turn is next, and what is kept of the answers."""

from __future__ import annotations

import dataclasses
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.action import rollout_host
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.calls import calls
from ansible_collections.alchemist.beam.plugins.plugin_utils import _fleet_turns
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import Memory, SeenHosts, load, remembered
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_steps import STEPS
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import record
from ansible_collections.alchemist.beam.plugins.plugin_utils._server_steps import Answers
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._fleet.test_fleet_calls import SERVER

Vars = dict[str, t.Any]
BATCH = ["h1", "h2"]
PLAN = {
    "name": "shop",
    "channel": "production",
    "version": "2",
    "digest": "d2",
    "strategy": "rolling",
    "idle": False,
    "order": ["h1", "h2", "h3"],
    "members": [["h1", "h2"], ["h3"]],
    "fleet": ["h1", "h2", "h3", "h4"],
    "floor": 1,
    "leaves": BATCH,
    "moves": BATCH,
    "recovers": ["h2"],
    "aside": {},
    "canary": "h1",
    "rows": [{"host": host, "from": "1"} for host in ("h1", "h2", "h3")],
}
SIDE = {
    "live": "blue",
    "to": "green",
    "back": "blue",
    "from": "1",
    "others": ["blue"],
    "starts": True,
    "action": "switch",
}
GREEN = {
    "strategy": "blue_green",
    "colors": ["blue", "green"],
    "sides": dict.fromkeys(("h1", "h2", "h3"), SIDE),
    "order": BATCH,
    "members": [BATCH],
    "balanced": {"members": {"%s-%s" % (h, c): {"before": "in"} for h in BATCH for c in ("blue", "green")}},
}
UP = {"changed": True, "after": {"version": "2", "pid": 9}}
BACK = {"changed": True, "after": {"version": "1", "pid": 8}}
DOWN = {"failed": True, "msg": "it did not boot", "error": {"code": "boot_timeout", "what": "it did not boot"}}
LOST = {"failed": True, "msg": "the lock was taken", "error": {"code": "lock_lost", "what": "the lock was taken"}}


class World:
    """answers: what modules say by name and state. Each task sees what the one before it has left in the memory."""

    def __init__(self, plan: t.Optional[Vars] = None, check: bool = False, **role: t.Any) -> None:
        self.done: list[tuple[str, Vars]] = []
        self.answers: dict[str, t.Any] = {}
        self.own: dict[str, Vars] = {host: {} for host in PLAN["order"]}
        self.memory = Memory("1")
        self.role = {
            "rollout_store": "s3://b/p",
            "rollout_name": "shop",
            "rollout_channel": "production",
            "rollout_store_options": {},
            "ansible_play_batch": BATCH,
            "rollout_on_failure": "revert",
            "rollout_hooks": {},
            "rollout_balancers": [{"kind": "none"}],
            "rollout_drain_timeout": 60,
            "rollout_drain_quiet": 2,
            "rollout_join_timeout": 40,
            "rollout_bake": 30,
            "rollout_canary": {},
            "rollout_store_host": "localhost",
            "rollout_balancer_host": "localhost",
            **role,
        }
        here = {
            "rollout_plan": {**PLAN, **(plan or {})},
            "rollout_held": {"mine": not check, "token": "t", "fence": 7},
        }
        self.hostvars = {"localhost": here, **self.own}
        self.check, self.turn = check, {}

    def call(self, name: str, options: Vars, _rehearse: bool = False) -> Vars:
        state = options.get("state", "")
        self.done.append(((name + " " + state).strip(), options))
        found = self.answers.get(self.done[-1][0], {"changed": True})
        told = {"members": {host: {"before": "in"} for host in options.get("members") or ()}}
        return {**(told if name == "balancer_member" else {}), **(found.pop(0) if isinstance(found, list) else found)}

    def step(self, step: str) -> Vars:
        self.role["rollout_turn"] = self.turn
        hostvars = SeenHosts(self.hostvars, self.memory)
        self.turn = STEPS[step](Fleet(self.role.get, hostvars, self.call, self.check, memory=self.memory))
        if self.turn["halted"]:  # as the role remembers it
            t.cast("Vars", self.hostvars["localhost"])["rollout_halted"] = True
        return self.turn

    def hears(self, **said: t.Any) -> Vars:
        """Each host says this of the steps of its turn, all the same unless one has its own."""
        for host in self.turn["hosts"]:
            own = said.get(host, said)
            answers = {step: own.get(step, {"changed": True}) for step in self.turn["steps"]}
            self.own[host]["rollout_done"] = {"turn": self.turn["turn"], "answers": answers}
        return self.step("go_on")

    def notes(self) -> list[dict[str, str]]:
        return [
            {host: row["step"] for host, row in own["hosts"].items()}
            for name, own in self.done
            if name == "rollout_journal recorded"
        ]

    def outcomes(self) -> list[str]:
        seen = SeenHosts(self.hostvars, self.memory)
        return [record(seen[host]).outcome for host in BATCH]

    @property
    def names(self) -> list[str]:
        return [name for name, _options in self.done]


def test_a_batch_that_moves_takes_three_tasks() -> None:
    world = World()
    first = world.step("move")
    assert (first["where"], first["steps"], first["hosts"], first["waits"]) == (
        "server",
        ["activate", "restart"],
        BATCH,
        "restart",
    )
    assert world.names == ["rollout_journal recorded", "balancer_member drained"]
    drained = world.done[1][1]
    assert drained["members"] == {
        "h1": {},
        "h2": {"left": True},
    }  # who was out already has been taken out by one before
    assert (sorted(drained["fleet"]), drained["min_healthy"], drained["quiet"]) == (["h1", "h2", "h3", "h4"], 1, 2)
    last = world.hears(restart=UP)
    assert last["over"] and not last["halted"] and last["machinery"] is False
    assert world.names[2:] == ["rollout_journal recorded", "balancer_member joined", "rollout_journal recorded"]
    assert world.notes() == [dict.fromkeys(BATCH, step) for step in ("leaving", "moved", "joined")]
    fenced = [own for name, own in world.done if name == "rollout_journal recorded"]
    assert {(own["fence"], own["token"], own["reverting"]) for own in fenced} == {(7, "t", False)}
    assert world.outcomes() == ["moved", "moved"]


def test_a_hook_has_a_turn_of_its_own_and_splits_what_is_one_call() -> None:
    world = World(rollout_hooks={"before_restart": "x.yml", "join": "y.yml"})
    assert world.step("move")["steps"] == ["activate"]
    assert (world.hears()["where"], world.turn["steps"], world.turn["waits"]) == ("hook", ["before_restart"], "")
    assert world.turn["title"] == "run the hook before_restart"
    assert world.hears()["steps"] == ["restart"] and world.hears(restart=UP)["steps"] == ["join"]
    failed = world.hears(h2={"join": {"failed": True, "msg": "Run it: no"}})
    assert (failed["where"], failed["back"], failed["halted"]) == ("server", True, True)
    assert world.memory.record("h2")["hook"]["msg"] == "Run it: no"


def test_one_that_fails_takes_all_of_the_batch_back() -> None:
    world = World()
    world.step("move")
    back = world.hears(h1={"restart": UP}, h2={"restart": DOWN})
    assert (back["steps"], back["hosts"], back["expected"]) == (
        ["back_point", "back_restart"],
        BATCH,
        {"h1": "1", "h2": "1"},
    )
    assert world.notes()[1:] == [{"h1": "moved", "h2": "failed"}, {"h1": "returning", "h2": "returning"}]
    over = world.hears(back_restart=BACK)
    assert over["over"] and over["halted"] and not over["fenced"] and world.outcomes() == ["returned", "returned"]
    assert world.names[-2:] == ["balancer_member joined", "rollout_journal recorded"]
    assert world.step("move") == {"changed": False, "over": True, "halted": True, "fenced": False}


def test_what_moved_stays_where_that_is_wanted() -> None:
    world = World(rollout_on_failure="halt")
    world.step("move")
    over = world.hears(h1={"restart": UP}, h2={"restart": DOWN})
    assert over["over"] and over["halted"] and world.done[-2][1]["members"] == {"h1": {"left": True}}
    assert world.notes()[-1] == {"h1": "joined"}


def test_what_moved_before_is_taken_back_after_a_later_batch_failed() -> None:
    world = World()
    world.step("move")
    world.hears(restart=UP)
    assert world.step("take_back")["over"]  # nothing has failed
    t.cast("Vars", world.hostvars["localhost"])["rollout_halted"] = True
    assert world.step("take_back")["steps"] == ["back_point", "back_restart"]
    assert world.names[-1] == "balancer_member drained"  # they serve: so they leave once more
    world.hears(back_restart=BACK)
    assert world.outcomes() == ["returned", "returned"]


def test_the_last_look() -> None:
    world = World(plan={"order": BATCH, "members": [BATCH]})
    world.step("move")
    world.hears(restart=UP)
    assert world.step("confirm")["steps"] == ["confirm"]
    found = world.hears(h1={"confirm": {"running": True, "pid": 9}}, h2={"confirm": {"running": True, "pid": 10}})
    assert found["over"] and found["halted"] and world.outcomes() == ["moved", "failed"]
    assert World(check=True).step("confirm")["over"]


@pytest.mark.parametrize(
    ("answers", "halted", "fenced"),
    [
        ([{"failed": True, "msg": "x", "error": {"code": "store_away"}}], True, False),
        ([{"changed": True}, {"failed": True, "msg": "x", "error": {"code": "store_away"}}], False, False),
        ([{"changed": True}, LOST], True, True),
    ],
    ids=["before", "after", "overtaken"],
)
def test_a_journal_that_can_not_be_written(answers: list[Vars], halted: bool, fenced: bool) -> None:
    """Before anything has begun nothing is done; later it keeps nobody out of service. Who was overtaken stops, and puts back what he took out."""
    world = World()
    world.answers["rollout_journal recorded"] = [*answers, *[{"changed": True}] * 9]
    world.answers["rollout_info"] = {"lock": {"held": False}}
    world.step("move")
    if len(answers) > 1:
        world.hears(restart=UP)
    assert (world.turn["over"], world.turn["halted"], world.turn["fenced"]) == (True, halted, fenced)
    if fenced:
        assert world.names[-2:] == ["rollout_info", "balancer_member joined"] and world.done[-1][1]["members"]
        assert SeenHosts(world.hostvars, world.memory)["h1"]["rollout_gave_way"]["failed"] is False


def test_who_was_overtaken_waits_for_the_other_one() -> None:
    world, waited = World(), []
    world.answers["rollout_info"] = [{"lock": {"held": True}}, {"failed": True}, {"lock": {"held": True, "dead": True}}]
    fleet = Fleet(world.role.get, world.hostvars, world.call, sleep=waited.append)
    assert _fleet_turns._stand_by(fleet) == {"changed": False} and waited == [5.0, 5.0]


def test_a_rehearsal_writes_nothing_and_runs_no_hook() -> None:
    world = World(check=True, rollout_hooks={"before_restart": "x.yml"})
    assert world.step("move")["steps"] == ["activate", "restart"] and world.names == ["balancer_member drained"]
    world.hears(restart=UP)
    assert "rollout_journal recorded" not in world.names


def test_without_a_balancer_there_are_notes_only() -> None:
    world = World(rollout_balancers=[], plan={"leaves": []})
    world.step("move")
    world.hears(restart=UP)
    assert set(world.names) == {"rollout_journal recorded"}


def test_two_nodes_are_in_by_turns() -> None:
    world = World(plan=GREEN, rollout_colors=["blue", "green"])
    first = world.step("move")
    assert world.names == ["rollout_journal recorded", "balancer_member drained"]
    assert sorted(world.done[-1][1]["members"]) == ["h1-green", "h2-green"] and world.done[-1][1]["min_healthy"] == 1
    assert all(member["left"] for member in world.done[-1][1]["fleet"].values())
    assert (first["steps"], first["nodes"], first["others"]) == (
        ["activate", "restart"],
        dict.fromkeys(BATCH, "green"),
        dict.fromkeys(BATCH, ["blue"]),
    )
    # A user is told of each wait before it begins: the join, and then the drain.
    joined = world.hears(restart=UP)
    assert (joined["where"], joined["waits"], world.names[-1]) == ("", "drain", "balancer_member joined")
    switch = world.step("go_on")
    assert (switch["steps"], switch["waits"]) == (["switch", "enable", "disable", "stop"], "stop")
    assert sorted(world.done[-1][1]["members"]) == ["h1-blue", "h2-blue"]
    back = world.hears(h1={}, h2={"stop": DOWN})
    assert (back["steps"], back["nodes"], back["others"]) == (
        ["back_point", "back_restart"],
        dict.fromkeys(BATCH, "blue"),
        dict.fromkeys(BATCH, ["green"]),
    )


def test_in_a_rehearsal_nobody_has_joined_so_there_is_no_floor() -> None:
    world = World(plan=GREEN, check=True, rollout_colors=["blue", "green"])
    world.step("move")
    world.hears(restart=UP)
    world.step("go_on")
    assert [own["min_healthy"] for name, own in world.done if name == "balancer_member drained"] == [1, 0]


@pytest.mark.parametrize(("aside", "compared"), [({}, ["h1"]), ({"h1": ["lb"]}, [])], ids=["in", "out by hand"])
def test_a_canary_is_compared_with_who_has_not_moved(aside: Vars, compared: list[str]) -> None:
    plan = {"strategy": "canary", "members": [["h1"], ["h2", "h3"]], "aside": aside, "recovers": ["h3"]}
    world = World(plan=plan, ansible_play_batch=["h1"], rollout_canary={"error_rate": 2, "memory_ratio": 3})
    world.answers["balancer_member watched"] = {"comparison": {}, "failed": True, "msg": "no counters"}
    world.step("move")
    assert world.hears(restart=UP)["waits"] == "bake"
    assert world.step("go_on")["steps"] == ["look"]
    watched = world.done[-1][1]
    assert (watched["bake"], watched["limits"], sorted(watched["fleet"])) == (30, {"error_rate": 2}, ["h1", "h2", "h4"])
    assert watched["balancers"] == ([{"kind": "none"}] if compared else []) and sorted(watched["members"]) == ["h1"]
    # What the balancer could not tell fails the canary, not the step.
    over = world.hears(look={"found": {"running": True, "pid": 9}})
    assert over["halted"] and world.memory.record("h1")["bake"]["failed"]


def test_a_step_that_breaks_is_an_answer_and_keeps_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.step("move")
    monkeypatch.setattr(_fleet_turns, "_balance", lambda *_words: 1 / 0)
    over = world.hears(restart=UP)
    assert over["failed"] and "join: ZeroDivisionError" in over["msg"] and over["waits"] == "drain"
    assert world.memory.record("h1")["restart"] == UP


@pytest.mark.parametrize(
    ("done", "steps"),
    [
        ({"unreachable": True, "msg": "no route"}, {"activate"}),
        ({"failed": True, "msg": "MODULE FAILURE"}, {"activate"}),
        ({}, {"activate"}),
        ({"turn": "move 1", "answers": {"activate": {}, "restart": UP}}, {"activate"}),  # of another turn
        ({"turn": "confirm 3", "answers": {"activate": {}, "restart": UP}}, {"activate"}),  # of another part
    ],
)
def test_who_came_to_no_answer_has_failed(done: Vars, steps: set[str]) -> None:
    world = World(ansible_play_batch=["h1"])
    world.step("move")
    world.own["h1"]["rollout_done"] = done
    back = world.step("go_on")
    assert back["back"] and back["halted"] and not world.memory.record("h1")["activate"].get("after")
    assert steps <= set(world.memory.record("h1")) and "restart" not in world.memory.record("h1")


def test_the_store_and_the_balancers_may_be_asked_from_different_hosts() -> None:
    world = World(rollout_store_host="ci", rollout_balancer_host="lb")
    assert (world.step("move")["where"], world.turn["at"], world.names) == ("", "lb", ["rollout_journal recorded"])
    assert (world.step("go_on")["steps"], world.turn["at"]) == (["activate", "restart"], "ci")
    assert world.hears(restart=UP)["at"] == "lb" and world.step("go_on")["at"] == "ci"
    assert world.step("go_on")["over"] and world.outcomes() == ["moved", "moved"]


def test_the_only_server_may_be_this_machine() -> None:
    one = {"order": ["localhost"], "members": [["localhost"]], "fleet": ["localhost"], "rows": [{"host": "localhost"}]}
    world = World(plan={**one, "leaves": [], "moves": ["localhost"]}, ansible_play_batch=["localhost"])
    world.own["localhost"] = t.cast("Vars", world.hostvars["localhost"])
    world.step("move")
    assert world.hears(restart=UP)["over"]
    assert record(SeenHosts(world.hostvars, world.memory)["localhost"]).outcome == "moved"


def test_who_is_overtaken_on_the_way_back_gives_way_also_from_another_host() -> None:
    """What is known by now must not be taken for what was known when the way back began: it would begin no more."""
    world = World(rollout_store_host="ci", rollout_balancer_host="lb")
    world.step("move")
    world.step("go_on")
    world.hears(restart=UP)
    while not world.turn["over"]:
        world.step("go_on")
    t.cast("Vars", world.hostvars["localhost"])["rollout_halted"] = True
    world.answers["rollout_info"] = {"lock": {"held": False}}
    world.step("take_back")
    assert world.step("go_on")["steps"] == ["back_point", "back_restart"]
    world.hears(back_point=LOST)
    while not world.turn["over"]:
        world.step("go_on")
    assert world.turn["fenced"] and world.names[-2:] == ["rollout_info", "balancer_member joined"]


def test_the_memory_is_of_one_rollout(tmp_path: Path) -> None:
    first = load(str(tmp_path), "1")
    first.begin("move", ["h1"], False)
    first.keep({"h1": UP}, {"h1": {"restart": UP}}, False)
    assert load(str(tmp_path), "1").record("h1") == {"restart": UP} and load(str(tmp_path), "2").record("h1") == {}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_memory_goes_on_from_one_task_to_the_next(tmp_path: Path) -> None:
    def task() -> Memory:
        return load(str(tmp_path), "1")

    task().begin("move", ["h1", "h2"], False)
    task().keep({"": {"changed": True}}, {host: {"note_leaving": {"changed": True}} for host in BATCH}, False)
    task().keep({"h1": UP, "h2": LOST}, {"h1": {"restart": UP}, "h2": {"restart": LOST}}, True)
    task().give_way(["h2"], DOWN)
    assert (task().fenced, task().now.fenced_before, task().gave_way) == (True, False, {"h2": DOWN})
    task().begin("take_back", ["h1"], True)
    task().keep({"h1": BACK}, {"h1": {"back_restart": BACK}}, True)
    now = task()
    assert (now.now.name, now.now.batch, now.now.halted, now.now.fenced_before) == ("take_back", ["h1"], True, True)
    assert now.now.answered == [{"h1": BACK}]
    assert now.record("h1") == {"note_leaving": {"changed": True}, "restart": UP, "back_restart": BACK}
    assert now.record("h1", before=True) == {"note_leaving": {"changed": True}, "restart": UP}
    assert now.record("h2") == now.record("h2", before=True) == {"note_leaving": {"changed": True}, "restart": LOST}
    assert now.record("h3") == {}


def test_a_line_that_was_cut_off_is_as_if_it_had_never_been_written(tmp_path: Path) -> None:
    load(str(tmp_path), "1").begin("move", BATCH, False)
    load(str(tmp_path), "1").keep({"h1": UP}, {"h1": {"activate": UP}}, False)
    [path] = tmp_path.glob("*-1-1.jsonl")
    path.write_bytes(path.read_bytes() + b'{"said": [{"chan')
    memory = load(str(tmp_path), "1")
    assert memory.now.answered == [{"h1": UP}]
    memory.keep({"h1": UP}, {"h1": {"restart": UP}}, False)
    assert sorted(load(str(tmp_path), "1").record("h1")) == ["activate", "restart"]


def test_a_turn_costs_what_its_batch_is_and_not_the_fleet(tmp_path: Path) -> None:
    """What is the same of many hosts is written once, and no line of another batch is written again."""
    sizes = []
    for batch in range(3):
        memory = load(str(tmp_path), "1")
        hosts = ["b%d-h%d" % (batch, number) for number in range(50)]
        memory.begin("move", hosts, False)
        said = {"members": {host: {"before": "in"} for host in hosts}}
        before = sum(path.stat().st_size for path in tmp_path.iterdir())
        memory.keep({"": said}, {host: {"leave": said} for host in hosts}, False)
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()) - before)
    assert len(set(sizes)) == 1 and sizes[0] < 50 * 100, sizes
    read: list[str] = []
    memory = load(str(tmp_path), "1")
    memory._lines = lambda part: read.append(part) or Memory("1", str(tmp_path))._lines(part)  # type: ignore[method-assign]
    assert memory.record("b2-h1") and read == []
    assert memory.record("b0-h1") == {"leave": {"members": {"b0-h%d" % n: {"before": "in"} for n in range(50)}}}
    assert read == ["1"]


class Evaluated(dict):  # type: ignore[type-arg]
    """Variables as Ansible has them: each that is read is evaluated, unless it is asked for as it is."""

    def __init__(self, *words: t.Any) -> None:
        super().__init__(*words)
        self.read: list[str] = []

    def __getitem__(self, name: str) -> t.Any:
        self.read.append(name)
        return super().__getitem__(name)

    def raw_get(self, host: str) -> t.Any:
        return dict(super().__getitem__(host))


def test_a_plan_is_not_evaluated_and_what_is_known_of_a_host_is_put_together_once() -> None:
    here = Evaluated({"rollout_plan": PLAN, "rollout_halted": False})
    hostvars = Evaluated({"localhost": here})
    seen = SeenHosts(hostvars, Memory("1"))
    for _again in range(3):
        assert seen["localhost"]["rollout_plan"] == PLAN and seen["localhost"]["rollout_halted"] is False
    assert (here.read, hostvars.read) == (["rollout_halted"], ["localhost"])
    assert remembered(hostvars, "rollout_plan") == PLAN and remembered(hostvars, "rollout_held") is None


def test_for_each_drain_the_whole_fleet_is_looked_up_once(tmp_path: Path) -> None:
    asked: list[str] = []

    class Hosts(dict):  # type: ignore[type-arg]
        def __getitem__(self, host: str) -> t.Any:
            asked.append(host)
            return super().__getitem__(host)

    three = ["h1", "h2", "h3"]
    world = World(plan={"leaves": three, "moves": three})
    for batch in (BATCH, ["h3"]):
        world.role["ansible_play_batch"] = batch
        world.memory = load(str(tmp_path), "1")
        world.hostvars = Hosts({**world.hostvars, "h4": {"beam_member": {"server": "four"}}})
        world.step("move")
    drains = [own for name, own in world.done if name == "balancer_member drained"]
    assert [own["fleet"] for own in drains] == [{"h1": {}, "h2": {}, "h3": {}, "h4": {"server": "four"}}] * 2
    assert asked.count("h4") == 1
    world.memory.once("fleet", ["h1"], dict)  # another plan
    assert world.memory.once("fleet", ["h1"], lambda: {"h1": 1 / 0}) == {}


# What the modules of a server's turn answer.

CALLS = calls(["activate", "restart"], SERVER)
FULL = {"failed": True, "msg": "x", "error": {"code": "disk_full", "what": "current was not switched"}}


@pytest.mark.parametrize(
    ("found", "answers"),
    [
        ({**UP, "pointed": {"changed": True}}, {"activate": False, "restart": False}),
        ({**DOWN, "pointed": {"changed": True}}, {"activate": False, "restart": True}),
        ({**FULL, "pointed": FULL}, {"activate": True}),
        # Without an answer of the call nobody knows how far it came.
        ({"unreachable": True, "msg": "no route"}, {"activate": True}),
        ({"failed": True, "msg": "MODULE FAILURE"}, {"activate": True}),
    ],
)
def test_two_steps_in_one_call_are_told_apart(found: Vars, answers: dict[str, bool]) -> None:
    told = Answers("move 3")
    assert told.take(CALLS[0], {**found, "invocation": {"secret": 1}}) is not any(answers.values())
    shown = told.result(["activate", "restart"])
    failed = {step: bool(said.get("failed") or said.get("unreachable")) for step, said in shown["answers"].items()}
    assert (shown["turn"], failed) == ("move 3", answers) and "invocation" not in str(shown)
    assert bool(shown.get("failed") or shown.get("unreachable")) is any(answers.values())


def test_a_step_with_nothing_to_do_was_skipped_and_one_of_several_nodes_tells_of_each() -> None:
    steps = ["switch", "enable", "disable", "stop"]
    told = Answers("move 1")
    server = dataclasses.replace(SERVER, manager="daemon", color="green", others=("current", "blue"))
    for call in calls(steps, server):
        if not told.take(call, DOWN if call.options["pointer"] == "blue" else {"changed": True}):
            break
    answers = told.result(steps)["answers"]
    assert answers["enable"]["skipped"] and answers["disable"]["skipped"] and answers["switch"] == {"changed": True}
    assert answers["stop"]["failed"] and answers["stop"]["results"] == [{"changed": True}, DOWN]


def test_what_a_look_sees_fails_nothing() -> None:
    told = Answers("move 1")
    assert told.take(calls(["look"], SERVER)[0], {"unreachable": True, "msg": "no route"})
    assert told.take(calls(["confirm"], SERVER)[0], {"failed": True, "msg": "x"})
    answers = told.result(["look", "confirm"])["answers"]
    assert answers["look"] == {"changed": False, "found": {"unreachable": True, "msg": "no route"}}
    assert answers["confirm"] == {"failed": False, "msg": "x"}
    away = Answers("move 1")
    assert not away.take(calls(["confirm"], SERVER)[0], {"unreachable": True, "msg": "no route"})


def test_a_node_that_can_not_go_back_hot_is_restarted_later() -> None:
    told = Answers("take_back 1")
    assert told.take(calls(["back_upgrade"], SERVER)[0], DOWN)
    assert told.result(["back_upgrade"])["answers"] == {"back_upgrade": {"changed": False, "found": DOWN}}
    back = Answers("take_back 1")
    back.take(calls(["back_upgrade"], SERVER)[0], {"changed": True, "after": {"version": "1"}})
    assert back.result(["back_upgrade"])["answers"]["back_upgrade"]["after"] == {"version": "1"}


@pytest.mark.parametrize(("code", "changed"), [("release_missing", True), ("native_code", False)])
def test_in_a_rehearsal_nothing_is_staged_which_speaks_against_nothing(code: str, changed: bool) -> None:
    told = Answers("move 1")
    told.take(calls(["upgrade"], SERVER)[0], {"changed": False, "action": "blocked", "blockers": [{"code": code}]})
    assert told.result(["upgrade"])["answers"]["upgrade"]["changed"] is changed


@pytest.mark.parametrize(
    ("reach", "hidden"), [({"presigned": {"m": "https://x"}}, True), ({"store": "file:///s"}, False)]
)
def test_urls_that_a_rehearsal_sends_are_in_no_log_of_the_server(reach: Vars, hidden: bool) -> None:
    action, seen = rollout_host.ActionModule.__new__(rollout_host.ActionModule), []
    action._task, action._templar = types.SimpleNamespace(no_log=False, module_defaults=[]), None
    action._execute_module = lambda **_given: seen.append(action._task.no_log) or {"changed": False}
    [call] = calls(["activate"], dataclasses.replace(SERVER, reach=reach))
    assert action._call(call, {}) == {"changed": False} and seen == [hidden] and action._task.no_log is False
