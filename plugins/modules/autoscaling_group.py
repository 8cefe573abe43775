#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: autoscaling_group
short_description: Make or adopt an auto scaling group, and change only what the options name
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Makes a group of AWS Auto Scaling with its lifecycle hooks, target groups, tags and scaling policy. A new group begins empty and gets its hooks before
    its size, so that no server is in service before a hook has held it.
  - An existing group is adopted. Its number of servers, its suspended processes, metrics, termination policies, cooldown, other hooks, other policies,
    other tags and other target groups stay as they are. C(amazon.aws.autoscaling_group) sets several of them back to its own defaults, which is why this
    module exists.
requirements:
  - boto3
extends_documentation_fragment:
  - alchemist.beam.aws
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the group.
    type: str
    required: true
  launch_template:
    description:
      - The launch template of the servers. A new group needs it. Without it, an existing group keeps its own.
    type: dict
    suboptions:
      name:
        description:
          - The name of the launch template.
        type: str
        required: true
      version:
        description:
          - Its version, as a number. AWS can't roll a refresh back to V($Latest).
        type: str
        required: true
  keep_template:
    description:
      - Whether an existing group keeps its launch template, because M(alchemist.beam.autoscaling_refresh) changes it.
    type: bool
    default: false
  subnets:
    description:
      - Ids of subnets. A new group needs them.
    type: list
    elements: str
    default: []
  min_size:
    description:
      - The smallest size.
    type: int
    required: true
  max_size:
    description:
      - The largest size.
    type: int
    required: true
  desired:
    description:
      - The number of servers that a new group begins with, O(min_size) by default.
    type: int
  target_groups:
    description:
      - ARNs of target groups that servers join.
    type: list
    elements: str
    default: []
  health_check:
    description:
      - What decides whether a server is healthy.
    type: str
    choices: [EC2, ELB]
  grace:
    description:
      - Seconds after a server came into service in which it is not replaced.
    type: int
  tags:
    description:
      - Tags of the group and of the servers that it launches.
    type: dict
    default: {}
  hooks:
    description:
      - Lifecycle hooks.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the hook.
        type: str
        required: true
      transition:
        description:
          - The transition that it holds.
        type: str
        choices: [launching, terminating]
        required: true
      timeout:
        description:
          - Seconds without a heartbeat after which O(hooks[].default_result) applies.
        type: int
        default: 300
      default_result:
        description:
          - What happens to a server if nobody completes the hook.
        type: str
        choices: [ABANDON, CONTINUE]
        default: ABANDON
  target_tracking:
    description:
      - The scaling policy, as AWS's C(TargetTrackingConfiguration). Empty leaves policies alone.
    type: dict
    default: {}
seealso:
  - module: alchemist.beam.autoscaling_info
  - module: alchemist.beam.autoscaling_refresh
"""

EXAMPLES = r"""
- name: A group whose servers are held until they are proven
  alchemist.beam.autoscaling_group:
    name: shop
    launch_template: {name: shop, version: "7"}
    subnets: [subnet-1, subnet-2]
    min_size: 2
    max_size: 6
    hooks:
      - {name: beam-launching, transition: launching}
      - {name: beam-terminating, transition: terminating, default_result: CONTINUE}
    target_tracking:
      PredefinedMetricSpecification: {PredefinedMetricType: ASGAverageCPUUtilization}
      TargetValue: 50.0
"""

RETURN = r"""
created:
  description: Whether the group was created.
  type: bool
  returned: success
actions:
  description: What was changed, or would be.
  type: list
  elements: str
  returned: success
group:
  description: The group, as M(alchemist.beam.autoscaling_info) returns it, without members; V(null) if check mode did not make it.
  type: dict
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.provision import run_group
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AWS_SPEC,
            "name": {"type": "str", "required": True},
            "launch_template": {
                "type": "dict",
                "options": {"name": {"type": "str", "required": True}, "version": {"type": "str", "required": True}},
            },
            "keep_template": {"type": "bool", "default": False},
            "subnets": {"type": "list", "elements": "str", "default": []},
            "min_size": {"type": "int", "required": True},
            "max_size": {"type": "int", "required": True},
            "desired": {"type": "int"},
            "target_groups": {"type": "list", "elements": "str", "default": []},
            "health_check": {"type": "str", "choices": ["EC2", "ELB"]},
            "grace": {"type": "int"},
            "tags": {"type": "dict", "default": {}},
            "hooks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "transition": {"type": "str", "choices": ["launching", "terminating"], "required": True},
                    "timeout": {"type": "int", "default": 300},
                    "default_result": {"type": "str", "choices": ["ABANDON", "CONTINUE"], "default": "ABANDON"},
                },
            },
            "target_tracking": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_group(module.params, module.check_mode))


if __name__ == "__main__":
    main()
