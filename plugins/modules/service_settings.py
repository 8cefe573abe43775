#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_settings
short_description: Put new settings of a node into place, or take them back
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - The role P(alchemist.beam.service#role) stages new environment files beside the old ones, as C(<file>.next). This module puts them into place when their
    server has its turn in a rollout, and keeps the former ones as C(<file>.former) until the rollout is over.
  - It returns names of files, and never what is in them.
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  files:
    description:
      - The environment files.
    type: list
    elements: path
    required: true
  state:
    description:
      - V(applied) puts what is staged into place, where it differs from what is there.
      - V(returned) puts the former settings back. Where somebody else has written others since, these stay.
      - V(unstaged) removes what is staged, V(settled) also what is kept of the former settings.
    type: str
    choices: [applied, returned, unstaged, settled]
    required: true
  name:
    description:
      - Name of the release. With O(base) and O(fence) it says for whom the fence is.
    type: str
    required: true
  base:
    description:
      - Directory of the application on the server.
    type: path
    required: true
  fence:
    description:
      - The number of the lock under which this is done. A lower number than that of the newest deployer is refused.
    type: int
  fence_channel:
    description:
      - The channel of that lock.
    type: str
"""

EXAMPLES = r"""
- name: Put the new settings into place
  alchemist.beam.service_settings:
    name: shop
    base: /srv/shop
    files: [/etc/shop/env]
    state: applied
"""

RETURN = r"""
files:
  description: The files that were changed, or whose neighbours were removed.
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
from ansible_collections.alchemist.beam.plugins.module_utils._modules.settings import OPTIONS, RULES, work


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
