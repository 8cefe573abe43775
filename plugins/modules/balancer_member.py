#!/usr/bin/python

# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: balancer_member
short_description: Take servers out of their load balancers and bring them back, proven by what the balancers show
description:
  - Takes servers out of all of their load balancers at once, waits until nothing is in flight any more, and brings them back in.
  - An answer of a balancer to a command proves nothing; only the state that it shows afterwards counts. A member that it does not know never counts as drained.
  - O(min_healthy) is checked right before anything leaves. If too few servers would stay, nothing leaves.
  - After a failure, servers that were taken out are put back, and the error says in which state each server was left.
  - The kinds of balancers are described in C(docs/balancers.md) of the collection.
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
    details:
      - Check mode reads the state, and checks O(min_healthy). It writes nothing and waits for nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  balancers:
    description:
      - The load balancers that the servers are behind. A server has to leave all of them, and to be back in all of them.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description:
          - V(haproxy) is HAProxy through its runtime API.
          - V(alb) are target groups of an AWS Application or Network Load Balancer.
          - V(file) is a readiness file on the server where the task runs, that the application or an agent of a balancer reads.
        type: str
        choices: [haproxy, alb, file]
        required: true
      address:
        description:
          - With O(balancers[].kind=haproxy), the path of its socket, or C(HOST:PORT). It needs C(level admin).
          - Give one entry for each HAProxy.
        type: str
      backends:
        description:
          - With O(balancers[].kind=haproxy), the backends that the servers are in.
        type: list
        elements: str
      servers:
        description:
          - With O(balancers[].kind=haproxy), how servers are named there. C({name}) is the host's name, C({short}) the part before its first dot.
        type: str
        default: "{name}"
      target_groups:
        description:
          - With O(balancers[].kind=alb), the ARNs of the target groups that the servers are in.
        type: list
        elements: str
      port:
        description:
          - With O(balancers[].kind=alb), the port of the targets. The default is each target group's own.
        type: int
      region:
        description:
          - With O(balancers[].kind=alb), the AWS region.
        type: str
      endpoint_url:
        description:
          - With O(balancers[].kind=alb), another endpoint than AWS's.
        type: str
      profile:
        description:
          - With O(balancers[].kind=alb), a named profile of the AWS configuration files.
        type: str
      access_key:
        description:
          - With O(balancers[].kind=alb), the AWS access key id. Without it, boto3's own look-up decides.
        type: str
      secret_key:
        description:
          - With O(balancers[].kind=alb), the AWS secret access key.
        type: str
      session_token:
        description:
          - With O(balancers[].kind=alb), the session token of temporary credentials.
        type: str
      path:
        description:
          - With O(balancers[].kind=file), the file that exists as long as the server wants requests.
        type: path
      url:
        description:
          - With O(balancers[].kind=file), the URL that answers 200 as long as the server takes requests. Without it, only the file itself is checked.
        type: str
  members:
    description:
      - The servers to move, as a list of names or a dictionary by name.
      - For each server, C(server) is its name in HAProxy; C(target) its instance id or IP address in the target groups, C(port) its port there and C(zone)
        its availability zone, V(all) for an address outside of the VPC.
      - C(left=true) says that the caller took it out before. Then it is no error if a target group does not know it.
      - C(places) limits O(state=joined) to some of the places, named as in RV(members.taken).
    type: raw
    required: true
  state:
    description:
      - V(drained) takes them out and waits until nothing is in flight.
      - V(joined) brings them in and waits until each place says that they are in and healthy.
      - V(watched) compares them for O(bake) seconds with the rest of O(fleet), and fails as soon as they do worse.
        With no O(balancers) it waits, and says that nothing was compared.
      - Without it, the module only returns the current state.
    type: str
    choices: [drained, joined, watched]
  min_healthy:
    description:
      - With O(state=drained), how many servers of O(fleet) must stay in and healthy without the ones that leave. Otherwise nothing is touched.
      - With 1 or more, the last healthy member of any one place does not leave either, nor any member of a target group without a healthy one,
        because that sends requests to all of its targets.
      - Servers that are not in service and healthy themselves do not count, and may leave.
      - Without it, or with 0, nothing is refused.
    type: int
  fleet:
    description:
      - All servers that count for O(min_healthy) and that O(state=watched) compares with, in the form of O(members). O(members) belong to it.
      - The default is every member that the balancers know.
    type: raw
  timeout:
    description:
      - Seconds after which the module gives up. With O(state=drained), RV(members.cut) counts the sessions that are still open then. They are no failure.
    type: float
    default: 60
  quiet:
    description:
      - With O(state=drained), seconds with nothing in flight and nothing new before a server counts as drained.
      - With O(balancers[].kind=file), it must be as long as the balancer takes to notice.
    type: float
    default: 1
  interval:
    description:
      - Seconds between two queries. The default is 0.2, with a target group 2, and with O(state=watched) 1.
    type: float
  bake:
    description:
      - With O(state=watched), how many seconds to watch.
    type: float
    default: 60
  limits:
    description:
      - With O(state=watched), the limits beyond which the members count as worse.
    type: dict
    default: {}
    suboptions:
      min_requests:
        description:
          - The number of requests that both the members and the rest must have had. With fewer, they are not compared.
        type: int
        default: 100
      error_margin:
        description:
          - Share of failed requests by which the members may exceed the rest, 0.001 being one in a thousand.
          - Beyond this and O(limits.error_ratio) they count as worse only if chance alone would hardly do it (Fisher's exact test, p below 0.01).
        type: float
        default: 0.001
      error_ratio:
        description:
          - How many times the rest's share of failed requests is allowed. Both this and the margin must be exceeded.
        type: float
        default: 1.5
      latency_margin:
        description:
          - Milliseconds by which the members' mean response time may exceed the rest's.
        type: float
        default: 50
      latency_ratio:
        description:
          - How many times the rest's mean response time is allowed. Both this and the margin must be exceeded.
        type: float
        default: 2
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Take two servers out of HAProxy, three must stay
  alchemist.beam.balancer_member:
    balancers:
      - kind: haproxy
        address: /run/haproxy/admin.sock
        backends: [shop, shop_admin]
    members: [shop1, shop2]
    fleet: "{{ groups['shop'] }}"
    min_healthy: 3
    state: drained
    timeout: 120

- name: Bring a server back into two target groups
  alchemist.beam.balancer_member:
    balancers:
      - kind: alb
        region: eu-central-1
        target_groups: "{{ shop_target_groups }}"
    members:
      shop1:
        target: i-0123456789abcdef0
    state: joined
    timeout: 300
  delegate_to: localhost

- name: See that the first server does no worse than the others
  alchemist.beam.balancer_member:
    balancers:
      - kind: haproxy
        address: lb.example.com:9999
        backends: [shop]
    members: [shop1]
    state: watched
    bake: 300
"""

RETURN = r"""
healthy:
  description: Servers of the fleet that are in service and healthy everywhere.
  returned: success, and when the floor refuses
  type: dict
  contains:
    before:
      description: Before anything was done.
      type: int
    after:
      description: Afterwards. When the floor refuses, and in check mode, without those that would leave.
      type: int
    floor:
      description: The option min_healthy.
      type: int
    fleet:
      description: How many servers there are.
      type: int
members:
  description: What became of each server, by its name.
  returned: success
  type: dict
  contains:
    before:
      description:
        - Its state before. One of V(in), V(draining), V(out), V(unknown), V(partly) (in one place and out in another).
        - A server that was V(out) was taken out by somebody else, or by an earlier run.
      type: str
    after:
      description: Its state now, or in check mode the state that it would have.
      type: str
    healthy:
      description: Whether every place finds it healthy.
      type: bool
    sessions:
      description: Requests and connections in flight over all places, or null if no place reports them.
      type: int
    began:
      description: When it began, in seconds since 1970.
      type: float
    seconds:
      description: How long it took.
      type: float
    cut:
      description: Sessions that were still open at the deadline; 0 if it drained in time; null if it did not and the balancer does not report how many.
      type: int
    note:
      description: Further remarks.
      type: str
    taken:
      description: The places that it was taken out of, or brought into, by this run.
      type: list
      elements: str
    counters:
      description:
        - What the balancers counted for it since they started, over all places, or null if none counts.
        - C(total) counts what was sent to it, C(requests) what was answered or failed. C(response_ms) and C(total_ms) are sliding means
          in milliseconds.
      type: dict
    places:
      description: For each place, C(rotation), C(healthy), C(sessions) and C(note).
      type: dict
balancers:
  description: The places, such as V(haproxy /run/haproxy/admin.sock shop).
  returned: success
  type: list
  elements: str
forecast:
  description: For each place that reports them, the seconds that C(leave) and C(join) take at most with its configuration, and its C(slow_start).
  returned: success
  type: dict
comparison:
  description:
    - With O(state=watched), C(verdict) (V(same), V(worse), V(not enough traffic), V(not counted)), whether the two were C(compared), the C(reasons)
      for either, and the C(hosts) and figures of C(canary) and C(rest), with the C(limits).
    - C(began) and C(seconds) say when it was. C(began_again) names the places that were restarted meanwhile and started counting from zero.
    - Null in check mode.
  returned: with O(state=watched)
  type: dict
error:
  description: The kind of failure, as C(code), C(what), C(why) and C(next). C(members) says in which state each server was C(left).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import BALANCERS_SPEC, LIMITS_SPEC, work


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "balancers": BALANCERS_SPEC,
            "members": {"type": "raw", "required": True},
            "state": {"type": "str", "choices": ["drained", "joined", "watched"]},
            "min_healthy": {"type": "int"},
            "fleet": {"type": "raw"},
            "timeout": {"type": "float", "default": 60.0},
            "quiet": {"type": "float", "default": 1.0},
            "interval": {"type": "float"},
            "bake": {"type": "float", "default": 60.0},
            "limits": LIMITS_SPEC,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
