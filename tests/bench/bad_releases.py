# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Twelve kinds of bad release, each rolled out over three nodes behind HAProxy, under a little traffic.

    PYTHONPATH=.cache/live python tests/bench/bad_releases.py [--kinds crash-loop,slow] [--keep DIRECTORY]

Every rollout has to fail, to touch one batch at most (the other nodes keep their processes), and to end with everybody on the version before and in
the balancer. What answers health checks and yet serves badly is for a canary to find. A version that does not stop shows that only when it has to: it
is rolled out, and the rollback has to end it by force, no later than two seconds after the time that it had.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import sys
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "support")]
from figures import record
from rollout_site import BAD, ROOT, Run, Site, build

GOOD = "0.2.0"
# What a rollout of each needs beside the version.
CANARY = {"beam_strategy": "canary", "beam_bake": 12, "beam_canary": {"min_requests": 30}}
EXTRA: dict[str, dict[str, t.Any]] = {
    "errors": CANARY,
    "slow": CANARY,
    "migration-fails": {"beam_migrate": "Beacon.Release.migrate()"},
}
STUBBORN = ("hangs-on-stop", "ignores-term")
# Whose fault no rollout of another configuration could change: they must not be tried again. The others were refused before a node ran them, or they said
# that a setting is at fault: missing-env wants a variable, and of port-in-use nobody can tell from outside that it is the release that has the port twice.
GHOSTS = ("never-healthy", "crash-loop", "exits-0", "flapping", "errors", "slow")


class Traffic:
    """Clients of the balancer, until it is left."""

    def __init__(self, port: int, clients: int = 16) -> None:
        self._port, self._end = port, threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _n in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(0.1):
            conn = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                conn.request("GET", "/counter")
                conn.getresponse().read()
            except (OSError, http.client.HTTPException):
                pass
            finally:
                conn.close()


@dataclass
class Tried:
    kind: str
    touched: int = 0  # batches
    ghost: bool = False
    false_success: bool = False
    overlaps: int = 0
    overrun: float = 0.0  # seconds that a stop took beyond its time
    seconds: float = 0.0
    why: str = ""
    wrong: list[str] = field(default_factory=list)


def attempt(site: Site, kind: str) -> Tried:
    version, tried, begun = "1.0.0-" + kind, Tried(kind), time.monotonic()
    if kind in STUBBORN:
        _stubborn(site, version, tried)
    else:
        _bad(site, version, tried)
    tried.overlaps = site.witness.overlaps(begun)
    if tried.overlaps:
        tried.wrong.append("old and new ran at a time")
    if site.witness.lowest(begun) < len(site.hosts) - 1:
        tried.wrong.append("only %d servers were in and healthy" % site.witness.lowest(begun))
    if (
        site.document("locks").get("holder")
        or site.document("journal").get("state") not in (None, "finished")
        or site.document("channels").get("candidate")
    ):
        tried.wrong.append("the lock, the journal or the candidate is left behind")
    tried.seconds = time.monotonic() - begun
    return tried


def _home(site: Site, tried: Tried) -> None:
    states = site.balancer.states()
    if any(not state.startswith("UP") for state in states.values()):
        tried.wrong.append("out of the balancer: %s" % states)
    if set(site.versions().values()) != {GOOD} or site.stable() != GOOD:
        tried.wrong.append("versions %s, stable is %s" % (site.versions(), site.stable()))


