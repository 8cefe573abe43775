# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.reproducible import normalize_manifests, refuse_build_path
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def manifest(tree: Path, text: str, place: str = "lib/shop-0.1.0/priv/static") -> Path:
    path = tree / place / "cache_manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_time_of_digests_is_that_of_the_commit(tmp_path: Path) -> None:
    document = {"version": 1, "latest": {"ä.css": "ä-1.css"}, "digests": {"ä-1.css": {"mtime": 63962913649, "digest": "1", "size": 3}, "odd": 1}}
    path = manifest(tmp_path, json.dumps(document))
    deep = manifest(tmp_path, json.dumps(document), "lib/shop-0.1.0/priv/static/admin")
    normalize_manifests(str(tmp_path), 1)
    document["digests"]["ä-1.css"]["mtime"] = 62167219201  # type: ignore[index]
    assert json.loads(path.read_text()) == document and deep.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("text", ["{", "[]", '{"digests": []}', '"x"'])
def test_what_only_has_that_name_is_left_alone(tmp_path: Path, text: str) -> None:
    path = manifest(tmp_path, text)
    normalize_manifests(str(tmp_path), 1)
    assert path.read_text() == text


def test_the_directory_of_the_build_is_refused_by_file_and_line(tmp_path: Path) -> None:
    tree, project = tmp_path / "scratch" / "tree", tmp_path / "project"
    (tree / "releases" / "0.1.0").mkdir(parents=True)
    (tree / "releases" / "0.1.0" / "vm.args").write_text("+K true\n-ssl_dist_optfile %s/ssl.conf\n" % tree)
    (project / "rel").mkdir(parents=True)
    (project / "rel" / "vm.args.eex").write_text("+K true\n-ssl_dist_optfile <%= Path.join(@release.path, \"ssl.conf\") %>\n")
    with pytest.raises(BeamError) as caught:
        refuse_build_path(str(tree), str(tmp_path / "scratch"), str(project), ())
    message = caught.value.message
    assert "releases/0.1.0/vm.args:2" in message and "@release.path in rel/vm.args.eex:2" in message and "RELEASE_ROOT" in message
    refuse_build_path(str(tree), str(tmp_path / "another"), str(project), ())


def test_the_directory_of_the_build_in_a_sys_config(tmp_path: Path) -> None:
    """Erlang writes a string as its bytes, on as many lines as it takes."""
    scratch = str(tmp_path / "scratch")
    tree = tmp_path / "scratch" / "tree"
    (tree / "releases").mkdir(parents=True)
    numbers = ",\n  ".join(str(byte) for byte in scratch.encode())
    (tree / "releases" / "sys.config").write_text("[{shop,[{cd,<<%s,47>>}]}].\n" % numbers)
    with pytest.raises(BeamError, match="releases/sys.config"):
        refuse_build_path(str(tree), scratch, str(tmp_path), ())
