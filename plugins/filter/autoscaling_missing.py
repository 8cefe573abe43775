# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: autoscaling_missing
short_description: Members of auto scaling groups that the inventory does not have
description:
  - Used by the role P(alchemist.beam.rollout#role).
  - A host stands for a member if its name, C(ansible_host), C(instance_id), C(beam_member.target) or what the inventory plugin C(amazon.aws.aws_ec2)
    tells of its addresses is the member's id or one of its addresses. Members that are on their way out are nobody's.
author: alchemist.beam contributors (@alchemist-beam)
positional: hostvars, hosts, serving
options:
  _input:
    description: The C(members) that M(alchemist.beam.autoscaling_info) returned.
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
  serving:
    description: Whether to leave out those that are on their way in.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Who is not in the inventory?
  ansible.builtin.debug:
    msg: "{{ shop.members | alchemist.beam.autoscaling_missing(hostvars, groups.beam) | map(attribute='instance_id') }}"
"""

RETURN = r"""
_value:
  description: The members that are missing.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._scaling import missing


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"autoscaling_missing": missing}
