#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: autoscaling_refresh
short_description: Replace the instances of an auto scaling group, and report how that really ended
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Starts an instance refresh of AWS Auto Scaling, with checkpoints, bake time, alarms and automatic rollback, and waits for its end.
  - It succeeds only if AWS says V(Successful) I(and) every instance in service has the wanted version of the launch template.
    A refresh that was rolled back, cancelled or failed is a failure, with AWS's reason.
  - If it is run again while a refresh to the same version goes on, it waits for that refresh. If it is run again afterwards, there is nothing to do.
  - It is refused while another refresh goes on, while a hook of CodeDeploy is on the group, and while one of the processes Launch, Terminate, HealthCheck,
    ReplaceUnhealthy, AddToLoadBalancer and InstanceRefresh is suspended.
requirements:
  - boto3
extends_documentation_fragment:
  - alchemist.beam.aws
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
    details:
      - Check mode plans, and fails if the refresh would be refused.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(skip_matching=false) instances are replaced each time.
options:
  group:
    description:
      - The name of the group.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(refreshed) replaces the instances that are not of O(launch_template).
      - V(cancelled) ends the running refresh, and leaves the instances as they are. V(rolled_back) ends it and brings the former instances back.
        If none is running, there is nothing to do.
    type: str
    choices: [refreshed, cancelled, rolled_back]
    default: refreshed
  launch_template:
    description:
      - The launch template that the instances have to be launched from. The refresh sets the group to it only if the refresh succeeds.
      - Without it, the group's own launch template counts.
    type: dict
    suboptions:
      id:
        description:
          - The id of the launch template.
        type: str
      name:
        description:
          - Its name, instead of O(launch_template.id).
        type: str
      version:
        description:
          - Its version. V($Latest) and V($Default) are replaced by the number that they stand for now.
        type: str
        default: $Latest
  min_healthy:
    description:
      - The percentage of the group's size that has to be in service all the time.
      - With 100, AWS launches before it terminates, and O(max_healthy) says how many.
    type: int
    default: 90
  max_healthy:
    description:
      - The percentage of the group's size that it may grow to, from 100 to 200 and at most 100 more than O(min_healthy).
    type: int
  warmup:
    description:
      - Seconds after which an instance in service counts. The default is the group's.
    type: int
  checkpoints:
    description:
      - Percentages of the instances after which to wait for O(checkpoint_delay). All are replaced in the end, whether 100 is the last one or not.
    type: list
    elements: int
    default: []
  checkpoint_delay:
    description:
      - Seconds to wait at each of the O(checkpoints).
    type: int
    default: 3600
  bake:
    description:
      - Seconds to watch the O(alarms) when all instances are replaced, before the refresh counts as successful.
    type: int
    default: 0
  alarms:
    description:
      - Names of CloudWatch alarms. The refresh fails, and rolls back, when one of them is in the state C(ALARM).
    type: list
    elements: str
    default: []
  auto_rollback:
    description:
      - Whether AWS brings the former instances back when the refresh fails. It needs a group that is set to a numbered version of a launch template.
    type: bool
    default: true
  skip_matching:
    description:
      - Whether instances stay if they were launched from the wanted version already.
      - Use V(false) if the boot decides what an instance runs, and not the launch template, for example after a channel has moved.
    type: bool
    default: true
  protected_instances:
    description:
      - What to do with instances that are protected from scale-in. V(wait) waits for an hour for the protection to go.
    type: str
    choices: [wait, ignore, refresh]
    default: wait
  standby_instances:
    description:
      - What to do with instances on standby. V(wait) waits for an hour for their return.
    type: str
    choices: [wait, ignore, terminate]
    default: wait
  wait:
    description:
      - Whether to wait for the end. Otherwise the result says nothing about success.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds after which the task fails. The refresh goes on then, and the next run waits for it.
    type: int
    default: 3600
seealso:
  - module: alchemist.beam.autoscaling_info
"""

EXAMPLES = r"""
- name: Replace all instances by those of the new image, a tenth first
  alchemist.beam.autoscaling_refresh:
    group: shop
    launch_template: {name: shop, version: $Latest}
    min_healthy: 100
    max_healthy: 125
    checkpoints: [10, 50]
    checkpoint_delay: 300
    bake: 600
    alarms: [shop-5xx]

- name: Take it back
  alchemist.beam.autoscaling_refresh:
    group: shop
    state: rolled_back
"""

RETURN = r"""
action:
  description: What was planned, V(start), V(follow) or V(none); or the requested O(state).
  type: str
  returned: success
why:
  description: Why.
  type: str
  returned: success
launch_template:
  description: The launch template that the instances have to be launched from, with its version as a number.
  type: dict
  returned: success
refresh:
  description: The refresh, with C(id), C(status), C(percent) and C(reason); V(null) if there was none.
  type: dict
  returned: success
members:
  description: The instances of the group afterwards, as M(alchemist.beam.autoscaling_info) returns them.
  type: list
  elements: dict
  returned: success
error:
  description: What could not be done, why, and the next step, for machines; with C(refresh) if one was started.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.refresh import run_refresh
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AWS_SPEC,
            "group": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["refreshed", "cancelled", "rolled_back"], "default": "refreshed"},
            "launch_template": {
                "type": "dict",
                "options": {
                    "id": {"type": "str"},
                    "name": {"type": "str"},
                    "version": {"type": "str", "default": "$Latest"},
                },
            },
            "min_healthy": {"type": "int", "default": 90},
            "max_healthy": {"type": "int"},
            "warmup": {"type": "int"},
            "checkpoints": {"type": "list", "elements": "int", "default": []},
            "checkpoint_delay": {"type": "int", "default": 3600},
            "bake": {"type": "int", "default": 0},
            "alarms": {"type": "list", "elements": "str", "default": []},
            "auto_rollback": {"type": "bool", "default": True},
            "skip_matching": {"type": "bool", "default": True},
            "protected_instances": {"type": "str", "choices": ["wait", "ignore", "refresh"], "default": "wait"},
            "standby_instances": {"type": "str", "choices": ["wait", "ignore", "terminate"], "default": "wait"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_refresh(module.params, module.check_mode))


if __name__ == "__main__":
    main()
