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
  - Makes one zip. It contains C(beam-bootstrap.pyz), which is this collection's own code with a small command line; C(kit.json), which says what users,
    directories, files and units the server needs; and botocore, if servers use AWS. A server needs Python for it and no Ansible.
  - The same sources make the same bytes. In the store the zip is named by its sha256 and never overwritten.
  - With V(installed) it unpacks such a zip on the host of the task, and sets the host up as its first boot would. This is how an image is baked.
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
      - V(packed) makes the bundle, publishes it if O(store) is given, and writes it to a file if O(path) is given.
      - V(installed) unpacks the bundle at O(path) on this host, and sets the host up. Nothing is started.
    type: str
    choices: [packed, installed]
    default: packed
  kit:
    description:
      - The content of C(kit.json). It must not contain secrets, because every server reads it from the bucket.
    type: dict
  path:
    description:
      - The path of the zip, to write or to read.
    type: path
  aws:
    description:
      - Whether the bundle contains botocore. It is copied from the host of the task, with the data of the few services that are used.
      - Without it, a server that uses AWS needs its own boto3.
    type: bool
    default: true
  identity:
    description:
      - Values of V(channel), V(lifecycle), V(brake), V(deadline) and V(jitter) that differ from the kit's configuration for servers with this user data.
    type: dict
  root:
    description:
      - Where O(state=installed) puts the bundle. The default is C(/usr/local/lib/beam-bootstrap), where the units look for it.
    type: path
  store:
    description:
      - Where to publish the bundle. Without it, it is published nowhere.
      - Servers fetch it from the store that the kit's configuration names. That store may have another address for them.
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
  description: The sha256 of the bundle, which is its name.
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
  description: The lowest version of Python that the bundle runs with on servers. It depends on the botocore in the bundle.
  type: str
  returned: with O(state=packed)
  sample: "3.9"
user_data:
  description:
    - The user data for the launch template of bare servers, as text. It contains no secret, and has at most 16384 bytes.
    - Null if the servers' store is no bucket.
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
