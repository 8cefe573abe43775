#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_lock
short_description: Let one rollout at a time move a channel
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - The lock of a channel is a document in the store, acquired by compare-and-swap. Its serial grows with every acquisition and every break, and is the
    fence that later writes carry. Writes of a former holder are refused, for example if it was frozen and comes back.
  - If the holder of a lock is proven dead, the lock is acquired at once. The proof is its process, if it ran on this machine, or that its document did not
    change for a whole O(ttl) by this machine's own clock. The clocks of other machines prove nothing.
  - While a play holds the lock, a background process on the machine of the task renews it. This process ends with the play's process, and does not renew
    the lock while the play is stopped.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
    details:
      - With O(state=held), it says who holds the lock, and whether it could be acquired.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state=held), it acquires the lock each time, and fails if it is held already.
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
      - V(held) acquires the lock.
      - V(released) releases it. If it is not ours any more, RV(note) says so, and that is no error.
      - V(broken) breaks the lock of any holder. From then on, this holder can write nothing. A lock document that can't be read is written anew.
    type: str
    choices: [held, released, broken]
    required: true
  purpose:
    description:
      - What the lock is held for, such as C(rollout of 1.4.2). Other deployers see it when they are refused.
    type: str
  wait:
    description:
      - Seconds to wait for a lock that somebody holds. After that, the task fails and says who holds it.
      - If a lock looks expired, the module watches it for its ttl even without this option, if the ttl is two minutes at most.
    type: int
    default: 0
  ttl:
    description:
      - Seconds without a sign of life after which others may acquire the lock. It is renewed three times as often.
    type: int
    default: 30
  ttl_without_keeper:
    description:
      - The same, if no process on the task's machine runs the play, as on a remote host. M(alchemist.beam.rollout_journal) renews the lock there.
    type: int
    default: 900
  token:
    description:
      - The token that O(state=held) returned, for O(state=released).
    type: str
  controller_pid:
    description:
      - The lock is renewed only while this process lives. The default is the C(ansible-playbook) that runs the task.
    type: int
  by:
    description:
      - Who does it. The default is the user and host that the task runs as.
    type: str
seealso:
  - module: alchemist.beam.rollout_journal
  - module: alchemist.beam.rollout_info
  - module: alchemist.beam.release_channel
"""

EXAMPLES = r"""
- name: Take the lock
  alchemist.beam.rollout_lock:
    store: file:///srv/releases
    name: shop
    channel: production
    state: held
    purpose: rollout of 1.4.2
    wait: 600
  register: rollout_lock

- name: Change the channel, as long as the lock is ours
  alchemist.beam.release_channel:
    store: file:///srv/releases
    name: shop
    channel: production
    version: 1.4.2
    fence: "{{ rollout_lock.lock.serial }}"

- name: Give it back
  alchemist.beam.rollout_lock:
    store: file:///srv/releases
    name: shop
    channel: production
    state: released
    token: "{{ rollout_lock.lock.token }}"
"""

RETURN = r"""
lock:
  description:
    - The lock afterwards.
    - C(serial) is the fence of everything that is written under the lock. Only its new holder gets C(token). C(taken_from) is the former owner, if that one
      was dead or its lock was broken. C(dead) says that the holder is known to be dead.
  type: dict
  returned: success
  sample:
    serial: 1772366400
    token: 3f0c...
    held: true
    dead: false
    owner: deploy@build1
    purpose: rollout of 1.4.2
    since: "2026-03-01T12:00:00Z"
    renewed: "2026-03-01T12:00:00Z"
    ttl: 30
    taken_from:
channel:
  description: The channel, as M(alchemist.beam.release_channel) returns it, with its fence raised; V(null) if it does not exist.
  type: dict
  returned: O(state=held) or O(state=broken)
journal:
  description: The journal of the last rollout, as M(alchemist.beam.rollout_journal) returns it; V(null) if there was none.
  type: dict
  returned: O(state=held) or O(state=broken)
broken:
  description: Who held the lock that was broken; V(null) if nobody did.
  type: dict
  returned: O(state=broken)
  sample: {owner: deploy@build1, purpose: rollout of 1.4.2, since: "2026-03-01T12:00:00Z", renewed: "2026-03-01T12:00:00Z", ttl: 30}
note:
  description: Anything that the user should know, in words; else empty.
  type: str
  returned: success
error:
  description: What could not be done, why, and the next step, for machines. Its code is C(lock_held) if somebody else holds the lock.
  type: dict
  returned: failure
holder:
  description: Who holds the lock.
  type: dict
  returned: failure with C(lock_held)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_lock import run_lock
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["held", "released", "broken"]},
            "purpose": {"type": "str"},
            "wait": {"type": "int", "default": 0},
            "ttl": {"type": "int", "default": 30},
            "ttl_without_keeper": {"type": "int", "default": 900},
            "token": {"type": "str", "no_log": False},
            "controller_pid": {"type": "int"},
            "by": {"type": "str"},
        },
        required_if=[("state", "released", ("token",))],
        supports_check_mode=True,
    )
    run(module, lambda: run_lock(module.params, module.check_mode))


if __name__ == "__main__":
    main()
