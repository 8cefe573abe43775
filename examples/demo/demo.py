#!/usr/bin/env python3
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole line on this machine: a commit, a store, three nodes; a second version, a bad third one, and the way back.

It runs the same playbooks that a real fleet runs (alchemist.beam.setup, deploy, status, rollback) and shows what they
report. `make demo` calls it with everything it needs in place.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
import typing as t
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DIRECTORY = os.path.join(ROOT, ".cache", "demo")
PORTS = {"node1": 4101, "node2": 4102, "node3": 4103}


class DemoFailed(Exception):
    pass


def say(text: str = "") -> None:
    print(text, flush=True)


def human(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return "%.0f %s" % (size, unit) if unit == "B" else "%.1f %s" % (size, unit)
        size /= 1000
    return "%.1f GB" % size


class Demo:
    def __init__(self, directory: str, store: str, options: dict[str, t.Any], environment: dict[str, str]) -> None:
        self.directory = directory
        self.store = store
        self.options = options
        self.environment = environment
        self.log = os.path.join(directory, "demo.log")
        self.started = time.monotonic()

    def playbook(self, name: str, expect: int = 0, **variables: t.Any) -> tuple[float, dict[str, t.Any]]:
        """Run a playbook of the collection; its seconds and the report it wrote."""
        report = os.path.join(self.directory, "report.json")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(report)
        variables = {
            "demo_dir": self.directory,
            "demo_store": self.store,
            "beam_store_options": self.options,
            "beam_report": report,
            **variables,
        }
        command = [
            os.path.join(os.path.dirname(sys.executable), "ansible-playbook"),
            "-i",
            os.path.join(HERE, "inventory.yml"),
            "-e",
            "@" + self._variables(variables),
            "alchemist.beam." + name,
        ]
        began = time.monotonic()
        with open(self.log, "ab") as log:
            log.write(("\n$ %s\n" % " ".join(command)).encode())
            log.flush()
            at = log.tell()
            code = subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                check=False,
            ).returncode
        seconds = time.monotonic() - began
        if (code == 0) != (expect == 0):
            with open(self.log, "rb") as log:
                log.seek(at)
                tail = log.read().decode(errors="replace").splitlines()[-40:]
            raise DemoFailed("alchemist.beam.%s ended with %d:\n%s" % (name, code, "\n".join(tail)))
        if not os.path.exists(report):
            return seconds, {}
        with open(report, encoding="utf-8") as stream:
            return seconds, json.load(stream)

    def _variables(self, variables: dict[str, t.Any]) -> str:
        # In a 0600 file: the S3 server's keys are among them.
        path = os.path.join(self.directory, "variables.json")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(variables, stream)
        return path

    def _environment(self) -> dict[str, str]:
        quiet = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
        return {**os.environ, **self.environment, **quiet, "ANSIBLE_PIPELINING": "1"}

    def step(self, title: str) -> None:
        say("\n%s" % title)

    def status(self) -> None:
        """Ask the nodes themselves, as anyone could."""
        _seconds, report = self.playbook("status")
        for line in report.get("table", []):
            say("    " + line)

    def shows(self, version: str) -> None:
        for node, port in PORTS.items():
            with urllib.request.urlopen("http://127.0.0.1:%d/health" % port, timeout=5) as answer:
                body = json.load(answer)
            if body["version"] != version or not body["ready"]:
                raise DemoFailed("%s answers %r, not version %s" % (node, body, version))


def show_rollout(seconds: float, report: dict[str, t.Any]) -> None:
    build, published = report.get("build") or {}, report.get("published") or {}
    if build:
        say(
            "    build     %6.1f s   commit %s"
            % ((build.get("seconds") or {}).get("total", 0), (build.get("git_sha") or "")[:10])
        )
    if published:
        sent, release = published["bytes"]["sent"], published["bytes"]["release"]
        say(
            "    publish   %6.1f s   %d of %d layers, %s sent of %s (%.1f %%)"
            % (
                published["seconds"],
                published["layers"]["sent"],
                published["layers"]["total"],
                human(sent),
                human(release),
                100.0 * sent / release,
            )
        )
    for row in report["rows"]:
        moved = (
            ""
            if row.get("outage") is None
            else "outage %.1f s (stop %.1f, boot %.1f)" % (row["outage"], row["stop"] or 0, row["boot"] or 0)
        )
        fetched = "" if row.get("fetched") is None else "fetched %s" % human(row["fetched"])
        way = [row["before"] or "nothing", report["version"], row["now"] or "nothing"]
        if row["outcome"] == "skipped":
            way = way[:1]
        elif row["outcome"] == "moved":
            way = way[:2]
        say("    %-8s  %-9s %-21s %s  %s" % (row["host"], row["outcome"], " → ".join(way), fetched, moved))
    say("    %s  (%.1f s in all)" % (report["verdict"], seconds))


