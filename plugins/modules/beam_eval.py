#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_eval
short_description: Evaluate an expression with the code of a release, in a VM of its own
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Runs C(bin/<name> eval) of a release on the server, with the environment and the user of the service, and returns the value of an Elixir expression.
  - It is a VM of its own without distribution, so it does not meet the node that runs, which need not run at all. Of the application nothing is started
    that the expression does not start.
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
options:
  version:
    description:
      - The version whose code is used. It must be on the server. The default is what C(current) points at.
    type: str
notes:
  - The confinement of the unit (such as C(ProtectSystem)) does not apply.
seealso:
  - module: alchemist.beam.beam_rpc
  - module: alchemist.beam.beam_migrate
"""

EXAMPLES = r"""
- name: What does the configuration say?
  alchemist.beam.beam_eval:
    name: shop
    base: /srv/shop
    expression: Application.load(:shop); Application.get_env(:shop, :pool_size)
  register: shop_pool
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
command:
  description: The command. It reads the expression from a file that only the user of the node can read.
  type: list
  elements: str
  returned: success
would_run:
  description: The expression, secrets masked.
  type: str
  returned: check mode
error:
  description:
    - What went wrong, as C(code), C(what), C(why) and C(next). C(expression_raised) is what the expression raised itself, C(expression_invalid) is no Elixir,
      C(expression_late) was killed.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run, taken
from ansible_collections.alchemist.beam.plugins.module_utils._modules.expression import EVAL_OPTIONS, evaluate


def main() -> None:
    module = AnsibleModule(argument_spec=EVAL_OPTIONS, supports_check_mode=True)
    expression = taken(module, "expression")
    run(module, lambda: evaluate(module.params, expression, module.check_mode))


if __name__ == "__main__":
    main()
