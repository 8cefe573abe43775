#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_journal
short_description: Record how far a rollout is
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - The journal of a channel is one document in the store. For each host of a rollout it records how far it is and what it ran before, as it happens. So if a
    rollout dies, the next run can bring every host into a known state.
  - Only the holder of the channel's lock writes it. Anybody else fails with C(lock_lost).
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state=opened) it is so where O(id) is given.
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
  fence:
    description:
      - The serial of the lock, as M(alchemist.beam.rollout_lock) returned it.
    type: int
    required: true
  token:
    description:
      - The token of the lock, as M(alchemist.beam.rollout_lock) returned it.
    type: str
    required: true
  state:
    description:
      - V(opened) begins a rollout. If the former rollout was interrupted, it keeps which hosts are out of a balancer and what they ran before.
      - V(recorded) records a step of some hosts.
      - V(closed) ends it, and puts the O(report) into the history.
    type: str
    choices: [opened, recorded, closed]
    required: true
  id:
    description:
      - The id of the rollout, such as C(20260301T120000Z-0a1b2c3d). The default is a new one.
    type: str
  kind:
    description:
      - What it is.
    type: str
    choices: [rollout, restart, rollback]
  version:
    description:
      - The version that it goes to.
    type: str
  digest:
    description:
      - The digest that it goes to.
    type: str
  stable:
    description:
      - The C(version) and C(digest) that are stable as it begins.
    type: dict
  strategy:
    description:
      - The name of the strategy.
    type: str
  hosts:
    description:
      - By the name of the host. With O(state=opened), C(from) is the version that the host runs.
      - With O(state=recorded), C(step) is one of C(planned), C(leaving), C(moving), C(moved), C(joined), C(failed), C(returning), C(returned), C(stranded),
        C(unreachable) and C(skipped).
      - There, C(out) says whether the host may be out of a balancer, C(from) is the version that it ran before, C(seconds) is how long the step took,
        and C(error) is what went wrong. A value that is left out stays as it was, except C(error).
    type: dict
    default: {}
  reverting:
    description:
      - From now on, the rollout is on its way back.
    type: bool
    default: false
  outcome:
    description:
      - How it ended, with O(state=closed).
    type: str
  report:
    description:
      - The report for the history, with O(state=closed).
    type: dict
  html:
    description:
      - The same report as a page, with O(state=closed).
    type: str
  by:
    description:
      - Who does it. The default is the user and host that the task runs as.
    type: str
seealso:
  - module: alchemist.beam.rollout_lock
  - module: alchemist.beam.rollout_info
"""

EXAMPLES = r"""
- name: Begin
  alchemist.beam.rollout_journal:
    store: file:///srv/releases
    name: shop
    channel: production
    fence: "{{ rollout_lock.lock.serial }}"
    token: "{{ rollout_lock.lock.token }}"
    state: opened
    kind: rollout
    version: 1.4.2
    digest: "{{ shop_digest }}"
    hosts:
      web1: {from: 1.4.1}
      web2: {from: 1.4.1}

- name: The first batch leaves the balancer
  alchemist.beam.rollout_journal:
    store: file:///srv/releases
    name: shop
    channel: production
    fence: "{{ rollout_lock.lock.serial }}"
    token: "{{ rollout_lock.lock.token }}"
    state: recorded
    hosts:
      web1: {step: leaving, out: true}
"""

RETURN = r"""
journal:
  description: The journal as its document in the store says it afterwards.
  type: dict
  returned: success
  sample:
    id: 20260301T120000Z-0a1b2c3d
    fence: 4
    state: running
    kind: rollout
    version: 1.4.2
    digest: 6d1f...
    stable: {version: 1.4.1, digest: 90ab...}
    strategy: rolling
    by: deploy@build1
    at: "2026-03-01T12:00:00Z"
    outcome: ""
    hosts:
      web1: {step: leaving, from: 1.4.1, out: true, at: "2026-03-01T12:00:07Z", error: ""}
    events: [{at: "2026-03-01T12:00:07Z", host: web1, step: leaving}]
interrupted:
  description: The journal of the former rollout, if that one did not end; else V(null).
  type: dict
  returned: O(state=opened)
error:
  description: What could not be done, why, and the next step, for machines. Its code is C(lock_lost) if the lock was taken over or broken.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_journal
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "fence": {"type": "int", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
            "state": {"type": "str", "required": True, "choices": ["opened", "recorded", "closed"]},
            "id": {"type": "str"},
            "kind": {"type": "str", "choices": ["rollout", "restart", "rollback"]},
            "version": {"type": "str"},
            "digest": {"type": "str"},
            "stable": {"type": "dict"},
            "strategy": {"type": "str"},
            "hosts": {"type": "dict", "default": {}},
            "reverting": {"type": "bool", "default": False},
            "outcome": {"type": "str"},
            "report": {"type": "dict"},
            "html": {"type": "str"},
            "by": {"type": "str"},
        },
        required_if=[
            ("state", "opened", ("kind", "version", "digest")),
            ("state", "recorded", ("hosts",)),
            ("state", "closed", ("outcome", "report")),
        ],
        supports_check_mode=True,
    )
    run(module, lambda: run_journal(module.params, module.check_mode))


if __name__ == "__main__":
    main()
