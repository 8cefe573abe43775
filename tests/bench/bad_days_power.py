# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Power cuts in the middle of publish, promote, install and activate.

    PYTHONPATH=.cache/live python tests/bench/bad_days.py power [--points 240] [--seed N]

A real ext4 file system lies on a disk that remembers each write and each flush (tests/support/recording_disk.py, a FUSE file below a loop
device: this needs root, /dev/fuse and loop devices; device-mapper is not needed). One operation runs on it, while another process commits the
journal of the file system all the time, so that half of what the operation does is committed before the operation flushes it. The mount
option noauto_da_alloc switches off what ext4 does for programs that forget fsync.

A point is a prefix of the recorded writes: what a cut leaves. Of every second one, the writes after the last flush are taken in blocks of
4 KiB, and half of them are lost, whichever: a disk may write what was not flushed in any order. Each point's disk goes through e2fsck, is
mounted, looked at, and the operation runs once more.

    torn        something has its final name and is not whole, `current` leads nowhere, or the file system had errors beyond its journal
    mismatches  torn, or after the one more run the store or the server is not what it is after a run without a cut (or that run failed)
    forgotten   the operation had returned, and its result was not there after the cut
    left_over   files of a killed writer that are still there after the run
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._host import apply
from figures import record
from recording_disk import Entry, Write, read_log
from release_site import State, Work, differs, kept, promote, publish, scraps, state_of, take, torn, tree

SIZE = 48 * 1024 * 1024
BLOCK = 4096
MOUNT = "noauto_da_alloc,nodiscard"
# What e2fsck says of a file system that only has to be recovered: it replays the journal, frees files that were unlinked and open, and sums up anew.
_FSCK = re.compile(
    r"^Pass \d|recovering journal|[Cc]learing orphaned inode|[Oo]rphan|FILE SYSTEM WAS MODIFIED|Setting filetype|Fix\? yes|count wrong|\d+/\d+ files|^\s*$"
)
INSIDE = "BAD_DAYS_POWER_INSIDE"  # a mount namespace of our own: whatever happens, its mounts end with it


# What is done, and what has to be there before.


def operations(trees: Path) -> dict[str, tuple[list[Work], Work]]:
    first = [publish("1.0.0", trees)]
    both = [*first, publish("2.0.0", trees)]
    return {
        "publish the first": ([], publish("1.0.0", trees)),
        "publish": (first, publish("2.0.0", trees)),
        "promote": ([*both, promote("1.0.0")], promote("2.0.0")),
        "install the first": (first, take("1.0.0", "active")),
        "install": ([*both, take("1.0.0", "active")], take("2.0.0", "staged")),
        "activate": ([*both, take("1.0.0", "active"), take("2.0.0", "staged")], take("2.0.0", "active")),
        "install and activate": ([*both, take("1.0.0", "active")], take("2.0.0", "active")),
    }


# The file system.


def run(*words: str, good: t.Container[int] = (0,)) -> int:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in good:
        raise RuntimeError(
            "%s ended with %d: %s" % (" ".join(words), done.returncode, (done.stdout + done.stderr)[-500:])
        )
    return done.returncode


@contextlib.contextmanager
def mounted(image: Path, directory: Path) -> t.Iterator[Path]:
    directory.mkdir(exist_ok=True)
    run("mount", "-t", "ext4", "-o", "loop," + MOUNT, str(image), str(directory))
    try:
        yield directory
    finally:
        run("umount", str(directory))


