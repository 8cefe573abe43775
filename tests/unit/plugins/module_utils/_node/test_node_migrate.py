# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration as a real process; a shell script stands for the launcher of a release."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.migrate import KEEP, Request, migrate
from ansible_collections.alchemist.beam.plugins.module_utils._node.surroundings import surroundings_of
from ansible_collections.alchemist.beam.plugins.module_utils._node.systemd import Systemctl, Systemd

SECRET = "correct-horse-battery"
DRIVER = """
import sys
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.migrate import Request, migrate
migrate(Request(sys.argv[1], "shop", "1.0.0", sys.argv[2]), Daemon(sys.argv[1], "shop"))
"""


class Host:
    """What the expression is, the script evaluates: `eval EXPRESSION` runs it as a line of shell."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.shared = base / "shared"
        self.shared.mkdir(parents=True)
        root = base / "releases" / "1.0.0"
        (root / "bin").mkdir(parents=True)
        (root / "releases").mkdir()
        (root / "releases" / "start_erl.data").write_text("13.1 1.0.0")
        launcher = root / "bin" / "shop"
        launcher.write_text('#!/bin/sh\n[ "$1" = eval ] || exit 99\neval "$2"\n')
        launcher.chmod(0o755)
        env = self.shared / "shop.env"
        env.write_text("DATABASE_URL=%s\nPORT=4000\nRELEASE_COOKIE=cookie-of-the-node\n" % SECRET)
        env.chmod(0o600)

    @property
    def migrations(self) -> Path:
        return self.shared / "migrations"

    def run(self, expression: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        request = Request(str(self.base), "shop", options.pop("version", "1.0.0"), expression, **options)
        return migrate(request, Daemon(str(self.base), "shop"), check_mode)

    def fails(self, code: str, expression: str, **options: t.Any) -> BeamError:
        with pytest.raises(BeamError) as error:
            self.run(expression, **options)
        assert error.value.code == code and error.value.hint, error.value.message
        return error.value

    def done(self) -> list[dict[str, t.Any]]:
        return list(json.loads((self.migrations / "done.json").read_text())["done"])


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path / "srv")


def test_once(host: Host) -> None:
    expression = "echo run >> %s; echo hello" % (host.base / "runs")
    before = time.time()
    first = host.run(expression)
    assert (first["changed"], first["rc"], first["output"], first["version"], first["host"]) == (
        True,
        0,
        ["hello"],
        "1.0.0",
        os.uname().nodename,
    )
    assert (
        before - 0.01 <= first["began"] <= time.time()
        and first["seconds"] > 0
        and first["command"][1:] == ["eval", expression]
    )
    assert first["command"][0] == str(host.base / "releases/1.0.0/bin/shop")
    again = host.run(expression)
    assert again["changed"] is False and "was run on this host" in again["reason"] and "rc" not in again
    assert host.run(expression, force=True)["reason"] == "forced"
    assert host.run(expression, digest="a" * 64)["changed"]  # another release of the same version
    assert host.run(expression + "; true")["changed"]
    assert (host.base / "runs").read_text() == "run\n" * 4
    assert (stat.S_IMODE(os.stat(host.migrations).st_mode), stat.S_IMODE(os.stat(first["log_file"]).st_mode)) == (
        0o700,
        0o600,
    )
    json.dumps(first)


def test_it_sees_the_environment_of_the_service_and_neither_cookie_nor_distribution(host: Host) -> None:
    host.run("env > %s; pwd >> %s; umask >> %s" % ((host.base / "seen",) * 3))
    lines = (host.base / "seen").read_text().splitlines()
    env = dict(line.partition("=")[::2] for line in lines if "=" in line)
    assert (env["DATABASE_URL"], env["PORT"], env["RELEASE_DISTRIBUTION"], env["RELEASE_COOKIE"]) == (
        SECRET,
        "4000",
        "none",
        "unused",
    )
    assert "cookie-of-the-node" not in "\n".join(lines) and "VIRTUAL_ENV" not in env
    assert env["RELEASE_TMP"].startswith(str(host.shared / "run" / "shop") + "/") and not os.path.exists(
        env["RELEASE_TMP"]
    )
    assert lines[-2:] == [str(host.shared / "run" / "shop"), "0077"]


def test_what_could_not_be_removed_of_its_directory_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[migrate.__module__], "remove_quietly", lambda path: [path + "/x (Permission denied)"]
    )
    (said,) = host.run("true")["warnings"]
    assert "may hold secrets" in said and "/x (Permission denied)" in said
    assert host.fails("migration_failed", "exit 4").details["warnings"]


def test_secrets_are_neither_in_the_result_nor_in_the_log(host: Host) -> None:
    done = host.run("echo url=$DATABASE_URL; echo $DATABASE_URL >&2")
    error = host.fails("migration_failed", "echo $DATABASE_URL; exit 4")
    assert done["output"] == ["url=********", "********"] and error.details["output"] == ["********"]
    kept = "".join(path.read_text() for path in host.migrations.glob("*"))
    assert "********" in kept and SECRET not in kept + repr(done) + error.message + repr(
        surroundings_of(Daemon(str(host.base), "shop"))
    )


def test_parts_of_secrets_and_their_forms_are_masked_too(host: Host) -> None:
    env = host.shared / "shop.env"
    env.write_text(env.read_text() + "DB_URL=ecto://shop:hunter22@db/shop\nA_TOKEN=sword\nHELLO=sword dance\n")
    said = 'echo "login as hunter22 with sword at db, $(printf hunter22 | base64), <<104,117,110,116,101,114,50,50>> https://a:bcd@e/f?token=xyz"; exit 1'
    error = host.fails("migration_failed", said)
    assert error.details["output"] == [
        "login as ******** with ******** at db, ********, <<********>> https://********@e/f?token=********"
    ]
    kept = Path(error.details["log_file"]).read_text()
    assert "hunter22" not in kept + error.message and "bcd" not in kept


@pytest.mark.parametrize(
    "expression, why, code",
    [("echo broken; exit 3", "exit status 3", 3), ("echo broken; kill -9 $$", "killed by signal 9", -9)],
)
def test_a_failure_is_told_and_is_tried_again(host: Host, expression: str, why: str, code: int) -> None:
    error = host.fails("migration_failed", expression)
    details = error.details
    assert error.why == why and (details["rc"], details["output"], details["timed_out"]) == (code, ["broken"], False)
    assert details["version"] == "1.0.0" and os.uname().nodename in error.message and "broken" in error.message
    assert Path(details["log_file"]).read_text() == "broken\n" and not (host.migrations / "done.json").exists()
    host.fails("migration_failed", expression)


def test_a_failure_is_told_by_what_it_said(host: Host) -> None:
    error = host.fails(
        "migration_failed",
        "echo '** (Postgrex.Error) ERROR 42P01 (undefined_table) relation \"mesages\" does not exist'; exit 1",
    )
    assert (
        error.why
        == '** (Postgrex.Error) ERROR 42P01 (undefined_table) relation "mesages" does not exist (exit status 1)'
    )


def test_at_the_deadline_nothing_of_it_is_left(host: Host) -> None:
    pids = host.base / "pids"
    # One in a session of its own that lost its parent, as a VM's programs are, and one that minds no SIGTERM.
    script = "(setsid sh -c 'trap \"\" TERM; sleep 60; true' & echo $! > %s); trap '' TERM; echo $$ >> %s; echo waiting; while :; do sleep 1; done"
    begun = time.monotonic()
    error = host.fails("migration_failed", script % (pids, pids), timeout=0.5)
    assert error.details["timed_out"] and error.details["output"][0] == "waiting" and "within 0.5 s" in error.why
    assert time.monotonic() - begun < 12
    time.sleep(0.1)
    for pid in map(int, pids.read_text().split()):
        with contextlib.suppress(FileNotFoundError):
            assert Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] == "Z"


def test_one_at_a_time_also_when_whoever_began_it_was_killed(host: Host) -> None:
    started = host.base / "started"
    expression = "echo $$ > %s; exec sleep 60" % started
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(host.base), expression], env=env, stdin=subprocess.DEVNULL
    ) as driver:
        while not (started.exists() and started.read_text()):
            assert driver.poll() is None
            time.sleep(0.02)
        # Who holds it is written down a moment after it has begun.
        deadline = time.monotonic() + 5
        while "process" not in host.fails("migration_busy", "echo other").why:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        driver.kill()
    pid = int(started.read_text())
    try:
        assert "process %d" % pid in host.fails("migration_busy", "echo other").why
    finally:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert host.run("echo other")["changed"]


def test_check_mode_says_what_it_would_run_and_writes_nothing(host: Host) -> None:
    before = sorted(host.base.rglob("*"))
    rehearsed = host.run("touch %s" % (host.base / "touched"), check_mode=True)
    assert rehearsed["changed"] and "rc" not in rehearsed and rehearsed["command"][1] == "eval"
    assert host.run("x", check_mode=True, version="2.0.0")["changed"]  # a rehearsal has staged nothing
    assert sorted(host.base.rglob("*")) == before
    host.run("true")
    assert host.run("true", check_mode=True)["changed"] is False


@pytest.mark.parametrize(
    "code, options",
    [
        ("release_not_staged", {"version": "2.0.0"}),
        ("expression_missing", {"expression": " "}),
        ("timeout_invalid", {"timeout": 0}),
    ],
)
def test_what_is_refused_before_anything_is_touched(host: Host, code: str, options: dict[str, t.Any]) -> None:
    before = sorted(host.base.rglob("*"))
    host.fails(code, options.pop("expression", "true"), **options)
    assert sorted(host.base.rglob("*")) == before


def test_planted_links_are_not_followed(host: Host, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    host.migrations.symlink_to(elsewhere)
    host.fails("migrations_denied", "true")
    host.migrations.unlink()
    host.migrations.mkdir(mode=0o777)
    host.migrations.chmod(0o777)
    host.fails("directory_not_ours", "true")
    assert list(elsewhere.iterdir()) == []


def test_only_so_many_logs_are_kept(host: Host) -> None:
    host.run("true")
    for number in range(KEEP + 5):
        path = host.migrations / ("0.9.%d-x.log" % number)
        path.touch()
        os.utime(path, (number, number))
    newest = host.run("echo last")["log_file"]
    assert len(list(host.migrations.glob("*.log"))) == KEEP and Path(newest).read_text() == "last\n"


class Told(Systemctl):
    def __init__(self, **shown: str) -> None:
        self.shown = {"LoadState": "loaded", **shown}

    def run(self, *argv: str, timeout: float = 30) -> tuple[int, str]:
        return 0, "".join("%s=%s\n" % item for item in self.shown.items())


def test_what_a_unit_would_start_it_with(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("TOKEN='a secret'\nB=2\n")
    env.chmod(0o600)
    me = pwd.getpwuid(os.geteuid())
    around = surroundings_of(
        Systemd(
            "a",
            Told(
                User=me.pw_name,
                WorkingDirectory="!%s" % tmp_path,
                Environment="B=1 HOME=/var/lib/a",
                EnvironmentFiles="%s (ignore_errors=no)" % env,
            ),
        )
    )
    assert (around.env["TOKEN"], around.env["B"], around.env["HOME"], around.env["USER"]) == (
        "a secret",
        "2",
        "/var/lib/a",
        me.pw_name,
    )
    assert (
        around.directory == str(tmp_path)
        and around.group == me.pw_gid
        and around.mask.values == ["a secret"]
        and around.identity() == {}
    )


@pytest.mark.parametrize(
    "code, shown",
    [
        ("unit_missing", {"LoadState": "not-found"}),
        ("user_missing", {"User": "no-such-user"}),
        ("env_file_missing", {"EnvironmentFiles": "/x/y (ignore_errors=no)"}),
    ],
)
def test_a_unit_that_does_not_tell(code: str, shown: dict[str, str]) -> None:
    with pytest.raises(BeamError) as error:
        surroundings_of(Systemd("a", Told(**shown)))
    assert error.value.code == code


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_runs_it_as_the_user_of_the_unit() -> None:
    around = surroundings_of(Systemd("a", Told(User="nobody")))
    path = around.temporary()
    try:
        argv = ["sh", "-c", "id -u; id -g; id -G"]
        told = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, cwd="/", **around.identity()
        ).stdout
        nobody = pwd.getpwnam("nobody")
        assert told.split()[:2] == [str(nobody.pw_uid), str(nobody.pw_gid)] and "0" not in told.split()[2:]
        assert os.stat(path).st_uid == nobody.pw_uid and stat.S_IMODE(os.stat(path).st_mode) == 0o700
    finally:
        os.rmdir(path)


def test_what_undoes_migrations_makes_the_next_rollout_migrate_again(host: Host) -> None:
    host.run("echo up")
    assert not host.run("echo up")["changed"]
    assert host.run("echo down", force=True, undoes=True)["changed"]
    assert [note["expression"] for note in host.done()] == ["echo down"]
    assert host.run("echo up")["changed"]
    # Also where it fails half-way: nobody knows what holds.
    host.fails("migration_failed", "exit 3", force=True, undoes=True)
    assert host.done() == []
