# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Where things are on a server.

<base>/layers/<sha256>/      verified, unpacked once, read-only, shared by hard links
<base>/releases/<version>/   a complete `mix release` tree; appears by rename, whole or not at all
<base>/manifests/<digest>.json   of each installed release: enough to verify, repair and reuse it with the store away
<base>/current               symlink to releases/<version>: what serves
<base>/<colour>              the same for one of two nodes on a server
<base>/shared/               what outlives releases
<base>/state.json            what is installed, activated, previous
<base>/.lock                 flock: one install at a time
<base>/tmp/                  staging, on the same file system, emptied by whoever holds the lock
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from .._release.names import check_digest, check_version

# All that we put into a base; the last three are of the bootstrap. With two nodes, each has an `.upgraded` of its own. docs/trust.md says of each who
# believes it.
NAMES = (
    "layers",
    "releases",
    "manifests",
    "shared",
    "tmp",
    "current",
    "state.json",
    ".lock",
    ".upgraded",
    ".leaving",
    ".bootstrap.json",
    ".bootstrap.lock",
)


@dataclass(frozen=True)
class Layout:
    base: str  # absolute
    pointer: str = "current"  # the one that is switched

    def layer(self, sha256: str) -> str:
        return posixpath.join(self.base, "layers", check_digest(sha256))

    def release(self, version: str) -> str:
        return posixpath.join(self.base, "releases", check_version(version))

    @property
    def layers(self) -> str:
        return posixpath.join(self.base, "layers")

    @property
    def releases(self) -> str:
        return posixpath.join(self.base, "releases")

    @property
    def manifests(self) -> str:
        return posixpath.join(self.base, "manifests")

    def manifest(self, digest: str) -> str:
        return posixpath.join(self.base, "manifests", check_digest(digest) + ".json")

    @property
    def link(self) -> str:
        return posixpath.join(self.base, self.pointer)

    @property
    def shared(self) -> str:
        return posixpath.join(self.base, "shared")

    @property
    def state(self) -> str:
        return posixpath.join(self.base, "state.json")

    @property
    def lock(self) -> str:
        return posixpath.join(self.base, ".lock")

    @property
    def tmp(self) -> str:
        return posixpath.join(self.base, "tmp")
