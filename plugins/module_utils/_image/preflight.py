# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether a release can run in a base image, told before anything is pushed."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._host.abi import for_service, lacking_later, problems
from .._release.abi import Abi
from .documents import ARCHITECTURES

# What the release's own scripts run. Without the first ones it does not start; the others are for `bin/NAME rpc` and `remote`.
TO_START = ("sh", "env", "sed", "cut", "cat", "dirname", "basename", "readlink", "grep")
TO_ASK = ("awk", "od", "dd")
WHERE = "the base image"


def architecture(abi: Abi, release: str) -> tuple[str, str]:
    """As an image names it, with its variant."""
    if not abi.erts or not abi.arch:
        raise BeamError(
            "image_without_erlang",
            "%s can't be made an image" % release,
            "it brings no Erlang along (include_erts: false), and a base image has none",
            "Leave include_erts out of the release in mix.exs, or use a Dockerfile of your own over the exported release",
        )
    if abi.arch not in ARCHITECTURES:
        raise BeamError(
            "image_architecture",
            "%s can't be made an image" % release,
            "images know no architecture for %s" % abi.arch,
            "Build it for one of %s" % ", ".join(sorted(ARCHITECTURES)),
        )
    return ARCHITECTURES[abi.arch]


def machine_of(architecture: str) -> str:
    """The architecture of an image as uname -m says it."""
    return next((machine for machine, (name, _variant) in ARCHITECTURES.items() if name == architecture), architecture)


def preflight(
    abi: Abi,
    root: str,
    programs: t.Mapping[str, bool],
    machine: str,
    base: str,
    release: str,
    ignore: t.Collection[str],
) -> list[str]:
    """Refuses what can't run; else what to warn of. root, programs: what read_base found in the image."""
    left = for_service(abi, (), ignore)
    found = problems(left, root, machine, WHERE)
    lacking = [name for name in TO_START if not programs.get(name) and name not in ignore]
    if lacking:
        found.append("it has no %s, which the start script needs" % ", ".join(lacking))
    if found:
        libraries = sorted({problem.split()[0] for problem in found if problem.split()[0] in abi.needs})
        hint = "Use a base of the distribution that the release was built on, or a newer one, with the libraries and programs that are named"
        if libraries:
            hint += ". If a library is never loaded, say so: beam_abi_ignore: [%s]" % ", ".join(libraries)
        raise BeamError(
            "image_abi_mismatch",
            "%s can't run in the base %s" % (release, base),
            "; ".join(found),
            hint,
            problems=found,
        )
    asking = [name for name in TO_ASK if not programs.get(name) and name not in ignore]
    warnings = ["the base has no %s: bin/NAME rpc and remote will not work in it" % ", ".join(asking)] if asking else []
    return [*warnings, *lacking_later(left, root, WHERE)]
