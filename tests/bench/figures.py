# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where measurements leave their figures: .cache/figures/<file>.json, plain names, merged by whoever measured something."""

from __future__ import annotations

import fcntl
import json
import os
import typing as t
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[2] / ".cache" / "figures"


def recorded(file: str) -> dict[str, t.Any]:
    path = DIRECTORY / (file + ".json")
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def record(file: str, **values: t.Any) -> None:
    """Put values into <file>.json, beside what is there; measurements that end at the same moment lose nothing."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / (file + ".json")
    with open(DIRECTORY / ("." + file + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known.update({name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()})
        fresh = path.with_name(".%s.new" % path.name)
        fresh.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(fresh, path)
