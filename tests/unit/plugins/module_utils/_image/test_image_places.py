# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places without versions, groups within a budget: properties of many releases."""

from __future__ import annotations

import hashlib
import posixpath
import random

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._image.grouping import group, own_applications, shares
from ansible_collections.alchemist.beam.plugins.module_utils._image.places import NOTE, moves, placed
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.layers import cut_layers
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File, Layer, Manifest, Provenance

DIGEST = "d" * 64


def manifest(
    files: dict[str, int], own: tuple[str, ...] = ("shop",), version: str = "1.0.0", directories: tuple[str, ...] = ()
) -> Manifest:
    """Cut as a publish cuts it. files: path -> size."""
    rows = [
        File(path, 0o644, size, hashlib.sha256(("%s %d" % (path, size)).encode()).hexdigest())
        for path, size in files.items()
    ]
    layers = tuple(Layer("%064x" % index, 1, g.prefix, g.files) for index, g in enumerate(cut_layers(rows, own)))
    return Manifest("shop", version, Abi(), Provenance(), layers, directories)


def release(seed: int, version: str = "1.0.0", extra: int = 0) -> dict[str, int]:
    random_ = random.Random(seed)
    files = {
        "bin/shop": 100,
        "erts-13.1.5/bin/beam.smp": 4_000_000,
        "releases/start_erl.data": 20,
        "releases/%s/start.boot" % version: 9_000,
        "releases/%s/env.sh" % version: 30,
    }
    for index in range(random_.randrange(1, 90)):
        files["releases/%s/consolidated/Elixir.P%d.beam" % (version, index)] = random_.randrange(500, 9_000)
    for app in ("kernel-8.5", "stdlib-4.2", "elixir-1.14.0"):
        for index in range(9):
            files["lib/%s/ebin/m%d.beam" % (app, index)] = random_.randrange(9_000, 90_000)
    for dependency in range(random_.randrange(0, 40)):
        for index in range(random_.randrange(1, 6)):
            files["lib/dep%d-1.%d.0/ebin/d%d.beam" % (dependency, dependency, index)] = random_.randrange(900, 200_000)
        if random_.random() < 0.3:
            files["lib/dep%d-1.%d.0/priv/x.bin" % (dependency, dependency)] = random_.randrange(900, 900_000)
    for index in range(random_.randrange(2, 400) + extra):
        files["lib/shop-%s/ebin/Elixir.M%d.beam" % (version, index)] = 5_000
    files["lib/shop-%s/priv/static/app.js" % version] = random_.randrange(100, 300_000)
    return files


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("budget", [5, 8, 20, 60])
def test_each_file_is_in_one_layer_and_the_budget_holds(seed: int, budget: int) -> None:
    found = manifest(release(seed), directories=("lib/shop-1.0.0/priv/empty",))
    where = placed(found, DIGEST)
    groups = group(found, where, budget)
    paths = [entry.path for one in groups for entry in one.entries]
    assert len(paths) == len(set(paths)) and len(groups) <= budget
    assert set(paths) == {entry.path for entry in where.files.values()} | {entry.path for entry in where.links} | {NOTE}
    assert all(list(one.entries) == sorted(one.entries, key=lambda entry: entry.path) and one.entries for one in groups)
    assert "app/lib/shop/priv/empty" in paths and groups[-1].title == "links"


@pytest.mark.parametrize("seed", range(10))
def test_a_link_leads_from_where_the_release_looks_to_the_file(seed: int) -> None:
    found = manifest(release(seed))
    where = placed(found, DIGEST)
    links = {entry.path: entry.target for entry in where.links if entry.target}
    assert links["app/lib/shop-1.0.0"] == "shop" and links["app/releases/1.0.0/consolidated"] == "../consolidated"
    for path, entry in where.files.items():
        full = "app/" + path
        for link, target in links.items():
            if full.startswith(link + "/"):
                full = posixpath.normpath(posixpath.join(posixpath.dirname(link), target)) + full[len(link) :]
        assert full == entry.path, path
    assert not any(entry.path.startswith(link + "/") for link in links for entry in where.files.values())


