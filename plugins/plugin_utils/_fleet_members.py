# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Who is in the auto scaling group and not in the inventory, before a rollout and after its promotion."""

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet import newcomers as born
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import PAUSE, SKIPPED, Fleet, Result, refusing
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import failed
from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import check_matched, group_for, missing


def members(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """The group is the truth about who serves; the inventory may lag behind, or never have heard of servers that nobody deployed to."""
    found = _read(fleet)
    return found if failed(found) else {**found, **_missed(fleet, found, hosts)}


def arrivals(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """The same after the promotion, for whoever came meanwhile. Who is on its way in looks at the channel again before it serves, and finds what was
    promoted. But one that had looked before, and is only told as on its way still, must not be missed: so it is waited for.
    """
    if not born.sweeps("channel" in fleet.told("promote"), fleet.check_mode):
        return dict(SKIPPED)

    def arrived(found: Result) -> bool:
        return not failed(found) and born.all_arrived(member["lifecycle_state"] for member in found["members"])

    pauses = max(int(fleet.ask("rollout_autoscaling_wait")) // int(PAUSE), 1)
    found = fleet.look_until(arrived, lambda: _read(fleet), pauses + 1)
    return found if failed(found) else {**found, **_missed(fleet, found, hosts)}


@refusing
def check_members(fleet: Fleet, hosts: t.Sequence[str]) -> Result:
    """That nobody is passed over in silence: where beam_hosts is a pattern, who was added may not be matched by it."""
    left = _missed(fleet, fleet.told("members"), hosts)["missing"]
    check_matched(left, fleet.ask("rollout_autoscaling_group"), _pattern(fleet))
    return {"changed": False}


def _read(fleet: Fleet) -> Result:
    options = {**(fleet.ask("rollout_autoscaling_options") or {}), "groups": [fleet.ask("rollout_autoscaling_group")]}
    return fleet.call("autoscaling_info", options)


def _missed(fleet: Fleet, found: t.Mapping[str, t.Any], hosts: t.Sequence[str]) -> Result:
    serving = fleet.ask("rollout_members_serving")
    missed = missing(found["members"], fleet.hostvars, hosts, serving is None or bool(serving))
    return {"missing": missed, "into": group_for(_pattern(fleet), fleet.ask("groups"))}


def _pattern(fleet: Fleet) -> str:
    return fleet.ask("beam_hosts") or "beam"
