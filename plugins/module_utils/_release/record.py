# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The build record: what `mix_release` knows about a tree, kept beside the tree as `<tree>.build.json`.

It lies outside the tree, so that it does not become part of the release: a commit that changes no file of the release
changes no layer.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass

from .._errors import BeamError
from .._json import parse_json
from .abi import Abi
from .manifest import Provenance
from .names import check_name, check_version


@dataclass(frozen=True)
class BuildRecord:
    name: str
    version: str
    abi: Abi
    provenance: Provenance
    # Applications of the project itself (not its dependencies): they change with every commit, so they are cut finer.
    own_apps: tuple[str, ...] = ()


def record_path(tree: str) -> str:
    return tree.rstrip("/") + ".build.json"


def dump_record(record: BuildRecord) -> bytes:
    document = {
        "name": record.name,
        "version": record.version,
        "abi": record.abi.to_dict(),
        "provenance": asdict(record.provenance),
        "own_apps": list(record.own_apps),
    }
    return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")


def load_record(tree: str) -> BuildRecord | None:
    """None where the tree has no record (it was not made by mix_release)."""
    path = record_path(tree)
    try:
        with open(path, "rb") as stream:
            doc: t.Any = parse_json(stream.read())
        return BuildRecord(
            check_name(doc["name"]),
            check_version(doc["version"]),
            Abi.from_dict(doc["abi"]),
            Provenance(**doc["provenance"]),
            tuple(str(app) for app in doc["own_apps"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "build_record_invalid",
            "the build record %s can't be read" % path,
            str(exc),
            "Build the release again",
        ) from exc
