# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing waits without a limit: each call that could is given one, or stands here with what bounds it."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
WAITS = {"communicate", "wait", "join", "result"}  # for ever, where they are given nothing
RUNS = {"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output"}
NETWORK = {
    "urlopen",
    "open_url",
    "fetch_url",
    "create_connection",
    "getaddrinfo",
    "gethostbyname",
    "getfqdn",
    "HTTPConnection",
    "HTTPSConnection",
    "create_client",
}
BOUNDED = {
    ("_aws.py", "create_client"): "its callers have a Limit, which guard_connections holds its connections to",
    (
        "_bootstrap/first_boot.py",
        "HTTPConnection",
    ): "it stands alone, and leaves the thread that asks to itself when the time is over",
    ("_bootstrap/first_boot.py", "HTTPSConnection"): "the same",
    ("_deadline.py", "HTTPConnection"): "this is the one that keeps to the limit around",
    ("_deadline.py", "HTTPSConnection"): "the same",
    ("_deadline.py", "getaddrinfo"): "in a thread that is left to itself when the time is over",
    ("_node/dist.py", "create_connection"): "with what is left on its Clock, to an address that needs no name server",
    ("_store/parallel.py", "result"): "its threads ask the store, which has a limit",
    ("_store/publish.py", "result"): "the same",
    ("_store/promises.py", "join"): "the same",
    ("_store/promises.py", "wait"): "a barrier that is aborted where not all of its threads can be started",
}


def unbounded(source: str) -> t.Iterator[str]:
    """The names of the calls that nothing in them bounds."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        text = ast.unparse(call.func)
        name = text.rpartition(".")[2]
        given = {keyword.arg for keyword in call.keywords}
        alone = name in WAITS and not call.args and "timeout" not in given
        blocks = name == "flock" and "LOCK_NB" not in ast.unparse(call)
        if alone or blocks or name in NETWORK or (text in RUNS and "timeout" not in given):
            yield name


def test_each_wait_has_a_limit() -> None:
    found = set()
    for path in PLUGINS.rglob("*.py"):
        place = str(path.relative_to(PLUGINS)).replace("module_utils/", "", 1)
        found |= {(place, name) for name in unbounded(path.read_text("utf-8"))}
    assert found == set(BOUNDED), "give it a timeout, or a Limit of _deadline.py: %s" % sorted(found ^ set(BOUNDED))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("child.wait()", ["wait"]),
        ("child.wait(3)", []),
        ("child.communicate(timeout=3)", []),
        ("' '.join(words)", []),
        ("subprocess.run(words)", ["run"]),
        ("subprocess.run(words, timeout=3)", []),
        ("fcntl.flock(handle, fcntl.LOCK_EX)", ["flock"]),
        ("fcntl.flock(handle, kind | fcntl.LOCK_NB)", []),
        ("urllib.request.urlopen(url, timeout=3)", ["urlopen"]),  # each byte would have three seconds
    ],
)
def test_what_counts_as_a_wait(source: str, names: list[str]) -> None:
    assert list(unbounded(source)) == names
