#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_check
short_description: Prove that a store has the properties that releases rely on
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Writes, reads, lists and deletes a few small objects below C(.check/), and lets several writers race, to see whether conditional writes are
    conditional there. Some S3 APIs ignore the conditions in silence; on those, two publishers would overwrite each other.
  - Fails where a promise is not kept, and names it. Presigned URLs are tried, too, and only told where they don't work, as not every fleet
    uses them. Publishing and promoting run a short form of it by themselves.
  - Nothing of it stays in the store. In check mode it is skipped, because it can't tell anything without writing.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  idempotent:
    support: full
options: {}
"""

EXAMPLES = r"""
- name: Can this S3 API be used?
  alchemist.beam.store_check:
    store: s3://releases/prod
    endpoint_url: https://s3.example.com
"""

RETURN = r"""
checks:
  description: What was tried.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The check's name.
      type: str
    ok:
      description: Whether the promise was kept.
      type: bool
    detail:
      description: What happened.
      type: str
  sample: [{name: create_once, ok: true, detail: an object that exists is not created again}]
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._store.check import run_check
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(argument_spec=store_spec(), supports_check_mode=False)
    run(module, lambda: run_check(module.params))


if __name__ == "__main__":
    main()
