#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_drift
short_description: Show which settings of a service differ from the inventory
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Compares files that the role P(alchemist.beam.service#role) writes with what it would write now. It returns names of settings, and never a value.
  - It writes nothing. A unit that the role has not written is not compared.
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
      - What would be written.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - The path of the file on the server.
        type: path
        required: true
      content:
        description:
          - What it would hold.
        type: str
        required: true
      kind:
        description:
          - V(env) is compared by the names of its variables, V(unit) by those of its directives, V(text) and V(secret) as a whole.
          - A V(secret) without a O(files[].content) is whatever it is.
        type: str
        choices: [env, unit, text, secret]
        required: true
      ignore:
        description:
          - With O(files[].kind=env), names that do not count.
        type: list
        elements: str
        default: []
  copies:
    description:
      - Files that would be copied as they are. Other keys than these two do not matter.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - The path of the file, absolute or relative to O(directory).
        type: str
        required: true
      content:
        description:
          - What it would hold.
        type: str
        required: true
      owner:
        description:
          - Not compared.
        type: str
      group:
        description:
          - Not compared.
        type: str
      mode:
        description:
          - Not compared.
        type: raw
  directory:
    description:
      - Where O(copies) with a relative path are.
    type: path
    default: /
"""

EXAMPLES = r"""
- name: Is the environment of the shop as it is meant?
  alchemist.beam.service_drift:
    files:
      - path: /etc/shop/env
        kind: env
        content: "PORT='4000'\n"
  register: shop_drift
"""

RETURN = r"""
differs:
  description: A sentence for each file that is different.
  type: list
  elements: str
  returned: success
  sample: ["/etc/shop/env: new: PHX_SERVER; changed: PORT"]
settings:
  description: Those of RV(differs) that are about environment files.
  type: list
  elements: str
  returned: success
env_files:
  description: The environment files that were compared.
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
from ansible_collections.alchemist.beam.plugins.module_utils._node.drift import run_drift


def main() -> None:
    options = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True, "no_log": True},
        "kind": {"type": "str", "choices": ["env", "unit", "text", "secret"], "required": True},
        "ignore": {"type": "list", "elements": "str", "default": []},
    }
    copied = {
        "path": {"type": "str", "required": True},
        "content": {"type": "str", "required": True, "no_log": True},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": options},
            "copies": {"type": "list", "elements": "dict", "default": [], "options": copied},
            "directory": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_drift(module.params["files"], module.params["copies"], module.params["directory"]))


if __name__ == "__main__":
    main()
