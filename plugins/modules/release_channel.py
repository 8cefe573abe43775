#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_channel
short_description: Move a channel to another release
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - A channel is a mutable pointer in the store, such as C(production), to a published release. Servers follow it when they install a release.
  - Every change is a compare-and-swap with a serial that only grows. Of two changes at once one wins, and the other one fails and says who won.
  - A ghost is a version that failed on a channel. It is not picked again unless O(force) says so.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the release.
    type: str
    required: true
  channel:
    description:
      - The name of the channel.
    type: str
    required: true
  state:
    description:
      - V(promoted) makes the release stable; the former stable release becomes previous.
      - V(rolled_back) goes back to the given release or to previous; the release that was stable becomes a ghost.
      - V(ghosted) makes the release a ghost, V(unghosted) undoes that.
      - V(proposed) makes it the candidate of a rollout, V(withdrawn) removes the candidate.
      - V(required) sets O(requires) for all releases that become candidate or stable from then on.
    type: str
    choices: [promoted, rolled_back, ghosted, unghosted, proposed, withdrawn, required]
    default: promoted
  version:
    description:
      - The version of the release.
    type: str
  digest:
    description:
      - The digest of the release.
    type: str
  reason:
    description:
      - Why the release becomes a ghost.
    type: str
  force:
    description:
      - Pick a release even if it is a ghost. Afterwards it is no ghost any more.
    type: bool
    default: false
  serial:
    description:
      - The serial that the channel must have now; V(0) means that it must not exist. Without it, any serial is accepted.
    type: int
  fence:
    description:
      - The serial of the lock that a rollout holds, as M(alchemist.beam.rollout_lock) returned it.
      - If another rollout has acquired the lock since, nothing is changed, and the task fails with C(lock_lost).
      - Without it, the change counts as a person's, and no lock is needed.
    type: int
  by:
    description:
      - Who does it. The default is the user and host that the task runs as.
    type: str
  requires:
    description:
      - With O(state=required), what a release has to fulfil. An empty dict means nothing.
      - C(gates) is a list of gates that the release's commit has passed, by the statements that M(alchemist.beam.mix_gate) wrote to this store.
      - C(coverage) is the least percentage of lines that the tests ran. C(max_age) is how old a statement may be, such as V(30d), V(12h) or V(4w).
      - C(unstable) is V(refuse) (the default) or V(allow), for gates that passed only when they were repeated.
      - It is compared before a release becomes candidate or stable, and before a rollback to a version that the channel does not name. Without a
        statement, with a failed, old, changed or foreign one, the task fails with C(gates_unmet). What the channel names already stays.
    type: dict
  break_glass:
    description:
      - Why a release is let through that does not fulfil O(requires). The channel keeps it as RV(channel), and a rollout's report shows it.
      - It has no effect on a release that does.
    type: str
seealso:
  - module: alchemist.beam.mix_gate
  - module: alchemist.beam.release_artifact
  - module: alchemist.beam.release_channel_info
  - module: alchemist.beam.rollout_lock
"""

EXAMPLES = r"""
- name: Promote a release
  alchemist.beam.release_channel:
    store: file:///srv/releases
    name: shop
    channel: production
    version: 1.4.2

- name: Back to the one before
  alchemist.beam.release_channel:
    store: file:///srv/releases
    name: shop
    channel: production
    state: rolled_back
    reason: checkout fails for guests

- name: From now on, only what passed its tests
  alchemist.beam.release_channel:
    store: file:///srv/releases
    name: shop
    channel: production
    state: required
    requires: {gates: [compile, test, credo], coverage: 80, max_age: 30d}
"""

RETURN = r"""
channel:
  description: The channel as its document in the store says it afterwards.
  type: dict
  returned: success
  sample:
    name: shop
    channel: production
    serial: 7
    stable: {version: 1.4.2, digest: 6d1f...}
    previous: {version: 1.4.1, digest: 90ab...}
    candidate:
    ghosts: []
    fence: 4
    by: deploy@build1
    at: "2026-03-01T12:00:00Z"
gates:
  description: What was found of each required gate, if a release was compared with what the channel requires.
  type: list
  elements: dict
  returned: success
  sample:
    - {version: 1.4.2, gate: test, verdict: passed, finished: "2026-03-01T11:58:00Z", note: "", ok: true}
previous_serial:
  description: The serial that the channel had before.
  type: int
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "default": "promoted",
                "choices": ["promoted", "rolled_back", "ghosted", "unghosted", "proposed", "withdrawn", "required"],
            },
            "version": {"type": "str"},
            "digest": {"type": "str"},
            "reason": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "serial": {"type": "int"},
            "fence": {"type": "int"},
            "by": {"type": "str"},
            "requires": {"type": "dict"},
            "break_glass": {"type": "str"},
        },
        required_if=[
            *(
                ("state", state, ("version", "digest"), True)
                for state in ("promoted", "ghosted", "unghosted", "proposed")
            ),
            ("state", "required", ("requires",)),
        ],
        supports_check_mode=True,
    )
    run(module, lambda: run_channel(module.params, module.check_mode))


if __name__ == "__main__":
    main()
