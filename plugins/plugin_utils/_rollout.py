# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a rollout did, told from what each host said: pure, so that success can't be claimed by accident.

A rollout succeeded only if every host of its plan says that it runs the plan's version. A host that says nothing is lost.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._canary import bake_report
from ansible_collections.alchemist.beam.plugins.plugin_utils._outcome import (
    error,
    looked,
    member_of,
    next_step,
    record,
    result,
    said_of,
    sentence,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._rotation import left_out, not_put_back
from ansible_collections.alchemist.beam.plugins.plugin_utils._rotation import notes as out_of_rotation
from ansible_collections.alchemist.beam.plugins.plugin_utils._status import locked_by
from ansible_collections.alchemist.beam.plugins.plugin_utils._timeline import former, seconds, steps, stopped

SCHEMA = 1
ERRORS = ("responses_5xx", "connect_errors", "response_errors")
# Of the table in the end.
COLUMNS = (
    "host",
    "outcome",
    "color",
    "before",
    "now",
    "fetched",
    "drain",
    "stop",
    "boot",
    "gate",
    "join",
    "outage",
    "cut",
    "error",
)
Vars = t.Mapping[str, t.Any]


def _outcome(of: Vars, plan: Vars, row: Vars) -> tuple[str, Vars]:
    """What became of a host, and the process that it runs now as far as anybody has seen."""
    seen = looked(of, "seen")
    before = {"version": seen.get("version"), "pid": seen.get("pid")} if seen.get("running") else {}
    if not of:
        return "lost", {}
    swept = row.get("host") in plan.get("born", ()) and row.get("action") == "none" and not row.get("activate")
    if plan.get("idle") or (swept and record(of).outcome == "skipped"):
        return ("unchanged" if row.get("healthy") and before.get("version") == plan["version"] else "unproven"), before
    found = record(of).outcome
    moved, returned = said_of(of, "restart"), said_of(of, "back_restart")
    if found in ("returned", "stranded"):
        return found, returned.get("after") or {}
    if found in ("skipped", "unreachable"):
        return found, before if found == "skipped" else {}
    after = moved.get("after") or {}
    if found == "moved" and after.get("version") != plan["version"]:
        # In check mode nothing moved, and nothing should be claimed.
        return ("would move" if moved.get("changed") else "unproven"), after
    return found, after


def _row(host: str, of: Vars, plan: Vars, planned: Vars, batch: int | None) -> dict[str, t.Any]:
    """planned: its row of the plan."""
    outcome, after = _outcome(of, plan, planned)
    staged, moved, left = looked(of, "staged"), said_of(of, "restart"), said_of(of, "leave")
    side = (plan.get("sides") or {}).get(host) or {}
    member = member_of(left, host, *former(side))
    joined = member_of(said_of(of, "join"), host, side.get("to"))
    size = staged.get("bytes") or {}
    failure = next((r for r in (moved, said_of(of, "back_restart")) if r.get("log") and r.get("failed")), {})
    colors, stop, outage = {}, seconds(moved, "stop"), seconds(moved, "outage")
    if outcome == "moved" and moved.get("action") == "hot":
        outage = 0.0
    if side:
        again = outcome == "returned" or (outcome == "stranded" and record(of).serves_again)
        now = side["back"] if again else side["live"] if outcome in ("skipped", "unchanged") else side["to"]
        colors = {"color": now, "color_before": side["live"]}
        # The former one served until its successor did, and stopped after it had left the balancer.
        stop = seconds(stopped(said_of(of, "stop")), "stop")
        outage = 0.0 if outcome == "moved" and side["live"] and said_of(of, "switch") else outage
    return {
        "host": host,
        "batch": batch,
        "outcome": outcome,
        **colors,
        "before": planned.get("from") or planned.get("current"),
        "now": after.get("version"),
        "pid": after.get("pid"),
        "fetched": size.get("fetched"),
        "reused": size.get("reused"),
        "stop": stop,
        "boot": seconds(moved, "boot"),
        "gate": _gate(moved),
        "outage": outage,
        "drain": _round(member.get("seconds")),
        "join": _round(joined.get("seconds")),
        "cut": member.get("cut"),
        "escalated": moved.get("escalated") if moved.get("escalated") != "none" else None,
        "error": record(of).reason,
        "log": list(failure.get("log") or ())[-20:],
        "steps": steps(host, of, side),
    }


def _round(value: t.Any) -> float | None:
    return None if value is None else round(float(value), 2)


def _gate(moved: Vars) -> float | None:
    return _round((moved.get("health") or {}).get("seconds"))


def _drift(outside: t.Iterable[Vars], plan: Vars) -> list[dict[str, t.Any]]:
    """Hosts that the playbook is meant for and that --limit left out."""
    found = []
    for item in outside:
        host = item.get("item")
        if item.get("skipped") or not host:
            continue
        if item.get("unreachable") or "running" not in item:
            found.append({"host": host, "version": None, "note": "not in scope, and could not be asked"})
        elif not item["running"] or item.get("version") != plan["version"]:
            found.append(
                {
                    "host": host,
                    "version": item.get("version"),
                    "note": "not in scope; %s"
                    % ("runs %s" % item.get("version") if item["running"] else "does not run"),
                }
            )
    return found


def _noted(hostvars: Vars, rows: t.Sequence[Vars]) -> list[str]:
    """What the restarts noticed, each once, with the hosts that it was seen on."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for note in said_of(hostvars.get(row["host"]) or {}, "restart").get("notes") or ():
            found.setdefault(str(note), []).append(row["host"])
    return [
        *_upgraded(hostvars, rows),
        *("On %s: %s." % (", ".join(on), note.rstrip(".")) for note, on in found.items()),
    ]


def _upgraded(hostvars: Vars, rows: t.Sequence[Vars]) -> list[str]:
    """Whose node was upgraded without a restart, and which processes still use the code from before."""
    hot = {
        row["host"]: said_of(hostvars.get(row["host"]) or {}, "restart") for row in rows if row["outcome"] == "moved"
    }
    hot = {host: said for host, said in hot.items() if said.get("action") == "hot"}
    if not hot:
        return []
    longest = max(float(said.get("suspended_ms") or 0) for said in hot.values())
    told = "Upgraded without a restart: %s. Processes were suspended for at most %.1f ms."
    stale = [
        "On %s, processes still use the code from before: %s. The next upgrade of these modules waits for them."
        % (host, ", ".join("%s (%s)" % (one.get("module"), one.get("count")) for one in said["old_code"]))
        for host, said in hot.items()
        if said.get("old_code")
    ]
    return [told % (", ".join(hot), longest), *stale]


def _requests(plan: Vars, hosts: t.Mapping[str, Vars]) -> dict[str, t.Any] | None:
    """What the balancers counted from the plan to the end, where they count."""
    before = (plan.get("balanced") or {}).get("members") or {}
    found: dict[str, dict[str, int]] = {}
    for host, member in hosts.items():
        first, last = (before.get(host) or {}).get("counters") or {}, member.get("counters") or {}
        if "requests" in first and "requests" in last:
            found[host] = {key: int(last.get(key) or 0) - int(first.get(key) or 0) for key in ("requests", *ERRORS)}
    if not found:
        return None
    wrong = sum(member[key] for member in found.values() for key in ERRORS)
    return {"total": sum(member["requests"] for member in found.values()), "errors": wrong, "hosts": found}


def _verdict(plan: Vars, rows: t.Sequence[Vars], bad: t.Sequence[Vars], why: str, way: str, check_mode: bool) -> str:
    label = "%s %s on the channel %s" % (plan["name"], plan["version"], plan["channel"])
    if not rows:
        return "There is no host to roll %s out to" % label
    if bad or why:
        now: dict[str, int] = {}
        for row in rows:
            key = row["now"] or ("nothing" if row["outcome"] in ("returned", "skipped") else "unknown")
            now[key] = now.get(key, 0) + 1
        counts = ", ".join("%s on %d host%s" % (v, n, "" if n == 1 else "s") for v, n in sorted(now.items()))
        what = "was not restarted everywhere" if plan.get("kind") == "restart" else "was not rolled out"
        told = ". ".join(sentence(text.rstrip(".")) for text in (why, way) if text)
        return "%s %s. %s. Now running: %s" % (label, what, told, counts)
    if check_mode:
        return "%s would run on %d of %d hosts" % (label, len(rows), len(rows))
    absent = list(plan.get("absent") or ())
    idle, aside = "; there was nothing to do" if plan.get("idle") else "", ""
    if absent:
        aside = ". %s of the balancer, and %s no requests" % (
            "%s is out" % absent[0] if len(absent) == 1 else "%d of them are out" % len(absent),
            "gets" if len(absent) == 1 else "get",
        )
    return "%s runs on %d of %d hosts%s%s" % (label, len(rows), len(rows), idle, aside)


def summarize(
    hostvars: Vars,
    plan: Vars,
    check_mode: bool = False,
    outside: t.Iterable[Vars] = (),
    refused: t.Optional[Vars] = None,
    closing: t.Optional[Vars] = None,
    balanced: t.Optional[Vars] = None,
    opened: t.Optional[Vars] = None,
    now: t.Optional[datetime.datetime] = None,
    glass: t.Optional[Vars] = None,
) -> dict[str, t.Any]:
    """The report. glass: the last release that the channel let through without its gates.

    outside: what beam_info said of hosts that are not in scope. refused: the result of what ended the rollout before or after its batches.
    """
    planned = {row["host"]: row for row in plan.get("rows") or ()}
    batches = {host: number for number, hosts in enumerate(plan.get("members") or (), 1) for host in hosts}
    rows = [
        _row(host, hostvars.get(host) or {}, plan, planned.get(host) or {}, batches.get(host))
        for host in plan.get("order") or plan["hosts"]
    ]
    told_of = {row["host"]: row for row in rows}
    wanted = ("moved", "would move", "unchanged") if check_mode else ("moved", "unchanged")
    bad = [row for row in rows if row["outcome"] not in wanted]
    failed = [row for row in bad if row["error"]]
    why, way = (error(refused), next_step(refused)) if refused else ("", "")
    told = why
    if not why and bad:
        why = (
            "%s: %s" % (failed[0]["host"], failed[0]["error"])
            if failed
            else "hosts were lost: " + ", ".join(r["host"] for r in bad)
        )
        told = "on %s" % why if failed else why
        way = record(hostvars.get(failed[0]["host"]) or {}).way_out if failed else ""
    here = hostvars.get("localhost") or {}
    published = dict(here.get("distribute_published") or {})
    build = published.pop("build", None)
    ended = now or datetime.datetime.now(datetime.timezone.utc)
    begun = plan.get("begun") or ended.timestamp()
    drift = _drift(outside, plan)
    channel = (closing or {}).get("channel") or {}
    succeeded = bool(rows) and not bad and not why
    notes = ["%s is %s." % (d["host"], d["note"]) for d in drift]
    if plan.get("idle") or check_mode:
        # It took no lock itself, so what it saw may be about to change.
        notes += locked_by(plan.get("lock") or {})
    bake, unproven = bake_report(hostvars, plan)
    notes += unproven
    notes += plan.get("advice") or ()
    broken = dict(glass) if glass and glass.get("digest") == plan["digest"] else None
    if broken:
        notes.append(
            "%s was let through without the gates that the channel requires, by %s at %s: %s. Unmet: %s."
            % (plan["version"], broken["by"], broken["at"], broken["reason"], broken["unmet"])
        )
    notes += out_of_rotation(plan.get("aside") or {}, plan.get("hidden") or ())
    if plan.get("arriving"):
        notes.append(
            "Still on the way into the auto scaling group, where each looks at the channel itself: %s."
            % ", ".join(plan["arriving"])
        )
    if plan.get("interrupted"):
        old = plan["interrupted"]
        how = "had left servers out of the balancer" if old.get("state") == "finished" else "had been interrupted"
        notes.append(
            "The rollout %s of %s %s; this one dealt with what it left." % (old.get("id"), old.get("version"), how)
        )
    notes += [*left_out(hostvars, plan), *not_put_back(hostvars, plan)] if bad else []
    notes += _noted(hostvars, rows)
    stranded = [row["host"] for row in rows if row["outcome"] == "stranded"]
    back = [host for host in stranded if record(hostvars.get(host) or {}).serves_again]
    if len(back) < len(stranded):
        dark = ", ".join(host for host in stranded if host not in back)
        notes.append(
            "Neither the new nor the former version serves on %s. Look at the log; alchemist.beam.rollout tries again."
            % dark
        )
    if back:
        notes.append(
            "The former version serves on %s, but the way back did not come to its end there, so a reboot may start the version that failed."
            " Look at the error; alchemist.beam.rollout tries again." % ", ".join(back)
        )
    return {
        "schema": SCHEMA,
        "id": (opened or {}).get("id") or "",
        "name": plan["name"],
        "channel": plan["channel"],
        "version": plan["version"],
        "digest": plan["digest"],
        "kind": plan.get("kind") or "rollout",
        "strategy": plan.get("strategy"),
        "by": (opened or {}).get("by") or "",
        "begun": _iso(begun),
        "ended": ended.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(ended.timestamp() - float(begun), 1),
        "build": {key: build.get(key) for key in ("changed", "git_sha", "fingerprint", "seconds")} if build else None,
        "published": published or None,  # None where this run published nothing
        "succeeded": succeeded,
        "check": check_mode,
        "blame": any(record(hostvars.get(row["host"]) or {}).blames for row in bad),
        "reason": why,
        "verdict": _verdict(plan, rows, bad, told, way, check_mode) + ".",
        "next": way,
        "notes": notes,
        "break_glass": {key: broken[key] for key in ("reason", "unmet", "by", "at")} if broken else None,
        "interrupted": {key: plan["interrupted"].get(key) for key in ("id", "version", "by", "at")}
        if plan.get("interrupted")
        else None,
        "drift": drift,
        "stable_before": plan.get("stable"),
        "stable_after": channel.get("stable")
        or (plan.get("stable") if not succeeded or plan.get("homecoming") else None),
        "balancers": list((plan.get("balanced") or {}).get("balancers") or ()),
        "totals": {
            "hosts": len(rows),
            "batches": len(plan.get("members") or ()),
            "fetched_bytes": sum(row["fetched"] or 0 for row in rows),
            "reused_bytes": sum(row["reused"] or 0 for row in rows),
            "outage_max": max((row["outage"] or 0 for row in rows), default=0),
            "cut": sum(row["cut"] or 0 for row in rows),
        },
        "batches": [
            _batch(number, hosts, [told_of[host] for host in hosts if host in told_of])
            for number, hosts in enumerate(plan.get("members") or (), 1)
        ],
        "migration": _migration(hostvars),
        "bake": bake,
        "requests": _requests(plan, ((balanced or {}).get("members") or {})),
        "rows": rows,
    }


def disclaim(report: Vars, why: str) -> dict[str, t.Any]:
    """The report of a deployer who was frozen, or cut off, after the promotion: another one owns the fleet now, so success is not claimed."""
    text = "%s when this deployer last looked. Another one took over before that was written down: %s"
    verdict = str(report["verdict"])
    return {
        **report,
        "succeeded": False,
        "reason": why,
        "verdict": text % (verdict[:-1] if verdict.endswith(".") else verdict, why),
    }


def _batch(number: int, hosts: t.Sequence[str], mine: t.Sequence[Vars]) -> dict[str, t.Any]:
    times = [(s["start"], s["start"] + s["seconds"]) for row in mine for s in row["steps"] if s["step"] != "stage"]
    outcomes = sorted({row["outcome"] for row in mine})
    return {
        "index": number,
        "hosts": list(hosts),
        "state": outcomes[0] if len(outcomes) == 1 else "mixed",
        "begun": _iso(min(x[0] for x in times)) if times else None,
        "ended": _iso(max(x[1] for x in times)) if times else None,
    }


def _migration(hostvars: Vars) -> dict[str, t.Any] | None:
    for host, of in hostvars.items():
        found = result(of, "rollout_migrated")
        if found:
            return {
                "host": host,
                "changed": bool(found.get("changed")),
                "seconds": _round(
                    (found.get("seconds") or {}).get("total")
                    if isinstance(found.get("seconds"), t.Mapping)
                    else found.get("seconds")
                ),
                "error": error(found) if found.get("failed") else "",
                "output": list(found.get("output") or ())[-20:],
            }
    return None


def _iso(value: t.Any) -> str:
    if isinstance(value, str):
        return value
    return datetime.datetime.fromtimestamp(float(value), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
