#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_ping
short_description: Ask a node over the distribution, and tell how long it took
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Connects to the node that runs by the Erlang distribution protocol, as a hidden node, and asks for its name. No VM is started for it.
  - A node that does not run, refuses the cookie or does not answer in time is a failure, which says which of them it is.
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
  timeout:
    description:
      - Seconds that the node has to take the connection, and to answer.
    type: float
    default: 5
seealso:
  - module: alchemist.beam.beam_info
"""

EXAMPLES = r"""
- name: See that the node answers
  alchemist.beam.beam_ping:
    name: shop
    base: /srv/shop
"""

RETURN = r"""
node:
  description: The name that the node has for itself.
  returned: success
  type: str
  sample: shop@127.0.0.1
pointer:
  description: Which node of the server it is, V(current) where there is one.
  returned: success
  type: str
pid:
  description: The process that runs it.
  returned: success
  type: int
version:
  description: The version that it was started from.
  returned: success
  type: str
connect_ms:
  description: Milliseconds that it took to be connected, the handshake included.
  returned: success
  type: float
ms:
  description: Milliseconds from the question to the answer.
  returned: success
  type: float
error:
  description: Why it did not answer, as C(code), C(what), C(why) and C(next).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules import ping


def main() -> None:
    module = AnsibleModule(argument_spec=ping.OPTIONS, supports_check_mode=True)
    run(module, lambda: ping.work(module.params))


if __name__ == "__main__":
    main()
