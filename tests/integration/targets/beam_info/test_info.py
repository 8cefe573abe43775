# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Through Ansible, as people use it: both modules with manager=daemon, as root and as somebody else."""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.info import gather
from node_site import NAME, Site

import playbooks


def ansible(module: str, options: dict[str, t.Any], *words: str, fails: bool = False) -> dict[str, t.Any]:
    argv = [
        "ansible",
        "localhost",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        "ansible_python_interpreter={{ ansible_playbook_python }}",
    ]
    done = playbooks.run([*argv, "-m", "alchemist.beam." + module, "-a", json.dumps(options), *words])
    assert (done.returncode != 0) is fails, done.stdout
    result = json.loads(done.stdout[done.stdout.index("=> {") + 3 : done.stdout.rindex("}") + 1])
    return {**result, "shown": done.stdout}


def test_the_modules(site: Site) -> None:
    options = {"name": NAME, "base": str(site.base), "manager": "daemon"}
    health = {"http": {"url": site.url, "json": {"ready": True}}, "passes": 2, "interval": 0.05}

    nothing = ansible("beam_info", {**options, "expect_version": "0.1.0"})
    assert nothing["running"] is False and nothing["restart"] == {"action": "start", "reason": "it does not run"}
    check = ansible("beam_restart", {**options, "health": health}, "--check")
    assert check["changed"] is True and check["action"] == "start" and site.process() is None
    assert not (site.base / "shared" / "run").exists()

    done = ansible("beam_restart", {**options, "health": health}, "--diff")
    assert (
        done["changed"] is True and "-not running\n+running 0.1.0 from %s/releases/0.1.0\n" % site.base in done["shown"]
    )
    again = ansible("beam_restart", {**options, "health": health})
    assert again["changed"] is False and again["before"] == again["after"]

    info = ansible("beam_info", options)
    assert info["restart"] is None
    # What is to come need not be here yet.
    foreseen = {
        version: ansible("beam_info", {**options, "expect_version": version})["restart"]
        for version in ("0.1.0", "9.9.9")
    }
    assert {version: restart["action"] for version, restart in foreseen.items()} == {
        "0.1.0": "none",
        "9.9.9": "restart",
    }
    assert foreseen["9.9.9"]["reason"] == "it runs from %s/releases/0.1.0, not %s/releases/9.9.9" % ((site.base,) * 2)
    assert (
        info["running"]
        and info["answers"]
        and info["booted"]
        and info["version"] == "0.1.0"
        and info["pid"] == done["after"]["pid"]
    )
    assert (
        info["applications"][NAME] == "0.1.0"
        and info["memory"]["total"] > 1_000_000
        and info["processes"]["count"] > 10
        and info["nodes"] == []
    )
    assert site.cookie not in json.dumps([check, done, again, info])

    site.current("0.2.0")
    assert ansible("beam_info", options)["drift"] is True
    refused = ansible("beam_restart", {**options, "expect_version": "0.1.0"}, fails=True)
    assert refused["error"]["code"] == "version_on_disk" and site.answer()["version"] == "0.1.0"

    site.env(BEACON_FAULT="never_healthy")
    failed = ansible("beam_restart", {**options, "health": {**health, "within": 1}}, fails=True)
    assert (
        failed["error"]["code"] == "unhealthy" and failed["changed"] is True and failed["after"]["version"] == "0.2.0"
    )
    assert (
        failed["log"]
        and site.values["BEACON_SECRET"] not in json.dumps(failed)
        and "Traceback" not in json.dumps(failed)
    )

    stopped = ansible("beam_restart", {**options, "state": "stopped"})
    assert stopped["changed"] is True and stopped["after"] is None and site.leftovers() == []


@pytest.fixture
def running(site: Site) -> Site:
    site.run()
    return site


def look(site: Site) -> dict[str, t.Any]:
    return gather(str(site.base), NAME, site.manager.status(), timeout=0.5)


def test_it_is_quick(running: Site) -> None:
    times = []
    for _unused in range(5):
        begin = time.process_time()
        assert look(running)["answers"]
        times.append(time.process_time() - begin)
    assert sorted(times)[2] < 0.3


def test_a_frozen_node_runs_and_does_not_answer(running: Site) -> None:
    process = running.process()
    assert process is not None
    process.signal(signal.SIGSTOP)
    facts = look(running)
    assert (
        facts["running"]
        and facts["version"] == "0.1.0"
        and not facts["answers"]
        and "does not answer" in facts["problem"]
        and facts["memory"] is None
    )


def test_crash_dumps(running: Site) -> None:
    assert look(running)["crash_dumps"] == []
    process = running.process()
    assert process is not None
    process.signal(signal.SIGUSR1)
    assert process.wait(20)
    facts = gather(str(running.base), NAME, running.manager.status(), [running.manager.run_dir])
    [dump] = facts["crash_dumps"]
    assert dump["path"].endswith("erl_crash.dump") and "SIGUSR1" in dump["slogan"] and dump["size"] > 1000


def test_current_that_leads_nowhere_is_part_of_the_answer(running: Site) -> None:
    running.current("9.9.9")
    facts = look(running)
    assert (
        facts["running"]
        and facts["drift"]
        and "not there" in facts["current"]["problem"]
        and facts["current"]["version"] is None
    )


def test_epmd_that_is_gone(running: Site) -> None:
    process = running.process()
    assert process is not None
    status = running.manager.status()
    facts = gather(str(running.base), NAME, replace(status, process=replace(process, epmd=1)))
    assert facts["running"] and facts["answers"] and facts["problem"] is None  # the kernel knows the port as well


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_is_told_that_it_runs_and_cannot_be_seen(running: Site) -> None:
    process = running.process()
    assert process is not None
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            try:
                running.manager.status()
            except Exception as exc:
                code = 0 if getattr(exc, "code", "") == "node_denied" and str(process.pid) in str(exc) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
