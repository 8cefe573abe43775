# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every S3 server that the registries have for this machine: what store_check says of it, and how many tests of the store's conformance suite it passes.

SeaweedFS and moto come from PyPI (as for the tests), s3rver from npm. One that can't be had is said to be NOT TRIED. The table is for docs/store.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.check import check_store, run_check
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests/unit/plugins/module_utils/_store/test_store_conformance.py"
S3RVER = "3.7.1"
Server = tuple[str, str, str]  # endpoint and keys


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=2):
            return True
    except urllib.error.HTTPError:  # it wants to know who asks
        return True
    except OSError:
        return False


def _ready(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if _answers(endpoint):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


@contextlib.contextmanager
def _process(command: list[str], server: Server, cwd: str) -> t.Iterator[Server]:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd
    ) as process:
        try:
            _ready(server[0], process)
            yield server
        finally:
            process.kill()


@contextlib.contextmanager
def seaweedfs(directory: str) -> t.Iterator[Server]:
    import s3_server

    with s3_server.running(Path(directory)) as server:
        yield server.endpoint, server.access_key, server.secret_key


@contextlib.contextmanager
def moto(directory: str) -> t.Iterator[Server]:
    from ports import free_ports

    (port,) = free_ports(1, "127.0.0.1")
    program = str(ROOT / ".cache/venvaws/bin/moto_server")
    with _process(
        [program, "-H", "127.0.0.1", "-p", str(port)], ("http://127.0.0.1:%d" % port, "test", "testtest"), directory
    ) as server:
        yield server


@contextlib.contextmanager
def s3rver(directory: str) -> t.Iterator[Server]:
    from ports import free_ports

    (port,) = free_ports(1, "127.0.0.1")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "s3rver@" + S3RVER]
    subprocess.run(install, cwd=directory, check=True, capture_output=True)
    data = Path(directory) / "data"
    data.mkdir()
    command = [directory + "/node_modules/.bin/s3rver", "-d", str(data), "-a", "127.0.0.1", "-p", str(port)]
    with _process(command, ("http://127.0.0.1:%d" % port, "S3RVER", "S3RVER"), directory) as server:
        yield server


SERVERS: dict[str, t.Callable[[str], t.ContextManager[Server]]] = {
    "SeaweedFS": seaweedfs,
    "moto": moto,
    "s3rver": s3rver,
}


def try_one(name: str) -> dict[str, t.Any]:
    with (
        tempfile.TemporaryDirectory(prefix="s3-", ignore_cleanup_errors=True) as directory,
        SERVERS[name](directory) as (endpoint, access, secret),
    ):
        params = {
            "store": "s3://releases/check",
            "endpoint_url": endpoint,
            "region": "us-east-1",
            "access_key": access,
            "secret_key": secret,
            "store_timeout": 20,
        }
        store = open_store(params)
        with contextlib.suppress(Exception):  # made already
            store._client.create_bucket(Bucket="releases")  # type: ignore[attr-defined]
        rows = [check.to_dict() for check in check_store(store)]
        try:
            run_check(params)
            verdict = "accepted"
        except BeamError as exc:
            verdict = exc.code
        environment = {
            **os.environ,
            "S3_ENDPOINT": endpoint,
            "S3_BUCKET": "releases",
            "S3_ACCESS_KEY": access,
            "S3_SECRET_KEY": secret,
            "S3_READER_ACCESS_KEY": access,
            "S3_READER_SECRET_KEY": secret,
        }
        suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITE)]
        done = subprocess.run(suite, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        counts = {
            word: int(number)
            for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])
        }
        failed = sorted(set(re.findall(r"FAILED [^:]*::(\w+)", done.stdout)))
        return {"verdict": verdict, "checks": rows, "suite": counts, "suite_failed": failed}


def main(arguments: list[str]) -> int:
    from figures import record

    found: dict[str, t.Any] = {}
    for name in arguments or SERVERS:
        try:
            found[name] = try_one(name)
        except (OSError, RuntimeError, subprocess.SubprocessError, BeamError) as exc:
            print("NOT TRIED: %s: %s" % (name, str(exc)[:300]))
            continue
        row = found[name]
        print("%s: %s; conformance suite %s" % (name, row["verdict"], json.dumps(row["suite"])))
        for check in row["checks"]:
            print("  %-7s %-18s %s" % ("ok" if check["ok"] else "LACKS", check["name"], check["detail"]))
        for test in row["suite_failed"]:
            print("  failed  %s" % test)
    record(
        "bad_days",
        s3_servers={
            name: {
                "verdict": row["verdict"],
                "lacks": [c["name"] for c in row["checks"] if not c["ok"]],
                **row["suite"],
            }
            for name, row in found.items()
        },
    )
    return 0
