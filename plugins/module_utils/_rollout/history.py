# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The history of a channel: one report per rollout, written once."""

from __future__ import annotations

import json
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .._mask import NOTHING_NAMED
from .._store.base import Store
from .._store.keys import history_key, history_prefix
from .._store.parallel import parallel

MAX_REPORT_BYTES = 32 * 1024 * 1024


def write_report(
    store: Store, name: str, channel: str, serial: int, rollout: str, report: t.Mapping[str, t.Any], html: str = ""
) -> bool:
    """Whether it was written: not where it is there already."""
    key = history_key(name, channel, serial, rollout)
    report, html = NOTHING_NAMED.data(report), NOTHING_NAMED.text(html)
    # The page first: whoever finds the report finds its page, too.
    texts = {".html": html.encode("utf-8")} if html else {}
    texts[".json"] = (json.dumps(report, sort_keys=True, indent=1) + "\n").encode("ascii")
    for data in texts.values():
        if len(data) > MAX_REPORT_BYTES:
            raise BeamError(
                "report_too_large",
                "the report of the rollout %s was not written" % rollout,
                "it has %d bytes, %d are allowed" % (len(data), MAX_REPORT_BYTES),
                "Leave out its logs",
            )
    return [store.put_if_absent(key + ending, data, len(data)) for ending, data in texts.items()][-1]


def read_history(store: Store, name: str, channel: str, count: int) -> list[dict[str, t.Any]]:
    """The newest first. One that can't be read says so, and hides no other."""
    keys = sorted(s.key for s in store.list(history_prefix(name, channel)) if s.key.endswith(".json"))
    return parallel(lambda key: _report(store, key), keys[::-1][:count]) if count > 0 else []


def _report(store: Store, key: str) -> dict[str, t.Any]:
    place = {"key": key, "id": key.rsplit("/", 1)[1][: -len(".json")].partition("-")[2]}
    try:
        report = parse_json(store.get(key, MAX_REPORT_BYTES).data)
        if not isinstance(report, dict):
            raise ValueError("it is no report")
        return {**place, **report}
    except (ValueError, BeamError) as exc:
        return {**place, "damaged": str(exc)}
