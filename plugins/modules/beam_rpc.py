#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_rpc
short_description: Evaluate an expression in a node that runs
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Evaluates an Elixir expression in the node that runs, by the Erlang distribution protocol, and returns its value. No VM is started for it.
  - It runs in a process of its own, without a module that is loaded for it. Nothing of it stays in the node but what the expression does itself.
  - What it prints is returned, and does not go into the log of the node.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
  - alchemist.beam.node.one_of
  - alchemist.beam.node.expression
attributes:
  check_mode:
    support: full
    details:
      - Nothing is evaluated. What would be is told.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Nobody knows what an expression changes, so it always counts as a change.
seealso:
  - module: alchemist.beam.beam_eval
  - module: alchemist.beam.beam_ping
"""

EXAMPLES = r"""
- name: How many users are there?
  alchemist.beam.beam_rpc:
    name: shop
    base: /srv/shop
    expression: Shop.Presence.count()
  register: shop_users
"""

RETURN = r"""
value:
  description: The value, as C(inspect) writes it, secrets masked. Of a long list the first thousand items, of a long text its beginning.
  type: str
  returned: it was evaluated
  sample: '%{workers: 4}'
printed:
  description: What the expression printed, line by line, secrets masked.
  type: list
  elements: str
  returned: it was evaluated
seconds:
  description: How long it took.
  type: float
  returned: it was evaluated
version:
  description: The version of the code that evaluated it.
  type: str
  returned: success
would_run:
  description: The expression, secrets masked.
  type: str
  returned: check mode
node:
  description: The node.
  type: str
  returned: success
  sample: shop@127.0.0.1
pointer:
  description: Which node of the server it is, V(current) where there is one.
  type: str
  returned: success
error:
  description:
    - What went wrong, as C(code), C(what), C(why) and C(next). C(expression_raised) is what the expression raised itself, C(expression_invalid) is no Elixir,
      C(expression_late) was killed.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run, taken
from ansible_collections.alchemist.beam.plugins.module_utils._modules.expression import OPTIONS, rpc


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    expression = taken(module, "expression")
    run(module, lambda: rpc(module.params, expression, module.check_mode))


if __name__ == "__main__":
    main()
