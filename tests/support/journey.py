# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of docs/journey.md and docs/zero-to-phoenix.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def script(phase: str, part: slice = slice(None), page: str = "journey.md") -> str:
    """The blocks marked as belonging to a phase, in their order. part: some of them. A block that is a file is written by the script."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- test: %s(?:, file: (\S+))? -->\n```\w+\n(.*?)```" % re.escape(phase), text, re.DOTALL)
    assert blocks, "docs/%s has no commands for %s" % (page, phase)
    return "set -euo pipefail\n" + "".join(
        "cat > %s <<'END OF FILE'\n%sEND OF FILE\n" % (file, body) if file else body for file, body in blocks[part]
    )
