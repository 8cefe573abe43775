# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON that is nested to break who reads it: an error with a name, or what a file that can't be read counts for."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import load_config
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.notes import Notes, read_notes
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.server_setup import parse_kit
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.claim import Claim, Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._host.state import parse_state
from ansible_collections.alchemist.beam.plugins.module_utils._json import MAX_NESTING, parse_json
from ansible_collections.alchemist.beam.plugins.module_utils._node.boot_words import unfolded
from ansible_collections.alchemist.beam.plugins.module_utils._node.journal import _document
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import parse_channel
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import parse_manifest
from ansible_collections.alchemist.beam.plugins.module_utils._release.record import load_record, record_path
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.lock import parse_lock

DEEP = {
    "lists": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "what a parser may take": b'{"schema": 1, "name": ' + b"[" * 500 + b"]" * 500 + b"}",
}


@pytest.fixture(name="deep", params=DEEP.values(), ids=DEEP.keys())
def _deep(request: pytest.FixtureRequest) -> bytes:
    return t.cast(bytes, request.param)


def test_nesting_has_a_limit(deep: bytes) -> None:
    for text in (deep, deep.decode()):
        with pytest.raises(ValueError, match="nested more than"):
            parse_json(text)
    most = "[" * MAX_NESTING + "]" * MAX_NESTING
    assert parse_json(most) and parse_json('{"a": [%s, {}]}' % most[1:-1])["a"] and parse_json("1") == 1
    with pytest.raises(ValueError, match="nested more than"):
        parse_json("[[%s]]" % most)


@pytest.mark.parametrize(
    "parse",
    [
        lambda data: parse_state(data, "state.json"),
        parse_channel,
        lambda data: parse_kit(data, "kit.json"),
        lambda data: parse_manifest(data, "0" * 64),
        lambda data: parse_lock(data, "demo", "production"),
    ],
    ids=["state", "channel", "kit", "manifest", "lock"],
)
def test_a_document_is_refused_by_name(parse: t.Callable[[bytes], t.Any], deep: bytes) -> None:
    with pytest.raises(BeamError):
        parse(deep)


def test_a_file_is_refused_by_name_or_counts_for_nothing(deep: bytes, tmp_path: Path) -> None:
    tree = tmp_path / "demo"
    Path(record_path(str(tree))).write_bytes(deep)
    with pytest.raises(BeamError, match="can't be read"):
        load_record(str(tree))
    config = tmp_path / "config.json"
    config.write_bytes(deep)
    with pytest.raises(BeamError):
        load_config(str(config))
    for name in ("bootstrap.json", "notes.json"):
        (tmp_path / name).write_bytes(deep)
    assert read_notes(str(tmp_path), "i-1") == Notes("i-1")
    notes = tmp_path / "etc" / "alchemist-beam"
    notes.mkdir(parents=True)
    (notes / "other.json").write_bytes(deep)
    Claim(Wanted("demo"), root=str(tmp_path)).check()


def test_a_line_of_a_log_is_a_line(deep: bytes) -> None:
    assert _document(deep.decode()) == {} and len(unfolded([deep.decode()])) == 1
