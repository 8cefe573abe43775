# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_status
short_description: Render what runs where as the lines of a table
description:
  - Used by the playbook C(alchemist.beam.status), after M(alchemist.beam.beam_info) was registered as C(rollout_info) on every host.
author: alchemist.beam contributors (@alchemist-beam)
positional: hosts, channel, known, balanced
options:
  _input:
    description: The C(hostvars).
    type: dict
    required: true
  hosts:
    description: The hosts to show, in their order.
    type: list
    elements: str
    required: true
  channel:
    description: The channel, as M(alchemist.beam.release_channel_info) returns it.
    type: dict
  known:
    description: The result of M(alchemist.beam.rollout_info), for who holds the lock and what was interrupted.
    type: dict
  balanced:
    description: The result of M(alchemist.beam.balancer_member), for who is in service at the balancers.
    type: dict
"""

EXAMPLES = r"""
- name: Show what runs where
  ansible.builtin.debug:
    msg: "{{ hostvars | alchemist.beam.fleet_status(ansible_play_hosts_all, rollout_channel_now.channel) }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._status import fleet_status


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"fleet_status": fleet_status}
