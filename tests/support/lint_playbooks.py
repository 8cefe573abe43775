# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-lint, with one ansible-playbook --syntax-check for all playbooks and roles.

ansible-lint starts it for each of them, and again for each playbook that another one imports: that was two thirds of its time. If anything is wrong, it does
so, and says what and where.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import typing as t

from ansible_compat.runtime import Runtime
from ansiblelint.__main__ import _run_cli_entrypoint
from ansiblelint.runner import Runner

_right: set[str] = set()
_map_syntax_check_workers = Runner._map_syntax_check_workers
_has_playbook = Runtime.has_playbook


def together(self: t.Any, worker: t.Any, files: list[t.Any]) -> list[t.Any]:
    """Instead of Runner._map_syntax_check_workers. A role is in a playbook that imports it, as ansible-lint writes one for it."""
    if self.app.options.extra_vars:
        return _map_syntax_check_workers(self, worker, files)
    paths = [str(file.path.expanduser()) for file in files]
    playbooks = [path for path, file in zip(paths, files) if file.kind == "playbook"]
    roles = [path for path, file in zip(paths, files) if file.kind == "role"]
    # JSON is YAML as well.
    plays = [{"hosts": "localhost", "tasks": [{"ansible.builtin.import_role": {"name": role}}]} for role in roles]
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as of_roles:
        json.dump(plays, of_roles)
        of_roles.flush()
        argv = ["ansible-playbook", "--syntax-check", *playbooks, *([of_roles.name] if roles else [])]
        env = {**self.app.runtime.environ, "PYTHONWARNINGS": "ignore"}
        wrong = bool(argv[2:]) and _fails(argv, env)
    if wrong:
        return _map_syntax_check_workers(self, worker, files)
    _right.update(map(os.path.realpath, playbooks))
    return []


def _fails(argv: list[str], env: t.Mapping[str, str]) -> bool:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=env, check=False)
    return done.returncode != 0


def has_playbook(self: t.Any, playbook: str, *, basedir: t.Any = None) -> bool:
    """Instead of Runtime.has_playbook"""
    path = os.path.realpath(os.path.join(basedir or "", playbook))
    return path in _right or _has_playbook(self, playbook, basedir=basedir)


if __name__ == "__main__":
    Runner._map_syntax_check_workers = together  # type: ignore[method-assign]
    Runtime.has_playbook = has_playbook  # type: ignore[method-assign]
    _run_cli_entrypoint()