def apart(work: Work, root: Path, flushes: bool = True) -> str:
    """In a process of its own, which holds nothing open afterwards. "" or what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            if not flushes:
                os.fsync = lambda _handle: None  # type: ignore[assignment]
                apply.sync_file_system = lambda _directory: None  # type: ignore[assignment]
            work(root)
            os._exit(0)
        except BaseException as exc:
            os.write(writing, ("%s: %s" % (type(exc).__name__, exc)).encode()[:4000] or b"?")
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read().decode()
    status = os.waitpid(child, 0)[1]
    return said or ("" if status == 0 else "ended with %d" % status)


@dataclass
class Recording:
    image: bytes  # before
    log: list[Entry]
    begun: int  # entries when the operation began
    ended: int  # and when it had returned
    after: State


def record_one(place: Path, before: t.Sequence[Work], work: Work, flushes: bool) -> Recording:
    image, log, fuse, directory = place / "image", place / "log", place / "fuse", place / "disk"
    for old in (image, log):
        old.unlink(missing_ok=True)
    image.touch()
    os.truncate(image, SIZE)
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-J", "size=4", str(image))
    with mounted(image, directory) as root:
        for made in ("store", "base"):
            (root / made).mkdir(mode=0o755)
        for step in before:
            problem = apart(step, root)
            if problem:
                raise RuntimeError(problem)
    fuse.mkdir(exist_ok=True)
    log.touch()
    server = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parents[1] / "support" / "recording_disk.py"),
            str(fuse),
            str(image),
            str(log),
        ]
    )
    try:
        until = time.monotonic() + 20
        while not os.path.ismount(fuse):
            if time.monotonic() > until or server.poll() is not None:
                raise RuntimeError("the recording disk did not come up")
            time.sleep(0.01)
        with mounted(fuse / "disk", directory) as root:
            noise = subprocess.Popen([sys.executable, "-c", NOISE, str(root / "noise")])
            try:
                time.sleep(0.2)
                marks = [log.stat().st_size]
                problem = apart(work, root, flushes)
                marks.append(log.stat().st_size)
            finally:
                noise.kill()
                noise.wait()
            if problem:
                raise RuntimeError(problem)
            after = state_of(root)
    finally:
        run("umount", str(fuse), good=range(256))
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        if server.poll() is None:
            server.kill()
            server.wait()
    data = log.read_bytes()
    begun, ended = (len(read_log(data[:mark])) for mark in marks)
    return Recording(image.read_bytes(), read_log(data), begun, ended, after)


NOISE = """
import os, sys, time
handle = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
while True:
    os.pwrite(handle, b"x", 0)
    os.fsync(handle)
    time.sleep(0.004)
