# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A plain-text table: what playbooks and the demo show to a person."""

from __future__ import annotations

import typing as t

_EMPTY = "-"


def _text(value: t.Any) -> str:
    if value is None or value == "":
        return _EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "%.2f" % value
    return " ".join(str(value).split())


def render(rows: t.Iterable[t.Mapping[str, t.Any]], columns: t.Sequence[str]) -> list[str]:
    """One line per row below a head line; a column that is empty in every row is left out."""
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    used = [index for index in range(len(columns)) if any(line[index] != _EMPTY for line in cells)]
    table = [[columns[index] for index in used]] + [[line[index] for index in used] for line in cells]
    widths = [max(len(line[position]) for line in table) for position in range(len(used))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
