# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A node that is a systemd unit of Type=notify, through systemctl: blocking calls whose exit status can be trusted."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
import typing as t

from .._errors import BeamError
from .._mask import Mask
from .._proc import end
from . import envfile
from .journal import Journal
from .manager import Started, Status, Stopped, Terminator, settle
from .process import NodeProcess, identify
from .target import Target

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "NRestarts",
    "NeedDaemonReload",
    "Type",
    "ControlGroup",
    "InvocationID",
    "FragmentPath",
    "DropInPaths",
    "EnvironmentFiles",
    "Environment",
    "ExecMainStatus",
    "User",
    "Group",
    "WorkingDirectory",
    "UnitFileState",
)


class Systemctl:
    """The real commands; tests replace this."""

    def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
        process = self.spawn(*argv)
        try:
            out, _err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            end(process)
            return 124, "%s did not answer within %g s" % (argv[0], timeout)
        return process.returncode, out.decode("utf-8", "replace")

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        try:
            # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
            return subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
            )
        except FileNotFoundError:
            raise BeamError(
                "systemd_missing",
                "Cannot run %s" % argv[0],
                "it is not installed",
                "Use manager: daemon (in an inventory beam_manager: daemon) on a host without systemd",
            ) from None


def parse_show(text: str) -> dict[str, str]:
    """`systemctl show`: KEY=value lines; a key that comes several times is one list."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key] = values[key] + "\n" + value if key in values else value
    return values


def environment(shown: t.Mapping[str, str]) -> dict[str, str]:
    """The unit's own Environment=, which systemctl quotes as a shell would."""
    try:
        words = shlex.split(shown.get("Environment", ""))
    except ValueError:
        words = []
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def environment_files(value: str) -> list[tuple[str, bool]]:
    """Paths and whether each may be missing, from `/etc/x/env (ignore_errors=no)` lines."""
    return [
        (path, ignore == "yes")
        for path, ignore in re.findall(r"^(.*) \(ignore_errors=(yes|no)\)$", value, re.MULTILINE)
    ]


