#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mix_gate
short_description: Check a commit of an Elixir project, and state what was found
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Runs on the build server. Runs gates in the sources of a commit, such as V(format), V(compile), V(test) and V(coverage), each within a time limit.
  - Nothing is added to the application. The tests report through a formatter of this collection, which is loaded on the command line.
  - No data is never a pass. If the tests write no results, if their results are cut off, or if no test ran, the gate has failed, whatever the exit code is.
  - A gate that does not end in time is ended with everything that it started.
  - For each gate a statement is written to the O(store), once, beside the release's other documents. It is an in-toto Statement of a test result, and names
    the commit. A report in JUnit XML, LCOV or SARIF is written beside it.
  - A gate that passed is not run again for the same inputs. Its statement is used, also for another commit with the same files. The inputs are those of
    M(alchemist.beam.mix_release) (all files, the environment, the toolchain) and the options of the gate. V(audit) always runs.
  - If a gate failed and then passes with the same inputs, its verdict is V(unstable).
  - The task fails if a gate does not pass. The other gates run all the same, and their statements are written before.
options:
  gates:
    description:
      - The gates to run, in this order. Each is a name, or a dict with C(name) and options.
      - V(format) is C(mix format --check-formatted). V(compile) compiles the project's own applications, and fails on any warning. V(test) is C(mix test).
      - V(coverage) measures which lines the tests run, in the same run as V(test). Its option C(floor) is the least percentage.
      - V(unused) is C(mix deps.unlock --check-unused). V(cycles) fails if files depend on each other in a cycle when they are compiled (C(mix xref)).
      - V(credo), V(dialyzer), V(sobelow) and V(audit) need a dependency of the project in this environment, C(credo), C(dialyxir), C(sobelow), C(mix_audit).
        V(audit) also runs C(mix hex.audit) if Hex is installed.
      - "Any other name is a gate of your own and needs C(command): a program with its arguments, without a shell. It fails if it ends with anything but 0."
      - "Options of all gates: C(timeout) in seconds. Options of the known gates: C(arguments), more arguments of the command."
    type: list
    elements: raw
    default: [format, compile, test]
  retry_failed:
    description:
      - How many times failed tests run again. If all of them pass then, the verdict is V(unstable).
    type: int
    default: 0
  lacking:
    description:
      - What it means if the project lacks what a gate needs. V(skip) leaves that gate out. It gets no statement then, so a channel that asks for it
        refuses the release.
    type: str
    choices: [fail, skip]
    default: fail
  unstable:
    description: Whether the task fails if a gate is V(unstable).
    type: str
    choices: [pass, fail]
    default: pass
  also:
    description:
      - Other commits that the statements are to name, such as RV(alchemist.beam.mix_release#module:git_sha), if the release was built from an earlier
        commit with the same files. A commit whose files differ is left out with a warning.
    type: list
    elements: str
    default: []
  release:
    description:
      - The name of the release that the statements belong to, one of C(releases:) in C(mix.exs).
      - Needed only if there are several of them and no C(default_release).
    type: str
  mix_env:
    description: The Mix environment of all gates.
    type: str
    default: test
  env:
    description:
      - Environment variables of all gates, such as the URL of a test database. They belong to the inputs. Their values are not logged, returned or stored.
    type: dict
    default: {}
  before:
    description: Mix tasks to run before the gates, each with its arguments, such as one that generates sources.
    type: list
    elements: str
    default: []
  store:
    description:
      - The store that the statements are written to. Its other options are those of M(alchemist.beam.release_artifact).
      - Without it, what was found is kept in O(build_dir) only.
    type: str
    required: false
  timeout:
    description: Seconds after which a gate is ended, with everything that it started. Also the time for checking out and fetching.
    type: int
    default: 900
  force:
    description: Runs all gates, even if nothing changed.
    type: bool
    default: false
  allow_dirty:
    description: Runs even if files differ from the last commit, or if there is no git repository. No statement is written then.
    type: bool
    default: false
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.sources
  - alchemist.beam.store
attributes:
  check_mode:
    support: full
    details: Tells which gates would run. Nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: alchemist.beam.mix_release
  - module: alchemist.beam.release_channel
"""

EXAMPLES = r"""
- name: The gates of a tag
  alchemist.beam.mix_gate:
    repo: git@example.com:shop.git
    ref: v1.4.0
    project_dir: /srv/build/shop
    store: s3://releases/apps
    gates:
      - format
      - compile
      - test
      - {name: coverage, floor: 80}
      - {name: dialyzer, timeout: 1800}
      - {name: licenses, command: mix licenses}
    env:
      DATABASE_URL: ecto://postgres:postgres@localhost/shop_test
  register: gates

- name: Show the table
  ansible.builtin.debug:
    var: gates.table
"""

RETURN = r"""
passed:
  description: Whether all gates passed, or are unstable.
  returned: success
  type: bool
table:
  description: One line for each gate.
  returned: always
  type: list
  elements: str
  sample:
    - format    passed          0.4 s
    - test      passed    unchanged  212 tests
gates:
  description: What each gate found, in the order of O(gates).
  returned: always
  type: list
  elements: dict
  contains:
    gate:
      description: Its name.
      type: str
    verdict:
      description: V(passed), V(failed), V(unstable) or V(skipped). In check mode V(unknown) for a gate that would run.
      type: str
    reason:
      description: Why it did not pass.
      type: str
    hint:
      description: What to do next.
      type: str
    seconds:
      description: How long it took, also if that was in an earlier run.
      type: float
    counts:
      description: What was counted, such as tests that passed, failed and were skipped.
      type: dict
    coverage:
      description: The percentage of the lines that ran. Only of V(coverage).
      type: float
    named:
      description: The tests, files or findings that did not pass.
      type: list
      elements: str
    reused:
      description: Whether the statement of an earlier run was used.
      type: bool
    finished:
      description: When the gate ran.
      type: str
    statement:
      description: The sha256 of its statement. Null if there is none.
      type: str
    reports:
      description: "Paths on the build server: C(junit), C(lcov), C(sarif), C(output)."
      type: dict
commit:
  description: The commit. Empty if there is none.
  returned: always
  type: str
commits:
  description: The commits that the statements name.
  returned: always
  type: list
  elements: str
sources:
  description: The sha256 of all files that were read.
  returned: always
  type: str
name:
  description: The name of the release.
  returned: always
  type: str
ref:
  description: The request in words.
  returned: with O(repo)
  type: str
seconds:
  description: How long it took.
  returned: success
  type: float
error:
  description: What could not be done, why, and the next step, for machines.
  returned: failure
  type: dict
output:
  description: The table, and the end of what the first gate said that failed.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run, uncut
from ansible_collections.alchemist.beam.plugins.module_utils._build.spec import SOURCES_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._gates.session import run_gates
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **SOURCES_SPEC,
            **store_spec(store={"required": False}),
            "gates": {"type": "list", "elements": "raw", "default": ["format", "compile", "test"]},
            "retry_failed": {"type": "int", "default": 0},
            "lacking": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            "unstable": {"type": "str", "choices": ["pass", "fail"], "default": "pass"},
            "also": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str"},
            "mix_env": {"type": "str", "default": "test"},
            "env": {"type": "dict", "default": {}, "no_log": True},
            "before": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 900},
            "force": {"type": "bool", "default": False},
            "allow_dirty": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )

    run(module, lambda: uncut(module, run_gates(module.params, module.check_mode)))


if __name__ == "__main__":
    main()
