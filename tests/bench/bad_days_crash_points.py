# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A SIGKILL before each system call by which publish, promote, install, activate, absent and prune change a file.

    PYTHONPATH=.cache/live python tests/bench/bad_days.py crash_points [--points 1400] [--only PATTERN] [--add]

The calls of all threads are counted together (tests/support/kill_at.py), so a point is the nth change of a file, whoever makes it. A point counts
when its process was really killed there. After each one the store and the server are looked at, and the operation runs once more.

    broken      something has its final name and is not whole, `current` leads nowhere, the store can't be read, or the one more run fails or leaves
                something else than a run that nobody killed
    left_over   after the one more run there is a file that a run that nobody killed does not leave, or state.json says something else
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from figures import record, recorded
from kill_at import kill_at, lacking
from release_site import (
    State,
    Work,
    differs,
    kept,
    masked,
    promote,
    publish,
    remove,
    scraps,
    state_of,
    take,
    torn,
    tree,
)

VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
FILES = 40  # a point costs what its operation costs, and more files of the same kind show nothing new


def operations(trees: Path) -> dict[str, tuple[list[Work], Work]]:
    """What has to be there before, and what is killed."""
    one, two, three = (publish(version, trees) for version in VERSIONS)
    active = [one, two, take("1.0.0", "active")]
    return {
        "publish the first": ([], one),
        "publish": ([one], two),
        "promote the first": ([one], promote("1.0.0")),
        "promote": ([one, two, promote("1.0.0")], promote("2.0.0")),
        "install the first": ([one], take("1.0.0", "active")),
        "install": (active, take("2.0.0", "staged")),
        "activate": ([*active, take("2.0.0", "staged")], take("2.0.0", "active")),
        "install, activate and prune": ([*active, three, take("2.0.0", "active")], take("3.0.0", "active", keep=1)),
        "switch back": ([*active, take("2.0.0", "active")], take("1.0.0", "active")),
        "inactive": (active, take(None, "inactive")),
        "absent": ([*active, take("2.0.0", "active")], take("1.0.0", "absent")),
        "absent from the store": ([one, two], remove(state="absent", version="1.0.0")),
        "prune the store": ([one, two, three], remove(state="pruned", keep=1)),
    }


@dataclass
class Row:
    operation: str
    calls: int = 0
    points: int = 0
    in_threads: int = 0
    broken: int = 0
    left_over: int = 0
    wrong: list[str] = field(default_factory=list)


class Site:
    """A store and a server that begin anew for each point."""

    def __init__(self, scratch: Path) -> None:
        self.root, self.template = scratch / "site", scratch / "template"

    def make(self, steps: t.Sequence[Work]) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.template, ignore_errors=True)
        for made in ("store", "base"):
            (self.root / made).mkdir(parents=True, mode=0o755)
        for step in steps:
            step(self.root)
        self.root.rename(self.template)
        self.reset()

    def reset(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.template), str(self.root)], check=True)


def notes(root: Path) -> str:
    """state.json as it is: not what the product makes of it."""
    path = root / "base" / "state.json"
    return masked(path.read_text(encoding="utf-8")) if path.exists() else ""


def point(site: Site, work: Work, at: int, before: State, after: State, said: str, row: Row) -> None:
    site.reset()
    run = kill_at(lambda: work(site.root), at)
    if not run.hit:  # the threads came in another order, and made fewer calls
        row.wrong += [run.said] * bool(run.said)
        row.broken += bool(run.said)
        return
    row.points += 1
    row.in_threads += run.in_thread
    wrong = torn(state_of(site.root), before, after)
    try:
        if any((site.root / "store/shop/versions").glob("*.json")):
            remove(state="verified")(site.root)
        work(site.root)
    except BeamError as exc:
        wrong.append("%s: %s" % (exc.code, exc.message))
    again = state_of(site.root)
    if not wrong and any(again.get(name) != value for name, value in kept(after).items()):
        wrong.append("after one more run: " + differs(again, after))
    left = sorted(set(kept(again)) - set(after))
    left += [name for name in scraps(again) if name not in left]
    if not left and notes(site.root) != said:
        left.append("state.json says something else")
    row.broken += bool(wrong)
    row.left_over += bool(left)
    where = "before call %d, %s" % (at, run.calls[-1])
    row.wrong += ["%s: %s" % (where, each) for each in (*wrong[:3], *("left over: " + name for name in left[:3]))]


def spread(counts: t.Mapping[str, int], wanted: int) -> dict[str, list[int]]:
    """So many points: all of the short operations, and as many of each longer one, evenly."""
    share: dict[str, int] = {}
    for place, name in enumerate(sorted(counts, key=lambda name: counts[name])):
        share[name] = min(counts[name], -(-wanted // (len(counts) - place)))
        wanted -= share[name]
    return {
        name: sorted({1 + number * counts[name] // share[name] for number in range(share[name])}) for name in counts
    }


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bad_days.py crash_points", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1400)
    parser.add_argument(
        "--only", default="", help="operations whose name has this pattern in it; records nothing without --add"
    )
    parser.add_argument(
        "--add", action="store_true", help="to what is recorded already, of other operations on the same code"
    )
    options = parser.parse_args(arguments)
    why = lacking()
    if why:
        print("NOT TRIED: nothing can be killed at a system call here: %s" % why)
        return 1
    begun, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(
        prefix="bad-days-crash-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as scratch:
        trees, site = Path(scratch) / "trees", Site(Path(scratch))
        for version in VERSIONS:
            tree(trees, version, FILES)
        todo = {name: row for name, row in operations(trees).items() if re.search(options.only, name)}
        counts: dict[str, int] = {}
        for name, (steps, work) in todo.items():
            site.make(steps)
            counts[name] = len(whole(site, work))
        for name, places in spread(counts, options.points).items():
            rows.append(one(site, name, *todo[name], places))
    total = {key: sum(getattr(row, key) for row in rows) for key in ("points", "in_threads", "broken", "left_over")}
    print(
        "crash_points %(points)d, %(in_threads)d of them in threads, broken %(broken)d, left over %(left_over)d" % total
    )
    if options.add or not options.only:
        note({**total, "calls": sum(counts.values()), "seconds": round(time.monotonic() - begun)}, options.add)
    return 1 if total["broken"] or total["left_over"] else 0


def note(total: t.Mapping[str, int], add: bool) -> None:
    figures = {"crash_points" if key == "points" else "crash_point_" + key: value for key, value in total.items()}
    before = recorded("bad_days") if add else {}
    record("bad_days", **{name: value + before.get(name, 0) for name, value in figures.items()})


def whole(site: Site, work: Work) -> tuple[str, ...]:
    """The calls of a run that nobody kills."""
    run = kill_at(lambda: work(site.root), None)
    if run.said:
        raise RuntimeError(run.said)
    return run.calls


def one(site: Site, name: str, steps: t.Sequence[Work], work: Work, places: t.Sequence[int]) -> Row:
    row = Row(name)
    site.make(steps)
    before = state_of(site.root)
    row.calls = len(whole(site, work))
    after, said = state_of(site.root), notes(site.root)
    for at in places:
        point(site, work, at, before, after, said, row)
    kinds = Counter(re.sub(r"[0-9a-f]{16,}", "…", line.partition(": ")[2]) for line in row.wrong)
    print(
        "%-28s %5d calls, %4d killed (%d in threads): broken %d, left over %d"
        % (name, row.calls, row.points, row.in_threads, row.broken, row.left_over),
        flush=True,
    )
    for line, times in kinds.most_common(6):
        print("    %d x %s" % (times, line))
    return row
