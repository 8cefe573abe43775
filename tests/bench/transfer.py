# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish, fetch and unpack against the same S3 server, beside s5cmd, s3cmd and curl."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact, run_artifact_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import manifest_key, version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from common import ROOT, Release, rounds, say

HERE = Path(__file__).resolve().parent
ARTIFACT = {
    "state": "present",
    "exclude": [],
    "pinned": None,
    "keep": 10,
    "keep_days": 0,
    "min_layer_age": 24,
    "dest": None,
}
REPUBLISH = (
    "import json, sys\nfrom ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact\n"
    "print(json.dumps(run_artifact(json.loads(sys.stdin.read()), False)))\n"
)


class Shop:
    """The store, and what the others fetch: the plain tarball that `exported` makes."""

    def __init__(self, server: t.Any, scratch: Path) -> None:
        self.server = server
        self.scratch = scratch
        self.params = {**server.params, "store": server.params["store"] + "/bench", "store_timeout": 120}
        self.tarballs: dict[str, Path] = {}
        self.published: dict[str, dict[str, t.Any]] = {}
        self.options_cache: dict[tuple[str, bool], str] = {}

    @property
    def store(self) -> Store:
        """A new one each time: its time limit is for everything that is asked of it."""
        return open_store(self.params)

    def artifact(self, release: Release, **changes: t.Any) -> dict[str, t.Any]:
        return run_artifact(
            {
                **self.params,
                **ARTIFACT,
                "name": "beacon",
                "version": release.version,
                "path": str(release.tree),
                **changes,
            },
            False,
        )

    def publish(self, release: Release) -> None:
        self.published[release.version] = self.artifact(release)
        tarball = self.scratch / ("beacon-%s.tar.gz" % release.version)
        self.artifact(release, state="exported", dest=str(tarball), path=None)
        self.tarballs[release.version] = tarball
        with open(tarball, "rb") as stream:
            self.store.put_if_absent(tarball.name, stream, tarball.stat().st_size)

    def options(self, version: str, presigned: bool = True) -> str:
        """The file of options for install_once."""
        path = self.scratch / ("options-%s-%s.json" % (version, presigned))
        params = dict(self.params)
        if presigned:
            params = {"presigned": self.presign(version)}
        path.write_text(json.dumps(params), encoding="utf-8")
        return str(path)

    def presign(self, version: str) -> dict[str, str]:
        info = run_artifact_info(
            {**self.params, "name": "beacon", "version": version, "digest": None, "channel": None, "presign": 900}
        )
        return t.cast("dict[str, str]", info["presigned"])

    def url(self, version: str) -> str:
        return self.store.presign(self.tarballs[version].name, 900)

    def document_bytes(self, version: str) -> int:
        """What a host reads beside layers."""
        keys = (manifest_key("beacon", self.published[version]["digest"]), version_key("beacon", version))
        return sum(stat.size for stat in (self.store.stat(key) for key in keys) if stat)


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / ".cache" / "live"), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": ""}


