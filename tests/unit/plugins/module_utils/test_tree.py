# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees as an application makes them to be in the way: deeper than the stack, than a path and than the number of open files; closed, mounted, swapped."""

from __future__ import annotations

import ast
import collections
import errno
import functools
import os
import resource
import subprocess
import sys
import tempfile
import traceback
import typing as t
import warnings
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _tree
from ansible_collections.alchemist.beam.plugins.module_utils._build.tree import check_tree
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release import abi_scan
from ansible_collections.alchemist.beam.plugins.module_utils._release.tree import scan_tree
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._tree import remove_quietly, remove_tree, walk

DEEP = 3000
NOBODY = 65534
UTILS = Path(_tree.__file__).parent


def dig(root: Path, depth: int = DEEP, name: str = "deeper") -> None:
    """Directories in each other, and a file in the last one."""
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=handle))
    os.close(handle)


@pytest.fixture(name="place")
def _place() -> t.Iterator[Path]:
    """In memory where that is possible: a disk takes seconds for it. Not pytest's, whose own way to remove it has a stack."""
    memory = "/dev/shm"
    place = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK | os.X_OK) else None)
    yield Path(place)
    subprocess.run(["find", place, "-delete"], check=True)


def test_deeper_than_the_stack_and_a_path(place: Path) -> None:
    root = place / "root"
    dig(root)
    dig(root / "beside", 40)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(128, soft), hard))
    try:
        remove_tree(str(root) + "/")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not list(place.iterdir())
    remove_tree(str(root))


def test_links_and_files_go_and_what_they_lead_to_stays(place: Path) -> None:
    kept, root = place / "kept", place / "root"
    kept.mkdir()
    (kept / "file").write_text("x")
    (root / "in").mkdir(parents=True)
    (root / "in" / "link").symlink_to(kept)
    os.mkfifo(root / "in" / "pipe")
    remove_tree(str(root))
    (place / "link").symlink_to(kept)
    remove_tree(str(place / "link"))
    assert [path.name for path in place.iterdir()] == ["kept"] and (kept / "file").exists()


def as_somebody(work: t.Callable[[], None]) -> None:
    """root may read and write everything: where we are root, a child becomes somebody else."""
    if os.geteuid() != 0:
        work()
        return
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
        except BaseException:  # pylint: disable=broad-exception-caught
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o300, 0o600])
def test_directories_that_are_closed_to_their_owner(mode: int, place: Path) -> None:
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)

    def work() -> None:
        dig(place / "root", 3)
        for path in ("root/deeper/deeper", "root/deeper", "root"):
            os.chmod(place / path, mode)
        remove_tree(str(place / "root"))
        assert not list(place.iterdir())

    as_somebody(work)


