#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_channel_info
short_description: Show what channels point to
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads one channel of a release, or all of them.
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
      - Only this channel.
    type: str
seealso:
  - module: alchemist.beam.release_channel
"""

EXAMPLES = r"""
- name: What is stable?
  alchemist.beam.release_channel_info:
    store: file:///srv/releases
    name: shop
    channel: production
  register: shop_production
"""

RETURN = r"""
channel:
  description: The channel as its document in the store says it; V(null) if it does not exist, or if O(channel) is not given.
  type: dict
  returned: success
  sample:
    name: shop
    channel: production
    serial: 7
    stable: {version: 1.4.2, digest: 6d1f...}
    previous: {version: 1.4.1, digest: 90ab...}
    candidate:
    ghosts: []
    by: deploy@build1
    at: "2026-03-01T12:00:00Z"
channels:
  description: All requested channels.
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
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={**store_spec(), "name": {"type": "str", "required": True}, "channel": {"type": "str"}},
        supports_check_mode=True,
    )
    run(module, lambda: run_channel_info(module.params))


if __name__ == "__main__":
    main()
