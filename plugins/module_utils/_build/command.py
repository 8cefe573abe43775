# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Runs the build's commands: bounded, without a terminal to ask at, and killed with everything they started."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import signal
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError

_TAIL_BYTES = 512 * 1024
_TAIL_LINES = 40
# What a terminal would have overwritten or coloured, and what git tells of its progress: dozens of lines that hide the cause.
_OVERWRITTEN = re.compile(rb"[^\r\n]*\r(?=[^\r\n])")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PROGRESS = re.compile(
    r"(?:remote: )?(?:(?:Enumerating|Counting|Compressing|Receiving|Writing|Unpacking|Filtering) (?:objects|content)|Resolving deltas|Updating files|"
    r"Checking out files): .*|remote: Total \d+ .*",
)
_GRACE = 5.0  # seconds between TERM and KILL

# What a build may see of the caller's environment. Everything else is given by name, because it decides the output.
_INHERITED = (
    "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LOGNAME", "MIX_ARCHIVES", "MIX_HOME", "MIX_REBAR3", "NO_PROXY", "PATH", "SSH_AUTH_SOCK",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "USER", "HEX_HOME", "HEX_CACERTS_PATH", "http_proxy", "https_proxy", "no_proxy",
)


@dataclass(frozen=True)
class Finished:
    status: int  # negative: killed by that signal
    output: str  # the end of stdout and stderr together
    full: str = ""  # more of the output: the cause is searched in it


def build_environment(extra: t.Mapping[str, str], elixir_path: str | None = None) -> dict[str, str]:
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env.setdefault("HOME", os.path.expanduser("~"))
    env.setdefault("PATH", os.defpath)
    env.update({"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"})
    env.update(extra)
    if elixir_path:
        env["PATH"] = elixir_path + os.pathsep + env["PATH"]
    return env


def _processes() -> dict[int, tuple[int, str]]:
    """pid -> parent and start time, of all that have not ended."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                # What comes after the name, which may hold anything: state, parent, ... and in the 20th place the start time.
                fields = stream.read().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if fields[0] != "Z":
            found[int(path.split("/")[2])] = (int(fields[1]), fields[19])
    return found


def _family(leader: int, known: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """The command, all that came from it, and what is left of those known before: their parent may be gone.

    Not its process group or session: the BEAM gives each program that it starts a session of its own.
    """
    alive = _processes()
    family = {(pid, start) for pid, (_parent, start) in alive.items() if pid == leader or (pid, start) in known}
    while True:
        pids = {pid for pid, _start in family}
        more = {(pid, start) for pid, (parent, start) in alive.items() if parent in pids} - family
        if not more:
            return family
        family |= more


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """TERM, then KILL, for the command and all it started."""
    family = _family(process.pid, set())
    for sent in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE
        # The oldest first: a shell that outlives its child says so, or starts it again.
        for pid in [pid for pid, _start in sorted(family, key=lambda one: (int(one[1]), one[0]))] or [process.pid] * (process.poll() is None):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        while time.monotonic() < deadline and (family or process.poll() is None):
            time.sleep(0.05)
            family = _family(process.pid, family) if family else family
    with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel may not let go of it
        process.wait(_GRACE)


class _Tail(threading.Thread):
    """Keeps the end of what the command says. A thread, because a grandchild may hold the pipe open for ever."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.data = b""
        self.start()

    def run(self) -> None:
        while True:
            chunk = os.read(self.stream.fileno(), 65536)
            if not chunk:
                return
            if b"\r" in chunk:
                # Megabytes of progress must not push out what was said before.
                done, newline, rest = self.data.rpartition(b"\n")
                self.data, chunk = done + newline, _OVERWRITTEN.sub(b"", rest + chunk)
            self.data = (self.data + chunk)[-_TAIL_BYTES:]

    def full(self) -> str:
        self.join(1.0)
        return readable(self.data.decode("utf-8", "replace"))


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-_TAIL_LINES:]).strip("\n")


def readable(text: str) -> str:
    """Without colours, and without the lines that only told of progress."""
    lines = [line.rstrip() for line in _COLOUR.sub("", text).splitlines()]
    return "\n".join(line for line in lines if not _PROGRESS.fullmatch(line.strip()))


class _Terminated(BaseException):
    """This process was told to end while a command ran."""


def _on_signal(number: int, _frame: t.Any) -> t.NoReturn:
    raise _Terminated(number)


def run_command(
    argv: t.Sequence[str], cwd: str, env: t.Mapping[str, str], timeout: float, keep_open: t.Sequence[int] = (),
) -> Finished:
    """keep_open: descriptors (locks) that the command holds as long as it lives, even when this process is killed."""
    in_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGHUP) if in_main else ()
    before = {number: signal.signal(number, _on_signal) for number in numbers}
    process = None
    try:
        # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, pass_fds=tuple(keep_open),
        )
        tail = _Tail(t.cast("t.IO[bytes]", process.stdout))
        try:
            status = process.wait(timeout=max(timeout, 0.01))
        except subprocess.TimeoutExpired:
            _kill_all(process)
            raise BeamError(
                "build_timeout", "%s did not end in time" % " ".join(argv[:3]), "it was killed after %d s" % timeout,
                "Give more with timeout (of the role build_timeout), or look at what it waits for", output=_end_of(tail.full()).splitlines(),
            ) from None
        full = tail.full()
        return Finished(status, _end_of(full), full)
    except OSError as exc:
        raise BeamError(
            "command_missing", "%s can't be run" % argv[0], exc.strerror or str(exc),
            "Install it, or set elixir_path (in an inventory beam_elixir_path)",
        ) from exc
    except BaseException:
        if process is not None and process.poll() is None:
            _kill_all(process)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
