# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Who gets no requests, whose doing that is, and what brings a server back: for the report of a rollout, and for the table of all servers. Pure.

What a rollout took out is in its journal, and comes back in the next run. Anybody else's hand is left alone, and named with the command that undoes it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.balanced import ASIDE, places_out
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.nodes import member_name
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.notes import in_again
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.plan import parse_plan
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.record import batch_state
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import (
    by_host,
    error,
    failed,
    looked,
    member_of,
    record,
    result,
    said_of,
    sight,
)

Vars = t.Mapping[str, t.Any]


def in_words(member: Vars) -> str:
    """What the balancers make of a server, in a word or two."""
    before = str(member.get("before") or "")
    if before != "in":
        return "out of one" if before == "partly" else before
    return "in" if member.get("healthy") else "in, unhealthy"


def unready(of: Vars) -> bool:
    """Whether the readiness file of a server is missing."""
    return sight(of).unready


def notes(aside: t.Mapping[str, t.Sequence[str]], hidden: t.Sequence[str] = ()) -> list[str]:
    """aside: of each host, the places that it is out of, by no rollout. hidden: hosts without their readiness file."""
    found: list[str] = []
    where: dict[str, list[str]] = {}
    for host, places in aside.items():
        where.setdefault(" and ".join(places) or "the balancer", []).append(host)
    for place, hosts in where.items():
        found.append(
            "Out of %s, by no rollout: %s. Nothing was done about it. %s" % (place, ", ".join(hosts), command(hosts))
        )
    if hidden:
        found.append(
            "Their readiness file is missing, by no rollout: %s. Nothing was done about it. %s"
            % (", ".join(hidden), command(hidden))
        )
    return found


def left_out(hostvars: Vars, plan: Vars) -> list[str]:
    """The servers that a failed rollout took out and did not bring back."""
    found, parsed = [], parse_plan(plan)
    for host in parsed.order:
        of = hostvars.get(host) or {}
        left = said_of(of, "leave")
        names = [host, *(member_name(host, color) for color in plan.get("colors") or ())]
        gone = (
            not failed(left) and any(name in (left.get("members") or {}) for name in names) or bool(said_of(of, "hide"))
        )
        if gone and record(of).outcome not in ("moved", "kept") and not in_again(record(of), host, parsed):
            found.append(host)
    said = "Out of service, because nothing proven runs there: %s. The next rollout brings them back, once they are healthy."
    return [said % ", ".join(found)] if found else []


def not_put_back(hostvars: Vars, plan: Vars) -> list[str]:
    """The servers that a deployer took out just when another one had taken over, and could not put back. No journal has them."""
    said: dict[str, list[str]] = {}
    for host in plan.get("order") or ():
        of = hostvars.get(host) or {}
        gave = result(of, "rollout_gave_way")
        if (gave.get("error") or failed(gave)) and host in by_host(
            batch_state({host: record(of)}, [host]).taken, [host]
        ):
            said.setdefault(error(gave), []).append(host)
    text = "Taken out of the balancer when another deployer had taken over already, and not put back: %s (%s). %s"
    return [text % (", ".join(hosts), why, command(hosts)) for why, hosts in said.items()]


def command(hosts: t.Sequence[str]) -> str:
    return "To bring %s in: ansible-playbook -i INVENTORY alchemist.beam.join --limit %s" % (
        "them" if len(hosts) > 1 else "it",
        ",".join(hosts),
    )


def column(hostvars: Vars, host: str, balanced: Vars) -> tuple[str, str]:
    """What the balancers, and the readiness file, say of a host. A host with two nodes is what its serving node is."""
    of = hostvars.get(host) or {}
    member = member_of(balanced, host, looked(of, "seen").get("live"))
    return in_words(member), "" if not looked(of, "ready").get("rotation") else "no" if unready(of) else "yes"


def standing(hostvars: Vars, hosts: t.Sequence[str], known: Vars, balanced: Vars) -> list[str]:
    """Below the table of all servers: who gets no requests, and what changes that. known: the result of rollout_info."""
    if balanced.get("failed") or balanced.get("unreachable"):
        return ["The balancers could not be asked: %s" % (balanced.get("msg") or "no reason given")]
    journal, lock = (known.get("journal") or {}).get("hosts") or {}, known.get("lock") or {}
    if lock.get("held") and not lock.get("dead"):
        return []  # a rollout is at work, and brings back what it takes out
    aside: dict[str, list[str]] = {}
    hidden, ours, strangers = [], [], []
    for host in hosts:
        of = hostvars.get(host) or {}
        member = member_of(balanced, host, looked(of, "seen").get("live"))
        out, mine = member.get("before") in ASIDE, bool((journal.get(host) or {}).get("out"))
        if mine and (out or unready(of) or member.get("before") == "unknown"):
            ours.append(host)
        elif member.get("before") == "unknown":
            strangers.append(host)
        elif out:
            aside[host] = places_out(member)
        elif unready(of):
            hidden.append(host)
    found = (
        [
            "Taken out by the rollout %s and not brought back yet: %s. The next alchemist.beam.rollout brings them back."
            % ((known.get("journal") or {}).get("id"), ", ".join(ours))
        ]
        if ours
        else []
    )
    if strangers:
        text = "No member of %s: %s. A target group gets one back by alchemist.beam.join --limit %s; what HAProxy calls a server is said in beam_member."
        found.append(
            text
            % (" and ".join(balanced.get("balancers") or ["the balancer"]), ", ".join(strangers), ",".join(strangers))
        )
    return found + [note.replace(" Nothing was done about it.", "") for note in notes(aside, hidden)]
