# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hot upgrade would do, and each thing that speaks against it by its name."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.facts import (
    Added,
    Application,
    Changed,
    Group,
    Look,
    read_look,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.plan import (
    Blocker,
    Keys,
    Place,
    Plan,
    Wish,
    blocked,
    make,
    newer,
)

OLD, NEW = Place("/srv/shop/releases/1.0.0", "1.0.0"), Place("/srv/shop/releases/1.1.0", "1.1.0")
CART = Changed("Elixir.Shop.Cart", "shop", "/new/cart.beam", b"n", b"o", "/old/cart.beam", migrates_to=True)
APPS = (
    Application("kernel", "8.5.3"),
    Application("elixir", "1.14.0"),
    Application("iex", "1.14.0", "none"),
    Application("shop", "1.0.0"),
)
AFTER = (*APPS[:3], Application("shop", "1.1.0"))
LOADED = (APPS[0], APPS[1], APPS[3])


def look(**changes: t.Any) -> Look:
    clean = Look("13.1", "13.1", APPS, AFTER, LOADED, (CART,), specs=("shop",), total=40)
    return replace(clean, **changes)


def plan(wish: Wish | None = None, seen: Look | None = None, start: Place = OLD, target: Place = NEW) -> Plan:
    return make(wish or Wish(target.version), start, target, seen or look())


def with_app(name: str, version: str, kind: str = "permanent") -> tuple[Application, ...]:
    return (*(one for one in AFTER if one.name != name), Application(name, version, kind))


def changed(**changes: t.Any) -> Look:
    return look(changed=(replace(CART, **changes),))


def test_a_clean_plan_says_what_it_does() -> None:
    seen = look(
        added=(Added("Elixir.Shop.Gift", "/new/gift.beam", b"g"),),
        removed=("Elixir.Shop.Old",),
        processes=(Group("Elixir.Shop.Cart", 3, ("<0.1.0> cart",)),),
    )
    found = replace(plan(seen=seen), keys=Keys(("shop.greeting",), ("shop.colour",), ()))
    assert found.blockers == () and not found.nothing and not found.down
    assert found.facts() == {
        "from": "1.0.0",
        "to": "1.1.0",
        "direction": "up",
        "modules": {"changed": ["Elixir.Shop.Cart"], "added": ["Elixir.Shop.Gift"], "removed": ["Elixir.Shop.Old"]},
        "processes": [{"module": "Elixir.Shop.Cart", "count": 3, "processes": ["<0.1.0> cart"]}],
        "inside": [],
        "applications": {"shop": {"from": "1.0.0", "to": "1.1.0"}},
        "configuration": {"changed": ["shop.greeting"], "new": ["shop.colour"], "gone": []},
        "blockers": [],
    }


