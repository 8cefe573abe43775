#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_fleet
short_description: A step of the role rollout that is done once for all servers
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - The role P(alchemist.beam.rollout#role) is made of it. It is of no use elsewhere, and changes without notice.
  - It reads what the role was given and what earlier steps said from the variables of the play, decides, and runs the modules that write the store, such as
    M(alchemist.beam.release_channel), M(alchemist.beam.rollout_journal) and M(alchemist.beam.rollout_lock).
  - It runs on the controller, with C(run_once); the modules run where the task is delegated to.
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details:
      - As the modules that it runs.
  idempotent:
    support: partial
    details:
      - As the modules that it runs.
options:
  step:
    description:
      - V(read) reads the channel and the journal. V(draft) tells what to roll out, by what was asked for and read.
      - V(foresee) and V(foresee_again) tell whether the floor can hold, V(plan) makes the plan, from what each server was seen to run.
      - V(wait) takes the lock before there is a plan, and reads what the rollout before left. V(roll_back) takes it, and rolls the channel back.
      - V(begin) takes the lock, unless it is held already, sees that the plan still holds, and opens the journal.
      - V(propose) names the candidate on the channel, V(promote) makes it stable.
      - What begins with C(note_) writes the journal. V(rejoin), V(clear), V(leave) and V(join) are what the balancers do for a batch, with C(back_) on its way
        back. Who takes part is told by the strategy. V(give_way) puts back what was taken out when another deployer had taken over already.
      - V(newcomers) tells who came into the inventory since the plan was made.
      - V(verdict) makes a ghost of the candidate or withdraws it where the rollout failed, closes the journal with the report, and gives the lock back.
    type: str
    choices:
      - read
      - wait
      - draft
      - foresee
      - foresee_again
      - plan
      - roll_back
      - begin
      - note_leaving
      - rejoin
      - clear
      - leave
      - note_moved
      - join
      - note_joined
      - note_returning
      - back_clear
      - back_leave
      - back_join
      - note_returned
      - give_way
      - propose
      - promote
      - newcomers
      - verdict
    required: true
  hosts:
    description:
      - With O(step=draft) and O(step=newcomers), all servers that the playbook is meant for.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Make the candidate stable, in the role
  alchemist.beam.rollout_fleet:
    step: promote
  run_once: true
  delegate_to: "{{ rollout_store_host }}"
"""

RETURN = r"""
machinery:
  description: Whether nothing but the lock and the journal was written.
  type: bool
  returned: success
held:
  description: The lock, as the role remembers it.
  type: dict
  returned: O(step=wait), O(step=roll_back) and O(step=begin)
migrates:
  description: Whether this rollout migrates before anything restarts.
  type: bool
  returned: O(step=begin)
journal:
  description: The journal, as M(alchemist.beam.rollout_journal) returns it.
  type: dict
  returned: O(step=begin), not in check mode
channel:
  description: The channel, as M(alchemist.beam.release_channel) returns it.
  type: dict
  returned: O(step=read), O(step=wait), O(step=roll_back), O(step=begin), O(step=propose) and O(step=promote)
plan:
  description: The plan, or its draft.
  type: dict
  returned: O(step=draft) and O(step=plan)
again:
  description: Whether a later look may see more.
  type: bool
  returned: O(step=plan)
refused:
  description: Why there can be no plan; empty where there can.
  type: str
  returned: O(step=foresee) and O(step=foresee_again)
blind:
  description: Whether that can't be told without a look at each server.
  type: bool
  returned: O(step=foresee)
members:
  description: The members, as M(alchemist.beam.balancer_member) returns them.
  type: dict
  returned: steps of balancers
hosts:
  description: Servers that came into the inventory since the plan was made.
  type: list
  elements: str
  returned: O(step=newcomers)
arriving:
  description: Instances that are still on their way into the auto scaling group.
  type: list
  elements: str
  returned: O(step=newcomers)
rollout_result:
  description: The report.
  type: dict
  returned: O(step=verdict)
lines:
  description: The plan or the report as lines to be shown.
  type: list
  elements: str
  returned: O(step=plan) and O(step=verdict)
unwritten:
  description: What could not be written in the end, and why.
  type: list
  elements: str
  returned: O(step=verdict)
"""

from ansible.module_utils.basic import AnsibleModule

STEPS = [
    "read",
    "wait",
    "draft",
    "foresee",
    "foresee_again",
    "plan",
    "roll_back",
    "begin",
    "note_leaving",
    "rejoin",
    "clear",
    "leave",
    "note_moved",
    "join",
    "note_joined",
    "note_returning",
    "back_clear",
    "back_leave",
    "back_join",
    "note_returned",
    "give_way",
    "propose",
    "promote",
    "newcomers",
    "verdict",
]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": STEPS},
            "hosts": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    # The action of the same name does it: variables are known on the controller alone.
    module.fail_json(msg="rollout_fleet runs on the controller, as a task of the role rollout")


if __name__ == "__main__":
    main()
