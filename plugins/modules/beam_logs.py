#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_logs
short_description: The last lines of a node's log
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads the journal of the unit, or the file that a daemon writes, whether the node runs or not.
  - The values of its environment and its cookie are masked, and so is what is known for a secret by its shape.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
  - alchemist.beam.node.one_of
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  lines:
    description:
      - How many lines at most, 1 to 5000.
    type: int
    default: 100
  since:
    description:
      - V(start) for what was written since the last start of the node, without times.
      - Otherwise a time as C(journalctl --since) takes it, such as V(10 min ago) or V(2026-01-31 12:00:00). Not with O(manager=daemon), whose log has no times.
    type: str
    default: ""
  follow:
    description:
      - How long to wait for what is written after that, such as V(30s) or V(2m); at most 10 minutes. It is returned at the end of that time.
    type: str
    default: "0"
"""

EXAMPLES = r"""
- name: What did it say in the last ten minutes?
  alchemist.beam.beam_logs:
    name: shop
    base: /srv/shop
    since: 10 min ago
  register: shop_log
"""

RETURN = r"""
log:
  description: The lines, secrets masked. Of a journal each begins with its time, in UTC.
  type: list
  elements: str
  returned: success
running:
  description: Whether the node runs.
  type: bool
  returned: success
pointer:
  description: Which node of the server it is, V(current) where there is one.
  type: str
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules import logs


def main() -> None:
    module = AnsibleModule(argument_spec=logs.OPTIONS, supports_check_mode=True)
    run(module, lambda: logs.work(module.params))


if __name__ == "__main__":
    main()
