#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mix_release
short_description: Build the release of an Elixir project
description:
  - Runs on the build server. Builds what C(mix release) builds, into its own directory, which appears only when it is complete.
  - With O(repo) it checks the commit out first, under the same lock. So two builds at once never see each other's sources, and each gets its own tree.
  - A build is named by a fingerprint of everything that decides its output. As long as that is the same, nothing is built and Mix is not started.
  - "The fingerprint covers: all files of the git repository that the project is in (what git tracks or would track, and also what it ignores below
    C(config/), C(rel/) and C(priv/), and an ignored C(mix.lock)), the targets of its links, applications that are taken by path from outside of the repository,
    and what C(mix.exs) names outside of it (C(config_path), C(lockfile), C(rel_templates_path), C(overlays), C(elixirc_paths)), the options O(release),
    O(version), O(mix_env), O(env), O(compile_env), O(deps), O(before) and O(after_compile), the versions of the own applications, and the installed Elixir
    and Erlang."
  - "It does not cover: fetched dependencies that somebody edited in C(deps/), files outside of the repository that only code names (C(import_config),
    C(@external_resource)), and values that a module gets from git or the clock when it is compiled. Use O(force), or O(version=git) for the last case."
  - Files that the tasks write beside the sources (digested assets, C(package-lock.json), C(priv/native/*.so)) go into the release. Then they are moved to
    C(products) in O(build_dir). So they are no change for the next build, and no part of the next release. Caches stay, such as C(deps), C(_build)
    and C(node_modules).
  - With O(store), a release that was published from this very commit with the same options is used as it is. Nothing is checked out or built then.
  - Compiled code is kept below O(build_dir), separately for each environment and toolchain, so that a second build compiles only what changed.
  - If the toolchain lacks something (an Elixir that is new enough, applications of Erlang/OTP, Hex, rebar3, a C compiler), the error says so before anything
    is fetched, and names what installs it. A C(rebar3) in E(PATH) is used if Mix has none and E(MIX_REBAR3) is not set.
  - Two builds of the same input give the same files, except C(releases/COOKIE). For that, the time in C(cache_manifest.json) of C(mix phx.digest) is the
    commit's, E(SOURCE_DATE_EPOCH) is set to it, and E(ERL_COMPILER_OPTIONS) to V(deterministic), unless O(env) has another value.
options:
  release:
    description:
      - The release to build, one of C(releases:) in C(mix.exs).
      - Needed only if there are several of them and no C(default_release).
    type: str
  mix_env:
    description: The Mix environment. Any name is accepted, such as V(prod), V(staging) or V(stress).
    type: str
    default: prod
  version:
    description:
      - The version of the release. The default is the version in C(mix.exs).
      - V(git) takes what C(git describe --tags --dirty) says, without the C(v) of C(v1.2.3). Three commits after a tag, this is
        something like V(1.2.3-3-g1a2b3c4). A shallow clone needs its tags.
      - If no tag leads to the commit, V(git) takes the version of C(mix.exs) and the commit, such as V(0.1.0+g1a2b3c4d). So every commit has its own
        version, and nobody has to change C(mix.exs).
      - The version of the application stays the one in C(mix.exs).
    type: str
  env:
    description:
      - Environment variables of all steps. They belong to the fingerprint. Their values are not logged or returned.
      - Steps see only these and a few usual variables of the caller (such as E(PATH), E(HOME), E(MIX_HOME), E(HEX_HOME), E(SSH_AUTH_SOCK)
        and those for a proxy or certificates).
    type: dict
    default: {}
  before:
    description:
      - Mix tasks to run before the project is compiled, each with its arguments, such as one that generates sources.
      - Tasks that make assets (C(assets.deploy), C(assets.build), C(phx.digest), C(esbuild), C(tailwind), C(bun), C(sass), and aliases that lead to them)
        read what the compiler writes. They run after it, even if they are listed here.
    type: list
    elements: str
    default: []
  after_compile:
    description: Mix tasks to run after the project is compiled and before the release is assembled, each with its arguments, such as V(assets.deploy).
    type: list
    elements: str
    default: []
  exclude:
    description:
      - The value that O(exclude) of M(alchemist.beam.release_artifact) will have. It does not change the build. It only decides which published release is
        the same as this one.
    type: list
    elements: str
    default: []
  store:
    description:
      - The store that the release will be published to. Its other options are those of M(alchemist.beam.release_artifact).
      - A release that was published from the same commit and options is not built again, see RV(published).
      - A version that was published from another commit with other sources is refused before the build.
    type: str
    required: false
  timeout:
    description: Seconds after which a build is killed, with everything that it started.
    type: int
    default: 1800
  force:
    description: Builds even if nothing changed, and compiles the project's own applications again.
    type: bool
    default: false
  allow_dirty:
    description:
      - Builds even if files differ from the last commit, or if there is no git repository.
      - The build record says so.
    type: bool
    default: false
  keep:
    description: How many trees of this release stay in O(build_dir), the newest ones.
    type: int
    default: 5
extends_documentation_fragment:
  - alchemist.beam.attributes
  - alchemist.beam.sources
  - alchemist.beam.store
attributes:
  check_mode:
    support: full
    details: If C(mix.exs) has changed, evaluates it without writing anything. A commit is checked out to a temporary directory.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: alchemist.beam.release_artifact
author:
  - alchemist.beam contributors (@alchemist-beam)
"""

EXAMPLES = r"""
- name: Build a tag
  alchemist.beam.mix_release:
    repo: git@example.com:shop.git
    ref: v1.4.0
    project_dir: /srv/build/shop
  register: build

- name: Build what somebody else has checked out, a child of an umbrella
  alchemist.beam.mix_release:
    project_dir: /srv/build/platform
    subdir: apps/web

- name: Build a Phoenix application for the staging servers, with the version that git knows, unless this commit is published already
  alchemist.beam.mix_release:
    repo: git@example.com:shop.git
    project_dir: /srv/build/shop
    release: shop
    mix_env: staging
    version: git
    after_compile:
      - assets.deploy
    deps_env:
      HEX_API_KEY: "{{ vault_hex_api_key }}"
    store: s3://releases/apps

- name: Publish it
  alchemist.beam.release_artifact:
    store: s3://releases/apps
    path: "{{ build.path }}"
"""

RETURN = r"""
name:
  description: Name of the release.
  returned: success
  type: str
  sample: shop
version:
  description: Version of the release. Null in check mode if only the build can tell.
  returned: success
  type: str
  sample: 1.4.0
path:
  description: The tree of the release. Null if it was published already, so that nothing was built.
  returned: success
  type: str
  sample: /srv/build/shop/_build/alchemist/shop-1.4.0-0f343b0931126a
record:
  description: The build record beside the tree, for M(alchemist.beam.release_artifact).
  returned: success
  type: str
fingerprint:
  description: The fingerprint of everything that decided the output.
  returned: success
  type: str
git_sha:
  description: The commit that the tree was built from. Empty if there is none.
  returned: success
  type: str
commit:
  description: The requested commit. RV(git_sha) is another one if a tree of the very same sources existed already.
  returned: success
  type: str
ref:
  description: The request in words.
  returned: with O(repo)
  type: str
  sample: main, the default branch
moved_tags:
  description: Tags that named another commit when the repository was fetched before.
  returned: when something was fetched
  type: list
  elements: str
inputs:
  description:
    - A key of the commit and the options, for O(alchemist.beam.release_artifact#module:inputs).
    - Empty if the sources are not exactly those of a commit.
  returned: success
  type: str
published:
  description: The release of this commit and these options that the store has already. Null if it has none, or if no O(store) was given.
  returned: success
  type: dict
  contains:
    version:
      description: Its version.
      type: str
    digest:
      description: The digest of its manifest.
      type: str
    git_sha:
      description: The commit that it was built from.
      type: str
    fingerprint:
      description: The fingerprint of everything that decided its output.
      type: str
mix_env:
  description: The Mix environment.
  returned: success
  type: str
  sample: prod
own_apps:
  description: The project's own applications, without its dependencies.
  returned: success
  type: list
  elements: str
toolchain:
  description: The versions of Elixir, Erlang/OTP and its runtime system.
  returned: success
  type: dict
  sample: {elixir: 1.14.0, erts: 13.1.5, otp: 25.2.3}
abi:
  description: What the release needs from a server. Null in check mode where a build would be made.
  returned: success
  type: dict
  contains:
    arch:
      description: As C(uname -m) says.
      type: str
    libc:
      description: V(glibc), V(musl) or empty.
      type: str
    libc_version:
      description: The oldest version that is sufficient.
      type: str
    openssl:
      description: The library that the application C(crypto) needs.
      type: str
    erts:
      description: Version of the runtime system in the release. Empty if it has none.
      type: str
    needs:
      description: The symbol versions that each library must have.
      type: dict
    interpreter:
      description: The dynamic loader.
      type: str
    runpath:
      description: Directories that are searched for libraries first.
      type: list
      elements: str
provenance:
  description: What the build record says of the tree's origin. Null in check mode where a build would be made.
  returned: success
  type: dict
seconds:
  description: The seconds of each step that ran (C(info), C(deps), C(before), C(compile), C(after_compile), C(release)), and C(total).
  returned: success
  type: dict
step:
  description: The step that failed. C(toolchain) is the check of the toolchain.
  returned: when a step failed
  type: str
  sample: compile
lacks:
  description: What the toolchain lacks, by the code of each error. The message names what installs it.
  returned: when the toolchain lacks something that the project needs
  type: list
  elements: str
  sample: [no_hex, no_rebar]
moved:
  description: How the packages of C(mix.lock) would change.
  returned: when fetching would change C(mix.lock) with O(deps=locked)
  type: list
  elements: str
  sample: ["plug: from 1.14.0 to 1.15.3"]
output:
  description: The last lines of the failed step's output.
  returned: when a step failed
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run, uncut
from ansible_collections.alchemist.beam.plugins.module_utils._build.build import run_build
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import make_request
from ansible_collections.alchemist.beam.plugins.module_utils._build.spec import SOURCES_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._store.builds import StoreBuilds
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **SOURCES_SPEC,
            **store_spec(store={"required": False}),
            "release": {"type": "str"},
            "mix_env": {"type": "str", "default": "prod"},
            "version": {"type": "str"},
            "env": {"type": "dict", "default": {}, "no_log": True},
            "before": {"type": "list", "elements": "str", "default": []},
            "after_compile": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 1800},
            "force": {"type": "bool", "default": False},
            "allow_dirty": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, object]:
        published = StoreBuilds(open_store(module.params), module.params["exclude"]) if module.params["store"] else None
        return uncut(module, run_build(make_request(module.params, os.environ), module.check_mode, published))

    run(module, work)


if __name__ == "__main__":
    main()
