# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation on a real file system, from a real store: what it does, and that it does it once."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import assemble, files
from ansible_collections.alchemist.beam.plugins.module_utils._host.layout import Layout
from ansible_collections.alchemist.beam.plugins.module_utils._host.live import live_versions, mounted_versions
from ansible_collections.alchemist.beam.plugins.module_utils._host.lock import exclusive
from ansible_collections.alchemist.beam.plugins.module_utils._host.present import check_directories

from .conftest import Shelf, check_whole, listing, tree


def code_of(work: t.Callable[[], t.Any]) -> str:
    with pytest.raises(BeamError) as error:
        work()
    assert error.value.what and error.value.hint, error.value.message
    return error.value.code


def current(shelf: Shelf) -> str:
    return os.readlink(os.path.join(shelf.base, "current"))


def test_staged_does_not_touch_current(shelf: Shelf) -> None:
    first, second = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    shelf.install(version="1.0.0", state="active")
    result = shelf.install(version="1.1.0")
    assert result["changed"] and result["current"] == "1.0.0" and current(shelf) == "releases/1.0.0"
    check_whole(shelf.base, first)
    check_whole(shelf.base, second)


def test_by_channel_version_and_digest(shelf: Shelf) -> None:
    manifest = shelf.publish("1.0.0")
    shelf.promote(manifest)
    results = [
        shelf.install(base=shelf.base + str(n), **wanted)
        for n, wanted in enumerate([{"channel": "production"}, {"version": "1.0.0"}, {"digest": manifest.digest}])
    ]
    for result in results:
        assert (result["version"], result["digest"], result["name"]) == ("1.0.0", manifest.digest, "demo")


def test_the_result_of_a_first_and_a_second_version(shelf: Shelf) -> None:
    first, second = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    result = shelf.install(version="1.0.0", state="active")
    assert result["bytes"] == {"fetched": first.packed_size, "reused": 0, "release": first.packed_size}
    assert result["layers"] == {"fetched": 3, "reused": 0}
    assert (
        result["previous"] is None and result["current"] == "1.0.0" and result["path"] == shelf.base + "/releases/1.0.0"
    )
    result = shelf.install(version="1.1.0", state="active")
    changed = second.layers[2].size
    assert result["bytes"] == {
        "fetched": changed,
        "reused": second.packed_size - changed,
        "release": second.packed_size,
    }
    assert (result["previous"], result["current"]) == ("1.0.0", "1.1.0")
    assert {"fetch", "unpack", "assemble", "sync", "switch", "total"} <= set(result["seconds"])
    json.dumps(result)


def test_check_mode_names_the_layers_that_lack_and_reads_none(shelf: Shelf) -> None:
    first, second = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    rehearsed = shelf.install(True, version="1.0.0")
    assert sorted(rehearsed["lacks"]) == sorted(layer.sha256 for layer in first.layers) and not [
        key for key in shelf.asked if "layers" in key
    ]
    before = time.time()
    assert sorted(shelf.install(version="1.0.0")["lacks"]) == sorted(rehearsed["lacks"])
    result = shelf.install(True, version="1.1.0")
    assert result["lacks"] == [second.layers[2].sha256] and before - 0.01 <= result["began"] <= time.time()
    assert shelf.install(True, version="1.0.0")["lacks"] == []


