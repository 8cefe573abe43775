# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a function in a forked process, and kill that, or let the call fail, at the nth system call by which any of its threads changes a file.

strace's `when=` counts the calls of each thread, and misses those of threads that come and go. This traces all threads of the process and
counts together. A seccomp filter stops only the calls that count, so that all others, such as reads, run at full speed. The process is a
fork of the one that asks, so nothing is imported anew: a point takes as long as what it does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import traceback
import typing as t
from dataclasses import dataclass

# Of x86_64. Every call by which files change, and flock: who holds a lock may die, too.
CALLS = {
    1: "write",
    18: "pwrite64",
    20: "writev",
    40: "sendfile",
    73: "flock",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    86: "link",
    87: "unlink",
    88: "symlink",
    90: "chmod",
    91: "fchmod",
    92: "chown",
    93: "fchown",
    94: "lchown",
    162: "sync",
    188: "setxattr",
    258: "mkdirat",
    260: "fchownat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    266: "symlinkat",
    268: "fchmodat",
    280: "utimensat",
    285: "fallocate",
    306: "syncfs",
    316: "renameat2",
    326: "copy_file_range",
}
OPENS = {2: 1, 257: 2}  # open and openat, and which argument has the flags
MAKES = os.O_CREAT | os.O_TRUNC | 0x400000  # the flags of an open that counts: the last one is O_TMPFILE's own
_TRACEME, _POKE, _CONTINUE, _OPTIONS, _MESSAGE = 0, 6, 7, 0x4200, 0x4201
_RESULT, _NUMBER = 80, 120  # where rax and orig_rax are in struct user
_CHILDREN, _FILTERED, _KILL_WITH_US = (
    2 | 4 | 8 | 16,
    0x80,
    0x100000,
)  # of what forks, and what that executes; PTRACE_O_TRACESECCOMP; PTRACE_O_EXITKILL
_SECCOMP_STOP = 7
_ALL = 0x40000000  # __WALL: threads as well
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _ANY_BIT, _RETURN, _ALLOW, _TRACE_IT = 0x20, 0x15, 0x45, 0x06, 0x7FFF0000, 0x7FF00000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Run(t.NamedTuple):
    calls: tuple[str, ...]  # of all threads, in the order in which they came; what was killed did not make its last one
    hit: bool  # the nth call came, and was killed or failed
    code: int  # how it ended by itself: 0, what it gave to sys.exit, 1 after another exception
    said: str  # that exception
    in_thread: bool  # the last call was not the first thread's


@dataclass
class _Aim:
    at: int | None
    error: int | None  # None: it is killed
    but: t.Container[str]


def lacking() -> str:
    """Why it can't be done here, or nothing."""
    if platform.machine() != "x86_64":
        return "the numbers of the system calls are those of x86_64"
    try:
        run = kill_at(lambda: os.close(os.open(os.devnull, os.O_WRONLY | os.O_CREAT)), None)
    except OSError as exc:
        return "a process may not trace another one: %s" % exc.strerror
    return "" if run.calls else "a process may not trace another one"


def kill_at(work: t.Callable[[], t.Any], at: int | None, but: t.Container[str] = ()) -> Run:
    """at: the number of the call, from 1; None lets it end. but: calls that don't count."""
    return _run(work, _Aim(at, None, but))


def fail_at(work: t.Callable[[], t.Any], at: int, error: int, but: t.Container[str] = ()) -> Run:
    """The call is not made and says this errno; the process goes on."""
    return _run(work, _Aim(at, error, but))


def _run(work: t.Callable[[], t.Any], aim: _Aim) -> Run:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _traced(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        calls, hit, in_thread, status = _trace(child, aim)
        said = stream.read().decode("utf-8", "replace") if os.WIFEXITED(status) else ""
    return Run(tuple(calls), hit, os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1, said, in_thread)


def _traced(work: t.Callable[[], t.Any], writing: int) -> t.NoReturn:
    try:
        _be_stopped()
        work()
        os._exit(0)
    except SystemExit as exc:
        os._exit(exc.code if isinstance(exc.code, int) else 1)
    except BaseException:
        os.write(writing, traceback.format_exc()[-4000:].encode())
    finally:
        os._exit(1)


def _trace(child: int, aim: _Aim) -> tuple[list[str], bool, bool, int]:
    calls: list[str] = []
    known: set[int] = set()
    killed = hit = in_thread = False
    while True:
        pid, status = os.waitpid(-1 if known else child, _ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            known.discard(pid)
            if pid == child:
                return calls, hit, in_thread, status
            continue
        if killed:
            continue
        deliver = 0
        if pid not in known:  # its first stop is ours
            known.add(pid)
            if pid == child:
                _ptrace(_OPTIONS, pid, 0, _CHILDREN | _FILTERED | _KILL_WITH_US)
        if status >> 16 == _SECCOMP_STOP:
            call = _call(pid)
            if call not in aim.but:
                calls.append(call)
                if not hit:
                    in_thread = pid != child
                if len(calls) == aim.at:
                    hit = True
                    if aim.error is None:
                        killed = True
                        for one in known:  # a thread's number reaches its process; and what that started
                            _kill(one)
                        continue
                    _ptrace(_POKE, pid, _NUMBER, -1)
                    _ptrace(_POKE, pid, _RESULT, -aim.error)
        elif not status >> 16 and os.WSTOPSIG(status) != signal.SIGSTOP:
            deliver = os.WSTOPSIG(status)
        try:
            _ptrace(_CONTINUE, pid, 0, deliver)
        except ProcessLookupError:  # it has ended meanwhile
            pass


def _call(pid: int) -> str:
    number = ctypes.c_ulong()
    _ptrace(_MESSAGE, pid, 0, ctypes.addressof(number))
    return CALLS.get(number.value, "open")


def _filter() -> bytes:
    """What stops before a call that counts; its number comes along."""
    rows = [(_LOAD, 0, 0, 0)]
    for number in CALLS:
        rows += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _TRACE_IT | number)]
    for number, argument in OPENS.items():
        rows += [
            (_EQUAL, 0, 3, number),
            (_LOAD, 0, 0, 16 + 8 * argument),
            (_ANY_BIT, 0, 1, MAKES),
            (_RETURN, 0, 0, _TRACE_IT | number),
        ]
        rows.append((_LOAD, 0, 0, 0))
    rows.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def _be_stopped() -> None:
    program = ctypes.create_string_buffer(_filter())
    described = struct.pack("<HxxxxxxQ", (len(program) - 1) // 8, ctypes.addressof(program))
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    for option, value in ((_NO_NEW_PRIVS, 1), (_SECCOMP, _FILTER)):
        if _libc.prctl(option, value, described if option == _SECCOMP else 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, pid, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
