# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often the judge of two versions is wrong: false alarms where nothing differs, and which changes it sees, beside simpler rules.

    PYTHONPATH=.cache/live python tests/bench/judge.py [--pairs 1500 --rounds 200 --seed 1]

Nothing is measured of a server: requests are drawn from distributions whose truth is known. Figures go to .cache/figures/automations.json. Exit status 1 if
more than 1 % of the pairs without a difference were judged worse. docs/judge.md tells what was seen.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
import typing as t
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from ansible_collections.alchemist.beam.plugins.module_utils._balancer import compare
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.watch import ROW
from ansible_collections.alchemist.beam.plugins.module_utils._stats.errors import fisher
from ansible_collections.alchemist.beam.plugins.module_utils._stats.finding import ERRORS, WORSE
from ansible_collections.alchemist.beam.plugins.module_utils._stats.judge import judge
from ansible_collections.alchemist.beam.plugins.module_utils._stats.sample import (
    Latencies,
    Sample,
    of_buckets,
    of_values,
)
from ansible_collections.alchemist.beam.plugins.module_utils._stats.shift import mann_whitney
from ansible_collections.alchemist.beam.plugins.module_utils._stats.tail import p99_ratio
from ansible_collections.alchemist.beam.plugins.module_utils._stats.tails import normal_point, wilson
from figures import record

FIGURES = "automations"
AIM = 0.01
FEW, MANY = 800, 1500  # latencies of the candidate and of stable
ENDS = [
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1000,
    2500,
    5000,
    10000,
    math.inf,
]  # milliseconds, as Prometheus' clients have them
Draw = t.Callable[[random.Random, int], list[float]]


def usual(source: random.Random, count: int) -> list[float]:
    """Around 24 ms, p99 54 ms."""
    return [source.lognormvariate(math.log(24), 0.35) for _index in range(count)]


def slower(times: float) -> Draw:
    return lambda source, count: [times * value for value in usual(source, count)]


def some_slow(share: float) -> Draw:
    return lambda source, count: [value * (10 if source.random() < share else 1) for value in usual(source, count)]


def wide(source: random.Random, count: int) -> list[float]:
    return [source.lognormvariate(math.log(24), 1.0) for _index in range(count)]


def cached(source: random.Random, count: int) -> list[float]:
    """Most from a cache, in whole milliseconds: many ties."""
    return [
        float(round(source.lognormvariate(math.log(3 if source.random() < 0.8 else 80), 0.4)))
        for _index in range(count)
    ]


def heavy(source: random.Random, count: int) -> list[float]:
    return [10 * source.paretovariate(1.3) for _index in range(count)]


def stalled(source: random.Random, count: int) -> list[float]:
    """A hundred requests a second to a server that stops for up to half a second now and then: slow requests come together, which no test here assumes."""
    values, until = usual(source, count), -1.0
    for index in range(count):
        now = index / 100
        if source.random() < 0.002:  # once in five seconds
            until = now + source.uniform(0.1, 0.5)
        values[index] += max(0.0, 1000 * (until - now))
    return values


SHAPES: t.Mapping[str, Draw] = {"usual": usual, "wide": wide, "cached": cached, "heavy": heavy, "buckets": usual}
CASES: t.Mapping[str, Draw] = {
    "same": usual,
    "slower_30": slower(1.3),
    "slower_60": slower(1.6),
    "slow_2_percent": some_slow(0.02),
    "slow_5_percent": some_slow(0.05),
}


def failed(source: random.Random, of: int, share: float) -> int:
    """How many of the requests fail: from one failure to the next, and not request by request."""
    found, place = 0, -1
    while True:
        place += 1 + int(math.log(1 - source.random()) / math.log(1 - share))
        if place >= of:
            return found
        found += 1


def latencies(values: list[float], shape: str) -> Latencies:
    if shape != "buckets":
        return of_values(values)
    return of_buckets(ENDS, [sum(low < value <= high for value in values) for low, high in zip([-1, *ENDS], ENDS)])


