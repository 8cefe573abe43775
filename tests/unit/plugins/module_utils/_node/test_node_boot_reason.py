# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a node did not boot, read from what nodes said. boots.txt has what releases of Elixir 1.14 on OTP 25 wrote that were made to fail (long lines cut)."""

from __future__ import annotations

import json
import os
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import Mask
from ansible_collections.alchemist.beam.plugins.module_utils._node import explain
from ansible_collections.alchemist.beam.plugins.module_utils._node.boot_reason import endpoint_off, fatal, of_unit, read
from ansible_collections.alchemist.beam.plugins.module_utils._node.boot_words import cut, decoded, plain, unfolded
from ansible_collections.alchemist.beam.plugins.module_utils._node.crash import crash_dumps
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target

TARGET = Target("shop", "/srv/shop/releases/1.0", "1.0")


def _boots() -> dict[str, tuple[list[str], str]]:
    found: dict[str, tuple[list[str], str]] = {}
    for part in (Path(__file__).parent / "boots.txt").read_text(encoding="utf-8").split("@@@ ")[1:]:
        name, *lines = part.splitlines()
        found[name] = (
            [line for line in lines if not line.startswith("--- ")],
            next((line[4:] for line in lines if line.startswith("--- ")), ""),
        )
    return found


BOOTS = _boots()
TABLE = [
    (
        "fetch",
        "setting_missing",
        True,
        'could not fetch environment variable "SECRET_KEY_BASE" because it is not set',
        "Give SECRET_KEY_BASE in beam_env",
    ),
    (
        "phx",
        "setting_missing",
        True,
        "** (RuntimeError) environment variable SECRET_KEY_BASE is missing. You can generate one by calling: mix phx.gen.secret",
        "vault",
    ),
    (
        "env",
        "setting_missing",
        True,
        '"STRIPE_KEY" because it is not set (lib/boom.ex:44)',
        "Give STRIPE_KEY in beam_env",
    ),
    (
        "int",
        "setting_invalid",
        True,
        '1st argument: not a textual representation of an integer in :erlang.binary_to_integer("abc")',
        "beam_env",
    ),
    ("intnil", "setting_invalid", True, "not a binary in :erlang.binary_to_integer(nil)", "or none"),
    ("existing", "setting_invalid", True, "not an already existing atom", "beam_env"),
    (
        "read",
        "file_missing",
        True,
        '"/etc/boom/key.pem": no such file or directory',
        "Put /etc/boom/key.pem on the host",
    ),
    ("providermatch", "file_missing", True, ":enoent", "beam_env"),
    ("provider", "denied", True, "vault at https://vault:8200 answered 403 permission denied", "refuses it"),
    ("listen", "port_in_use", True, "{:error, :eaddrinuse} (lib/boom.ex:21)", "ss -ltnp"),
    (
        "nested",
        "port_in_use",
        True,
        "** (MatchError) no match of right hand side value: {:error, :eaddrinuse}",
        "Stop it, or give another port",
    ),
    ("listenerr-eacces", "denied", True, "** (EXIT) :eacces", "service_low_ports: true"),
    (
        "ranch-eacces",
        "cannot_listen",
        True,
        "Failed to start Ranch listener ChatWeb.Endpoint.HTTP",
        "not listen on port 80",
    ),
    ("listen-addr", "cannot_listen", True, ":eaddrnotavail", "an address that this host does not have"),
    ("distport", "port_in_use", True, "Protocol 'inet_tcp': register/listen error: eaddrinuse", "service_dist_port"),
    ("inet6", "cannot_listen", True, "Protocol 'inet6_tcp': register/listen error: badarg", "-proto_dist"),
    (
        "write",
        "read_only",
        True,
        '"/srv/boom/releases/0.1.0/lib/boom-0.1.0/priv/latest.txt": permission denied',
        "below releases/ is read-only",
    ),
    ("writeroot", "denied", True, '"/etc/boom.txt": permission denied', "write to /etc/boom.txt"),
    ("mkdir", "file_missing", True, '"/srv/boom-data/uploads": no such file', "Put /srv/boom-data/uploads on the host"),
    ("db", "unreachable", True, ":econnrefused", "does not answer from this host"),
    # Of the release itself.
    ("bug", "config_failed", False, "function Boom.Nope.call/0 is undefined", "config/runtime.exs"),
    ("raise", "raised", False, "** (RuntimeError) the release's own bug (lib/boom.ex:34)", "Correct the release"),
    ("undef", "raised", False, "function Boom.Nope.call/0 is undefined", "Correct the release"),
    ("appraise", "raised", False, "** (RuntimeError) start raised (lib/boom.ex:60)", "Correct the release"),
    (
        "apperror",
        "ended",
        False,
        "the application boom ended: Boom.Application.start(:normal, []) returned an error: :no_license",
        "log",
    ),
    ("exit", "ended", False, "** (EXIT) :bad_day", "log"),
    ("nif", "nif", False, "priv/nope.so: cannot open shared object file", "library"),
    (
        "onload",
        "nif",
        False,
        "Failed to load NIF library: '/srv/boom/releases/0.1.0/lib/boom-0.1.0/priv/nope.so",
        "library",
    ),
    ("badflag", "vm_flags", False, "bad -n option onsense", "vm.args"),
]


