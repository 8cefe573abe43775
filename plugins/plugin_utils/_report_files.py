# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The files that a report is kept in: their names, their bytes, and how they get there."""

from __future__ import annotations

import json
import os
import re
import tempfile
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import page
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_values import line, plain
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_verdict import rehearsed


def stem(report: t.Mapping[str, t.Any]) -> str:
    """A name that no report can use to leave the directory, or to hide in it."""
    last = report.get("id") or re.sub("[^0-9TZ]", "", line(report.get("begun"))) or "report"
    parts = [report.get("name") or "rollout", report.get("channel"), last, "check" if rehearsed(report) else ""]
    return (
        re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(line(part, 60) for part in parts if part)).lstrip("._-") or "rollout"
    )


def render_files(report: t.Mapping[str, t.Any]) -> dict[str, bytes]:
    """By suffix."""
    clean = NOTHING_NAMED.data(plain(report))
    return {".json": (json.dumps(clean, indent=2, sort_keys=True) + "\n").encode(), ".html": page(clean).encode()}


def keep(path: str, data: bytes) -> None:
    """Whole or not at all, readable by its owner and its group."""
    handle, temporary = tempfile.mkstemp(prefix="." + os.path.basename(path)[:40], dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o640)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def keep_report(path: str, report: t.Mapping[str, t.Any]) -> None:
    """Where beam_report says, on the controller."""
    try:
        keep(os.path.expanduser(path), (json.dumps(report, indent=4, sort_keys=True) + "\n").encode())
    except OSError as exc:
        raise BeamError(
            "report_unwritable",
            "The report was not written to %s" % path,
            exc.strerror or str(exc),
            "Let beam_report name a file in a directory of this machine that you may write to",
        ) from exc
