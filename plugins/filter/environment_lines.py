# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_lines
short_description: Variables as the lines of an environment file
description:
  - Used by the role P(alchemist.beam.service#role).
  - C(true) and C(false) stay what they are in YAML, numbers are as they were written, and a value may have several lines.
author: alchemist.beam contributors (@alchemist-beam)
options:
  _input:
    description: The variables, in which P(alchemist.beam.environment_problems#filter) found nothing.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write an environment file
  ansible.builtin.copy:
    content: "{{ {'PORT': 4000, 'PHX_SERVER': true} | alchemist.beam.environment_lines ~ '\n' }}"
    dest: /etc/shop/env
    mode: "0600"
"""

RETURN = r"""
_value:
  description: The lines, without an end of the last one.
  type: str
"""

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._environment import lines


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"environment_lines": lines}
