# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of every module that looks at a node."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the release, which is the name of its launcher.
    type: str
    required: true
  base:
    description:
      - Directory of the application on the server, with C(releases) and C(current) in it.
    type: path
    required: true
  manager:
    description:
      - What runs the node.
      - V(systemd) is a unit of C(Type=notify), as the role P(alchemist.beam.service#role) writes it.
      - V(daemon) needs neither root nor systemd. The node is started in a session of its own, as the user who runs the module.
        It logs to C(<base>/shared/log/<name>.log) and has C(<base>/shared/run/<name>) for C(RELEASE_TMP), its home and its crash dump.
    type: str
    choices: [systemd, daemon]
    default: systemd
  unit:
    description:
      - Name of the systemd unit. The default is the O(name), and with another O(pointer) than V(current) the O(name), C(-) and the O(pointer).
    type: str
  pointer:
    description:
      - The symlink in O(base) that points at the release of this node. Each of two nodes on a server has its own symlink, such as V(blue).
      - With O(manager=daemon) it also distinguishes their files, which are those of C(<name>-<pointer>).
    type: str
    default: current
"""

    ONE_OF = r"""
options:
  env_file:
    description:
      - The environment file of the node, with O(manager=daemon). What is in it is masked in what is returned.
      - The default is C(<base>/shared/<name>.env), which may be missing.
    type: path
  colors:
    description:
      - Of a server that has two nodes, the names of both. It is about the one that serves. O(pointer) must not be given then.
    type: list
    elements: str
    default: []
"""

    EXPRESSION = r"""
options:
  expression:
    description:
      - The Elixir expression, of one or more lines.
      - It is in no list of processes, and neither logged nor returned, but for RV(would_run).
    type: str
    required: true
  timeout:
    description:
      - Seconds that the expression has. Then its process is killed. What it has started besides goes on.
    type: float
    default: 10
"""

    HEALTH = r"""
options:
  health:
    description:
      - The checks that a healthy node must pass. All given checks must pass in one round.
      - Without any of O(health.http), O(health.tcp) and O(health.node), the node itself is asked whether it has booted, unless it runs without
        distribution.
    type: dict
    suboptions:
      http:
        description:
          - A C(GET) request. Redirects are not followed, and no proxy is used.
        type: dict
        suboptions:
          url:
            description:
              - The URL to get, from the host itself.
            type: str
            required: true
          status:
            description:
              - The status codes that pass.
            type: list
            elements: int
            default: [200]
          json:
            description:
              - Fields of the JSON body that must have these values. A key may be a dotted path, such as V(checks.database.ok).
              - Naming the version here makes sure that no other version answers.
            type: dict
            default: {}
          jmespath:
            description:
              - A JMESPath expression over the JSON body. Its result must be true. The host needs the Python library C(jmespath) for it.
            type: str
          headers:
            description:
              - Headers to send.
            type: dict
            default: {}
          timeout:
            description:
              - Seconds for one whole request.
            type: float
            default: 2
          validate_certs:
            description:
              - Whether to verify the TLS certificate.
            type: bool
            default: true
      tcp:
        description:
          - A port that must accept connections.
        type: dict
        suboptions:
          port:
            description:
              - The port.
            type: int
            required: true
          host:
            description:
              - The address.
            type: str
            default: 127.0.0.1
          timeout:
            description:
              - Seconds to connect.
            type: float
            default: 2
      node:
        description:
          - The node itself answers over the Erlang distribution protocol. It must be the new process, and must have booted.
        type: dict
        suboptions:
          applications:
            description:
              - Applications that must be started.
            type: list
            elements: str
            default: []
          timeout:
            description:
              - Seconds for the whole question.
            type: float
            default: 2
          connected:
            description:
              - The number of other nodes that it must be connected to. Hidden nodes, such as a remote console, are not counted.
              - With more than 0, a restart is refused (V(cluster_cookie)) if the nodes it is connected to would not take the cookie that the next start
                uses. Nothing has been stopped then.
            type: int
            default: 0
          rejoin:
            description:
              - Whether the node must be connected again to all nodes that it was connected to before the restart. Of these, nodes that went down meanwhile
                are not waited for. The cookie is looked at as with O(health.node.connected).
            type: bool
            default: false
      passes:
        description:
          - How many rounds in a row must pass. After a failed round the count starts again.
        type: int
        default: 3
      interval:
        description:
          - Seconds between two rounds.
        type: float
        default: 0.5
      within:
        description:
          - Seconds within which these rounds must have passed.
        type: float
        default: 60
      stable:
        description:
          - After that, for so many seconds the process must run without another restart, and the checks must keep passing.
        type: float
        default: 0
notes:
  - Only root or its own user can inspect a node of a systemd unit, so C(become) is usually needed.
  - A node that runs but may not be inspected is an error. It is not reported as down.
seealso:
  - module: alchemist.beam.beam_info
"""
