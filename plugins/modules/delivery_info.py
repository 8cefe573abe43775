#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: delivery_info
short_description: Measure the delivery of a channel from its history
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads the history, the journal and the ghosts of a channel, and with O(repo) the dates of the commits. Computes the five figures of DORA from them.
  - Each figure has its definition, what it was computed from, and an interval of 95 %. Where there is too little data, its value is V(null).
  - A deployment is judged by the whole history. O(since) and O(before) only choose which deployments are counted.
  - Writes nothing.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
  - git, only with O(repo).
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the release.
    type: str
    required: true
  channel:
    description:
      - The name of the channel. Each channel has figures of its own.
    type: str
    required: true
  since:
    description:
      - Count what ended at this time or later, such as V(2026-03-01), V(2026-03-01T12:00:00Z), V(90d) or V(12w). The default is the whole history.
    type: str
  before:
    description:
      - Count what ended before this time, in the same forms. The default is everything until now.
    type: str
  repo:
    description:
      - The path of a clone of the application's repository, on the host that runs the task. Nothing is fetched.
      - Without it there are no lead times, and no deployment is known to revert a commit.
    type: path
  incidents:
    description:
      - What is known to be wrong with versions that people met, for instance from a list in a repository.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description:
          - What the incident is called.
        type: str
        required: true
      version:
        description:
          - The version that caused it. The incident counts for the last deployment of it that had ended at O(incidents[].at).
        type: str
        required: true
      at:
        description:
          - When it began, as a date or a time. The default is after all deployments.
        type: str
      fix:
        description:
          - The version that repaired it.
        type: str
seealso:
  - module: alchemist.beam.rollout_info
  - plugin: alchemist.beam.delivery_html
    plugin_type: filter
  - plugin: alchemist.beam.delivery_lines
    plugin_type: filter
  - plugin: alchemist.beam.delivery_prometheus
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Measure the last quarter
  alchemist.beam.delivery_info:
    store: file:///srv/releases
    name: shop
    channel: production
    since: 90d
    repo: /srv/git/shop
    incidents:
      - {id: "SHOP-311", version: 1.4.1, at: "2026-03-01T12:00:00Z", fix: 1.4.2}
  register: shop_delivery

- name: Show the figures
  ansible.builtin.debug:
    msg: "{{ shop_delivery | alchemist.beam.delivery_lines }}"
"""

RETURN = r"""
schema:
  description: The schema of this result. Under the same one, no key changes its meaning.
  type: int
  returned: success
  sample: 1
name:
  description: The name of the release.
  type: str
  returned: success
channel:
  description: The channel.
  type: str
  returned: success
since:
  description: The begin of the window; V(null) for the whole history.
  type: str
  returned: success
before:
  description: The end of the window; V(null) for now.
  type: str
  returned: success
at:
  description: When this was computed.
  type: str
  returned: success
figures:
  description:
    - The figures by name, C(deployment_frequency), C(change_lead_time), C(change_lead_time_p90), C(lead_committed_to_published),
      C(lead_published_to_begun), C(lead_begun_to_first_server), C(lead_first_server_to_all), C(change_fail_rate), C(caught_rate), C(recovery_time),
      C(bad_server_minutes) and C(rework_rate).
  type: dict
  returned: success
  contains:
    definition:
      description: What is counted.
      type: str
    value:
      description: The figure; V(null) where C(n) is less than C(needs).
      type: float
    unit:
      description: C(deployments per week), C(seconds), C(share) from 0 to 1, or C(server minutes).
      type: str
    n:
      description: How many weeks, commits, deployments or failures it was computed from.
      type: int
    needs:
      description: The least C(n) that has a value.
      type: int
    enough:
      description: Whether there is a value.
      type: bool
    low:
      description: The lower end of the interval of 95 %; V(null) where there is none.
      type: float
    high:
      description: Its upper end.
      type: float
    entries:
      description: What it was computed from.
      type: list
      elements: dict
deployments:
  description: Every attempt to bring another release in the window, the oldest first.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The id of the rollout.
      type: str
    key:
      description: The key of its report in the store.
      type: str
    outcome:
      description: V(landed), V(met) (it failed after a server had joined), V(caught) (it failed before), V(stopped) (not by its own fault), or V(unclear).
      type: str
    failed:
      description: Why it counts as failed; empty if it does not.
      type: list
      elements: str
    repairs:
      description: What it repairs; empty if it does not.
      type: list
      elements: str
    commit:
      description: The commit of the release; V(null) where it is not known or was not asked for.
      type: str
    commits:
      description: How many commits it brought first; V(null) where that is not known.
      type: int
damaged:
  description: Reports that can't be counted, with C(key) and C(why).
  type: list
  elements: dict
  returned: success
interrupted:
  description: Rollouts that were interrupted, by C(id), and the one that took them up.
  type: list
  elements: dict
  returned: success
unfinished:
  description: The rollout that has not ended, with C(id), C(version) and C(at); V(null) if there is none.
  type: dict
  returned: success
notes:
  description: What is not counted, or not known, and why.
  type: list
  elements: str
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.run_delivery import run_delivery
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    incident = {
        "id": {"type": "str", "required": True},
        "version": {"type": "str", "required": True},
        "at": {"type": "str"},
        "fix": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "since": {"type": "str"},
            "before": {"type": "str"},
            "repo": {"type": "path"},
            "incidents": {"type": "list", "elements": "dict", "default": [], "options": incident},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_delivery(module.params))


if __name__ == "__main__":
    main()
