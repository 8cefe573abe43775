#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: autoscaling_info
short_description: Show the members of auto scaling groups, and what may change them
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads groups of AWS Auto Scaling with all of their instances, whatever their lifecycle state, and the addresses of the instances.
  - Only the group knows which servers serve. An inventory, even a dynamic one, is as old as its last refresh and contains only what its filters let through.
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
  groups:
    description:
      - The names of the groups. A group that does not exist is an error, because a mistyped name must not look like an empty group.
    type: list
    elements: str
    required: true
    aliases: [group, name]
seealso:
  - module: alchemist.beam.autoscaling_refresh
"""

EXAMPLES = r"""
- name: Who is in the group?
  alchemist.beam.autoscaling_info:
    groups: [shop]
    region: eu-central-1
  register: shop
"""

RETURN = r"""
groups:
  description: Each group, with its members.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    arn:
      description: Its ARN.
      type: str
    min:
      description: Its smallest size.
      type: int
    max:
      description: Its largest size.
      type: int
    desired:
      description: The size that it is kept at.
      type: int
    launch_template:
      description: C(id), C(name) and C(version) of its launch template, the version as the group has it, such as V($Latest).
      type: dict
    target_groups:
      description: The ARNs of the target groups that its instances join.
      type: list
      elements: str
    suspended:
      description: The processes of the group that are suspended.
      type: list
      elements: str
    hooks:
      description: Its lifecycle hooks, each with C(name), C(transition) (V(launching) or V(terminating)), C(timeout), C(default_result), and C(codedeploy).
      type: list
      elements: dict
    refresh:
      description: Its newest instance refresh, with C(id), C(status), C(active), C(percent), C(reason) and C(launch_template); V(null) if there was none.
      type: dict
members:
  description: The instances of all groups.
  type: list
  elements: dict
  returned: success
  contains:
    instance_id:
      description: The instance's id.
      type: str
    group:
      description: The name of its group.
      type: str
    lifecycle_state:
      description: Its lifecycle state, such as V(Pending:Wait) or V(InService).
      type: str
    stays:
      description: Whether it serves or is about to serve, that is, whether it is not leaving the group.
      type: bool
    healthy:
      description: Its health as the group sees it.
      type: bool
    launch_template:
      description: The launch template that it was launched from.
      type: dict
    private_ip:
      description: Its private address; empty if EC2 does not know it any more.
      type: str
    public_ip:
      description: Its public address, or an empty string.
      type: str
    private_dns:
      description: Its private host name, or an empty string.
      type: str
    name:
      description: Its tag C(Name), or an empty string.
      type: str
    state:
      description: The state of the machine, such as V(running).
      type: str
    zone:
      description: Its availability zone.
      type: str
    protected:
      description: Whether it is protected from scale-in.
      type: bool
    launched:
      description: When it was launched.
      type: str
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.groups import run_info
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AWS_SPEC,
            "groups": {"type": "list", "elements": "str", "required": True, "aliases": ["group", "name"]},
        },
        supports_check_mode=True,
    )
    run(module, lambda: run_info(module.params))


if __name__ == "__main__":
    main()
