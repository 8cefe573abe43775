# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import Request
from ansible_collections.alchemist.beam.plugins.module_utils._build.steps import Steps, fetch_dependencies
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


@pytest.fixture
def steps(tmp_path: Path) -> t.Iterator[t.Callable[..., Steps]]:
    """Steps with a mix that is a shell script."""
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)

    def make(script: str, **options: t.Any) -> Steps:
        mix = tmp_path / "bin" / "mix"
        mix.parent.mkdir(exist_ok=True)
        mix.write_text("#!/bin/sh\n" + script)
        mix.chmod(0o755)
        request = Request(str(tmp_path), str(tmp_path), elixir_path=str(mix.parent), **options)
        return Steps(request, "demo", str(tmp_path / "compiled"), (lock,), 1_700_000_000)

    yield make
    os.close(lock)


@pytest.mark.parametrize(
    ("step", "said", "code"),
    [
        ("compile", "** (CompileError) lib/a.ex:3: undefined function", "build_failed"),
        ("compile", "error: timeout in my own test of a registry", "build_failed"),
        ("compile", 'the dependency is not available, run "mix deps.get"', "deps_missing"),
        ("release", "could not write to file: no space left on device", "disk_full"),
        ("deps", "Could not find Hex, which is needed to build dependency :jason", "no_hex"),
        ("deps", "Hex is running in offline mode and the registry entry for package jason is not cached locally", "deps_offline"),
        ("deps", "Failed to fetch record for jason from registry (using cache instead) :nxdomain", "deps_unreachable"),
        ("deps", "fatal: unable to access 'https://example.org/x': Could not resolve host", "deps_unreachable"),
        ("deps", "Could not find \"rebar3\", which is needed to build dependency :x", "no_rebar"),
        ("deps", "** (Mix) something else", "build_failed"),
    ],
)
def test_failures(steps: t.Callable[..., Steps], step: str, said: str, code: str) -> None:
    with pytest.raises(BeamError) as caught:
        steps("cat <<'END'\n%s\nEND\nexit 2\n" % said).mix(step, "task", "argument")
    error = caught.value
    assert error.code == code and error.details["step"] == step and said in error.details["output"]
    assert "the build of demo failed in the step %s: mix task: it ended with 2" % step in error.message and error.message.endswith(said)


def test_killed_by_a_signal(steps: t.Callable[..., Steps]) -> None:
    with pytest.raises(BeamError, match="it was killed by signal 9"):
        steps("kill -9 $$").mix("compile", "compile")


def test_one_deadline_for_all(steps: t.Callable[..., Steps]) -> None:
    made = steps("sleep 1.2", timeout=2, env={"TOKEN": "secret-value"})
    made.mix("before", "one")
    with pytest.raises(BeamError, match="failed in the step compile: mix compile: it was killed") as caught:
        made.mix("compile", "compile")
    assert caught.value.code == "build_timeout" and set(made.seconds) == {"before"}


def test_environment_of_the_steps(steps: t.Callable[..., Steps], tmp_path: Path) -> None:
    made = steps('echo "$1 $MIX_ENV $TOKEN $MIX_BUILD_PATH $FLAG" >> said', deps_env={"TOKEN": "t"}, env={"FLAG": "f"}, mix_env="stress")
    fetch_dependencies(made, "mix.lock")
    made.mix("compile", "compile")
    compiled = tmp_path / "compiled"
    assert (tmp_path / "said").read_text().splitlines() == ["deps.get stress t %s f" % compiled, "compile stress  %s f" % compiled]


@pytest.mark.parametrize(("before", "mode", "after"), [(None, "get", "new\n"), ("old\n", "get", "new\n"), (None, "locked", None), ("old\n", "locked", "old\n")])
def test_lock_file(steps: t.Callable[..., Steps], tmp_path: Path, before: str | None, mode: str, after: str | None) -> None:
    lock = tmp_path / "mix.lock"
    if before is not None:
        lock.write_text(before)
    made = steps("echo new > mix.lock", deps=mode)
    if mode == "locked":
        with pytest.raises(BeamError) as caught:
            fetch_dependencies(made, "mix.lock")
        assert caught.value.code == "lock_changed"
    else:
        fetch_dependencies(made, "mix.lock")
    assert (lock.read_text() if lock.exists() else None) == after


def test_offline_fetches_nothing(steps: t.Callable[..., Steps], tmp_path: Path) -> None:
    made = steps("echo $HEX_OFFLINE $1 >> said", deps="offline")
    fetch_dependencies(made, "mix.lock")
    made.mix("compile", "compile")
    assert (tmp_path / "said").read_text() == "1 compile\n"
