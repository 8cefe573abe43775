# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""delivery_info over a real directory store and a real repository: each kind of bad input is named, and makes no figure better."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._delivery.run_delivery import run_delivery
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Manifest, Provenance
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.history import write_report
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import pack_manifest
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import (
    channel_key,
    history_key,
    journal_key,
    manifest_key,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery import histories
from ansible_collections.alchemist.beam.tests.unit.plugins.module_utils._delivery.histories import BEGIN, DAY, iso

NOW = BEGIN + 40 * DAY


class World:
    """A store with the releases 1.0, 1.1, … of the commits of a repository, a day apart, and what was rolled out of them."""

    def __init__(self, path: Path) -> None:
        self.repo, place = path / "repo", path / "store"
        place.mkdir()
        self.params = {"store": "file://%s" % place, "name": "shop", "channel": "production"}
        self.place, self.store, self.count = place, open_store(self.params), 0
        self.digests: dict[str, str] = {}
        self.repo.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str, at: float = BEGIN) -> str:
        env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_COMMITTER_DATE": "%d +0000" % at,
            "GIT_AUTHOR_DATE": "%d +0000" % at,
            **{"GIT_%s_%s" % (who, what): "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        argv = ["git", "-C", str(self.repo), *words]
        return subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout

    def commit(self, at: float, text: str = "work") -> str:
        self.git("commit", "--quiet", "--allow-empty", "-m", text, at=at)
        return self.git("rev-parse", "HEAD").strip()

    def publish(self, version: str, sha: str, dirty: bool = False, at: float | None = None) -> None:
        manifest = Manifest("shop", version, Abi(), Provenance(git_sha=sha, git_dirty=dirty), (), ("d",))
        data = pack_manifest(manifest.to_bytes())
        key = manifest_key("shop", manifest.digest)
        self.store.put_if_absent(key, data, len(data))
        if at is not None:
            os.utime(self.place / key, (at, at))
        self.digests[version] = manifest.digest

    def roll_out(self, version: str, before: str, at: float, channel: str = "production", **more: t.Any) -> str:
        """The id of the rollout. Its digests are those of the store."""
        self.count += 1
        raw = histories.report(self.count, version, before, at, **more)
        del raw["key"]
        raw.update(channel=channel, digest=self.digests[version])
        for key in ("stable_before", "stable_after"):
            if raw[key]:
                raw[key]["digest"] = self.digests[raw[key]["version"]]
        write_report(self.store, "shop", channel, self.count, raw["id"], raw)
        return str(raw["id"])

    def tell(self, repo: bool = True, **more: t.Any) -> dict[str, t.Any]:
        return run_delivery({**self.params, **({"repo": str(self.repo)} if repo else {}), **more}, NOW)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """1.0 and 1.1 are rolled out, a day after each was committed."""
    made = World(tmp_path)
    for number, version in enumerate(("1.0", "1.1")):
        made.publish(version, made.commit(BEGIN + number * DAY), at=BEGIN + number * DAY + 600)
        made.roll_out(version, "1.0" if number else "", BEGIN + (number + 1) * DAY)
    return made


def lead(found: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", found["figures"]["change_lead_time"])


def test_all_of_it(world: World) -> None:
    found = world.tell()
    assert found["changed"] is False and found["schema"] == 1 and found["at"] == iso(NOW)
    (item,) = lead(found)["entries"]
    assert (item["seconds"], list(item["stages"].values())) == (DAY + 300, [600, DAY - 600, 30, 270])
    assert [one["outcome"] for one in found["deployments"]] == ["landed", "landed"]
    assert (found["damaged"], found["unfinished"], found["notes"]) == ([], None, [])
    # Too little data is no good news.
    assert all(key["value"] is None for name, key in found["figures"].items() if name != "bad_server_minutes")
    json.dumps(found)


def test_nothing_is_written(world: World) -> None:
    def state() -> list[tuple[str, float]]:
        return sorted((str(path), path.stat().st_mtime) for top in (world.place, world.repo) for path in top.rglob("*"))

    before = state()
    world.tell()
    assert state() == before


def test_a_revert_is_read_from_the_repository(world: World) -> None:
    text = 'Revert "work"\n\nThis reverts commit %s.' % world.git("rev-parse", "HEAD").strip()
    world.publish("1.2", world.commit(BEGIN + 3 * DAY, text))
    world.roll_out("1.2", "1.1", BEGIN + 4 * DAY)
    found = world.tell()
    assert [one["failed"] for one in found["deployments"]] == [[], ["its commit was reverted"], []]
    assert found["deployments"][2]["repairs"] == ["reverts a commit"]


def test_without_a_repository_the_rest_is_told(world: World) -> None:
    found = world.tell(repo=False)
    assert lead(found)["n"] == 0 and found["figures"]["change_fail_rate"]["n"] == 2
    assert "There are no lead times: no repository was given (option repo), so no commit has a date." in found["notes"]


# Bad input


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("[]", "it is no report"),
        ('{"schema": 7}', "its schema is 7, this collection reads 1"),
        ('{"schema": 1}', "'name' is missing"),
    ],
)
def test_a_damaged_report_is_named_and_hides_no_other(world: World, text: str, why: str) -> None:
    key = history_key("shop", "production", 9, "20260302T000000Z-0000000f") + ".json"
    world.store.put_if_absent(key, text.encode(), len(text))
    found = world.tell()
    assert [one["key"] for one in found["damaged"]] == [key] and why in found["damaged"][0]["why"]
    assert any(note.startswith("The report %s can't be counted: " % key) for note in found["notes"])
    assert found["figures"]["change_fail_rate"]["n"] == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ended": "soon"}, "'soon' is not a time"),
        ({"blame": "no"}, "blame is 'no'"),
        ({"digest": "abc"}, "is not a digest"),
        ({"kind": "party"}, "its kind is 'party'"),
        ({"rows": {}}, "its rows are no list"),
        (
            {"rows": [{"host": "h1", "outcome": "moved", "steps": [{"step": "boot", "start": "x", "seconds": 1}]}]},
            "could not convert",
        ),
    ],
)
def test_a_report_with_a_value_that_is_none(world: World, change: dict[str, t.Any], why: str) -> None:
    raw = {**histories.report(9, "1.1", "1.0", BEGIN), **change}
    write_report(world.store, "shop", "production", 9, "20260302T000000Z-00000009", raw)
    assert why in world.tell()["damaged"][0]["why"]


