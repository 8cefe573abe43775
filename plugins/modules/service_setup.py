#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_setup
short_description: Make the account, the directories, the settings and the unit of a service
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Makes what a node needs on a server before its first release. It starts and stops nothing. What is there already stays as it is.
  - First it checks that the account, the group, the directories, the units and the commands are free, or belong to the service. It fails if one of
    them exists and belongs to something else, and then it has changed nothing. For example, a release named C(ssl) would take over C(/etc/ssl).
    C(/etc/alchemist-beam/<unit>.json) records the names that belong to the service. On a host that was set up before this file existed, the unit file
    does.
  - Where it changes a unit, it makes systemd read it.
  - Warns if SELinux is enforcing and would not let systemd start programs in O(base).
  - The role P(alchemist.beam.service#role) uses it. The bootstrap of a server uses the same code.
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
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
  home:
    description: The home of an account that is made. The default is C(/var/lib/<unit>). It is one of O(directories), or exists already.
    type: path
  create_user:
    description: Whether the account and the group are made where they are missing. With V(false) they have to exist.
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
  directories:
    description: Directories to make, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its mode, such as V(0755).
        type: str
        required: true
  files:
    description: Files to write, units among them. C(--diff) shows them.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its mode, such as V(0755).
        type: str
        required: true
      content:
        description: What it holds.
        type: str
        required: true
  settings:
    description:
      - Files with secrets, such as the environment of the node. A key is an absolute path, its value is what the file holds.
      - They belong to root, with the mode 0600. Nothing shows what they hold.
    type: dict
    default: {}
  cookie_file:
    description: Absolute path of the file with the cookie of the node. Its owner is O(user), its mode is 0400.
    type: path
  cookie:
    description: The cookie. If it is empty, the server makes a random one once.
    type: str
  enabled:
    description: Whether the unit starts at boot. By default, this stays as it is.
    type: bool
seealso:
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: Prepare the service of the shop
  alchemist.beam.service_setup:
    unit: shop
    user: shop
    group: shop
    base: /srv/shop
    directories:
      - {path: /srv/shop, mode: "0755"}
      - {path: /var/lib/shop, owner: shop, group: shop, mode: "0700"}
    files:
      - path: /etc/systemd/system/shop.service
        mode: "0644"
        content: "{{ lookup('ansible.builtin.template', 'shop.service.j2') }}"
    cookie_file: /var/lib/shop/.erlang.cookie
    enabled: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode. These are paths, and lines such as C(user shop).
  type: list
  elements: str
  returned: success
  sample: ["group shop", "user shop", "/srv/shop", "/etc/systemd/system/shop.service", "enable shop.service"]
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
from ansible_collections.alchemist.beam.plugins.module_utils._modules.setup import OPTIONS, run_setup


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    run(module, lambda: run_setup(module.params, module.check_mode))


if __name__ == "__main__":
    main()
