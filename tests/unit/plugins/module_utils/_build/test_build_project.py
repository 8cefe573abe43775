# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.project import Project, choose_release, parse_project
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def project(releases: t.Mapping[str, str | None] | None = None, **changes: t.Any) -> Project:
    document = {
        "app": "demo", "version": "0.1.0", "umbrella": False, "releases": [{"name": n, "version": v} for n, v in (releases or {}).items()],
        "default_release": None, "own_apps": {"demo": "0.1.0"}, "paths": [], "fetched": False, "reads": [], "aliases": {},
        "lockfile": "mix.lock", "elixir": "1.14.0",
        "elixir_root": "/e", "otp_root": "/o", "otp_release": "25", "erts": "13.1.5", **changes,
    }
    return parse_project(document)


@pytest.mark.parametrize(
    ("made", "asked", "chosen"),
    [
        (project(), None, ("demo", "0.1.0", ())),
        (project(), "demo", ("demo", "0.1.0", ())),
        (project({"one": "1.0.0"}), None, ("one", "1.0.0", ("one",))),
        (project({"one": "1.0.0", "two": "2.0.0"}), "two", ("two", "2.0.0", ("two",))),
        (project({"one": "1.0.0", "two": "2.0.0"}, default_release="one"), None, ("one", "1.0.0", ("one",))),
        (project({"all": None}, app=None, umbrella=True), None, ("all", None, ("all",))),
    ],
)
def test_choice(made: Project, asked: str | None, chosen: tuple[str, str | None, tuple[str, ...]]) -> None:
    found = choose_release(made, asked)
    assert (found.name, found.version, found.argument) == chosen


@pytest.mark.parametrize(
    ("made", "asked", "code", "text"),
    [
        (project({"one": "1", "two": "2"}), None, "release_ambiguous", "one, two"),
        (project({"one": "1", "two": "2"}), "three", "unknown_release", "one, two"),
        (project(), "three", "unknown_release", "only demo"),
        (project(app=None, umbrella=True), None, "no_release", "umbrella"),
        (project(version="../x"), None, "invalid_version", "../x"),
        (project({"Elixir.Demo": "1"}), None, "invalid_name", "Elixir.Demo"),
    ],
)
def test_refused(made: Project, asked: str | None, code: str, text: str) -> None:
    with pytest.raises(BeamError) as caught:
        choose_release(made, asked)
    assert caught.value.code == code and text in caught.value.message
