# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A thousand servers, on paper and by simulation: what a rollout costs its controller, and which limit breaks first.

    python tests/bench/scale.py          the model: the ten hosts of the bench first, beside their measurement, then 100 and 1,000
    python tests/bench/scale.py costs    what the controller takes, by the real playbook over servers that answer at once; some minutes
    python tests/bench/scale.py play N   one such rollout to N servers, beside what the model says of it

After `make setup`. The ten hosts are those of `tests/bench/rollout.py time`. Figures go to .cache/figures/rollout.json. docs/scale.md tells what was seen.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench")]

from ansible_collections.alchemist.beam.plugins.module_utils._balancer import haproxy as haproxy_client
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.batches import sizes
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.journal import MAX_JOURNAL_BYTES
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import layer_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from ansible_collections.alchemist.beam.plugins.modules import balancer_member
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import call
from figures import record, recorded
from simulated import Controller, Played, haproxy, names, play

FIGURES = "rollout"
# hosts, batches. The first is as the bench has it; three numbers tell the three costs of the model: of a rollout, of a batch and of a server.
PLAYS: tuple[tuple[int, list[t.Any]], ...] = ((10, [2]), (10, ["100%"]), (40, ["100%"]))
BENCH = ("nodes_seconds", "restarts_seconds", "joins_seconds", "stage_seconds", "whole_seconds")
DEFAULT_BATCHES = [1, "25%"]
FORKS, BENCH_FORKS = 10, 20
LOCK_RENEWAL = 10.0  # seconds: a third of the lock's 30
URLS_LAST = 900.0  # seconds
AIM = 15.0  # per cent


def shape() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "%d cores, %.0f GiB, load %.1f" % (os.cpu_count() or 0, memory, os.getloadavg()[0])


def need(known: t.Mapping[str, t.Any], name: str, command: str) -> t.Any:
    if name not in known:
        raise SystemExit(
            "NOT MEASURED YET: %s is not in .cache/figures/%s.json.\nMeasure it, with nothing else on the machine:\n    %s"
            % (name, FIGURES, command)
        )
    return known[name]


def command(file: str, what: str) -> str:
    return "PYTHONPATH=.cache/live .cache/venv/bin/python tests/bench/%s %s" % (file, what)


@dataclass(frozen=True)
class Costs:
    """Seconds of the controller's processor: of a rollout at all, of a batch, of a server, and of the square of the servers."""

    rollout: float
    batch: float
    server: float
    square: float = 0.0

    def seconds(self, hosts: int, batches: int) -> float:
        return self.rollout + self.batch * batches + self.server * hosts + self.square * hosts**2


@dataclass(frozen=True)
class Servers:
    """Seconds of the servers and balancers, as the bench measured them."""

    stage: float
    drain: float
    restart: float
    join: float

    def seconds(self, lengths: t.Sequence[int], forks: int) -> float:
        """As many servers as there are forks work at the same time; a balancer does all of a batch at once."""
        rounds = sum(math.ceil(length / forks) for length in lengths)
        return (
            self.stage * math.ceil(sum(lengths) / forks)
            + (self.drain + self.join) * len(lengths)
            + self.restart * rounds
        )


def costs_of(plays: t.Sequence[t.Mapping[str, t.Any]]) -> Costs:
    took = {(play["hosts"], play["batches"]): play["processor"] for play in plays}
    few, one, many = took[10, 5], took[10, 1], took[40, 1]
    batch, server = (few - one) / 4, (many - one) / 30
    linear = Costs(one - batch - 10 * server, batch, server)
    largest = max(plays, key=lambda play: play["hosts"])
    hosts = largest["hosts"]
    rest = largest["processor"] - linear.seconds(hosts, largest["batches"])
    if hosts == 40 or rest < 0:
        # Nothing beyond the line: of many servers, the most tell best what one takes.
        return Costs(linear.rollout, batch, server + (rest / hosts if hosts > 40 else 0.0))
    return Costs(linear.rollout, batch, server, rest / hosts**2)


def measure_costs(_options: argparse.Namespace) -> int:
    plays = []
    for hosts, batches in PLAYS:
        plays.append(asdict(played(hosts, batches)))
        say_play(plays[-1])
    record(FIGURES, scale_plays=plays, scale_plays_shape=shape())
    return 0


def played(hosts: int, batches: t.Sequence[t.Any]) -> Played:
    with tempfile.TemporaryDirectory(prefix="beam-scale-") as directory:
        return play(Path(directory), hosts, batches, FORKS)


def say_play(play: t.Mapping[str, t.Any]) -> None:
    text = (
        "%5d servers in %3d batches: %7.1f s, %7.1f s of the processor, %4.0f MB, %5.1f MB sent in %d calls, %d tasks"
    )
    values = (play["wall"], play["processor"], play["memory"] / 1e6, play["sent"] / 1e6, play["calls"], play["tasks"])
    print(text % (play["hosts"], play["batches"], *values), flush=True)