@pytest.mark.parametrize(("name", "kind", "setting", "words", "hint"), TABLE, ids=[row[0] for row in TABLE])
def test_the_first_cause_is_the_reason(name: str, kind: str, setting: bool, words: str, hint: str) -> None:
    lines, slogan = BOOTS[name]
    # Under systemd it starts again, and other lines come before and after.
    other = [
        "12:00:00.000 [info] Running migrations",
        *lines,
        "shop.service: Scheduled restart job, restart counter is at 1.",
        *BOOTS["exit"][0],
    ]
    for said in (lines, other):
        found = read(said, slogan)
        assert found is not None and (found.kind, found.setting) == (kind, setting), found
        assert words in found.text and hint in found.hint and "<<" not in found.text


def test_every_recorded_boot_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == set(BOOTS)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("env", "setting_missing", 'could not fetch environment variable "STRIPE_KEY"'),
        ("fetch", "setting_missing", "an environment variable"),
        ("int", "setting_invalid", ":erlang.binary_to_integer()"),
        ("raise", "raised", "the release's own bug"),
        (
            "write",
            "read_only",
            'could not write to file "/srv/boom/releases/0.1.0/lib/boom-0.1.0/priv/latest.txt": permission denied',
        ),
        ("listen", "port_in_use", "right hand side value: {error,eaddrinuse}"),
        ("onload", "nif", "Failed to load NIF library"),
    ],
)
def test_a_slogan_alone(name: str, kind: str, words: str) -> None:
    """Where nothing was logged, or the log is gone."""
    found = read([], BOOTS[name][1])
    assert found is not None and found.kind == kind and words in found.text


@pytest.mark.parametrize(
    "name",
    [
        "fetch",
        "int",
        "intnil",
        "existing",
        "read",
        "bug",
        "providermatch",
        "phx",
        "listen",
        "write",
        "undef",
        "raise",
        "env",
    ],
)
def test_the_last_words_alone(name: str) -> None:
    """The VM may end before what it wanted to say has reached the log: then the term tells the same."""
    whole = read(BOOTS[name][0])
    found = read([one for one in BOOTS[name][0] if one.startswith(("{", "init term", "Kernel"))])
    assert whole is not None and found is not None and (found.kind, found.setting) == (whole.kind, whole.setting), found


def line(text: str) -> t.Any:
    return read([text])


