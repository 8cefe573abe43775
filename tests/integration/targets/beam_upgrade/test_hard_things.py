# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""examples/hard_things: each thing that makes a hot upgrade hard either works, or is named before or after. What its README says is what is seen here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import typing as t

import pytest
import test_upgrade
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from node_site import NAME, Site
from test_upgrade import EXAMPLES, Server

bare = test_upgrade.bare  # the fixture
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
SESSIONS = 300


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("hard")
    location = "file://%s" % tmp_path_factory.mktemp("hard-store")
    for version in VERSIONS:
        source, tree = made / ("source-" + version), made / version
        subprocess.run([sys.executable, str(EXAMPLES / "make_hard.py"), str(source), version], check=True)
        argv = ["mix", "release", "--quiet", "--path", str(tree)]
        env = {**os.environ, "MIX_ENV": "prod"}
        subprocess.run(argv, cwd=source, env=env, check=True, stdin=subprocess.DEVNULL)
        run_artifact({"store": location, "state": "present", "name": NAME, "path": str(tree)}, False)
    return location


class Connection:
    """A line sent, and what comes back: how many lines were read, the generation of who accepted it, and that of who answers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.file = self.socket.makefile("rwb", buffering=0)

    def ask(self) -> tuple[int, int, int]:
        self.file.write(b"?\n")
        count, accepted, speaks = self.file.readline().split()
        return int(count), int(accepted), int(speaks)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def call(server: Server, module: str, function: str, arguments: str = "") -> t.Any:
    return server.run("'Elixir.Beacon.Hard.%s':%s(%s)." % (module, function, arguments))


def modules(groups: t.Sequence[dict[str, t.Any]]) -> dict[str, int]:
    return {str(one["module"]).rpartition(".")[2]: one["count"] for one in groups}


def test_each_works_or_is_named(bare: Site, hard: str) -> None:
    server = Server.__new__(Server)
    server.site = bare
    for version in ("1.2.0", "1.1.0", "1.0.0"):
        server.install(hard, version, "active" if version == "1.0.0" else "staged")
    bare.run()
    process = server.process()

    # All of them are at work.
    port = call(server, "Acceptors", "port")[1]
    line = Connection(port)
    assert [line.ask(), line.ask()] == [(1, 1, 1), (2, 1, 1)]
    assert call(server, "Session", "open", str(SESSIONS)) == SESSIONS
    total = SESSIONS * (SESSIONS + 1) // 2
    assert call(server, "Session", "summary") == ({1: SESSIONS}, total)
    assert call(server, "Door", "push") == ("open", 1, 1)
    owner = call(server, "Table", "increment")[1]
    assert call(server, "Callbacks", "call") == (1, 1)
    assert call(server, "Native", "answer") == 41
    server.run("{ok, P} = 'Elixir.Beacon.Hard.Long':'begin'(), register(long, P), ok.")
    server.run("gen_server:cast('Elixir.Beacon.Hard.Slow', work).")

    # The plan names the processes that stay in the middle of changed code.
    plan = server.upgrade("1.1.0", check_mode=True)
    assert (plan["action"], plan["blockers"]) == ("hot", [])
    inside = modules(plan["inside"])
    assert inside.pop("Connection") == 1 and inside.pop("Acceptor") == 3 and inside.pop("Long") == 1, plan["inside"]
    assert modules(plan["processes"]) == {"Session": SESSIONS, "Door": 1, "Slow": 1, "Callbacks": 1, "Table": 1}

    # One that answers nobody is named, and nothing has changed.
    error = server.fails("upgrade_failed", "1.1.0", suspend_timeout=0.6)
    assert error.details["phase"] == "suspend" and "Beacon.Hard.Slow" in error.why
    assert call(server, "Session", "summary") == ({1: SESSIONS}, total) and line.ask() == (3, 1, 1)
    server.run("'Elixir.Beacon.Hard.Slow' ! go, ok.")

    done = server.upgrade("1.1.0")
    assert (done["action"], done["suspended"]) == ("hot", SESSIONS + 4)
    print("suspended %.1f ms, %d processes" % (done["suspended_ms"], done["suspended"]))
    # Who stays in old code is named: in accept, in recv, in a task.
    assert modules(done["old_code"]) == {"Acceptor": 3, "Connection": 1, "Long": 1}
    assert server.process().identity == process.identity
    assert call(server, "Session", "summary") == ({2: SESSIONS}, total)
    assert call(server, "Door", "push") == ("closed", 2, 2)
    assert call(server, "Table", "increment") == (2, owner, 2)
    assert call(server, "Slow", "generation") == (2, 2)
    assert call(server, "Callbacks", "call") == (1, 2), "the function in the state is the old one, and works"
    assert call(server, "Table", "call") == 1
    assert call(server, "Native", "answer") == 41
    assert call(server, "Speak", "speak", "5") == b"number 5" and call(server, "Speak", "speak", "hello") == b"hello 2"
    # The connection stays. It answers once more from where it waited, and is in new code from then on.
    assert [line.ask(), line.ask()] == [(4, 1, 1), (5, 1, 2)]
    # So does each that accepts: what waited in the old code accepts one more.
    others = [Connection(port) for _unused in range(4)]
    assert sorted(one.ask()[1] for one in others) == [1, 1, 1, 2]

    # What is still in old code is what the next upgrade waits for, by name; the plan and the refusal agree.
    back = {"downgrade": True}
    assert server.blocked("1.0.0", **back) == ["old_code_in_use"]
    why = server.fails("upgrade_blocked", "1.0.0", **back).why
    assert "Beacon.Hard.Long" in why and "Acceptor" not in why
    assert "Beacon.Hard.Callbacks (<" in why and "Beacon.Hard.Table (table 'Elixir.Beacon.Hard.Table')" in why, why
    server.run("long ! done, ok.")
    call(server, "Callbacks", "renew")
    call(server, "Table", "renew")
    # The library of a NIF is another one, though its module is not: the loaded one would stay.
    assert server.blocked("1.2.0") == ["native_code"]
    assert "beacon/priv/hard.so" in server.fails("upgrade_blocked", "1.2.0").why

    down = server.upgrade("1.0.0", **back)
    assert down["action"] == "hot" and server.process().identity == process.identity
    assert call(server, "Session", "summary") == ({1: SESSIONS}, total) and call(server, "Door", "push") == (
        "open",
        3,
        1,
    )
    assert call(server, "Callbacks", "call") == (2, 1) and call(server, "Table", "call") == 2
    for one in (line, *others):
        one.close()
