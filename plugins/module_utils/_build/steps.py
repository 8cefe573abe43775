# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The steps of a build, each one command with a name, and what to say when one of them fails."""

from __future__ import annotations

import os
import shutil
import time
import typing as t

from .._errors import BeamError
from .command import run_command
from .hints import advisories, explain, shown
from .lockfile import moved, parse_lock
from .request import Request
from .toolchain import find_program

_NAMED = 10  # packages that a message names
_SHOWN = 15  # lines of Hex below a message that has told the cause already

# Compilers that know it leave out what only tells where and when: the option is Erlang's, the variable of the commit's time everybody's.
_REPRODUCIBLE = {"ERL_COMPILER_OPTIONS": "deterministic"}
# Where tools keep what they have fetched. A project may have them inside, as CI likes it.
_CACHES = ("MIX_HOME", "MIX_ARCHIVES", "HEX_HOME", "MIX_DEPS_PATH", "XDG_CACHE_HOME", "npm_config_cache", "CARGO_HOME")


class Steps:
    """Runs mix within one deadline, and remembers what each step took."""

    def __init__(self, request: Request, name: str, build_path: str, locks: t.Sequence[int], epoch: int | None) -> None:
        """epoch: the time of the commit, in seconds since 1970."""
        self.request = request
        self.name = name
        self.locks = tuple(locks)
        self.epoch = epoch
        self.deadline = time.monotonic() + request.timeout
        self.seconds: dict[str, float] = {}
        self.env = {**_REPRODUCIBLE, "SOURCE_DATE_EPOCH": str(epoch or 0), **request.environment(), "MIX_BUILD_PATH": build_path}
        self.mix_program = find_program("mix", self.env)

    def mix(self, step: str, *arguments: str, env: t.Mapping[str, str] | None = None) -> str:
        """Returns its output."""
        started = time.monotonic()
        try:
            done = run_command(
                [self.mix_program, *arguments], self.request.project_dir, {**self.env, **(env or {})}, self.deadline - started, self.locks,
            )
        except BeamError as exc:
            why = "it was killed: the %d s for the whole build were over" % self.request.timeout if exc.code == "build_timeout" else exc.why
            output = self.request.mask.lines(exc.details.get("output", ()))
            raise BeamError(
                exc.code, "the build of %s failed in the step %s: mix %s" % (self.name, step, arguments[0]), why, exc.hint,
                step=step, output=output,
            ) from None
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.monotonic() - started, 3)
        if done.status != 0:
            self._fail(step, arguments[0], done.status, self.request.mask.text(done.full))
        return self.request.mask.text(done.full)

    def caches(self) -> list[str]:
        return [self.env[name] for name in _CACHES if self.env.get(name)]

    def _fail(self, step: str, task: str, status: int, output: str) -> t.NoReturn:
        told = explain(step, output)
        ended = "it was killed by signal %d" % -status if status < 0 else "it ended with %d" % status
        if told.code == "disk_full":
            ended += " (%s has %d MB free)" % (self.request.build_dir, free_megabytes(self.request.build_dir))
        raise BeamError(
            told.code, "the build of %s failed in the step %s: mix %s" % (self.name, step, task), ended, told.hint,
            step=step, output=shown(output, told.cause),
        )


def free_megabytes(path: str) -> int:
    return shutil.disk_usage(path).free // (1024 * 1024)


def fetch_dependencies(steps: Steps, lockfile: str) -> None:
    """locked: mix.lock stays as it is, or the build fails; get: it may grow; offline: nothing is fetched."""
    request = steps.request
    if request.deps == "offline":
        steps.env["HEX_OFFLINE"] = "1"
        return
    path = os.path.join(request.project_dir, lockfile)
    before = _read(path)
    failure = None
    try:
        said = steps.mix("deps", "deps.get", "--only", request.mix_env, env=request.deps_env)
    except BeamError as exc:
        failure, said = exc, "\n".join(exc.details.get("output", ()))
    finally:
        after = _read(path)
        if request.deps == "locked":
            _restore(path, before)
    # What Mix failed at after it had left the lock is a consequence, unless it is a cause that is known.
    if request.deps == "locked" and after != before and (failure is None or failure.code == "build_failed"):
        raise lock_changed(steps.name, lockfile, before, after, said)
    if failure is not None:
        raise failure


def _restore(path: str, content: bytes | None) -> None:
    if content == _read(path):
        return
    if content is None:
        os.unlink(path)
    else:
        with open(path, "wb") as stream:
            stream.write(content)


def lock_changed(name: str, lockfile: str, before: bytes | None, after: bytes | None, said: str) -> BeamError:
    """Which packages would be others than those that are locked, and why, as far as Hex says so."""
    changes = moved(*(parse_lock((content or b"").decode("utf-8", "replace")) for content in (before, after)))
    told = "; ".join(changes[:_NAMED]) + (" and %d more" % (len(changes) - _NAMED) if len(changes) > _NAMED else "")
    reasons = advisories(said)
    if reasons:
        told += ". Hex says: " + " / ".join(reasons)
    hint = "Run `mix deps.get` where you develop, look at the change and commit %s; or use deps: get (in an inventory beam_deps: get)" % lockfile
    if before is None:
        why = "there is no %s, which would lock the dependencies of mix.exs (%s)" % (lockfile, told)
    elif changes and not reasons and all(change.endswith(" was added") for change in changes):
        why = "%s does not lock all dependencies of mix.exs (%s)" % (lockfile, told)
    else:
        why = "%s would no longer be what was committed: %s" % (lockfile, told or "the same packages, written in another way (by another Hex)")
        hint += (
            ". With deps: offline (beam_deps: offline) exactly what is locked is built where deps/ has it. A version that is"
            " published already needs no build: the playbooks rollout (-e beam_version=...) and rollback take it as it is"
        )
    return BeamError(
        "lock_changed", "the build of %s failed in the step deps" % name, why, hint, step="deps", moved=changes,
        output=[line for line in shown(said) if not line.startswith("* Getting ")][-_SHOWN:],
    )


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
