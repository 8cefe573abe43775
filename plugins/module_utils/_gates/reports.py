# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""JUnit XML and LCOV, which every CI, editor and coverage service reads. Pure."""

from __future__ import annotations

import re
import typing as t
from xml.sax.saxutils import escape, quoteattr

from .results import Case, Covered

# What XML 1.0 can't hold, however it is written.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _attribute(value: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", value))


def junit(cases: t.Sequence[Case]) -> bytes:
    """One testsuite for each test module."""
    suites: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if case.outcome != "excluded":
            suites.setdefault((case.app, case.module), []).append(case)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites%s>" % _totals(cases)]
    for (app, module), members in sorted(suites.items()):
        lines.append("<testsuite name=%s package=%s%s>" % (_attribute(module), _attribute(app), _totals(members)))
        lines += [_case(case) for case in members]
        lines.append("</testsuite>")
    return "\n".join([*lines, "</testsuites>", ""]).encode("utf-8", "replace")


def _totals(cases: t.Sequence[Case]) -> str:
    counted = [case for case in cases if case.outcome != "excluded"]
    failed = sum(1 for case in counted if case.outcome == "failed")
    skipped = sum(1 for case in counted if case.outcome == "skipped")
    seconds = sum(case.seconds for case in counted)
    return ' tests="%d" failures="%d" errors="0" skipped="%d" time="%.6f"' % (len(counted), failed, skipped, seconds)


def _case(case: Case) -> str:
    start = "<testcase name=%s classname=%s file=%s line=%s time=%s" % (
        _attribute(case.name),
        _attribute(case.module),
        _attribute(case.file),
        _attribute(str(case.line)),
        _attribute("%.6f" % case.seconds),
    )
    said = _NO_XML.sub("\ufffd", case.text)
    if case.outcome == "failed":
        return "%s><failure message=%s>%s</failure></testcase>" % (start, _attribute(case.label), escape(said))
    if case.outcome == "skipped":
        return "%s><skipped message=%s/></testcase>" % (start, _attribute(said))
    return start + "/>"


def lcov(rows: t.Iterable[Covered]) -> bytes:
    """One record for each file; a line that two modules share counts their hits together."""
    files: dict[str, dict[int, int]] = {}
    for row in rows:
        lines = files.setdefault(row.file or row.module, {})
        for line, hits in row.lines:
            lines[line] = lines.get(line, 0) + hits
    text = []
    for file, lines in sorted(files.items()):
        text += ["SF:" + file.replace("\n", " "), *("DA:%d,%d" % pair for pair in sorted(lines.items()))]
        text += ["LF:%d" % len(lines), "LH:%d" % sum(1 for hits in lines.values() if hits), "end_of_record"]
    return "\n".join([*text, ""]).encode("utf-8", "replace")
