# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What builds cost, and whether the same commit gives the same bytes: of any Mix project, or of the example application.

    python tests/bench/build.py
    python tests/bench/build.py --project https://git.example.com/shop.git --after-compile assets.deploy

After `make setup`, with PYTHONPATH=.cache/live. All of it goes through the collection's own playbooks, on this machine, into a store of files, and onto one
node that runs as a daemon. The repository is only read: what gets commits is a copy. Figures go to .cache/figures/build.json, below the name of the release.

Parts: again (the same commit built anew), warm, deploy. The cold build is always there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._release.beam_paths import contents
from ansible_collections.alchemist.beam.plugins.module_utils._release.tree import scan_tree
from ansible_collections.alchemist.beam.plugins.module_utils._store.refusal import differing_files

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from bench import machine
from build_site import Origin, Project, Site, example
from common import CACHE, ROUNDS, say
from figures import record, recorded

PARTS = ("again", "warm", "deploy")
COOKIE = "releases/COOKIE"  # each build draws one; the servers have their own
AIMS = {"deploy_published_seconds": 12.0, "again_same_path_files": 0}
TEXTS = {
    "cold_seconds": "a cold build: dependencies fetched and compiled, assets, release",
    "cold_steps": "of that, the steps",
    "files": "files of the release",
    "bytes": "bytes of the release",
    "unchanged_seconds": "the same commit again: nothing to build",
    "warm_seconds": "a build of a one-line change, median",
    "warm_rounds": "of so many",
    "first_sent_bytes": "bytes of layers that the first version sends to the store",
    "second_sent_bytes": "bytes of layers that a one-line change sends, median",
    "second_sent_ratio": "of the first version's",
    "second_layers": "layers of that, of all",
    "again_same_path_files": "files that differ if the same commit is built again at the same path",
    "again_other_path_files": "files that differ if it is built at another path",
    "again_same_path_causes": "why",
    "again_other_path_causes": "why",
    "deploy_published_seconds": "deploy of a published commit by a new build server; it runs already",
    "deploy_second_seconds": "deploy of another published commit by a new build server",
    "deploy_second_node_seconds": "of that, the node's own: stop, boot, gate",
}


def plain(data: bytes) -> bytes:
    """The strings of a sys.config, which stand there as <<47,115,...>>."""
    return re.sub(
        rb"<<(\d{1,3}(?:,\d{1,3})*)>>", lambda found: bytes(int(one) & 255 for one in found[1].split(b",")), data
    )


def compare(first: str, second: str, places: t.Sequence[str]) -> dict[str, list[str]]:
    """cause -> files that are not the same in both trees. places: where they were built."""
    one, other = ({file.path: file for file in scan_tree(tree, (COOKIE,)).files} for tree in (first, second))
    causes: dict[str, list[str]] = {}
    for line in differing_files(one, other):
        path = line[2:]
        if not line.startswith("~"):
            cause = "only in one"
        elif one[path].sha256 == other[path].sha256:
            cause = "mode"
        else:
            data = plain(contents((Path(first) / path).read_bytes()))
            cause = (
                "holds the path it was built at"
                if any(os.fsencode(place) in data for place in places)
                else "other content"
            )
        causes.setdefault(cause, []).append(path)
    return causes


def measure_cold(site: Site, figures: dict[str, t.Any]) -> dict[str, t.Any]:
    build = site.build("first", site.origin.commit)["build"]
    figures["cold_seconds"] = build["seconds"]["total"]
    figures["cold_steps"] = {name: seconds for name, seconds in build["seconds"].items() if name != "total"}
    tree = scan_tree(build["path"], (COOKIE,))
    figures["files"], figures["bytes"] = len(tree.files), sum(file.size for file in tree.files)
    again = site.build("first", site.origin.commit)["build"]
    if again["changed"] or again["path"] != build["path"]:
        raise SystemExit("the same commit was built a second time: %s, then %s" % (build["path"], again["path"]))
    figures["unchanged_seconds"] = again["seconds"]["total"]
    return t.cast("dict[str, t.Any]", build)


def measure_again(site: Site, build: t.Mapping[str, t.Any], figures: dict[str, t.Any]) -> None:
    """Two more cold builds of the same commit: where the first one was, and elsewhere."""
    kept = site.scratch / "kept"
    (site.scratch / "first").rename(kept)
    tree = str(kept / Path(build["path"]).relative_to(site.scratch / "first"))
    for name, place in (("same", "first"), ("other", "elsewhere")):
        other = site.build(place, site.origin.commit)["build"]
        if not other["changed"]:
            raise SystemExit("nothing was built at %s" % place)
        figures["cold_seconds_" + name] = other["seconds"]["total"]
        causes = compare(tree, other["path"], [str(site.scratch / part) for part in ("first", "elsewhere")])
        figures["again_%s_path_files" % name] = sum(len(files) for files in causes.values())
        figures["again_%s_path_causes" % name] = {
            cause: {"files": len(files), "such_as": files[:5]} for cause, files in causes.items()
        }
    site.forget("kept")
    site.forget("elsewhere")


