# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The operating system process that runs a node.

/proc tells the truth without the node's help: which release directory a VM booted from, its version, node name and cookie.
A process is its pid and its start time: pids are used again, a pair is not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._proc import Stat, read_stat
from . import vm_flags
from .sockets import reached_at

# `bin/NAME eval`, `rpc` and `remote` are VMs of the same release too; only these commands run the node.
_NODE_COMMANDS = ("start", "start_iex", "daemon", "daemon_iex")
# Distinguishes nodes of one base if there is no systemd. Without it, the node is that of `current`.
POINTER = "ALCHEMIST_BEAM_POINTER"
_HZ = os.sysconf("SC_CLK_TCK")


class Gone(Exception):
    """The process ended while we looked."""


@dataclass(frozen=True)
class OsProcess:
    pid: int
    ticks: int  # start time in clock ticks since boot

    @property
    def started(self) -> float:
        """Seconds since the epoch, as the clock has it now."""
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - self.ticks / _HZ)

    def alive(self) -> bool:
        try:
            stat = _stat(self.pid)
        except Gone:
            return False
        return stat.started == self.ticks and stat.state not in "ZX"

    def signal(self, number: int) -> bool:
        """Send a signal to exactly this process; False if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        except (AttributeError, OSError):
            return self._signal_by_pid(number)
        try:
            # The handle pins the process: once it is known to be ours, the signal cannot hit a successor of the pid.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        except PermissionError:
            raise self._denied("signal") from None
        finally:
            os.close(handle)

    def _signal_by_pid(self, number: int) -> bool:
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
            return True
        except ProcessLookupError:
            return False
        except PermissionError:
            raise self._denied("signal") from None

    def _denied(self, act: str) -> BeamError:
        return BeamError(
            "node_denied",
            "Cannot %s process %d" % (act, self.pid),
            "it belongs to another user",
            "Run as the user that owns the node, or become root",
            pid=self.pid,
        )

    def wait(self, seconds: float) -> bool:
        """Wait until all its threads are gone; False if it still runs after so many seconds."""
        end = time.monotonic() + seconds
        try:
            handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            while self.alive():
                if time.monotonic() >= end:
                    return False
                time.sleep(0.02)
            return True
        try:
            # Another process under the same pid: ours is gone. The state Z is not enough, as other threads may still hold its sockets.
            if os_process(self.pid) != OsProcess(self.pid, self.ticks):
                return True
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(max(0, int((end - time.monotonic()) * 1000) + 1)))
        finally:
            os.close(handle)


@dataclass(frozen=True)
class NodeProcess(OsProcess):
    """A VM that runs a release's node. What is unknown yet (it is still a shell on its way to the VM) is empty."""

    vm: bool = False  # whether it has become the VM; before that it is the launcher
    root: str = ""
    version: str = ""
    node: str = ""
    distribution: str = "none"
    port: t.Optional[int] = None  # fixed distribution port: no epmd needed
    address: str = "127.0.0.1"  # where its distribution listens, as this host reaches it
    interface: str = ""  # what it was told to listen on; empty: all addresses
    protocol: str = "inet_tcp"
    registers: bool = True  # whether epmd knows its port
    tmp: str = ""
    epmd: int = 4369
    crash_dump: str = ""
    uid: int = -1
    booted: str = ""  # the version that it was booted from, where its code was replaced since; root and version are then those of its code
    cookie_file: str = ""  # where the VM reads its cookie when argv does not have it
    argv_cookie: str = field(default="", repr=False)

    def cookie(self) -> str:
        """The cookie of what runs, which need not be that of any release on disk."""
        if not self.cookie_file:
            return self.argv_cookie
        try:
            with open(self.cookie_file, encoding="utf-8") as handle:
                return handle.read(4096).strip()
        except OSError as exc:
            raise BeamError(
                "cookie_missing",
                "Cannot read the cookie of node %s" % self.node,
                "%s: %s" % (self.cookie_file, exc.strerror),
                "Run as the user that owns the node, or become root",
            ) from None

    @property
    def askable(self) -> bool:
        """Whether we can speak to it: not without distribution, and not over TLS, for which it would want a certificate of ours."""
        return self.distribution != "none" and not self.protocol.endswith("_tls")

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.ticks

    def facts(self) -> dict[str, t.Any]:
        """What a module returns about it: never the cookie."""
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started))
        return {
            "pid": self.pid,
            "started": started,
            "version": self.version or None,
            "root": self.root or None,
            "node": self.node or None,
            **({"upgraded_from": self.booted} if self.booted else {}),
        }


def _stat(pid: int) -> Stat:
    try:
        return read_stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        raise Gone() from None


def os_process(pid: int) -> t.Optional[OsProcess]:
    try:
        return OsProcess(pid, _stat(pid).started)
    except Gone:
        return None


def _read(pid: int, name: str) -> list[str]:
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as handle:
            return handle.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ESRCH):
            raise Gone() from None
        raise


def identify(pid: int) -> t.Optional[NodeProcess]:
    """The node that a pid runs, as /proc has it; None if there is no such process."""
    try:
        before = _stat(pid)
        try:
            environ = dict(item.partition("=")[::2] for item in _read(pid, "environ") if "=" in item)
        except PermissionError:
            raise BeamError(
                "node_denied",
                "Cannot see what process %d runs" % pid,
                "it belongs to another user",
                "Run as the user that owns the node, or become root",
                pid=pid,
            ) from None
        argv = _read(pid, "cmdline")
        uid = os.stat("/proc/%d" % pid).st_uid
        if _stat(pid).started != before.started or before.state in "ZX":
            return None
    except (Gone, FileNotFoundError):
        return None
    return describe(pid, before.started, uid, environ, argv)


