#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_look
short_description: Stage a release on one server and report what the server runs, in one call
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Does what M(alchemist.beam.release_install) and then M(alchemist.beam.beam_info) do, with one connection to the server instead of several.
    If the first one fails, the second one does not run.
  - For a server with two nodes it also reports what M(alchemist.beam.beam_restart) would do to the one that does not serve.
  - The role P(alchemist.beam.rollout#role) uses it for each server before anything moves.
requirements:
  - boto3 1.36 or newer on the server, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  step:
    description:
      - In a rollout, what the look is for. The options below are made of it, from the plan and the variables of the role; it is not for use elsewhere.
    type: str
    choices: [lacks, stage, foresee, join, status]
  version:
    description:
      - With O(step=status), the version whose health is checked.
    type: str
  name:
    description:
      - The name of the release.
    type: str
    required: true
  base:
    description:
      - The directory for this release on the server.
    type: path
    required: true
  store:
    description:
      - Where releases live. Not needed without O(digest), with O(presigned), and for a release that is staged already.
    type: str
    required: false
  digest:
    description:
      - The release to stage. Without it, nothing is staged.
    type: str
  presigned:
    description:
      - See M(alchemist.beam.release_install).
    type: dict
  keep:
    description:
      - See M(alchemist.beam.release_install).
    type: int
    default: 5
  min_free_mb:
    description:
      - See M(alchemist.beam.release_install).
    type: int
    default: 100
  verify:
    description:
      - See M(alchemist.beam.release_install).
    type: bool
    default: false
  allow_ghost:
    description:
      - See M(alchemist.beam.release_install).
    type: bool
    default: false
  lock_timeout:
    description:
      - See M(alchemist.beam.release_install).
    type: int
    default: 60
  abi_ignore:
    description:
      - See M(alchemist.beam.release_install).
    type: list
    elements: str
    default: []
  manager:
    description:
      - See M(alchemist.beam.beam_info).
    type: str
    choices: [systemd, daemon]
    default: systemd
  unit:
    description:
      - See M(alchemist.beam.beam_info).
    type: str
  colors:
    description:
      - See M(alchemist.beam.beam_info).
    type: list
    elements: str
    default: []
  expect_version:
    description:
      - See M(alchemist.beam.beam_info). With O(colors), RV(foreseen) is told too.
    type: str
  crash_dumps:
    description:
      - See M(alchemist.beam.beam_info).
    type: list
    elements: path
    default: []
  modified:
    description:
      - See M(alchemist.beam.beam_info).
    type: bool
    default: false
  timeout:
    description:
      - See M(alchemist.beam.beam_info).
    type: float
    default: 2
  healths:
    description:
      - The health checks of each node that may be the one that serves. A node that is not in the list is not checked.
    type: list
    elements: dict
    default: []
    suboptions:
      pointer:
        description:
          - The node, V(current) if the server has only one.
        type: str
        required: true
      health:
        description:
          - See M(alchemist.beam.beam_info).
        type: dict
        required: true
        suboptions:
          http:
            description:
              - A C(GET) request.
            type: dict
            suboptions:
              url:
                description: The URL to get.
                type: str
                required: true
              status:
                description: The status codes that pass.
                type: list
                elements: int
                default: [200]
              json:
                description: Fields of the JSON body that must have these values.
                type: dict
                default: {}
              jmespath:
                description: A JMESPath expression over the JSON body, which must give something true.
                type: str
              headers:
                description: Headers to send.
                type: dict
                default: {}
              timeout:
                description: Seconds for one whole request.
                type: float
                default: 2
              validate_certs:
                description: Whether to verify the TLS certificate.
                type: bool
                default: true
          tcp:
            description:
              - A port that must accept connections.
            type: dict
            suboptions:
              port:
                description: The port.
                type: int
                required: true
              host:
                description: The address.
                type: str
                default: 127.0.0.1
              timeout:
                description: Seconds to connect.
                type: float
                default: 2
          node:
            description:
              - The node itself.
            type: dict
            suboptions:
              applications:
                description: Applications that must be started.
                type: list
                elements: str
                default: []
              timeout:
                description: Seconds for the whole question.
                type: float
                default: 2
              connected:
                description: The number of other nodes that it must be connected to.
                type: int
                default: 0
              rejoin:
                description: Plays no part here.
                type: bool
                default: false
          passes:
            description: Plays no part here.
            type: int
            default: 3
          interval:
            description: Plays no part here.
            type: float
            default: 0.5
          within:
            description: Plays no part here.
            type: float
            default: 60
          stable:
            description: Plays no part here.
            type: float
            default: 0
  force:
    description:
      - With O(colors), return RV(foreseen) even if the node that serves may stay.
    type: bool
    default: false
  ready:
    description:
      - The readiness file of the server, as a balancer of kind V(file) of M(alchemist.beam.balancer_member).
    type: dict
    suboptions:
      path:
        description:
          - The file.
        type: path
        required: true
      url:
        description:
          - The URL that answers 200 as long as the server takes requests.
        type: str
seealso:
  - module: alchemist.beam.release_install
  - module: alchemist.beam.beam_info
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: Stage a release, and tell what runs
  alchemist.beam.rollout_look:
    name: shop
    base: /srv/shop
    store: s3://example-releases/beam
    digest: 0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9
    expect_version: 1.4.0
"""

RETURN = r"""
staged:
  description: What M(alchemist.beam.release_install) returned.
  returned: with O(digest)
  type: dict
  sample:
    changed: true
    version: 1.4.0
seen:
  description: What M(alchemist.beam.beam_info) returned.
  returned: always
  type: dict
  sample:
    running: true
    version: 1.3.0
foreseen:
  description: For the node that does not serve, the C(action) that M(alchemist.beam.beam_restart) would take, and the C(reason).
  returned: with O(colors) and O(expect_version), where the node that serves may not stay
  type: dict
  sample:
    action: start
    reason: it does not run
ready:
  description: C(rotation) is V(in) or V(out), depending on whether the readiness file says that the server takes requests.
  returned: with O(ready)
  type: dict
  sample:
    rotation: in
lacks:
  description: The sha256 of the layers that the server lacks.
  returned: O(step=lacks)
  type: list
  elements: str
error:
  description: The kind of failure, as C(code), C(what), C(why) and C(next). Beside it are the parts of the answer that came before.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules import look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **look.OPTIONS,
            "step": {"type": "str", "choices": ["lacks", "stage", "foresee", "join", "status"]},
            "version": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run(module, lambda: look.work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
