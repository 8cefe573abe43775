# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A node without root and without systemd: started by us in a session of its own, logging to a file.

We run the launcher's `start`, not its `daemon`: the pid we start is the pid of the VM, so its end and exit status are seen at once, and
whatever the launcher or the VM says lands in one file. Stopping needs neither launcher nor cookie.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import subprocess
import time
import typing as t

from .._errors import BeamError
from .._mask import Mask
from . import dist, envfile
from .ask import connect
from .boot_reason import fatal
from .manager import Started, Status, Stopped, settle, terminate
from .process import POINTER, NodeProcess, find, identify
from .target import Target, instance_of

LOG_LIMIT = 8 << 20
_TAIL, _MOST = 256 * 1024, 4 << 20
_START = "=== alchemist.beam starts "
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Daemon:
    name = "daemon"

    def __init__(self, base: str, name: str, env_file: t.Optional[str] = None, pointer: str = "current") -> None:
        self.base = os.path.realpath(base)
        self.release = name
        self.pointer = pointer
        instance = instance_of(name, pointer)
        self.shared = os.path.join(self.base, "shared")
        self.env_file = env_file or os.path.join(self.shared, "%s.env" % instance)
        self.env_required = env_file is not None
        self.run_dir = os.path.join(self.shared, "run", instance)
        self.log_file = os.path.join(self.shared, "log", "%s.log" % instance)
        self._child: t.Optional[subprocess.Popen[bytes]] = None
        self._begun: t.Optional[int] = None  # where our start begins in the log

    # What is

    def status(self) -> Status:
        process = find(self.base, self.release, self.pointer)
        try:
            configured = os.stat(self.env_file).st_mtime
        except OSError:
            configured = 0.0
        return Status(process, "running" if process else "stopped", configured=configured)

    def log(self, lines: int) -> list[str]:
        if not lines:
            return []
        said = self._said(self._begun)
        # It was started by somebody before us.
        return (said if self._begun is not None else _since_start(said))[-lines:]

    def last_boots(self) -> list[list[str]]:
        said = _since_start(self._said(None))
        return [said] if fatal(said) else []

    def _said(self, begun: t.Optional[int]) -> list[str]:
        try:
            with open(self.log_file, "rb") as handle:
                size = handle.seek(0, os.SEEK_END)
                # The reason is at the beginning of a start, and a loop may have written much since.
                handle.seek(max(0, size - _TAIL) if begun is None or begun > size else begun)
                text = handle.read(_TAIL if begun is None else _MOST).decode("utf-8", "replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()]

    def fate(self) -> tuple[str, str]:
        return "", ""

    def crash_dump(self) -> str:
        return os.path.join(self.run_dir, "erl_crash.dump")

    def mask(self) -> Mask:
        found: dict[str, str] = {}
        with contextlib.suppress(BeamError):
            found = envfile.load(self.env_file, required=False)
        return Mask(found).also(envfile.read_cookie(self.run_dir))

    # Before

    def environment(self, target: Target) -> tuple[dict[str, str], str]:
        """What the launcher gets, and the cookie that the VM reads from a file ('' if the release sees to it itself)."""
        given = envfile.load(self.env_file, self.env_required)
        user = pwd.getpwuid(os.geteuid())
        env = {
            "PATH": _PATH,
            "HOME": user.pw_dir,
            "USER": user.pw_name,
            "LOGNAME": user.pw_name,
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "RELEASE_TMP": self.run_dir,
            "ERL_CRASH_DUMP": self.crash_dump(),
            "ERL_CRASH_DUMP_BYTES": str(32 << 20),
            **given,
            POINTER: self.pointer,
        }
        if target.sets_cookie():
            return env, ""
        cookie = given.get("RELEASE_COOKIE") or target.own_cookie()
        if not cookie:
            raise BeamError(
                "cookie_missing",
                "Cannot start %s %s" % (target.name, target.version),
                "there is no RELEASE_COOKIE in %s and no releases/COOKIE in %s" % (self.env_file, target.root),
                "Put RELEASE_COOKIE=... into the environment file (mode 0600)",
            )
        # argv is for everybody to read. A -setcookie given twice makes the VM read the file in its home instead.
        env["RELEASE_COOKIE"] = envfile.PLACEHOLDER
        env["HOME"] = self.run_dir
        env["ERL_ZFLAGS"] = (given.get("ERL_ZFLAGS", "") + " -setcookie " + envfile.PLACEHOLDER).strip()
        return env, cookie

    def preflight(self, target: Target) -> None:
        self.environment(target)
        if not os.access(self.shared if os.path.isdir(self.shared) else self.base, os.W_OK):
            raise self._denied("Permission denied")

    def _denied(self, why: str) -> BeamError:
        return BeamError(
            "shared_denied", "Cannot prepare %s" % self.shared, why, "Give it to the user that runs the node"
        )

    def directories(self) -> None:
        try:
            os.makedirs(self.shared, mode=0o750, exist_ok=True)
            for path in (os.path.join(self.shared, "run"), self.run_dir, os.path.dirname(self.log_file)):
                os.makedirs(path, mode=0o700, exist_ok=True)
                os.chmod(path, 0o700)
        except OSError as exc:
            raise self._denied(exc.strerror or str(exc)) from None

    # Acts

    @contextlib.contextmanager
    def _lock(self) -> t.Iterator[None]:
        """One start or stop at a time: two starts at once would fight for the name."""
        self.directories()
        handle = os.open(
            os.path.join(self.run_dir, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BeamError(
                    "node_busy",
                    "Cannot start or stop %s" % self.release,
                    "somebody else is doing so right now",
                    "Try again when it is done",
                ) from None
            yield
        finally:
            os.close(handle)

    def stop(self, process: t.Optional[NodeProcess], timeout: float) -> Stopped:
        with self._lock():
            return self._stop(process, timeout) if process else Stopped(0.0, "none", time.monotonic())

    def start(self, target: Target, timeout: float) -> Started:
        with self._lock():
            return self._start(target, timeout)

    def restart(
        self, process: NodeProcess, target: Target, stop_timeout: float, boot_timeout: float
    ) -> tuple[Stopped, Started]:
        with self._lock():
            return self._stop(process, stop_timeout), self._start(target, boot_timeout)

    def _stop(self, process: NodeProcess, timeout: float) -> Stopped:
        stopped = terminate(process, timeout)
        if process.alive():
            raise BeamError(
                "node_unkillable",
                "Process %d does not end" % process.pid,
                "not even by SIGKILL",
                "Look at what the kernel waits for",
                pid=process.pid,
            )
        self._name_free(process)
        return stopped

    def _name_free(self, process: NodeProcess) -> None:
        """epmd forgets a name when it sees the connection close, which may be a moment later."""
        if process.distribution == "none" or process.port is not None or not process.node:
            return
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                if dist.epmd_port("127.0.0.1", dist.split(process.node)[0], dist.Clock(1), process.epmd) is None:
                    return
            except BeamError:
                return
            time.sleep(0.02)

    def _start(self, target: Target, timeout: float) -> Started:
        running = find(self.base, self.release, self.pointer)
        if running:
            raise BeamError(
                "node_busy",
                "Cannot start %s" % self.release,
                "process %d runs it already" % running.pid,
                "Try again",
                pid=running.pid,
            )
        settle([self.env_file])
        env, cookie = self.environment(target)
        if cookie:
            self._write_cookie(cookie)
        self._rotate()
        begin = time.monotonic()
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(log, ("%s%s %s ===\n" % (_START, target.name, target.version)).encode("utf-8"))
            self._begun = os.fstat(log).st_size
            # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
            self._child = subprocess.Popen(
                [target.launcher, "start"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.run_dir,
                start_new_session=True,
                umask=0o077,
            )
        except OSError as exc:
            raise BeamError(
                "start_failed",
                "Cannot start %s" % target.launcher,
                exc.strerror or str(exc),
                "Install the release again",
            ) from None
        finally:
            os.close(log)
        process = self._booted(self._child, begin + timeout, timeout)
        return Started(process, time.monotonic() - begin)

    def _booted(self, child: subprocess.Popen[bytes], end: float, timeout: float) -> NodeProcess:
        process: t.Optional[NodeProcess] = None
        while time.monotonic() < end:
            code = child.poll()
            if code is not None:
                raise BeamError(
                    "node_died",
                    "%s ended while it started" % self.release,
                    _how(code),
                    "Read the lines of its log",
                    exit_code=code,
                )
            process = identify(child.pid)
            if process is not None and process.vm and self._boot_done(process):
                return process
            time.sleep(0.03)
        raise BeamError(
            "boot_timeout",
            "%s did not finish starting within %g s" % (self.release, timeout),
            "process %d still runs" % child.pid,
            "Look at its log, or raise boot_timeout (in an inventory beam_boot_timeout)",
            pid=child.pid,
        )

    @staticmethod
    def _boot_done(process: NodeProcess) -> bool:
        if not process.askable:
            return True  # nobody to ask: the health checks decide
        try:
            with connect(process, 2) as node:
                status = node.call("init", "get_status")
        except dist.WrongCookie:
            return True  # env.sh or the application changed it; it has booted far enough to say so
        except BeamError:
            return False
        return isinstance(status, tuple) and len(status) == 2 and status[0] == "started"

    def ended(self) -> str:
        """How the VM that we started ended, if it did."""
        if self._child is None:
            return ""
        try:
            # Its first thread may be gone a moment before the others: only then there is an exit status.
            return _how(self._child.wait(2))
        except subprocess.TimeoutExpired:
            return ""

    def _write_cookie(self, cookie: str) -> None:
        path = os.path.join(self.run_dir, envfile.COOKIE_FILE)
        temporary = "%s.%d" % (path, os.getpid())
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        try:
            os.write(handle, cookie.encode("utf-8"))
        finally:
            os.close(handle)
        os.replace(temporary, path)

    def _rotate(self) -> None:
        """Keep one old log. A start is the only time when nobody writes to it."""
        try:
            if os.stat(self.log_file).st_size > LOG_LIMIT:
                os.replace(self.log_file, self.log_file + ".1")
        except FileNotFoundError:
            pass


def _since_start(lines: t.Sequence[str]) -> list[str]:
    begun = max((number for number, line in enumerate(lines) if line.startswith(_START)), default=-1)
    return list(lines[begun + 1 :])


def _how(code: int) -> str:
    return "killed by signal %d" % -code if code < 0 else "exit status %d" % code
