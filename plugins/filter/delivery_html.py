# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: delivery_html
short_description: Render the figures of a delivery as one page of HTML
description:
  - The page needs nothing else, no script, font, style or image from anywhere. Its plots are SVG, and follow the reader's choice of light or
    dark.
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
- name: Keep the page
  ansible.builtin.copy:
    content: "{{ shop_delivery | alchemist.beam.delivery_html }}"
    dest: /srv/www/delivery.html
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.plugin_utils._delivery_page import delivery_page


def delivery_html(found: t.Any) -> str:
    if not isinstance(found, t.Mapping):
        raise AnsibleFilterError("alchemist.beam.delivery_html needs what delivery_info returns, a dictionary")
    return delivery_page(found)


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"delivery_html": delivery_html}
