#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_cookie
short_description: Give a node that runs another cookie, without a restart
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Gives the new cookie to the nodes of the server that run, over the Erlang distribution protocol, and sees that they take it. Then it writes the cookie into
    the files that they read at their next start.
  - Nodes that are connected stay connected. Two that are not connected can't connect while only one of them has the new cookie.
  - A run that was cut off is finished by the next one.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  env_file:
    description:
      - The environment file of the node, with O(manager=daemon). The cookie in it is replaced. The default is C(<base>/shared/<name>.env).
    type: path
  colors:
    description:
      - Of a server that has two nodes, the names of both. Each that runs is given the cookie. O(pointer) must not be given then.
    type: list
    elements: str
    default: []
  cookie:
    description:
      - The new cookie, of 8 to 255 letters, digits and signs that no shell reads as anything else.
    type: str
    required: true
  former:
    description:
      - A cookie that the node may run with, where that is not the one in its file any more.
    type: str
    default: ""
  state:
    description:
      - V(looked) changes nothing. It tells which nodes run, with which of the cookies, and with whom they are connected, and fails where V(present) would.
    type: str
    choices: [present, looked]
    default: present
  timeout:
    description:
      - Seconds that a node has for each answer.
    type: float
    default: 5
notes:
  - It does not work where the cookie is in the arguments of the node's process. Units and daemons of this collection read it from a file.
  - The files look as old as before. Nothing takes them for a reason to restart.
seealso:
  - module: alchemist.beam.beam_ping
"""

EXAMPLES = r"""
- name: Replace the cookie
  alchemist.beam.beam_cookie:
    name: shop
    base: /srv/shop
    cookie: "{{ vault_cookie }}"
"""

RETURN = r"""
nodes:
  description: The nodes that run.
  returned: success
  type: list
  elements: dict
  contains:
    pointer:
      description: Which node of the server it is, V(current) where there is one.
      type: str
    node:
      description: The name of the node.
      type: str
    had:
      description: V(new) where it had the new cookie already, V(old) where it had another one. Empty for a node without distribution.
      type: str
    connected:
      description: The nodes that it was connected with before.
      type: list
      elements: str
files:
  description: The files that were written, or would be.
  returned: success
  type: list
  elements: str
error:
  description: What could not be done, why, and the next step, for machines.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules import cookie


def main() -> None:
    module = AnsibleModule(argument_spec=cookie.OPTIONS, supports_check_mode=True)
    run(module, lambda: cookie.work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
