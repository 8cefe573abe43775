# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How servers get a release: which URLs each is given, what is pushed to it, and that no task is told a URL."""

from __future__ import annotations

import types
import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.alchemist.beam.plugins.action import rollout_host, rollout_look
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_memory import load
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_role import Fleet
from ansible_collections.alchemist.beam.plugins.plugin_utils._fleet_steps import do
from ansible_collections.alchemist.beam.plugins.plugin_utils._reach import layer_of, reach, urls_for

Vars = dict[str, t.Any]
KEYS = ["shop/layers/aa.tar.gz", "shop/layers/bb.tar.gz", "shop/manifests/d2.json", "shop/versions/2.json"]
URLS = {key: "https://b/%s?signature" % key for key in KEYS}
PLAN = {"begun": 5.5, "digest": "d2", "version": "2", "stable": {"version": "1"}}


class Hosts(dict):  # type: ignore[type-arg]
    def raw_get(self, host: str) -> t.Any:
        return self[host]


ROLE = {
    "rollout_way": "presigned",
    "rollout_fetch": "auto",
    "rollout_store": "s3://b/p",
    "rollout_store_options": {"region": "here"},
    "rollout_pushed": "/srv/shop/pushed",
    "rollout_name": "shop",
    "rollout_base": "/srv/shop",
    "rollout_manager": "systemd",
    "rollout_unit": "shop",
    "rollout_colors": [],
    "rollout_keep": 5,
    "rollout_abi_ignore": [],
    "rollout_force": False,
    "rollout_ready": {},
    "rollout_health": {},
    "hostvars": Hosts(localhost={"rollout_plan": PLAN}),
}


@pytest.mark.parametrize(
    ("key", "layer"),
    [
        ("shop/layers/aa.tar.gz", "aa"),
        ("layers/layers/aa.tar.gz", "aa"),
        ("layers/manifests/d2.json", ""),
        ("shop/versions/2.json", ""),
        ("strange", ""),
    ],
)
def test_what_of_a_release_is_a_layer(key: str, layer: str) -> None:
    assert layer_of(key) == layer


def test_a_server_is_given_urls_for_the_documents_and_for_exactly_what_it_lacks() -> None:
    documents = KEYS[2:]
    assert list(urls_for(URLS, ["bb"])) == ["shop/layers/bb.tar.gz", *documents]
    assert list(urls_for(URLS, [])) == documents and urls_for(URLS, ["aa", "bb"]) == URLS
    assert urls_for({}, ["aa"]) == {}


@pytest.mark.parametrize(
    ("way", "options"),
    [
        ("push", {"store": "file:///srv/shop/pushed"}),
        ("presigned", {"presigned": {key: URLS[key] for key in KEYS[1:]}}),
        ("store", {"region": "here", "store": "s3://b/p"}),
    ],
)
def test_how_a_server_reaches_the_store(way: str, options: Vars) -> None:
    assert reach({**ROLE, "rollout_way": way}.get, URLS, ["bb"]) == options


def fleet(path: Path, answer: Vars, **role: t.Any) -> tuple[Fleet, list[tuple[str, Vars]]]:
    asked: list[tuple[str, Vars]] = []

    def call(name: str, options: Vars, _rehearse: bool = False) -> Vars:
        asked.append((name, options))
        return dict(answer)

    known = {**ROLE, **role}
    return Fleet(known.get, known["hostvars"], call, memory=load(str(path), "5.5")), asked


def test_urls_are_made_once_and_no_task_is_told_them(tmp_path: Path) -> None:
    signing, asked = fleet(tmp_path, {"changed": False, "objects": KEYS, "presigned": URLS})
    found = do(signing, "sources")
    assert "signature" not in str(found) and "signature" not in repr(signing.memory)
    assert found == {
        "changed": False,
        "documents": KEYS[2:],
        "layers": {"aa": KEYS[0], "bb": KEYS[1]},
    }
    where = {"region": "here", "store": "s3://b/p", "name": "shop", "digest": "d2"}
    assert asked == [("release_artifact_info", {**where, "presign": 900})]
    assert load(str(tmp_path), "5.5").urls == URLS and load(str(tmp_path), "6.5").urls == {}
    # Those of before are of no use where there are no new ones.
    away = {"failed": True, "msg": "the store is away"}
    assert do(fleet(tmp_path, away)[0], "sources") == away and load(str(tmp_path), "5.5").urls == {}


def test_what_is_pushed_comes_out_of_a_directory(tmp_path: Path) -> None:
    pushing, asked = fleet(
        tmp_path, {"changed": False, "objects": KEYS}, rollout_way="push", rollout_store="file:///srv/store"
    )
    assert do(pushing, "sources")["documents"] == KEYS[2:] and "presign" not in asked[0][1]
    bucket, asked = fleet(tmp_path, {}, rollout_way="push")
    refused = do(bucket, "sources")
    assert refused["failed"] and refused["msg"].startswith("s3://b/p is no directory") and not asked
    reading, asked = fleet(tmp_path, {}, rollout_way="store")
    assert do(reading, "sources")["skipped"] and not asked


