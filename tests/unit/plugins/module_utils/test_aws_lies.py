# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers in the place of AWS and is not AWS: each operation ends with an error that names it. No traceback."""

from __future__ import annotations

import contextlib
import http.server
import threading
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling import groups
from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._balancer import alb
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import lifecycle
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.aws import Client
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import Aws
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/1"
# What an operation says, by its name; an operation that is not here gets an answer without a result.
LIES: dict[str, dict[str, str]] = {
    "no result": {},
    "an empty result": {"*": ""},
    "empty lists": {
        "*": "<TargetGroups/><TargetHealthDescriptions/><AutoScalingGroups/><AutoScalingInstances/><LifecycleHooks/>"
    },
    "empty members": {
        "*": "".join(
            "<%s><member/></%s>" % (name, name)
            for name in (
                "TargetGroups",
                "TargetHealthDescriptions",
                "AutoScalingGroups",
                "AutoScalingInstances",
                "LifecycleHooks",
                "Attributes",
                "InstanceRefreshes",
            )
        ),
    },
    "numbers and dates that are none": {
        "DescribeTargetGroups": "<TargetGroups><member><Port>many</Port></member></TargetGroups>",
        "DescribeInstanceRefreshes": "<InstanceRefreshes><member><StartTime>never</StartTime></member></InstanceRefreshes>",
        "DescribeAutoScalingGroups": "<AutoScalingGroups><member><MinSize>few</MinSize></member></AutoScalingGroups>",
        "DescribeAutoScalingInstances": "<AutoScalingInstances><member>x</member></AutoScalingInstances>",
    },
}


class Liar:
    def __init__(self) -> None:
        liar = self
        self.lie: dict[str, str] = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                action = next(pair.partition("=")[2] for pair in sent.split("&") if pair.startswith("Action="))
                inner = liar.lie.get(action, liar.lie.get("*"))
                result = "" if inner is None else "<%sResult>%s</%sResult>" % (action, inner, action)
                body = ("<%sResponse>%s</%sResponse>" % (action, result, action)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.where = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture(scope="module")
def liar() -> t.Iterator[Liar]:
    found = Liar()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def operations(liar: Liar) -> dict[str, t.Callable[[], t.Any]]:
    options = {
        **dict.fromkeys(AWS_SPEC),
        "region": "us-east-1",
        "access_key": "a",
        "secret_key": "b",
        "endpoint_url": "http://" + liar.where,
    }
    patch = pytest.MonkeyPatch()
    patch.setattr(groups, "_LIMITS", groups.Limits(3, 3, 1))
    (place,) = alb.places({**options, "target_groups": [ARN]}, {"a": alb.Target("i-1")})
    aws = groups.Aws(options)
    patch.setenv("AWS_ACCESS_KEY_ID", "a")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    client = Client("autoscaling", Aws("us-east-1", "http://" + liar.where), "us-east-1")
    with contextlib.suppress(BeamError):
        client.call("describe_lifecycle_hooks", "x", AutoScalingGroupName="shop")  # it is made at its first call
    patch.undo()
    return {
        "look": lambda: (setattr(place, "_port", None), place.look()),
        "forecast": place.forecast,
        "group": lambda: aws.group("shop"),
        "refreshes": lambda: aws.refreshes("shop"),
        "membership": lambda: lifecycle._membership(client, "i-1"),
        "hook": lambda: lifecycle._hook(client, "shop", lifecycle.LAUNCHING, None),
    }


@pytest.mark.parametrize("operation", ["look", "forecast", "group", "refreshes", "membership", "hook"])
@pytest.mark.parametrize("name", sorted(LIES))
def test_no_traceback(name: str, operation: str, liar: Liar, operations: dict[str, t.Callable[[], t.Any]]) -> None:
    liar.lie = LIES[name]
    try:
        operations[operation]()
    except BeamError as error:
        assert error.code in ("balancer_unreachable", "balancer_missing", "aws_unreachable", "group_missing"), (
            error.message
        )


@pytest.mark.parametrize(
    ("name", "operation", "said"),
    [
        ("no result", "look", "can't be parsed"),
        ("an empty result", "membership", "an answer without AutoScalingInstances"),
        ("empty members", "hook", "an answer without LifecycleTransition"),
        ("numbers and dates that are none", "forecast", "can't be parsed"),
        ("empty lists", "look", "AWS tells no such group"),
    ],
)
def test_a_lie_is_told(
    name: str, operation: str, said: str, liar: Liar, operations: dict[str, t.Callable[[], t.Any]]
) -> None:
    liar.lie = LIES[name]
    with pytest.raises(BeamError) as error:
        operations[operation]()
    assert said in error.value.why and ("without" not in said or liar.where in error.value.why), error.value.message
