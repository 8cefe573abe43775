#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: operate_fleet
short_description: What the role operate decides and tells
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - The role P(alchemist.beam.operate#role) is made of it. It is of no use elsewhere, and changes without notice.
  - It reads what the role was given, and what servers and the store said, from the variables of the play. It asks nobody, and changes nothing.
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
  step:
    description:
      - V(choose) tells which node of the server of its task is to be started, V(whom) and V(one_host) whether that server takes part,
        and V(migration) whether and how it migrates. V(releases_asked) tells which versions are meant,
        V(leaving) who leaves the fleet, V(drain) what balancers are told then, and V(remains) what there is of it on a server.
      - V(rotating) refuses a cookie that can't be used, a part of a fleet, and a fleet in which somebody rolls out.
      - V(confirm) refuses what could do harm in production and was not confirmed.
      - The others tell what the playbook of their name has found, as lines for a person, and what is wrong with it.
    type: str
    choices:
      - audit
      - choose
      - confirm
      - console
      - drain
      - evaluated
      - leaving
      - logs
      - migrated
      - migration
      - one_host
      - ping
      - releases
      - releases_asked
      - remains
      - removed
      - rotated
      - rotating
      - version
      - whom
    required: true
  command:
    description:
      - With O(step=confirm), the name of the playbook.
    type: str
"""

EXAMPLES = r"""
- name: Tell who answers, in the role
  alchemist.beam.operate_fleet:
    step: ping
  run_once: true
"""

RETURN = r"""
lines:
  description: What a person is told.
  type: list
  elements: str
  returned: success, where something is told
wrong:
  description: Why the playbook has to fail. Empty where it has not.
  type: str
  returned: success, where something is told
node:
  description: The node to start, V(current) where there is one.
  type: str
  returned: O(step=choose)
version:
  description: The version that is expected to run there, or that is meant.
  type: str
  returned: O(step=choose) and O(step=releases_asked)
compare_to:
  description: The version to compare it with; empty for none.
  type: str
  returned: O(step=releases_asked)
takes_part:
  description: Whether the server takes part.
  type: bool
  returned: O(step=whom), O(step=one_host), O(step=leaving) and O(step=migration)
expression:
  description: What migrates.
  type: str
  returned: O(step=migration)
undoes:
  description: Whether it undoes migrations.
  type: bool
  returned: O(step=migration)
leaving:
  description: The servers that leave.
  type: list
  elements: str
  returned: O(step=leaving)
members:
  description: Those who leave, as M(alchemist.beam.balancer_member) takes them.
  type: dict
  returned: O(step=drain)
fleet:
  description: All servers, in the same form.
  type: dict
  returned: O(step=drain)
min_healthy:
  description: How many of them have to stay in service.
  type: int
  returned: O(step=drain)
units:
  description: The systemd units of a server.
  type: list
  elements: str
  returned: O(step=remains)
paths:
  description: What is removed where a server is cleaned.
  type: list
  elements: str
  returned: O(step=remains)
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule

CHOICES = [
    "audit",
    "choose",
    "confirm",
    "console",
    "drain",
    "evaluated",
    "leaving",
    "logs",
    "migrated",
    "migration",
    "one_host",
    "ping",
    "releases",
    "releases_asked",
    "remains",
    "removed",
    "rotated",
    "rotating",
    "version",
    "whom",
]


def main() -> None:
    module = AnsibleModule(
        argument_spec={"step": {"type": "str", "required": True, "choices": CHOICES}, "command": {"type": "str"}},
        supports_check_mode=True,
    )
    # The action of the same name does it: variables are known on the controller alone.
    module.fail_json(msg="operate_fleet runs on the controller, as a task of the role operate")


if __name__ == "__main__":
    main()
