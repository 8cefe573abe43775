# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A process as a fact that another process can check later: is the one that held a lock still there?

A pid alone says nothing: pids are used again, and a document in a store is read on other machines and in other containers. So a process
is named by machine, boot, namespaces, pid and start time, and only whoever shares the first three may say that it is dead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t
from dataclasses import dataclass

from .._proc import Stat, open_files, read_stat

# The programs that run a play. The worker of a task is a fork of one, with the same command line, and ends with its task.
CONTROLLERS = frozenset(("ansible", "ansible-playbook", "ansible-console", "ansible-pull", "ansible-runner"))
# How /proc shows a file in memory.
_MEMORY, _UNNAMED = "/memfd:", " (deleted)"
_NAMESPACES = ("pid", "time")  # one gives pids their meaning, the other one start times


@dataclass(frozen=True)
class Process:
    machine: str
    boot: str
    space: str  # the namespaces
    pid: int
    started: int  # in clock ticks since boot

    @property
    def here(self) -> bool:
        """Whether what this process sees of pids is what was meant."""
        return all((self.machine, self.boot, self.space)) and (self.machine, self.boot, self.space) == place()

    @property
    def dead(self) -> bool:
        """Proven dead. What can't be seen, or runs elsewhere, is not."""
        if not self.here:
            return False
        try:
            os.kill(self.pid, 0)  # finds processes of others, too, that /proc may hide
        except ProcessLookupError:
            return True
        except OSError:
            pass
        stat = _stat(self.pid)
        return stat is not None and (stat.started != self.started or stat.state in "ZX")

    @property
    def stopped(self) -> bool:
        stat = _stat(self.pid) if self.here else None
        return stat is not None and stat.started == self.started and stat.state in "Tt"

    def end(self, mark: str) -> None:
        """Ask it to end, if it is still this one and carries this mark.

        Who writes documents in the store can name any process in them. The mark is what a process of this user has given to itself, see `carry`.
        """
        if self.here and not self.dead and mark in _marks(self.pid):
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGTERM)


def carry(mark: str) -> None:
    """Give this process a mark by which this user's processes can tell it from all others: an open file in memory that has its name.

    It ends with the process, and only a process of the same user, or root, can see it or make one.
    """
    with contextlib.suppress(
        AttributeError, OSError
    ):  # a system without: then it is not asked to end, and sees by itself that its lock is gone
        os.memfd_create(mark)


def _marks(pid: int) -> set[str]:
    try:
        if os.stat("/proc/%d" % pid).st_uid != os.geteuid():
            return set()
        links = open_files(pid)
    except OSError:
        return set()
    return {
        link[len(_MEMORY) : -len(_UNNAMED)] for link in links if link.startswith(_MEMORY) and link.endswith(_UNNAMED)
    }


def _stat(pid: int) -> Stat | None:
    try:
        return read_stat(pid)
    except (OSError, IndexError, ValueError):
        return None


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.readline().strip()
    except (OSError, ValueError):
        return ""


def place() -> tuple[str, str, str]:
    """machine, boot and namespaces of this process; "" for what can't be known."""
    try:
        space = " ".join(
            os.readlink("/proc/self/ns/" + kind) for kind in _NAMESPACES if os.path.lexists("/proc/self/ns/" + kind)
        )
    except OSError:
        space = ""
    return _line("/etc/machine-id"), _line("/proc/sys/kernel/random/boot_id"), space


def identify(pid: int) -> Process | None:
    """None where there is no such process, or this system does not tell."""
    stat = _stat(pid)
    return None if stat is None or stat.state in "ZX" else Process(*place(), pid, stat.started)


def controller(pid: int | None = None) -> Process | None:
    """The process that runs the play that this process is a part of: the nearest above it, unless a pid is given."""
    if pid is not None:
        return identify(pid)
    for ancestor in _ancestors(os.getpid()):
        words = _command(ancestor)
        if _runs_plays(words):
            return identify(_first_of(ancestor, words))
    return None


def _first_of(pid: int, words: t.Sequence[str]) -> int:
    """pid, or the process that it was forked from without running another program."""
    for ancestor in _ancestors(pid):
        if _command(ancestor) != words:
            break
        pid = ancestor
    return pid


def _ancestors(pid: int) -> t.Iterator[int]:
    while True:
        stat = _stat(pid)
        if stat is None or stat.parent <= 1:
            return
        pid = stat.parent
        yield pid


def _command(pid: int) -> list[str]:
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            return stream.read().decode("utf-8", "surrogateescape").split("\0")[:-1]
    except OSError:
        return []


def _runs_plays(words: t.Sequence[str]) -> bool:
    """`ansible-playbook ...`, `python /path/ansible-playbook ...`, `python -m ansible playbook ...`."""
    names = [os.path.basename(word) for word in words]
    if not names or names[0] in CONTROLLERS:
        return bool(names)
    if not names[0].startswith(("python", "pypy")):
        return False
    script = next(
        (index for index, word in enumerate(words) if index and (word == "-m" or not word.startswith("-"))), len(words)
    )
    if words[script : script + 1] == ["-m"]:
        return words[script + 1 : script + 2] != [] and words[script + 1].split(".")[0] in ("ansible", "ansible_runner")
    return names[script : script + 1] != [] and names[script] in CONTROLLERS