@pytest.mark.parametrize(
    ("text", "kind", "setting", "words"),
    [
        ("** (RuntimeError) environment variable FOO is missing", "setting_missing", True, "Give FOO in beam_env"),
        ("** (RuntimeError) Missing environment variable `API_TOKEN`!", "setting_missing", True, "Give API_TOKEN"),
        ("** (ArgumentError) PHX_HOST must be set", "setting_missing", True, "Give PHX_HOST"),
        (
            "** (RuntimeError) expected the environment variable DATABASE_URL to be set",
            "setting_missing",
            True,
            "Give DATABASE_URL",
        ),
        ("** (Vapor.LoadError) Env vars not set: STRIPE_KEY, OTHER", "setting_missing", True, "Give STRIPE_KEY"),
        ("** (RuntimeError) Missing required environment variables: FOO, BAR", "setting_missing", True, "Give FOO"),
        (
            '** (ArgumentError) Environment variable "PORT" can not be cast to integer',
            "setting_invalid",
            True,
            "beam_env",
        ),
        ("** (Ecto.InvalidURLError) invalid URL , path should be a database name", "setting_invalid", True, "beam_env"),
        (
            "** (ArgumentError) cookie store expects conn.secret_key_base to be at least 64 bytes",
            "setting_invalid",
            True,
            "beam_env",
        ),
        (
            "** (ArgumentError) could not fetch application environment :key for application :boom because it was not set",
            "raised",
            False,
            "",
        ),
        (
            "** (EXIT) {:options, {:certfile, '/etc/ssl/x.pem', {:error, :enoent}}}",
            "file_missing",
            True,
            "Put /etc/ssl/x.pem on the host",
        ),
        ("Can't set long node name!", "name_invalid", True, "RELEASE_NODE"),
        ("** Hostname h1 is illegal **", "name_invalid", True, "service_node"),
        (
            "Failed to create cookie file '/var/lib/a/.erlang.cookie': eacces",
            "cookie",
            True,
            "the role alchemist.beam.service",
        ),
        ("a.service: Main process exited, code=exited, status=217/USER", "user_missing", True, "service_user"),
        ("** (KeyError) key :FOO_BAR not found in: %{}", "raised", False, "Correct the release"),
        (
            '** (Postgrex.Error) ERROR 42P01 (undefined_table) relation "shops" does not exist',
            "raised",
            False,
            "Correct the release",
        ),
        (
            '** (Postgrex.Error) FATAL 28P01 (invalid_password) password authentication failed for user "shop"',
            "refused",
            True,
            "database name in beam_env",
        ),
        ("** (Exqlite.Error) unable to open database file", "read_only", True, "/var/lib/<unit>"),
        (
            '** (File.Error) could not write to file "/srv/a/current/x": read-only file system',
            "read_only",
            True,
            "below releases/",
        ),
        (
            '** (File.Error) could not write to file "/opt/a/x": read-only file system',
            "read_only",
            True,
            "add /opt/a/x to service_writable_paths",
        ),
        ('** (File.Error) could not write to file "/data/x": no space left on device', "disk_full", True, "Make room"),
        (
            '** (File.Error) could not read file "/srv/a/releases/1/lib/a-1/priv/x": no such file or directory',
            "raised",
            False,
            "Correct the release",
        ),
        (
            "10:00:01.1 [error] Running ChatWeb.Endpoint with Bandit 1.5.7 at http failed, port 4000 already in use",
            "port_in_use",
            True,
            "sport = :4000",
        ),
        (
            "/srv/a/erts-13/bin/beam.smp: error while loading shared libraries: libtinfo.so.6: cannot open shared object file: No such file or directory",
            "library_missing",
            True,
            "package that has libtinfo.so.6",
        ),
        (
            "/srv/a/beam.smp: /lib/libc.so.6: version `GLIBC_2.38' not found (required by x)",
            "library_too_old",
            False,
            "GLIBC_2.38",
        ),
        (
            'eheap_alloc: Cannot allocate 1318267840 bytes of memory (of type "heap").',
            "out_of_memory",
            False,
            "MemoryMax",
        ),
        ("a.service: A process of this unit has been killed by the OOM killer.", "out_of_memory", False, "MemoryMax"),
        (
            "a.service: Failed at step EXEC spawning /srv/a/current/bin/a: Permission denied",
            "exec_denied",
            True,
            "noexec",
        ),
        (
            "a.service: Failed at step USER spawning /srv/a/current/bin/a: No such process",
            "user_missing",
            True,
            "service_user",
        ),
        (
            "a.service: Failed at step NAMESPACE spawning /srv/a/current/bin/a: No such file or directory",
            "namespace",
            True,
            "service_writable_paths",
        ),
        (
            "a.service: Failed at step CHDIR spawning /srv/a/current/bin/a: No such file or directory",
            "denied",
            True,
            "alchemist.beam.setup",
        ),
        ("a.service: Main process exited, code=killed, status=31/SYS", "denied", True, "SystemCallFilter"),
        ("a.service: Main process exited, code=dumped, status=5/TRAP", "memory_exec", True, "service_jit: true"),
        ("# Check failed: 12 == (*__errno_location ()).", "memory_exec", True, "service_jit: true"),
        (
            '** (ErlangError) Erlang error: "failed to make memory executable: Operation not permitted"',
            "memory_exec",
            True,
            "service_jit: true",
        ),
        (
            "[0101/1.1:FATAL:zygote_host_impl_linux.cc] No usable sandbox! Update your kernel",
            "denied",
            True,
            "RestrictNamespaces",
        ),
        ("a.service: Start request repeated too quickly.", "start_limit", False, "service_start_limit_burst"),
        ("a.service: Watchdog timeout (limit 30s)!", "watchdog", False, "service_watchdog"),
    ],
)
def test_words_and_whose_fault(text: str, kind: str, setting: bool, words: str) -> None:
    found = line(text)
    assert found is not None and (found.kind, found.setting) == (kind, setting), found
    assert words in "%s %s" % (found.text, found.hint)