def test_a_shallow_clone_has_no_lead_times(world: World, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    world.git("clone", "--quiet", "--depth=1", "file://%s" % world.repo, str(clone))
    found = run_delivery({**world.params, "repo": str(clone)}, NOW)
    assert lead(found)["n"] == 0 and len(lead(found)["unknown"]) == 2
    assert any("shallow clone" in note and "git fetch --unshallow" in note for note in found["notes"])


def test_a_history_of_git_that_was_rewritten(world: World) -> None:
    world.publish("1.2", "ab" * 20)
    world.roll_out("1.2", "1.1", BEGIN + 4 * DAY)
    (first, gone) = lead(world.tell())["unknown"]
    assert gone["version"] == "1.2" and "the commit abababababab of it is not in the repository" in gone["why"]


def test_a_commit_that_is_dated_after_its_deployment(world: World) -> None:
    """It is shown and counted, and makes no lead time shorter."""
    world.publish("1.2", world.commit(BEGIN + 30 * DAY))
    world.roll_out("1.2", "1.1", BEGIN + 4 * DAY)
    key = lead(world.tell())
    assert (key["n"], key["negative"]) == (1, 1)
    assert [(item["counted"], item["seconds"] < 0) for item in key["entries"]] == [(True, False), (False, True)]


def test_a_build_of_what_was_not_committed(world: World) -> None:
    world.publish("1.2", world.commit(BEGIN + 3 * DAY), dirty=True)
    world.publish("1.3", world.commit(BEGIN + 4 * DAY))
    world.roll_out("1.2", "1.1", BEGIN + 4 * DAY)
    world.roll_out("1.3", "1.2", BEGIN + 5 * DAY)
    why = [one["why"] for one in lead(world.tell())["unknown"]]
    assert why[1] == "of it no commit is known: it was built from changes that were not committed"
    assert why[2].startswith("of the release before it no commit is known: ")


def test_a_release_that_was_pruned(world: World) -> None:
    (world.place / manifest_key("shop", world.digests["1.1"])).unlink()
    found = world.tell()
    assert lead(found)["unknown"][1]["why"] == "of it no commit is known: its manifest is no longer in the store"
    assert found["figures"]["change_fail_rate"]["n"] == 2


def test_a_version_that_was_rolled_out_twice_and_one_that_came_again(world: World) -> None:
    """A -> B -> A -> B: the first B failed, and its commit is new once."""
    world.roll_out("1.0", "1.1", BEGIN + 4 * DAY)
    world.roll_out("1.1", "1.0", BEGIN + 5 * DAY)
    found = world.tell()
    assert [one["failed"] for one in found["deployments"]] == [[], ["replaced by a former release"], [], []]
    assert [one["commits"] for one in found["deployments"]] == [None, 1, 0, 0]


def test_a_rollout_that_was_reported_twice_is_one(world: World) -> None:
    again = world.roll_out("1.0", "1.1", BEGIN + 4 * DAY)
    key = next(world.place.rglob("*%s.json" % again))
    (key.parent / key.name.replace("0000000003-", "0000000004-")).write_bytes(key.read_bytes())
    found = world.tell()
    assert len(found["deployments"]) == 3
    assert "Rollouts that were reported more than once: 1. Each counts once, by its last report." in found["notes"]


def test_each_channel_has_lead_times_of_its_own(world: World) -> None:
    """Staging is first; that says nothing of when production gets it."""
    sha = world.commit(BEGIN + 2 * DAY)
    world.publish("1.2", sha)
    world.roll_out("1.1", "", BEGIN + 2 * DAY, channel="staging")
    world.roll_out("1.2", "1.1", BEGIN + 3 * DAY, channel="staging")
    world.roll_out("1.2", "1.1", BEGIN + 6 * DAY)
    found = {channel: world.tell(channel=channel) for channel in ("staging", "production")}
    seconds = {
        channel: [item["seconds"] for item in lead(one)["entries"] if item["commit"] == sha]
        for channel, one in found.items()
    }
    assert seconds == {"staging": [DAY + 300], "production": [4 * DAY + 300]}


@pytest.mark.parametrize("skew", [0, 5000, -5000])
def test_a_server_whose_clock_is_off(world: World, skew: float) -> None:
    """Without a balancer the times are the server's own; they are moved to where they fit."""
    world.publish("1.2", world.commit(BEGIN + 3 * DAY))
    raw = histories.report(7, "1.2", "1.1", BEGIN + 4 * DAY, "met", hosts=("h1",), balancers=[])
    raw.update(digest=world.digests["1.2"])
    for key in ("stable_before", "stable_after"):
        raw[key]["digest"] = world.digests["1.1"]
    raw["rows"][0]["steps"] = [
        {**step, "start": step["start"] + skew}
        for step in raw["rows"][0]["steps"]
        if step["step"] not in ("drain", "join")
    ]
    write_report(world.store, "shop", "production", 7, raw["id"], raw)
    (item,) = world.tell()["figures"]["recovery_time"]["entries"]
    assert item["seconds"] == 190.0
    begun = histories.BEGIN + 4 * DAY
    assert iso(begun) <= item["first_joined"] < item["last_left"] <= iso(begun + 301)


def test_an_incident_that_names_nothing(world: World) -> None:
    incidents = [
        {"id": "i1", "version": "9.9", "at": None, "fix": None},
        {"id": "i2", "version": "1.1", "at": iso(BEGIN), "fix": None},
        {"id": "i3", "version": "1.1", "at": None, "fix": "9.8"},
    ]
    found = world.tell(incidents=incidents)
    assert (
        "The incident i1 names the version 9.9, which met nobody on this channel: it counts for nothing."
        in found["notes"]
    )
    assert any(
        note.startswith("The incident i2 names the version 1.1, which met nobody on this channel until ")
        for note in found["notes"]
    )
    assert "The incident i3 names the fix 9.8, which was not deployed here." in found["notes"]
    assert found["deployments"][1]["failed"] == ["named by an incident"]


def test_no_history(tmp_path: Path) -> None:
    found = World(tmp_path).tell(repo=False)
    assert "The history of the channel has no rollout that can be counted." in found["notes"]
    assert all(key["value"] is None and not key["enough"] for key in found["figures"].values())


@pytest.mark.parametrize("of", [channel_key, journal_key])
def test_a_broken_channel_or_journal_hides_no_history(world: World, of: t.Callable[[str, str], str]) -> None:
    world.store.put_if_absent(of("shop", "production"), b"{", 1)
    found = world.tell()
    assert found["figures"]["change_fail_rate"]["n"] == 2
    assert any(note.startswith("What only this would tell is not counted: ") for note in found["notes"])


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"since": "last week"}, "delivery_time", "since can't be used: 'last week' is not a time"),
        ({"before": "0d"}, "delivery_time", "before can't be used"),
        (
            {"since": "2026-05-01", "before": "2026-04-01"},
            "delivery_window",
            "there is nothing between since and before",
        ),
        ({"since": "2036-05-01"}, "delivery_window", "before is now"),
        ({"incidents": [{"id": "i", "version": "1.1", "at": "then"}]}, "delivery_time", "at of the incident i"),
        ({"incidents": [{"id": "i", "version": "1.1", "at": "3d"}]}, "delivery_time", "changes every day"),
        ({"incidents": [{"id": "i", "version": "../x"}]}, "invalid_version", "is not a version"),
        ({"channel": "Production"}, "invalid_channel", "is not a channel"),
    ],
)
def test_an_option_that_can_t_be_used(world: World, options: dict[str, t.Any], code: str, said: str) -> None:
    with pytest.raises(BeamError) as caught:
        world.tell(**options)
    assert caught.value.code == code and said in caught.value.message


def test_a_directory_that_is_no_repository(world: World, tmp_path: Path) -> None:
    for place in (tmp_path / "store", tmp_path / "nowhere"):
        with pytest.raises(BeamError) as caught:
            run_delivery({**world.params, "repo": str(place)}, NOW)
        assert caught.value.code == "delivery_repo" and "without repo there are no lead times" in caught.value.message


@pytest.mark.parametrize(
    ("since", "n"),
    [("38d", 1), (iso(BEGIN + 2 * DAY), 1), ("2026-03-02", 2), ("12w", 2), ("2026-03-02T12:00:00+02:00", 2)],
)
def test_the_window(world: World, since: str, n: int) -> None:
    assert world.tell(since=since)["figures"]["change_fail_rate"]["n"] == n
