# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Run one expression of a release that is staged: `bin/NAME eval EXPRESSION`, once, before the release is activated.

What it says goes straight to a file: if we are cut off, it goes on, and its lock is held until it ends, because it inherits it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._json import parse_json
from .._mask import Mask
from .._tree import remove_quietly
from .boot_reason import read
from .boot_words import plain
from .daemon import Daemon
from .manager import Manager
from .release_eval import await_end, begin
from .surroundings import Surroundings, surroundings_of
from .target import Target, rehearse, staged

KEEP = 20  # logs
_NOTES = 200  # of what was run
LEFT = "The migration's own directory may hold secrets, and could not be removed: %s. Remove it by hand"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Request:
    base: str
    name: str
    version: str
    expression: str
    digest: str = ""  # of the release, where it is known: another one of the same version was never migrated
    timeout: float = 600
    lines: int = 50
    force: bool = False
    undoes: bool = False  # what was noted as run may not hold any more

    @property
    def key(self) -> dict[str, str]:
        return {"version": self.version, "digest": self.digest, "expression": self.expression}


def migrate(request: Request, manager: Manager, check_mode: bool = False) -> dict[str, t.Any]:
    """The module's result."""
    began = time.time()
    if not request.expression.strip():
        raise BeamError(
            "expression_missing",
            "Nothing can be run",
            "the expression is empty",
            "Give one, such as Shop.Release.migrate()",
        )
    if request.timeout <= 0:
        raise BeamError(
            "timeout_invalid", "Nothing can be run", "the timeout is %g seconds" % request.timeout, "Give more than 0"
        )
    target = rehearse(request.base, request.name, request.version)
    if not check_mode or os.path.isdir(target.root):
        target = staged(request.base, request.name, request.version)
    result: dict[str, t.Any] = {  # and rc, once there is one: Ansible takes a task with an rc of null for a failed one
        "version": request.version,
        "host": os.uname().nodename,
        "command": [target.launcher, "eval", request.expression],
        "began": round(began, 3),
        "timed_out": False,
        "output": [],
        "log_file": None,
        "seconds": 0.0,
    }
    places = _Places(os.path.join(os.path.realpath(request.base), "shared"))
    if check_mode:
        return {**result, **_verdict(request, places.notes())}
    if isinstance(manager, Daemon):
        manager.directories()
    with places.opened() as directory, _lock(directory, request) as lock:
        notes = places.notes(directory)
        verdict = _verdict(request, notes)
        if verdict["changed"]:
            if request.undoes and notes:
                notes = []
                places.note(directory, notes)
            surroundings = surroundings_of(manager)
            result["began"] = round(time.time(), 3)
            result.update(_run(request, target, surroundings, places, directory, lock))
            notes.append({**request.key, "at": _utc(began), "seconds": result["seconds"], "log": result["log_file"]})
            places.note(directory, notes)
        return {**result, **verdict}


