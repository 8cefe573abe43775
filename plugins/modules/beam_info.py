#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_info
short_description: Show what a release's node really runs
description:
  - Reads from C(/proc) which release directory and version the node was started from, and asks the node itself, over the Erlang distribution
    protocol, what it is doing. No VM is started for it.
  - If a node does not run, or does not answer, the result says so. That is no failure.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
  - alchemist.beam.node.health
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
      - The environment file of the node, with O(manager=daemon). Its values are masked in the node's output.
    type: path
  colors:
    description:
      - The names of both nodes of a server where one of two serves (see the role P(alchemist.beam.service#role)).
      - Then all other return values are about the node that serves. Give O(unit) without the colour, and do not give O(pointer).
    type: list
    elements: str
    default: []
  expect_version:
    description:
      - The version that should run. It need not be installed yet. RV(restart) says what M(alchemist.beam.beam_restart) would do for it.
    type: str
  crash_dumps:
    description:
      - Further files and directories in which to look for crash dumps.
    type: list
    elements: path
    default: []
  modified:
    description:
      - Whether the node compares the code of its modules with the files that it would load them from. This costs it a fifth of a second.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait for the node's answer.
    type: float
    default: 2
notes:
  - Only root or its own user can inspect a node of a systemd unit, so C(become) is usually needed.
  - A node that runs but may not be inspected is an error. It is not reported as down.
seealso:
  - module: alchemist.beam.beam_restart
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: What runs
  alchemist.beam.beam_info:
    name: shop
    base: /srv/shop
  register: shop

- name: Complain if it is not what is on disk
  ansible.builtin.assert:
    that: not shop.drift
"""

RETURN = r"""
running:
  description: Whether a process runs the node.
  returned: always
  type: bool
state:
  description: The state in the words of the manager, such as V(active), V(failed) or V(stopped).
  returned: always
  type: str
restarts:
  description: How often systemd restarted it by itself since it was last started.
  returned: always
  type: int
enabled:
  description: Whether systemd starts it at boot. V(null) with O(manager=daemon).
  returned: always
  type: bool
boot_id:
  description: The id of the server's boot. Another id means that the server was started again since.
  returned: always
  type: str
ending:
  description:
    - Why the server itself is about to end, such as a shutdown, or an auto scaling group that terminates it. V(null) if it is not.
    - This is checked only if the node does not run or is not healthy, because then the release is not to blame. V(null) otherwise.
  returned: always
  type: str
live:
  description:
    - With O(colors), the one that serves. V(null) if none of them runs; the node without a colour may run then.
    - If both run, it is the one that is started at boot, else the one that runs the release that C(current) points at, else the older one.
  returned: always
  type: str
idle:
  description: With O(colors), the one that the next release is for.
  returned: always
  type: str
colors:
  description: With O(colors), facts about each of them.
  returned: always
  type: dict
  sample:
    blue: {running: true, state: active, restarts: 0, enabled: true, pid: 4711, started: "2026-01-01T00:00:00Z", version: 1.4.1,
           root: /srv/shop/releases/1.4.1, node: shop-blue@127.0.0.1, points_at: 1.4.1}
plain:
  description: With O(colors), whether the node without a colour is C(running), and whether it is C(enabled), that is, started at boot.
  returned: always
  type: dict
restart:
  description: With O(expect_version), what a restart would do once C(current) is that version; else V(null).
  returned: always
  type: dict
  contains:
    action:
      description: One of V(none), V(start), V(restart).
      type: str
    reason:
      description: Why.
      type: str
  sample:
    action: restart
    reason: it runs from /srv/shop/releases/1.3.0, not /srv/shop/releases/1.4.0
pid:
  description: The process that runs the node.
  returned: always
  type: int
started:
  description: When it was started, in UTC.
  returned: always
  type: str
uptime:
  description: Seconds since then.
  returned: always
  type: float
version:
  description: The version that runs. After a hot upgrade (M(alchemist.beam.beam_upgrade)) it is that of its code, not the one that it was booted from.
  returned: always
  type: str
root:
  description: The release directory that it runs from. After a hot upgrade it is where its code comes from.
  returned: always
  type: str
upgraded_from:
  description: The version that it was booted from, if its code was replaced by that of another release since. V(null) otherwise.
  returned: always
  type: str
node:
  description: The name of the node.
  returned: always
  type: str
current:
  description: What is on disk. C(root) and C(version) are of the release that C(current) points at; C(problem) says what is wrong with it, if anything.
  returned: always
  type: dict
drift:
  description: Whether the node runs the code of a release other than the one that C(current) points at, or has RV(modified) modules.
  returned: always
  type: bool
modified:
  description: With O(modified), the modules whose code is not that of their files, such as those that somebody loaded in a console. Otherwise V(null).
  returned: always
  type: list
  elements: str
rss:
  description: Resident memory of the process in bytes, as the operating system sees it.
  returned: always
  type: int
answers:
  description: Whether the node answered. If not, all values that only the node knows are null.
  returned: always
  type: bool
problem:
  description: Why it did not answer.
  returned: always
  type: str
booted:
  description: Whether all applications have been started.
  returned: always
  type: bool
applications:
  description: Started applications and their versions.
  returned: always
  type: dict
memory:
  description: Memory in bytes by kind, as the node sees it.
  returned: always
  type: dict
run_queue:
  description: Processes ready to run and waiting.
  returned: always
  type: int
processes:
  description: Erlang processes, as C(count) and C(limit).
  returned: always
  type: dict
ports:
  description: Erlang ports, as C(count) and C(limit).
  returned: always
  type: dict
atoms:
  description: Atoms, as C(count) and C(limit).
  returned: always
  type: dict
nodes:
  description: Connected nodes.
  returned: always
  type: list
  elements: str
otp_release:
  description: The OTP release.
  returned: always
  type: str
schedulers:
  description: Schedulers online.
  returned: always
  type: int
health:
  description:
    - What one round of O(health) found, as C(passed), C(reason) and C(checks). The number of passes and the time limit do not matter here.
    - V(null) if O(health) is not given or the node does not run.
  returned: always
  type: dict
why:
  description:
    - Why the node does not run, or boots again and again, as logged by its last start, secrets masked.
    - V(null) if it runs, was stopped, or logged nothing.
  returned: always
  type: str
  sample: "** (RuntimeError) environment variable SECRET_KEY_BASE is missing."
misconfigured:
  description: Whether the reason is a setting of the host, and not a fault of the release.
  returned: always
  type: bool
crash_dumps:
  description: The five newest crash dumps found.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    size:
      description: Its size in bytes.
      type: int
    mtime:
      description: When it was written, in UTC.
      type: str
    slogan:
      description: Why the VM died, in its own words, secrets masked.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules import info


def main() -> None:
    module = AnsibleModule(argument_spec=info.OPTIONS, supports_check_mode=True)
    run(module, lambda: info.work(module.params))


if __name__ == "__main__":
    main()
