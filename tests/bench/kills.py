# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts whose controller is lost at any moment, and what the next run makes of it.

    PYTHONPATH=.cache/live python tests/bench/kills.py [--points 100] [--fleets 1] [--seed N] [--add] [--keep DIRECTORY]

Each point is a rollout over three nodes behind HAProxy that loses its controller somewhere on its way, by one of

    kill    SIGKILL of ansible-playbook and of every process of Python below it
    orphan  SIGKILL of ansible-playbook alone: the tasks that it had sent go on to their end
    freeze  SIGSTOP of ansible-playbook until the next run is over, then SIGCONT
    brink   the same, always after the journal had the note that hosts leave, and before they leave: what a balancer is told then carries no fence
    cut     the store is gone for it, and comes never back; it lives, and does what it can, while the next run is there

and then the next run, which names the new version, the former one, or none. Afterwards everybody has to be in the balancer, on one version, the one
that is stable; the journal finished and the lock free. Ten times a second, in the whole round, two of the three servers had to be in rotation and
healthy by what HAProxy says: with batches of one host there is no excuse for less, at whatever moment a controller dies.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "support")]
from figures import record, recorded
from rollout_site import NAME, ROOT, Run, Site, build, until

WAYS = ("kill", "orphan", "freeze", "cut", "brink")
VERSIONS = ("0.1.0", "0.2.0")


def children(pid: int) -> list[int]:
    """All processes below this one."""
    parents: dict[int, list[int]] = {}
    for stat in map(Path, glob.glob("/proc/[0-9]*/stat")):
        with contextlib.suppress(OSError):
            text = stat.read_text()
            parents.setdefault(int(text[text.rindex(")") + 2 :].split()[1]), []).append(int(stat.parent.name))
    found = list(parents.get(pid, ()))
    for one in found:
        found += parents.get(one, ())
    return found


@dataclass
class Point:
    number: int
    way: str
    after: float  # seconds from the start of the rollout
    named: str  # what the next run was told: a version, or "" for nothing
    wrong: list[str] = field(default_factory=list)
    left_out: int = 0
    mixed: bool = False
    floor_crossed: bool = False
    stale_writes: int = 0
    stale_out: float = 0.0  # seconds that a server was out of the balancer, because of a frozen one that came back
    overlaps: int = 0
    returned: float = 0.0  # seconds of the next run until nobody was out
    seconds: float = 0.0
    runs: int = 0  # of the next run, where it was told to run again


