# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are planted in deploys that do all they can to spill them, and are looked for in twelve places, in every form that a program may print.

A file that has to hold a secret is in MUST_BE, with its owner, its mode and the reason. Whatever else holds one is a hit, whoever may read it.
"""

from __future__ import annotations

import fnmatch
import gzip
import json
import secrets
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._mask_forms import base64_cores, forms
from leaks_look import ARGV, ENVIRON, grep

COOKIE, SETTING, STORE_KEY, SESSION, PRESIGNED, PARAMETER = (
    "cookie",
    "setting",
    "key of the store",
    "session token",
    "presigned query",
    "secret of SSM",
)
BECOME, MIGRATION, SURVEY, COMPILE, URL = (
    "become password",
    "migration's environment",
    "survey",
    "compile_env",
    "password in a URL",
)
# Planted in each place on purpose: a sweep that does not find it there would find nothing.
BAIT = "bait"
KINDS = (COOKIE, SETTING, STORE_KEY, SESSION, PRESIGNED, PARAMETER, BECOME, MIGRATION, SURVEY, COMPILE, URL)
OF_THE_NODE = (SETTING, MIGRATION, SURVEY, PARAMETER)  # its environment

RESULTS, KEPT, BASE, SYSTEM = "results at -vvv", "kept module files", "below the base", "/etc, /run, /tmp, homes"
LOGS, STORE, REPORT, CALLBACK, DUMPS, CORES = (
    "logs and journal",
    "store",
    "report and page",
    "callbacks",
    "crash dumps",
    "core files",
)
PLACES = (ARGV, ENVIRON, RESULTS, KEPT, BASE, SYSTEM, LOGS, STORE, REPORT, CALLBACK, DUMPS, CORES)


class MustBe(t.NamedTuple):
    """pattern: of files of a host. guard: the directory whose mode and owner keep others out, where the file's own do not."""

    pattern: str
    kinds: tuple[str, ...]
    owner: str
    mode: int
    why: str
    guard: str = ""


_KEPT = "the arguments of modules, which Ansible keeps when it is told to (ANSIBLE_KEEP_REMOTE_FILES)"
_DIED = "what the node had in its memory as it died: for whoever finds out why"
MUST_BE = (
    MustBe(
        "/etc/beacon/env", (SETTING, MIGRATION, SURVEY), "root", 0o600, "systemd reads the environment of the node here"
    ),
    MustBe("/etc/beacon/secrets", (PARAMETER,), "root", 0o600, "systemd reads here what the server fetched for itself"),
    MustBe("/var/lib/beacon/.erlang.cookie", (COOKIE,), "beacon", 0o400, "the VM reads its cookie here"),
    MustBe("/var/lib/beacon/erl_crash.dump", (*OF_THE_NODE, COOKIE), "beacon", 0o600, _DIED),
    MustBe(
        "/srv/daemon/shared/beacon.env",
        (SETTING, MIGRATION, SURVEY, COOKIE),
        "runner",
        0o600,
        "a daemon is started with this environment",
    ),
    MustBe("/srv/daemon/shared/beacon.cookie", (COOKIE,), "runner", 0o400, "the cookie that was given to the daemon"),
    MustBe("/srv/daemon/shared/run/beacon/.erlang.cookie", (COOKIE,), "runner", 0o400, "the VM reads its cookie here"),
    MustBe(
        "/srv/daemon/shared/log/beacon.log",
        OF_THE_NODE,
        "runner",
        0o600,
        "what the application itself writes to its standard output",
    ),
    MustBe(
        "/home/deploy/.ansible/tmp/*",
        (SETTING, MIGRATION, SURVEY, COOKIE, PRESIGNED),
        "deploy",
        0o700,
        _KEPT,
        "/home/deploy/.ansible/tmp",
    ),
    MustBe(
        "/opt/runner/.ansible/tmp/*",
        (SETTING, MIGRATION, SURVEY, COOKIE, PRESIGNED),
        "runner",
        0o700,
        _KEPT,
        "/opt/runner/.ansible/tmp",
    ),
    MustBe(
        "/var/log/journal/*", OF_THE_NODE, "root", 0o640, "what the application itself writes to its standard output"
    ),
    MustBe("/run/log/journal/*", OF_THE_NODE, "root", 0o640, "the same, where the journal does not outlive a boot"),
)

# Whose environment has to hold what: the node's own user; on the controller, who was given it to build with, and git.
MAY_HAVE: dict[str, dict[str, tuple[str, ...]]] = {
    "host": {"beacon": OF_THE_NODE, "runner": OF_THE_NODE},
    "controller": {"root": (COMPILE, URL)},
}


