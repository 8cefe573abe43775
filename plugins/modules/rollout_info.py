#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_info
short_description: Show who rolls out, how far the rollout is, and what was rolled out before
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads a channel, its lock, its journal and its history.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
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
      - The name of the channel.
    type: str
    required: true
  history:
    description:
      - How many reports of the history to read.
    type: int
    default: 10
seealso:
  - module: alchemist.beam.rollout_lock
  - module: alchemist.beam.rollout_journal
"""

EXAMPLES = r"""
- name: Is there a rollout that somebody has to look after?
  alchemist.beam.rollout_info:
    store: file:///srv/releases
    name: shop
    channel: production
  register: shop_rollout
"""

RETURN = r"""
channel:
  description: The channel, as M(alchemist.beam.release_channel) returns it; its C(serial) is 0 if it does not exist.
  type: dict
  returned: success
lock:
  description: The lock, as M(alchemist.beam.rollout_lock) returns it, without its token; V(null) if there was never one.
  type: dict
  returned: success
  sample:
    serial: 4
    token:
    held: true
    dead: false
    owner: deploy@build1
    purpose: rollout of 1.4.2
    since: "2026-03-01T12:00:00Z"
    renewed: "2026-03-01T12:00:00Z"
    ttl: 30
    taken_from:
journal:
  description: The journal of the last rollout, as M(alchemist.beam.rollout_journal) returns it; V(null) if there was none.
  type: dict
  returned: success
unfinished:
  description: Whether that rollout has not ended. If the lock is not held, it was interrupted.
  type: bool
  returned: success
interrupted_hosts:
  description: Hosts that may be out of a balancer, or are in the middle of a step of an unfinished rollout.
  type: list
  elements: str
  returned: success
history:
  description:
    - The newest reports, the newest first, each with its C(key) in the store and its C(id).
    - A report that can't be read has C(damaged), which says why.
  type: list
  elements: dict
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "history": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_info(module.params))


if __name__ == "__main__":
    main()