class Game:
    def __init__(self, site: Site, dice: random.Random) -> None:
        self.site, self.dice = site, dice
        self.usual = 40.0  # seconds of a whole rollout, as the last ones took
        self.stores = site.directory / "stores"
        self.stores.mkdir(exist_ok=True)

    def begin(self) -> None:
        for name, variables in (
            ("setup", {}),
            ("rollout", {"beam_version": VERSIONS[0]}),
            ("rollout", {"beam_version": VERSIONS[1]}),
        ):
            run = self.site.play(name, **variables)
            if run.code:
                raise SystemExit("the site can't be made:\n" + run.text)
        self.usual = run.seconds

    def round(self, number: int, way: str, hook: str = "") -> t.Optional[Point]:
        """The controller is lost in this hook of the rollout; without one, at any moment. None where the rollout had ended before."""
        site = self.site
        before = site.stable()
        target = VERSIONS[before == VERSIONS[0]]
        hook = hook or ("before_batch" if way == "brink" else "")
        point = Point(number, way, self.dice.random() * self.usual, self.dice.choice((target, before, "")))
        store = self.stores / str(number)
        store.symlink_to(site.store)
        begun = time.monotonic()
        log = site.directory / ("lost-%d.log" % number)
        variables = self._stop_in(hook, number) if hook else {}
        lost = site.start(
            "rollout", log, beam_version=target, beam_force=True, beam_store="file://%s" % store, **variables
        )
        try:
            if hook:
                self._reach(lost.pid, number)
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    lost.wait(point.after)
            if lost.poll() is not None:
                self.usual = 0.9 * (time.monotonic() - begun)
                return None
            point.after = round(time.monotonic() - begun, 1)
            held = self._hit(lost.pid, way, store)
            next_begun = time.monotonic()
            last = self._next(point)
            point.returned = site.witness.home(next_begun)
            if way in ("freeze", "brink"):
                self._thaw(lost, point, held and "there was nothing to do" not in last.report.get("verdict", ""))
            elif way == "cut":
                lost.wait(200)
            else:
                lost.wait()
            point.seconds = round(time.monotonic() - begun, 1)
            self._judge(point, begun, last)
        finally:
            if lost.poll() is None:
                for pid in (lost.pid, *children(lost.pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                lost.wait()
        return point

    def _stop_in(self, point: str, number: int) -> dict[str, t.Any]:
        """A hook that tells us that it is reached, and goes on when it is told."""
        hook, there, go = (self.stores / ("%d.%s" % (number, end)) for end in ("yml", "there", "go"))
        hook.write_text(
            json.dumps(
                [
                    {"ansible.builtin.file": {"path": str(there), "state": "touch", "mode": "0600"}},
                    {"ansible.builtin.wait_for": {"path": str(go), "timeout": 60, "sleep": 1}},
                ]
            )
        )
        return {"beam_hooks": {point: str(hook)}}

    def _reach(self, pid: int, number: int) -> None:
        until(
            lambda: (self.stores / ("%d.there" % number)).exists() or not os.path.exists("/proc/%d" % pid),
            "the hook is not reached",
            200,
        )

    def _hit(self, pid: int, way: str, store: Path) -> bool:
        """Whether it had the lock then."""
        if way == "cut":
            store.unlink()
        elif way in ("freeze", "brink"):
            os.kill(pid, signal.SIGSTOP)
            (self.stores / ("%s.go" % store.name)).touch()
            time.sleep(3)  # what it had sent before comes to its end
        else:
            below = children(pid)
            os.kill(pid, signal.SIGKILL)
            for child in below if way == "kill" else ():
                with contextlib.suppress(OSError):
                    if "python" in os.path.basename(os.readlink("/proc/%d/exe" % child)):
                        os.kill(child, signal.SIGKILL)
        holder = (self.site.document("locks").get("holder") or {}).get("process") or {}
        return bool(holder.get("pid") == pid)

    def _next(self, point: Point) -> Run:
        variables = {"beam_version": point.named} if point.named else {}
        for _time in range(3):
            point.runs += 1
            run = self.site.play("rollout", beam_force=True, **variables)
            if run.code == 0 or "Run it again" not in run.line:
                break
        if run.code:
            point.wrong.append("the next run failed")
            (self.site.directory / ("next-%d.log" % point.number)).write_text(run.text)
        return run

    def _everything(self) -> dict[str, t.Any]:
        site = self.site
        files = {str(path): path.read_bytes() for path in sorted((site.store / NAME).rglob("*.json"))}
        return {
            **files,
            "nodes": site.answers(),
            "balancer": {host: state.split()[0] for host, state in site.balancer.states().items()},
        }

    def _thaw(self, lost: t.Any, point: Point, held: bool) -> None:
        """Whoever had the lock must write nothing more, if the next run took it. Who had not got it yet may take it now, as anybody else, and who still has
        it, because the next run found nothing to do before anything had been written, goes on.
        """
        before, at = self._everything(), time.monotonic()
        os.kill(lost.pid, signal.SIGCONT)
        code = lost.wait(300)
        if not held:
            return
        after = self._everything()
        changed = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
        point.stale_writes = len(changed)
        if changed:
            point.wrong.append("the frozen one wrote %s" % ", ".join(changed))
        if code == 0:
            point.wrong.append("the frozen one says that it succeeded")
        out = sorted({host for sample in self.site.witness.since(at) for host in sample.out})
        if out:  # a balancer knows no fence: it has to put back what it took out
            point.stale_out = self.site.witness.home(at)

    def _judge(self, point: Point, begun: float, last: Run) -> None:
        site = self.site
        with contextlib.suppress(AssertionError):  # who is in is healthy a moment later
            until(lambda: len(site.witness.samples[-1].serving) == len(site.hosts), "", 3)
        states, versions, stable = site.balancer.states(), site.versions(), site.stable()
        out = [host for host, state in states.items() if not state.startswith("UP")]
        point.left_out, point.mixed = len(out), set(versions.values()) != {stable}
        lowest = site.witness.lowest(begun)
        point.floor_crossed, point.overlaps = lowest < len(site.hosts) - 1, site.witness.overlaps(begun)
        if out:
            point.wrong.append("out of the balancer: %s" % {host: states[host] for host in out})
        if point.mixed:
            point.wrong.append("versions %s, stable is %s" % (versions, stable))
        if point.floor_crossed:
            point.wrong.append("only %d servers were in and healthy" % lowest)
        if site.document("journal").get("state") not in (None, "finished"):
            point.wrong.append("the journal is %s" % site.document("journal").get("state"))
        if self._held():
            point.wrong.append("the lock is held")
        if last.report.get("succeeded") and point.mixed:
            point.wrong.append("and the next run says that it succeeded")
        if point.wrong:
            (site.directory / ("next-%d.log" % point.number)).write_text(last.text)

    def _held(self) -> bool:
        """Whether somebody would be kept waiting: not for one that is seen to be dead."""
        holder = self.site.document("locks").get("holder") or {}
        return bool(holder) and os.path.exists("/proc/%s" % (holder.get("process") or {}).get("pid", 1))

    def mend(self) -> bool:
        """After a point that went wrong: whether the site can be played on."""
        for _time in range(2):
            run = self.site.play("rollout", beam_force=True, beam_version=self.site.stable() or VERSIONS[0])
            if (
                run.code == 0
                and len(set(self.site.versions().values())) == 1
                and all(s.startswith("UP") for s in self.site.balancer.states().values())
            ):
                return True
        return False


def play(
    directory: Path,
    trees: t.Mapping[str, Path],
    points: t.Iterator[tuple[int, str]],
    seed: int,
    found: list[Point],
    end: float,
) -> None:
    site = Site(directory, trees)
    site.inventory["all"]["vars"]["beam_health"]["stable"] = 0.4
    site.write(site.inventory)
    try:
        game = Game(site, random.Random(seed))
        game.begin()
        for number, way in points:
            point = game.round(number, way)
            while point is None:
                (game.stores / str(number)).unlink(missing_ok=True)
                point = game.round(number, way)
            found.append(point)
            print(
                "%3d %-6s after %5.1f s, next %-6s back %5.1f s, %5.1f s in all  %s"
                % (
                    point.number,
                    point.way,
                    point.after,
                    point.named or "-",
                    point.returned,
                    point.seconds,
                    "; ".join(point.wrong) or "ok",
                ),
                flush=True,
            )
            if point.wrong and not game.mend():
                print("the site can't be mended; see %s" % directory, flush=True)
                break
            if time.monotonic() > end:
                break
    finally:
        site.close()


def summary(found: t.Sequence[Point]) -> dict[str, t.Any]:
    return {
        "kill_points": len(found),
        "kill_left_out": sum(p.left_out for p in found),
        "kill_mixed_versions": sum(p.mixed for p in found),
        "kill_floor_crossed": sum(p.floor_crossed for p in found),
        "kill_stale_writes": sum(p.stale_writes for p in found),
        "kill_stale_out_seconds": max((p.stale_out for p in found), default=0.0),
        "kill_overlaps": sum(p.overlaps for p in found),
        "kill_wrong": sum(bool(p.wrong) for p in found),
        "kill_worst_return_seconds": max((p.returned for p in found), default=0.0),
    }


def together(one: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Two runs as one: counts are added, of seconds the worst counts."""
    return {
        name: (max if name.endswith("_seconds") else int.__add__)(value, other.get(name, 0))
        for name, value in one.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--fleets", type=int, default=1, help="at a time")
    parser.add_argument("--seconds", type=float, default=86400, help="no point begins after that")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--add", action="store_true", help="to the points that are recorded already, of earlier runs of the same code"
    )
    parser.add_argument(
        "--keep", type=Path, help="a directory for all logs; without it they are removed when all went well"
    )
    args = parser.parse_args()
    top = args.keep or Path(tempfile.mkdtemp(prefix="beam-kills-"))
    top.mkdir(parents=True, exist_ok=True)
    trees = build(ROOT / ".cache" / "bench" / "faults", *VERSIONS)
    print("seed %d, logs in %s" % (args.seed, top), flush=True)
    found: list[Point] = []
    # The ways take turns, and every fleet takes the next point: all ways are there however few points there are.
    points = iter([(number, WAYS[number % len(WAYS)]) for number in range(args.points)])
    lock = threading.Lock()

    def turns() -> t.Iterator[tuple[int, str]]:
        while True:
            with lock:
                one = next(points, None)
            if one is None or ended.is_set():
                return
            yield one

    ended = threading.Event()
    end = time.monotonic() + args.seconds
    threads = [
        threading.Thread(target=play, args=(top / ("fleet-%d" % n), trees, turns(), args.seed + n, found, end))
        for n in range(args.fleets)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print("ending after the points that are being played", flush=True)
        ended.set()
        for thread in threads:
            thread.join()
    figures = summary(found)
    for way in WAYS:
        mine = [p for p in found if p.way == way]
        print("%-6s %3d points, %d wrong" % (way, len(mine), sum(bool(p.wrong) for p in mine)))
    for name, value in figures.items():
        print("%-26s %s" % (name, value))
    record("rollout", **(together(figures, recorded("rollout")) if args.add else figures))
    if args.keep is None and not figures["kill_wrong"]:
        shutil.rmtree(top)
    return int(bool(figures["kill_wrong"]) or not found)


if __name__ == "__main__":
    sys.exit(main())
