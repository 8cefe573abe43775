# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which node the modules for daily work are about: of a server with two, the one that serves."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._mask import Mask
from .._node.colors import survey
from .._node.explain import why_down
from .._node.manager import Manager, Status
from .._node.process import NodeProcess
from .._node.replaced import status_as_it_runs
from .._node.spec import NODE_SPEC, manager_of, managers_of

OPTIONS: dict[str, t.Any] = {**NODE_SPEC, "colors": {"type": "list", "elements": "str", "default": []}}
Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Node:
    name: str
    pointer: str
    manager: Manager
    status: Status

    @property
    def mask(self) -> Mask:
        """What takes its secrets out of all that it says."""
        process = self.status.process
        return self.manager.mask().also(process.argv_cookie) if process is not None else self.manager.mask()

    def running(self) -> NodeProcess:
        """The process that runs it, or the reason why there is none."""
        if self.status.process is not None:
            return self.status.process
        reason = why_down(self.manager, self.status)
        what = self.name if self.pointer == "current" else "%s (%s)" % (self.name, self.pointer)
        raise BeamError(
            "node_not_running",
            "The node of %s does not run" % what,
            self.mask.text(reason.text) if reason else "its state is %s" % self.status.state,
            "alchemist.beam.start starts it, alchemist.beam.logs shows what it wrote",
        )


def node_of(options: Options) -> Node:
    manager, pointer = manager_of(options), options["pointer"]
    if options["colors"]:
        managers = managers_of(options)
        _facts, pointer = survey(options["base"], options["colors"], managers)
        manager = managers[pointer]
    return Node(options["name"], pointer, manager, status_as_it_runs(options["base"], pointer, manager.status()))
