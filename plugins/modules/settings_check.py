#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: settings_check
short_description: Refuse variables that nothing reads, and settings that can't work
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Each playbook of this collection begins with it. It runs on the controller, and contacts no server.
  - A variable that begins with C(beam_) and that nothing reads is refused, with the most similar name. So is one that begins with the name of a role,
    such as C(service_) or C(rollout_), if it is very similar to a known one; otherwise there is a warning.
  - Unknown keys in dictionaries such as C(beam_health) or C(beam_balancers) are refused, too.
  - It reads the variables of the servers, of the build servers and of the play as they were written. No value is evaluated for that.
  - A variable that another variable uses counts as the user's own, and is accepted. List any other variable of that kind in C(beam_own_variables).
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
  servers:
    description:
      - The servers that the playbook is for. An empty list is refused.
    type: list
    elements: str
  pattern:
    description:
      - The pattern that O(servers) was made of, for the message.
    type: str
    default: beam
  of_rollout:
    description:
      - Whether to check the options of the role P(alchemist.beam.rollout#role), too, as they are where the task runs. Then it is a task of that role.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what was misspelt
  alchemist.beam.settings_check:
  run_once: true
  vars:
    beam_own_variables: [beam_ticket, "image_*"]   # of mine; usually in the inventory
"""

RETURN = r"""
unread:
  description: Variables that nothing reads, and that are not refused.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str"},
            "pattern": {"type": "str", "default": "beam"},
            "of_rollout": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    # The action of the same name does it: variables are known on the controller alone.
    module.fail_json(msg="settings_check runs on the controller, as a task of a playbook")


if __name__ == "__main__":
    main()