def play_many(options: argparse.Namespace) -> int:
    plays = need(recorded(FIGURES), "scale_plays", command("scale.py", "costs"))
    plays = [play for play in plays if play["hosts"] <= 40]
    costs, found = costs_of(plays), asdict(played(options.hosts, DEFAULT_BATCHES))
    say_play(found)
    expected = costs.seconds(found["hosts"], found["batches"])
    print("the model without a square says %.1f s of the processor (%+.0f %%)" % (expected, off(expected, found)))
    record(FIGURES, scale_plays=[*plays, found], **{"scale_play_%d_shape" % options.hosts: shape()})
    return 0


def off(expected: float, found: t.Mapping[str, t.Any]) -> float:
    return 100 * (expected / found["processor"] - 1)


# What is measured each time, within seconds.


def url_bytes() -> int:
    """Of one layer's URL with the key that it is given under, as release_install gets them."""
    keys = {"access_key": "A" * 20, "secret_key": "s" * 40, "region": "eu-central-1"}
    key = layer_key("shop", "d" * 64)
    return len('"%s": "%s", ' % (key, open_store({"store": "s3://releases/shop", **keys}).presign(key, 900)))


def connections(place: Path, hosts: int) -> tuple[int, float]:
    """To a real HAProxy, and seconds of the processor, for hosts that leave it and join it again: half of its servers at once."""
    asked = 0
    ask = haproxy_client.Runtime.ask

    def count(self: t.Any, text: str) -> str:
        nonlocal asked
        asked += 1
        return ask(self, text)

    with haproxy(place, 2 * hosts) as address:
        everyone = {name: {"server": name} for name in names(2 * hosts)}
        members = dict(list(everyone.items())[:hosts])
        options = {"balancers": [{"kind": "haproxy", "address": address, "backends": ["shop"]}], "members": members}
        time.sleep(1)
        haproxy_client.Runtime.ask = count  # type: ignore[method-assign]
        begun = time.process_time()
        try:
            for more in ({"state": "drained", "fleet": everyone, "min_healthy": hosts}, {"state": "joined"}):
                found = call(balancer_member, {**options, **more})
                if found.get("failed"):
                    raise SystemExit("the balancer: %s" % found["msg"])
        finally:
            haproxy_client.Runtime.ask = ask  # type: ignore[method-assign]
    return asked, time.process_time() - begun


def module_seconds() -> float:
    """Of a server's processor, for the start of the module that restarts."""
    module = "ansible_collections.alchemist.beam.plugins.modules.rollout_host"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import ansible.module_utils.basic, " + module], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tell(name: str, *values: t.Any) -> None:
    print("%-52s" % name + "".join("%16s" % (v if isinstance(v, str) else f"{v:,.1f}") for v in values))


def ten_hosts(known: t.Mapping[str, t.Any], plays: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Servers, bool]:
    """The bench: what the model says of it, and what was measured. All of its hosts share the controller's processor."""
    measured = {
        name: float(need(known, "time_10_hosts_" + name, command("rollout.py", "time") + "   (as root)"))
        for name in BENCH
    }
    drain = (measured["nodes_seconds"] - measured["restarts_seconds"]) / 5
    servers = Servers(measured["stage_seconds"], drain, measured["restarts_seconds"] / 5, measured["joins_seconds"] / 5)
    bench = next(play for play in plays if (play["hosts"], play["batches"]) == (10, 5))
    theirs = bench["calls"] * module_seconds() / (os.cpu_count() or 1)
    parts = {
        "the controller's processor": bench["processor"],
        "the servers' and balancers' own": servers.seconds([2] * 5, BENCH_FORKS),
        "starts of modules on ten servers that share it": theirs,
    }
    predicted = sum(parts.values())
    difference = 100 * (predicted / measured["whole_seconds"] - 1)
    print("The ten hosts of the bench, in batches of two. Seconds:")
    for name, seconds in parts.items():
        tell("  " + name, seconds)
    tell("  predicted, measured", predicted, measured["whole_seconds"])
    print("  difference: %+.1f %% (aim: within %.0f %%)\n" % (difference, AIM))
    record(FIGURES, scale_10_hosts_predicted_seconds=predicted, scale_10_hosts_difference_percent=difference)
    return servers, abs(difference) <= AIM


def model(options: argparse.Namespace) -> int:
    known = recorded(FIGURES)
    plays = need(known, "scale_plays", command("scale.py", "costs"))
    costs = costs_of(plays)
    print("%s. Costs of the controller, measured at: %s.\n" % (shape(), known.get("scale_plays_shape")))
    for one in plays:
        say_play(one)
    text = "Seconds of the processor: %.2f for a rollout, %.2f for a batch, %.3f for a server, %.7f for the square\n"
    print(text % (costs.rollout, costs.batch, costs.server, costs.square))
    of_controller(costs, plays, options)
    servers, close = ten_hosts(known, plays)
    whole(costs, servers)
    return 0 if close else 1


