# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be wrong with a directory."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import signal
import stat
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import directory, flock
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore

from .conftest import load_support


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def files(root: pathlib.Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != ".lock")


def as_nobody(above: pathlib.Path, work: t.Callable[[], None]) -> None:
    """In a process without rights, whose root is that directory: what is above it may be closed to others."""
    above.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.chroot(above)
            os.setgid(65534)
            os.setuid(65534)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_missing_directory_is_not_made(tmp_path: pathlib.Path) -> None:
    store = DirectoryStore(str(tmp_path / "none"))
    for work in (
        lambda: store.put_if_absent("a/b", b"x", 1),
        lambda: store.get("a/b", 1),
        lambda: list(store.list("a/")),
    ):
        with pytest.raises(BeamError) as caught:
            work()
        assert caught.value.code == "store_missing" and "mkdir" in caught.value.hint
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(BeamError) as caught:
        DirectoryStore(str(tmp_path / "file")).get("a/b", 1)
    assert caught.value.code == "store_missing"


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(value: int) -> t.Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("value", [0o000, 0o002, 0o022, 0o027, 0o077, 0o777])
def test_modes_are_its_own_whatever_the_umask(value: int, root: pathlib.Path) -> None:
    root.chmod(0o755)
    store = DirectoryStore(str(root))
    with umask(value):
        store.put_if_absent("shop/layers/x", b"x", 1)
        etag = store.replace("shop/channels/production.json", b"x", None)
        store.replace("shop/channels/production.json", b"y", etag)
    assert {mode(path) for path in root.rglob("*") if path.is_dir()} == {0o755}
    assert {mode(path) for path in root.rglob("*") if path.is_file() and path.name != ".lock"} == {0o644}
    assert [mode(path) for path in root.rglob(".lock")] == [0o600]


@pytest.mark.parametrize(
    ("above", "directory", "lock"),
    [
        (0o700, 0o755, 0o600),
        (0o750, 0o755, 0o600),
        (0o777, 0o755, 0o600),
        (0o1777, 0o755, 0o600),
        (0o775, 0o775, 0o660),
        (0o2775, 0o2775, 0o660),
    ],
)
def test_a_store_is_shared_with_the_group_of_its_root(
    above: int, directory: int, lock: int, root: pathlib.Path
) -> None:
    root.chmod(above)
    with umask(0o077):
        DirectoryStore(str(root)).replace("shop/channels/production.json", b"x", None)
    assert (mode(root), mode(root / "shop/channels"), mode(root / "shop/channels/.lock")) == (above, directory, lock)


def test_what_former_versions_left_is_put_right(root: pathlib.Path) -> None:
    root.chmod(0o755)
    store = DirectoryStore(str(root))
    etag = store.replace("shop/channels/production.json", b"x", None)
    (root / "shop/channels/.lock").chmod(0o644)
    (root / "shop").chmod(0o700)  # of umask 077
    (root / "shop/channels").chmod(0o700)
    (root / "shop/channels/production.json").chmod(0o666)
    store.replace("shop/channels/production.json", b"y", etag)
    assert [
        mode(root / place)
        for place in ("shop", "shop/channels", "shop/channels/.lock", "shop/channels/production.json")
    ] == [0o755, 0o755, 0o600, 0o644]
    # A store that is closed to others as a whole is left as it is.
    root.chmod(0o700)
    (root / "shop").chmod(0o700)
    store.replace("shop/channels/other.json", b"y", None)
    assert mode(root / "shop") == 0o700


def test_a_file_system_without_modes(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: t.Any) -> t.NoReturn:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(directory.os, "fchmod", fails)
    DirectoryStore(str(root)).replace("shop/channels/x", b"x", None)
    assert files(root) == ["shop/channels/x"]


