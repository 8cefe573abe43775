#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_upgrade
short_description: Upgrade a running node to a staged release without a restart, and prove it
description:
  - Replaces the code of a node that runs by that of a release which M(alchemist.beam.release_install) has staged. The operating system process, its
    connections and the state of its processes stay.
  - The plan compares what the node has loaded with what the release holds, module by module. What can't be swapped is a blocker, and is named before
    anything is touched.
  - Processes whose state changes (C(code_change)) are suspended while the code is loaded and their states are changed, which takes a few milliseconds.
    Whatever fails puts everything back. The former version goes on with its state.
  - Then the code paths, the protocols, the specifications of the applications and the configuration follow. The configuration is what the release's
    own C(eval) makes of it under the environment of the node. Only what differs between the two releases is applied, and C(config_change) is called.
  - What is loaded is compared with the release once more, and the health checks must hold. At last C(current) is pointed at the release, so that the next
    start boots the same version.
  - Nothing is injected that stays. The node evaluates a text with C(erl_eval), which is part of every release. No module is loaded for it.
  - See P(alchemist.beam.service#role) for nodes under systemd, and the page C(docs/hot-upgrade.md) for what an upgrade can't do.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
  - alchemist.beam.node.health
attributes:
  check_mode:
    support: full
    details:
      - The plan is told, with its blockers, and nothing is touched. It does not fail because of a blocker. The configuration of both releases is
        evaluated, unless there is a blocker.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  version:
    description:
      - The version to run. It must be staged.
    type: str
    required: true
  digest:
    description:
      - The digest that this version must have.
    type: str
  on_blocked:
    description:
      - What to do where something speaks against an upgrade without a restart.
      - V(fail) names it, and touches nothing.
      - V(restart) points C(current) at the release and restarts the node, as M(alchemist.beam.beam_restart) does.
    type: str
    choices: [fail, restart]
    default: fail
  downgrade:
    description:
      - Whether the version may be older than the one that runs. C(code_change) is then called with C({down, Vsn}), before the older code is loaded.
    type: bool
    default: false
  expect_running:
    description:
      - The version that must run before. Another one is a blocker.
    type: str
  ghosts:
    description:
      - Versions and digests that failed before, such as those that M(alchemist.beam.release_channel_info) returns. They are not taken.
    type: list
    elements: str
    default: []
  accept:
    description:
      - Blockers that are none in this case.
      - V(supervisor_changed) where the children of the changed supervisors are the same. New ones are not started.
      - V(application_changed) where what the application does at its start is the same. It is not started again.
      - V(settings_changed) where the settings that changed since its start can wait for the next restart.
    type: list
    elements: str
    choices: [supervisor_changed, application_changed, settings_changed]
    default: []
  suspend_timeout:
    description:
      - Seconds within which the processes must let themselves be suspended. One that is busy is left alone and asked again, for longer each time.
    type: float
    default: 5
  change_timeout:
    description:
      - Seconds within which C(code_change) of all processes must be done, and after that each C(config_change).
    type: float
    default: 30
  timeout:
    description:
      - Seconds within which the node must have answered what it has loaded, and the configuration must have been evaluated.
    type: float
    default: 60
  rehearse:
    description:
      - Tries the upgrade on another node first, on the same host. The release that runs is booted a second time, upgraded, and compared with a cold
        boot of the new release. Processes that only one of the two has, and settings with another value, are then a reason to restart
        (V(rehearsal_differs) in RV(blockers)).
      - "The second node has the environment of the first one, with O(rehearse_env). It has a name and a cookie of its own, and a port of its own on the
        loopback interface. It is ended before the node that runs is touched. In check mode it is booted, too: it writes nothing, unless the
        application does."
      - It is left out if O(rehearse_env) is empty, or if the release that runs does not boot with it. RV(rehearsal) says so.
      - If the new release does not boot, the task fails (V(rehearsal_failed)).
    type: bool
    default: false
  rehearse_env:
    description:
      - Environment variables of the second node, by which the application leaves its ports and its work to the first one, such as C(PORT) of V(0) or
        a variable that stops it from taking jobs.
    type: dict
    default: {}
  abi_ignore:
    description:
      - What of the server is not looked at before C(current) is switched. See M(alchemist.beam.release_install).
    type: list
    elements: str
    default: []
  env_file:
    description:
      - With O(manager=daemon), the environment file of the node. See M(alchemist.beam.beam_restart).
    type: path
  stop_timeout:
    description:
      - With O(on_blocked=restart), seconds after which a node that was asked to stop is killed.
    type: float
    default: 30
  boot_timeout:
    description:
      - With O(on_blocked=restart), seconds within which the node must have started all its applications. With O(rehearse), so does each second node.
    type: float
    default: 90
  lines:
    description:
      - With O(on_blocked=restart), how many of the last lines of the node's log to return with a failure.
    type: int
    default: 50
  fence:
    description:
      - The serial of the lock that this is done under, as M(alchemist.beam.rollout_lock) returns it. See M(alchemist.beam.release_install).
    type: int
  fence_channel:
    description:
      - The channel whose lock that is.
    type: str
notes:
  - Afterwards the environment of the process still names the release that it was booted from. A note below O(base) makes
    M(alchemist.beam.beam_restart) and the other modules ask the node itself.
seealso:
  - module: alchemist.beam.release_install
  - module: alchemist.beam.beam_restart
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Upgrade the running node, and see it healthy
  alchemist.beam.beam_upgrade:
    name: shop
    base: /srv/shop
    version: 1.4.0
    health:
      http:
        url: http://127.0.0.1:4000/health

- name: Hot where it can be done, a restart where not
  alchemist.beam.beam_upgrade:
    name: shop
    base: /srv/shop
    version: 1.4.0
    on_blocked: restart

- name: Back to the version before, without a restart
  alchemist.beam.beam_upgrade:
    name: shop
    base: /srv/shop
    version: 1.3.0
    downgrade: true
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(hot) for an upgrade without a restart, V(point) where the node runs it already and only C(current) was switched, V(restart), V(none), and
      in check mode V(blocked).
  returned: success
  type: str
  sample: hot
from:
  description: The version that ran. Null where nobody can tell.
  returned: always
  type: str
  sample: 1.3.0
to:
  description: The version that was asked for.
  returned: always
  type: str
  sample: 1.4.0
direction:
  description: V(up) or V(down).
  returned: always
  type: str
modules:
  description: The modules that differ, as C(changed), C(added) and C(removed).
  returned: always
  type: dict
processes:
  description: Of each changed module with C(code_change), how many processes it has (C(count)), and some of them.
  returned: always
  type: list
  elements: dict
inside:
  description: Other processes that were in the middle of changed modules. They go on with the old code until they leave it.
  returned: always
  type: list
  elements: dict
applications:
  description: The applications whose specification changes, with their versions C(from) and C(to).
  returned: always
  type: dict
configuration:
  description: The keys of the configuration that differ between the releases, as C(changed), C(new) and C(gone). Never a value.
  returned: always
  type: dict
blockers:
  description:
    - What speaks against an upgrade without a restart, each as C(code) and C(why).
    - The codes are V(not_running), V(distribution_off), V(release_missing), V(ghost), V(other_version), V(not_newer), V(erts_differs), V(core_differs),
      V(application_added), V(application_removed), V(native_code), V(supervisor_changed), V(application_changed), V(no_way_back),
      V(old_code_in_use), V(removed_in_use), V(settings_changed) and V(rehearsal_differs).
  returned: always
  type: list
  elements: dict
suspended_ms:
  description: For how many milliseconds processes were suspended.
  returned: always
  type: float
  sample: 2.4
suspended:
  description: How many processes that were.
  returned: success
  type: int
attempts:
  description: How often it was tried to suspend them all.
  returned: success
  type: int
old_code:
  description: Processes that still use the code of the version before, by module. A further change of these modules waits for them.
  returned: success
  type: list
  elements: dict
rehearsal:
  description: With O(rehearse), what the rehearsal found. C(action) is V(hot), V(restart) or V(skipped), and C(why) gives the reasons. Null without one.
  returned: success
  type: dict
  sample: {action: hot, why: [], seconds: 3.1}
health:
  description: What the checks said, or null if there was none.
  returned: success
  type: dict
node:
  description: The process, as it was booted.
  returned: success
  type: dict
before:
  description: The process with the release that its code came from before, as M(alchemist.beam.beam_restart) returns it.
  returned: success
  type: dict
after:
  description: The same now. C(upgraded_from) is the version that it was booted from, where that is another one.
  returned: success
  type: dict
boot_id:
  description: The id of the server's boot.
  returned: success
  type: str
restart:
  description: What M(alchemist.beam.beam_restart) returned.
  returned: it was restarted
  type: dict
began:
  description: When it began, in seconds since 1970.
  returned: success
  type: float
seconds:
  description: How long each step took, and C(total).
  returned: success
  type: dict
phase:
  description: Where it failed, such as V(suspend), V(load), V(code_change), V(config_change), V(proof), V(gate) or V(point).
  returned: failure
  type: str
lost:
  description: Processes that were ended on the way back, or keep a state of the other version.
  returned: failure
  type: list
  elements: str
error:
  description:
    - The kind of failure, as C(code), C(what), C(why) and C(next).
    - V(upgrade_blocked) touched nothing. After V(upgrade_failed) the node goes on with the version before. After V(upgrade_lost) it must be restarted.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules.upgrade import OPTIONS, RULES, work


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
