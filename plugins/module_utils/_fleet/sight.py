# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What was seen of a server before anything moved. Pure."""

from __future__ import annotations

import types
import typing as t
from dataclasses import dataclass, field

from .balanced import ASIDE

Doc = t.Mapping[str, t.Any]


def _nothing() -> Doc:
    return types.MappingProxyType({})


@dataclass(frozen=True)
class Sight:
    """What a server said about itself. Each part is empty if it was not asked or could not answer.

    staged: by release_install. seen: by beam_info, with its health. foreseen: by beam_restart: what it would do to the node that does not serve. ready:
    whether its readiness file is there. hot: by beam_upgrade, whether its node can be upgraded without a restart. settings: the environment files that
    differ from the inventory, and how. faults: why one of the other parts is missing, by its name.
    """

    staged: Doc = field(default_factory=_nothing)
    seen: Doc = field(default_factory=_nothing)
    foreseen: Doc = field(default_factory=_nothing)
    ready: Doc = field(default_factory=_nothing)
    hot: Doc = field(default_factory=_nothing)
    settings: tuple[str, ...] = ()
    faults: t.Mapping[str, str] = field(default_factory=_nothing)

    @property
    def current(self) -> str:
        return str(self.staged.get("current") or "")

    @property
    def previous(self) -> str:
        return str(self.staged.get("previous") or "")

    @property
    def answered(self) -> bool:
        return "previous" in self.staged

    @property
    def versions(self) -> set[str]:
        """The version that runs, or that a pointer names."""
        named = (self.staged.get("current"), self.seen.get("version"), *(self.staged.get("pointers") or {}).values())
        return {str(version) for version in named if version}

    @property
    def on_disk(self) -> str:
        """The version that `current` points at. Before anything is staged, only the look at the node says it."""
        told = self.staged if "current" in self.staged else {"current": (self.seen.get("current") or {}).get("version")}
        return str(told["current"] or "")

    @property
    def runs(self) -> bool:
        return bool(self.seen.get("running"))

    @property
    def running(self) -> str:
        """The version that runs; empty if none does."""
        return str(self.seen.get("version") or "") if self.runs else ""

    @property
    def healthy(self) -> bool:
        health = self.seen.get("health")
        return self.runs and (not health or bool(health.get("passed")))

    @property
    def restart(self) -> Doc:
        """What beam_restart would do to the node that serves."""
        return self.seen.get("restart") or {}

    @property
    def unready(self) -> bool:
        """Whether its readiness file is missing."""
        return self.ready.get("rotation") in ASIDE
