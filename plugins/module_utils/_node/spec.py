# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options of the modules that look at a node, and what becomes of them."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._release.names import check_pointer
from .daemon import Daemon
from .health import Health, HttpCheck, NodeCheck, TcpCheck, check_expression
from .manager import Manager
from .systemd import Systemd
from .target import instance_of

NODE_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "base": {"type": "path", "required": True},
    "manager": {"type": "str", "choices": ["systemd", "daemon"], "default": "systemd"},
    "unit": {"type": "str"},
    "pointer": {"type": "str", "default": "current"},
    "env_file": {"type": "path"},
}

HEALTH_SPEC: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "http": {
            "type": "dict",
            "options": {
                "url": {"type": "str", "required": True},
                "status": {"type": "list", "elements": "int", "default": [200]},
                "json": {"type": "dict", "default": {}},
                "jmespath": {"type": "str"},
                "headers": {"type": "dict", "default": {}, "no_log": True},
                "timeout": {"type": "float", "default": 2.0},
                "validate_certs": {"type": "bool", "default": True},
            },
        },
        "tcp": {
            "type": "dict",
            "options": {
                "port": {"type": "int", "required": True},
                "host": {"type": "str", "default": "127.0.0.1"},
                "timeout": {"type": "float", "default": 2.0},
            },
        },
        "node": {
            "type": "dict",
            "options": {
                "applications": {"type": "list", "elements": "str", "default": []},
                "timeout": {"type": "float", "default": 2.0},
                "connected": {"type": "int", "default": 0},
                "rejoin": {"type": "bool", "default": False},
            },
        },
        "passes": {"type": "int", "default": 3, "no_log": False},
        "interval": {"type": "float", "default": 0.5},
        "within": {"type": "float", "default": 60.0},
        "stable": {"type": "float", "default": 0.0},
    },
}


def manager_of(params: t.Mapping[str, t.Any]) -> Manager:
    pointer = check_pointer(params["pointer"])
    if params["manager"] == "systemd":
        return Systemd(params["unit"] or instance_of(params["name"], pointer))
    return Daemon(params["base"], params["name"], params["env_file"], pointer)


def managers_of(params: t.Mapping[str, t.Any]) -> dict[str, Manager]:
    """Of a server with a node for each colour: their managers, and that of the only one there was before it had colours."""
    if params["pointer"] != "current" or params["env_file"]:
        raise BeamError(
            "colors_ambiguous",
            "Cannot look at the colours of %s" % params["name"],
            "pointer or env_file is for one node",
            "Leave it out",
        )
    found: dict[str, Manager] = {}
    for pointer in ("current", *params["colors"]):
        unit = instance_of(params["unit"] or params["name"], pointer)
        found[pointer] = manager_of({**params, "pointer": pointer, "unit": unit})
    return found


def health_of(given: t.Optional[t.Mapping[str, t.Any]]) -> Health:
    """The option `health`, checked before anything is stopped for it."""
    if not given:
        return Health()
    http, tcp, node = given.get("http"), given.get("tcp"), given.get("node")
    for key, least in (("passes", 1), ("interval", 0.01), ("within", 0.1), ("stable", 0)):
        if given[key] < least:
            raise BeamError(
                "health_invalid",
                "Cannot use health.%s %s" % (key, given[key]),
                "it must be at least %s" % least,
                "Correct it",
            )
    check = None
    if http:
        check = HttpCheck(
            http["url"],
            tuple(http["status"]),
            http["json"],
            http["jmespath"] or "",
            {k: str(v) for k, v in http["headers"].items()},
            _positive("http.timeout", http["timeout"]),
            http["validate_certs"],
        )
        check_expression(check)
    return Health(
        check,
        TcpCheck(tcp["port"], tcp["host"], _positive("tcp.timeout", tcp["timeout"])) if tcp else None,
        _node_check(node) if node else None,
        given["passes"],
        given["interval"],
        given["within"],
        given["stable"],
    )


def _node_check(node: t.Mapping[str, t.Any]) -> NodeCheck:
    if node["connected"] < 0:
        raise BeamError(
            "health_invalid",
            "Cannot use health.node.connected %d" % node["connected"],
            "it is a number of other nodes, 0 or more",
            "Correct it",
        )
    timeout = _positive("node.timeout", node["timeout"])
    return NodeCheck(tuple(node["applications"]), timeout, node["connected"], node["rejoin"])


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise BeamError(
            "health_invalid", "Cannot use health.%s %g" % (name, value), "it must be more than 0 seconds", "Correct it"
        )
    return value
