# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Render dictionaries as the lines of a plain-text table
description:
  - Renders one line per dictionary below a head line. A column that is empty in every row is left out.
author: alchemist.beam contributors (@alchemist-beam)
positional: columns
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: The keys to show, in their order.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what runs where
  ansible.builtin.debug:
    msg: "{{ rows | alchemist.beam.table(['host', 'running', 'health']) }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.plugin_utils._table import render


def table(rows: t.Any, columns: t.Any) -> list[str]:
    if not isinstance(rows, list) or not all(isinstance(row, t.Mapping) for row in rows):
        raise AnsibleFilterError("alchemist.beam.table needs a list of dictionaries")
    return render(rows, columns)


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"table": table}
