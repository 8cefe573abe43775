# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a server before a rollout, part by part."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._modules import info, install, look, restart

STAGED = {"changed": True, "current": "1", "lacks": [], "warnings": ["old"], "diff": {"before": "", "after": ""}}


class Server:
    """What the other modules would answer, and what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seen: t.Mapping[str, t.Any]) -> None:
        self.asked: dict[str, t.Any] = {}
        self.seen = {"idle": None, "restart": None, **seen}
        monkeypatch.setattr(install, "work", self.install)
        monkeypatch.setattr(info, "look", self.info)
        monkeypatch.setattr(restart, "work", self.restart)

    def install(self, options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        self.asked["install"] = (options, check_mode)
        return dict(STAGED)

    def info(self, options: t.Mapping[str, t.Any], health_for: t.Callable[[str], t.Any]) -> dict[str, t.Any]:
        self.asked["info"] = (options, health_for)
        return self.seen

    def restart(self, options: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        self.asked["restart"] = (options, check_mode)
        return {"action": "start", "reason": "it does not run", "seconds": {}}


def options(**given: t.Any) -> dict[str, t.Any]:
    found = ArgumentSpecValidator(look.OPTIONS).validate({"name": "shop", "base": "/srv/shop", **given})
    assert not found.error_messages
    return dict(found.validated_parameters)


def test_a_release_is_staged_before_it_is_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, {"running": True})
    health = {"pointer": "current", "health": {"tcp": {"port": 1}}}
    given = options(digest="d" * 64, keep=3, healths=[health], expect_version="2", store="file:///s")
    found = look.work(given, True)
    shown = {key: STAGED[key] for key in ("warnings", "diff")}
    parts = {"staged": {key: STAGED[key] for key in STAGED if key not in shown}, "seen": server.seen}
    assert found == {"changed": True, **shown, **parts}
    asked, check_mode = server.asked["install"]
    assert set(asked) == set(install.OPTIONS) and check_mode
    assert (asked["state"], asked["keep"], asked["store"], asked["pointer"]) == ("staged", 3, "file:///s", "current")
    asked, health_for = server.asked["info"]
    assert set(asked) == set(info.OPTIONS) and asked["expect_version"] == "2" and asked["pointer"] == "current"
    assert health_for("current")["tcp"]["port"] == 1 and health_for("blue") is None


def test_without_a_digest_nothing_is_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, {"running": False})
    assert look.work(options(), False) == {"changed": False, "seen": server.seen} and "install" not in server.asked


@pytest.mark.parametrize(
    ("action", "force", "expected"), [("restart", False, True), ("none", False, False), ("none", True, True)]
)
def test_of_two_nodes_the_idle_one_is_foreseen_where_the_other_may_not_stay(
    monkeypatch: pytest.MonkeyPatch, action: str, force: bool, expected: bool
) -> None:
    server = Server(monkeypatch, {"idle": "green", "restart": {"action": action}})
    found = look.work(options(colors=["blue", "green"], unit="web", expect_version="2", force=force), False)
    assert ("foreseen" in found) is expected
    if expected:
        assert found["foreseen"] == {"action": "start", "reason": "it does not run"}
        asked, check_mode = server.asked["restart"]
        assert set(asked) == set(restart.OPTIONS) and check_mode  # it is never done
        assert (asked["pointer"], asked["unit"], asked["expect_version"]) == ("green", "web-green", "2")
        assert asked["force"] is False and asked["state"] == "restarted"


def test_the_readiness_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Server(monkeypatch, {})
    given = options(ready={"path": str(tmp_path / "ready")})
    assert look.work(given, False)["ready"] == {"rotation": "out"}
    (tmp_path / "ready").touch()
    assert look.work(given, False)["ready"] == {"rotation": "in"}


def test_what_was_told_before_a_failure_is_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Server(monkeypatch, {"running": True})
    with pytest.raises(BeamError) as raised:
        look.work(options(digest="d" * 64, ready={"path": str(tmp_path)}), False)
    said = raised.value.as_result()
    assert said["error"]["code"] == "balancer_file" and said["seen"] == server.seen and said["staged"]["current"] == "1"