"""

# The points.


def cut(recording: Recording, at: int, lose: random.Random | None) -> bytearray:
    """The disk as it is when the power goes after so many entries."""
    image = bytearray(recording.image)
    flushed = max((index for index in range(at) if recording.log[index] is None), default=0)
    for index, entry in enumerate(recording.log[:at]):
        if not isinstance(entry, Write):
            continue
        if lose is None or index < flushed:
            image[entry.offset : entry.offset + len(entry.data)] = entry.data
            continue
        for start in range(0, len(entry.data), BLOCK):
            part = entry.data[start : start + BLOCK]
            if lose.random() < 0.5:
                image[entry.offset + start : entry.offset + start + len(part)] = part
    return image


@dataclass
class Row:
    operation: str
    writes: int = 0
    flushes: int = 0
    points: int = 0
    torn: int = 0
    mismatches: int = 0
    forgotten: int = 0
    left_over: int = 0
    wrong: list[str] = field(default_factory=list)


def one(
    place: Path, recording: Recording, before: State, work: Work, at: int, lose: random.Random | None, row: Row
) -> None:
    image, directory = place / "point", place / "disk"
    image.write_bytes(cut(recording, at, lose))
    row.points += 1
    where = "%s, %d of %d writes%s" % (row.operation, at, len(recording.log), ", some lost" if lose else "")
    wrong = []
    checked = subprocess.run(["e2fsck", "-f", "-y", str(image)], capture_output=True, text=True, check=False)
    errors = [line for line in checked.stdout.splitlines() if line.strip() and not _FSCK.search(line)]
    if checked.returncode & ~3 or errors:
        wrong.append("the file system had errors (%d): %s" % (checked.returncode, "; ".join(errors)[:300]))
    with mounted(image, directory) as root:
        found = state_of(root)
        wrong += torn(found, before, recording.after)
        row.torn += bool(wrong)
        if at >= recording.ended and kept(found) != kept(recording.after):
            row.forgotten += 1
            row.wrong.append("%s: forgotten: %s" % (where, differs(found, recording.after)))
        problem = apart(work, root)
        again = state_of(root)
        row.left_over += bool(scraps(again))
        if problem:
            wrong.append("the run after it failed: " + problem)
        elif kept(again) != kept(recording.after):
            wrong.append("after one more run: " + differs(again, recording.after))
    row.mismatches += bool(wrong)
    row.wrong += ["%s: %s" % (where, each) for each in wrong[:3]]


def points(recording: Recording, wanted: int, dice: random.Random) -> list[tuple[int, random.Random | None]]:
    """Half of them after a flush of the disk or between two, and half with losses; the last ones after the operation had returned."""
    last = min(len(recording.log), recording.ended + max(8, (recording.ended - recording.begun) // 8))
    every = list(range(recording.begun, last + 1))
    chosen = sorted(dice.sample(every, min(wanted, len(every))))
    return [(at, random.Random(dice.random()) if number % 2 else None) for number, at in enumerate(chosen)]


def lacking() -> str:
    """Why it can't be done here, or nothing."""
    if os.geteuid() != 0:
        return "this user may mount nothing"
    for name in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(name):
            return "there is no %s" % name
    for program in ("mkfs.ext4", "e2fsck", "mount", "unshare"):
        if not shutil.which(program):
            return "there is no %s" % program
    return ""


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bad_days.py power", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-flush", action="store_true", help="the operations flush nothing: whether this program sees what that does"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON, and record nothing")
    options = parser.parse_args(arguments)
    why = lacking()
    if why:
        print("NOT TRIED: power cuts can't be made here: %s" % why)
        return 1
    if INSIDE not in os.environ:
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            str(Path(__file__).with_name("bad_days.py")),
            "power",
            *arguments,
        ]
        return subprocess.run(command, check=False, env={**os.environ, INSIDE: "1"}).returncode
    rows, begun = [], time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="bad-days-power-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    ) as scratch:
        place = Path(scratch)
        for version in ("1.0.0", "2.0.0"):
            tree(place / "trees", version)
        todo = operations(place / "trees")
        dice = random.Random(options.seed)
        for number, (name, (steps, work)) in enumerate(todo.items()):
            wanted = options.points // len(todo) + (number < options.points % len(todo))
            if not wanted:
                continue
            recording = record_one(place, steps, work, not options.no_flush)
            (place / "point").write_bytes(recording.image)
            with mounted(place / "point", place / "disk") as root:
                before = state_of(root)
            part = recording.log[recording.begun : recording.ended]
            row = Row(name, sum(entry is not None for entry in part), sum(entry is None for entry in part))
            for at, lose in points(recording, wanted, dice):
                one(place, recording, before, work, at, lose, row)
            rows.append(row)
            if not options.json:
                print(
                    "%-22s %5d writes, %4d flushes, %3d cuts: torn %d, mismatches %d, forgotten %d, left over %d"
                    % (
                        name,
                        row.writes,
                        row.flushes,
                        row.points,
                        row.torn,
                        row.mismatches,
                        row.forgotten,
                        row.left_over,
                    ),
                    flush=True,
                )
                for line in row.wrong[:8]:
                    print("    " + line)
    total = {
        key: sum(getattr(row, key) for row in rows)
        for key in ("points", "torn", "mismatches", "forgotten", "left_over")
    }
    if options.json or options.no_flush:
        print(json.dumps({**total, "wrong": [line for row in rows for line in row.wrong]}))
    else:
        print(
            "power_cuts %(points)d, mismatches %(mismatches)d (torn %(torn)d), forgotten %(forgotten)d, left over %(left_over)d"
            % total
        )
        record(
            "bad_days",
            power_cuts=total["points"],
            **{"power_cut_" + key: total[key] for key in ("mismatches", "forgotten", "left_over")},
            power_cut_seconds=round(time.monotonic() - begun, 1),
        )
    return 1 if total["mismatches"] or total["forgotten"] else 0