def _bad(site: Site, version: str, tried: Tried) -> None:
    before = site.answers()
    with Traffic(site.balancer.port):
        run = site.play("rollout", beam_version=version, **EXTRA.get(tried.kind, {}))
    after = site.answers()
    tried.touched = sum(before[host][1] != after[host][1] for host in site.hosts)  # batches of one
    tried.false_success = run.code == 0 or bool(run.report.get("succeeded"))
    tried.ghost = any(ghost["version"] == version for ghost in site.document("channels").get("ghosts", ()))
    tried.why = run.report.get("reason") or _refusal(run)
    if tried.false_success:
        tried.wrong.append("it is called a success")
    if tried.touched > 1:
        tried.wrong.append("%d batches were touched" % tried.touched)
    if tried.ghost != (tried.kind in GHOSTS):
        tried.wrong.append("it is %s" % ("a ghost" if tried.ghost else "no ghost"))
    if run.report and any(row["before"] != GOOD or row["now"] != GOOD for row in run.report["rows"]):
        tried.wrong.append(
            "the report says %s" % [(row["host"], row["before"], row["now"]) for row in run.report["rows"]]
        )
    if tried.touched and not any(row["error"] and row["outcome"] == "returned" for row in run.report.get("rows", ())):
        tried.wrong.append("the report does not say why a host returned")
    _home(site, tried)


def _refusal(run: Run) -> str:
    return next((line.strip()[:300] for line in run.text.splitlines() if line.startswith(("fatal:", "[ERROR]"))), "")


def _stubborn(site: Site, version: str, tried: Tried) -> None:
    out = site.play("rollout", beam_version=version)
    if out.code:
        tried.wrong.append("it could not be rolled out: %s" % out.report.get("reason"))
    back = site.play("rollback", beam_version=GOOD)
    rows = back.report.get("rows", ())
    timeout = site.inventory["all"]["vars"]["beam_stop_timeout"]
    tried.overrun = max((row["stop"] - timeout for row in rows if row["stop"] is not None), default=99.0)
    tried.ghost = any(ghost["version"] == version for ghost in site.document("channels").get("ghosts", ()))
    tried.why = "escalated: %s" % ", ".join(sorted({str(row["escalated"]) for row in rows}))
    tried.false_success = back.code == 0 and site.versions() != dict.fromkeys(site.hosts, GOOD)
    if back.code:
        tried.wrong.append("the rollback failed: %s" % back.report.get("reason"))
    if not all(row["escalated"] for row in rows):
        tried.wrong.append("it stopped by itself")
    if tried.overrun > 2:
        tried.wrong.append("a stop took %.1f s too long" % tried.overrun)
    _home(site, tried)


def summary(found: t.Sequence[Tried]) -> dict[str, t.Any]:
    return {
        "bad_releases": len(found),
        "bad_false_successes": sum(x.false_success for x in found),
        "bad_batches_touched_max": max(x.touched for x in found),
        "bad_wrong": sum(bool(x.wrong) for x in found),
        "hung_stop_overrun_seconds": max((x.overrun for x in found), default=0.0),
        "overlaps": sum(x.overlaps for x in found),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(BAD))
    parser.add_argument("--keep", type=Path, help="a directory for all logs")
    args = parser.parse_args()
    top = args.keep or Path(tempfile.mkdtemp(prefix="beam-bad-"))
    kinds = args.kinds.split(",")
    site = Site(top, build(ROOT / ".cache" / "bench" / "faults", GOOD, *["1.0.0-" + kind for kind in kinds]))
    found: list[Tried] = []
    try:
        if site.play("setup").code or site.play("rollout", beam_version=GOOD).code:
            raise SystemExit("the site can't be made")
        for kind in kinds:
            found.append(one := attempt(site, kind))
            shutil.copy(site.directory / "play.log", site.directory / (kind + ".log"))
            verdict = "WRONG: " + "; ".join(one.wrong) if one.wrong else "ok"
            print(
                "BAD %-16s %d touched, %-8s %5.1f s  %s  %s"
                % (kind, one.touched, "ghost" if one.ghost else "no ghost", one.seconds, verdict, one.why),
                flush=True,
            )
            if one.wrong and site.play("rollout", beam_version=GOOD, beam_force=True).code:
                print("the site can't be mended", flush=True)
                break
    finally:
        site.close()
    figures = summary(found)
    for name, value in figures.items():
        print("%-26s %s" % (name, value))
    if len(kinds) == len(BAD):
        record("rollout", **figures)
    if args.keep is None and not figures["bad_wrong"]:
        shutil.rmtree(top)
    return int(bool(figures["bad_wrong"]))


if __name__ == "__main__":
    sys.exit(main())
