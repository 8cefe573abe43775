#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_claim
short_description: Check that the names of a service are free on a host, or belong to it
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Checks the account, the group, the directories, the units and the commands that a service will have on a host. It fails if one of them
    exists and belongs to something else. For example, a release named C(ssl) would take over C(/etc/ssl). It changes none of them.
  - C(/etc/alchemist-beam/<unit>.json) records the names that belong to the service. On a host that was set up before this file existed, the unit file does.
  - Warns if SELinux is enforcing and would not let systemd start programs in O(base).
  - The role P(alchemist.beam.service#role) uses it before it makes anything.
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
  unit:
    description: Name of the unit, without C(.service).
    type: str
    required: true
  suffixes:
    description: What follows the name of the unit if there are several units, such as V(-blue) and V(-green).
    type: list
    elements: str
    default: []
  user:
    description: The account that runs the node.
    type: str
    required: true
  group:
    description: Its group.
    type: str
    required: true
  create_user:
    description: Whether the account and the group will be made or changed. With V(false) they have to exist.
    type: bool
    default: true
  base:
    description: Directory of the application.
    type: path
    required: true
  adopt:
    description: Accounts, groups and paths that exist already, and that the service may take over as they are.
    type: list
    elements: str
    default: []
  ports:
    description: The ports that the distribution of its nodes listens on. Another service of the host must not have them.
    type: list
    elements: int
    default: []
seealso:
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: May this service have its names here?
  alchemist.beam.service_claim:
    unit: shop
    user: shop
    group: shop
    base: /srv/shop
"""

RETURN = r"""
path:
  description: The file that records the names that belong to the service.
  type: str
  returned: success
  sample: /etc/alchemist-beam/shop.json
taken:
  description: The names that belong to something else.
  type: list
  elements: str
  returned: failure
  sample: [/etc/ssl]
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._host.claim import claim, of_service


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "suffixes": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "create_user": {"type": "bool", "default": True},
            "base": {"type": "path", "required": True},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
        },
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, object]:
        instances = [options["unit"] + suffix for suffix in options["suffixes"] or [""]]
        wanted = of_service(
            options["unit"],
            instances,
            options["user"],
            options["group"],
            options["base"],
            options["create_user"],
            options["adopt"],
            options["ports"],
        )
        return claim(wanted, module.check_mode)

    run(module, work)


if __name__ == "__main__":
    main()