def test_a_reader_of_an_old_lock_file_is_named(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flock, "LOCK_SECONDS", 0.2)
    store = DirectoryStore(str(root))
    store.replace("shop/channels/x", b"x", None)
    script = "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(fd, fcntl.LOCK_SH); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root / "shop/channels/.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == b"held\n"
        for state in ("running", "stopped"):
            if state == "stopped":
                os.kill(reader.pid, signal.SIGSTOP)
                while (
                    b"T" not in pathlib.Path("/proc/%d/stat" % reader.pid).read_bytes().rpartition(b")")[2].split()[0]
                ):
                    time.sleep(0.01)
            with pytest.raises(BeamError) as caught:
                store.replace("shop/channels/y", b"y", None)
            assert caught.value.code == "store_busy" and "process %d (" % reader.pid in caught.value.why
            assert "shop/channels" in caught.value.what and store.location in caught.value.what
            assert ("stopped" in caught.value.hint) == (state == "stopped")
        os.kill(reader.pid, signal.SIGCONT)
    store.replace("shop/channels/y", b"y", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without rights")
def test_a_reader_cant_open_the_lock(root: pathlib.Path) -> None:
    DirectoryStore(str(root)).replace("shop/channels/x", b"x", None)
    root.chmod(0o755)

    def read() -> None:
        with open("/store/shop/channels/x", "rb") as stream:
            assert stream.read() == b"x"
        with pytest.raises(PermissionError):
            os.open("/store/shop/channels/.lock", os.O_RDONLY)

    as_nobody(root.parent, read)


@pytest.mark.parametrize("place", ["shop", "shop/layers", "shop/layers/x"])
def test_links_inside_a_store_are_not_followed(place: str, root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    (outside / "layers").mkdir(parents=True)
    (outside / "layers" / "x").write_text("secret")
    link = root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(
        outside if place == "shop" else outside / "layers" if place == "shop/layers" else outside / "layers/x"
    )
    store = DirectoryStore(str(root))
    with pytest.raises(BeamError) as caught:
        store.get("shop/layers/x", 100)
    assert caught.value.code == "store_symlink"
    with pytest.raises(BeamError):
        store.replace("shop/layers/x", b"mine", None)
    if place != "shop/layers/x":
        with pytest.raises(BeamError):
            store.put_if_absent("shop/layers/y", b"mine", 4)
        with pytest.raises(BeamError):
            store.delete("shop/layers/x")
    assert files(outside) == ["layers/x"] and (outside / "layers/x").read_text() == "secret"


def test_a_fifo_does_not_hang(root: pathlib.Path) -> None:
    (root / "a").mkdir()
    os.mkfifo(root / "a/x")
    with pytest.raises(BeamError):
        DirectoryStore(str(root)).get("a/x", 10)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "store_full"),
        (errno.EDQUOT, "store_full"),
        (errno.EROFS, "store_read_only"),
        (errno.EACCES, "store_denied"),
        (errno.EIO, "store_io"),
        (errno.ENAMETOOLONG, "store_io"),
    ],
)
@pytest.mark.parametrize("call", ["open", "mkdir", "link", "fsync", "rename"])
def test_every_error_has_its_name_and_leaves_nothing(
    number: int,
    code: str,
    call: str,
    root: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = DirectoryStore(str(root))
    real_open = os.open

    def fails(*args: t.Any, **kwargs: t.Any) -> t.Any:
        if (
            call == "open" and not args[1] & os.O_EXCL and args[1] & os.O_TMPFILE != os.O_TMPFILE
        ):  # reading and locking go on
            return real_open(*args, **kwargs)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(directory.os, call, fails)
    with pytest.raises(BeamError) as caught:
        if call == "rename":
            store.replace("shop/channels/x", b"x", None)
        else:
            store.put_if_absent("shop/channels/x", b"x", 1)
    monkeypatch.undo()
    # Where the directory's own fsync fails, the file is there already, and whole.
    assert caught.value.code == code and caught.value.hint
    assert files(root) in ([], ["shop/channels/x"]) if call == "fsync" else files(root) == []


def test_no_hard_links_on_this_file_system(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: t.Any, **_kwargs: t.Any) -> t.NoReturn:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(directory.os, "link", fails)
    store = DirectoryStore(str(root))
    assert store.put_if_absent("a/x", b"1", 1)
    assert not store.put_if_absent("a/x", b"2", 1)
    assert store.get("a/x", 1).data == b"1" and files(root) == ["a/x"]
    etag = store.get("a/x", 1).etag
    assert store.replace("a/x", b"3", etag) != etag
    assert store.get("a/x", 1).data == b"3" and files(root) == ["a/x"]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
def test_no_files_without_a_name_on_this_file_system(
    number: int, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def fails(*args: t.Any, **kwargs: t.Any) -> int:
        if args[1] & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return real_open(*args, **kwargs)

    monkeypatch.setattr(directory.os, "open", fails)
    store = DirectoryStore(str(root))
    assert store.put_if_absent("a/x", b"1", 1) and not store.put_if_absent("a/x", b"2", 1)
    store.replace("a/x", b"3", store.get("a/x", 1).etag)
    assert store.get("a/x", 1).data == b"3" and files(root) == ["a/x"]


def test_the_next_change_takes_away_what_a_killed_one_left(root: pathlib.Path) -> None:
    store = DirectoryStore(str(root))
    store.put_if_absent("a/x", b"1", 1)
    (root / "a" / directory._NEXT).write_text("killed before its rename")
    store.replace("a/x", b"2", store.get("a/x", 1).etag)
    assert store.get("a/x", 1).data == b"2" and files(root) == ["a/x"]


def _has_unnamed(place: pathlib.Path) -> bool:
    try:
        os.close(os.open(place, os.O_RDWR | os.O_TMPFILE))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("replaces", [False, True], ids=["creates", "replaces"])
def test_a_writer_that_is_killed_leaves_nothing_that_the_next_one_does_not_take_away(
    replaces: bool, tmp_path: pathlib.Path
) -> None:
    kill_at = load_support("kill_at")
    why = kill_at.lacking() or ("" if _has_unnamed(tmp_path) else "the file system has no files without a name")
    if why:
        pytest.skip("NOT TESTED: no writer was killed: %s" % why)
    for at in range(1, 40):
        root = tmp_path / str(at)
        root.mkdir()
        store = DirectoryStore(str(root))
        store.put_if_absent("a/x", b"1", 1)
        etag = store.get("a/x", 1).etag

        def write(store: Store = store, etag: str = etag) -> None:
            if replaces:
                if store.get("a/x", 1).etag == etag:
                    store.replace("a/x", b"2", etag)
            else:
                store.put_if_absent("a/y/z", b"2", 1)

        if not kill_at.kill_at(write, at).hit:
            break
        assert store.get("a/x", 1).data in (b"1", b"2")
        write()
        assert files(root) == (["a/x"] if replaces else ["a/x", "a/y/z"]), at
    assert at > 5


def test_less_than_was_announced(root: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="announced"):
        DirectoryStore(str(root)).put_if_absent("a/x", b"12", 3)
    assert files(root) == []


def test_what_a_killed_writer_left_is_swept_when_it_is_old(root: pathlib.Path) -> None:
    store = DirectoryStore(str(root))
    store.put_if_absent("shop/layers/x", b"1", 1)
    for name, age in ((".tmp-old", 100_000), (".tmp-new", 10)):
        path = root / "shop/layers" / name
        path.write_text("half")
        os.utime(path, (path.stat().st_mtime - age, path.stat().st_mtime - age))
    assert [s.key for s in store.list("shop/")] == ["shop/layers/x"]
    assert store.sweep("shop/", 86400) == 1
    assert files(root) == ["shop/layers/.tmp-new", "shop/layers/x"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without rights")
def test_somebody_without_rights(root: pathlib.Path) -> None:
    DirectoryStore(str(root)).put_if_absent("a/x", b"1", 1)

    def read_and_write() -> None:
        store = DirectoryStore("/store")
        assert store.get("a/x", 1).data == b"1"
        for work in (
            lambda: store.put_if_absent("a/y", b"1", 1),
            lambda: store.replace("a/x", b"2", store.get("a/x", 1).etag),
        ):
            with pytest.raises(BeamError) as caught:
                work()
            assert caught.value.code == "store_denied"

    as_nobody(root.parent, read_and_write)
    assert files(root) == ["a/x"]


def test_a_write_that_ends_half_way(root: pathlib.Path) -> None:
    """The kernel refuses the bytes after the limit, as a full disk does."""
    script = textwrap.dedent("""
        import resource, signal, sys
        from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
        from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            DirectoryStore(sys.argv[1]).put_if_absent("a/x", b"x" * 100000, 100000)
        except BeamError as exc:
            print(exc.code)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "store_full" and files(root) == []
