# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With real releases and the module itself: an expression of a staged release, beside a node that runs."""

from __future__ import annotations

import glob
import json
import os
import sys
import time
import typing as t
from pathlib import Path

from node_site import NAME, Site

import playbooks

COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(Path(__file__).resolve().parents[7])


def module(site: Site, expression: str, *words: str, fails: str = "", **options: t.Any) -> dict[str, t.Any]:
    given = {
        "name": NAME,
        "base": str(site.base),
        "manager": "daemon",
        "version": "0.2.0",
        "expression": expression,
        **options,
    }
    argv = [
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-m",
        "alchemist.beam.beam_migrate",
        "-a",
        json.dumps(given),
        *words,
    ]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = playbooks.run(argv, env, timeout=120)
    text = done.stdout
    assert str(site.values["BEACON_SECRET"]) not in text and site.cookie not in text
    result = dict(json.loads(text[text.index("=> {") + 3 : text.rindex("}") + 1]))
    assert result.get("error", {}).get("code", "") == fails and (done.returncode != 0) is bool(fails), text
    return result


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_code_of_the_staged_release_runs_once_beside_the_node(site: Site) -> None:
    site.run()
    pid = site.process()
    assert pid is not None
    marker = site.base / "shared" / "marker"
    # Its own version, that no distribution is on, that the application is not started, and what the environment says.
    expression = (
        "{:ok, _} = :application.ensure_all_started(:logger); :ok = Application.load(:beacon); "
        'IO.inspect([vsn: to_string(Application.spec(:beacon, :vsn)), alive: Node.alive?(), port: System.get_env("PORT"), '
        "started: List.keymember?(Application.started_applications(), :beacon, 0)]); "
        'IO.puts("secret " <> System.get_env("BEACON_SECRET")); File.write!("%s", "x", [:append])' % marker
    )
    rehearsed = module(site, expression, "--check")
    assert rehearsed["changed"] and rehearsed["command"][1:] == ["eval", expression] and not marker.exists()
    first = module(site, expression)
    assert first["changed"] and first["rc"] == 0
    assert (
        '[vsn: "0.2.0", alive: false, port: "%d", started: false]' % site.port in first["output"]
        and "secret ********" in first["output"]
    )
    again = module(site, expression)
    assert again["changed"] is False and marker.read_text() == "x"
    assert module(site, expression, force=True)["changed"] and marker.read_text() == "xx"
    now = site.process()
    assert now is not None and now.identity == pid.identity and site.answer()["version"] == "0.1.0"
    kept = list((site.base / "shared" / "migrations").glob("0.2.0-*.log"))
    assert kept and not [
        path for path in kept if str(site.values["BEACON_SECRET"]) in path.read_text() or path.stat().st_mode & 0o077
    ]
    assert not list((site.base / "shared" / "run" / NAME).glob("migrate-*"))


def test_a_name_in_vm_args_is_not_for_a_migration(site: Site) -> None:
    """Else it would be a second node of that name, on the port of the one that runs."""
    path = site.base / "releases" / "0.2.0" / "releases" / "0.2.0" / "vm.args"
    kept = path.read_text()
    path.unlink()
    path.write_text(kept + "\n-name shop@127.0.0.1\n-erl_epmd_port %d\n-start_epmd false\n+P 131072\n" % site.port)
    site.run()
    found = module(site, "IO.inspect({Node.alive?(), :erlang.system_info(:process_limit)})")
    assert "{false, 131072}" in found["output"]


def test_every_way_of_failing_is_told(site: Site) -> None:
    raised = module(site, 'raise "no such column " <> System.get_env("BEACON_SECRET")', fails="migration_failed")
    assert (
        raised["rc"] == 1
        and [line for line in raised["output"] if "no such column ********" in line]
        and "0.2.0" in raised["msg"]
    )
    halted = module(site, "System.halt(3)", fails="migration_failed")
    assert halted["rc"] == 3 and "exit status 3" in halted["msg"]
    assert module(site, "this is no Elixir", fails="migration_failed")["rc"] == 1
    assert module(site, "IO.puts(1)", version="9.9.9", fails="release_not_staged")["changed"] is False
    assert site.leftovers() == []


def test_what_hangs_is_killed_at_the_deadline_with_what_it_started(site: Site) -> None:
    begun = time.monotonic()
    # A program of its own, and a VM that hears SIGTERM and yet does not end.
    expression = ':os.cmd(~c"setsid sleep 333.25 > /dev/null &"); :os.set_signal(:sigterm, :ignore); IO.puts("waiting"); Process.sleep(:infinity)'
    hung = module(site, expression, timeout=3, fails="migration_failed")
    assert hung["timed_out"] and "waiting" in hung["output"] and time.monotonic() - begun < 40
    assert site.leftovers() == [] and not [
        path for path in map(Path, glob.glob("/proc/[0-9]*/cmdline")) if b"sleep\0333.25" in _content(path)
    ]
    module(site, "IO.puts(1)")


def test_a_deploy_that_lost_its_lock_migrates_nothing(site: Site) -> None:
    state = {
        "schema": 1,
        "name": NAME,
        "installed": {},
        "current": None,
        "previous": None,
        "seen": {},
        "fences": {"production": 8},
    }
    (site.base / "state.json").write_text(json.dumps(state))
    module(site, "IO.puts(1)", fence=7, fence_channel="production", fails="lock_lost")
    assert not (site.base / "shared" / "migrations").exists()
    assert module(site, "IO.puts(1)", fence=8, fence_channel="production")["rc"] == 0
