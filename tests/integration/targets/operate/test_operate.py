# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daily commands on a node of this machine: the playbooks of the role operate, and its modules."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.ask import connect
from ansible_collections.alchemist.beam.plugins.module_utils._node.cookie import Rotation, rotate
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom
from node_site import NAME, Site

import playbooks


class Desk:
    """An inventory of one server, which is this machine, and the playbooks."""

    def __init__(self, site: Site, where: Path) -> None:
        self.site = site
        self.inventory = where / "inventory.json"
        self.hosts: dict[str, dict[str, t.Any]] = {"h1": {}}
        self.variables: dict[str, t.Any] = {
            "beam_name": NAME,
            "beam_base": str(site.base),
            "beam_manager": "daemon",
            "beam_store": "file://%s" % (where / "store"),
            "beam_health": {
                "http": {"url": site.url, "json": {"version": "{{ rollout_expected_version }}"}},
                "passes": 1,
                "stable": 0,
            },
        }
        (where / "store").mkdir()

    def play(self, name: str, *words: str, rc: int = 0, **extra: t.Any) -> str:
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        hosts = {name: {**host, **more} for name, more in self.hosts.items()}
        group = {"beam": {"hosts": hosts, "vars": self.variables}}
        self.inventory.write_text(json.dumps({"all": {"children": group}}))
        argv = [
            "ansible-playbook",
            "-i",
            str(self.inventory),
            "alchemist.beam." + name,
            "-e",
            json.dumps(extra),
            *words,
        ]
        done = playbooks.run(argv, timeout=120)
        assert done.returncode == rc and "Traceback" not in done.stdout, done.stdout
        return done.stdout.replace('\\"', '"')


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Desk:
    return Desk(site, tmp_path)


def test_start_ping_and_version(desk: Desk) -> None:
    silent = desk.play("ping", rc=2)
    assert "The node of beacon does not run" in silent and "1 of 1 do not answer: h1." in silent
    desk.play("start", "--check")
    assert desk.site.process() is None
    desk.play("start")
    process = desk.site.process()
    assert process is not None and desk.site.answer()["version"] == "0.1.0"
    # What runs is left alone, also where `current` has moved on.
    desk.site.current("0.2.0")
    again = desk.play("start")
    assert desk.site.process() == process and "changed=0" in again
    answered = desk.play("ping")
    assert " ms " in answered and process.node in answered and "0.1.0" in answered
    told = desk.play("version")
    assert "0.1.0" in told and "0.2.0" in told and "runs another version than current" in told


def test_an_expression_in_the_node_and_beside_it(desk: Desk) -> None:
    desk.play("start")
    process = desk.site.process()
    assert process is not None
    more = {"beam_confirm": "production", "beam_timeout": 20}
    refused = desk.play("rpc", rc=2, beam_expression="1 + 1")
    assert "Say -e beam_confirm=production if that is what you mean" in refused
    would = desk.play("rpc", "--check", beam_expression='File.write!("/nowhere", "x")')
    assert "would evaluate in the node %s" % process.node in would

    said = desk.play("rpc", beam_expression='IO.puts("hello"); {node(), 6 * 7}', **more)
    assert "h1 | hello" in said and "h1 => {:%s, 42}" % process.node in said.replace('"', "")
    # The same text as the expression is no secret.
    assert "h1 => 1" in desk.play("rpc", beam_expression="1", beam_on="first", **more)
    secret = desk.site.values["BEACON_SECRET"]
    said = desk.play("rpc", beam_expression='System.fetch_env!("BEACON_SECRET")', **more)
    assert secret not in said and "********" in said
    raised = desk.play("rpc", rc=2, beam_expression='raise "no such thing"', **more)
    assert "h1 failed: The expression failed in node %s: ** (RuntimeError) no such thing" % process.node in raised
    invalid = desk.play("rpc", rc=2, beam_expression='f("hunter2hunter2" "b")', **more)
    assert "can't be compiled" in invalid and "hunter2" not in invalid
    late = desk.play("rpc", rc=2, beam_expression="Process.sleep(:infinity)", beam_confirm="production", beam_timeout=1)
    assert "it ran for 1 s, and was killed" in late
    # Nothing of it is left, nor was anything logged.
    count = "Enum.count(Process.list(), &(Process.info(&1, :current_function) == {:current_function, {Process, :sleep, 1}}))"
    assert "h1 => 0" in desk.play("rpc", beam_expression=count, **more)
    log = (desk.site.base / "shared" / "log" / "beacon.log").read_text()
    assert "hello" not in log and "hunter2" not in log and "no such thing" not in log

    desk.site.current("0.2.0")
    own = 'Application.load(:beacon); IO.puts("beside"); {node(), Application.spec(:beacon, :vsn)}'
    said = desk.play("eval", beam_expression=own, **more)
    assert "h1 | beside" in said and "h1 => {:nonode@nohost, '0.2.0'}" in said
    raised = desk.play("eval", rc=2, beam_expression="Beacon.Nothing.at_all()", beam_version="0.1.0", **more)
    assert "The expression failed in beacon 0.1.0: ** (UndefinedFunctionError)" in raised
    late = desk.play(
        "eval", rc=2, beam_expression="Process.sleep(:infinity)", beam_confirm="production", beam_timeout=1
    )
    assert "it ran for 1 s, and was killed" in late
    assert desk.site.process() == process and not list((desk.site.base / "shared" / "run" / NAME).glob("migrate-*"))