def describe(pid: int, ticks: int, uid: int, environ: t.Mapping[str, str], argv: t.Sequence[str]) -> NodeProcess:
    """Pure: what an environment and an argument list say about a node."""
    flags = vm_flags.read(argv)
    distribution = environ.get("RELEASE_DISTRIBUTION", "sname")
    vm = bool(argv) and os.path.basename(argv[0]).startswith("beam")
    if vm:
        distribution = flags.mode
    # The flag given twice counts as not given: the VM reads the file in its home. That keeps a cookie out of argv.
    hidden = flags.times("setcookie") > 1
    node = flags.node or environ.get("RELEASE_NODE", "")
    if node and "@" not in node and distribution != "none":
        node += "@" + os.uname().nodename.split(".")[0]
    epmd = environ.get("ERL_EPMD_PORT", "")
    return NodeProcess(
        pid=pid,
        ticks=ticks,
        uid=uid,
        vm=vm,
        root=environ.get("RELEASE_ROOT", ""),
        version=environ.get("RELEASE_VSN", ""),
        node=node,
        distribution=distribution,
        port=flags.port,
        address=reached_at(flags.interface or ("::" if flags.protocol.startswith("inet6") else "0.0.0.0")),
        interface=flags.interface,
        protocol=flags.protocol,
        registers=flags.epmd,
        tmp=environ.get("RELEASE_TMP", ""),
        epmd=int(epmd) if epmd.isdigit() else 4369,
        crash_dump=environ.get("ERL_CRASH_DUMP", ""),
        cookie_file=os.path.join(flags.first("home"), ".erlang.cookie") if hidden else "",
        argv_cookie="" if hidden else flags.first("setcookie") or environ.get("RELEASE_COOKIE", ""),
    )


def _table() -> dict[int, Stat]:
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                table[int(entry)] = _stat(int(entry))
            except (Gone, PermissionError):
                continue
    return table


def find(base: str, name: str, pointer: str = "current") -> t.Optional[NodeProcess]:
    """The process that runs the node `name` of this pointer from a release below <base>/releases, or None if none does.

    Processes of which we may read only the command line count as well: that they run is known, what they are is not.
    """
    releases = os.path.join(os.path.realpath(base), "releases") + "/"
    table = _table()
    found: list[NodeProcess] = []
    denied: list[int] = []
    for pid, stat in table.items():
        if not stat.command.startswith("beam") or stat.state in "ZX":
            continue
        try:
            argv = _read(pid, "cmdline")
            environ = dict(item.partition("=")[::2] for item in _read(pid, "environ") if "=" in item)
            uid = os.stat("/proc/%d" % pid).st_uid
        except PermissionError:
            if any(word.startswith(releases) for word in argv):
                denied.append(pid)
            continue
        except (Gone, FileNotFoundError):
            continue
        if environ.get(POINTER, "current") != pointer:
            continue
        root = environ.get("RELEASE_ROOT", "")
        if (
            (root + "/").startswith(releases)
            and environ.get("RELEASE_NAME") == name
            and environ.get("RELEASE_COMMAND") in _NODE_COMMANDS
        ):
            found.append(describe(pid, stat.started, uid, environ, argv))
    # A VM that the node itself started inherits its environment: only the topmost is the node.
    pids = {process.pid for process in found}
    top = [process for process in found if not pids & set(_ancestors(table, process.pid))]
    if len(top) > 1:
        raise BeamError(
            "node_twice",
            "%d processes run %s below %s" % (len(top), name, base),
            "pids %s" % ", ".join(str(p.pid) for p in top),
            "Stop the one that should not run; another instance needs a base or a pointer of its own",
            pids=[p.pid for p in top],
        )
    if top:
        return top[0]
    if denied:
        raise BeamError(
            "node_denied",
            "Cannot see what process %d runs" % denied[0],
            "it runs from %s as another user" % base,
            "Run as the user that owns the node, or become root",
            pid=denied[0],
        )
    return None


def _ancestors(table: t.Mapping[int, Stat], pid: int) -> t.Iterator[int]:
    seen = {pid}
    while pid in table:
        pid = table[pid].parent
        if pid in seen:
            return
        seen.add(pid)
        yield pid


def descendants(pid: int) -> list[tuple[OsProcess, str]]:
    """All processes below a pid with their command names: heart, port programs, erl_child_setup."""
    table = _table()
    return [
        (OsProcess(child, stat.started), stat.command)
        for child, stat in table.items()
        if child != pid and pid in _ancestors(table, child)
    ]


def with_environment(assignment: str) -> list[OsProcess]:
    """All processes that were started with exactly this NAME=value, as far as we may look."""
    found = []
    for pid, stat in _table().items():
        with contextlib.suppress(Gone, PermissionError):
            if stat.state not in "ZX" and assignment in _read(pid, "environ"):
                found.append(OsProcess(pid, stat.started))
    return found


def companions(pid: int) -> list[tuple[OsProcess, str]]:
    """What has no business without this VM: all processes below it, and the run_erl that the launcher's own `daemon` puts above it."""
    table = _table()
    # Not always its parent: a shell may be between them.
    above = next(
        (parent for parent in _ancestors(table, pid) if parent in table and table[parent].command == "run_erl"), None
    )
    if above is None:
        return descendants(pid)
    return [
        *(found for found in descendants(above) if found[0].pid != pid),
        (OsProcess(above, table[above].started), table[above].command),
    ]