CASES: dict[str, tuple[Look, str, str]] = {
    "erts_differs": (look(erts_to="14.0"), "erts_differs", "ERTS 13.1, the release has 14.0"),
    "elixir": (look(apps_to=with_app("elixir", "1.15.0")), "core_differs", "elixir 1.14.0 becomes 1.15.0"),
    "kernel": (look(apps_to=with_app("kernel", "9.0")), "core_differs", "kernel 8.5.3 becomes 9.0"),
    "a part that is not loaded": (look(apps_to=with_app("iex", "1.15.0", "none")), "core_differs", "iex 1.14.0"),
    "core under the same version": (changed(app="kernel"), "core_differs", "under the same version: Shop.Cart"),
    "new application": (look(apps_to=with_app("mail", "1.0.0")), "application_added", "new applications: mail"),
    "application gone": (look(apps_to=AFTER[:3]), "application_removed", "applications that run: shop"),
    "native": (changed(native=True), "native_code", "Shop.Cart"),
    "native, and new": (look(added=(Added("Elixir.Shop.Hash", "/new", b"h", True),)), "native_code", "Shop.Hash"),
    "supervisor": (changed(behaviours=frozenset(["supervisor"])), "supervisor_changed", "Shop.Cart"),
    "Supervisor": (changed(behaviours=frozenset(["Elixir.Supervisor"])), "supervisor_changed", "Shop.Cart"),
    "DynamicSupervisor": (changed(behaviours=frozenset(["Elixir.DynamicSupervisor"])), "supervisor_changed", ""),
    "application": (changed(behaviours=frozenset(["application"])), "application_changed", "Shop.Cart"),
    "Application": (changed(behaviours=frozenset(["Elixir.Application"])), "application_changed", "Shop.Cart"),
    "no way back": (changed(kept=False), "no_way_back", "Shop.Cart"),
    "old code": (
        look(old_code=(Group("Elixir.Shop.Cart", 1, ("<0.9.0> task",)),)),
        "old_code_in_use",
        "Shop.Cart (<0.9.0> task)",
    ),
    "removed, and a process": (
        look(removed=("Elixir.Shop.Old",), processes=(Group("Elixir.Shop.Old", 1, ("<0.9.0> old",)),)),
        "removed_in_use",
        "Shop.Old (<0.9.0> old)",
    ),
    "removed, and in the middle of it": (
        look(removed=("Elixir.Shop.Old",), inside=(Group("Elixir.Shop.Old", 1, ("<0.9.0> old",)),)),
        "removed_in_use",
        "Shop.Old",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_blocker_is_named(name: str) -> None:
    seen, code, words = CASES[name]
    [found] = plan(seen=seen).blockers
    assert found.code == code and words in found.why


@pytest.mark.parametrize(
    "seen",
    [
        look(old_code=(Group("Elixir.Shop.Other", 1, ("<0.9.0> task",)),)),  # which is not touched this time
        look(inside=(Group("Elixir.Shop.Cart", 1, ("<0.9.0> task",)),)),  # it goes on with the code that it has
        look(apps_to=with_app("jason", "1.0.0"), loaded=(*LOADED, Application("jason", "1.0.0"))),
        look(removed=("Elixir.Shop.Old",)),
    ],
)
def test_what_does_not_speak_against_it(seen: Look) -> None:
    assert plan(seen=seen).blockers == ()


def test_what_a_person_knows_better() -> None:
    both = changed(behaviours=frozenset(["Elixir.Supervisor", "Elixir.Application"]))
    assert [one.code for one in plan(seen=both).blockers] == ["supervisor_changed", "application_changed"]
    wish = Wish("1.1.0", accept=("supervisor_changed", "application_changed"))
    assert plan(wish, both).blockers == ()


@pytest.mark.parametrize(
    ("wish", "codes"),
    [
        (Wish("1.1.0", "d1"), []),
        (Wish("1.1.0", "d1", ghosts=("1.1.0",)), ["ghost"]),
        (Wish("1.1.0", "d1", ghosts=("d0", "d1")), ["ghost"]),
        (Wish("1.1.0", "d1", ghosts=("1.1.0", "d1")), ["ghost"]),
        (Wish("1.1.0", ghosts=("", "1.0.0")), []),
        (Wish("1.1.0", expect_running="0.9.0"), ["other_version"]),
        (Wish("1.1.0", expect_running="1.0.0"), []),
    ],
)
def test_what_the_wish_says(wish: Wish, codes: list[str]) -> None:
    assert [one.code for one in plan(wish).blockers] == codes


def test_an_older_version_is_asked_for_aloud() -> None:
    assert [one.code for one in plan(start=NEW, target=OLD).blockers] == ["not_newer"]
    down = plan(Wish("1.0.0", downgrade=True), start=NEW, target=OLD)
    assert down.blockers == () and down.down and down.facts()["direction"] == "down"


def test_of_a_node_that_can_not_be_asked() -> None:
    found = blocked(Wish("1.1.0", ghosts=("1.1.0",)), NEW, None, Blocker("not_running", "it does not run"))
    assert [one.code for one in found.blockers] == ["not_running", "ghost"] and found.facts()["from"] is None
    assert found.facts()["modules"] == {"changed": [], "added": [], "removed": []} and not found.nothing


def test_native_libraries_that_are_loaded_are_not_replaced() -> None:
    """The modules may be the same while their libraries are not."""
    same = look(changed=(), specs=())
    (found,) = make(Wish("1.1.0"), OLD, NEW, same, libraries=("shop/priv/nif.so",)).blockers
    assert (found.code, found.why.endswith(": shop/priv/nif.so")) == ("native_code", True)
    assert make(Wish("1.1.0"), NEW, NEW, same, libraries=("shop/priv/nif.so",)).nothing  # it runs the release already


def test_the_newer_of_two_knows_how_the_state_changes() -> None:
    assert plan().suspended == (CART,)
    assert plan(seen=changed(migrates=True, migrates_to=False)).suspended == ()
    back = plan(Wish("1.0.0", downgrade=True), changed(migrates=True, migrates_to=False), NEW, OLD)
    assert len(back.suspended) == 1
    # A supervisor takes its new specifications, where somebody has said that it may.
    accepted = Wish("1.1.0", accept=("supervisor_changed",))
    of_a_supervisor = changed(migrates_to=False, behaviours=frozenset(["Elixir.Supervisor"]))
    assert len(plan(accepted, of_a_supervisor).suspended) == 1


def test_nothing_is_to_be_done() -> None:
    assert plan(Wish("1.1.0"), look(changed=(), specs=()), NEW, NEW).nothing
    assert not plan(Wish("1.1.0"), look(changed=()), OLD, NEW).nothing  # the code is there, the paths are not
    assert not plan(Wish("1.1.0"), look(), NEW, NEW).nothing


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("1.10.0", "1.9.0", True),
        ("1.9.0", "1.10.0", False),
        ("1.0.0", "1.0.0", False),
        ("1.0.0", "1.0.0-rc.1", True),
        ("1.0.0-rc.10", "1.0.0-rc.9", True),
        ("1.0.0-rc.1", "1.0.0-1", True),
        ("1.0.0+2", "1.0.0+1", False),
        ("2024.11.3", "2024.9.30", True),
        ("abc", "1.0.0", False),
        ("1.0.0", "abc", False),
    ],
)
def test_which_version_is_newer(one: str, other: str, wanted: bool) -> None:
    assert newer(one, other) is wanted


