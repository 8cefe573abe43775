# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: delivery_prometheus
short_description: Render the figures of a delivery as Prometheus text
description:
  - The text is for the textfile collector of a node_exporter. A figure without enough data has no sample.
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
- name: Give the figures to node_exporter
  ansible.builtin.copy:
    content: "{{ shop_delivery | alchemist.beam.delivery_prometheus }}"
    dest: /var/lib/node_exporter/textfile/delivery.prom
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_text import prometheus


def delivery_prometheus(found: t.Any) -> str:
    if not isinstance(found, t.Mapping):
        raise AnsibleFilterError("alchemist.beam.delivery_prometheus needs what delivery_info returns, a dictionary")
    return prometheus(found)


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"delivery_prometheus": delivery_prometheus}
