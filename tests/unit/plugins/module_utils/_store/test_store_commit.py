# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the commit that was asked for is published."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store

Artifact = t.Callable[..., dict[str, t.Any]]
SHA = "a" * 40


@pytest.mark.parametrize("inputs", ["", "1" * 63, "G" * 64, "../../x"])
def test_inputs_that_are_none(inputs: str, artifact: Artifact, store: Store, tree: t.Any) -> None:
    if inputs:
        with pytest.raises(BeamError) as caught:
            artifact(path=tree(), inputs=inputs)
        assert caught.value.code == "invalid_inputs" and list(store.list("shop/")) == []
    else:  # of a build that does not know them
        assert artifact(path=tree(), inputs=inputs)["changed"] and list(store.list("shop/builds/")) == []


@pytest.mark.parametrize(
    ("commit", "record", "code"),
    [
        (SHA, SHA, ""),
        (SHA[:7], SHA, ""),
        (SHA.upper(), SHA, ""),
        ("b" * 40, SHA, "other_commit"),
        (SHA, "", "other_commit"),
        ("v1.0.0", SHA, "invalid_commit"),
        ("aaa", SHA, "invalid_commit"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_only_the_commit_that_was_asked_for_is_published(
    commit: str,
    record: str,
    code: str,
    check: bool,
    artifact: Artifact,
    store: Store,
    tree: t.Any,
) -> None:
    if not code:
        assert artifact(check=check, path=tree(sha=record), commit=commit)["changed"]
        return
    with pytest.raises(BeamError) as caught:
        artifact(check=check, path=tree(sha=record), commit=commit)
    assert caught.value.code == code and commit[:12] in caught.value.message and list(store.list("shop/")) == []
    if code == "other_commit":
        assert (SHA[:12] if record else "no build record") in caught.value.message


def test_a_tree_without_a_record_is_of_no_known_commit(
    artifact: Artifact, store: Store, trees: t.Any, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(BeamError) as caught:
        artifact(path=str(trees.make_tree(tmp_path / "bare", modules=2)), commit=SHA)
    assert caught.value.code == "other_commit"