@pytest.mark.parametrize("seed", range(10))
def test_another_version_with_the_same_files_changes_boot_and_links_alone(seed: int) -> None:
    one, other = (manifest(release(seed, version), version=version) for version in ("1.0.0", "1.0.1"))
    old, new = ({g.title: g.key for g in group(m, placed(m, DIGEST))} for m in (one, other))
    # The sizes are the same, and so are the contents of this test: what differs is where the version is part of a path.
    same = {e.path: e for e in placed(one, DIGEST).files.values()}
    assert {path for path in same if "releases/1.0.0" in path} and "app/lib/shop/ebin/Elixir.M0.beam" in same
    assert set(old) == set(new)


@pytest.mark.parametrize("seed", range(10))
def test_an_application_that_grows_shuffles_nothing_else(seed: int) -> None:
    one, other = manifest(release(seed)), manifest(release(seed, extra=200))
    old, new = ({g.title: g.key for g in group(m, placed(m, DIGEST))} for m in (one, other))
    changed = {title for title in new if old.get(title) != new[title]}
    assert changed <= {title for title in new if title.startswith("shop/")}, changed


def test_a_dependency_that_moves_takes_one_layer_along() -> None:
    files = release(3)
    moved = {
        path.replace("lib/dep1-1.1.0/", "lib/dep1-1.2.0/"): size + ("lib/dep1-" in path) for path, size in files.items()
    }
    assert moved != files
    old, new = ({g.title: g.key for g in group(m, placed(m, DIGEST))} for m in (manifest(files), manifest(moved)))
    assert len([title for title in new if old.get(title) != new[title]]) == 2  # with the links


def test_the_projects_own_applications_are_known_by_how_they_are_cut() -> None:
    files = {
        **release(7),
        "lib/shop_web-0.3.0/ebin/a.beam": 900,
        "lib/big_dep-2.0.0/ebin/a.beam": 400_000,
        "lib/big_dep-2.0.0/priv/b": 90_000,
    }
    assert own_applications(manifest(files, own=("shop", "shop_web"))) == {"lib/shop-1.0.0", "lib/shop_web-0.3.0"}


def test_two_versions_of_one_application_keep_their_names() -> None:
    found = manifest({**release(1), "lib/jason-1.0.0/ebin/a.beam": 10, "lib/jason-1.4.0/ebin/a.beam": 11})
    where = placed(found, DIGEST)
    assert where.files["lib/jason-1.0.0/ebin/a.beam"].path == "app/lib/jason-1.0.0/ebin/a.beam"
    assert "lib/jason-1.4.0" not in moves(found) and moves(found)["lib/shop-1.0.0"] == "lib/shop"


def test_a_place_that_is_taken_is_left_alone() -> None:
    found = manifest({**release(1), "lib/shop/x": 10, "releases/consolidated/x": 1})
    assert "lib/shop-1.0.0" not in moves(found) and "releases/1.0.0/consolidated" not in moves(found)
    paths = [entry.path for entry in placed(found, DIGEST).files.values()]
    assert len(paths) == len(set(paths))


def test_an_umbrella_of_many_applications_fits() -> None:
    files = {"lib/part%d-1.0.0/ebin/m%d.beam" % (app, index): 9_000 for app in range(60) for index in range(8)}
    found = manifest({**release(2), **files}, own=("shop", *("part%d" % app for app in range(60))))
    assert len(group(found, placed(found, DIGEST), 20)) <= 20


@pytest.mark.parametrize("budget", [0, 4, 101])
def test_a_budget_that_makes_no_sense(budget: int) -> None:
    with pytest.raises(BeamError, match="from 5 to 100") as caught:
        shares(budget)
    assert caught.value.code == "image_layers"