def test_what_the_node_said_is_read() -> None:
    answer = {
        "erts": b"13.1",
        "erts_to": b"13.1",
        "from": [("shop", b"1.0.0", "permanent")],
        "to": [("shop", b"1.1.0", "permanent")],
        "loaded": [("shop", b"1.0.0", "permanent")],
        "changed": [
            {
                "module": "Elixir.Shop.Cart",
                "app": "shop",
                "path": b"/new",
                "md5": b"n",
                "was": b"o",
                "was_path": b"/old",
                "kept": True,
                "vsn": [12],
                "vsn_to": [13],
                "behaviours": ["gen_server"],
                "code_change": [],
                "code_change_to": [3],
                "native": False,
                "functions": True,
            }
        ],
        "added": [{"module": "Elixir.Shop.Gift", "path": b"/gift", "md5": b"g", "native": False}],
        "removed": ["Elixir.Shop.Old"],
        "processes": [("Elixir.Shop.Cart", 2, [b"<0.1.0>", b"<0.2.0>"])],
        "inside": [],
        "old_code": [("b", 1, [b"<0.1.0>"]), ("a", 1, [b"<0.1.0>"])],
        "held": [("c", 1, [b"table shop"])],
        "specs": ["shop"],
        "total": 40,
    }
    found = read_look(answer)
    [cart] = found.changed
    assert (cart.vsn, cart.migrates, cart.migrates_to, cart.kept) == ([12], False, True, True)
    assert cart.behaviours == {"gen_server"} and found.apps_to == (Application("shop", "1.1.0"),)
    assert [group.module for group in found.old_code] == ["a", "b", "c"] and found.processes[0].count == 2
