# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that can be wrong with a store or a server: refused by name, with what runs untouched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
import warnings
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.abi import Abi
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Manifest
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, pack_manifest
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import layer_key, manifest_key, version_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.web import HttpStore

from .conftest import Shelf, check_whole, listing, tree

ROOT = os.geteuid() == 0


@pytest.fixture(name="ready")
def _ready(shelf: Shelf) -> tuple[Shelf, Manifest, Manifest]:
    """1.0.0 is active, 1.1.0 is in the store."""
    old, new = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    shelf.install(version="1.0.0", state="active")
    return shelf, old, new


def refused(shelf: Shelf, **options: t.Any) -> BeamError:
    with pytest.raises(BeamError) as error:
        shelf.install(**{"version": "1.1.0", "state": "active", **options})
    assert error.value.what and error.value.why and error.value.hint
    return error.value


def untouched(shelf: Shelf, old: Manifest) -> None:
    assert os.readlink(shelf.base + "/current") == "releases/1.0.0"
    assert not os.path.lexists(shelf.base + "/releases/1.1.0") and os.listdir(shelf.base + "/tmp") == []
    check_whole(shelf.base, old)


# The store.


def flip(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


@pytest.mark.parametrize(
    "change, code",
    [
        (flip, "archive_corrupt"),
        (lambda data: data[:-5], "archive_truncated"),
        (lambda data: data + b"more", "archive_too_long"),
        (lambda data: b"", "archive_truncated"),
        (lambda data: gzip.compress(b"other")[: len(data)].ljust(len(data)), "archive_corrupt"),
    ],
    ids=["flipped", "truncated", "longer", "empty", "replaced"],
)
def test_a_layer_that_is_not_what_the_manifest_names(
    change: t.Callable[[bytes], bytes], code: str, ready: tuple[Shelf, Manifest, Manifest]
) -> None:
    shelf, old, new = ready
    key = layer_key("demo", new.layers[2].sha256)
    good = shelf.path(key).read_bytes()
    shelf.put(key, change(good))
    assert refused(shelf).code == code
    untouched(shelf, old)
    shelf.put(key, good)
    assert shelf.install(version="1.1.0", state="active")["changed"]
    check_whole(shelf.base, new)


def test_a_swapped_and_a_missing_layer(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, new = ready
    path = shelf.layer_path(new.layers[2])
    path.unlink()
    shutil.copy(shelf.layer_path(old.layers[2]), path)
    assert refused(shelf).code in ("archive_corrupt", "archive_truncated", "archive_too_long")
    path.unlink()
    assert refused(shelf).code == "layer_missing"
    untouched(shelf, old)


def test_a_manifest_that_was_edited_swapped_or_cut(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, new = ready
    key = manifest_key("demo", new.digest)
    edited = json.loads(new.to_bytes())
    edited["layers"][0]["files"][0][3] = "0" * 64
    for data in (
        pack_manifest(json.dumps(edited, sort_keys=True, separators=(",", ":")).encode()),
        pack_manifest(old.to_bytes()),
        pack_manifest(new.to_bytes())[:-9],
        pack_manifest(new.to_bytes()) + b"x",
        new.to_bytes(),
    ):
        shelf.put(key, data)
        assert refused(shelf).code == "manifest_corrupt"
    shelf.path(key).unlink()
    assert refused(shelf).code == "release_missing"
    untouched(shelf, old)


def test_another_applications_release_under_our_name(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, new = ready
    other = shelf.publish("1.1.0", {"": {"bin/other": b"other"}}, name="other")
    shelf.put(manifest_key("demo", other.digest), pack_manifest(other.to_bytes()))
    shelf.put(version_key("demo", "1.1.0"), Version("demo", "1.1.0", other.digest).to_bytes())
    assert refused(shelf).code == "manifest_swapped"
    shelf.put(version_key("demo", "1.1.0"), Version("demo", "1.1.0", old.digest).to_bytes())
    assert refused(shelf).code == "manifest_swapped"
    shelf.put(version_key("demo", "1.1.0"), Version("demo", "1.0.0", new.digest).to_bytes())
    assert refused(shelf).code == "version_invalid"
    shelf.promote(new)
    os.rename(shelf.path("demo/channels/production.json"), shelf.path("demo/channels/staging.json"))
    assert refused(shelf, version=None, channel="staging").code == "channel_invalid"
    untouched(shelf, old)


def test_a_manifest_that_says_two_things_about_a_layer(shelf: Shelf) -> None:
    good = shelf.publish("1.0.0")
    twice = (
        *good.layers,
        good.layers[0].__class__(good.layers[0].sha256, good.layers[0].size, "x", good.layers[1].files),
    )
    bad = Manifest("demo", "2.0.0", good.abi, good.provenance, twice)
    shelf.put(manifest_key("demo", bad.digest), pack_manifest(bad.to_bytes()))
    assert refused(shelf, version=None, digest=bad.digest).code == "manifest_invalid"


def test_the_store_is_away_and_the_release_is_not_here(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, _new = ready
    shelf.away()
    assert "store" in refused(shelf).what
    untouched(shelf, old)


def test_neither_store_nor_urls(shelf: Shelf) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source

    with pytest.raises(BeamError) as error:
        open_source({"store": None, "presigned": None})
    assert error.value.code == "store_unset"
    assert isinstance(open_source({"store": "https://127.0.0.1/x"}), HttpStore)
    assert isinstance(open_source({"store": "s3://b/p", "presigned": {}}), HttpStore)


# The server.


def test_a_release_for_another_server_is_refused_before_a_layer_is_fetched(
    ready: tuple[Shelf, Manifest, Manifest],
) -> None:
    shelf, old, _new = ready
    shelf.publish("2.0.0", abi=Abi(arch="sparc64", libc="glibc", libc_version="2.99"))
    error = refused(shelf, version="2.0.0")
    assert error.code == "abi_mismatch" and not [key for key in shelf.asked if "layers" in key]
    assert refused(shelf, version="2.0.0", check_mode=True).code == "abi_mismatch"
    untouched(shelf, old)


def current_is_a_directory(base: Path) -> None:
    (base / "current").unlink()
    (base / "current").mkdir()


def current_is(target: str) -> t.Callable[[Path], None]:
    def plant(base: Path) -> None:
        (base / "current").unlink()
        (base / "current").symlink_to(target)

    return plant


def current_is_a_release_that_is_a_link(base: Path) -> None:
    (base / "releases" / "2.0.0").symlink_to("/etc")
    current_is("releases/2.0.0")(base)


@pytest.mark.parametrize(
    "plant, code",
    [
        (current_is_a_directory, "current_not_a_link"),
        (current_is("/etc"), "current_outside"),
        (current_is("../elsewhere"), "current_outside"),
        (current_is("releases/../../x"), "current_outside"),
        (current_is("releases/1.0.0/lib"), "current_outside"),
        (current_is("current"), "current_loop"),
        (current_is("releases"), "current_outside"),
        (current_is("shared"), "current_outside"),
        (current_is_a_release_that_is_a_link, "current_outside"),
    ],
)
@pytest.mark.parametrize("state", ["staged", "active"])
def test_a_strange_current_is_refused(
    plant: t.Callable[[Path], None], code: str, state: str, ready: tuple[Shelf, Manifest, Manifest]
) -> None:
    shelf = ready[0]
    plant(Path(shelf.base))
    before = listing(shelf.base)
    assert refused(shelf, state=state).code == code
    assert listing(shelf.base) == before


@pytest.mark.parametrize("target", ["releases/9.9.9", None])
def test_a_dangling_or_missing_current_is_repaired_by_activation(
    target: str | None, ready: tuple[Shelf, Manifest, Manifest]
) -> None:
    shelf = ready[0]
    os.unlink(shelf.base + "/current")
    if target:
        os.symlink(target, shelf.base + "/current")
    assert not shelf.install(version="1.0.0")["changed"]
    assert shelf.install(version="1.0.0", state="active")["changed"]
    assert os.readlink(shelf.base + "/current") == "releases/1.0.0"


def test_an_absolute_current_is_understood(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    current_is(os.path.realpath(shelf.base) + "/releases/1.0.0")(Path(shelf.base))
    assert not shelf.install(version="1.0.0", state="active")["changed"]
    assert shelf.install(version="1.1.0", state="active")["previous"] == "1.0.0"


@pytest.mark.parametrize("name", ["releases", "layers", "tmp", "manifests"])
def test_a_planted_symlink_is_refused(name: str, shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    victim = shelf.root / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    Path(shelf.base).mkdir()
    os.symlink(victim, os.path.join(shelf.base, name))
    for check_mode in (True, False):
        assert refused(shelf, version="1.0.0", check_mode=check_mode).code == "symlink_refused"
    assert os.listdir(victim) == ["precious"]


@pytest.mark.parametrize("name", [".", "releases", "layers", "tmp"])
def test_a_directory_that_others_may_write_to_is_refused(name: str, ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    os.chmod(os.path.join(shelf.base, name), 0o777)
    assert refused(shelf).code == "directory_not_ours"


@pytest.mark.skipif(not ROOT, reason="NOT TESTED: only root can give a directory to somebody else")
def test_a_directory_of_somebody_else_is_refused(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    os.chown(shelf.base + "/releases", 1234, 1234)
    assert refused(shelf).code == "directory_not_ours"


def test_the_same_version_with_another_digest(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, _new = ready
    other = Manifest("demo", "1.0.0", old.abi, old.provenance, old.layers[:1])
    shelf.put(manifest_key("demo", other.digest), pack_manifest(other.to_bytes()))
    error = refused(shelf, version=None, digest=other.digest)
    assert error.code == "version_differs" and error.details == {"installed": old.digest, "wanted": other.digest}
    untouched(shelf, old)


def test_a_directory_that_we_did_not_make(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    os.mkdir(shelf.base + "/releases/1.1.0")
    assert refused(shelf).code == "release_unknown"
    assert shelf.install(version="1.1.0", state="absent")["changed"]
    assert shelf.install(version="1.1.0")["changed"]


def test_another_release_in_the_same_base(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    shelf.publish("1.0.0", name="other")
    assert refused(shelf, name="other", version="1.0.0").code == "other_release"


@pytest.mark.parametrize("damage", ["missing", "grown", "mode", "symlink"])
def test_what_is_damaged_is_put_right(damage: str, ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, new = ready
    path = Path(shelf.base, "releases/1.0.0/erts-13.1/bin/beam.smp")
    if damage == "grown":
        path.write_bytes(path.read_bytes() + b"!")
    elif damage == "mode":
        path.chmod(0o777)
    else:
        path.unlink()
    if damage == "symlink":
        path.symlink_to("/bin/true")
    result = shelf.install(version="1.0.0", state="active", check_mode=True)
    assert result["changed"] and result["damaged"] == ["erts-13.1/bin/beam.smp"]
    assert shelf.install(version="1.0.0", state="active")["damaged"] == ["erts-13.1/bin/beam.smp"]
    check_whole(shelf.base, old)
    assert not shelf.install(version="1.0.0", state="active", verify=True)["changed"]
    shelf.install(version="1.1.0")
    check_whole(shelf.base, new)


def test_verify_finds_what_no_stat_shows(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, _new = ready
    path = Path(shelf.base, "releases/1.0.0/lib/kernel-8.5/ebin/kernel.beam")
    info = path.stat()
    with open(path, "r+b") as stream:
        stream.write(b"K")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert not shelf.install(version="1.0.0", state="active")["changed"]
    assert shelf.install(version="1.0.0", state="active", verify=True)["damaged"] == ["lib/kernel-8.5/ebin/kernel.beam"]
    check_whole(shelf.base, old)


def test_a_missing_empty_directory_is_put_right(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, _new = ready
    shutil.rmtree(shelf.base + "/releases/1.0.0/tmp")
    assert shelf.install(version="1.0.0")["damaged"] == ["tmp/empty"]
    check_whole(shelf.base, old)


def test_a_layer_that_was_edited_is_not_reused(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, _old, new = ready
    path = Path(shelf.base, "layers", new.layers[0].sha256, "epmd")
    size = path.stat().st_size
    path.write_bytes(b"x" * size)
    result = shelf.install(version="1.1.0")
    assert result["layers"]["fetched"] == 2
    check_whole(shelf.base, new)


def test_no_room(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, old, _new = ready
    for check_mode in (True, False):
        error = refused(shelf, min_free_mb=10**9, check_mode=check_mode)
        assert error.code == "disk_too_small" and "MiB" in error.why
    untouched(shelf, old)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": 9}', b'{"schema": 1, "name": "../x"}', b"[" * 100_000])
def test_a_state_that_can_not_be_read(data: bytes, ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf, _old, _new = ready
    Path(shelf.base, "state.json").write_bytes(data)
    assert refused(shelf).code == "state_invalid"
    os.unlink(shelf.base + "/state.json")
    shelf.away()
    assert not shelf.install(version="1.0.0")["changed"]
    assert shelf.install(version="1.0.0", state="active")["current"] == "1.0.0"
    shelf.back()
    assert shelf.install(version="1.1.0", state="active")["previous"] == "1.0.0"


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_state(plant: t.Callable[[str], None], ready: tuple[Shelf, Manifest, Manifest]) -> None:
    shelf = ready[0]
    os.unlink(shelf.base + "/state.json")
    plant(shelf.base + "/state.json")
    assert refused(shelf).code == "state_invalid"


@pytest.mark.skipif(not ROOT, reason="NOT TESTED: only root can become somebody who lacks rights")
def test_a_user_without_rights() -> None:
    program = (
        "import os, sys\n"
        "from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError\n"
        "from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, Wanted, install\n"
        "from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    install(Request(Wanted('demo', version='1.1.0'), sys.argv[1]), lambda: DirectoryStore(sys.argv[2]))\n"
        "except BeamError as error:\n    print(error.code, '|', error.message)\n"
    )
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shelf = Shelf(Path(place))
        old, _new = shelf.publish("1.0.0"), shelf.publish("1.1.0")
        shelf.install(version="1.0.0", state="active")
        for base in (shelf.base, place + "/no/rights"):
            done = subprocess.run(
                [sys.executable, "-c", program, base, shelf.store.root],
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout.startswith("disk_denied |"), done
        untouched(shelf, old)


# Real file systems.


@pytest.fixture(name="mounted")
def _mounted(tmp_path: Path) -> t.Iterator[t.Callable[..., str]]:
    """A tmpfs with the given options at <tmp_path>/fs; gone afterwards."""
    if not ROOT:
        warnings.warn("NOT TESTED: full, read-only and noexec file systems need root", stacklevel=1)
        pytest.skip("NOT TESTED: full, read-only and noexec file systems need root")
    point = tmp_path / "fs"
    point.mkdir()
    done = []

    def mount(options: str) -> str:
        # A container may be root and still be unable to mount.
        argv = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        if result.returncode:
            warnings.warn("NOT TESTED: this machine refuses to mount: " + result.stderr, stacklevel=1)
            pytest.skip("NOT TESTED: this machine refuses to mount")
        done.append(point)
        return str(point / "base")

    yield mount
    for place in done:
        subprocess.run(["umount", str(place)], check=True)


def test_the_disk_fills_up(shelf: Shelf, mounted: t.Callable[..., str]) -> None:
    """Whatever was free when it began: somewhere in the middle it is not."""
    old = shelf.publish("1.0.0")
    new = shelf.publish("1.1.0", {**tree("1.1.0"), "big": {"random": os.urandom(400_000)}})
    base = mounted("size=1m,mode=755")
    shelf.install(version="1.0.0", state="active", base=base)
    ballast = Path(base).parent / "ballast"
    outcomes = set()
    for free in range(0, 105, 15):
        info = os.statvfs(base)
        ballast.write_bytes(bytes(max(0, info.f_bavail * info.f_frsize - free * 4096)))
        error = refused(shelf, base=base)
        outcomes.add(error.code)
        ballast.unlink()
        assert os.readlink(base + "/current") == "releases/1.0.0" and os.listdir(base + "/tmp") == []
        check_whole(base, old)
    assert outcomes <= {"disk_full", "disk_too_small"}
    assert shelf.install(version="1.1.0", state="active", base=base)["changed"]
    check_whole(base, new)


def test_the_disk_is_full_although_it_looked_large_enough(
    shelf: Shelf, mounted: t.Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._host import plan

    monkeypatch.setattr(plan, "_refuse_full", lambda *args: None)
    old = shelf.publish("1.0.0")
    shelf.publish("1.1.0", {**tree("1.1.0"), "big": {"random": os.urandom(400_000)}})
    base = mounted("size=1m,mode=755")
    shelf.install(version="1.0.0", state="active", base=base)
    ballast = Path(base).parent / "ballast"
    for free in (0, 1, 2, 3, 5, 8, 20, 50, 90):
        info = os.statvfs(base)
        ballast.write_bytes(bytes(max(0, info.f_bavail * info.f_frsize - free * 4096)))
        assert refused(shelf, base=base).code == "disk_full"
        ballast.unlink()
        assert os.readlink(base + "/current") == "releases/1.0.0" and os.listdir(base + "/tmp") == []
        check_whole(base, old)
    assert shelf.install(version="1.1.0", state="active", base=base)["changed"]


def test_no_inodes_are_left(shelf: Shelf, mounted: t.Callable[..., str]) -> None:
    shelf.publish("1.0.0")
    error = refused(shelf, version="1.0.0", base=mounted("size=4m,nr_inodes=12,mode=755"))
    assert error.code == "disk_too_small" and "inodes" in error.why


@pytest.mark.parametrize("options, code", [("ro", "disk_read_only"), ("noexec", "disk_noexec")])
def test_file_systems_that_are_of_no_use(options: str, code: str, shelf: Shelf, mounted: t.Callable[..., str]) -> None:
    shelf.publish("1.0.0")
    base = mounted("size=4m,mode=755," + options)
    for check_mode in (True, False):
        assert refused(shelf, version="1.0.0", base=base, check_mode=check_mode).code == code


def test_a_mount_in_a_release_is_never_removed(ready: tuple[Shelf, Manifest, Manifest]) -> None:
    if not ROOT:
        pytest.skip("NOT TESTED: mounting needs root")
    shelf = ready[0]
    shelf.install(version="1.1.0", state="active")
    point = shelf.base + "/releases/1.0.0/tmp/empty"
    result = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], capture_output=True, check=False)
    if result.returncode:
        pytest.skip("NOT TESTED: this machine refuses to mount")
    try:
        Path(point, "precious").write_text("precious")
        assert refused(shelf, version="1.0.0", state="absent").code == "mount_below"
        shelf.publish("1.2.0")
        shelf.publish("1.3.0")
        for version in ("1.2.0", "1.3.0"):
            assert "1.0.0" not in shelf.install(version=version, state="active", keep=1)["pruned"]
        assert Path(point, "precious").read_text() == "precious"
    finally:
        subprocess.run(["umount", point], check=True)


def test_layers_on_another_file_system(shelf: Shelf, mounted: t.Callable[..., str]) -> None:
    shelf.publish("1.0.0")
    other = os.path.dirname(mounted("size=4m,mode=755"))
    layers = os.path.join(shelf.base, "layers")
    os.makedirs(layers)
    subprocess.run(["mount", "--bind", other, layers], check=True)
    try:
        assert refused(shelf, version="1.0.0").code == "base_split"
    finally:
        subprocess.run(["umount", layers], check=True)