def _verdict(request: Request, notes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    done = next((note for note in reversed(notes) if {key: note.get(key) for key in request.key} == request.key), None)
    if done is None:
        return {"changed": True, "reason": "it has not been run on this host"}
    if request.force:
        return {"changed": True, "reason": "forced"}
    return {"changed": False, "reason": "it was run on this host at %s" % done.get("at")}


def _utc(seconds: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return time.strftime(form, time.gmtime(seconds))


class _Places:
    """<base>/shared/migrations: logs, what was run, and the lock. The node may own <base>/shared, so nothing is opened by a path through it."""

    def __init__(self, shared: str) -> None:
        self.shared = shared
        self.path = os.path.join(shared, "migrations")

    @contextlib.contextmanager
    def opened(self, create: bool = True) -> t.Iterator[int]:
        parent = handle = -1
        try:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.shared, 0o750)
            parent = os.open(self.shared, _DIRECTORY)
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir("migrations", 0o700, dir_fd=parent)
            handle = os.open("migrations", _DIRECTORY, dir_fd=parent)
            info = os.fstat(handle)
            if info.st_uid != os.geteuid() or info.st_mode & 0o077:
                why = "it belongs to user %d, with mode %04o" % (info.st_uid, stat.S_IMODE(info.st_mode))
                raise BeamError(
                    "directory_not_ours",
                    "%s can't be used" % self.path,
                    why,
                    "Move it away, and run as the same user every time",
                )
            yield handle
        except OSError as exc:
            if not create and isinstance(exc, FileNotFoundError):
                raise
            hint = "Become root, or the user that runs the node"
            raise BeamError(
                "migrations_denied", "%s can't be used" % self.path, exc.strerror or str(exc), hint
            ) from exc
        finally:
            for number in (handle, parent):
                if number >= 0:
                    os.close(number)

    def notes(self, directory: int = -1) -> list[dict[str, t.Any]]:
        """What was run. One that can't be read counts as nothing: a migration may be run twice."""
        if directory < 0:
            try:
                with self.opened(create=False) as handle:
                    return self.notes(handle)
            except FileNotFoundError:
                return []
        try:
            with open(
                os.open("done.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb"
            ) as stream:
                return [note for note in parse_json(stream.read())["done"] if isinstance(note, dict)]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def note(self, directory: int, notes: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        data = (
            json.dumps({"schema": 1, "done": list(notes[-_NOTES:])}, sort_keys=True, indent=1).encode("ascii") + b"\n"
        )
        self.replace(directory, "done.json", data)

    @staticmethod
    def replace(directory: int, name: str, data: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name + ".new", dir_fd=directory)
        with open(
            os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory), "wb"
        ) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(name + ".new", name, src_dir_fd=directory, dst_dir_fd=directory)

    @staticmethod
    def prune(directory: int) -> None:
        logs = sorted(
            (name for name in os.listdir(directory) if name.endswith(".log")),
            key=lambda name: os.stat(name, dir_fd=directory).st_mtime,
        )
        for name in logs[:-KEEP]:
            os.unlink(name, dir_fd=directory)


@contextlib.contextmanager
def _lock(directory: int, request: Request) -> t.Iterator[int]:
    handle = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            raise BeamError(
                "migration_busy",
                "The migration of %s %s is not begun" % (request.name, request.version),
                "another one runs on this host%s" % (" (%s)" % holder if holder else ""),
                "Wait until it is done, or end it",
            ) from None
        yield handle
    finally:
        os.close(handle)


def _run(
    request: Request, target: Target, around: Surroundings, places: _Places, directory: int, lock: int
) -> dict[str, t.Any]:
    around.identity()  # where it is refused, nothing is made
    name = "%s-%s.log" % (request.version, _utc(time.time(), "%Y%m%dT%H%M%SZ"))
    temporary = around.temporary()
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    begun = time.monotonic()
    left: list[str] = []
    try:
        log = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            try:
                child = begin(target, around, request.expression, temporary, log, keep=(lock,))
            except OSError as exc:
                raise BeamError(
                    "migration_failed",
                    "Cannot start %s" % target.launcher,
                    exc.strerror or str(exc),
                    "Install the release again",
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"process %d, version %s" % (child.pid, request.version.encode("ascii")), 0)
            code = await_end(child, request.timeout, "RELEASE_TMP=" + temporary)
        finally:
            os.close(log)
        seconds = round(time.monotonic() - begun, 3)
        output = _mask(places, directory, name, around.mask, request.lines)
    finally:
        left += remove_quietly(temporary)
    places.prune(directory)
    result = {
        "rc": code if code is not None else -signal.SIGKILL,
        "timed_out": code is None,
        "output": output,
        "log_file": os.path.join(places.path, name),
        "seconds": seconds,
        **({"warnings": [LEFT % "; ".join(left[:5])]} if left else {}),
    }
    if code != 0:
        if code is None:
            how = "it did not end within %g s, and was killed" % request.timeout
        else:
            how = "killed by signal %d" % abs(code) if code < 0 else "exit status %d" % code
        reason = read([plain(line) for line in output])
        how = "%s (%s)" % (around.mask.text(reason.text.rstrip(".")), how) if reason is not None else how
        raise BeamError(
            "migration_failed",
            "The migration of %s %s failed on %s" % (request.name, request.version, os.uname().nodename),
            how,
            "All it said is in %s. Correct it, and see what it has done to the data before it is run again"
            % result["log_file"],
            version=request.version,
            host=os.uname().nodename,
            began=round(time.time() - seconds, 3),
            **result,
        )
    return result


def _mask(places: _Places, directory: int, name: str, mask: Mask, lines: int) -> list[str]:
    """The last lines, as they may be shown. In the file, too, secrets are masked."""
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as stream:
        text = mask.text(stream.read().decode("utf-8", "surrogateescape"))
    places.replace(directory, name, text.encode("utf-8", "surrogateescape"))
    shown = text[-256 * 1024 :].encode("utf-8", "replace").decode("utf-8")
    # Once more, as plain text: a secret may have been written in colours.
    return mask.lines([line.rstrip() for line in shown.splitlines() if line.strip()][-lines:]) if lines > 0 else []
