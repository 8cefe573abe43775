# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rollout_summary
short_description: Tell from C(hostvars) what a rollout did
description:
  - Used by the role P(alchemist.beam.rollout#role). A rollout succeeded only if every host of its plan says that it runs the plan's version.
author: alchemist.beam contributors (@alchemist-beam)
positional: plan
options:
  _input:
    description: The C(hostvars).
    type: dict
    required: true
  plan:
    description: What the role's C(plan) remembered.
    type: dict
    required: true
  check_mode:
    description: Whether the rollout was only rehearsed.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what happened
  ansible.builtin.debug:
    msg: "{{ (hostvars | alchemist.beam.rollout_summary(hostvars['localhost'].rollout_plan)).verdict }}"
"""

RETURN = r"""
_value:
  description: The summary, with C(succeeded), C(verdict), C(reason) and a dictionary for each host in C(rows).
  type: dict
"""

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._rollout import summarize


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"rollout_summary": summarize}
