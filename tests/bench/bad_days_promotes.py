# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotes on one channel, at once and in turn, whose answers are lost: none that said "done" may be missing. `bad_days.py promotes`

In a directory, and in a real S3 server behind a proxy. Each promote is of a version of its own, so the documents make a chain: each names the version that it
took the place of. The chain is walked from the channel's last document back to its first one, and is held against what the writers were told and when.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import tempfile
import time
import typing as t
from pathlib import Path

import fault_proxy
import s3_server
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Channel, promote
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import (
    apply_channel,
    make_stamp,
    plan_channel,
)
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import read_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from figures import record
from locks import LostAnswers, publish

NAME, CHANNEL = "shop", "production"
LOST, UNSENT = 0.15, 0.05  # the shares of writes whose answer is lost, and that never arrive
_FORK = multiprocessing.get_context("fork")


class Row(t.NamedTuple):
    """One promote: what it wrote if it wrote it, and whether it was told that it did."""

    version: str
    serial: int
    previous: str
    begun: float
    ended: float
    error: str


def attempt(store: Store, version: str) -> Row:
    (target,) = publish(store, version)
    begun, planned, error = time.monotonic(), Channel(NAME, CHANNEL), ""
    try:
        plan = plan_channel(
            store, NAME, CHANNEL, lambda channel, stamp: promote(channel, target, stamp), make_stamp("bench")
        )
        planned = plan.after
        apply_channel(store, plan)
    except BeamError as exc:
        error = exc.code
    return Row(
        version, planned.serial, planned.previous.version if planned.previous else "", begun, time.monotonic(), error
    )


def _work(params: dict[str, t.Any], index: int, count: int, sender: t.Any) -> None:
    """Until count promotes said that they are done."""
    store, dice, rows, done = open_store(params), random.Random(index), [], 0
    while done < count:
        unlucky = LostAnswers(store, "/channels/", timeout=dice.random() < 0.5)
        unlucky.left = int(dice.random() < LOST)
        rows.append(attempt(unlucky if params["store"].startswith("file:") else store, "%d.%d.0" % (index, len(rows))))
        store.start_clock()
        done += not rows[-1].error
        if rows[-1].error:
            time.sleep(dice.random() * 0.02)
    sender.send(rows)


def at_once(params: dict[str, t.Any], first: int, wide: int, count: int) -> list[Row]:
    pipes = [_FORK.Pipe(duplex=False) for _index in range(wide)]
    workers = [
        _FORK.Process(target=_work, args=(params, first + index, count, pipes[index][1]), daemon=True)
        for index in range(wide)
    ]
    for worker in workers:
        worker.start()
    for _receiver, sender in pipes:  # one that dies is noticed
        sender.close()
    rows = [row for receiver, _sender in pipes for row in receiver.recv()]
    for worker in workers:
        worker.join(10)
    return rows


def faults_of(last: Channel, rows: t.Sequence[Row]) -> list[str]:
    """What is wrong with the channel that these promotes left."""
    wrote = {(row.serial, row.version): row for row in rows}
    chain: dict[int, str] = {}
    version, bad = last.stable.version if last.stable else "", []
    for serial in range(last.serial, 0, -1):
        row = wrote.get((serial, version))
        if row is None:
            return ["serial %d is of %s, which nobody promoted there" % (serial, version or "nothing")]
        chain[serial], version = version, row.previous
    if version:
        bad.append("the first document took the place of %s" % version)
    done = [row for row in rows if not row.error]
    lost = [row for row in done if chain.get(row.serial) != row.version]
    bad += [
        "%s was done with serial %d, which is of %s" % (row.version, row.serial, chain.get(row.serial)) for row in lost
    ]
    return bad + ["%s ended before %s began, and is not before it" % pair for pair in _disorder(done)]


def _disorder(done: t.Sequence[Row]) -> t.Iterator[tuple[str, str]]:
    ends, latest = sorted(done, key=lambda row: row.ended), Row("", 0, "", 0, 0, "")
    at = 0
    for row in sorted(done, key=lambda row: row.begun):
        while at < len(ends) and ends[at].ended < row.begun:
            latest = max(latest, ends[at], key=lambda one: one.serial)
            at += 1
        if latest.serial >= row.serial:
            yield latest.version, row.version


def unreliable(dice: random.Random) -> fault_proxy.Fault:
    def fault(exchange: fault_proxy.Exchange) -> None:
        roll = dice.random()
        if roll < LOST:
            fault_proxy.drop_answer()(exchange)
        if roll < LOST + UNSENT:
            fault_proxy.drop_request()(exchange)
        exchange.client.sendall(b"".join(exchange.forward()))

    return fault


def measure(
    params: dict[str, t.Any], plain: dict[str, t.Any], wide: int, count: int, turns: int
) -> tuple[list[Row], list[str]]:
    begun = time.monotonic()
    rows = at_once(params, 1, wide, count) + at_once(params, 100, 1, turns)
    last, _etag = read_channel(open_store(plain), NAME, CHANNEL)
    bad = faults_of(last, rows)
    done = sum(not row.error for row in rows)
    print(
        "%-4s %d promotes said done (%d by %d writers at once, %d in turn), %d were refused or told nothing, serial %d, %d wrong, %.0f s"
        % (
            params["store"].partition(":")[0],
            done,
            wide * count,
            wide,
            turns,
            len(rows) - done,
            last.serial,
            len(bad),
            time.monotonic() - begun,
        ),
        flush=True,
    )
    return rows, bad


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wide", type=int, default=8, help="writers at once")
    parser.add_argument("--count", type=int, default=60, help="promotes of each of them; in S3 half as many")
    parser.add_argument("--turns", type=int, default=240, help="promotes in turn; in S3 half as many")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beam-promotes-")))
        (place / "store").mkdir()
        directory = {"store": "file://%s" % (place / "store")}
        rows, bad = measure(directory, directory, options.wide, options.count, options.turns)
        server = stack.enter_context(s3_server.running(place / "s3"))
        proxy = stack.enter_context(fault_proxy.running(server.endpoint))
        rule = proxy.add(unreliable(random.Random(1)), method="PUT", path="/channels/")
        more, worse = measure(
            {**server.params, "endpoint_url": proxy.endpoint},
            server.params,
            options.wide,
            options.count // 2,
            options.turns // 2,
        )
        print("s3: the proxy saw %d writes of the channel" % rule.applied)
    rows, bad = rows + more, bad + worse
    for line in bad[:20]:
        print("  " + line)
    done = sum(not row.error for row in rows)
    record("bad_days", promotes=done, promotes_not_done=len(rows) - done, lost=len(bad))
    return int(bool(bad))
