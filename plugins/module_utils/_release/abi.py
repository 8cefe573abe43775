# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a release needs from a server."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Abi:
    arch: str = ""  # as `uname -m` says it: x86_64, aarch64; "" where nothing native is in the release
    libc: str = ""  # glibc, musl or ""
    libc_version: str = ""  # the highest symbol version, such as 2.34
    openssl: str = ""  # soname that crypto.so needs, such as libcrypto.so.3
    erts: str = ""  # such as 13.1.5; "" where the release has none of its own
    # soname -> the symbol versions that are asked of it, sorted, such as {"libcrypto.so.3": ("OPENSSL_3.0.0",)}
    needs: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interpreter: str = ""  # the dynamic loader that the emulator names; "" where the release has no ERTS
    runpath: tuple[str, ...] = ()  # directories outside of the release in which it looks for libraries first, sorted
    # soname -> who asks for it, such as lib/wx-2.2: nothing of it is loaded before somebody uses it
    optional: t.Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "arch": self.arch, "libc": self.libc, "libc_version": self.libc_version, "openssl": self.openssl,
            "erts": self.erts, "needs": {soname: list(self.needs[soname]) for soname in sorted(self.needs)},
            "interpreter": self.interpreter, "runpath": list(self.runpath),
            # Where there is none of it, the manifest is what it was before this was known.
            **({"optional": dict(sorted(self.optional.items()))} if self.optional else {}),
        }

    @staticmethod
    def from_dict(doc: t.Mapping[str, t.Any]) -> Abi:
        return Abi(
            **{key: str(doc[key]) for key in ("arch", "libc", "libc_version", "openssl", "erts", "interpreter")},
            needs={str(soname): tuple(str(v) for v in versions) for soname, versions in doc["needs"].items()},
            runpath=tuple(str(path) for path in doc["runpath"]),
            optional={str(soname): str(who) for soname, who in doc.get("optional", {}).items()},
        )