@pytest.mark.parametrize(
    ("text", "kind", "setting"),
    [
        ("** (MatchError) no match of right hand side value: :error", "setting_invalid", True),
        ("** (FunctionClauseError) no function clause matching in String.split/2", "setting_invalid", True),
        ("** (CaseClauseError) no case clause matching: nil", "setting_invalid", True),
        ("** (RuntimeError) SHOP_MODE must be a or b", "setting_invalid", True),
        ("** (CompileError) config/runtime.exs:3: undefined function foo/0", "config_failed", False),
        ("** (KeyError) key :b not found in: %{}", "config_failed", False),
    ],
)
def test_what_the_configuration_makes_of_its_settings(text: str, kind: str, setting: bool) -> None:
    found = read(
        ["ERROR! Config provider Config.Reader failed with:", text, "    (elixir 1.18.4) lib/config.ex:1: Config.x/1"]
    )
    assert found is not None and (found.kind, found.setting) == (kind, setting), found
    # The same of the release's code speaks against it.
    alone = line(text)
    assert setting is False or alone.kind == "raised", alone


def test_a_message_of_several_lines() -> None:
    """As Elixir 1.19 writes it."""
    lines = [
        "12:00:00.1 [notice] Application a exited: A.start(:normal, []) returned an error: shutdown: failed to start child: A.B",
        "    ** (EXIT) an exception was raised:",
        "        ** (MatchError) no match of right hand side value:",
        "",
        "            {:error, :eaddrinuse}",
        "",
        "            (a 0.1.0) lib/a.ex:21: A.B.init/1",
    ]
    found = read(lines)
    assert (
        found is not None
        and found.text == "** (MatchError) no match of right hand side value: {:error, :eaddrinuse} (lib/a.ex:21)"
    )


def test_what_a_node_survives_is_not_why_it_ended() -> None:
    trouble = "12:00:00.1 [error] Postgrex.Protocol (#PID<0.5.0>) failed to connect: ** (DBConnection.ConnectionError) tcp connect (db:5432): econnrefused"
    found = read([trouble, *BOOTS["raise"][0]])
    assert found is not None and found.kind == "raised"
    alone = read([trouble])
    assert alone is not None and alone.kind == "unreachable" and alone.setting


def test_a_logger_that_writes_json() -> None:
    message = 'GenServer A terminating\n** (System.EnvError) could not fetch environment variable "A_B" because it is not set\n    (shop 1.0) lib/x.ex:1: f/0'
    found = read([json.dumps({"time": "12:00", "severity": "error", "message": message})])
    assert found is not None and found.kind == "setting_missing" and "lib/x.ex:1" in found.text
    assert unfolded(['{"a": 1}', "{not json}"]) == ['{"a": 1}', "{not json}"]


def test_nothing_is_made_up() -> None:
    assert read([]) is None and read(["12:00:00.1 [info] Running", "GET /", "200 in 3ms"]) is None
    assert not fatal(["** (RuntimeError) of a request"]) and fatal(BOOTS["exit"][0]) and fatal(BOOTS["distport"][0])


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("<<104,101,108,108,111>>", '"hello"'),
        ("<<104, 195, 164>>", '"hä"'),
        ('<<"hello"/utf8>>', '"hello"'),
        ('<<\\"hello\\">>', '"hello"'),
        ("[104,101,108,108,111]", '"hello"'),
        ("[1,2,3]", "[1,2,3]"),
        ("<<0,1,2>>", "<<0,1,2>>"),
        ("{error,[]}", "{error,[]}"),
        # Cut off in the middle of a number: the last word is not whole either.
        ("({#{message=><<101,110,118,32,118,97,114,32,105,115,32,98,12", '({#{message=>"env var is …"'),
    ],
)
def test_bytes_become_text(text: str, readable: str) -> None:
    assert decoded(text) == readable


