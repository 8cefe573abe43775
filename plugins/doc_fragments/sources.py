# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of modules that work with the sources of a project on the build server."""

    DOCUMENTATION = r"""
requirements:
  - Elixir 1.14 or later with Erlang/OTP 25 or later, on the build server
  - git, unless O(allow_dirty=true)
options:
  project_dir:
    description:
      - The directory that holds C(mix.exs). For an umbrella project, its root.
      - With O(subdir), the directory above it. With O(repo), where the repository is checked out. It is made if it does not exist.
    type: path
    required: true
  subdir:
    description: Where the Mix project is below O(project_dir), such as V(apps/web).
    type: str
  repo:
    description:
      - The git repository to check out. Its branches and tags are followed, even if they moved or were removed. A warning names tags that moved.
      - Without it, O(project_dir) is built as it is.
      - "With it, O(project_dir) belongs to the build. Changes that somebody made there are refused, as O(allow_dirty) says. Files that git ignores are
        moved aside to O(build_dir), except caches and files below C(config/) and C(rel/)."
      - git never prompts. Give the user who builds a key that may read the repository, and the host's key in C(known_hosts).
    type: str
  ref:
    description:
      - What to check out of O(repo). A branch, a tag, a commit (also abbreviated) or V(refs/...).
      - Without it, the default branch of O(repo) as it is now.
    type: str
  compile_env:
    description:
      - Names of variables to pass on from the environment of the module, such as a task's C(environment). They belong to the fingerprint, set or not.
    type: list
    elements: str
    default: []
  deps_env:
    description:
      - Environment variables only for the step that fetches dependencies, such as a token for a private repository.
      - They do not belong to the fingerprint, so a token may change from run to run. Their values are not logged or returned.
    type: dict
    default: {}
  deps:
    description:
      - V(locked) fetches what C(mix.lock) says. It fails if C(mix.lock) is incomplete, or if Hex would take other versions; it names them, and
        leaves C(mix.lock) unchanged. V(get) lets C(mix.lock) change. V(offline) fetches nothing.
    type: str
    choices: [get, locked, offline]
    default: locked
  elixir_path:
    description: The directory of the programs C(elixir) and C(mix), if they are not in E(PATH). Erlang's C(erl) may be in it too.
    type: path
  build_dir:
    description:
      - Where trees, records and compiled code go. One build at a time works in it, others wait.
      - Without it, C(_build/alchemist) in O(project_dir).
      - If another user may write to this directory or to a parent of it, it is refused, because that user's files would be published.
        With O(repo), the same holds for O(project_dir). Whatever the umask is, others can't write to anything that is made here.
    type: path
"""
