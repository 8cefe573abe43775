# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes of one base without root and systemd: the files of the role service, the modules, and two VMs that don't clash."""

from __future__ import annotations

import json
import os
import secrets
import sys
import typing as t
from pathlib import Path

import pytest
from node_site import NAME, Site
from ports import free_port

import playbooks

BIN = Path(sys.executable).parent
COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(Path(__file__).resolve().parents[7])
COLORS = ["blue", "green"]


def run(*argv: str) -> str:
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = playbooks.run(argv, env, timeout=120)
    assert done.returncode == 0, done.stdout
    return done.stdout


class Pair:
    def __init__(self, site: Site) -> None:
        self.site = site
        ports = {color: free_port() for color in COLORS}
        self.urls = {color: "http://127.0.0.1:%d/health" % port for color, port in ports.items()}
        options = {
            "beam_name": NAME,
            "beam_base": str(site.base),
            "beam_manager": "daemon",
            "service_node": "b%s@127.0.0.1" % secrets.token_hex(6),
            "beam_env": {"BEACON_SECRET": "canary-of-both"},
            "service_colors": COLORS,
            "service_color_env": {color: {"PORT": port} for color, port in ports.items()},
            "service_color_dist_ports": {color: free_port() for color in COLORS},
        }
        play = site.base.parent / "play.json"
        play.write_text(
            json.dumps(
                [{"hosts": "localhost", "gather_facts": False, "vars": options, "roles": ["alchemist.beam.service"]}]
            )
        )
        said = run(str(BIN / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(play))
        assert "canary" not in said
        assert "changed=0" in run(str(BIN / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(play))

    def point(self, pointer: str, version: str) -> None:
        link = self.site.base / "link.new"
        link.symlink_to(Path("releases") / version)
        os.replace(link, self.site.base / pointer)

    def module(self, name: str, **options: t.Any) -> dict[str, t.Any]:
        given = json.dumps({"name": NAME, "base": str(self.site.base), "manager": "daemon", **options})
        text = run(
            str(BIN / "ansible"),
            "localhost",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-m",
            "alchemist.beam." + name,
            "-a",
            given,
        )
        return dict(json.loads(text[text.index("=> {") + 3 : text.rindex("}") + 1]))

    def restart(self, color: str, version: str) -> dict[str, t.Any]:
        health = {
            "http": {"url": self.urls[color], "json": {"version": version}},
            "passes": 2,
            "interval": 0.1,
            "within": 30,
        }
        return self.module("beam_restart", pointer=color, health=health)


@pytest.fixture
def pair(site: Site) -> Pair:
    return Pair(site)


def test_green_starts_beside_blue_and_blue_is_stopped_then(pair: Pair) -> None:
    pair.point("blue", "0.1.0")
    assert pair.module("beam_info", colors=COLORS)["idle"] == "blue"
    blue = pair.restart("blue", "0.1.0")["after"]
    pair.point("green", "0.2.0")
    green = pair.restart("green", "0.2.0")["after"]
    assert (
        blue["pid"] != green["pid"]
        and blue["node"].split("@")[0] + "-" != green["node"]
        and "-blue@" in blue["node"]
        and "-green@" in green["node"]
    )
    assert pair.restart("blue", "0.1.0")["changed"] is False  # it is the one from before, beside the other
    before = pair.module("beam_info", colors=COLORS, expect_version="0.1.0")
    assert before["restart"]["action"] == "none"  # of the one that serves
    assert (before["live"], before["idle"], before["pid"], before["version"]) == ("blue", "green", blue["pid"], "0.1.0")
    assert before["answers"] and before["colors"]["green"]["pid"] == green["pid"]
    pair.point("current", "0.2.0")
    after = pair.module("beam_info", colors=COLORS)
    assert (after["live"], after["pid"], after["drift"]) == ("green", green["pid"], False)
    stopped = pair.module("beam_restart", pointer="blue", state="stopped")
    assert stopped["before"]["pid"] == blue["pid"] and stopped["after"] is None
    last = pair.module("beam_info", colors=COLORS)
    assert (last["live"], last["idle"], last["pid"]) == ("green", "blue", green["pid"]) and last["colors"]["blue"][
        "running"
    ] is False
    assert last["applications"] == {**last["applications"], "beacon": "0.2.0"}


def test_a_colour_is_neither_the_node_without_one_nor_its_twin(pair: Pair) -> None:
    pair.site.env(RELEASE_DISTRIBUTION="none")
    pair.site.run()
    pair.point("blue", "0.2.0")
    blue = pair.restart("blue", "0.2.0")
    assert blue["action"] == "start"
    info = pair.module("beam_info")
    assert info["running"] and info["version"] == "0.1.0" and info["pid"] != blue["after"]["pid"]
    pair.module("beam_restart", state="stopped")
    assert (
        pair.module("beam_info")["running"] is False
        and pair.module("beam_info", pointer="blue")["pid"] == blue["after"]["pid"]
    )
