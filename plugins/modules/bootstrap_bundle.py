#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_bundle
short_description: Pack what a new server needs to come into service by itself
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Makes one zip of C(beam-bootstrap.pyz), which is this collection's own code with a small command line, of C(kit.json), which says what users, directories,
    files and units the server needs, and of botocore, where servers speak to AWS. A server needs Python for it and no Ansible.
  - The same sources make the same bytes. In the store the zip is named by its sha256 and never overwritten.
  - With V(installed) it unpacks such a zip on the host that the task runs on, and sets the host up as its first boot would. So an image is baked.
  - The roles P(alchemist.beam.bootstrap#role) and P(alchemist.beam.image#role) make the kit, and use this module.
requirements:
  - boto3 1.36 or newer for an C(s3://) store, and with O(aws).
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
  state:
    description:
      - V(packed) makes the bundle, publishes it where O(store) is given, and writes it where O(path) is given.
      - V(installed) unpacks the bundle at O(path) on this host, and sets the host up. Nothing is started.
    type: str
    choices: [packed, installed]
    default: packed
  kit:
    description:
      - What is written as C(kit.json). It must have no secrets in it, as every server reads it from the bucket.
    type: dict
  path:
    description:
      - Where the zip is, or shall be.
    type: path
  aws:
    description:
      - Whether botocore goes along, as it is installed where the task runs, with the data of the few services that are asked.
      - Without it, a server that speaks to AWS needs boto3 of its own.
    type: bool
    default: true
  identity:
    description:
      - What differs from the kit's configuration for servers with this user data. Of V(channel), V(lifecycle), V(brake), V(deadline) and V(jitter).
    type: dict
  root:
    description:
      - Where O(state=installed) puts the bundle. The default is C(/usr/local/lib/beam-bootstrap), where the units look for it.
    type: path
  store:
    description:
      - Where to publish the bundle. Without it, it is published nowhere.
      - Servers take it from the store that the kit's configuration names, which may have another address from there.
    type: str
    required: false
"""

EXAMPLES = r"""
- name: Publish the bundle of the servers
  alchemist.beam.bootstrap_bundle:
    store: s3://releases/prod
    kit: "{{ bootstrap_kit }}"
  register: bundle

- name: On the host of which an image is made
  alchemist.beam.bootstrap_bundle:
    state: installed
    path: /root/bundle.zip
"""

RETURN = r"""
sha256:
  description: What the bundle is named by.
  type: str
  returned: with O(state=packed)
size:
  description: Its bytes.
  type: int
  returned: with O(state=packed)
key:
  description: Where it is in the store, below its prefix.
  type: str
  returned: with O(state=packed)
  sample: shop/bootstrap/6d1f....zip
python:
  description: The lowest version of Python on servers that the bundle runs with, which depends on the botocore that went along.
  type: str
  returned: with O(state=packed)
  sample: "3.9"
user_data:
  description:
    - For the launch template of bare servers, as text. It holds no secret, and has no more than 16384 bytes.
    - Null where the servers' store is no bucket.
  type: str
  returned: with O(state=packed)
user_data_bytes:
  description: Its size.
  type: int
  returned: with O(state=packed)
path:
  description: As given.
  type: str
  returned: success
name:
  description: The name of the release.
  type: str
  returned: with O(state=packed)
changes:
  description: What differed on the host.
  type: list
  elements: str
  returned: with O(state=installed)
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.pack import run_bundle
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(store={"required": False}),
            "state": {"type": "str", "choices": ["packed", "installed"], "default": "packed"},
            "kit": {"type": "dict"},
            "path": {"type": "path"},
            "aws": {"type": "bool", "default": True},
            "identity": {"type": "dict"},
            "root": {"type": "path"},
        },
        required_if=[("state", "packed", ["kit"]), ("state", "installed", ["path"])],
        supports_check_mode=True,
    )
    run(module, lambda: run_bundle(module.params, module.check_mode))


if __name__ == "__main__":
    main()
