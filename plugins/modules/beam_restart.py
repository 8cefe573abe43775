#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_restart
short_description: Start, stop or restart a release's node, and prove it
description:
  - Brings a node to the release that C(current) points at, and returns only when another operating system process runs exactly that
    release directory and its health checks hold.
  - The node is found in C(/proc), and stopped by C(SIGTERM), which needs neither the launcher nor the cookie of any release. A node
    that does not end in time is killed. A node that does not run is no error; a node that can't be seen or asked is one.
  - Nothing is stopped if it is clear beforehand that the start would fail, for example because of a masked unit, a missing cookie or a dangling C(current).
  - It does not go back to another release by itself. After a failure, activate the former release and run the module again.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
  - alchemist.beam.node.health
attributes:
  check_mode:
    support: full
    details:
      - Check mode finds everything that would prevent a start, such as a masked unit. It does not check health.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) every run restarts.
options:
  env_file:
    description:
      - With O(manager=daemon), a file of C(KEY=value) lines for the environment of the node, including C(RELEASE_COOKIE). Only its
        owner may have any right to it.
      - The default is C(<base>/shared/<name>.env), which may be missing.
      - The node gets the cookie from a file of mode 0400 in its home, so that no list of processes shows it.
    type: path
  state:
    description:
      - V(restarted) runs the release that C(current) points at. It restarts only a node that runs another directory or version, or that is
        older than its environment file or unit, and starts one that does not run.
      - V(started) starts a node that does not run. If a node runs, its version does not matter.
      - V(stopped) returns when no process of the node is left.
      - With V(restarted) and V(started) the health checks must hold in any case.
    type: str
    choices: [restarted, started, stopped]
    default: restarted
  force:
    description:
      - With O(state=restarted), always restart.
    type: bool
    default: false
  expect_version:
    description:
      - The version that has to run. C(current) must be this version, or nothing is done.
      - The default is the version of C(current).
      - In check mode it need not be installed yet. The result says what would be done once it is current.
    type: str
  stop_timeout:
    description:
      - Seconds after which a node that was asked to stop is killed.
    type: float
    default: 30
  boot_timeout:
    description:
      - Seconds within which the node must have started all its applications.
    type: float
    default: 90
  lines:
    description:
      - How many of the last lines of the node's log to return with a failure. Values of the environment files are masked in them.
    type: int
    default: 50
  fence:
    description:
      - The serial of the lock under which this is done, as M(alchemist.beam.rollout_lock) returns it.
      - If M(alchemist.beam.release_install) has written to this base with a higher serial since, nothing is touched, and the error is
        V(lock_lost).
    type: int
  fence_channel:
    description:
      - The channel of this lock.
    type: str
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Run what current points at, and see it healthy
  alchemist.beam.beam_restart:
    name: shop
    base: /srv/shop
    health:
      http:
        url: http://127.0.0.1:4000/health
        json:
          version: 1.4.0
          ready: true
      stable: 5

- name: The same without root and systemd
  alchemist.beam.beam_restart:
    name: shop
    base: "{{ ansible_env.HOME }}/shop"
    manager: daemon
    health:
      node:
        applications: [shop]

- name: Stop it, and kill it after ten seconds if need be
  alchemist.beam.beam_restart:
    name: shop
    base: /srv/shop
    state: stopped
    stop_timeout: 10
"""

RETURN = r"""
action:
  description: What was done, or would be done in check mode. One of V(none), V(start), V(stop), V(restart).
  returned: always
  type: str
  sample: restart
reason:
  description: Why.
  returned: always
  type: str
  sample: it runs from /srv/shop/releases/1.3.0, not /srv/shop/releases/1.4.0
before:
  description: The process that ran the node before, or null.
  returned: always
  type: dict
  contains: &process
    pid:
      description: Its process id.
      type: int
    started:
      description: When it was started, in UTC.
      type: str
    version:
      description: The version it runs. After a hot upgrade it is that of its code.
      type: str
    upgraded_from:
      description: The version that it was booted from, where its code was replaced since.
      type: str
    root:
      description: The release directory it runs from.
      type: str
    node:
      description: The name of the node.
      type: str
after:
  description: The process that runs the node now, or null.
  returned: always
  type: dict
  contains: *process
began:
  description: When the first step began, in seconds since 1970. Stop, boot and gate follow in this order.
  returned: always
  type: float
seconds:
  description: How long it took.
  returned: always
  type: dict
  contains:
    stop:
      description: From the signal to stop until the old process was gone.
      type: float
    boot:
      description: From the start until all applications had started.
      type: float
    gate:
      description: How long the health checks took.
      type: float
    outage:
      description: With a restart, from the signal to stop until the first of the passes in a row.
      type: float
    total:
      description: The whole time, including the wait for further passes.
      type: float
escalated:
  description: What it took to end the old process. V(none), V(term) for a repeated SIGTERM, or V(kill).
  returned: always
  type: str
  sample: none
boot_id:
  description: The id of the server's boot. Another id means that the server was started again since.
  returned: always
  type: str
health:
  description: The results of the checks, or null if there was none.
  returned: always
  type: dict
  contains:
    passed:
      description: Whether the node is healthy.
      type: bool
    reason:
      description: Why not.
      type: str
    attempts:
      description: Rounds of checks.
      type: int
    failures:
      description: Rounds that failed.
      type: int
    seconds:
      description: How long the checks took.
      type: float
    checks:
      description: The last answer to each of them.
      type: dict
notes:
  description: Problems that users of the application would notice but that no check covers, such as a Phoenix endpoint that does not listen.
  returned: always
  type: list
  elements: str
cause:
  description: The kind of reason that the log gave, such as V(setting_missing), V(port_in_use), V(read_only) or V(raised).
  returned: failure, where there is one
  type: str
log:
  description: The last lines that the node wrote since this start, secrets masked.
  returned: failure
  type: list
  elements: str
error:
  description:
    - The kind of failure, as C(code), C(what), C(why) and C(next).
    - C(node_died), C(boot_timeout) and C(unhealthy) blame the release. Other codes replace them if the release is not at fault. C(misconfigured) means that
      the node said that a setting of its host is at fault, such as a missing variable or a port in use. C(host_stopping) means that the server is shutting
      down, C(instance_terminating) that its instance is being terminated, C(host_frozen) that the server was frozen for half a minute or longer meanwhile.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules.restart import OPTIONS, RULES, work


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
