# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: delivery_lines
short_description: Render the figures of a delivery as lines for a screen
description:
  - Renders one line for each figure with its value, its interval of 95 % and what it was computed from; then what failed, and the notes.
author: alchemist.beam contributors (@alchemist-beam)
options:
  _input:
    description: What M(alchemist.beam.delivery_info) returns.
    type: dict
    required: true
seealso:
  - module: alchemist.beam.delivery_info
"""

EXAMPLES = r"""
- name: Show the figures
  ansible.builtin.debug:
    msg: "{{ shop_delivery | alchemist.beam.delivery_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import lines


def delivery_lines(found: t.Any) -> list[str]:
    if not isinstance(found, t.Mapping):
        raise AnsibleFilterError("alchemist.beam.delivery_lines needs what delivery_info returns, a dictionary")
    return lines(found)


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"delivery_lines": delivery_lines}