def test_logs_and_console(desk: Desk) -> None:
    assert "h1: nothing was written" in desk.play("logs")
    assert "There is no console of h1." in desk.play("console", rc=2)
    desk.play("start")
    process = desk.site.process()
    assert process is not None
    log = desk.site.base / "shared" / "log" / "beacon.log"
    log.write_text("before\n" + log.read_text() + "the secret is %s\n" % desk.site.values["BEACON_SECRET"])
    said = desk.play("logs")
    assert "h1 | before" in said and "h1 | the secret is ********" in said
    assert "h1 | before" not in desk.play("logs", beam_since="start")
    assert "h1 | the secret" in desk.play("logs", beam_lines=1) and "before" not in desk.play("logs", beam_lines=1)
    assert "a daemon's log has no times" in desk.play("logs", rc=2, beam_since="10 min ago")
    said = desk.play("console", beam_host="h1")
    [line] = [text for text in said.splitlines() if "RELEASE_NODE=%s" % process.node in text]
    assert "/releases/0.1.0/bin/beacon remote" in line and desk.site.cookie not in line
    assert "it is no server of this play" in desk.play("console", rc=2, beam_host="h2")
    # It opens what it says: as a terminal would, but for the commands, which come from here.
    command = line.partition("h1: ")[2].strip().strip('",').replace(" remote", " rpc 'IO.puts(node())'")
    env = {**os.environ, "ERL_EPMD_PORT": str(desk.site.values["ERL_EPMD_PORT"])}
    done = subprocess.run(
        ["sh", "-c", command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == process.node


def module(called: str, **options: t.Any) -> None:
    argv = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "alchemist.beam." + called]
    python = ["-e", "ansible_python_interpreter={{ ansible_playbook_python }}"]
    playbooks.run([*argv, *python, "-a", json.dumps(options)], check=True, timeout=120)


def test_releases_and_audit(desk: Desk) -> None:
    assert "Nothing is published." in desk.play("releases")
    store = desk.variables["beam_store"]
    for version in ("0.1.0", "0.2.0"):
        (desk.site.base / "releases" / version / "releases" / "COOKIE").unlink(missing_ok=True)
        module("release_artifact", store=store, name=NAME, path=str(desk.site.base / "releases" / version))
        module("release_channel", store=store, name=NAME, channel="production", version=version, state="promoted")
    said = desk.play("releases")
    assert "previous on production" in said and "stable on production" in said
    shown = desk.play("releases", beam_releases="show")
    assert "it is stable on the channel production" in shown and " MiB in " in shown
    told = desk.play("releases", beam_releases="diff")
    assert "0.1.0 -> 0.2.0" in told and "~ application beacon 0.1.0 -> 0.2.0" in told
    assert "Every byte is right of 0.2.0, 0.1.0" in desk.play("releases", beam_releases="verify")
    dest = desk.inventory.parent / "out.tar.gz"
    desk.play("releases", beam_releases="export", beam_dest=str(dest), beam_version="0.1.0")
    assert dest.stat().st_size > 1_000_000
    assert "Say -e beam_confirm=production" in desk.play("releases", rc=2, beam_releases="prune")
    pruned = desk.play("releases", "--check", beam_releases="prune", beam_keep_published=1)
    assert "Kept 0.1.0: it is previous on the channel production." in pruned
    assert "must be one of: list, show" in desk.play("releases", rc=2, beam_releases="burn")
    said = desk.play("audit")
    assert (
        "No rollout of the channel production is known." in said
        and "production is at 0.2.0 (serial 2), moved last by" in said
    )


def test_migrate(desk: Desk) -> None:
    schema = desk.inventory.parent / "schema"
    desk.site.env(BEACON_SCHEMA_FILE=schema)
    up = {"beam_migrate": "Beacon.Release.migrate()"}
    would = desk.play("migrate", "--check", **up)
    assert "would evaluate with 0.1.0: Beacon.Release.migrate()" in would and not schema.exists()
    said = desk.play("migrate", **up)
    assert "h1 | migrated to 0.1.0" in said and "h1: done with 0.1.0" in said and schema.read_text() == "0.1.0\n"
    desk.play("migrate", **up)  # who asks for it by hand means it
    assert schema.read_text() == "0.1.0\n" * 2
    down = {"beam_direction": "down", "beam_migrate_down": 'File.rm!(System.fetch_env!("BEACON_SCHEMA_FILE"))'}
    assert "Say -e beam_confirm=production" in desk.play("migrate", rc=2, **down)
    desk.play("migrate", beam_confirm="production", **down)
    assert not schema.exists()
    shown = desk.play("migrate", beam_direction="show", beam_migrate_show="Application.load(:beacon)")
    assert "h1 => :ok" in shown
    # As the application has no repository, Ecto's own way says what it lacks.
    lacks = desk.play("migrate", rc=2, beam_direction="show")
    assert "could not fetch application environment :ecto_repos" in lacks and "beam_migrate_to is empty" in desk.play(
        "migrate", rc=2, beam_direction="down", beam_confirm="production"
    )


def peers(site: Site, other: str = "") -> list[str]:
    """With whom a node is connected; other: whom it is told to connect with before."""
    process = site.process()
    assert process is not None
    with connect(process, 5) as connection:
        if other:
            connection.call("net_kernel", "connect_node", Atom(other))
        return [str(name) for name in connection.call("erlang", "nodes")]


def test_another_cookie_for_nodes_that_stay_connected(
    desk: Desk, tmp_path: Path, releases: Path, epmd_port: int
) -> None:
    second = Site(tmp_path / "second", releases, epmd_port)
    try:
        second.env(RELEASE_COOKIE=desk.site.cookie)
        desk.hosts["h2"] = {"beam_base": str(second.base)}
        for site in (desk.site, second):
            site.run("started")
        first, other = (site.process() for site in (desk.site, second))
        assert first is not None and other is not None
        with connect(other, 5) as connection:
            there = [str(connection.call("erlang", "node"))]
        assert peers(desk.site, there[0]) == there

        new = "n" + secrets.token_hex(20)
        # A run that was cut: one node has it, and its file has not.
        with connect(first, 5) as connection:
            connection.call("erlang", "set_cookie", connection.call("erlang", "node"), Atom(new))
        given = {"beam_cookie": new, "beam_confirm": "production"}
        assert "Say -e beam_confirm=production" in desk.play("rotate", rc=2, beam_cookie=new)
        said = desk.play("rotate", **given)
        assert "it had it" in said and " new " in said and new not in said
        assert peers(desk.site) == there
        assert [site.process() for site in (desk.site, second)] == [first, other]
        wanted = Rotation(new)
        assert [rotate({"current": site.manager}, wanted)["changed"] for site in (desk.site, second)] == [False, False]
        # Nothing restarts a node for it, and after a restart they find each other again.
        assert not second.run().plan.changed
        second.run(force=True)
        assert peers(desk.site, there[0]) == there
        for site in (desk.site, second):
            process = site.process()
            assert process is not None and new.encode() not in Path("/proc/%d/cmdline" % process.pid).read_bytes()
            assert new not in (site.base / "shared" / "log" / "beacon.log").read_text()
    finally:
        second.clean()
