# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a release is cut: what moves when something changes."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._release.layers import (
    KIB,
    bucket_count,
    content_key,
    cut_layers,
)
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File


def file(path: str, size: int = 10_000, content: str = "", mode: int = 0o644) -> File:
    name = path.split("/", 2)[-1] if path.startswith("lib/") else path
    return File(path, mode, size, hashlib.sha256((content or name).encode()).hexdigest())


def release(version: str = "1.0.0", dep: str = "1.0", modules: int = 200, changed: tuple[int, ...] = ()) -> list[File]:
    files = [
        file("bin/shop", 3000, mode=0o755),
        file("releases/start_erl.data", 12, version),
        file("erts-13.1/bin/beam.smp", 4_000_000),
    ]
    files += [
        file("releases/%s/start.boot" % version, 30_000, version),
        file("releases/%s/runtime.exs" % version, 100, "r"),
    ]
    files += [file("releases/%s/consolidated/P%d.beam" % (version, i), 5_000, "p%d" % i) for i in range(60)]
    for app in ("kernel-8.5", "stdlib-4.2", "elixir-1.14", "logger-1.14"):
        files += [file("lib/%s/ebin/%d.beam" % (app, i), content=app + str(i)) for i in range(80)]
    files += [
        file("lib/shop-%s/ebin/M%d.beam" % (version, i), 11_000, "m%d%s" % (i, version if i in changed else ""))
        for i in range(modules)
    ]
    files += [file("lib/shop-%s/priv/static/%d.js" % (version, i), 3_000, "js%d" % i) for i in range(4)]
    files += [file("lib/big-%s/ebin/%d.beam" % (dep, i), content="b%d" % i) for i in range(100)]
    files += [file("lib/big-%s/priv/data" % dep, 500_000, "data")]
    files += [file("lib/small%d-1.%d/ebin/x.beam" % (i, i), 9_000, "s%d" % i) for i in range(30)]
    files += [
        file("lib/middle%d-1.0/ebin/%d.beam" % (i, j), content="mi%d-%d" % (i, j)) for i in range(20) for j in range(9)
    ]
    return files + [file("etc/GeoLite.mmdb", 3_000_000), file("README", 100)]


def keys(files: list[File]) -> dict[str, str]:
    """content key -> prefix of each layer."""
    return {content_key(g.files): g.prefix for g in cut_layers(files, ("shop",))}


def test_every_file_is_in_one_layer_in_order() -> None:
    files = release()
    groups = cut_layers(files, ("shop",))
    found = [g.prefix + "/" + f.path if g.prefix else f.path for g in groups for f in g.files]
    assert sorted(found) == sorted(f.path for f in files) and len(set(found)) == len(found)
    for group in groups:
        assert [f.path for f in group.files] == sorted(f.path for f in group.files)
    assert groups == cut_layers(list(reversed(files)), ("shop",))


def test_there_are_few_layers_beside_the_applications_own() -> None:
    others = [
        g
        for g in cut_layers(release(), ("shop",))
        if not g.prefix.startswith("lib/shop") and "consolidated" not in g.prefix
    ]
    assert len(others) < 40
    own = [g for g in cut_layers(release(), ("shop",)) if g.prefix.startswith("lib/shop")]
    assert 20 < len(own) < 50
    assert max(sum(f.size for f in g.files) for g in own) < 256 * KIB


@pytest.mark.parametrize(
    ("second", "moved"),
    [
        (release("1.0.0"), set()),
        # Another version: the boot files, and nothing else, though every directory has another name.
        (release("1.1.0"), {""}),
        (release("1.0.0", changed=(7,)), {"lib/shop-1.0.0"}),
        (release("1.1.0", changed=(7,)), {"", "lib/shop-1.1.0"}),
        # A dependency in another directory with the same content moves nothing.
        (release("1.0.0", dep="2.0"), set()),
    ],
)
def test_what_moves(second: list[File], moved: set[str]) -> None:
    before = keys(release())
    fresh = [prefix for key, prefix in keys(second).items() if key not in before]
    assert set(fresh) == moved and len(fresh) == len(moved)


def test_a_few_modules_are_a_small_part() -> None:
    before = keys(release(modules=400))
    groups = [
        g
        for g in cut_layers(release("1.1.0", modules=400, changed=(3, 150, 399)), ("shop",))
        if content_key(g.files) not in before
    ]
    moved = sum(f.size for g in groups for f in g.files)
    assert moved < 0.03 * sum(f.size for f in release(modules=400))


def test_a_small_dependency_that_is_bumped_moves_its_layer_only() -> None:
    second = [
        File(f.path.replace("small3-1.3/", "small3-1.4/"), f.mode, f.size, f.sha256[::-1]) if "small3-" in f.path else f
        for f in release()
    ]
    before = keys(release())
    fresh = [g for g in cut_layers(second, ("shop",)) if content_key(g.files) not in before]
    assert len(fresh) == 1 and sum(f.size for f in fresh[0].files) < 512 * KIB


def test_priv_of_a_large_dependency_outlives_its_code() -> None:
    second = [
        File(f.path.replace("big-1.0", "big-2.0"), f.mode, f.size, f.sha256[::-1] if "/ebin/" in f.path else f.sha256)
        if "lib/big-" in f.path
        else f
        for f in release()
    ]
    before = keys(release())
    assert [p for k, p in keys(second).items() if k not in before] == ["lib/big-2.0"]


def test_a_mode_is_content() -> None:
    assert content_key([file("a", mode=0o644)]) != content_key([file("a", mode=0o755)])
    assert content_key([file("a"), file("b")]) == content_key([file("b"), file("a")])


@pytest.mark.parametrize(
    ("raw", "count"),
    [(0, 1), (1, 1), (96 * KIB, 1), (97 * KIB, 2), (192 * KIB, 2), (193 * KIB, 4), (100 * 1024 * KIB, 128)],
)
def test_the_number_of_buckets(raw: int, count: int) -> None:
    assert bucket_count(raw, 64 * KIB) == count


def test_odd_trees() -> None:
    for paths in (
        ["x"],
        ["lib/x"],
        ["lib/a/b"],
        ["releases/x"],
        ["bin"],
        ["erts-1"],
        ["lib/shop/ebin/x"],
        ["releases/1/consolidated/a/b"],
    ):
        assert sum(len(g.files) for g in cut_layers([file(p) for p in paths], ("shop",))) == len(paths)
    assert cut_layers([], ("shop",)) == []
