# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The modules beam_rpc and beam_eval: an expression in the node that runs, or in a VM of its own."""

from __future__ import annotations

import typing as t

from .._node.daemon import Daemon
from .._node.expression import Expression, command, in_node, in_release
from .._node.surroundings import surroundings_of
from .._node.target import Target, resolve, staged
from . import node

OPTIONS: dict[str, t.Any] = {
    **node.OPTIONS,
    "expression": {"type": "str", "required": True, "no_log": True},
    "timeout": {"type": "float", "default": 10.0},
}
EVAL_OPTIONS: dict[str, t.Any] = {**OPTIONS, "version": {"type": "str"}}
Options = t.Mapping[str, t.Any]


def rpc(options: Options, text: str, check_mode: bool) -> dict[str, t.Any]:
    found = node.node_of(options)
    process = found.running()
    expression = Expression(text, options["timeout"], found.mask, "node %s" % process.node).check()
    result = {"changed": True, "node": process.node, "version": process.version, "pointer": found.pointer}
    if check_mode:
        return {**result, "would_run": found.mask.text(text)}
    return {**result, **in_node(process, expression)}


def evaluate(options: Options, text: str, check_mode: bool) -> dict[str, t.Any]:
    found = node.node_of(options)
    target = _release(options, found.pointer)
    where = "%s %s" % (target.name, target.version)
    expression = Expression(text, options["timeout"], found.mask, where).check()
    result = {"changed": True, "version": target.version, "command": command(target)}
    if check_mode:
        return {**result, "would_run": found.mask.text(text)}
    if isinstance(found.manager, Daemon):
        found.manager.directories()
    return {**result, **in_release(target, surroundings_of(found.manager), expression)}


def _release(options: Options, pointer: str) -> Target:
    if options["version"]:
        return staged(options["base"], options["name"], options["version"])
    return resolve(options["base"], options["name"], pointer=pointer)
