# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cloud on loopback: a metadata service that speaks HTTP, and an auto scaling API as its client sees it; a store with releases in it."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.aws import Client
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import Aws, Config, config_of
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel

INSTANCE = "i-0123456789abcdef0"


class Imds:
    """An instance metadata service: version 2, with what may go wrong."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {"meta-data/instance-id": INSTANCE, "meta-data/placement/region": "eu-test-1"}
        self.hop = True  # False: the answer with the token does not get here
        self.status = 200  # of the token
        self.slow = 0.0
        self.tokens = 0
        imds = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status: int, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_PUT(self) -> None:
                time.sleep(imds.slow if imds.hop else 3)
                imds.tokens += 1
                with contextlib.suppress(OSError):
                    self.answer(imds.status, "token-%d" % imds.tokens)

            def do_GET(self) -> None:
                time.sleep(imds.slow)
                if self.headers.get("X-aws-ec2-metadata-token") != "token-%d" % imds.tokens:
                    return self.answer(401, "")
                value = imds.values.get(self.path[len("/latest/") :])
                return self.answer(404, "") if value is None else self.answer(200, value)

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def imds() -> t.Iterator[Imds]:
    service = Imds()
    yield service
    service.close()


class ServiceError(Exception):
    """As botocore's ClientError."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        }


class Group:
    """An auto scaling group with one instance, behind the calls of its API."""

    def __init__(
        self,
        state: str = "Pending:Wait",
        hooks: t.Sequence[tuple[str, str]] = (("launch", "LAUNCHING"), ("end", "TERMINATING")),
    ) -> None:
        self.state, self.hooks = state, list(hooks)
        self.calls: list[tuple[str, str]] = []
        self.errors: list[Exception] = []  # of the next calls
        self.action = True  # whether there is one to complete

    def client(self) -> Client:
        return Client("autoscaling", Aws(), "eu-test-1", self)

    def called(self, operation: str) -> list[str]:
        return [word for name, word in self.calls if name == operation]

    def _call(self, name: str, word: str = "") -> None:
        self.calls.append((name, word))
        if self.errors:
            raise self.errors.pop(0)

    def describe_auto_scaling_instances(self, InstanceIds: list[str]) -> t.Any:
        self._call("instances")
        return {
            "AutoScalingInstances": [{"AutoScalingGroupName": "shop", "LifecycleState": self.state}]
            if self.state
            else []
        }

    def describe_lifecycle_hooks(self, AutoScalingGroupName: str) -> t.Any:
        self._call("hooks")
        return {
            "LifecycleHooks": [
                {"LifecycleHookName": name, "LifecycleTransition": "autoscaling:EC2_INSTANCE_" + kind}
                for name, kind in self.hooks
            ]
        }

    def _act(self) -> None:
        if not self.action or not self.state.endswith(":Wait"):
            raise ServiceError("ValidationError", "No active Lifecycle Action found with instance ID %s" % INSTANCE)

    def complete_lifecycle_action(self, LifecycleActionResult: str, LifecycleHookName: str, **_words: str) -> None:
        self._call("complete", "%s %s" % (LifecycleHookName, LifecycleActionResult))
        self._act()
        self.state = "InService" if LifecycleActionResult == "CONTINUE" and "Pending" in self.state else "Terminating"

    def record_lifecycle_action_heartbeat(self, **_words: str) -> None:
        self._call("heartbeat")
        self._act()


class Shelf:
    """A store with releases, and the configuration of a server that uses it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "store").mkdir()
        self.store = "file://%s" % (root / "store")
        self.base = str(root / "base")
        self.digests: dict[str, str] = {}

    def publish(self, *versions: str) -> None:
        for version in versions:
            tree = self.root / ("tree-" + version)
            (tree / "bin").mkdir(parents=True)
            (tree / "releases").mkdir()
            (tree / "bin" / "demo").write_text("#!/bin/sh\n")
            (tree / "bin" / "demo").chmod(0o755)
            (tree / "releases" / "start_erl.data").write_text("13.1 " + version)
            done = run_artifact({"store": self.store, "path": str(tree), "name": "demo", "state": "present"}, False)
            self.digests[version] = done["digest"]

    def promote(self, version: str, state: str = "promoted", **more: t.Any) -> None:
        run_channel(
            {"store": self.store, "name": "demo", "channel": "production", "state": state, "version": version, **more},
            False,
        )

    def config(self, **changes: t.Any) -> Config:
        document = {
            "schema": 1,
            "name": "demo",
            "base": self.base,
            "store": self.store,
            "manager": "daemon",
            "lifecycle": "none",
            "identify": ["file"],
            "jitter": 0,
            "deadline": 5,
            "min_free_mb": 0,
            **changes,
        }
        return config_of(document, "the configuration of the test")

    def records(self) -> list[dict[str, t.Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.root / "store").glob("demo/boots/*/*.json"))]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)
