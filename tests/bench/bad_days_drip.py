# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By how many seconds a server that drips outlives the limit of what asks it: every part of the product that asks one. `bad_days.py drip`

Each is asked in five ways: the server says nothing, or sends its status, a header, its body or chunks byte by byte. An operation that ends without an error
counts as well: by its time.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import trees
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling import groups, refresh
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import alb
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import HAProxy, Runtime
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import first_boot
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.retry import Deadline
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import Health, HttpCheck, gate, probe_http
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel

LIMIT = 3.0
WAYS = ("nothing", "status", "header", "body", "chunks")
PARTS = ("/versions/", "/manifests/", "/layers/")  # of a store, for what reads more than one
KEYS = {"region": "us-east-1", "access_key": "a", "secret_key": "b"}
_spec = importlib.util.spec_from_file_location(
    "drips", Path(__file__).resolve().parents[1] / "unit" / "plugins" / "module_utils" / "drips.py"
)
assert _spec is not None and _spec.loader is not None
drips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drips)


def s3(where: str) -> dict[str, t.Any]:
    return {"store": "s3://drips/x", "endpoint_url": "http://" + where, "store_timeout": LIMIT, **KEYS}


def _promote(where: str) -> None:
    run_channel(
        {**s3(where), "name": "shop", "channel": "production", "state": "promoted", "version": "1.0.0", "by": "bench"},
        False,
    )


def _aws(where: str) -> dict[str, t.Any]:
    return {**dict.fromkeys(AWS_SPEC), **KEYS, "endpoint_url": "http://" + where}


def _install(options: dict[str, t.Any]) -> None:
    with tempfile.TemporaryDirectory() as base:
        install(Request(Wanted("shop", version="1.0.0"), base + "/shop", "active", 3, 0), lambda: open_source(options))


def _verify(where: str) -> None:
    """The reading half of release_artifact: what it publishes takes the same way."""
    run_artifact(
        {
            **s3(where),
            "state": "verified",
            "name": "shop",
            "version": "1.0.0",
            "keep": 3,
            "keep_days": 0,
            "min_layer_age": 24,
            "pinned": None,
            "path": None,
            "exclude": [],
            "dest": None,
        },
        False,
    )


def _alb(where: str) -> None:
    options = {**_aws(where), "target_groups": ["arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/1"]}
    (group,) = alb.places(options, {"a": alb.Target("i-1", 80)})
    Mover([group], Timing(patience=LIMIT)).look()


def _first_boot(where: str) -> None:
    boot = first_boot.Boot({"metadata_url": "http://" + where})
    boot.keep_trying(lambda: boot.metadata.get("meta-data/placement/region"), LIMIT)


def _boot(options: dict[str, t.Any]) -> None:
    """As the bootstrap does: its deadline around the install, whose store may take much longer."""
    Deadline(LIMIT).keep_trying(lambda: _install({**options, "store_timeout": 120}), lambda _text: None)


WHAT: dict[str, t.Callable[[str], t.Any]] = {
    "install s3": lambda where: _install(s3(where)),
    "install http": lambda where: _install({"store": "http://" + where, "store_timeout": LIMIT}),
    "promote": _promote,
    "verify": _verify,
    "bootstrap s3": lambda where: _boot(s3(where)),
    "bootstrap http": lambda where: _boot({"store": "http://" + where}),
    "first boot": _first_boot,
    "metadata": lambda where: Metadata("http://" + where, LIMIT).text("meta-data/instance-id"),
    "haproxy": lambda where: Mover([HAProxy(Runtime(where), "app", {"a": "a"})], Timing(patience=LIMIT)).look(),
    "alb": _alb,
    "refresh": lambda where: refresh.wait(groups.Aws(_aws(where)), "shop", "r-1", LIMIT),
    "health": lambda where: probe_http(HttpCheck("http://%s/" % where, timeout=LIMIT)),
    "gate": lambda where: gate(
        Health(within=LIMIT), {"http": lambda: probe_http(HttpCheck("http://%s/" % where, timeout=60))}, lambda: ""
    ),
}


def _published(place: Path) -> None:
    tree = trees.make_tree(place / "tree", modules=2, dependencies=1)
    options = {
        "state": "present",
        "name": "shop",
        "version": None,
        "path": str(tree),
        "exclude": [],
        "pinned": None,
        "dest": None,
    }
    (place / "store").mkdir()
    run_artifact(
        {"store": "file://%s" % (place / "store"), **options, "keep": 3, "keep_days": 0, "min_layer_age": 24}, False
    )


@contextlib.contextmanager
def _late(place: Path, part: str) -> t.Iterator[str]:
    """A good store over http, of which one part drips."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source: t.Any, outputfile: t.Any) -> None:
            data = source.read()
            if part in self.path:
                with contextlib.suppress(OSError):
                    for at in range(len(data)):
                        outputfile.write(data[at : at + 1])
                        time.sleep(0.5)
            else:
                outputfile.write(data)

        def log_message(self, *_words: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(place / "store"))
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "127.0.0.1:%d" % server.server_port
    finally:
        server.shutdown()
        server.socket.close()


def _overrun(work: t.Callable[[str], t.Any], server: t.ContextManager[str]) -> float:
    with server as where:
        begun = time.monotonic()
        with contextlib.suppress(BeamError, first_boot.Failed):
            work(where)
        return time.monotonic() - begun - LIMIT


def main(_arguments: list[str]) -> int:
    from figures import record

    with contextlib.suppress(BeamError):  # what is loaded at the first use
        _promote("127.0.0.1:9")
    most, cases = {}, 0
    with tempfile.TemporaryDirectory() as place:
        _published(Path(place))
        for name, work in WHAT.items():
            late = [_overrun(work, drips.dripping(way, every=0.5)) for way in WAYS]
            if name.endswith("http"):
                late += [_overrun(work, _late(Path(place), part)) for part in PARTS]
            most[name] = round(max(late), 2)
            cases += len(late)
            print(
                "%-16s at most %.2f s beyond a limit of %g s (%s)"
                % (name, most[name], LIMIT, ", ".join("%.2f" % one for one in late)),
                flush=True,
            )
    record("bad_days", drip_cases=cases, drip_overrun_seconds=max(most.values()), drip_overruns=most)
    return int(max(most.values()) > 1)
