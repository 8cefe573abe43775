# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where words are on a host: in its files, or in its processes while they live. A program of its own, which needs nothing but a Python.

leaks_look.py walk TOP...: the words, as JSON, are the first line of what it reads. It prints which file holds which, and its owner and mode.
leaks_look.py watch: the same of processes, until its input ends.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import stat
import sys
import typing as t

Words = t.Sequence[t.Sequence[str]]
ARGV, ENVIRON = "argv", "environment"
MOST = 1 << 28


def grep(text: str, words: Words) -> list[tuple[str, int]]:
    """Which kinds are there, each with its first place."""
    found: dict[str, int] = {}
    for word, kind in words:
        if kind not in found:
            spot = text.find(word)
            if spot >= 0:
                found[kind] = spot
    return list(found.items())


def read(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(MOST).decode("latin-1")
    except OSError:
        return ""


def files(top: str) -> t.Iterator[str]:
    if os.path.isfile(top):
        yield top
    known = set()
    for folder, _inner, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                info = os.lstat(path)
            except OSError:
                continue  # it has gone meanwhile
            if stat.S_ISREG(info.st_mode) and info.st_ino not in known:  # one file of several releases is one file
                known.add(info.st_ino)
                yield path


def user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def walk(words: Words, tops: t.Sequence[str]) -> dict[str, t.Any]:
    found, count = [], 0
    for top in tops:
        for path in files(top):
            text = read(path)
            count += bool(text)
            found += [(kind, path) for kind, _spot in grep(text, words)]
    seen: dict[str, tuple[str, int]] = {}
    for _kind, path in found:
        while path not in seen:
            info = os.stat(path)
            seen[path] = (user(info.st_uid), stat.S_IMODE(info.st_mode))
            path = os.path.dirname(path)
    return {"found": found, "seen": seen, "files": count}


def watch(words: Words) -> dict[str, t.Any]:
    own = os.readlink("/proc/self/ns/pid")
    found: set[tuple[str, ...]] = set()
    seen: set[tuple[str, str]] = set()
    environments = 0
    print("ready", flush=True)
    while True:
        asked = select.select([sys.stdin], [], [], 0.015)[0]
        if asked and not sys.stdin.readline():
            break
        for pid in os.listdir("/proc"):
            argv = read("/proc/%s/cmdline" % pid) if pid.isdigit() else ""
            if not argv or (pid, argv) in seen:
                continue
            seen.add((pid, argv))
            try:
                side = "controller" if os.readlink("/proc/%s/ns/pid" % pid) == own else "host"
                before = who("/proc/" + pid)
            except OSError:
                continue  # it has ended meanwhile
            environ = read("/proc/%s/environ" % pid)
            environments += bool(environ)
            try:
                name = who("/proc/" + pid)  # a service changes its user before it becomes what it runs
            except OSError:
                name = before  # it has ended since: the kernel takes its memory away first, then its file system
            for place, text in ((ARGV, argv), (ENVIRON, environ)):
                found |= {(place, kind, side, name, argv[:100].replace("\0", " ")) for kind, _spot in grep(text, words)}
        if asked:
            print("looked", flush=True)
    return {"found": sorted(found), "processes": len(seen), "environments": environments}


def who(proc: str) -> str:
    """The user's name as the process's own system has it. OSError: the process has ended, and its system can't be asked."""
    number = str(os.stat(proc).st_uid)
    users = read(proc + "/root/etc/passwd")
    if not users:
        os.readlink(proc + "/root")  # of one that has ended there is no root
    for line in users.splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == number:
            return fields[0]
    return number


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    print(json.dumps(walk(given, sys.argv[2:]) if sys.argv[1] == "walk" else watch(given)))