def canaries() -> dict[str, str]:
    """By kind; the keys of the store and the presigned query are not ours to choose."""
    found = {
        kind: "%s/Zq%s" % (secrets.token_hex(4), secrets.token_hex(8))
        for kind in (*KINDS, BAIT)
        if kind not in (STORE_KEY, PRESIGNED)
    }
    found[COOKIE] = secrets.token_hex(16)
    return found


def words(kind: str, value: str) -> set[str]:
    """What a file or a text must not hold."""
    if kind == PRESIGNED:
        return {
            sign + digit for sign in ("X-Amz-Signature=", "X-Amz-Signature%3D") for digit in "0123456789abcdef"
        }  # and not what a mask leaves
    numbers = {comma.join(str(byte) for byte in value.encode()) for comma in (",", ", ")}
    return {form for form in forms(value) | base64_cores(value) | numbers | {value[:-5]} if len(form) >= 10}


class Sweep:
    """What was found, by kind and place."""

    def __init__(self, planted: t.Mapping[str, str]) -> None:
        assert set(planted) == {*KINDS, BAIT}
        self.planted = dict(planted)
        self.hits: dict[tuple[str, str], list[str]] = {}
        self.words = [(word, kind) for kind, value in planted.items() for word in words(kind, value)]
        self.caught: set[str] = set()
        self._looked: dict[str, int] = dict.fromkeys(PLACES, 0)

    def hit(self, kind: str, place: str, where: str) -> None:
        if kind == BAIT:
            self.caught.add(place)
        else:
            self.hits.setdefault((kind, place), []).append(where)

    def looked(self, place: str, number: int = 1) -> None:
        self._looked[place] += number

    def see(self, place: str, text: str, where: str) -> None:
        self.looked(place, bool(text))
        for kind, spot in grep(text, self.words):
            self.hit(kind, place, "%s: %s" % (where, " ".join(text[max(0, spot - 90) : spot].split())))

    def see_bytes(self, place: str, data: bytes, where: str) -> None:
        """As it is, and unpacked."""
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        self.see(place, data.decode("utf-8", "surrogateescape"), where)

    def judge(self, place: str, told: t.Mapping[str, t.Any], where: str) -> None:
        """What was found in the files of a host by root: only where it must be, with the mode that keeps others out."""
        self.looked(place, told["files"])
        for kind, path in told["found"]:
            if not any(self._fits(one, kind, path, told["seen"]) for one in MUST_BE):
                self.hit(kind, place, "%s: %s" % (where, path))

    @staticmethod
    def _fits(one: MustBe, kind: str, path: str, seen: t.Mapping[str, t.Any]) -> bool:
        return (
            kind in one.kinds
            and fnmatch.fnmatch(path, one.pattern)
            and list(seen[one.guard or path]) == [one.owner, one.mode]
        )

    def judge_other(self, place: str, told: t.Mapping[str, t.Any], reader: str) -> None:
        """What another user can read: only what is that user's own."""
        self.looked(place, told["files"])
        for kind, path in told["found"]:
            if not any(one.owner == reader and self._fits(one, kind, path, told["seen"]) for one in MUST_BE):
                self.hit(kind, place, "%s can read %s" % (reader, path))

    def table(self) -> list[str]:
        rows = ["%-24s %s" % ("", " ".join("%3d" % number for number in range(1, len(PLACES) + 1)))]
        rows += [
            "%-24s %s" % (kind, " ".join("%3d" % len(self.hits.get((kind, place), ())) for place in PLACES))
            for kind in KINDS
        ]
        rows += ["%3d %s (%d)" % (number, place, self._looked[place]) for number, place in enumerate(PLACES, 1)]
        return rows + [
            "%s in %s: %s" % (kind, place, "; ".join(sorted(set(where))[:5]))
            for (kind, place), where in sorted(self.hits.items())
        ]


class Watch:
    """Arguments and environments of all processes of this machine, hosts of the fleet among them, as root sees them all the while."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep

    def __enter__(self) -> Watch:
        look = str(Path(__file__).with_name("leaks_look.py"))
        self.process = subprocess.Popen(
            [sys.executable, look, "watch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(self.sweep.words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"
        return self

    def look(self) -> None:
        """Returns when it has looked at all processes that are there now."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "looked\n"

    def __exit__(self, *_exc: object) -> None:
        said, _nothing = self.process.communicate("", timeout=240)
        told = json.loads(said)
        self.sweep.looked(ARGV, told["processes"])
        self.sweep.looked(ENVIRON, told["environments"])
        for place, kind, side, user, command in told["found"]:
            if place == ENVIRON and kind in MAY_HAVE[side].get(user, ()):
                continue
            self.sweep.hit(kind, place, "%s: %s: %s" % (side, user, command))
