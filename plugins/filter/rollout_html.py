# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rollout_html
short_description: Render the report of a rollout as one page of HTML
description:
  - The page needs nothing else, no script, font, style or image from anywhere. It opens from a directory and from a bucket, prints, and follows the
    reader's choice of light or dark.
  - Every value is escaped. What the report lacks is left out of the page, so that a rollout that ended early still has one.
author: alchemist.beam contributors (@alchemist-beam)
options:
  _input:
    description: The report of a rollout, as C(beam_report), the history of the store and the callback P(alchemist.beam.rollout#callback) keep it.
    type: dict
    required: true
seealso:
  - plugin: alchemist.beam.rollout
    plugin_type: callback
    description: Writes this page beside the playbook at the end of a run.
"""

EXAMPLES = r"""
- name: Make a page of a report that was kept
  ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.file', 'rollouts/beacon.json') | from_json | alchemist.beam.rollout_html }}"
    dest: /srv/www/beacon.html
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import masked_page


def rollout_html(report: t.Any) -> str:
    if not isinstance(report, t.Mapping):
        raise AnsibleFilterError("alchemist.beam.rollout_html needs the report of a rollout, a dictionary")
    return masked_page(report)


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"rollout_html": rollout_html}
