# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The module beam_ping: one question to the node, and how long its answer took."""

from __future__ import annotations

import time
import typing as t

from .._errors import BeamError
from .._node.ask import connect
from . import node

OPTIONS: dict[str, t.Any] = {**node.OPTIONS, "timeout": {"type": "float", "default": 5.0}}


def work(options: t.Mapping[str, t.Any], clock: t.Callable[[], float] = time.monotonic) -> dict[str, t.Any]:
    if options["timeout"] <= 0:
        raise BeamError(
            "timeout_invalid",
            "Nothing can be asked",
            "the timeout is %g seconds" % options["timeout"],
            "Give more than 0",
        )
    found = node.node_of(options)
    process = found.running()
    begun = clock()
    with connect(process, options["timeout"]) as connection:
        connected = clock()
        name = connection.call("erlang", "node", timeout=options["timeout"])
        answered = clock()
    return {
        "changed": False,
        "node": str(name),
        "pointer": found.pointer,
        "pid": process.pid,
        "version": process.version,
        "connect_ms": round((connected - begun) * 1000, 2),
        "ms": round((answered - connected) * 1000, 2),
    }
