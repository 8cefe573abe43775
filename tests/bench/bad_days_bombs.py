# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests that are made to exhaust who reads them: each is read by a process of its own, which tells its peak of memory and its seconds.

The largest honest manifests are among them, and have to be taken. Python itself and its modules are part of each peak.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import unpack_manifest

MAX_MIB = 200
SHA = "ab" * 32
Document = dict[str, t.Any]


def honest(files: int = 3, layers: int = 1) -> Document:
    rows = [["d%d/f%d" % (i % 50, i), "644", 1, SHA] for i in range(files)]
    size = -(-files // layers)
    return {
        "schema": 1,
        "name": "shop",
        "version": "1.0.0",
        "abi": {
            "arch": "",
            "libc": "",
            "libc_version": "",
            "openssl": "",
            "erts": "",
            "needs": {},
            "interpreter": "",
            "runpath": [],
        },
        "provenance": {
            "git_sha": "",
            "git_dirty": False,
            "lock_sha256": "",
            "fingerprint": "",
            "mix_env": "",
            "elixir": "",
            "otp": "",
        },
        "directories": [],
        "layers": [
            {"sha256": "%064x" % i, "size": 1, "prefix": "l%d" % i, "files": rows[i * size : (i + 1) * size]}
            for i in range(layers)
        ],
    }


def canonical(document: Document) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def changed(**changes: t.Any) -> bytes:
    return canonical({**honest(), **changes})


def abi(**changes: t.Any) -> bytes:
    return changed(abi={**honest()["abi"], **changes})


def filled(piece: bytes, size: int = 32 * 1024 * 1024 - 4096) -> bytes:
    """A manifest of about the largest size, with an additional list that is full of piece."""
    return b'{"a":[' + (piece + b",") * ((size - 10) // (len(piece) + 1)) + b"0]}"


def deep(parts: int, name: str = "d") -> str:
    return "/".join([name] * parts)


def twice(key: str) -> bytes:
    return canonical(honest()).replace(b'"%s":' % key.encode(), b'"%s":[],"%s":' % (key.encode(), key.encode()), 1)


# name -> (what makes the JSON, whether it has to be taken)
BOMBS: dict[str, tuple[t.Callable[[], bytes], bool]] = {
    "the most files": (lambda: canonical(honest(200_000, 500)), True),
    "the most layers": (lambda: canonical(honest(10_000, 10_000)), True),
    "the most empty directories": (lambda: changed(directories=["e%d/x" % i for i in range(20_000)]), True),
    "too many files": (lambda: canonical(honest(250_000, 500)), False),
    "100,000 layers": (lambda: canonical(honest(100_000, 100_000)), False),
    "layers without files": (
        lambda: canonical({**honest(), "layers": [{**honest()["layers"][0], "files": []}] * 200_000}),
        False,
    ),
    "directories": (lambda: changed(directories=["d%d" % i for i in range(1_000_000)]), False),
    "deep directories": (lambda: changed(directories=["%d/%s" % (i, deep(500)) for i in range(30_000)]), False),
    "deep directories below the caps": (
        lambda: changed(directories=["%d/%s" % (i, deep(62)) for i in range(20_000)]),
        False,
    ),
    "deep files": (
        lambda: canonical(
            {
                **honest(),
                "layers": [
                    {
                        **honest()["layers"][0],
                        "files": [["%d/%s" % (i, deep(62)), "644", 1, SHA] for i in range(150_000)],
                    }
                ],
            }
        ),
        False,
    ),
    "directories twice": (lambda: twice("directories"), False),
    "lists": (lambda: filled(b"[]"), False),
    "dictionaries": (lambda: filled(b"{}"), False),
    "dictionaries with keys": (lambda: filled(b'{"a":0}'), False),
    "dictionaries below the cap": (lambda: filled(b'{"a":{"b":0}}', 4_500_000), False),
    "lists below the cap": (lambda: filled(b"[]", 1_600_000), False),
    "numbers": (lambda: filled(b"12345"), False),
    "short texts": (lambda: filled(b'"ab"'), False),
    "one long text": (lambda: filled(b'"%s"' % (b"x" * 30_000_000)), False),
    "one wide text": (lambda: filled(('"%s\U0001f600"' % ("x" * 30_000_000)).encode()), False),
    "an escaped wide text": (lambda: filled(b'"%s\\ud83d\\ude00"' % (b"x" * 20_000_000)), False),
    "one long number": (lambda: filled(b"1" * 20_000_000), False),
    "nested lists": (lambda: b"[" * 30_000_000, False),
    "nested dictionaries": (lambda: b'{"a":' * 500_000, False),
    "unknown keys": (lambda: canonical({**honest(), **{"k%d" % i: 0 for i in range(400_000)}}), False),
    "libraries that are needed": (lambda: abi(needs={"lib%d.so" % i: [] for i in range(100_000)}), False),
    "symbol versions": (
        lambda: abi(needs={"lib%d.so" % i: ["V%d" % j for j in range(500)] for i in range(1_000)}),
        False,
    ),
    "runpaths": (lambda: abi(runpath=["/r%d" % i for i in range(500_000)]), False),
    "optional libraries": (lambda: abi(optional={"l%d" % i: "x" for i in range(300_000)}), False),
    "long provenance": (lambda: changed(provenance={**honest()["provenance"], "otp": "x" * 30_000_000}), False),
    "a gzip bomb": (lambda: b" " * 2_000_000_000, False),
    "a gzip of many members": (lambda: b"members", False),
}


def packed(name: str) -> tuple[bytes, str]:
    plain = BOMBS[name][0]()
    data = gzip.compress(b"", 9) * 1_000_000 if name == "a gzip of many members" else gzip.compress(plain, 6, mtime=0)
    return data, hashlib.sha256(plain).hexdigest()


def read(path: str, digest: str) -> dict[str, t.Any]:
    """In a process that does nothing else."""
    data = Path(path).read_bytes()
    begun = time.perf_counter()
    try:
        unpack_manifest(data, digest)
        code = "taken"
    except BeamError as exc:
        code = exc.code + ": " + exc.why
    seconds = time.perf_counter() - begun
    return {
        "code": code,
        "seconds": round(seconds, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def measure(name: str) -> dict[str, t.Any]:
    with tempfile.NamedTemporaryFile() as stream:
        # Made by another process: what it took would count as the peak of a fork.
        made = subprocess.run(
            [sys.executable, __file__, "--make", name, stream.name], check=True, capture_output=True, text=True
        )
        done = subprocess.run(
            [sys.executable, __file__, "--read", stream.name, made.stdout.strip()],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            return {"code": "DIED: " + done.stderr.strip()[-300:], "seconds": 0.0, "peak_mib": 0.0}
        return dict(json.loads(done.stdout))


def main(_arguments: list[str]) -> int:
    from figures import record

    rows = {name: measure(name) for name in BOMBS}
    for name, row in rows.items():
        print("  %-34s %7.1f MiB %7.3f s  %s" % (name, row["peak_mib"], row["seconds"], row["code"][:90]))
    wrong = [
        name
        for name, row in rows.items()
        if (row["code"] == "taken") != BOMBS[name][1] or row["code"].startswith("DIED")
    ]
    peak = max(row["peak_mib"] for row in rows.values())
    slowest = max(row["seconds"] for row in rows.values())
    figures = {"manifest_bombs": len(BOMBS), "peak_mib": peak, "slowest_seconds": slowest, "wrong": wrong}
    print(
        "manifest_bombs %d, peak_mib %.1f, slowest %.2f s, wrong: %s"
        % (len(BOMBS), peak, slowest, ", ".join(wrong) or "none")
    )
    record("bad_days", bombs=figures)
    return int(bool(wrong) or peak > MAX_MIB)


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        content, named = packed(sys.argv[2])
        Path(sys.argv[3]).write_bytes(content)
        print(named)
    else:
        print(json.dumps(read(sys.argv[2], sys.argv[3])))
