# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which members of an auto scaling group the inventory does not have."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import hosts_of, missing
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status


def member(lifecycle: str = "InService", **more: t.Any) -> dict[str, t.Any]:
    base = {
        "instance_id": "i-1",
        "group": "shop",
        "lifecycle_state": lifecycle,
        "stays": not lifecycle.startswith("Terminat"),
        "state": "running",
        "private_ip": "10.0.0.1",
        "public_ip": "",
        "private_dns": "ip-10-0-0-1.internal",
    }
    return {**base, **more}


@pytest.mark.parametrize(
    "hostvars",
    [
        {"i-1": {}},
        {"10.0.0.1": {}},
        {"ip-10-0-0-1.internal": {}},
        {"web": {"ansible_host": "10.0.0.1"}},
        {"web": {"instance_id": "i-1"}},
        {"web": {"beam_member": {"target": "i-1"}}},
        {"web": {"private_ip_address": "10.0.0.1"}},
        {"web": {"ansible_host": "ip-10-0-0-1.internal"}},
    ],
)
def test_a_host_stands_for_a_member(hostvars: dict[str, t.Any]) -> None:
    assert missing([member()], hostvars, list(hostvars)) == []
    assert hosts_of([member()], hostvars, list(hostvars)) == list(hostvars)
    assert missing([member()], hostvars, []) == [member()], (
        "a host that the playbook is not meant for stands for nobody"
    )


@pytest.mark.parametrize(
    "hostvars",
    [
        {},
        {"web": {"ansible_host": "10.0.0.11"}},
        {"web": {"beam_member": {}, "ansible_host": ""}},
        {"web": {"beam_member": "i-1"}},
    ],
)
def test_another_one_does_not(hostvars: dict[str, t.Any]) -> None:
    assert missing([member()], hostvars, list(hostvars)) == [member()]
    assert hosts_of([member()], hostvars, list(hostvars)) == []


@pytest.mark.parametrize(
    ("state", "serving", "all_of_them"),
    [
        ("InService", True, True),
        ("Standby", True, True),
        ("EnteringStandby", True, True),
        ("Pending:Proceed", True, True),
        ("Pending:Wait", False, True),
        ("Pending", False, True),
        ("Terminating", False, False),
        ("Terminating:Wait", False, False),
        ("Terminated", False, False),
        ("Detaching", False, False),
    ],
)
def test_who_is_missed(state: str, serving: bool, all_of_them: bool) -> None:
    stays = state.startswith(("Pending", "InService", "Standby", "EnteringStandby"))
    assert bool(missing([member(state, stays=stays)], {}, [])) == serving
    assert bool(missing([member(state, stays=stays)], {}, [], False)) == all_of_them


def test_a_machine_that_is_gone_is_not_missed() -> None:
    assert missing([member(state="terminated"), member(state="")], {}, []) == []


def test_nobody_is_stood_for_without_members() -> None:
    assert hosts_of([], {"web": {"ansible_host": ""}}, ["web"]) == []


def test_the_status_says_who_is_not_in_the_inventory() -> None:
    info = {"running": True, "version": "0.1.0", "current": {"version": "0.1.0"}}
    _head, line = fleet_status(
        {"i-1": {"rollout_look": {"seen": info}, "rollout_added": member("Pending:Wait")}},
        ["i-1"],
        {"stable": {"version": "0.2.0"}},
    )
    assert "not in the inventory, Pending:Wait in shop; not what the channel says" in line
