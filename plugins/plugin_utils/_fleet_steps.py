# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The steps that a rollout does once for all of its servers, by their names. What is decided is in module_utils/_fleet; here is in which order modules are
called, and what of their answers is remembered.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._fleet.driver import PARTS
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_batch import begin as begin_part
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_batch import go_on
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_begin import (
    begin,
    make_draft,
    propose,
    read,
    roll_back,
    wait,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_by_hand import (
    bring_in,
    check_quiet,
    check_serves,
    status,
    unlock,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_end import count, judge, newcomers, promote, verdict
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_members import arrivals, check_members, members
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_plan import foresee, foresee_again, make_plan
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet, Result
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_stage import sources

STEPS: t.Mapping[str, t.Callable[..., Result]] = {
    "read": read,
    "wait": wait,
    "draft": make_draft,
    "sources": sources,
    "foresee": foresee,
    "foresee_again": foresee_again,
    "plan": make_plan,
    "roll_back": roll_back,
    "begin": begin,
    "propose": propose,
    **{part: functools.partial(begin_part, part=part) for part in PARTS},
    "go_on": go_on,
    "judge": judge,
    "promote": promote,
    "members": members,
    "arrivals": arrivals,
    "check_members": check_members,
    "newcomers": newcomers,
    "count": count,
    "verdict": verdict,
    "unlock": unlock,
    "check_quiet": check_quiet,
    "check_serves": check_serves,
    "bring_in": bring_in,
    "status": status,
}
# What a later step asks for, by the name that it asks for. The latest of several is the one that counts.
KEPT: t.Mapping[str, str] = {
    **{step: step for step in ("read", "members", "foresee", "begin", "propose", "promote", "count")},
    "wait": "read",
    "arrivals": "members",
}


def do(fleet: Fleet, step: str, **given: t.Any) -> Result:
    found = STEPS[step](fleet, **given)
    if step in KEPT:
        fleet.memory.tell(KEPT[step], found)
    return found
