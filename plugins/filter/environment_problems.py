# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_problems
short_description: Why variables can't be the environment of a node
description:
  - Used by the role P(alchemist.beam.service#role). Names what is wrong, never a value.
  - Warns of a number that may have been written otherwise, such as C(1e3) that has become C(1000.0), where it can't be told how it was written.
author: alchemist.beam contributors (@alchemist-beam)
positional: option, reserved
options:
  _input:
    description: The variables.
    type: raw
    required: true
  option:
    description: What the variables are called where they were given.
    type: str
    required: true
  reserved:
    description: Names that can't be given.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse what can't be
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('; ') }}"
  vars:
    problems: "{{ {'PORT': 4000, 'HOST': none} | alchemist.beam.environment_problems('service_env') }}"
"""

RETURN = r"""
_value:
  description: A sentence for each.
  type: list
  elements: str
"""

import typing as t

from ansible.utils.display import Display
from ansible_collections.alchemist.beam.plugins.plugin_utils._environment import doubtful, problems


def environment_problems(values: t.Any, option: str, reserved: t.Sequence[str] = ()) -> list[str]:
    found = problems(values, option, reserved)
    for text in doubtful(values):
        Display().warning(
            "%s: %s is what the node gets of this number. If it was written otherwise, put it in quotes."
            % (option, text)
        )
    return found


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"environment_problems": environment_problems}
