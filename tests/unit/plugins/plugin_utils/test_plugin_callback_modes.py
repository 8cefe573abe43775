# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the callback: for their owner and its group, whatever the umask, and without what nobody should read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.callback.rollout import CallbackModule


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=["000", "022", "077"])
def test_reports_are_nobody_else_s(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = CallbackModule()
    monkeypatch.setattr(callback, "get_option", lambda name: str(tmp_path / "rollouts"))
    before = os.umask(umask)
    try:
        reason = "no login as ecto://shop:pass-word@db/x, Authorization: Bearer pass-word"
        paths = callback._write("shop", {"name": "shop", "reason": reason, "rows": []})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "rollouts").stat().st_mode) == 0o750
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in paths] == [0o640, 0o640]
    assert not any("pass-word" in Path(path).read_text(encoding="utf-8") for path in paths)
