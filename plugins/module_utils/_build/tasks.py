# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which Mix tasks run before the project is compiled, and which after it."""

from __future__ import annotations

import typing as t

Task = tuple[str, ...]

# They read what the compiler writes, such as the hooks that Phoenix collects from components. Run before it, they would
# take those of the build before, or find none.
_READ_COMPILED = frozenset({"assets.deploy", "assets.build", "phx.digest", "esbuild", "tailwind", "bun", "sass"})


def _reads_compiled(task: str, aliases: t.Mapping[str, t.Sequence[str]], seen: frozenset[str] = frozenset()) -> bool:
    if task in _READ_COMPILED:
        return True
    steps = [step.split()[0] for step in aliases.get(task, ()) if step.split()]
    return any(_reads_compiled(step, aliases, seen | {task}) for step in steps if step not in seen and step != task)


def _names(task: Task) -> list[str]:
    """The task; of `do --app web assets.deploy + other`, whatever may be one."""
    return [word.rstrip(",") for word in task] if task[0] == "do" else [task[0]]


def in_order(before: t.Sequence[Task], after: t.Sequence[Task], aliases: t.Mapping[str, t.Sequence[str]]) -> tuple[list[Task], list[Task]]:
    """What runs before the compiler, and what after it. A task that makes assets runs after it wherever it is listed."""
    late = [task for task in before if any(_reads_compiled(name, aliases) for name in _names(task))]
    return [task for task in before if task not in late], [*late, *after]
