#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: beam_migrate
short_description: Run a migration of a release that is staged
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Runs C(bin/<name> eval <expression>) of a release that M(alchemist.beam.release_install) has staged, with the environment and the user of
    the service, before anything is switched or restarted.
  - The migration runs in a separate VM without distribution, so it does not interfere with the running node. Only those parts of the application are
    started that the expression starts.
  - A success is noted in C(<base>/shared/migrations/done.json), by version, digest and expression. The same migration does not run again on this host.
    Other hosts do not know of it, so run it on one host of the group.
  - An exit status other than 0, or a timeout, is a failure. The migration is not undone.
  - One migration runs at a time. If the connection is cut, it goes on, and nothing else begins until it has ended.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.node
attributes:
  check_mode:
    support: full
    details:
      - The release need not be staged yet. The result says what would run.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(force=true) it is run every time.
options:
  version:
    description:
      - The version whose code is run. It must be staged.
    type: str
    required: true
  expression:
    description:
      - The Elixir expression, such as V(Shop.Release.migrate(\)). Every user of the host can see it in the list of processes.
    type: str
    required: true
  timeout:
    description:
      - Seconds after which the migration is asked to end. Five seconds later it is killed, with everything that it has started.
    type: float
    default: 600
  lines:
    description:
      - How many of the last lines of its output to return. Values of the environment files are masked in them and in the log.
    type: int
    default: 50
  force:
    description:
      - Run it even if it was run on this host before.
    type: bool
    default: false
  undoes:
    description:
      - The expression undoes migrations. What was noted as run on this host is forgotten before it begins, so that the next rollout migrates again.
    type: bool
    default: false
  env_file:
    description:
      - With O(manager=daemon), the environment file of the node. The default is C(<base>/shared/<name>.env), which may be missing.
      - A systemd unit names its own.
    type: path
  fence:
    description:
      - The serial of the lock under which this is done, as M(alchemist.beam.rollout_lock) returns it. See M(alchemist.beam.release_install).
    type: int
  fence_channel:
    description:
      - The channel of this lock.
    type: str
notes:
  - Whole outputs are kept in C(<base>/shared/migrations/<version>-<time>.log), mode 0600, the newest twenty.
  - C(RELEASE_TMP) is a separate directory that is removed afterwards, and no crash dump is written.
  - The confinement of the unit (such as C(ProtectSystem)) does not apply.
seealso:
  - module: alchemist.beam.release_install
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: Migrate the database with the code of the new version
  alchemist.beam.beam_migrate:
    name: shop
    base: /srv/shop
    version: 1.4.0
    expression: Shop.Release.migrate()
    timeout: 1800
  run_once: true
"""

RETURN = r"""
reason:
  description: Why it was or was not run.
  type: str
  returned: success
  sample: it has not been run on this host
command:
  description: What was run, or would be.
  type: list
  elements: str
  returned: success
version:
  description: The version.
  type: str
  returned: always
host:
  description: The host's own name.
  type: str
  returned: always
rc:
  description: Its exit status, negative for a signal.
  type: int
  returned: it was run
timed_out:
  description: Whether it was killed because of the timeout.
  type: bool
  returned: always
output:
  description: The last lines of its output, secrets masked.
  type: list
  elements: str
  returned: always
log_file:
  description: The file on the host with its whole output. V(null) if it was not run.
  type: str
  returned: always
began:
  description: When it began, in seconds since 1970.
  type: float
  returned: always
seconds:
  description: How long it took.
  type: float
  returned: always
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._host.fence import check_fence, fence_of, installed_digest
from ansible_collections.alchemist.beam.plugins.module_utils._node.migrate import Request, migrate
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import NODE_SPEC, manager_of


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **NODE_SPEC,
            "version": {"type": "str", "required": True},
            "expression": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 600.0},
            "lines": {"type": "int", "default": 50},
            "force": {"type": "bool", "default": False},
            "undoes": {"type": "bool", "default": False},
            "fence": {"type": "int"},
            "fence_channel": {"type": "str"},
        },
        required_together=[("fence", "fence_channel")],
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, object]:
        check_fence(options["base"], options["name"], fence_of(options))
        request = Request(
            options["base"],
            options["name"],
            options["version"],
            options["expression"],
            installed_digest(options["base"], options["name"], options["version"]),
            options["timeout"],
            options["lines"],
            options["force"],
            options["undoes"],
        )
        return migrate(request, manager_of(options), module.check_mode)

    run(module, work)


if __name__ == "__main__":
    main()