def test_what_did_not_change_is_shared_by_hard_links(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    shelf.install(version="1.1.0")
    inodes = {
        os.stat(os.path.join(shelf.base, "releases", v, "erts-13.1/bin/beam.smp")).st_ino for v in ("1.0.0", "1.1.0")
    }
    assert len(inodes) == 1


@pytest.mark.parametrize("wanted, asked", [({"channel": "production"}, 1), ({"version": "1.0.0"}, 0)])
def test_the_second_run_writes_nothing_and_asks_little(wanted: dict[str, str], asked: int, shelf: Shelf) -> None:
    shelf.promote(shelf.publish("1.0.0"))
    assert shelf.install(state="active", **wanted)["changed"]
    before = listing(shelf.base)
    result = shelf.install(state="active", **wanted)
    assert not result["changed"] and result["diff"]["before"] == result["diff"]["after"]
    assert listing(shelf.base) == before and len(shelf.asked) == asked


def test_check_mode_says_what_the_run_then_does_and_writes_nothing(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    keys = ("changed", "version", "digest", "path", "previous", "current", "bytes", "layers", "pruned", "diff")
    for options in (
        {"version": "1.0.0"},
        {"version": "1.0.0", "state": "active"},
        {"version": "1.1.0", "state": "active", "keep": 1},
        {"version": "1.0.0", "state": "active"},
        {"version": "1.1.0", "state": "absent"},
        {"version": "1.1.0", "state": "absent"},
    ):
        before = listing(shelf.base)
        said = shelf.install(check_mode=True, **options)
        assert listing(shelf.base) == before
        done = shelf.install(**options)
        for result in (said, done):
            # What is free changes by itself, between the one and the other.
            disk = result["diff"]["after"].pop("disk", None)
            assert disk is None or disk.endswith("MiB free")
        assert {key: said[key] for key in keys} == {key: done[key] for key in keys}
        assert done["diff"]["before"] != done["diff"]["after"] or not done["changed"]
    assert not os.path.lexists(shelf.base + "/releases/1.1.0")


def test_inactive_is_the_way_back_to_nothing(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    assert not shelf.install(state="inactive")["changed"]
    shelf.install(version="1.0.0", state="active")
    before = listing(shelf.base)
    assert shelf.install(check_mode=True, state="inactive")["changed"] and listing(shelf.base) == before
    done = shelf.install(state="inactive")
    assert (done["changed"], done["version"], done["current"]) == (True, "1.0.0", None)
    assert not os.path.lexists(shelf.base + "/current") and os.path.isdir(shelf.base + "/releases/1.0.0")
    assert not shelf.install(state="inactive")["changed"]
    assert shelf.install(version="1.0.0", state="active")["current"] == "1.0.0"
    assert code_of(lambda: shelf.install(version="1.0.0", state="inactive")) == "target_ambiguous"


def test_inactive_removes_a_link_that_leads_nowhere(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.install(version="1.0.0")
    os.symlink("releases/0.0.1", shelf.base + "/current")
    assert shelf.install(state="inactive")["changed"] and not os.path.lexists(shelf.base + "/current")


def test_check_mode_does_not_even_make_the_base(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    assert shelf.install(check_mode=True, version="1.0.0", state="active")["changed"]
    assert not os.path.exists(shelf.base)


@pytest.mark.parametrize("by", ["version", "digest"])
def test_a_staged_release_is_activated_with_the_store_away(by: str, shelf: Shelf) -> None:
    first, second = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    for manifest in (first, second):
        shelf.install(version=manifest.version, state="active")
    shelf.away()
    result = shelf.install(state="active", **{by: first.version if by == "version" else first.digest})
    assert result["changed"] and current(shelf) == "releases/1.0.0"
    assert (result["previous"], shelf.asked) == ("1.1.0", [])


def test_previous_is_what_was_active_before_however_often_it_goes_to_and_fro(shelf: Shelf) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        shelf.publish(version)
        shelf.install(version=version, state="active")
    assert shelf.install(version="1.0.0", state="active")["previous"] == "1.2.0"
    assert shelf.install(version="1.0.0", state="active")["previous"] == "1.2.0"
    assert shelf.install(version="1.2.0", state="active")["previous"] == "1.0.0"


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(mask: int, shelf: Shelf) -> None:
    manifest = shelf.publish("1.0.0")
    old = os.umask(mask)
    try:
        shelf.install(version="1.0.0", state="active")
        assert os.umask(mask) == mask
    finally:
        os.umask(old)
    check_whole(shelf.base, manifest)
    for directory, names, _files in os.walk(os.path.join(shelf.base, "releases")):
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o755
    assert stat.S_IMODE(os.stat(shelf.base).st_mode) == 0o755
    assert stat.S_IMODE(os.stat(shelf.base + "/state.json").st_mode) == 0o644


def test_tmp_is_empty_afterwards_and_leftovers_are_removed(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    leftover = Path(shelf.base, "tmp", "release", "deep")
    leftover.mkdir(parents=True)
    (leftover / "file").write_text("half")
    (leftover / "link").symlink_to(shelf.root / "store")
    shelf.install(version="1.1.0")
    assert os.listdir(shelf.base + "/tmp") == [] and (shelf.root / "store").is_dir()


# Pruning.


def test_pruning_keeps_the_newest_the_current_and_the_previous(shelf: Shelf) -> None:
    versions = ["1.%d.0" % n for n in range(6)]
    for version in versions:
        shelf.publish(version)
    shelf.install(version=versions[0], state="active")
    shelf.install(version=versions[1], state="active")
    pruned = [shelf.install(version=version, keep=2)["pruned"] for version in versions[2:]]
    # 1.1.0 is current and 1.0.0 previous: the two newest are kept beside them.
    assert pruned == [[], [], ["1.2.0"], ["1.3.0"]]
    assert sorted(os.listdir(shelf.base + "/releases")) == ["1.0.0", "1.1.0", "1.4.0", "1.5.0"]
    assert len(os.listdir(shelf.base + "/manifests")) == 4
    # Two layers that all share, and one for each release.
    assert len(os.listdir(shelf.base + "/layers")) == 6


@pytest.fixture(name="running")
def _running(shelf: Shelf) -> t.Iterator[subprocess.Popen[bytes]]:
    """A process that lives in 1.0.0 by nothing but its environment; 1.1.0 and 1.2.0 are newer."""
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        shelf.publish(version)
    shelf.install(version="1.0.0")
    root = os.path.join(os.path.realpath(shelf.base), "releases", "1.0.0")
    process = subprocess.Popen(["sleep", "60"], env={"RELEASE_ROOT": root})
    # Popen returns before the kernel has laid out the new environment.
    deadline = time.monotonic() + 5
    while not Path("/proc/%d/environ" % process.pid).read_bytes() and time.monotonic() < deadline:
        time.sleep(0.005)
    yield process
    process.kill()
    process.wait()


def test_what_a_process_uses_is_neither_pruned_nor_removed(shelf: Shelf, running: subprocess.Popen[bytes]) -> None:
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        assert shelf.install(version=version, state="active", keep=1)["pruned"] == (
            ["1.1.0"] if version == "1.3.0" else []
        )
    assert code_of(lambda: shelf.install(version="1.0.0", state="absent")) == "release_in_use"
    running.kill()
    running.wait()
    assert shelf.install(version="1.0.0", state="absent")["pruned"] == ["1.0.0"]


@pytest.mark.parametrize("kind", ["exe", "cwd", "cmdline", "environ", "maps"])
def test_every_trace_of_a_process_counts(kind: str, tmp_path: Path) -> None:
    layout = Layout("/srv/shop")
    process = tmp_path / "4242"
    process.mkdir()
    (tmp_path / "self").mkdir()
    path = "/srv/shop/releases/1.0.0+b-1/erts-13.1/bin/beam.smp"
    if kind in ("exe", "cwd"):
        (process / kind).symlink_to(path + " (deleted)")
    else:
        (process / kind).write_bytes(b"x\0A=" + path.encode() + b"\0y")
    assert live_versions(layout, str(tmp_path)) == {"1.0.0+b-1"}
    assert live_versions(Layout("/srv/sho"), str(tmp_path)) == frozenset()


def test_mounts_below_a_release_are_found(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "36 35 98:0 / /srv/a\\040b/releases/1.0.0/data rw - ext4 /dev/x rw\n37 35 98:0 / /srv/a\\040b/releases/1.1.0 rw - tmpfs x rw\n"
        "38 35 98:0 / /srv/a\\040b rw - tmpfs x rw\n"
    )
    assert mounted_versions(Layout("/srv/a b"), str(table)) == {"1.0.0", "1.1.0"}


def test_what_an_application_made_as_deep_as_it_could_is_removed(shelf: Shelf) -> None:
    """A stack, a path and open files have limits; a base whose removal failed would take no other version."""
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    handle = os.open(shelf.base + "/releases/1.0.0/tmp/empty", os.O_RDONLY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    assert shelf.install(version="1.0.0", state="absent")["changed"] is True
    assert os.listdir(shelf.base + "/tmp") == []
    shelf.install(version="1.1.0", state="active")


def test_absent(shelf: Shelf) -> None:
    first = shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    shelf.install(version="1.1.0", state="active")
    shelf.away()
    assert code_of(lambda: shelf.install(version="1.1.0", state="absent")) == "release_current"
    assert shelf.install(digest=first.digest, state="absent")["changed"]
    assert not shelf.install(version="1.0.0", state="absent")["changed"]
    assert not shelf.install(digest=first.digest, state="absent")["changed"]
    assert os.listdir(shelf.base + "/releases") == ["1.1.0"] and len(os.listdir(shelf.base + "/layers")) == 3


def test_what_a_killed_removal_left_goes_with_the_next_run(shelf: Shelf) -> None:
    first = shelf.publish("1.0.0")
    second = shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    shelf.install(version="1.1.0", state="active")
    noted = Path(shelf.base, "state.json").read_bytes()
    for run in ({"version": "1.0.0", "state": "absent"}, {"version": "1.1.0", "state": "active"}):
        shutil.rmtree(shelf.base + "/releases/1.0.0", ignore_errors=True)  # killed as soon as the release was away
        Path(shelf.base, "state.json").write_bytes(noted)
        Path(shelf.base, "manifests", first.digest + ".json").write_bytes(first.to_bytes())
        assert shelf.install(**run)["changed"]
        assert (
            os.listdir(shelf.base + "/manifests") == [second.digest + ".json"]
            and len(os.listdir(shelf.base + "/layers")) == 3
        )
        assert "1.0.0" not in Path(shelf.base, "state.json").read_text()
        assert not shelf.install(**run)["changed"]


def test_a_note_that_was_not_written_is_written_by_a_run_that_changes_nothing_else(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.install(version="1.0.0")
    os.unlink(shelf.base + "/state.json")
    assert not shelf.install(version="1.0.0")["changed"]
    assert '"1.0.0"' in Path(shelf.base, "state.json").read_text()


# What the channel says.


def test_a_ghost_is_refused_unless_it_is_asked_for(shelf: Shelf) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import Ghost

    manifest = shelf.publish("1.0.0")
    shelf.promote(manifest, ghosts=(Ghost("1.0.0", manifest.digest, "never healthy", "2026-01-01T00:00:00Z"),))
    with pytest.raises(BeamError, match="never healthy") as error:
        shelf.install(channel="production")
    assert error.value.code == "ghost" and not os.path.exists(shelf.base)
    assert shelf.install(channel="production", allow_ghost=True)["changed"]


def test_an_older_channel_is_a_replay_and_a_rollback_is_none(shelf: Shelf) -> None:
    old, new = shelf.publish("1.0.0"), shelf.publish("1.1.0")
    shelf.promote(old, serial=4)
    shelf.install(channel="production", state="active")
    shelf.promote(new, serial=5)
    shelf.install(channel="production", state="active")
    shelf.promote(old, serial=4)
    assert code_of(lambda: shelf.install(channel="production", state="active")) == "channel_replayed"
    assert code_of(lambda: shelf.install(check_mode=True, channel="production", state="active")) == "channel_replayed"
    shelf.promote(old, serial=5)
    assert code_of(lambda: shelf.install(channel="production", state="active")) == "channel_forked"
    assert current(shelf) == "releases/1.1.0"
    shelf.promote(old, serial=6)
    assert shelf.install(channel="production", state="active")["current"] == "1.0.0"
    shelf.promote(new, serial=1)
    assert shelf.install(channel="production", state="active", allow_older_serial=True)["current"] == "1.1.0"
    shelf.promote(old, serial=1, channel="staging")
    assert shelf.install(channel="staging", state="active")["current"] == "1.0.0"


def test_a_serial_that_grows_for_nothing_is_remembered_and_is_no_change(shelf: Shelf) -> None:
    manifest = shelf.publish("1.0.0")
    shelf.promote(manifest, serial=1)
    shelf.install(channel="production")
    shelf.promote(manifest, serial=9)
    assert not shelf.install(channel="production")["changed"]
    shelf.promote(manifest, serial=8)
    assert code_of(lambda: shelf.install(channel="production")) == "channel_replayed"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": "1.0.0", "channel": "production"},
        {"state": "absent", "channel": "production"},
        {"version": "1.0.0", "digest": "0" * 64},
    ],
)
def test_exactly_one_target(options: dict[str, str], shelf: Shelf) -> None:
    assert code_of(lambda: shelf.install(**options)) == "target_ambiguous"


@pytest.mark.parametrize(
    "options, code",
    [
        ({"version": "../../x"}, "invalid_version"),
        ({"version": "a/b"}, "invalid_version"),
        ({"channel": "../x"}, "invalid_channel"),
        ({"digest": "abc"}, "invalid_digest"),
        ({"name": "De;mo", "version": "1"}, "invalid_name"),
        ({"version": "1.0.0", "base": "opt"}, "base_invalid"),
        ({"version": "1.0.0", "base": "/"}, "base_invalid"),
        ({"version": "1.0.0", "base": "//x/.."}, "base_invalid"),
    ],
)
def test_names_that_would_be_paths_are_refused(options: dict[str, str], code: str, shelf: Shelf) -> None:
    assert code_of(lambda: shelf.install(**options)) == code


def test_a_channel_or_version_that_is_not_there(shelf: Shelf) -> None:
    assert code_of(lambda: shelf.install(channel="production")) == "channel_empty"
    assert code_of(lambda: shelf.install(version="9.9.9")) == "release_missing"
    assert code_of(lambda: shelf.install(digest="0" * 64)) == "release_missing"


# Two at once.


def test_one_waits_for_the_other_and_then_finds_it_done(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    results: list[dict[str, t.Any]] = []
    threads = [
        threading.Thread(target=lambda: results.append(shelf.install(version="1.0.0", state="active")))
        for _turn in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["changed"] for result in results) == [False, False, False, True]


def test_a_base_that_another_run_makes_while_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path / "base"))
    real = os.path.lexists

    def lexists(path: str) -> bool:
        found = real(path)
        if path == layout.base and not found:
            os.makedirs(layout.layers)
        return found

    monkeypatch.setattr(os.path, "lexists", lexists)
    check_directories(layout)
    assert os.path.isdir(layout.layers)


def test_a_lock_that_is_held_too_long_names_its_holder(shelf: Shelf) -> None:
    shelf.publish("1.0.0")
    shelf.publish("1.1.0")
    shelf.install(version="1.0.0")
    with exclusive(shelf.base + "/.lock", 1), pytest.raises(BeamError) as error:
        shelf.install(version="1.1.0", lock_timeout=0.2)
    assert error.value.code == "install_locked" and str(os.getpid()) in error.value.why
    assert shelf.install(version="1.1.0")["changed"]


# Where links and syncfs are missing.


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_files_are_copied_where_they_can_not_be_linked(
    code: int, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: t.Any, **options: t.Any) -> None:
        raise OSError(code, "no")

    manifest = shelf.publish("1.0.0")
    monkeypatch.setattr(assemble.os, "link", refuse)
    shelf.install(version="1.0.0", state="active")
    check_whole(shelf.base, manifest)
    assert os.stat(shelf.base + "/releases/1.0.0/bin/demo").st_nlink == 1


def test_all_is_synced_where_there_is_no_syncfs(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(files.ctypes, "CDLL", lambda *args, **options: object())
    monkeypatch.setattr(files.os, "sync", lambda: synced.append(os.path.isdir(shelf.base + "/releases/1.0.0")))
    shelf.publish("1.0.0")
    shelf.install(version="1.0.0")
    assert synced == [False]  # before it appears


def test_a_large_layer_goes_through_a_file(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._host import fetch

    monkeypatch.setattr(fetch, "IN_MEMORY", 100)
    manifest = shelf.publish("1.0.0", {**tree("1.0.0"), "big": {"random": os.urandom(100_000)}})
    shelf.install(version="1.0.0")
    check_whole(shelf.base, manifest)
    assert os.listdir(shelf.base + "/tmp") == []


def test_it_needs_nothing_but_the_standard_library(shelf: Shelf) -> None:
    """No boto3, no ansible, in a process that may import only what Python brings."""
    shelf.publish("1.0.0")
    program = (
        "import sys; from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, Wanted, install\n"
        "from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source\n"
        "result = install(Request(Wanted('demo', version='1.0.0'), sys.argv[1], 'active'), lambda: open_source({'store': sys.argv[2]}))\n"
        "assert result['changed'] and not {'boto3', 'botocore', 'ansible', 'jmespath'} & set(sys.modules), sorted(sys.modules)"
    )
    argv = [sys.executable, "-c", program, shelf.base, "file://" + shelf.store.root]
    # The collection is found through the import path of this run; nothing else of it is needed.
    subprocess.run(argv, check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})
