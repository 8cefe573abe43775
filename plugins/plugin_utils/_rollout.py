# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a rollout did, told from what each host said: pure, so that success can't be claimed by accident.

A rollout succeeded only if every host of its plan says that it runs the plan's version. A host that says nothing is lost.
"""

from __future__ import annotations

import typing as t

Vars = t.Mapping[str, t.Any]


def _seconds(result: Vars, key: str) -> t.Optional[float]:
    value = (result.get("seconds") or {}).get(key)
    return None if value is None else round(float(value), 2)


def _row(host: str, hostvars: Vars, plan: Vars) -> dict[str, t.Any]:
    outcome = hostvars.get("rollout_outcome") or {}
    staged = hostvars.get("rollout_staged") or {}
    moved = hostvars.get("rollout_restarted") or {}
    returned = hostvars.get("rollout_returned") or {}
    state = outcome.get("state") or "lost"
    last = returned if state in ("returned", "stranded") else moved
    after = last.get("after") or {}
    before = (moved.get("before") or {}).get("version")
    if state == "skipped":
        after = {"version": outcome.get("from")}
    if state == "moved" and after.get("version") != plan["version"]:
        # In check mode nothing moved, and nothing should be claimed.
        state = "would move" if moved.get("changed") else "unproven"
    return {
        "host": host,
        "outcome": state,
        "before": before or outcome.get("from"),
        "now": after.get("version"),
        "pid": after.get("pid"),
        "fetched": (staged.get("bytes") or {}).get("fetched"),
        "stop": _seconds(moved, "stop"),
        "boot": _seconds(moved, "boot"),
        "outage": _seconds(moved, "outage"),
        "error": outcome.get("error") or "",
    }


def summarize(hostvars: Vars, plan: Vars, check_mode: bool = False) -> dict[str, t.Any]:
    rows = [_row(host, hostvars.get(host) or {}, plan) for host in plan["hosts"]]
    wanted = ("moved", "would move") if check_mode else ("moved",)
    bad = [row for row in rows if row["outcome"] not in wanted]
    failed = [row for row in bad if row["error"]]
    label = "%s %s on the channel %s" % (plan["name"], plan["version"], plan["channel"])
    reason = "%s: %s" % (failed[0]["host"], failed[0]["error"]) if failed else "hosts were lost: " + ", ".join(r["host"] for r in bad)
    if not rows:
        verdict = "There is no host to roll %s out to" % label
    elif bad:
        now: dict[str, int] = {}
        for row in rows:
            key = row["now"] or ("nothing" if row["outcome"] == "returned" else "unknown")
            now[key] = now.get(key, 0) + 1
        verdict = "%s was not rolled out. %s. Now running: %s" % (
            label, reason.rstrip("."), ", ".join("%s on %d host%s" % (v, n, "" if n == 1 else "s") for v, n in sorted(now.items())),
        )
    else:
        verdict = "%s runs on %d of %d hosts" % (label, len(rows), len(rows))
        if check_mode:
            verdict = "%s would run on %d of %d hosts" % (label, len(rows), len(rows))
    published = dict((hostvars.get("localhost") or {}).get("distribute_published") or {})
    build = published.pop("build", None)
    return {
        "build": {key: build.get(key) for key in ("changed", "git_sha", "fingerprint", "seconds")} if build else None,
        "published": published or None,  # None where this run published nothing
        "name": plan["name"], "channel": plan["channel"], "version": plan["version"], "digest": plan["digest"],
        "succeeded": bool(rows) and not bad,
        "blame": any((hostvars.get(row["host"]) or {}).get("rollout_blame") for row in bad),
        "reason": reason if bad else "",
        "verdict": verdict + ".",
        "rows": rows,
    }