MOUNT = """
import os, subprocess, sys
sys.path[:0] = %r
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._tree import remove_tree
place = %r
subprocess.run(["mount", *%r, place + "/root/in/mounted"], check=True)
if %r:
    open(place + "/root/in/mounted/file", "w").close()
try:
    remove_tree(place + %r)
except BeamError as exc:
    assert exc.code == "mount_below" and "mounted" in str(exc) and "Unmount" in exc.hint, exc
    assert os.path.exists(place + "/root/in/mounted/file")
else:
    sys.exit("nothing was refused")
"""


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("tmpfs", "/root"),
        ("tmpfs", "/root/in/mounted"),
        ("bind", "/root"),
        ("bind", "/root/in/mounted"),
        ("file", "/root"),
    ],
)
def test_a_mount_is_never_crossed(kind: str, what: str, place: Path) -> None:
    apart = ["unshare", "--mount", "--propagation", "private"]
    able = (
        os.geteuid() == 0
        and subprocess.run(
            [*apart, "mount", "-t", "tmpfs", "none", str(place)], check=False, capture_output=True
        ).returncode
        == 0
    )
    if not able:
        warnings.warn("NOT TESTED: only root can mount: that a mount in a tree is never emptied", stacklevel=1)
        pytest.skip("NOT TESTED: only root can mount")
    kept, mounted = place / "kept", place / "root" / "in" / "mounted"
    kept.mkdir()
    (kept / "file").write_text("x")
    mounted.parent.mkdir(parents=True)
    if kind == "file":
        mounted.write_text("")
    else:
        mounted.mkdir()
    how = {"tmpfs": ["-t", "tmpfs", "none"], "bind": ["--bind", str(kept)], "file": ["--bind", str(kept / "file")]}[
        kind
    ]
    code = MOUNT % (sys.path, str(place), how, kind == "tmpfs", what)
    if kind == "file":
        code = code.replace("mounted/file", "mounted")
    done = subprocess.run([*apart, sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert (kept / "file").exists()


def test_a_link_that_is_swapped_in_is_not_followed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, root = place / "kept", place / "root"
    for path in (kept, root / "in"):
        path.mkdir(parents=True)
        (path / "file").write_text("x")
    kept.chmod(0o755)

    def swap(name: str, directory: int) -> int:
        if name == "in":
            os.rename(root / "in", place / "aside")
            os.symlink(kept, root / "in")
        return real(name, directory)

    real = _tree._open_to_empty
    monkeypatch.setattr(_tree, "_open_to_empty", swap)
    remove_tree(str(root))
    assert (kept / "file").exists() and (place / "aside" / "file").exists() and not root.exists()
    # In the moment before a closed directory is opened up: the mode of what the link leads to stays.
    (place / "link").symlink_to(kept)
    handle = os.open(place, os.O_RDONLY)
    with pytest.raises(NotADirectoryError):
        _tree._open_up("link", handle)
    os.close(handle)
    assert kept.stat().st_mode & 0o777 == 0o755


def test_a_directory_that_is_moved_meanwhile_leads_nowhere_else(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, root = place / "other", place / "root"
    for path in (other / "below", root / "in" / "below"):
        path.mkdir(parents=True)

    def move(removal: t.Any) -> list[str]:
        names = real(removal)
        if not names:
            os.rename(root / "in" / "below", other / "moved")
        return names

    real = _tree._Removal._empty
    monkeypatch.setattr(_tree._Removal, "_empty", move)
    with pytest.raises(BeamError) as caught:
        remove_tree(str(root))
    assert caught.value.code == "tree_moved" and sorted(os.listdir(other)) == ["below", "moved"]


def test_quietly(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "root" / "in").mkdir(parents=True)

    def refuse(_name: str, _directory: int, _label: str) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(_tree, "_rmdir", refuse)
        assert remove_quietly(str(place / "root")) == [
            "%s/%s (PermissionError)" % (place, path) for path in ("root/in", "root")
        ]
    assert remove_quietly(str(place / "root")) == []
    assert not (place / "root").exists()


def test_quietly_removes_all_that_can_be_removed_and_names_the_rest(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place / "root"
    for path in ("a/stuck", "a/free", "b/closed/in", "b/open/in", "c"):
        (root / path).mkdir(parents=True)
        for name in ("secret", "stuck-file"):
            (root / path / name).write_text("x")
    unlink, enter = _tree._unlink, _tree._open_to_empty

    def refuse(work: t.Callable[..., t.Any], names: set[str]) -> t.Callable[..., t.Any]:
        def run(name: str, *args: t.Any) -> t.Any:
            if name in names:
                raise PermissionError(errno.EACCES, "Permission denied")
            return work(name, *args)

        return run

    monkeypatch.setattr(_tree, "_unlink", refuse(unlink, {"stuck-file"}))
    monkeypatch.setattr(_tree, "_open_to_empty", refuse(enter, {"closed"}))
    left = remove_quietly(str(root) + "/")
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == {
        "a/stuck/stuck-file",
        "a/free/stuck-file",
        "b/open/in/stuck-file",
        "c/stuck-file",
        *("b/closed/in/%s" % name for name in ("secret", "stuck-file")),
    }
    assert {one.rpartition(" (P")[0] for one in left} == {
        str(root / path)
        for path in ("a/stuck/stuck-file", "a/free/stuck-file", "b/open/in/stuck-file", "c/stuck-file", "b/closed")
    }
    assert all(one.endswith("(Permission denied)") for one in left)
    monkeypatch.undo()
    assert remove_quietly(str(root)) == [] and not root.exists()


def test_walk_is_that_of_the_library(place: Path) -> None:
    for path in ("a/b/c", "a/d", ".git/x"):
        (place / path).mkdir(parents=True)
        (place / path / "file").write_text("x")
    (place / "a" / "link").symlink_to("b")
    (place / "a" / "nowhere").symlink_to("nothing")
    (place / "a" / "circle").symlink_to("circle")

    def seen(
        by: t.Callable[[str], t.Iterator[tuple[str, list[str], list[str]]]],
    ) -> list[tuple[str, list[str], list[str]]]:
        found = []
        for directory, names, files in by(str(place)):
            names[:] = [name for name in names if name != ".git"]
            found.append((directory, sorted(names), sorted(files)))
        return sorted(found)

    assert seen(walk) == seen(os.walk)
    assert not list(walk(str(place / "missing")))


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda root: list(walk(root)), "tree_too_deep"),
        (check_tree, "tree_too_deep"),
        (abi_scan.scan_tree, "tree_too_deep"),
        (scan_tree, "tree_unsafe"),
    ],
    ids=["walk", "build", "abi", "publish"],
)
def test_what_is_too_deep_to_be_read_is_named(read: t.Callable[[str], t.Any], code: str, place: Path) -> None:
    dig(place / "root")
    with pytest.raises(BeamError) as caught:
        read(str(place / "root"))
    assert caught.value.code == code and "deeper" in str(caught.value) and len(str(caught.value)) < 1000


def test_a_store_with_directories_that_no_key_has(place: Path) -> None:
    dig(place / "store" / "demo" / "boots")
    (place / "store" / "demo" / "boots" / "file").write_text("x")
    assert [row.key for row in DirectoryStore(str(place / "store")).list("demo/boots/")] == ["demo/boots/file"]


@functools.lru_cache(None)
def callers() -> dict[str, set[str]]:
    """Who calls a function of a module of the library."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for path in UTILS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            ):
                found["%s.%s" % (node.func.value.id, node.func.attr)].add(str(path.relative_to(UTILS)))
    return found


@pytest.mark.parametrize(
    ("name", "instead", "may"),
    [
        (
            "shutil.rmtree",
            "_tree.remove_tree",
            {"_bootstrap/first_boot.py"},
        ),  # a file by itself, which removes what it made
        ("os.walk", "_tree.walk", {"_bootstrap/bundle.py"}),  # libraries of this Python
        ("os.fwalk", "_tree.walk", set()),
        ("shutil.copytree", "nothing", set()),
        ("json.loads", "_json.parse_json", {"_json.py", "_bootstrap/first_boot.py"}),
        ("json.load", "_json.parse_json", set()),
    ],
)
def test_nothing_goes_through_what_others_made_by_recursion(name: str, instead: str, may: set[str]) -> None:
    assert callers()[name] <= may, "use %s" % instead