def of_controller(costs: Costs, plays: t.Sequence[t.Mapping[str, t.Any]], options: argparse.Namespace) -> None:
    """What needs no fleet to be told."""
    url, found = url_bytes(), {}
    with tempfile.TemporaryDirectory(prefix="beam-scale-") as directory:
        for hosts in (10, 100, 1000):
            found[hosts] = Controller(Path(directory) / str(hosts), hosts, DEFAULT_BATCHES).run()
        asked = {hosts: connections(Path(directory) / ("lb%d" % hosts), hosts) for hosts in (5, 50)}
    each = (asked[50][0] - asked[5][0]) / 45
    batches = {hosts: len(sizes("rolling", DEFAULT_BATCHES, hosts)) for hosts in found}
    sent = max(plays, key=lambda play: play["hosts"])
    rows: dict[str, t.Callable[[int], float]] = {
        "batches (beam_batches: [1, 25%])": lambda n: batches[n],
        "the controller's processor, seconds": lambda n: costs.seconds(n, batches[n]),
        "of these, in steps of the whole fleet": lambda n: found[n].total,
        "memory of its largest process, MB": lambda n: memory(plays, n) / 1e6,
        "requests to the store for the journal and reports": lambda n: sum(found[n].requests.values()),
        "the journal as it is in the end, KB": lambda n: found[n].one / 1e3,
        "bytes of the journal written, MB": lambda n: found[n].journal / 1e6,
        "the report in the history, MB": lambda n: found[n].report / 1e6,
        "what is remembered from task to task, MB": lambda n: found[n].remembered / 1e6,
        "URLs of %d layers for each server, MB" % options.layers: lambda n: n * (options.layers + 2) * url / 1e6,
        "modules sent to the servers, MB": lambda n: n * sent["sent"] / sent["hosts"] / 1e6,
        "connections to one HAProxy": lambda n: batches[n] * (asked[5][0] - 5 * each) + n * each,
    }
    tell("Servers", *(f"{hosts:,}" for hosts in found))
    figures = {}
    for name, value in rows.items():
        tell(name, *(value(hosts) for hosts in found))
    for hosts in (100, 1000):
        spent = found[hosts]
        told = {
            "processor_seconds": costs.seconds(hosts, batches[hosts]),
            "memory_bytes": memory(plays, hosts),
            "fleet_steps_seconds": spent.total,
            "store_requests": sum(spent.requests.values()),
            "journal_bytes": spent.one,
            "journal_written_bytes": spent.journal,
            "remembered_bytes": spent.remembered,
            "url_bytes": hosts * (options.layers + 2) * url,
        }
        figures.update({"scale_%d_hosts_%s" % (hosts, name): value for name, value in told.items()})
    last = found[1000]
    limits = {
        "the journal's %d MiB" % (MAX_JOURNAL_BYTES // 2**20): MAX_JOURNAL_BYTES / (last.one / 1000),
        "an hour of the controller's processor": reach(costs, 3600),
    }
    print("\nServers at which it ends, or lasts too long:")
    for name, hosts in sorted(limits.items(), key=lambda item: item[1]):
        tell("  " + name, f"{hosts:,.0f}")
    print()
    record(FIGURES, **figures, scale_shape=shape())


def reach(costs: Costs, seconds: float) -> float:
    """How many servers that much of the processor is enough for."""
    return next(float(n) for n in range(100, 1_000_000, 100) if costs.seconds(n, 5) > seconds)


def memory(plays: t.Sequence[t.Mapping[str, t.Any]], hosts: int) -> float:
    few, many = plays[0], max(plays, key=lambda play: play["hosts"])
    return float(few["memory"] + (many["memory"] - few["memory"]) * (hosts - 10) / (many["hosts"] - 10))


def whole(costs: Costs, servers: Servers) -> None:
    for forks in (10, 50, 200):
        print("With %d forks:" % forks)
        for hosts in (100, 1000):
            lengths = sizes("rolling", DEFAULT_BATCHES, hosts)
            processor, theirs = costs.seconds(hosts, len(lengths)), servers.seconds(lengths, forks)
            wall = processor + theirs
            staging = servers.stage * math.ceil(hosts / forks) + costs.server * hosts / 2
            tell("  %d servers: minutes, of these the servers' own" % hosts, wall / 60, theirs / 60)
            tell("    renewals of the lock", wall / LOCK_RENEWAL)
            tell("    minutes of staging; URLs last %.0f" % (URLS_LAST / 60), staging / 60)
            record(FIGURES, **{"scale_%d_hosts_%d_forks_seconds" % (hosts, forks): wall})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="model", choices=["model", "costs", "play"])
    parser.add_argument("hosts", nargs="?", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=5, help="that a server lacks of a version")
    options = parser.parse_args()
    return {"model": model, "costs": measure_costs, "play": play_many}[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
