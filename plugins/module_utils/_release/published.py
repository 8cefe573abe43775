# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a build wants to know of the releases that are published already, whoever answers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedBuild:
    """A published version and what it was built from."""

    version: str
    digest: str
    git_sha: str = ""  # "" where the build record did not know
    fingerprint: str = ""  # of everything that decided the build's output; "" where the build record did not know


class Published(t.Protocol):
    """A store as mix_release sees it."""

    def of_inputs(self, name: str, inputs: str) -> PublishedBuild | None:
        """The release that was built from these inputs: a sha256 of the commit and of all options that decide the output."""

    def of_version(self, name: str, version: str) -> PublishedBuild | None:
        """The release that has this version."""
