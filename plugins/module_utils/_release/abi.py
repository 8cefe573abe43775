# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a release needs from a server."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

# A release with every native library that is known has some dozens.
MAX_ENTRIES = 2_000
MAX_TEXT = 1_024
_TEXTS = ("arch", "libc", "libc_version", "openssl", "erts", "interpreter")


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
            "arch": self.arch,
            "libc": self.libc,
            "libc_version": self.libc_version,
            "openssl": self.openssl,
            "erts": self.erts,
            "needs": {soname: list(self.needs[soname]) for soname in sorted(self.needs)},
            "interpreter": self.interpreter,
            "runpath": list(self.runpath),
            # Where there is none of it, the manifest is what it was before this was known.
            **({"optional": dict(sorted(self.optional.items()))} if self.optional else {}),
        }

    @staticmethod
    def from_dict(doc: t.Any) -> Abi:
        """ValueError for what no release says: this decides on which servers it may run."""
        if not isinstance(doc, dict) or not {*_TEXTS, "needs", "runpath"} <= set(doc) <= {
            *_TEXTS,
            "needs",
            "runpath",
            "optional",
        }:
            raise ValueError("its abi has other keys than %s" % ", ".join((*_TEXTS, "needs", "runpath")))
        needs, runpath, optional = doc["needs"], doc["runpath"], doc.get("optional", {})
        for key, value, kind in (("needs", needs, dict), ("runpath", runpath, list), ("optional", optional, dict)):
            if not isinstance(value, kind) or len(value) > MAX_ENTRIES:
                raise ValueError(
                    "%s of its abi is no %s of %d entries at most"
                    % (key, "dictionary" if kind is dict else "list", MAX_ENTRIES)
                )
        for versions in needs.values():
            if not isinstance(versions, list) or len(versions) > MAX_ENTRIES:
                raise ValueError("needs of its abi has what is no list of %d entries at most" % MAX_ENTRIES)
        if sum(map(len, needs.values())) > MAX_ENTRIES:
            raise ValueError("needs of its abi has more than %d symbol versions" % MAX_ENTRIES)
        abi = Abi(
            **{key: _text(doc[key]) for key in _TEXTS},
            needs={_text(soname): tuple(_text(v) for v in versions) for soname, versions in needs.items()},
            runpath=tuple(_text(path) for path in runpath),
            optional={_text(soname): _text(who) for soname, who in optional.items()},
        )
        if abi.interpreter and not abi.arch:
            raise ValueError("its abi names an interpreter and no arch")
        return abi


def _text(value: t.Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError("its abi has what is no text of %d characters at most" % MAX_TEXT)
    return value