def run(argv: t.Sequence[str], cwd: Path | None = None, env: t.Mapping[str, str] | None = None, text: str = "") -> str:
    """Its output. Where we are told to end meanwhile, it ends with all that it started."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        argv, cwd=cwd, env=dict(env or environment()), text=True, start_new_session=True, **pipes
    ) as process:
        try:
            output, errors = process.communicate(text)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise SystemExit("%s: exit %d\n%s" % (argv[0], process.returncode, (output + errors)[-2000:]))
    return output


def measure_publish(shop: Shop, first: Release, second: Release, figures: dict[str, float]) -> None:
    shop.publish(first)
    shop.publish(second)
    sent = [shop.published[release.version]["bytes"]["sent"] for release in (first, second)]
    figures["publish_delta_bytes_ratio"] = sent[1] / sent[0]
    say(
        "published %s: %d bytes in %d layers; %s: %d bytes in %d layers"
        % (
            first.version,
            sent[0],
            shop.published[first.version]["layers"]["sent"],
            second.version,
            sent[1],
            shop.published[second.version]["layers"]["sent"],
        )
    )
    params = json.dumps(
        {**shop.params, **ARTIFACT, "name": "beacon", "version": second.version, "path": str(second.tree)}
    )
    writes: list[int] = []

    def republish() -> None:
        result = json.loads(run([sys.executable, "-c", REPUBLISH], text=params))
        assert not result["changed"], result
        writes.append(result["writes"])

    measured = rounds({"publish an unchanged tree": (lambda: None, republish)})
    measured.table("Python's start and the client's included", "publish an unchanged tree")
    figures["republish_seconds"] = measured["publish an unchanged tree"]
    figures["republish_writes"] = max(writes)


def measure_fetch(
    shop: Shop, tools: t.Mapping[str, str], first: Release, second: Release, figures: dict[str, float]
) -> None:
    # Every work gets a new directory, and all of them are removed at the end: for some minutes after a large tree was
    # removed, ext4 takes several times as long to create a file (it passes over inodes that were freed recently).
    numbers = itertools.count()
    base = target = shop.scratch / "fetch"
    target.mkdir()
    results: dict[str, dict[str, t.Any]] = {}

    def empty() -> None:
        nonlocal base, target
        target = shop.scratch / "fetch" / str(next(numbers))
        base = target / "base"
        target.mkdir()

    def install(version: str, presigned: bool = True) -> None:
        results[version] = json.loads(
            run(
                [
                    sys.executable,
                    str(HERE / "install_once.py"),
                    str(base),
                    version,
                    shop.options_cache[version, presigned],
                ]
            )
        )

    def with_first() -> None:
        empty()
        install(first.version)

    shop.options_cache = {
        (release.version, kind): shop.options(release.version, kind)
        for release in (first, second)
        for kind in (True, False)
    }
    key = "s3://%s/bench/%s" % (shop.server.bucket, shop.tarballs[second.version].name)
    works: dict[str, tuple[t.Callable[[], None], t.Callable[[], None]]] = {
        "curl | tar xz": (
            empty,
            lambda: void(
                run(
                    ["sh", "-c", 'curl -sSf "$URL" | tar xzf -'],
                    target,
                    {**environment(), "URL": shop.url(second.version)},
                )
            ),
        ),
    }
    if "s5cmd" in tools:
        env = {
            **environment(),
            "AWS_ACCESS_KEY_ID": shop.server.access_key,
            "AWS_SECRET_ACCESS_KEY": shop.server.secret_key,
            "AWS_REGION": "us-east-1",
        }
        script = '"$0" --endpoint-url "$1" cp "$2" r.tgz && tar xzf r.tgz'
        works["s5cmd cp, tar xzf"] = (
            empty,
            lambda: void(run(["sh", "-c", script, tools["s5cmd"], shop.server.endpoint, key], target, env)),
        )
    if "s3cmd" in tools:
        config = shop.scratch / "s3cmd.cfg"
        host = shop.server.endpoint.split("//")[1]
        config.write_text(
            "[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\n"
            % (shop.server.access_key, shop.server.secret_key, host, host)
        )
        os.chmod(config, 0o600)
        script3 = '"$0" -q -c "$1" get "$2" r.tgz && tar xzf r.tgz'
        works["s3cmd get, tar xzf"] = (
            empty,
            lambda: void(run(["sh", "-c", script3, tools["s3cmd"], str(config), key], target)),
        )
    works["first, presigned"] = (empty, lambda: install(second.version))
    works["first, s3:// by boto3"] = (empty, lambda: install(second.version, False))
    works["second version, presigned"] = (with_first, lambda: install(second.version))
    works["second version, s3:// by boto3"] = (with_first, lambda: install(second.version, False))
    seconds = rounds(works)
    seconds.table(
        "Fetch, verify, unpack, sync and switch (%d files, %.1f MB)" % (second.files, second.bytes / 1e6),
        "curl | tar xz",
    )
    tarball = shop.tarballs[second.version].stat().st_size
    fetched = results[second.version]["bytes"]["fetched"] + shop.document_bytes(second.version)
    say(
        "  second version: %d bytes of layers and %d of documents, the tarball has %d"
        % (results[second.version]["bytes"]["fetched"], shop.document_bytes(second.version), tarball)
    )
    figures["delta_bytes_ratio"] = fetched / tarball
    if "s3cmd" in tools:
        figures["delta_wall_vs_s3cmd"] = seconds["second version, presigned"] / seconds["s3cmd get, tar xzf"]
    if "s5cmd" in tools:
        figures["first_wall_vs_s5cmd"] = seconds["first, presigned"] / seconds["s5cmd cp, tar xzf"]


def void(_value: t.Any) -> None:
    return None
