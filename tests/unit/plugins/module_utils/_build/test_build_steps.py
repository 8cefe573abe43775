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


def test_what_a_build_was_given_is_masked_in_its_output(steps: t.Callable[..., Steps]) -> None:
    given = {"compile_env": {"DB_URL": "ecto://u:compile-word@db/x", "REGION": "eu"}, "env": {"A_KEY": "env-word"}, "deps_env": {"HEX_API_KEY": "hexkey"}}
    with pytest.raises(BeamError) as caught:
        steps("echo $DB_URL $A_KEY hexkey compile-word in eu; exit 2\n", **given).mix("compile", "compile")
    assert caught.value.details["output"] == ["******** ******** ******** ******** in eu"]


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


LOCKED = '''%{
  "jason": {:hex, :jason, "1.4.1", "af1", [:mix], [], "hexpm", "fbb0"},
  "plug": {:hex, :plug, "1.14.0", "bf0", [:mix], [], "hexpm", "bf02"},
}
'''
ADVISORY = """cat <<'END'
Resolving Hex dependencies...
Upgraded:
  plug 1.14.0 => 1.15.3 VULNERABLE!
    CVE-2026-1234 (HIGH): Header injection in Plug.Conn
Unchanged:
  jason 1.4.1
* Getting plug (Hex package)
Found packages with security advisories, see above for details
END
sed -i 's/"1.14.0"/"1.15.3"/; $d' mix.lock
echo '  "plug_crypto": {:hex, :plug_crypto, "2.0.0", "x", [:mix], [], "hexpm", "y"},
}' >> mix.lock
"""


@pytest.mark.parametrize("end", ["", "echo '** (Mix) something else'; exit 1"])
def test_a_lock_that_hex_does_not_keep(steps: t.Callable[..., Steps], tmp_path: Path, end: str) -> None:
    lock = tmp_path / "mix.lock"
    lock.write_text(LOCKED)
    with pytest.raises(BeamError) as caught:
        fetch_dependencies(steps(ADVISORY + end), "mix.lock")
    error = caught.value
    assert error.code == "lock_changed" and lock.read_text() == LOCKED
    assert error.details["moved"] == ["plug: from 1.14.0 to 1.15.3", "plug_crypto 2.0.0 was added"]
    assert "plug: from 1.14.0 to 1.15.3; plug_crypto 2.0.0 was added. Hex says: plug 1.14.0 => 1.15.3 VULNERABLE! / CVE-2026-1234 (HIGH)" in error.why
    assert "does not lock all" not in error.message and "registry" not in error.message and "Getting plug" not in error.message
    for way in ("deps: get (in an inventory beam_deps: get)", "deps: offline (beam_deps: offline)", "published already needs no build", "rollback"):
        assert way in error.hint
    fetch_dependencies(steps(ADVISORY, deps="get"), "mix.lock")
    assert '"1.15.3"' in lock.read_text()


@pytest.mark.parametrize(
    ("lock", "script", "why"),
    [
        (None, """echo '"a": {:hex, :a, "1.0.0"}' > mix.lock""", "there is no mix.lock, which would lock the dependencies of mix.exs (a 1.0.0 was added)"),
        (LOCKED, """echo '"b": {:hex, :b, "2.0.0"}' >> mix.lock""", "mix.lock does not lock all dependencies of mix.exs (b 2.0.0 was added)"),
        (LOCKED, "sed -i 's/fbb0/0000/' mix.lock", "jason 1.4.1 was written anew"),
        (LOCKED, "sed -i 's/  / /' mix.lock", "would no longer be what was committed: the same packages, written in another way"),
        (LOCKED, "rm mix.lock", "jason 1.4.1 was removed; plug 1.14.0 was removed"),
        (LOCKED, "echo 'Policy hid 2 candidate versions:'; sed -i 's/1.14.0/1.13.0/' mix.lock", "plug: from 1.14.0 to 1.13.0. Hex says: Policy hid 2"),
    ],
)
def test_why_a_lock_would_change(steps: t.Callable[..., Steps], tmp_path: Path, lock: str | None, script: str, why: str) -> None:
    if lock is not None:
        (tmp_path / "mix.lock").write_text(lock)
    with pytest.raises(BeamError) as caught:
        fetch_dependencies(steps(script), "mix.lock")
    assert caught.value.code == "lock_changed" and why in caught.value.why


def test_a_known_cause_counts_more_than_the_lock(steps: t.Callable[..., Steps], tmp_path: Path) -> None:
    (tmp_path / "mix.lock").write_text(LOCKED)
    with pytest.raises(BeamError) as caught:
        fetch_dependencies(steps("echo >> mix.lock; echo 'Could not resolve host: example.org'; exit 1"), "mix.lock")
    assert caught.value.code == "deps_unreachable" and (tmp_path / "mix.lock").read_text() == LOCKED


def test_progress_of_git_does_not_hide_the_cause(steps: t.Callable[..., Steps]) -> None:
    script = """
echo '* Getting heroicons (https://example.org/heroicons.git)'
i=0
while [ $i -lt 9000 ]; do printf 'remote: Compressing objects: %d%% (1/2)\\r' $((i % 100)); printf 'Receiving objects: 1%%\\r'; i=$((i+1)); done
printf 'remote: Compressing objects: 100%% (2/2), done.\\nremote: Total 9 (delta 1), reused 5 (delta 0)\\nResolving deltas: 100%% (1/1), done.\\n'
printf '\\033[31m** (Mix) Could not install Rebar because Mix could not download metadata at https://b/rebar3-1.x.csv\\033[0m\\n'
exit 1
"""
    with pytest.raises(BeamError) as caught:
        steps(script).mix("deps", "deps.get")
    assert caught.value.code == "no_rebar" and "registry" not in caught.value.hint
    assert caught.value.details["output"] == [
        "* Getting heroicons (https://example.org/heroicons.git)",
        "** (Mix) Could not install Rebar because Mix could not download metadata at https://b/rebar3-1.x.csv",
    ]
