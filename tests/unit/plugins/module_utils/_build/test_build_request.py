# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import Request, make_request
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

DEFAULTS: dict[str, t.Any] = {"mix_env": "prod", "deps": "locked", "timeout": 60, "keep": 5, "force": False, "allow_dirty": False}


@pytest.fixture
def make(tmp_path: Path) -> t.Callable[..., Request]:
    (tmp_path / "mix.exs").write_text("")
    return lambda environ=None, **options: make_request({**DEFAULTS, "project_dir": str(tmp_path), **options}, environ or {})


def test_what_is_made_of_options(make: t.Callable[..., Request], tmp_path: Path) -> None:
    request = make(
        {"REGION": "eu", "OTHER": "x"}, env={"PORT": 4000, "DEBUG": True, "A": "b"}, compile_env=["REGION", "UNSET"], before=["a.b --to 'x y'", "c"],
        deps_env={"TOKEN": "secret-1"},
    )
    assert request.env == {"PORT": "4000", "DEBUG": "true", "A": "b"}
    assert request.compile_env == {"REGION": "eu", "UNSET": None}
    assert request.before == (("a.b", "--to", "x y"), ("c",))
    assert request.build_dir == str(tmp_path.resolve() / "_build" / "alchemist")
    env = request.environment()
    assert (env["REGION"], env["PORT"], env["MIX_ENV"]) == ("eu", "4000", "prod") and not {"UNSET", "OTHER", "TOKEN"} & set(env)
    assert request.mask.values == ["secret-1"] and "secret-1" not in repr(request)


def test_what_the_build_is_given_is_masked_in_what_it_says(make: t.Callable[..., Request]) -> None:
    request = make({"DB_URL": "ecto://a:compile-word@db/x"}, env={"A": "env-word"}, compile_env=["DB_URL", "UNSET"], deps_env={"B": "deps-word"})
    assert request.mask.text("ecto://a:compile-word@db/x compile-word env-word deps-word prod") == "******** ******** ******** ******** prod"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"version": "../../x"}, "invalid_version"),
        ({"version": "-rf"}, "invalid_version"),
        ({"version": "1.0 0"}, "invalid_version"),
        ({"version": ""}, "invalid_version"),
        ({"release": "a;b"}, "invalid_name"),
        ({"release": "--force"}, "invalid_name"),
        ({"mix_env": "../prod"}, "invalid_mix_env"),
        ({"mix_env": ""}, "invalid_mix_env"),
        ({"env": {"A=B": "c"}}, "invalid_variable"),
        ({"env": {"MIX_ENV": "dev"}}, "reserved_variable"),
        ({"deps_env": {"MIX_BUILD_PATH": "x"}}, "reserved_variable"),
        ({"compile_env": ["A B"]}, "invalid_variable"),
        ({"before": ["'unclosed"]}, "invalid_task"),
        ({"before": ["--flag"]}, "invalid_task"),
        ({"before": [""]}, "invalid_task"),
        ({"keep": 0}, "invalid_number"),
        ({"timeout": 0}, "invalid_number"),
        ({"elixir_path": "/nonexistent"}, "no_elixir"),
        ({"project_dir": "/nonexistent"}, "no_project"),
    ],
)
def test_refused_before_anything_runs(make: t.Callable[..., Request], options: dict[str, t.Any], code: str) -> None:
    with pytest.raises(BeamError) as caught:
        make(**options)
    assert caught.value.code == code and caught.value.message.endswith(".")


def test_directory_without_mix_exs(make: t.Callable[..., Request], tmp_path: Path) -> None:
    (tmp_path / "mix.exs").unlink()
    with pytest.raises(BeamError, match=r"is not a Mix project: there is no mix.exs in it") as caught:
        make()
    assert caught.value.code == "no_mix_exs"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"subdir": "../other"}, "invalid_subdir"), ({"subdir": "/srv"}, "invalid_subdir"), ({"ref": "v1"}, "invalid_ref"),
        ({"after_compile": ["--x"]}, "invalid_task"),
    ],
)
def test_what_is_checked_out(make: t.Callable[..., Request], options: dict[str, t.Any], code: str) -> None:
    with pytest.raises(BeamError) as caught:
        make(**options)
    assert caught.value.code == code


def test_a_part_of_a_repository(make: t.Callable[..., Request], tmp_path: Path) -> None:
    web = tmp_path / "apps" / "web"
    web.mkdir(parents=True)
    (web / "mix.exs").write_text("")
    request = make(subdir="apps/./web/")
    assert (request.checkout, request.project_dir, request.subdir) == (str(tmp_path), str(web), "apps/web")
    # Of what is checked out first, nothing has to be there.
    elsewhere = make(project_dir=str(tmp_path / "new"), repo=str(tmp_path), ref="v1")
    assert (elsewhere.checkout, elsewhere.repo, elsewhere.ref) == (str(tmp_path / "new"), str(tmp_path), "v1")
