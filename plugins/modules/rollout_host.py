#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_host
short_description: Point one server at a release and restart its node on it, in one call
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Does what M(alchemist.beam.release_install) and then M(alchemist.beam.beam_restart) do, with one connection to the server instead of two.
    Where the first one fails, nothing is restarted.
  - The role P(alchemist.beam.rollout#role) uses it for each server of a batch.
requirements:
  - boto3 1.36 or newer on the server, only where O(point) names an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With C(force=true) in O(restart) every run restarts.
options:
  point:
    description:
      - The options of M(alchemist.beam.release_install), with C(state) V(active) or V(inactive).
    type: dict
  restart:
    description:
      - The options of M(alchemist.beam.beam_restart).
    type: dict
  steps:
    description:
      - In a rollout, what to do. O(point) and O(restart) are made of it, from the plan and the variables of the role; it is not for use elsewhere.
    type: list
    elements: str
    choices:
      - hide
      - activate
      - restart
      - upgrade
      - show
      - look
      - switch
      - enable
      - disable
      - stop
      - confirm
      - back_upgrade
      - back_point
      - back_restart
      - back_show
      - back_switch
      - back_enable
      - back_disable
      - back_stop
      - back_remove
      - back_unlist
seealso:
  - module: alchemist.beam.release_install
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: Run a version that is staged already
  alchemist.beam.rollout_host:
    point:
      name: shop
      base: /srv/shop
      state: active
      version: 1.4.0
    restart:
      name: shop
      base: /srv/shop
      expect_version: 1.4.0
"""

RETURN = r"""
pointed:
  description: What M(alchemist.beam.release_install) returned, or how it failed. Everything beside it is of M(alchemist.beam.beam_restart).
  returned: where both O(point) and O(restart) are given
  type: dict
  sample:
    changed: true
    version: 1.4.0
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run, suboptions
from ansible_collections.alchemist.beam.plugins.module_utils._modules import install, restart
from ansible_collections.alchemist.beam.plugins.module_utils._modules.in_turn import in_turn

# Written out: what knows them on the controller is not sent to the servers.
STEPS = [
    "hide",
    "activate",
    "restart",
    "upgrade",
    "show",
    "look",
    "switch",
    "enable",
    "disable",
    "stop",
    "confirm",
    "back_upgrade",
    "back_point",
    "back_restart",
    "back_show",
    "back_switch",
    "back_enable",
    "back_disable",
    "back_stop",
    "back_remove",
    "back_unlist",
]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "point": {"type": "dict"},
            "restart": {"type": "dict"},
            "steps": {
                "type": "list",
                "elements": "str",
                "choices": STEPS,
            },
        },
        required_one_of=[("point", "restart")],
        supports_check_mode=True,
    )
    point = suboptions(module, "point", install.OPTIONS, install.RULES)
    start = suboptions(module, "restart", restart.OPTIONS, restart.RULES)
    first = partial(install.work, point, module.check_mode) if point is not None else None
    second = partial(restart.work, start, module.check_mode) if start is not None else None
    run(module, lambda: in_turn(first, second))


if __name__ == "__main__":
    main()
