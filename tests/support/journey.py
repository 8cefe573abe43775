# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of docs/journey.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

JOURNEY = Path(__file__).resolve().parents[2] / "docs" / "journey.md"


def script(phase: str, part: slice = slice(None)) -> str:
    """The blocks marked as belonging to a phase, in their order. part: some of them."""
    blocks = re.findall(r"<!-- test: %s -->\n```sh\n(.*?)```" % re.escape(phase), JOURNEY.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks, "docs/journey.md has no commands for %s" % phase
    return "set -euo pipefail\n" + "".join(blocks[part])