def measure_warm(site: Site, figures: dict[str, t.Any]) -> list[str]:
    """One-line changes, each built and published. Returns the commits."""
    first = site.build("first", site.origin.commit, publish=True)["published"]
    commits, seconds, sent, layers = [site.origin.commit], [], [], []
    for number in range(1, ROUNDS + 1):
        commits.append(site.origin.change_one_line(number))
        seconds.append(site.build("first", commits[-1])["build"]["seconds"]["total"])
        published = site.build("first", commits[-1], publish=True)["published"]
        sent.append(published["bytes"]["sent"])
        layers.append("%d of %d" % (published["layers"]["sent"], published["layers"]["total"]))
    figures["warm_seconds"], figures["warm_rounds"] = statistics.median(seconds), ROUNDS
    figures["first_sent_bytes"], figures["second_sent_bytes"] = first["bytes"]["sent"], int(statistics.median(sent))
    figures["second_sent_ratio"] = figures["second_sent_bytes"] / figures["first_sent_bytes"]
    figures["second_layers"] = layers[-1]
    return commits


def measure_deploy(site: Site, name: str, commits: t.Sequence[str], figures: dict[str, t.Any]) -> None:
    """Published commits, by build servers that have built nothing: nothing may be built there."""
    site.setup(name)
    try:
        site.deploy("first", commits[-2], name)
        for figure, place, commit in (
            ("deploy_published", "runner1", commits[-2]),
            ("deploy_second", "runner2", commits[-1]),
        ):
            seconds, report = site.deploy(place, commit, name)
            steps = set((report.get("build") or {}).get("seconds") or {}) & {"compile", "release"}
            if steps:
                raise SystemExit("a published commit was built: %s" % ", ".join(sorted(steps)))
            figures[figure + "_seconds"] = seconds
        rows = report["rows"]
        figures["deploy_second_node_seconds"] = sum(
            float(row.get(part) or 0) for row in rows for part in ("stop", "boot", "gate")
        )
    finally:
        site.stop(name)


def show(figures: t.Mapping[str, t.Any]) -> bool:
    missed = False
    for name, value in figures.items():
        text = TEXTS.get(name, "")
        if isinstance(value, dict):
            shown = (
                ", ".join(
                    "%s: %s" % (key, one["files"] if isinstance(one, dict) else one) for key, one in value.items()
                )
                or "-"
            )
        else:
            shown = (
                "%.4g" % value if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
            )
        aim = AIMS.get(name)
        missed |= aim is not None and value > aim
        verdict = "" if aim is None else "  (aim: <= %g)%s" % (aim, " MISSED" if value > aim else "")
        say("  %-28s %14s  %s%s" % (name, shown, text, verdict))
    return missed


def note(build: t.Mapping[str, t.Any], after_compile: t.Sequence[str], figures: t.Mapping[str, t.Any]) -> None:
    """After each part: a later one that fails takes nothing of it away."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    before = recorded("build").get(build["name"], {})  # of parts that this run leaves out
    record(
        "build",
        **{
            build["name"]: {
                **before,
                **rounded,
                "machine": machine(),
                "toolchain": build["toolchain"],
                "after_compile": list(after_compile),
            }
        },
    )


def variables(given: t.Sequence[str]) -> dict[str, str]:
    for one in given:
        if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", one):
            raise SystemExit("%r is no variable: write NAME=value" % one.partition("=")[0])
    return dict(one.split("=", 1) for one in given)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", help="a git repository with a Mix project; without it, the example application")
    parser.add_argument("--ref", default="", help="a branch, a tag or a commit of it (default: its default branch)")
    parser.add_argument("--subdir", default="", help="where mix.exs is, such as apps/web")
    parser.add_argument("--release", default="", help="which one, where mix.exs has several")
    parser.add_argument(
        "--elixir-path",
        default="",
        help="the directory of elixir and mix, where PATH has none that the project can take",
    )
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="for all steps of the build; may be repeated"
    )
    parser.add_argument(
        "--app-env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for the application on the node, beside PORT, PHX_SERVER, ...",
    )
    parser.add_argument(
        "--after-compile",
        action="append",
        default=[],
        metavar="TASK",
        help="a Mix task, such as assets.deploy; may be repeated",
    )
    parser.add_argument(
        "--change",
        default="",
        metavar="FILE",
        help="the module that gets one line (default: the module of the application)",
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS) + " (default: all)")
    given = parser.parse_args()
    if set(given.parts) - set(PARTS):
        parser.error(
            "no such part: %s; there are %s" % (", ".join(sorted(set(given.parts) - set(PARTS))), ", ".join(PARTS))
        )
    if "deploy" in given.parts and "warm" not in given.parts:
        parser.error("deploy needs what warm publishes: name both")
    if ROUNDS < 1:
        parser.error("ROUNDS must be 1 or more")
    return given


def main() -> int:
    given = arguments()
    parts = given.parts or PARTS
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    CACHE.mkdir(parents=True, exist_ok=True)
    figures: dict[str, t.Any] = {}
    say(machine())
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="build-", dir=CACHE)))
        project = Project(
            given.project or example(scratch / "example"),
            given.ref or ("" if given.project else "v0.1.0"),
            given.subdir,
            given.release,
            given.elixir_path,
            variables(given.env),
            given.after_compile,
            given.change,
            variables(given.app_env),
        )
        origin = Origin(project, scratch / "origin")
        site = Site(project, origin, scratch)
        begun = time.monotonic()
        build = measure_cold(site, figures)
        keep = functools.partial(note, build, given.after_compile, figures)
        keep()
        say(
            "%s %s, from the commit %s; each one-line change is in %s"
            % (build["name"], build["version"], origin.commit[:12], origin.file)
        )
        if "again" in parts:
            measure_again(site, build, figures)
            keep()
        if "warm" in parts:
            commits = measure_warm(site, figures)
            keep()
            if "deploy" in parts:
                measure_deploy(site, build["name"], commits, figures)
                keep()
    say("\n%s; %d s in all" % (machine(), time.monotonic() - begun))
    return 1 if show(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