class Server:
    """answers: of each module, by its name; the look's own has none. asked: what it was given, and whether it was rehearsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, step: str, check: bool = False, **role: t.Any):
        memory = load(str(path), "5.5")
        memory.urls = URLS
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(path))
        monkeypatch.setattr(rollout_look.ActionBase, "run", lambda *_given: {})
        self.asked: list[tuple[str, Vars, bool]] = []
        self.answers: dict[str, Vars] = {
            "": {"changed": True, "staged": {"current": "1"}, "seen": {"running": False}},
            "alchemist.beam.release_install": {"changed": True, "lacks": ["bb"], "diff": {"after": "x"}},
        }
        self.action = rollout_look.ActionModule.__new__(rollout_look.ActionModule)
        self.action._task = types.SimpleNamespace(args={"step": step}, check_mode=check, diff=True, module_defaults=[])
        self.action._templar = types.SimpleNamespace(
            template=lambda value: value,
            copy_with_new_env=lambda **_given: types.SimpleNamespace(template=lambda value: value),
        )
        self.action._execute_module = self.execute
        self.role = {**ROLE, **role}

    def execute(self, module_name: str = "", module_args: t.Any = None, task_vars: t.Any = None) -> Vars:
        self.asked.append((module_name, dict(module_args), self.action._task.check_mode))
        return dict(self.answers.get(module_name) or {"changed": True})

    def run(self) -> Vars:
        found = dict(self.action.run(task_vars=self.role))
        assert self.action._task.diff is True
        return found


@pytest.mark.parametrize("check", [False, True])
def test_a_server_says_what_it_lacks_before_it_gets_urls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: bool
) -> None:
    server = Server(monkeypatch, tmp_path, "stage", check)
    found = server.run()
    assert found["staged"] == {"current": "1"} and "signature" not in str(found)
    (first, lacking, rehearsed), (second, staging, staged) = server.asked
    assert (first, second, rehearsed, staged) == ("alchemist.beam.release_install", "", True, check)
    assert lacking == {
        "name": "shop",
        "base": "/srv/shop",
        "state": "staged",
        "keep": 5,
        "abi_ignore": [],
        "digest": "d2",
        "allow_ghost": False,
        "presigned": {key: URLS[key] for key in KEYS[2:]},
    }
    assert staging["presigned"] == {key: URLS[key] for key in KEYS[1:]} and staging["digest"] == "d2"


def test_a_server_that_can_not_say_what_it_lacks_is_staged_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Server(monkeypatch, tmp_path, "stage")
    server.answers["alchemist.beam.release_install"] = {"failed": True, "msg": "no room"}
    assert server.run() == {"failed": True, "msg": "no room"} and len(server.asked) == 1


def test_what_was_pushed_is_taken_away_once_it_is_staged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Server(monkeypatch, tmp_path, "lacks", rollout_way="push")
    assert server.run() == {"changed": False, "lacks": ["bb"]}
    [(name, options, rehearsed)] = server.asked
    assert (name, rehearsed, options["store"]) == ("alchemist.beam.release_install", True, "file:///srv/shop/pushed")
    server = Server(monkeypatch, tmp_path, "stage", True, rollout_way="push")
    assert "failed" not in server.run()
    gone = {"path": "/srv/shop/pushed", "state": "absent"}
    assert [name for name, _options, _rehearsed in server.asked] == ["", "ansible.builtin.file"]
    assert server.asked[1] == ("ansible.builtin.file", gone, False)
    server.answers["ansible.builtin.file"] = {"failed": True, "msg": "it is busy", "path": "x"}
    assert (server.run()["failed"], server.run()["msg"]) == (True, "it is busy")
    server = Server(monkeypatch, tmp_path, "stage", rollout_way="push")
    server.answers[""] = {"failed": True, "msg": "no room"}
    assert server.run()["msg"] == "no room" and len(server.asked) == 1


def test_who_reads_the_store_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Server(monkeypatch, tmp_path, "stage", rollout_way="store")
    server.run()
    [(name, options, _rehearsed)] = server.asked
    assert (name, options["store"], options["region"]) == ("", "s3://b/p", "here") and "presigned" not in options


def test_a_rehearsed_turn_is_given_the_documents_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Server(monkeypatch, tmp_path, "stage")
    action = rollout_host.ActionModule.__new__(rollout_host.ActionModule)
    action._templar = types.SimpleNamespace(template=lambda value: value)
    assert action._reach(PLAN, ROLE) == {"presigned": {key: URLS[key] for key in KEYS[2:]}}
