# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests/support/code_cache.py keeps is what Ansible would make: the same packages, the same answers, and never those of a former source."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible")

PACK = """
import datetime, io, json, sys, zipfile
import ansible.cli  # as ansible-playbook begins
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([])
from ansible.executor import module_common
name, path = sys.argv[1:]
packed = io.BytesIO()
nothing_more = module_common._builder.ExtensionManager.create(task_vars={})
with zipfile.ZipFile(packed, "w") as archive:
    source = open(path, "rb").read()
    module_common.recursive_finder("greet", name, source, archive, datetime.datetime(2026, 1, 1), nothing_more)
with zipfile.ZipFile(packed) as archive:
    print(json.dumps({info.filename: archive.read(info).decode() for info in archive.infolist()}, sort_keys=True))
"""
COLLECTION = "ansible_collections/some/thing"


class World:
    def __init__(self, where: Path) -> None:
        self.where = where
        self.util = where / COLLECTION / "plugins/module_utils/_greeting.py"
        self.module = where / COLLECTION / "plugins/modules/greet.py"
        for path in (self.util, self.module):
            path.parent.mkdir(parents=True)
        self.util.write_text("WORD = 'good morning'\n")
        self.module.write_text(
            "from ansible.module_utils.basic import AnsibleModule\n"
            "from ansible_collections.some.thing.plugins.module_utils._greeting import WORD\n"
            "AnsibleModule({}).exit_json(word=WORD)\n"
        )

    def environment(self, kept: bool) -> dict[str, str]:
        left_out = ("ANSIBLE_", "BEAM_CODE_CACHE", "PYTHONPATH")
        more = {"BEAM_CODE_CACHE": str(self.where / "code")} if kept else {}
        env = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return {
            **env,
            **more,
            "ANSIBLE_COLLECTIONS_PATH": str(self.where),
            "HOME": str(self.where),
            "ANSIBLE_NOCOLOR": "1",
        }

    def run(self, *argv: str, kept: bool) -> str:
        return subprocess.run(
            [sys.executable, *argv], env=self.environment(kept), check=True, capture_output=True, text=True
        ).stdout

    def packed(self, kept: bool) -> dict[str, t.Any]:
        return json.loads(
            self.run("-c", PACK, "ansible_collections.some.thing.plugins.modules.greet", str(self.module), kept=kept)
        )

    def said(self, kept: bool) -> str:
        tool = str(Path(sys.executable).with_name("ansible"))
        words = ["localhost", "-i", "localhost,", "-c", "local", "-e", "ansible_python_interpreter=" + sys.executable]
        answer = self.run(tool, *words, "-m", "some.thing.greet", kept=kept)
        return str(json.loads(answer[answer.index("{") :])["word"])


def test_the_same_comes_out_and_a_change_is_seen(tmp_path: Path) -> None:
    world = World(tmp_path)
    if "beam_code_cache" not in world.run("-c", "import sys; print(sys.modules.keys())", kept=True):
        pytest.skip("this environment was not made by setup.sh, which puts code_cache.py into it")
    cold = world.packed(kept=False)
    assert COLLECTION + "/plugins/module_utils/_greeting.py" in cold
    assert world.packed(kept=True) == cold
    assert world.packed(kept=True) == cold
    assert [world.said(kept=True), world.said(kept=True)] == ["good morning"] * 2
    assert list((tmp_path / "code").iterdir())
    # Another source of the same length, at the same second.
    times = world.util.stat()
    world.util.write_text("WORD = 'good evening'\n")
    os.utime(world.util, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert world.said(kept=True) == "good evening"
    world.module.write_text(world.module.read_text().replace("WORD\n", "WORD\nimport ansible.module_utils.urls\n", 1))
    assert "ansible/module_utils/urls.py" in world.packed(kept=True)


def test_what_was_half_written_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(__file__).parents[1] / "support" / "code_cache.py"
    spec = importlib.util.spec_from_file_location("code_cache_alone", file)
    assert spec is not None and spec.loader is not None
    monkeypatch.delenv("BEAM_CODE_CACHE", raising=False)  # or it would change this process
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    monkeypatch.setattr(alone, "DIRECTORY", str(tmp_path))
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [alone.kept(b"source", "code", make), alone.kept(b"source", "code", make)] == [0, 0]
    for broken in (b"", b"not what marshal writes"):
        for path in tmp_path.iterdir():
            path.write_bytes(broken)
        assert alone.kept(b"source", "code", make) == made[-1] == alone.kept(b"source", "code", make)
    assert len(made) == 3
    assert alone.kept(b"source", "imports", make) == 3 and alone.kept(b"other", "code", make) == 4