def test_cuts_keep_words_and_paths_whole() -> None:
    text = 'could not write to file "/srv/shop/releases/1.0/lib/shop-1.0/priv/latest.txt": permission denied'
    assert cut(text, 200) == text and cut(text, 60) == "could not write to file …"
    assert cut("{a,{b,{cccccccc,ddddddd}}}", 16) == "{a,{b …"
    assert plain("\x1b[31m[error]\x1b[0m x \t") == "[error] x"


def test_the_slogan_of_a_dump_is_readable(tmp_path: Path) -> None:
    text = "Runtime terminating during boot ({#{message=><<101,110,118,32,118,97,114>>,%s})" % ",".join(
        ["{'Elixir.Config',x,1}"] * 300
    )
    (tmp_path / "erl_crash.dump").write_text("=erl_crash_dump:0.5\nSlogan: %s\n" % text)
    slogan = crash_dumps([str(tmp_path)])[0]["slogan"]
    assert (
        slogan.startswith('Runtime terminating during boot ({#{message=>"env var"')
        and len(slogan) <= 600
        and slogan.endswith(" …")
    )


def test_the_slogan_of_a_dump_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    told = (
        "no login as ecto://shop:swordfish-1@db/x nor by swordfish-1 or c3dvcmRmaXNoLTE=, "
        + "x" * 480
        + " swordfish-1 and more of it"
    )
    (tmp_path / "erl_crash.dump").write_text("=erl_crash_dump:0.5\nSlogan: %s\n" % told)
    slogan = crash_dumps([str(tmp_path)], Mask({"DATABASE_URL": "ecto://shop:swordfish-1@db/x"}))[0]["slogan"]
    assert (
        slogan.startswith("no login as ******** nor by ******** or ********")
        and "swordf" not in slogan
        and "c3dv" not in slogan
    )


@pytest.mark.parametrize(
    ("result", "status", "kind", "words"),
    [
        ("exit-code", "203", "exec_denied", "203/EXEC"),
        ("exit-code", "217", "user_missing", "the user of the unit does not exist"),
        ("oom-kill", "9", "out_of_memory", "OOM"),
        ("start-limit-hit", "1", "start_limit", "started too often"),
    ],
)
def test_what_systemd_knows_without_a_log(result: str, status: str, kind: str, words: str) -> None:
    found = of_unit(result, status)
    assert found is not None and found.kind == kind and words in found.text
    assert of_unit("exit-code", "1") is None and of_unit("", "") is None


def test_selinux_is_named() -> None:
    found = read(["a.service: Failed at step EXEC spawning /srv/a/current/bin/a: Permission denied"], selinux=True)
    assert found is not None and "SELinux is enforcing" in found.text and "restorecon" in found.hint
    unread = of_unit("exit-code", "203", selinux=True)
    assert unread is not None and "SELinux" in unread.text


# What becomes of an error.


def told(
    code: str,
    why: str,
    lines: t.Sequence[str],
    alive: bool = False,
    env: t.Optional[t.Mapping[str, str]] = None,
    **details: t.Any,
) -> BeamError:
    return explain.explained(
        BeamError(code, "systemd could not start shop.service", why, "Read", **details),
        lines,
        "",
        alive,
        TARGET,
        env or {},
    )


def test_a_setting_is_no_verdict() -> None:
    error = told("node_died", "it is activating (auto-restart), exit-code, exit status 1", BOOTS["phx"][0])
    assert error.code == "misconfigured" and error.details["cause"] == "setting_missing"
    assert error.message.startswith(
        "systemd could not start shop.service: ** (RuntimeError) environment variable SECRET_KEY_BASE is missing."
    )
    assert "auto-restart" not in error.message and "alchemist.beam.setup" in error.hint


