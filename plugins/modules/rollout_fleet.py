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
  - It reads what the role was given from the variables of the play, and what earlier steps have answered from a file of its own. It decides, and runs the
    modules that write the store, such as M(alchemist.beam.release_channel), M(alchemist.beam.rollout_journal) and M(alchemist.beam.rollout_lock).
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
      - V(members) tells who is in the auto scaling group and not in the inventory, V(check_members) that the playbook is for all of those who were added.
      - V(read) reads the channel and the journal. V(draft) tells what to roll out, by what was asked for and read.
      - V(sources) tells what the release is made of, where that is pushed, and makes the URLs that servers without credentials are given.
      - V(foresee) and V(foresee_again) tell whether the floor can hold, V(plan) makes the plan, from what each server was seen to run.
      - V(wait) takes the lock before there is a plan, and reads what the rollout before left. V(roll_back) takes it, and rolls the channel back.
      - V(begin) takes the lock, unless it is held already, sees that the plan still holds, and opens the journal.
      - V(propose) names the candidate on the channel. V(judge) tells whether all servers run it, and V(promote) makes it stable then.
      - V(move), V(confirm) and V(take_back) begin a part of a batch, V(go_on) goes on with it after its servers or a hook had their turn.
        Each does what is done once for the batch, such as to write the journal and to ask the balancers, as the table of the strategy says, until a server or
        a hook is next.
      - V(arrivals) is V(members) after the promotion, when nobody is on the way in. V(newcomers) tells who came into the inventory since the plan was made,
        and plans for them.
      - V(count) tells whom the plan left out, and what the balancers counted.
      - V(verdict) makes a ghost of the candidate or withdraws it where the rollout failed, closes the journal with the report, and gives the lock back.
      - V(unlock), V(check_quiet), V(check_serves), V(bring_in) and V(status) are for the playbooks of these names and C(join). V(check_serves) is about the
        server of its task.
    type: str
    choices:
      - members
      - check_members
      - read
      - wait
      - draft
      - sources
      - foresee
      - foresee_again
      - plan
      - roll_back
      - begin
      - move
      - confirm
      - take_back
      - go_on
      - propose
      - judge
      - promote
      - arrivals
      - newcomers
      - count
      - verdict
      - unlock
      - check_quiet
      - check_serves
      - bring_in
      - status
    required: true
  hosts:
    description:
      - All servers that the playbook is meant for, also those that C(--limit) leaves out. Needed by V(draft), V(newcomers) and what is about members.
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
  returned: O(step=wait), O(step=draft), O(step=roll_back) and O(step=begin)
foresees:
  description: Whether it can be told before anything is staged that the floor can't hold.
  type: bool
  returned: O(step=draft)
waits:
  description: Whether another rollout goes on, which is waited for.
  type: bool
  returned: O(step=read)
documents:
  description: The store's keys of what names the release.
  type: list
  elements: str
  returned: O(step=sources), where the servers do not read the store themselves
layers:
  description: The store's keys of its layers, by their sha256.
  type: dict
  returned: O(step=sources), where the servers do not read the store themselves
line:
  description: Why there is no plan, in words.
  type: str
  returned: O(step=draft) in check mode, for a release that is not published yet
missing:
  description: Members of the auto scaling group that are not in the inventory.
  type: list
  elements: dict
  returned: O(step=members) and O(step=arrivals)
into:
  description: The group of the inventory that they are added to.
  type: str
  returned: O(step=members) and O(step=arrivals)
promotes:
  description: Whether all servers are proven to run the candidate.
  type: bool
  returned: O(step=judge)
color:
  description: The node that migrates, V(current) where there is one.
  type: str
  returned: O(step=begin)
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
  returned: O(step=draft), O(step=plan) and O(step=newcomers)
main:
  description: The plan before there were newcomers.
  type: dict
  returned: O(step=newcomers)
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
over:
  description: Whether nobody has a turn any more in this part of the batch.
  type: bool
  returned: O(step=move), O(step=confirm), O(step=take_back) and O(step=go_on)
halted:
  description: Whether no further batch moves.
  type: bool
  returned: O(step=move), O(step=confirm), O(step=take_back) and O(step=go_on)
steps:
  description: What the servers do next, or the hook that is next.
  type: list
  elements: str
  returned: when it is not over
hosts:
  description: Servers that came into the inventory since the plan was made.
  type: list
  elements: str
  returned: O(step=newcomers)
outside:
  description: Servers that C(--limit) left out.
  type: list
  elements: str
  returned: O(step=count)
balanced:
  description: What the balancers counted, as M(alchemist.beam.balancer_member) returns it.
  type: dict
  returned: O(step=count)
idle:
  description: Whether there was nothing to do.
  type: bool
  returned: O(step=verdict)
failure:
  description: Why the rollout fails, in words; empty where it does not.
  type: str
  returned: O(step=verdict)
rollout_result:
  description: The report.
  type: dict
  returned: O(step=verdict)
lines:
  description: The plan, the report or the table as lines to be shown.
  type: list
  elements: str
  returned: O(step=plan), O(step=verdict), O(step=unlock) and O(step=status)
unwritten:
  description: What could not be written in the end, and why.
  type: list
  elements: str
  returned: O(step=verdict)
"""

from ansible.module_utils.basic import AnsibleModule

STEPS = [
    "members",
    "check_members",
    "read",
    "wait",
    "draft",
    "sources",
    "foresee",
    "foresee_again",
    "plan",
    "roll_back",
    "begin",
    "move",
    "confirm",
    "take_back",
    "go_on",
    "propose",
    "judge",
    "promote",
    "arrivals",
    "newcomers",
    "count",
    "verdict",
    "unlock",
    "check_quiet",
    "check_serves",
    "bring_in",
    "status",
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
