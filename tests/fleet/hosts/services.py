# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs beside the hosts in the control namespace: a balancer, an S3 server, a double of AWS. Each is started only when it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import balancer
import controller
import imds
from common import CONTROL_ADDRESS, METADATA_URL, ROOT, Fleet, FleetError, run, wait_for

sys.path.append(str(ROOT / "tests" / "support"))
import s3_server

NAMES = ("balancer", "s3", "aws", "cloud")
NEEDS = {"aws": ("balancer",), "cloud": ("balancer", "s3", "aws")}
AWS_PORT = 5000
OUTSIDE = 9  # aws_scaling.OUTSIDE


def prepare(wanted: t.Iterable[str]) -> None:
    """What has to be fetched: from inside the control namespace it could not be."""
    if "s3" in wanted:
        s3_server.install()
    if "aws" in wanted:
        run(ROOT / "tests" / "support" / "setup.sh", "venvaws", timeout=600)


def start(fleet: Fleet) -> None:
    for name in NAMES:
        if name in fleet.services:
            {"balancer": balancer.start, "s3": _start_s3, "aws": _start_aws, "cloud": _await_metadata}[name](fleet)


def stop(fleet: Fleet) -> None:
    """Only what does not end well with its namespace: the S3 server takes half a minute to hear SIGTERM, and leaves sockets behind."""
    s3_server.stop(_s3(fleet))


def addresses(fleet: Fleet) -> dict[str, t.Any]:
    """Of each service that runs, how it is reached: for `fleet status --json`, and as fleet_* variables in the inventory. Holds keys."""
    found: dict[str, t.Any] = {}
    if "balancer" in fleet.services:
        found["balancer"] = balancer.addresses(fleet)
    if "s3" in fleet.services and (_s3(fleet) / "server.json").exists():
        server = s3_server.load(_s3(fleet))
        found["s3"] = {"bucket": server.bucket, "endpoint_url": server.endpoint, "region": "us-east-1"}
        found["s3"].update(access_key=server.access_key, secret_key=server.secret_key)
        found["s3"].update(reader_access_key=server.reader_access_key, reader_secret_key=server.reader_secret_key)
    if "aws" in fleet.services and _aws(fleet).exists():
        found["aws"] = json.loads(_aws(fleet).read_text(encoding="utf-8"))
    if "cloud" in fleet.services:
        found["cloud"] = {"metadata_url": METADATA_URL, "images": found.get("aws", {}).pop("images", {})}
    return found


def _s3(fleet: Fleet) -> Path:
    return fleet.directory / "s3"


def _aws(fleet: Fleet) -> Path:
    """Written by aws_double.py when it is ready."""
    return fleet.directory / "aws.json"


def _start_s3(fleet: Fleet) -> None:
    words = [
        sys.executable,
        str(ROOT / "tests" / "support" / "s3_server.py"),
        "start",
        "--bind",
        CONTROL_ADDRESS,
        "--dir",
        str(_s3(fleet)),
    ]
    run(*controller.inside_control(fleet, words), timeout=120)


def _start_aws(fleet: Fleet) -> None:
    if _aws_answers(fleet):
        wait_for("the double of AWS to know all hosts", lambda: _aws_knows_all(fleet))
        return
    _aws(fleet).unlink(missing_ok=True)
    log = fleet.directory / "aws.log"
    words = [
        str(ROOT / ".cache" / "venvaws" / "bin" / "python"),
        "-B",
        str(Path(__file__).with_name("aws_double.py")),
        fleet.name,
        str(AWS_PORT),
    ]
    # Only its network is the control namespace's, and it holds the machine's: with these it can add hosts. See aws_scaling.py.
    script = 'exec %d</proc/self/ns/net; exec nsenter --net=/run/netns/%s -- "$@"' % (OUTSIDE, fleet.control)
    with log.open("ab") as output:
        argv = ["sh", "-c", script, "aws", *words]
        process = subprocess.Popen(
            argv, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    wait_for("the double of AWS (%s)" % log, lambda: _aws(fleet).exists() or process.poll() is not None)
    if process.poll() is not None:
        raise FleetError("the double of AWS ended:\n%s" % log.read_text(encoding="utf-8", errors="replace")[-2000:])


def _await_metadata(fleet: Fleet) -> None:
    """It is started by the double of AWS, which asks several times a second whether it shall."""
    wait_for("the metadata service (%s)" % (fleet.directory / "aws.log"), lambda: imds.applied(fleet.directory))


def _aws_knows_all(fleet: Fleet) -> bool:
    return set(fleet.hosts) <= set(json.loads(_aws(fleet).read_text(encoding="utf-8"))["instances"])


def _aws_answers(fleet: Fleet) -> bool:
    """Asked from inside the namespace: its addresses exist nowhere else."""
    script = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
    argv = controller.inside_control(
        fleet, [sys.executable, "-c", script, "http://%s:%d/moto-api/" % (CONTROL_ADDRESS, AWS_PORT)]
    )
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
