# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of rollouts that never happened, as the verdict makes them: for tests of whatever shows them.

python rollout_reports.py DIRECTORY writes the pages of all of them, to look at in a browser.
"""

from __future__ import annotations

import datetime
import random
import sys
import typing as t
from pathlib import Path

BEGUN = 1795367105.0
NEW, OLD, BROKEN = "0.2.0", "0.1.0", "0.2.1"
LOG = [
    "12:05:41.318 [notice] Application beacon exited: Beacon.Application.start(:normal, []) returned an error: shutdown: failed to start child: Beacon.Repo",
    "    ** (EXIT) an exception was raised:",
    "        ** (RuntimeError) environment variable DATABASE_URL is missing",
    "            (beacon 0.2.1) lib/beacon/repo.ex:31: Beacon.Repo.init/2",
    '{"Kernel pid terminated",application_controller,"{application_start_failure,beacon,{<<shutdown>>}}"}',
]


def iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _row(host: str, batch: int, version: str) -> dict[str, t.Any]:
    return {
        "host": host,
        "batch": batch,
        "outcome": "moved",
        "before": OLD,
        "now": version,
        "pid": None,
        "fetched": 0,
        "reused": 0,
        "stop": None,
        "boot": None,
        "gate": None,
        "drain": None,
        "join": None,
        "outage": None,
        "cut": 0,
        "escalated": None,
        "error": "",
        "log": [],
        "steps": [],
    }


def _bake(
    batch: t.Sequence[str], rest: t.Sequence[str], requests: int, reason: str, verdict: str, passed: bool
) -> dict[str, t.Any]:
    def side(names: t.Sequence[str], requests: int, errors: int, mean: float) -> dict[str, t.Any]:
        rate = round(errors / requests, 5) if requests else 0.0
        return {
            "hosts": list(names),
            "requests": requests,
            "errors": errors,
            "error_rate": rate,
            "response_ms": mean if requests else None,
        }

    limits = {
        "min_requests": 100,
        "error_margin": 0.001,
        "error_ratio": 1.5,
        "error_chance": 0.01,
        "latency_margin": 50.0,
        "latency_ratio": 2.0,
    }
    return {
        "hosts": list(batch),
        "seconds": 60.0,
        "compared": verdict in ("same", "worse"),
        "verdict": verdict,
        "reasons": [reason] if reason else [],
        "on_no_traffic": "pass",
        "canary": side(batch, requests, 0 if passed else requests * 31 // 1000, 41.3),
        "rest": side(rest, 4 * requests, 0, 38.9),
        "limits": limits,
        "began_again": [],
        "passed": passed,
    }


def make(
    hosts: int = 5, sizes: t.Sequence[int] = (1, 2, 2), fails: str = "", on_failure: str = "revert", check: bool = False
) -> dict[str, t.Any]:
    """fails: the host whose node does not come up, "canary" if the first batch bakes badly, "quiet" if it bakes without requests, or "unreachable" if the
    last host is lost.
    """
    chance = random.Random(7)
    names = ["web%02d" % number if hosts > 9 else "h%d" % number for number in range(1, hosts + 1)]
    quiet, fails, bake = fails == "quiet", "" if fails == "quiet" else fails, None
    version = BROKEN if fails and fails != "unreachable" else NEW
    cut, begin, left = [], 0, list(sizes)
    while begin < hosts:
        length = left.pop(0) if len(left) > 1 else left[0]
        cut.append(names[begin : begin + length])
        begin += length
    rows = {name: _row(name, number, version) for number, batch in enumerate(cut, 1) for name in batch}
    clock = BEGUN + 1.2

    def step(name: str, what: str, start: float, seconds: float, ok: bool = True) -> float:
        rows[name]["steps"].append({"step": what, "start": round(start, 3), "seconds": round(seconds, 3), "ok": ok})
        if what in ("drain", "stop", "boot", "gate", "join") and ok:
            rows[name][what] = round(seconds, 2)
        return start + seconds

    def move(name: str, at: float) -> bool:
        row = rows[name]
        at = step(name, "activate", at, chance.uniform(0.15, 0.4))
        at = step(name, "stop", at, chance.uniform(0.8, 1.6))
        if fails == name:
            step(name, "boot", at, 8.31, ok=False)
            error = (
                "the node of beacon 0.2.1 did not come up: its process ended by itself 3 times (exit 1) within 8.3 s"
            )
            row.update(outcome="failed", now=None, error=error, log=LOG)
            return False
        at = step(name, "boot", at, chance.uniform(1.1, 2.3))
        step(name, "gate", at, chance.uniform(2.0, 2.6))
        row.update(pid=chance.randrange(2000, 60000), outage=round(chance.uniform(2.2, 3.9), 2))
        return True

    def back(name: str, at: float, error: str = "") -> float:
        end = step(name, "return", at, chance.uniform(4.5, 6.5))
        rows[name].update(
            outcome="returned", now=OLD, pid=chance.randrange(2000, 60000), error=rows[name]["error"] or error
        )
        return end

    for name in names:
        if not check:
            rows[name].update(fetched=chance.randrange(1_310_000, 1_330_000), reused=31_480_000)
            clock = max(clock, step(name, "stage", BEGUN + 1.2, chance.uniform(1.8, 4.4)))
        else:
            rows[name].update(outcome="would move", now=OLD, fetched=1_318_202)
    clock += 1.5
    batches: list[dict[str, t.Any]] = []
    halted = check
    for number, batch in enumerate(cut, 1):
        batches.append(
            {
                "index": number,
                "hosts": batch,
                "begun": None,
                "ended": None,
                "state": "planned" if check else "skipped",
                "waits": None,
            }
        )
        if halted:
            for name in batch:
                if not check:
                    rows[name].update(outcome="skipped", now=OLD, pid=None)
            continue
        begun, good = clock, True
        drained = max(step(name, "drain", clock, chance.uniform(1.2, 7.5)) for name in batch)
        for name in batch:
            if fails == "unreachable" and name == names[-1]:
                error = "Failed to connect to the host via ssh: connect to host %s port 22: No route to host" % name
                rows[name].update(outcome="unreachable", now=None, error=error)
                good = False
            else:
                good = move(name, drained) and good
        clock = max(s["start"] + s["seconds"] for name in batch for s in rows[name]["steps"])
        if good:
            clock = max(step(name, "join", clock, chance.uniform(1.1, 2.4)) for name in batch)
        if fails == "canary" and number == 1:
            clock = step(batch[0], "bake", clock, 60.0, ok=False)
            why = (
                "3.09 % of the canary's 4211 requests failed, and 0.00 % of the rest's 16844 (allowed: 1.5 times as many, and 0.10 percentage points more;"
                " by chance alone it is so with p = 2.7e-92)"
            )
            rows[batch[0]]["error"] = "%s does worse than the rest: %s" % (batch[0], why)
            bake, good = _bake(batch, names[len(batch) :], 4211, rows[batch[0]]["error"], "worse", False), False
        if quiet and number == 1:
            clock = step(batch[0], "bake", clock, 60.0)
            why = "the canary had 0 requests, and it takes 100 to judge"
            bake = _bake(batch, names[len(batch) :], 0, why, "not enough traffic", True)
        waits = "cookies of 30 s at the balancer" if number == 2 else None
        batches[-1].update(begun=iso(begun), ended=iso(clock + 1), state="moved" if good else "failed", waits=waits)
        if not good:
            halted = True
            if on_failure == "revert":
                reached = [name for b in cut[:number] for name in b if rows[name]["outcome"] != "unreachable"]
                clock = max(back(name, clock + 0.4) for name in reached)
                batches[-1]["state"] = "returned"
        clock += 0.6
    every = list(rows.values())
    succeeded = not fails
    bad = next((row for row in every if row["error"]), None)
    now = ", ".join(
        "%s on %d hosts" % (v, sum(1 for r in every if (r["now"] or "unknown") == v))
        for v in sorted({r["now"] or "unknown" for r in every})
    )
    label = "beacon %s on the channel production" % version
    verdict = "%s %s on %d of %d hosts." % (label, "would run" if check else "runs", hosts, hosts)
    if bad:
        verdict = "%s was not rolled out. %s: %s. Now running: %s." % (label, bad["host"], bad["error"], now)
    return {
        "schema": 1,
        "id": "20261122T170505Z-5f0c9a1e",
        "name": "beacon",
        "channel": "production",
        "version": version,
        "digest": "3f9a" * 16,
        "kind": "rollout",
        "strategy": "canary" if bake else "rolling",
        "by": "deploy@ci-3",
        "begun": iso(BEGUN),
        "ended": iso(clock + 1.8),
        "seconds": round(clock + 1.8 - BEGUN, 2),
        "succeeded": succeeded,
        "blame": bool(bad) and fails != "unreachable",
        "reason": bad["error"] if bad else "",
        "verdict": verdict,
        "check": check,
        "notes": [] if succeeded else ["h9 is not in scope; runs 0.0.9."],
        "migration": None
        if check
        else {
            "host": names[0],
            "changed": True,
            "seconds": 2.41,
            "error": "",
            "output": [
                "12:05:09.112 [info] == Running 20261120093011 Beacon.Repo.Migrations.AddSeen.change/0 forward",
                "12:05:09.240 [info] == Migrated",
            ],
        },
        "build": {
            "changed": True,
            "git_sha": "9c1f7d2ab84e5f6071829304a5b6c7d8e9f00112",
            "fingerprint": "ab12" * 16,
            "seconds": {"total": 41.7},
        },
        "published": {"changed": True, "digest": "3f9a" * 16, "version": version},
        "interrupted": None,
        "drift": [] if succeeded else [{"host": "h9", "version": "0.0.9", "note": "not in scope; runs 0.0.9"}],
        "stable_before": {"version": OLD, "digest": "77ab" * 16},
        "balancers": ["haproxy app"],
        "stable_after": {"version": version, "digest": "3f9a" * 16}
        if succeeded and not check
        else {"version": OLD, "digest": "77ab" * 16},
        "totals": {
            "hosts": hosts,
            "batches": len(cut),
            "fetched_bytes": sum(r["fetched"] for r in every),
            "reused_bytes": sum(r["reused"] for r in every),
            "outage_max": max([r["outage"] for r in every if r["outage"]], default=None),
            "cut": 0,
        },
        "batches": batches,
        "rows": every,
        "bake": bake,
        "requests": None
        if check
        else {
            "total": 20913,
            "errors": 0,
            "hosts": {
                name: {"requests": 20913 // hosts, "responses_5xx": 0, "connect_errors": 0, "response_errors": 0}
                for name in names
            },
        },
    }


INTERRUPTED = {
    "id": "20261122T164412Z-77aa01bc",
    "version": BROKEN,
    "by": "ann@laptop",
    "at": "2026-11-22T16:44:12Z",
}


def all_kinds() -> dict[str, dict[str, t.Any]]:
    return {
        "one": make(1, [1]),
        "five": make(),
        "fifty": make(50, [1, 5, 11]),
        "reverted": {**make(fails="h3"), "interrupted": INTERRUPTED},
        "halted": make(fails="h2", on_failure="halt"),
        "canary": make(fails="canary"),
        "quiet": make(fails="quiet"),
        "rehearsed": make(check=True),
        "unreachable": make(fails="unreachable"),
        "empty": {},
        "fifty_reverted": make(50, [1, 5, 11], fails="web12"),
        "fifty_returned": make(50, [1, 5, 11], fails="web50"),
    }


if __name__ == "__main__":
    from ansible_collections.alchemist.beam.plugins.plugin_utils._report_html import page

    for kind, report in all_kinds().items():
        target = Path(sys.argv[1]) / (kind + ".html")
        target.write_text(page(report), encoding="utf-8")
        sys.stdout.write("%7d %s\n" % (target.stat().st_size, target))
