# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""What the bootstrap remembers on the server, beside the releases: what was in service here, and which failure was recorded already."""

from __future__ import annotations

import json
import posixpath
import typing as t
from dataclasses import asdict, dataclass

from .._json import parse_json
from .._notes import read_note, write_note

FILE = ".bootstrap.json"
SCHEMA = 1


@dataclass(frozen=True)
class Notes:
    instance: str = ""  # the instance that these notes are about; notes of another instance, in an image that was baked from it, do not count
    version: str = ""  # what was in service
    digest: str = ""
    boot: str = ""  # the last boot whose failure was recorded, and what failed in it
    failure: str = ""


def read_notes(base: str, instance: str) -> Notes:
    """A file that can't be read is as good as none: nothing depends on it but a second record and starting without a store."""
    try:
        doc: t.Any = parse_json(read_note(posixpath.join(base, FILE)))
        if doc.pop("schema") == SCHEMA and doc["instance"] == instance:
            return Notes(**{key: str(value) for key, value in doc.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return Notes(instance)


def write_notes(base: str, notes: Notes) -> bool:
    """False, and nothing written, where they say the same already."""
    if read_notes(base, notes.instance) == notes:
        return False
    write_note(
        posixpath.join(base, FILE),
        (json.dumps({"schema": SCHEMA, **asdict(notes)}, sort_keys=True) + "\n").encode("ascii"),
    )
    return True
