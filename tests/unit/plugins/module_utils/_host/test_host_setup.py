# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role `service` has made on a server: once, with the modes it says, and without a word of what is secret."""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import claim as claims
from ansible_collections.alchemist.beam.plugins.module_utils._host import setup as host_setup
from ansible_collections.alchemist.beam.plugins.module_utils._host.claim import Claim
from ansible_collections.alchemist.beam.plugins.module_utils._modules import setup as module

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
OURS = {"owner": USER, "group": GROUP}


class Box:
    """A directory in the place of /, commands of the system noted instead of run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.ran: list[list[str]] = []
        monkeypatch.setattr(host_setup, "_command", self.ran.append)
        monkeypatch.setattr(module, "ROOT", (USER, GROUP))
        monkeypatch.setattr(claims.Claim, "check", lambda self: None)
        monkeypatch.setattr(module, "Claim", lambda wanted: Claim(wanted, root=str(root), notes="/etc/alchemist-beam"))

    def options(self, **changes: t.Any) -> dict[str, t.Any]:
        at = str(self.root)
        return {
            "unit": "shop",
            "suffixes": [],
            "user": USER,
            "group": GROUP,
            "home": None,
            "create_user": True,
            "base": at + "/srv/shop",
            "adopt": [],
            "ports": [],
            "directories": [{**OURS, "path": at + "/srv/shop", "mode": "0755"}],
            "settings": {at + "/env": "KEY='canary'\n"},
            "files": [{**OURS, "path": at + "/shop.service", "mode": "0644", "content": "[Unit]\nA=1\n"}],
            "cookie_file": at + "/cookie",
            "cookie": "",
            "enabled": None,
            **changes,
        }

    def run(self, check_mode: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        return module.run_setup(self.options(**changes), check_mode)

    def cookie(self) -> str:
        return (self.root / "cookie").read_text()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


def test_check_mode_tells_all_of_it_and_writes_nothing(box: Box) -> None:
    found = box.run(check_mode=True)
    assert found["changed"] and len(found["changes"]) == 4 and os.listdir(box.root) == []
    assert box.run()["changes"] == found["changes"]
    assert box.run()["changed"] is False and box.run(check_mode=True)["changed"] is False


def test_a_cookie_is_made_once_and_one_that_is_given_is_written(box: Box) -> None:
    box.run()
    made = box.cookie()
    assert re.fullmatch("[A-Za-z0-9]{64}", made) and os.stat(box.root / "cookie").st_mode & 0o777 == 0o400
    os.chmod(box.root / "cookie", 0o644)
    assert box.run()["changes"] == [str(box.root / "cookie")]
    assert box.cookie() == made and os.stat(box.root / "cookie").st_mode & 0o777 == 0o400
    said = box.run(cookie="hunter2")
    assert said["changed"] and box.cookie() == "hunter2"
    assert "alchemist.beam.rotate" in said["warnings"][0] and "hunter2" not in str(said)
    again = box.run(cookie="hunter2")
    assert not again["changed"] and "warnings" not in again and not box.run()["changed"]


def test_the_diff_shows_units_and_no_secret(box: Box) -> None:
    box.run()
    before = box.cookie()
    files = [{**OURS, "path": str(box.root / "shop.service"), "mode": "0644", "content": "[Unit]\nA=2\n"}]
    settings = {str(box.root / "env"): "KEY='other'\n"}
    found = box.run(check_mode=True, files=files, settings=settings, cookie="hunter2")["diff"]
    assert [(one["before"], one["after"]) for one in found[1:]] == [("[Unit]\nA=1\n", "[Unit]\nA=2\n")]
    assert found[0]["after"] == "%s\n%s\n" % (box.root / "cookie", box.root / "env")
    said = str(found)
    assert not [word for word in (before, "canary", "other", "hunter2") if word in said]


def test_a_directory_may_be_a_link_to_where_there_is_room(box: Box, tmp_path_factory: pytest.TempPathFactory) -> None:
    room = tmp_path_factory.mktemp("room")
    (box.root / "srv").mkdir()
    (box.root / "srv" / "shop").symlink_to(room)
    room.chmod(0o700)
    assert str(box.root / "srv" / "shop") in box.run()["changes"]
    assert (box.root / "srv" / "shop").is_symlink() and room.stat().st_mode & 0o777 == 0o755
    assert not box.run()["changed"]


def test_accounts_units_and_their_reading(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_setup, "_is_enabled", lambda unit: False)
    box.run(user="no-such-user", group="no-such-group", cookie_file=None, enabled=True)
    assert box.ran[0] == ["groupadd", "--system", "no-such-group"]
    assert box.ran[1][0] == "useradd" and "/var/lib/shop" in box.ran[1]
    assert box.ran[-1] == ["systemctl", "enable", "--quiet", "shop.service"]
    box.ran.clear()
    assert box.run(create_user=False, cookie_file=None, enabled=False)["changed"] is False and box.ran == []
    monkeypatch.setattr(host_setup, "_is_enabled", lambda unit: True)
    box.run(enabled=False)
    assert box.ran == [["systemctl", "disable", "--quiet", "shop.service"]]


@pytest.mark.parametrize("mode", ["755", "rwx", "0999", "01777"])
def test_a_mode_that_is_none(box: Box, mode: str) -> None:
    with pytest.raises(BeamError) as refused:
        box.run(directories=[{**OURS, "path": str(box.root / "x"), "mode": mode}])
    assert refused.value.code == "mode_invalid" and mode in refused.value.message and os.listdir(box.root) == []


def test_an_account_that_is_not_there_is_named(box: Box) -> None:
    with pytest.raises(BeamError, match="no-such-user"):
        box.run(directories=[{**OURS, "owner": "no-such-user", "path": str(box.root / "x"), "mode": "0755"}])
