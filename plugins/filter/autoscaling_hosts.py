# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: autoscaling_hosts
short_description: Hosts of the inventory that stand for members of auto scaling groups
description:
  - Used by the role P(alchemist.beam.rollout#role).
  - A host stands for a member if its name, C(ansible_host), C(instance_id), C(beam_member.target) or what the inventory plugin C(amazon.aws.aws_ec2)
    tells of its addresses is the member's id or one of its addresses.
author: alchemist.beam contributors (@alchemist-beam)
positional: hostvars, hosts
options:
  _input:
    description: Some of the C(members) that M(alchemist.beam.autoscaling_info) returned.
    type: list
    elements: dict
    required: true
  hostvars:
    description: The C(hostvars).
    type: dict
    required: true
  hosts:
    description: The hosts that may stand for a member.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Which hosts are on their way in?
  ansible.builtin.debug:
    msg: "{{ shop.members | selectattr('lifecycle_state', 'match', 'Pending') | alchemist.beam.autoscaling_hosts(hostvars, groups.beam) }}"
"""

RETURN = r"""
_value:
  description: The hosts.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import hosts_of


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"autoscaling_hosts": hosts_of}