def test_a_bug_stays_one() -> None:
    error = told("node_died", "exit status 1", BOOTS["raise"][0])
    assert (
        error.code == "node_died"
        and error.why == "** (RuntimeError) the release's own bug (lib/boom.ex:34) (exit status 1)"
    )
    assert told("node_died", "exit status 1", []).why == "exit status 1"
    assert told("unit_masked", "masked", BOOTS["phx"][0]).why == "masked"


def test_systemd_is_asked_where_the_log_says_nothing() -> None:
    error = told("node_died", "it is failed", [], result="exit-code", exit_status="217")
    assert error.code == "misconfigured" and "the user of the unit does not exist" in error.message


OFF = "12:28:01.1 [info] Configuration :server was not enabled for ChatWeb.Endpoint, http/https services won't start"
REFUSED = "not healthy within 20 s: http://127.0.0.1:4000/health fails: Connection refused"


def test_phoenix_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    error = told("unhealthy", REFUSED, [OFF], alive=True)
    assert (
        error.code == "misconfigured"
        and "ChatWeb.Endpoint does not listen" in error.why
        and 'PHX_SERVER: "true"' in error.hint
    )
    assert endpoint_off([OFF]) == "ChatWeb.Endpoint" and "PHX_SERVER" in explain.note_of([OFF], None, TARGET)
    assert explain.note_of(["x"], None, TARGET) == ""
    # With a logger that does not say it.
    monkeypatch.setattr(explain, "phoenix", lambda target: True)
    assert told("unhealthy", REFUSED, [], alive=True, env={"PORT": "4000"}).code == "misconfigured"
    assert told("unhealthy", REFUSED, [], alive=True, env={"PHX_SERVER": "true"}).code == "unhealthy"
    assert told("unhealthy", REFUSED, [], alive=True).code == "unhealthy"  # nothing is known
    assert told("unhealthy", "answers 503", [OFF], alive=True).code == "unhealthy"


def test_an_endpoint_that_is_silent_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger that begins at warnings: its sockets tell."""
    (tmp_path / "lib" / "phoenix-1.8.8").mkdir(parents=True)
    target = Target("shop", str(tmp_path), "1.0")
    process = NodeProcess(os.getpid(), 1)
    monkeypatch.setattr(explain, "environment_of", lambda pid: {"PORT": "4000"})
    monkeypatch.setattr(explain, "listening", lambda pid: {0})
    assert "PHX_SERVER" in explain.note_of([], process, target)
    monkeypatch.setattr(explain, "listening", lambda pid: {4000})
    assert explain.note_of([], process, target) == "" and explain.note_of([], process, TARGET) == ""
    monkeypatch.undo()
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] in (explain.listening(os.getpid()) or ())
    assert server.fileno() == -1 and explain.listening(2**22 + 1) is None


def test_a_node_that_is_up_and_not_well() -> None:
    error = told("unhealthy", "answers 503", BOOTS["raise"][0], alive=True)
    assert error.code == "unhealthy" and error.why.startswith("answers 503; its log says: ** (RuntimeError)")
    assert told("unhealthy", "answers 503", ["GET /"], alive=True).why == "answers 503"


def test_a_long_log_is_read_at_once() -> None:
    begun = time.process_time()  # it only computes, and other tests run beside it
    assert read(["12:00:00.1 [info] " + "word/" * 400, "x" * 20000, "GET /a: 200 " * 100] * 1000) is None
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("node", "interface", "noted"),
    [
        ("shop@127.0.0.1", "0.0.0.0", True),
        ("shop@localhost", "::", True),
        ("shop@127.0.0.1", "127.0.0.1", False),
        ("shop@10.0.0.5", "0.0.0.0", False),
        ("shop@127.0.0.1", "", False),
        ("", "0.0.0.0", False),
        ("shop@app1.internal", "0.0.0.0", False),
    ],
)
def test_a_node_of_a_cluster_that_no_other_one_reaches_is_noted(node: str, interface: str, noted: bool) -> None:
    said = explain.alone(NodeProcess(1, 1, node=node, interface=interface))
    assert (
        ("service_node, such as shop@{{ ansible_host }}" in said) is noted
        and bool(said) is noted
        and explain.alone(None) == ""
    )
