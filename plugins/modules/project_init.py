#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: project_init
short_description: Read an Elixir project and write its inventory
description:
  - Reads C(mix.exs), C(mix.lock), the configuration and the routes of a commit, and writes an inventory that deploys it. Each line has its reason as a comment.
  - It runs no code of the project, and needs neither Elixir nor Erlang.
  - Values that only a person knows (servers, the store, secrets) become blanks with a name. The playbook C(alchemist.beam.setup) refuses blanks, see
    M(alchemist.beam.inventory_blanks).
  - It never writes secrets, only where they come from.
  - A second run updates the files that nobody has changed since. Files that a person has changed are kept, see RV(difference).
options:
  repo:
    description: A directory of this machine in which the project's git repository is, or a URL that git can read.
    type: str
    required: true
  ref:
    description: What to read from O(repo). A branch, a tag or a commit. Without it, C(HEAD) of a directory, the default branch of a URL.
    type: str
    default: ""
  subdir:
    description: Where C(mix.exs) is in the repository. Without it, the root, or the only directory that has one.
    type: str
    default: ""
  release:
    description: The release to deploy. Needed only if C(mix.exs) has several of them and no C(default_release).
    type: str
    default: ""
  mix_env:
    description: The Mix environment that is built. Only configuration for it is read.
    type: str
    default: prod
  dest:
    description: The directory of the inventory. It is made if it does not exist.
    type: path
    required: true
  secrets:
    description:
      - Where variables that look secret come from.
      - V(vault) are variables C(vault_NAME) of a file that C(ansible-vault) encrypts.
      - V(env) is the environment of whoever runs a playbook.
      - V(ssm) is the parameter store of AWS, by names such as C(/shop/secret_key_base). It takes the collection C(amazon.aws).
    type: str
    choices: [vault, env, ssm]
    default: vault
  force:
    description: Whether to overwrite files that a person has changed.
    type: bool
    default: false
extends_documentation_fragment:
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - git
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Write an inventory for the project that is checked out here
  alchemist.beam.project_init:
    repo: "{{ lookup('ansible.builtin.env', 'PWD') }}"
    dest: "{{ lookup('ansible.builtin.env', 'PWD') }}/deploy"

- name: The same for a tag of a repository elsewhere, with secrets from AWS
  alchemist.beam.project_init:
    repo: git@example.com:shop.git
    ref: v1.2.0
    dest: inventories/shop
    secrets: ssm
"""

RETURN = r"""
name:
  description: The release.
  returned: success
  type: str
  sample: shop
commit:
  description: The commit that was read.
  returned: success
  type: str
ref:
  description: The request in words.
  returned: success
  type: str
  sample: main
directory:
  description: Where C(mix.exs) is in the repository. Empty for its root.
  returned: success
  type: str
releases:
  description: The releases that C(mix.exs) names.
  returned: success
  type: list
  elements: str
dest:
  description: The directory of the inventory.
  returned: success
  type: str
files:
  description: What became of each file.
  returned: success
  type: dict
  contains:
    created:
      description: Files that did not exist.
      type: list
      elements: str
    updated:
      description: Files that nobody had changed since they were written, or all others with O(force).
      type: list
      elements: str
    kept:
      description: Files that a person has changed, and that are left as they are.
      type: list
      elements: str
    same:
      description: Files that need no change.
      type: list
      elements: str
difference:
  description: How kept files differ from what would be written, line by line. Values of variables that look secret are masked.
  returned: success
  type: list
  elements: str
blanks:
  description: What a person has to fill in.
  returned: success
  type: list
  elements: str
missing:
  description: Variables that the project requires, and that a kept inventory does not name.
  returned: success
  type: list
  elements: str
notes:
  description: What a person should know, such as what could not be read.
  returned: success
  type: list
  elements: str
settings:
  description: The variables that the configuration reads at boot.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The variable.
      type: str
    kind:
      description: >-
        V(required), V(default), V(optional), or V(guessed) if it is read by a helper that could not be followed.
      type: str
    default:
      description: Its default in the project. Empty if it has none, or looks secret.
      type: str
    when:
      description: The condition under which it is required.
      type: str
    file:
      description: The file that reads it.
      type: str
    line:
      description: The line in it.
      type: int
    secret:
      description: Whether its name looks like that of a secret.
      type: bool
    others:
      description: Variables that can be set instead of it.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._project.init import Asked
from ansible_collections.alchemist.beam.plugins.module_utils._project.init import run as run_init
from ansible_collections.alchemist.beam.plugins.module_utils._project.inventory import SECRETS


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo": {"type": "str", "required": True},
            "ref": {"type": "str", "default": ""},
            "subdir": {"type": "str", "default": ""},
            "release": {"type": "str", "default": ""},
            "mix_env": {"type": "str", "default": "prod"},
            "dest": {"type": "path", "required": True},
            "secrets": {"type": "str", "choices": list(SECRETS), "default": "vault", "no_log": False},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, object]:
        result = run_init(Asked(**module.params), module.check_mode)
        for warning in result.pop("warnings"):
            module.warn(warning)
        return result

    run(module, work)


if __name__ == "__main__":
    main()