def false_alarms(source: random.Random, pairs: int, shapes: t.Mapping[str, Draw]) -> dict[str, tuple[int, int, int]]:
    """Of each shape: how many were judged worse, not enough, and how many there were."""
    found = {}
    for shape, draw in shapes.items():
        verdicts = []
        for _pair in range(pairs // len(shapes)):
            ours, theirs = (latencies(draw(source, count), shape) for count in (FEW, MANY))
            candidate = Sample(20_000, failed(source, 20_000, 0.003), ours)
            verdicts.append(judge(candidate, Sample(80_000, failed(source, 80_000, 0.003), theirs)).verdict)
        found[shape] = (verdicts.count(WORSE), verdicts.count("not enough"), len(verdicts))
    return found


def by_means(ours: list[float], theirs: list[float]) -> bool:
    """Twice the mean, and 50 ms more."""
    one, two = sum(ours) / len(ours), sum(theirs) / len(theirs)
    return one > 2 * two and one > two + 50


def seen(source: random.Random, draw: Draw, rounds: int) -> dict[str, float]:
    """The share of the rounds that each rule calls worse."""
    called = dict.fromkeys(("judge", "means", "shift_alone", "bootstrap_alone"), 0)
    for _round in range(rounds):
        ours, theirs = draw(source, FEW), usual(source, MANY)
        one, two = of_values(ours), of_values(theirs)
        ranks, ratio = mann_whitney(one, two), p99_ratio(one, two)
        # Without failures on either side, so that latencies alone are seen.
        called["judge"] += judge(Sample(FEW, 0, one), Sample(MANY, 0, two)).verdict == WORSE
        called["means"] += by_means(ours, theirs)
        called["shift_alone"] += ranks.p_longer < 0.01 and ranks.superior > 0.6
        called["bootstrap_alone"] += ratio is not None and ratio.low > 1.25
    return {name: count / rounds for name, count in called.items()}


def seen_errors(
    source: random.Random, ours: tuple[int, float], theirs: tuple[int, float], rounds: int
) -> dict[str, float]:
    """requests and their true share of failures."""
    called = dict.fromkeys(("judge", "fisher_alone", "margin"), 0)
    for _round in range(rounds):
        one, two = failed(source, *ours), failed(source, *theirs)
        called["judge"] += judge(Sample(ours[0], one), Sample(theirs[0], two), metrics=(ERRORS,)).verdict == WORSE
        called["fisher_alone"] += fisher(one, ours[0], two, theirs[0]) < 0.01
        share, other = one / ours[0], two / theirs[0]
        called["margin"] += share > other + 0.01 and share > 2 * other
    return {name: count / rounds for name, count in called.items()}


def baked(source: random.Random, rounds: int, ours: float, theirs: float) -> dict[str, tuple[float, float]]:
    """Bakes of 300 s with a look each second, 20 requests a second of the canary and 80 of the rest, and these shares of failures: how many of them the
    canary's rule calls worse, and after how many seconds; and the same if each look asked for no more than the last one."""
    called: dict[str, list[int]] = {"canary": [], "canary_naive": []}
    for _round in range(rounds):
        rows, over = dict.fromkeys(called, 0), dict.fromkeys(called, False)
        one = two = 0
        for look in range(1, 301):
            one, two = one + failed(source, 20, ours), two + failed(source, 80, theirs)
            for rule in called:
                if over[rule]:
                    continue
                chance = compare.CHANCE if look == 300 or rule == "canary_naive" else compare.CHANCE_EARLY
                sides = compare.Delta(20 * look, one), compare.Delta(80 * look, two)
                worse = compare.judge(*sides, compare.Limits(), chance).verdict == compare.WORSE
                rows[rule] = rows[rule] + 1 if worse else 0
                if rows[rule] >= ROW or rows[rule] and look == 300:
                    called[rule].append(look)
                    over[rule] = True
    return {rule: (len(looks) / rounds, sum(looks) / max(1, len(looks))) for rule, looks in called.items()}


def timed(source: random.Random) -> dict[str, float]:
    """Seconds of the processor for one verdict."""
    took = {}
    for name, count in (("judge_ms", 1000), ("judge_million_ms", 10**6)):
        sides = [Sample(count, count // 300, of_values(usual(source, count))) for _side in "ab"]
        begun = time.process_time()
        judge(*sides)
        took[name] = 1000 * (time.process_time() - begun)
    return took


def shape_of_machine() -> str:
    return "%d cores, Python %s, load %.1f" % (os.cpu_count() or 0, sys.version.split()[0], os.getloadavg()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description="How often the judge of two versions is wrong.")
    parser.add_argument("--pairs", type=int, default=1500, help="without a difference")
    parser.add_argument("--rounds", type=int, default=200, help="of each case")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source, begun = random.Random(options.seed), time.monotonic()

    alarms = false_alarms(source, options.pairs, SHAPES)
    for shape, (worse, few, of) in alarms.items():
        print("nothing differs, %-8s %4d pairs, %d judged worse, %d not enough" % (shape, of, worse, few), flush=True)
    count, pairs = sum(row[0] for row in alarms.values()), sum(row[2] for row in alarms.values())
    high = wilson(count, pairs, normal_point(0.005))[1]
    print("judge_false_alarms %.4f (at most %.4f, with 99 %%)\n" % (count / pairs, high), flush=True)
    together = false_alarms(source, options.rounds, {"stalled": stalled})["stalled"]
    print(
        "the same with stalls, which make slow requests come together: %d of %d judged worse\n"
        % (together[0], together[2])
    )

    values: dict[str, t.Any] = {
        "judge_false_alarms": count / pairs,
        "judge_false_alarms_high": high,
        "judge_false_alarms_pairs": pairs,
        "judge_false_alarms_stalls": together[0] / together[2],
    }
    print("%-34s %8s %8s %12s %16s" % ("judged worse, %", "judge", "means", "shift alone", "bootstrap alone"))
    for name, draw in CASES.items():
        rules = seen(source, draw, options.rounds)
        print("%-34s %8.1f %8.1f %12.1f %16.1f" % (name, *(100 * share for share in rules.values())), flush=True)
        values["judge_power_" + name] = rules.pop("judge")
        values.update({"judge_power_%s_%s" % (name, rule): share for rule, share in rules.items()})
    print("\n%-34s %8s %8s %12s" % ("judged worse, %", "judge", "Fisher", "margin"))
    for name, ours, theirs in (
        ("errors", (20_000, 0.006), (80_000, 0.003)),
        ("errors_same", (20_000, 0.003), (80_000, 0.003)),
        ("errors_few_same", (100, 0.02), (400, 0.02)),
        ("errors_few", (100, 0.03), (400, 0.02)),
    ):
        rules = seen_errors(source, ours, theirs, 5 * options.rounds)
        print("%-34s %8.1f %8.1f %12.1f" % (name, *(100 * share for share in rules.values())), flush=True)
        values["judge_power_" + name] = rules["judge"]
        values["judge_power_%s_margin" % name] = rules["margin"]
    print("\n%-34s %8s %12s" % ("bakes of 300 s judged worse, %", "canary", "naive"))
    for name, ours_share, theirs_share in (
        ("same", 0.005, 0.005),
        ("errors_twice", 0.01, 0.005),
        ("errors_5_times", 0.025, 0.005),
    ):
        bakes = baked(source, 5 * options.rounds, ours_share, theirs_share)
        print(
            "%-34s %8.1f %12.1f   after %.0f s, and %.0f s"
            % (name, *(100 * row[0] for row in bakes.values()), *(row[1] for row in bakes.values())),
            flush=True,
        )
        values.update({"judge_%s_%s" % (rule, name): row[0] for rule, row in bakes.items()})
    took = timed(source)
    print(
        "\na verdict: %(judge_ms).0f ms of the processor; of a million latencies on each side: %(judge_million_ms).0f ms"
        % took
    )
    record(FIGURES, **values, **took, judge_shape=shape_of_machine())
    print("%s, %.0f s" % (shape_of_machine(), time.monotonic() - begun))
    return 0 if count / pairs <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
