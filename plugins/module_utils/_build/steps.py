# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The steps of a build, each one command with a name, and what to say when one of them fails."""

from __future__ import annotations

import os
import re
import shutil
import time
import typing as t

from .._errors import BeamError
from .command import mask, run_command
from .request import Request
from .toolchain import find_program

# What Mix says -> (code, what the user can do).
_HINTS = (
    (r"no space left on device|\benospc\b", "disk_full", "Make room, then run it again: what was half built is removed"),
    (r"[Cc]ould not find Hex", "no_hex", "Apply the role toolchain with toolchain_hex: true, or run `mix local.hex --force` on the build server"),
    (r"[Cc]ould not find \"?rebar3?\"?|rebar3? .*not.* (found|available)", "no_rebar", "Install rebar3, or run `mix local.rebar --force` on the build server"),
    (r"offline mode", "deps_offline", "Run once with deps: locked while the registry can be reached"),
    (r"mix deps\.get", "deps_missing", "Use deps: locked (or get); with deps: offline they have to be in deps/ already"),
    (r"registry|:nxdomain|:econnrefused|:timeout|[Cc]ould not resolve host|unable to access", "deps_unreachable",
     "Run it again when the registry can be reached; deps: offline uses what is there"),
)

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

    def mix(self, step: str, *arguments: str, env: t.Mapping[str, str] | None = None) -> None:
        started = time.monotonic()
        try:
            done = run_command(
                [self.mix_program, *arguments], self.request.project_dir, {**self.env, **(env or {})}, self.deadline - started, self.locks,
            )
        except BeamError as exc:
            why = "it was killed: the %d s for the whole build were over" % self.request.timeout if exc.code == "build_timeout" else exc.why
            output = [mask(line, self.request.secrets) for line in exc.details.get("output", ())]
            raise BeamError(
                exc.code, "the build of %s failed in the step %s: mix %s" % (self.name, step, arguments[0]), why, exc.hint,
                step=step, output=output,
            ) from None
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.monotonic() - started, 3)
        if done.status != 0:
            self._fail(step, arguments[0], done.status, mask(done.output, self.request.secrets))

    def caches(self) -> list[str]:
        return [self.env[name] for name in _CACHES if self.env.get(name)]

    def _fail(self, step: str, task: str, status: int, output: str) -> t.NoReturn:
        code, hint = "build_failed", "Correct what it names, then run it again"
        if step == "deps" or "deps" in output or "space" in output or "enospc" in output:
            for pattern, known_code, known_hint in _HINTS:
                if re.search(pattern, output):
                    code, hint = known_code, known_hint
                    break
        ended = "it was killed by signal %d" % -status if status < 0 else "it ended with %d" % status
        if code == "disk_full":
            ended += " (%s has %d MB free)" % (self.request.build_dir, free_megabytes(self.request.build_dir))
        raise BeamError(
            code, "the build of %s failed in the step %s: mix %s" % (self.name, step, task), ended, hint,
            step=step, output=output.splitlines(),
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
    steps.mix("deps", "deps.get", "--only", request.mix_env, env=request.deps_env)
    after = _read(path)
    if request.deps == "locked" and after != before:
        if before is None:
            os.unlink(path)
        else:
            with open(path, "wb") as stream:
                stream.write(before)
        raise BeamError(
            "lock_changed", "the build of %s failed in the step deps" % steps.name, "%s does not lock all dependencies of mix.exs" % lockfile,
            "Run `mix deps.get` where you develop and commit %s, or use deps: get" % lockfile, step="deps",
        )


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