def run(demo: Demo) -> None:
    repo = os.path.join(demo.directory, "repo")
    subprocess.run(
        [sys.executable, os.path.join(ROOT, "examples", "make_versions.py"), repo],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    say(
        "A git repository with v0.1.0, v0.2.0 and v0.3.0; the store %s; three nodes on 127.0.0.1:%s"
        % (demo.store, "/".join(map(str, PORTS.values())))
    )

    demo.step("1  The servers are made ready")
    seconds, _report = demo.playbook("setup")
    say("    directories, cookie and environment on three servers (%.1f s)" % seconds)

    demo.step("2  deploy v0.1.0: commit → build → store → three nodes")
    show_rollout(*demo.playbook("deploy", beam_ref="v0.1.0"))
    demo.shows("0.1.0")

    demo.step("3  deploy v0.2.0: only what changed moves")
    show_rollout(*demo.playbook("deploy", beam_ref="v0.2.0"))
    demo.shows("0.2.0")
    demo.status()

    demo.step("4  deploy v0.3.0, which boots but never becomes healthy")
    seconds, report = demo.playbook("deploy", expect=2, beam_ref="v0.3.0")
    show_rollout(seconds, report)
    demo.shows("0.2.0")

    demo.step("5  0.3.0 is a ghost now: nobody rolls it out by accident")
    seconds, _report = demo.playbook("rollout", expect=2, beam_version="0.3.0")
    say("    refused, as it should be (%.1f s)" % seconds)

    demo.step("6  rollback to 0.1.0: already on every server, nothing to fetch")
    show_rollout(*demo.playbook("rollback"))
    demo.shows("0.1.0")
    demo.status()


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return "%d cores, %.0f GB, %s" % (
        os.cpu_count() or 0,
        memory,
        platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("file", "s3"), default="file")
    parser.add_argument("--directory", default=DIRECTORY)
    parser.add_argument(
        "--keep", action="store_true", help="leave the nodes running, to play with them (with the file store)"
    )
    parser.add_argument("--stop", action="store_true", help="only end the nodes that --keep left running")
    arguments = parser.parse_args()
    if arguments.keep and arguments.store == "s3":
        parser.error("--keep needs the file store: the S3 server ends with the demo")
    directory = os.path.abspath(arguments.directory)
    environment = {"ANSIBLE_COLLECTIONS_PATH": os.path.join(ROOT, ".cache", "live")}
    if arguments.stop:
        if os.path.isdir(directory):
            Demo(directory, "file://" + os.path.join(directory, "store"), {}, environment).playbook("stop")
        return 0
    say("alchemist.beam demo on this machine (%s)" % machine())
    with contextlib.ExitStack() as stack:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory, mode=0o755)
        store, options = "file://" + os.path.join(directory, "store"), {}
        if arguments.store == "s3":
            store, options = stack.enter_context(s3_store(directory))
        demo = Demo(directory, store, options, environment)
        try:
            run(demo)
        except DemoFailed as exc:
            say("\nThe demo failed: %s\nEverything that was printed is in %s" % (exc, demo.log))
            return 1
        finally:
            if not arguments.keep:
                with contextlib.suppress(DemoFailed):
                    demo.playbook("stop")
        seconds = time.monotonic() - demo.started
        say("\nDone in %.0f s. What the playbooks printed: %s" % (seconds, os.path.relpath(demo.log)))
        if arguments.keep:
            say("The nodes go on running. To end them: make demo-stop")
        if directory == DIRECTORY:
            figures = os.path.join(ROOT, ".cache", "figures")
            os.makedirs(figures, exist_ok=True)
            with open(os.path.join(figures, "demo-%s.json" % arguments.store), "w", encoding="utf-8") as stream:
                json.dump({"demo_seconds": round(seconds, 1)}, stream)
    return 0


@contextlib.contextmanager
def s3_store(directory: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """A real S3 server on this machine, and what the modules need to speak to it."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
    import s3_server

    with s3_server.running(pathlib.Path(directory, "s3")) as server:
        options = dict(server.params)
        yield options.pop("store") + "/demo", options


if __name__ == "__main__":
    sys.exit(main())
