# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The one error type of the collection.

Every expected failure is raised as a BeamError (or a subclass where callers react to the kind) and turned into a
message once, at the edge. A message names the thing, the reason and the next step.
"""

from __future__ import annotations

import typing as t


class BeamError(Exception):
    """An expected failure.

    code: stable snake_case name of the kind of failure, for machines (`store_denied`, `abi_mismatch`, ...).
    what: what could not be done, naming the thing.
    why: the reason, as known.
    hint: what the user can do next.
    details: JSON-serialisable facts for the module result (file names, versions); never secrets. Lines under the name
        `output` (the end of what a command said) are shown below the message.
    """

    def __init__(self, code: str, what: str, why: str = "", hint: str = "", **details: t.Any) -> None:
        super().__init__(code, what, why, hint)
        self.code = code
        self.what = what
        self.why = why
        self.hint = hint
        self.details = details

    @property
    def message(self) -> str:
        text = self.what.rstrip(".")
        if self.why:
            text += ": " + self.why.rstrip(".")
        text += "."
        if self.hint:
            text += " " + self.hint.rstrip(".") + "."
        return "\n".join([text, *self.details.get("output", ())])

    def __str__(self) -> str:
        return self.message

    def as_result(self) -> dict[str, t.Any]:
        """What a module returns in addition to `msg`: the key `error`, and the details."""
        return {"error": {"code": self.code, "what": self.what, "why": self.why, "next": self.hint}, **self.details}

    def as_failure(self) -> dict[str, t.Any]:
        """What a task that fails with it has for a result."""
        return {"failed": True, "msg": self.message, **self.as_result()}


class NotFound(BeamError):
    """A thing that was asked for by name is not there."""


class Conflict(BeamError):
    """Somebody else changed what we were about to change, or immutable content differs."""


def foreseen(exc: Exception) -> BeamError:
    """The same; or, of an error that nobody expected, one that says where it came from. For programs that must go on, or tell somebody else, whatever
    happens; a module leaves it to Ansible.
    """
    if isinstance(exc, BeamError):
        return exc
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (
        " (%s:%d)" % (trace.tb_frame.f_code.co_filename.rpartition("/")[2], trace.tb_lineno)
        if trace is not None
        else ""
    )
    return BeamError(
        "internal",
        "Something unforeseen went wrong",
        "%s: %s%s" % (type(exc).__name__, exc, where),
        "It is a bug: report it, with this line",
    )
