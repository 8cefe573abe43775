# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lies of what is near: HAProxy's runtime API and the metadata service of an instance. A part of `bad_days.py lies`

Every case is nonsense, and none is a lie that makes sense: what HAProxy says clearly is believed. Wrong is, of a server with three sessions, that it is out;
of one whose check has failed, that it is healthy; an instance that is none; an end of the instance that nobody has told.
"""

from __future__ import annotations

import random
import types
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import DRAINING, IN, OUT, UNKNOWN
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import HAProxy
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import leave
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import MAX_BYTES, Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

NONSENSE = (
    "",
    "-",
    "abc",
    "-1",
    "9" * 400,
    "\xb2",
    "\x00",
    "1.5",
    "0x1",
    "NaN",
    "1,2",
    '"',
    "\ufffd",
    " ",
    "None",
    "true",
)
SERVER = {
    "be_id": "3",
    "be_name": "app",
    "srv_id": "1",
    "srv_name": "a",
    "srv_addr": "127.0.0.1",
    "srv_op_state": "2",
    "srv_admin_state": "0",
    "srv_uweight": "1",
    "srv_iweight": "1",
    "srv_time_since_last_change": "1",
    "srv_check_status": "6",
    "srv_check_result": "3",
    "srv_check_health": "4",
    "srv_check_state": "6",
    "srv_agent_state": "0",
}
ROW = {
    "pxname": "app",
    "svname": "a",
    "qcur": "0",
    "scur": "3",
    "stot": "715",
    "econ": "2",
    "eresp": "5",
    "status": "UP",
    "check_rise": "2",
    "check_fall": "3",
    "hrsp_5xx": "10",
    "req_tot": "710",
    "cli_abrt": "1",
    "rtime": "18",
    "ttime": "19",
    "mode": "http",
}
# What is true: (admin state, last result of the check) -> (rotation, healthy)
TRUTHS = {("0", "3"): (IN, True), ("8", "3"): (DRAINING, True), ("0", "2"): (IN, False), ("8", "2"): (DRAINING, False)}
GARBAGE = (
    "",
    "\n",
    "#\n",
    "1\n",
    "1\n# \n",
    "HTTP/1.0 400 Bad request\n\n<html>\n",
    '{"servers": []}\n',
    "[" * 5000 + "\n",
    "Unknown command.\n",
    "a" * 200_000 + "\n",
    "# pxname,svname\n" + '"' * 200_001 + "\n",
)
INSTANCE = "i-0123456789abcdef0"
BODIES: dict[str, bytes] = {
    "empty": b"",
    "a prefix": b"i-",
    "cut": b"i-0123",
    "too long": b"i-" + b"0" * 99,
    "letters": b"i-0123456789abcdefg",
    "capitals": INSTANCE.upper().encode(),
    "two lines": INSTANCE.encode() + b"\n" + INSTANCE.encode(),
    "a path": b"../../" + INSTANCE.encode(),
    "quoted": b'"%s"' % INSTANCE.encode(),
    "HTML": b"<html><body>502</body></html>",
    "binary": bytes(range(256)),
    "NUL": INSTANCE.encode() + b"\0",
    "UTF-16": INSTANCE.encode("utf-16"),
    "huge": b"i" * (MAX_BYTES + 1),
    "deep JSON": b"[" * 100_000,
    "a list": b"[]",
    "null": b"null",
    "a number": b"12345678",
    "NaN": b"NaN",
    "an action that is none": b'{"action": "laugh", "time": "2026-01-01T00:00:00Z"}',
    "an action of another type": b'{"action": ["terminate"], "time": 1}',
    "no action": b'{"time": "2026-01-01T00:00:00Z"}',
    "an object in an object": b'{"action": {"action": "terminate"}}',
}

Case = tuple[str, str, str, t.Any, t.Callable[[t.Any], t.Any], t.Callable[[t.Any], bool]]


def states(server: t.Mapping[str, str], more: str = "") -> str:
    return "1\n# %s\n%s\n%s\n" % (" ".join(server), " ".join(server.values()), more)


def stat(row: t.Mapping[str, str], more: str = "") -> str:
    return "# %s,\n%s,\n%s\n" % (",".join(row), ",".join(row.values()), more)


def _look(answers: t.Sequence[str]) -> t.Any:
    """answers: to `show servers state` and `show stat`"""
    left = list(answers)
    runtime = types.SimpleNamespace(address="/lies", ask=lambda _command: left.pop(0))
    return HAProxy(t.cast("t.Any", runtime), "app", {"a": "a"}).look()["a"]


def haproxy_cases() -> list[Case]:
    return [case for (admin, result), truth in TRUTHS.items() for case in _of_truth(admin, result, truth)]


def _of_truth(admin: str, result: str, truth: tuple[str, bool]) -> list[Case]:
    found: list[Case] = []
    chance = random.Random(7)
    server, row = {**SERVER, "srv_admin_state": admin, "srv_check_result": result}, dict(ROW)
    whole = (states(server), stat(row))
    label = "%s %s" % (truth[0], "up" if truth[1] else "failed")

    def harmless(seen: t.Any) -> bool:
        # Unknown, draining or in: none of these is taken for drained. Healthy is said only of who is.
        return seen.rotation != OUT and (truth[1] or not seen.healthy)

    def unknown(seen: t.Any) -> bool:
        return bool(seen.rotation == UNKNOWN)

    def add(name: str, *answers: str, true: t.Callable[[t.Any], bool] = harmless) -> None:
        found.append(("haproxy", label, name, answers, _look, true))

    add("true", *whole, true=lambda seen: (seen.rotation, seen.healthy) == truth)
    for key in server:
        add("without " + key, states({name: server[name] for name in server if name != key}), whole[1])
        for value in NONSENSE:
            add("%s is %r" % (key, value[:8]), states({**server, key: value}), whole[1])
    for key in row:
        add("without " + key, whole[0], stat({name: row[name] for name in row if name != key}))
        for value in NONSENSE:
            add("%s is %r" % (key, value[:8]), whole[0], stat({**row, key: value}))
    for at in range(len(whole[0])):
        add("state cut at %d" % at, whole[0][:at], whole[1])
    for at in range(len(whole[1])):
        add("stat cut at %d" % at, whole[0], whole[1][:at])
    for number, text in enumerate(GARBAGE):
        add("garbage %d as state" % number, text, whole[1])
        add("garbage %d as stat" % number, whole[0], text)
    for number in range(200):
        noise = [chance.randrange(len(whole[0])), chance.randrange(len(whole[1]))]
        sign = chance.choice('\0\n\r\t," #x\u2028\x85\x1c')
        add("a sign of noise %d" % number, *(text[:at] + sign + text[at + 1 :] for text, at in zip(whole, noise)))
    twice = " ".join({**server, "srv_admin_state": "1"}.values())
    add("two of one name", states(server, twice + "\n"), whole[1], true=unknown)
    idle = ",".join({**row, "scur": "0"}.values())
    add("two rows of one name", whole[0], stat(row, idle + ",\n"), true=unknown)
    return found


def metadata_cases(heads: t.Mapping[str, bytes], answer: t.Callable[..., bytes]) -> list[Case]:
    """heads: answers of any kind; answer: makes one of a body. All but one tell neither an instance nor an end."""
    said = {"a head: " + name: head for name, head in heads.items()}
    for name, body in BODIES.items():
        said["a body: " + name] = answer(headers=[("Content-Length", "%d" % len(body))], body=body)
    said["fewer bytes than it says"] = answer(headers=[("Content-Length", "30")], body=INSTANCE.encode())
    works: dict[str, t.Callable[[Metadata], t.Any]] = {
        "instance": Metadata.instance,
        "region": Metadata.region,
        "end": leave.look,
    }
    found: list[Case] = [
        ("imds", verb, name, head, work, lambda result: not result)
        for verb, work in works.items()
        for name, head in said.items()
    ]
    true = answer(headers=[("Content-Length", "%d" % len(INSTANCE))], body=INSTANCE.encode())
    return [*found, ("imds", "instance", "true", true, Metadata.instance, lambda result: result == INSTANCE)]


def judge(case: Case, liar: t.Any) -> tuple[str, str]:
    """(right | refused | traceback | wrong, what came)"""
    way, _verb, _name, answer, work, true = case
    subject = answer
    if way == "imds":
        liar.answer, subject = answer, Metadata("http://" + liar.address, 1.0)
    try:
        result = work(subject)
    except BeamError as error:
        return "refused", "%s: %s" % (error.code, error.message)
    except Exception as error:
        return "traceback", "%s: %s" % (type(error).__name__, error)
    return ("right" if true(result) else "wrong"), repr(result)
