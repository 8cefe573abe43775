#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_blanks
short_description: Refuse an inventory that still has blanks
description:
  - Checks the variables of all hosts, and fails with the name of each blank and where to fill it in.
  - A blank is a value with C(undef(hint='...'\)) that is not defined, as M(alchemist.beam.project_init) writes it. Only such values are evaluated, so no
    other lookup runs.
  - In an inventory, C("{{ vault_database_url | default(undef(hint='Put it into vault.yml'\)\) }}") is a blank until the variable is defined.
  - It runs on the controller.
options:
  groups:
    description: Groups that must have a host, and what to do if they have none. A group that the inventory does not name is not reported.
    type: dict
    default: {}
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Refuse what is left blank
  alchemist.beam.inventory_blanks:
    groups:
      beam: Put the servers under beam, hosts
"""

RETURN = r"""
blanks:
  description: What a person has to fill in.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The variable, with dots if it is inside another one; or the group.
      type: str
    hint:
      description: What to do.
      type: str
    hosts:
      description: The hosts that have the variable.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(argument_spec={"groups": {"type": "dict", "default": {}}}, supports_check_mode=True)
    # The action of the same name does it: the variables of all hosts are known on the controller alone.
    module.fail_json(msg="inventory_blanks runs on the controller, as a task of a playbook")


if __name__ == "__main__":
    main()
