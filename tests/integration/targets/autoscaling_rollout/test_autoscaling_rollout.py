# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts that know the members of an auto scaling group better than the inventory does."""

from __future__ import annotations

import json
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(Path(__file__).parents[1] / "autoscaling"), str(ROOT / "tests" / "support")]
import rollout_site
from cloud import Cloud


@pytest.fixture(scope="module")
def cloud() -> t.Iterator[Cloud]:
    made = Cloud()
    yield made
    made.close()


class Site(rollout_site.Site):
    """Three instances, of which the inventory knows the first one; what else it says is said of the group."""

    def __init__(self, directory: Path, trees: t.Mapping[str, Path], cloud: Cloud) -> None:
        cloud.template("shop")
        super().__init__(
            directory,
            trees,
            cloud.group("shop", 3),
            beam_min_healthy=1,
            beam_autoscaling_options=cloud.options,
            beam_autoscaling_wait=5,
        )
        self.whole = {**self.inventory}
        places = self.inventory["beam"]["hosts"]
        known = {key: "{{ places[inventory_hostname].%s }}" % key for key in next(iter(places.values()))}
        self.inventory["all"]["vars"]["places"] = places
        self.inventory["beam"] = {"hosts": {self.hosts[0]: {}}, "vars": {**known, "beam_autoscaling_group": "shop"}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> t.Iterator[Site]:
    trees = rollout_site.build(tmp_path_factory.mktemp("built"), "0.1.0", "0.2.0")
    made = Site(tmp_path_factory.mktemp("site") / "s", trees, cloud)
    try:
        made.write(made.whole)
        assert made.play("setup").code == 0
        assert made.play("rollout", beam_version="0.1.0").code == 0
        made.write(made.inventory)
        yield made
    finally:
        made.close()


def test_status_shows_every_member_of_the_group(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    run = site.play("status")
    assert run.code == 0
    rows = {line.split()[0]: line for line in run.report["table"]}
    assert set(site.hosts) <= set(rows)
    assert "not in the inventory" not in rows[site.hosts[0]]
    assert (
        "not in the inventory, InService in shop" in rows[site.hosts[1]]
        and "not in the inventory, Pending:Wait in shop" in rows[site.hosts[2]]
    )


def test_a_rollout_takes_members_along_and_brings_home_who_came_meanwhile(site: Site, cloud: Cloud) -> None:
    """The third one is on its way in when the rollout begins, looks at the channel before it is promoted, and serves when it is swept."""
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    mark = site.directory / "promoting"
    hook = site.directory / "hook.yml"
    hook.write_text('[{"ansible.builtin.file": {"path": "%s", "state": "touch"}, "delegate_to": "localhost"}]' % mark)

    def arrive() -> None:
        while not mark.exists():
            time.sleep(0.1)
        cloud.set_state("shop", site.hosts[2], "InService")

    thread = threading.Thread(target=arrive, daemon=True)
    thread.start()
    run = site.play("rollout", beam_version="0.2.0", beam_hooks={"before_promote": str(hook)})
    mark.touch()
    thread.join()
    assert run.code == 0 and site.versions() == dict.fromkeys(site.hosts, "0.2.0")
    assert {row["host"]: row["outcome"] for row in run.report["rows"]} == dict.fromkeys(site.hosts, "moved")
    assert sorted(site.witness.samples[-1].serving) == sorted(site.hosts)
    again = site.play("rollout")
    assert again.code == 0 and "there was nothing to do" in again.text and len(again.report["rows"]) == 3


def test_a_sweep_that_fails_is_told_and_leaves_nothing_open(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    state = Path(site.bases[site.hosts[2]]) / "state.json"
    kept = state.read_bytes()
    hook = site.directory / "spoil.yml"
    arrive = {
        "ansible.builtin.command": {"argv": ["touch", str(site.directory / "arrives")]},
        "delegate_to": "localhost",
    }
    spoil = {
        "ansible.builtin.copy": {"content": "{", "dest": str(state), "mode": "preserve"},
        "delegate_to": "localhost",
    }
    hook.write_text(json.dumps([spoil, arrive]))

    def come() -> None:
        while not (site.directory / "arrives").exists():
            time.sleep(0.1)
        cloud.set_state("shop", site.hosts[2], "InService")

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    run = site.play("rollout", beam_version="0.1.0", beam_hooks={"before_promote": str(hook)})
    (site.directory / "arrives").touch()
    thread.join()
    assert run.code != 0 and "state.json" in run.report["reason"], run.report
    assert site.stable() == "0.1.0" and [site.versions()[host] for host in site.hosts] == ["0.1.0", "0.1.0", "0.2.0"]
    assert site.document("journal")["state"] == "finished" and site.document("locks")["holder"] is None
    state.write_bytes(kept)
    assert site.play("rollout", beam_version="0.2.0", beam_force=True).code == 0 and site.versions() == dict.fromkeys(
        site.hosts, "0.2.0"
    )


def test_who_is_still_on_the_way_in_is_left_to_itself(site: Site, cloud: Cloud) -> None:
    cloud.set_state("shop", site.hosts[2], "Pending:Wait")
    before = site.answers()[site.hosts[2]]
    run = site.play("rollout", beam_version="0.1.0")
    assert run.code == 0 and [site.versions()[host] for host in site.hosts] == ["0.1.0", "0.1.0", "0.2.0"]
    assert site.answers()[site.hosts[2]] == before
    assert any(
        "on the way into the auto scaling group" in note and site.hosts[2] in note for note in run.report["notes"]
    )
    # It failed to look, and serves: the next rollout finds the drift, though the one host that the inventory knows is right.
    cloud.set_state("shop", site.hosts[2], "InService")
    assert "not what the channel says" in next(
        line for line in site.play("status").report["table"] if line.startswith(site.hosts[2])
    )
    assert site.play("rollout").code == 0 and site.versions() == dict.fromkeys(site.hosts, "0.1.0")


def test_a_group_that_cannot_be_seen_ends_it_before_anything_is_touched(site: Site) -> None:
    before = site.answers()
    run = site.play("rollout", beam_version="0.2.0", beam_autoscaling_group="shpo")
    assert run.code != 0 and "There is no auto scaling group shpo" in run.line and site.answers() == before
