# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Reading a report that anything may be missing from, and writing its values for a person. Nothing here raises."""

from __future__ import annotations

import datetime
import html
import math
import re
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._node.boot_words import cut

# Escape sequences of terminals, other control characters, and those that turn the direction of what follows: logs hold whatever a node printed.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

_DEEPEST = 12


def mapping(value: t.Any) -> dict[str, t.Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, t.Mapping) else {}


def sequence(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def mappings(value: t.Any) -> list[dict[str, t.Any]]:
    return [mapping(item) for item in sequence(value) if isinstance(item, t.Mapping)]


def text(value: t.Any, limit: int = 0) -> str:
    """Harmless on a terminal and in a page, once that escapes it: no control characters but line ends and tabs, nothing that is not Unicode."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    found = str(value).encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    found = _CONTROLS.sub("", _ESCAPES.sub("", found))
    return cut(found, limit) if limit else found


def line(value: t.Any, limit: int = 0) -> str:
    return text(" ".join(text(value).split()), limit)


def escape(value: t.Any, limit: int = 0) -> str:
    return html.escape(text(value, limit), quote=True)


def number(value: t.Any) -> t.Optional[float]:
    """A finite number, also of a string that holds one; templates make strings of numbers easily."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: t.Any) -> t.Optional[int]:
    found = number(value)
    return None if found is None else int(found)


def duration(value: t.Any) -> str:
    seconds = number(value)
    if seconds is None:
        return ""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 9.995:
        return "%.2f s" % seconds
    if seconds < 59.95:
        return "%.1f s" % seconds
    rounded = int(seconds + 0.5)
    if rounded < 3600:
        return "%d min %02d s" % divmod(rounded, 60)
    return "%d h %02d min" % divmod(rounded // 60, 60)


def size(value: t.Any) -> str:
    left = number(value)
    if left is None:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(left) < 999.5:
            return "%d %s" % (left, unit) if unit == "B" or abs(left) >= 99.5 else "%.1f %s" % (left, unit)
        left /= 1000
    return "%.1f TB" % left


def count(value: t.Any) -> str:
    found = whole(value)
    return "" if found is None else f"{found:,}".replace(",", "\u202f")


def plural(value: int, noun: str) -> str:
    return "%d %s%s" % (value, noun, "" if value == 1 else "es" if noun.endswith("ch") else "s")


def instant(value: t.Any) -> t.Optional[datetime.datetime]:
    """An ISO time, or seconds since the epoch. A time without a zone is UTC: that is what the project writes."""
    try:
        seconds = number(value)
        if seconds is not None:
            return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        # Python before 3.11 knows neither Z nor fractions of other lengths.
        found = datetime.datetime.fromisoformat(re.sub(r"\.[0-9]+", "", text(value).strip()).replace("Z", "+00:00"))
        return (
            found.replace(tzinfo=datetime.timezone.utc)
            if found.tzinfo is None
            else found.astimezone(datetime.timezone.utc)
        )
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def epoch(value: t.Any) -> t.Optional[float]:
    found = instant(value)
    return None if found is None else found.timestamp()


def moment(value: t.Any) -> str:
    found = instant(value)
    return line(value, 40) if found is None else found.strftime("%Y-%m-%d %H:%M:%S UTC")


def table(head: t.Sequence[tuple[str, bool]], lines: t.Sequence[t.Sequence[str]], wide: bool = False) -> str:
    """head: names, and whether numbers stand below them. A column without a value is left out. Cells are HTML."""
    used = [index for index in range(len(head)) if any(cells[index] for cells in lines)]
    top = "".join("<th scope=col%s>%s" % (" class=n" if head[index][1] else "", head[index][0]) for index in used)
    body = "".join(
        "<tr>%s" % "".join("<td%s>%s" % (" class=n" if head[index][1] else "", cells[index]) for index in used)
        for cells in lines
    )
    return "<div class=scroll><table%s><thead><tr>%s<tbody>%s</table></div>" % (
        " class=wide" if wide else "",
        top,
        body,
    )


def plain(value: t.Any, depth: int = 0) -> t.Any:
    """What JSON can hold, of plain types: values of Ansible carry tags and may be lazy."""
    if depth > _DEEPEST:
        return None
    if value is None or isinstance(value, bool):
        return None if value is None else bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, t.Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    return str(value).encode("utf-8", "replace").decode("utf-8")
