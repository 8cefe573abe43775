# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The Erlang of this server, for a release that brings none (include_erts: false): there, of the same version, with all applications that it lacks.

Such a release begins at `erl` in PATH, and its boot script names each application of Erlang/OTP with its version.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
import typing as t

from .._errors import BeamError
from .._release.manifest import Manifest

_DATA = "releases/start_erl.data"
_APPLICATION = re.compile(r"\{\s*'?([a-z][A-Za-z0-9_@]*)'?\s*,\s*\"([^\"]+)\"\s*[,}]")
NAME = "erlang"  # in abi_ignore


def wants_erlang(manifest: Manifest) -> bool:
    paths = manifest.files()
    # Mix leaves out Erlang's own applications with the emulator.
    code = any(path.startswith("lib/") or path.endswith(".boot") for path in paths)
    return code and _DATA in paths and not any(path.startswith(("erts-", "lib/kernel-")) for path in paths)


def find_erl(programs: t.Iterable[str]) -> str | None:
    paths = (posixpath.join(directory, "erl") for directory in programs)
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)


def require_erl(label: str, programs: t.Sequence[str]) -> str:
    """The first thing, which can be asked before a byte is fetched."""
    found = find_erl(programs)
    if found is None:
        raise BeamError(
            "erts_missing",
            "%s can't run on this server" % label,
            "it brings no Erlang (include_erts: false in mix.exs), and there is no erl in %s" % ":".join(programs),
            _hint(""),
        )
    return found


def require_erlang(label: str, tree: str, programs: t.Sequence[str]) -> None:
    """tree: the release, as it lies on this server."""
    erl = require_erl(label, programs)
    wanted = _text(posixpath.join(tree, _DATA)).split()[:1]
    if not wanted:
        return
    version = wanted[0]
    home = posixpath.dirname(posixpath.dirname(os.path.realpath(erl)))
    here = sorted(posixpath.basename(path)[len("erts-") :] for path in glob.glob(glob.escape(home) + "/erts-*"))
    if not here:
        why = "it needs erts-%s, and of what Erlang %s is can't be told: no erts-* lies in %s" % (version, erl, home)
    elif version not in here:
        why = "it was built with erts-%s, and %s starts erts-%s" % (version, erl, here[-1])
    else:
        lacking = [
            name
            for name in _applications(tree)
            if not any(os.path.isdir(posixpath.join(place, "lib", name)) for place in (tree, home))
        ]
        if not lacking:
            return
        why = "%s has erts-%s, but not %s" % (erl, version, ", ".join(lacking[:5]))
    raise BeamError(
        "erts_mismatch", "%s can't run on this server" % label, why, _hint(version), wanted=version, here=here
    )


def _applications(tree: str) -> list[str]:
    """The applications of the boot script, such as kernel-8.5.3. Elixir writes them beside it in <name>.rel."""
    found = []
    for path in glob.glob(glob.escape(tree) + "/releases/*/*.rel"):
        text = _text(path)
        start = text.find("{erts,")
        found += ["%s-%s" % pair for pair in _APPLICATION.findall(text[text.find("[", start) :])] if start >= 0 else []
    return found


def _hint(version: str) -> str:
    install = "install the Erlang/OTP%s on this server" % (
        " that has erts-" + version if version else " that it was built with"
    )
    return (
        "Build it with include_erts: true, or %s, in PATH of the service (beam_env: {PATH: ...}). "
        "If the release finds it in a way of its own, say beam_abi_ignore: [%s]" % (install, NAME)
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(1 << 20)
    except OSError:
        return ""