class Systemd:
    name = "systemd"

    def __init__(self, unit: str, systemctl: t.Optional[Systemctl] = None, cgroups: str = "/sys/fs/cgroup") -> None:
        self.unit = unit if "." in unit else unit + ".service"
        self._ctl = systemctl or Systemctl()
        self._cgroups = cgroups
        self._shown: dict[str, str] = {}
        self._journal = Journal(self.unit, self._ctl.run)

    # What is

    def show(self) -> dict[str, str]:
        code, out = self._ctl.run("systemctl", "show", self.unit, "--property=" + ",".join(_PROPERTIES))
        if code != 0:
            raise BeamError(
                "systemd_unreachable",
                "Cannot ask systemd about %s" % self.unit,
                out.strip() or "exit status %d" % code,
                "Check that systemd is PID 1 and that we are root",
            )
        self._shown = parse_show(out)
        return self._shown

    def seen(self) -> dict[str, str]:
        """The last output of `show`."""
        return self._shown or self.show()

    def status(self) -> Status:
        shown = self.show()
        pid = int(shown.get("MainPID") or 0)
        process = identify(pid) if pid else None
        state, restarts = shown.get("ActiveState", "unknown"), int(shown.get("NRestarts") or 0)
        configured = max([0.0, *map(_changed, _sources(shown))])
        return Status(process, state, restarts, configured, shown.get("UnitFileState", "").startswith("enabled"))

    def log(self, lines: int) -> list[str]:
        if not lines:
            return []
        return [entry.text for entry in self._journal.since_start(self._shown.get("InvocationID", ""))][-lines:]

    def last_boots(self) -> list[list[str]]:
        return self._journal.last_boots() if self._shown.get("ActiveState") in ("failed", "activating") else []

    def fate(self) -> tuple[str, str]:
        failed = self._shown.get("ActiveState") in ("failed", "activating")
        return (self._shown.get("Result", ""), self._shown.get("ExecMainStatus", "")) if failed else ("", "")

    def crash_dump(self) -> str:
        return environment(self._shown).get("ERL_CRASH_DUMP", "")

    def mask(self) -> Mask:
        shown = self._shown or self.show()
        found = list(environment(shown).items())
        for path, _optional in environment_files(shown.get("EnvironmentFiles", "")):
            found += envfile.load_of_unit(path, required=False).items()
        home = dict(found).get("HOME")
        return Mask(found).also(envfile.read_cookie(home) if home else None)

    # Before

    def preflight(self, target: Target) -> None:
        shown = self.show()
        what = "Cannot start %s" % self.unit
        state = shown.get("LoadState")
        if state == "masked":
            raise BeamError("unit_masked", what, "the unit is masked", "systemctl unmask %s" % self.unit)
        if state == "not-found":
            raise BeamError(
                "unit_missing",
                what,
                "there is no such unit",
                "Run the playbook alchemist.beam.setup first, or correct unit (in an inventory beam_unit)",
            )
        if state != "loaded":
            raise BeamError("unit_invalid", what, "systemd says it is %s" % state, "systemctl status %s" % self.unit)
        if shown.get("Type") not in ("notify", "notify-reload"):
            raise BeamError(
                "unit_type",
                what,
                "it is of Type=%s, of which systemd reports success before the node has booted" % shown.get("Type"),
                "Use the unit of the role alchemist.beam.service",
            )
        env = environment(shown)
        for path, optional in environment_files(shown.get("EnvironmentFiles", "")):
            env.update(envfile.load_of_unit(path, required=not optional))
        self._cookie(target, env)

    def _reload(self) -> None:
        """A unit file that changed is not what systemd would start, until it has read it again."""
        if self._shown.get("ActiveState") == "activating":
            self.show()  # in a crash loop each start has another id
        self._journal.begin(self._shown.get("InvocationID", ""))
        if settle(_sources(self._shown)):
            self.show()
        if self._shown.get("NeedDaemonReload") == "yes":
            code, out = self._ctl.run("systemctl", "daemon-reload", timeout=60)
            if code != 0:
                raise BeamError(
                    "unit_invalid",
                    "Cannot start %s" % self.unit,
                    "systemctl daemon-reload failed: %s" % out.strip(),
                    "Correct the unit",
                )

    def _cookie(self, target: Target, env: t.Mapping[str, str]) -> None:
        """There must be a cookie. A VM without the file in its home would make one up, and nobody could connect to it."""
        if target.sets_cookie():
            return
        why = ""
        if "-setcookie" in env.get("ERL_ZFLAGS", ""):
            path = os.path.join(env.get("HOME", "/"), envfile.COOKIE_FILE)
            if not os.path.exists(path):
                why = "there is no %s" % path
        elif not env.get("RELEASE_COOKIE") and not target.own_cookie():
            why = "there is no RELEASE_COOKIE in its environment and no releases/COOKIE in %s" % target.root
        if why:
            raise BeamError(
                "cookie_missing",
                "Cannot start %s" % self.unit,
                why,
                "Apply the role alchemist.beam.service, which sees to it",
            )

    # Acts

    def stop(self, process: t.Optional[NodeProcess], timeout: float) -> Stopped:
        begin = time.monotonic()
        if process is not None:
            stopped, job = self._end(process, timeout, "stop")
        else:  # between two starts of a crash loop
            stopped, job = Stopped(0.0, "none", begin), self._ctl.spawn("systemctl", "stop", self.unit)
        code, out = self._finish(job, 30)
        if code != 0:
            raise BeamError(
                "stop_failed",
                "systemd could not stop %s" % self.unit,
                out.strip() or "it did not answer in 30 s",
                "systemctl status %s" % self.unit,
            )
        self._cgroup_empty()
        return stopped

    def start(self, target: Target, timeout: float) -> Started:
        self._reload()
        # A unit that gave up after too many starts refuses further ones until told otherwise.
        self._ctl.run("systemctl", "reset-failed", self.unit)
        begin = time.monotonic()
        # Between two starts of a crash loop, a start would wait for its turn.
        verb = "restart" if self._shown.get("ActiveState") == "activating" else "start"
        return self._up(self._ctl.spawn("systemctl", verb, self.unit), begin, timeout)

    def restart(
        self, process: NodeProcess, target: Target, stop_timeout: float, boot_timeout: float
    ) -> tuple[Stopped, Started]:
        self._reload()
        # One job, so that what depends on the unit comes back with it, and a lost connection leaves no stopped service.
        self._ctl.run("systemctl", "reset-failed", self.unit)
        stopped, job = self._end(process, stop_timeout, "restart")
        return stopped, self._up(job, time.monotonic(), boot_timeout)

    def _end(self, process: NodeProcess, timeout: float, verb: str) -> tuple[Stopped, subprocess.Popen[bytes]]:
        """Begin a stop or restart job and see the old process off, at the latest at the deadline."""
        job = self._ctl.spawn("systemctl", verb, self.unit)
        # systemd sends the first SIGTERM. Ours come later: they are for a VM that was too young to hear it.
        term = Terminator(process, sent=1)
        if term.wait(timeout):
            return Stopped(time.monotonic() - term.start, "none" if term.sent == 1 else "term", term.start), job
        self._ctl.run("systemctl", "kill", "--signal=SIGKILL", self.unit)
        process.signal(signal.SIGKILL)
        if not process.wait(10):
            raise BeamError(
                "node_unkillable",
                "Process %d does not end" % process.pid,
                "not even by SIGKILL",
                "Look at what the kernel waits for",
                pid=process.pid,
            )
        return Stopped(time.monotonic() - term.start, "kill", term.start), job

    @staticmethod
    def _finish(job: subprocess.Popen[bytes], timeout: float) -> tuple[t.Optional[int], str]:
        try:
            out, _err = job.communicate(timeout=timeout)
            return job.returncode, out.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            end(job)
            return None, ""

    def _up(self, job: subprocess.Popen[bytes], begin: float, timeout: float) -> Started:
        code, out = self._finish(job, timeout)
        shown = self.show()
        if code is None:
            raise BeamError(
                "boot_timeout",
                "%s did not finish starting within %g s" % (self.unit, timeout),
                "it is %s" % _state(shown),
                "Look at its log, or raise boot_timeout (in an inventory beam_boot_timeout)",
            )
        pid = int(shown.get("MainPID") or 0)
        if code != 0:
            why = {
                "start-limit-hit": "it was started too often within the time that StartLimitIntervalSec sets",
                "timeout": "it was not ready within its TimeoutStartSec, or did not stop in time",
                "protocol": "it ended without having been ready",
                "watchdog": "its watchdog ran out",
            }.get(shown.get("Result", ""), "")
            why = why or "it is %s, exit status %s" % (_state(shown), shown.get("ExecMainStatus", "?"))
            raise BeamError(
                "node_died",
                "systemd could not start %s" % self.unit,
                why,
                "Read the lines of its log",
                result=shown.get("Result"),
                systemctl=out.strip()[:300],
                exit_status=shown.get("ExecMainStatus"),
            )
        process = identify(pid) if pid else None
        if process is None:
            raise BeamError(
                "node_died",
                "%s was started, and has ended since" % self.unit,
                "it is %s" % _state(shown),
                "Read the lines of its log",
            )
        return Started(process, time.monotonic() - begin)

    def _cgroup_empty(self) -> None:
        """A stopped unit has no processes left: not the VM, not what it had started."""
        group = self.show().get("ControlGroup", "")
        if not group:
            return
        for hierarchy in ("", "unified", "systemd"):
            path = os.path.join(self._cgroups, hierarchy, group.lstrip("/"), "cgroup.procs")
            try:
                with open(path, encoding="ascii") as handle:
                    pids = handle.read().split()
            except OSError:
                continue
            if pids:
                raise BeamError(
                    "unit_not_empty",
                    "%s is stopped, yet processes of it run" % self.unit,
                    "pids %s" % " ".join(pids),
                    "systemctl kill --signal=SIGKILL %s" % self.unit,
                )

    def ended(self) -> str:
        """How the unit ended, if it did not stay up."""
        shown = self.show()
        return (
            ""
            if shown.get("ActiveState") == "active"
            else "it is %s, exit status %s" % (_state(shown), shown.get("ExecMainStatus", "?"))
        )


def _sources(shown: t.Mapping[str, str]) -> list[str]:
    """The files that decide what is started."""
    paths = [shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()]
    paths += [
        path
        for pattern, _optional in environment_files(shown.get("EnvironmentFiles", ""))
        for path in envfile.matching(pattern)
    ]
    home = environment(shown).get("HOME")
    return [*filter(None, paths), *([os.path.join(home, envfile.COOKIE_FILE)] if home else [])]


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _state(shown: t.Mapping[str, str]) -> str:
    text = "%s (%s)" % (shown.get("ActiveState", "?"), shown.get("SubState", "?"))
    return text if shown.get("Result") in (None, "", "success") else "%s, %s" % (text, shown["Result"])
