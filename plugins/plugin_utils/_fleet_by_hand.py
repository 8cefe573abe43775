# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the playbooks status, join and unlock do once for all servers: no rollout is about."""

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import by_hand
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import SKIPPED, Fleet, Result, refusing
from ansible_collections.alchemist.beam.plugins.plugin_utils._members import members_of
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import LOOK, failed, looked
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_files import keep_report
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status


def unlock(fleet: Fleet) -> Result:
    """For a lock whose holder is known to be gone. A holder that comes back is refused every write: its fence is too old."""
    found = fleet.run("rollout_lock", state="broken")
    return found if failed(found) else {**found, "lines": [by_hand.broken(found["broken"])]}


@refusing
def check_quiet(fleet: Fleet) -> Result:
    """That nobody rolls out."""
    found = fleet.run("rollout_info", history=0)
    if not failed(found):
        by_hand.check_quiet(found.get("lock"))
    return found


@refusing
def check_serves(fleet: Fleet) -> Result:
    """That this server could serve."""
    by_hand.check_serves(fleet.ask("inventory_hostname"), looked({LOOK: fleet.registered(LOOK)}, "seen"))
    return {"changed": False}


def bring_in(fleet: Fleet) -> Result:
    """Servers join their balancers, of two nodes the one that serves, and that is waited for."""
    if not fleet.ask("rollout_balancers"):
        return dict(SKIPPED)
    members = members_of(
        fleet.hostvars, fleet.ask("ansible_play_hosts"), (), fleet.ask("rollout_colors") or (), live=True
    )
    return fleet.at_balancers(members, state="joined", timeout=fleet.ask("rollout_join_timeout"))


@refusing
def status(fleet: Fleet) -> Result:
    """The table of what runs where, with what the balancers say. That they say nothing is told below it."""
    hosts, known, balanced = fleet.ask("ansible_play_hosts_all"), fleet.told("read"), {}
    if fleet.ask("rollout_balancers"):
        members = members_of(fleet.hostvars, hosts, (), fleet.ask("rollout_colors") or ())
        balanced = fleet.at_balancers(members)
    table = fleet_status(fleet.hostvars, hosts, known["channel"], known, balanced)
    if fleet.ask("rollout_report") and not fleet.check_mode:
        kept = {key: known[key] for key in ("lock", "unfinished", "interrupted_hosts")}
        keep_report(fleet.ask("rollout_report"), {"table": table, **kept})
    return {"changed": False, "lines": table}
