# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""remove: a server that leaves the fleet. What is refused before anything is touched, and what is left of it afterwards. Pure."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.batches import floor
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.by_hand import check_quiet
from ansible_collections.alchemist.beam.plugins.module_utils._host.layout import NAMES
from ansible_collections.alchemist.beam.plugins.module_utils._node.replaced import note_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk, Result, Vars
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import error

KEPT = "shared"  # of a base: what the application wrote is nobody's to remove


def leaving(desk: Desk) -> Result:
    """Who leaves is named, one by one: a limit that was forgotten would take the fleet away. Nobody rolls out meanwhile."""
    chosen = [name.strip() for name in str(desk.ask("operate_host")).split(",") if name.strip()]
    hosts = list(desk.ask("ansible_play_hosts_all") or ())
    strange = [name for name in chosen if name not in hosts]
    if not chosen or strange:
        raise BeamError(
            "leaving_unnamed",
            "No server is removed",
            "%s is no server of this play" % ", ".join(strange) if strange else "none is named",
            "Name who leaves, as -e beam_host=NAME, or several with commas",
        )
    check_quiet(desk.told("operate_history").get("lock"))
    return {"takes_part": desk.ask("inventory_hostname") in chosen, "leaving": chosen}


def drain(desk: Desk) -> Result:
    """Options of balancer_member: whom it takes out, and how many of the fleet have to stay in."""
    chosen, colors = list(desk.told("operate_leaving")["leaving"]), desk.ask("operate_colors") or ()
    hosts = list(desk.ask("operate_fleet_hosts") or ())
    stay = [host for host in hosts if host not in chosen]
    return {
        "members": members_of(desk.hostvars, chosen, (), colors),
        "fleet": members_of(desk.hostvars, hosts, (), colors),
        "min_healthy": floor(desk.ask("operate_min_healthy"), "rolling", len(hosts)) if stay else 0,
    }


def remains(desk: Desk) -> Result:
    """The files of a service on a server, of all of its nodes, and what becomes of the rest."""
    unit, base = str(desk.ask("operate_unit")), str(desk.ask("operate_base"))
    instances = [unit, *("%s-%s" % (unit, color) for color in desk.ask("operate_colors") or ())]
    paths = ["%s/%s" % (base, name) for name in (*NAMES, "pushed", *(desk.ask("operate_colors") or ())) if name != KEPT]
    paths += [note_of(base, color) for color in desk.ask("operate_colors") or ()]
    if desk.ask("operate_manager") == "systemd":
        paths += ["/etc/systemd/system/%s.service" % one for one in instances]
        paths += ["/usr/local/sbin/%s-remote" % one for one in instances]
        paths += ["/etc/%s" % unit, "/var/lib/%s" % unit, "/etc/alchemist-beam/%s.json" % unit]
    return {"units": ["%s.service" % one for one in instances], "paths": paths}


def removed(desk: Desk) -> Result:
    lines: list[str] = []
    bad = []
    cleaned = bool(desk.all_told("operate_cleaned"))
    for host, said in desk.all_told("operate_stopped").items():
        if _failed(said):
            bad.append(host)
            lines.append("%s: %s" % (host, error(said)))
            continue
        would = "would be" if desk.check_mode else "is"
        lines.append("%s %s out of its balancers, stopped, and not started at boot." % (host, would))
    base = desk.ask("operate_base")
    if cleaned:
        lines.append("Cleaned, but for %s/%s, which the application wrote, and the account." % (base, KEPT))
    else:
        lines.append("Releases and settings stay there; -e beam_clean=true removes them.")
    lines.append("Take it out of the inventory now: the next rollout would bring it back.")
    return {"lines": lines, "wrong": "Not removed: %s." % ", ".join(bad) if bad else ""}


def _failed(said: Vars) -> bool:
    items = said.get("results")
    return any("action" not in one for one in items) if isinstance(items, list) else "action" not in said
