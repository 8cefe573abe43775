# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile archives: each is refused, for its own reason, and leaves nothing outside the directory it was unpacked in."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import typing as t
import zlib
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import File, Layer, safe_path
from ansible_collections.alchemist.beam.plugins.module_utils._release.pack import pack
from ansible_collections.alchemist.beam.plugins.module_utils._release.unpack import unpack_layer

CONTENT = {
    "bin/run": b"#!/bin/sh\nexit 0\n",
    "ebin/a.beam": b"A" * 700,
    "ebin/b.beam": b"",
    "start_erl.data": b"13.1 1.0.0",
}
LONG = "/".join(["d" * 60] * 4) + "/file"
Part = t.Union[bytes, tuple[tarfile.TarInfo, bytes]]


def info(name: str, data: bytes = b"", **fields: t.Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o755 if name.startswith("bin/") else 0o644
    for key, value in fields.items():
        setattr(member, key, value)
    return member, data


GOOD = [info(path, data) for path, data in sorted(CONTENT.items())]


def raw(parts: t.Iterable[Part], format: int = tarfile.USTAR_FORMAT, end: bytes = bytes(1024)) -> bytes:
    out = b""
    for part in parts:
        if isinstance(part, bytes):
            out += part
        else:
            member, data = part
            out += member.tobuf(format, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)
    return out + end


def archive(parts: t.Iterable[Part], **options: t.Any) -> bytes:
    return gzip.compress(raw(parts, **options), mtime=0)


def patched(field: slice, value: bytes, path: str = "ebin/a.beam", resum: bool = True) -> list[Part]:
    """The good archive with some bytes of one header changed, and a checksum that fits again."""
    parts: list[Part] = []
    for member, data in GOOD:
        header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
        if member.name == path:
            header[field] = value
            if resum:
                header[148:156] = b" " * 8
                header[148:156] = b"%06o\0 " % sum(header)
        parts += [bytes(header) + data + bytes(-len(data) % 512)]
    return parts


def pax(records: bytes, kind: bytes = b"x", size: int | None = None) -> bytes:
    member = tarfile.TarInfo("././@PaxHeader")
    member.type = kind
    member.size = len(records) if size is None else size
    return member.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


def record(keyword: str, value: bytes) -> bytes:
    rest = b" " + keyword.encode() + b"=" + value + b"\n"
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def without(path: str) -> list[Part]:
    return [part for part in GOOD if part[0].name != path]


def bomb(size: int, member: bytes = b"") -> bytes:
    """size zeros behind a header, compressed without ever being in memory."""
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = press.compress(member)
    zeros = bytes(1024 * 1024)
    for _step in range(size // len(zeros)):
        out += press.compress(zeros)
    return out + press.flush()


def many_members() -> bytes:
    return gzip.compress(raw(GOOD[:1], end=b"") + info("x")[0].tobuf(tarfile.USTAR_FORMAT) * 100_000 + bytes(1024), 1)


def self_nested() -> bytes:
    return gzip.compress(gzip.compress(raw(GOOD)))


def flipped() -> bytes:
    """A byte of the compressed data is wrong, and so is gzip's own checksum."""
    data = bytearray(archive(GOOD))
    data[-6] ^= 1
    return bytes(data)


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
# name -> (archive, code)
HOSTILE: dict[str, tuple[t.Callable[[], bytes], str]] = {
    # Paths that lead out.
    "parent": (lambda: archive([*GOOD, info("../evil", b"x")]), "archive_parent_path"),
    "parent inside": (lambda: archive([*GOOD, info("ebin/../../evil", b"x")]), "archive_parent_path"),
    "parent to a known file": (
        lambda: archive([*without("start_erl.data"), info("ebin/../start_erl.data", b"13.1 1.0.0")]),
        "archive_parent_path",
    ),
    "absolute": (lambda: archive([*GOOD, info("/etc/evil", b"x")]), "archive_absolute_path"),
    "absolute known": (
        lambda: archive([*without("bin/run"), info("/bin/run", CONTENT["bin/run"])]),
        "archive_absolute_path",
    ),
    "double slash": (
        lambda: archive([*without("bin/run"), info("//bin/run", CONTENT["bin/run"])]),
        "archive_absolute_path",
    ),
    "dot path": (lambda: archive([*without("bin/run"), info("./bin/run", CONTENT["bin/run"])]), "archive_unexpected"),
    "inner double slash": (
        lambda: archive([*without("bin/run"), info("bin//run", CONTENT["bin/run"], mode=0o755)]),
        "archive_unexpected",
    ),
    "trailing slash": (
        lambda: archive(patched(slice(0, 100), b"ebin/a.beam/".ljust(100, b"\0"))),
        "archive_unexpected",
    ),
    "home": (lambda: archive([*GOOD, info("~/.ssh/authorized_keys", b"x")]), "archive_unexpected"),
    "backslash": (lambda: archive([*GOOD, info("..\\evil", b"x")]), "archive_unexpected"),
    "pax parent": (lambda: archive([*GOOD, pax(record("path", b"../evil")), info("x", b"x")]), "archive_parent_path"),
    "pax absolute": (
        lambda: archive([*GOOD, pax(record("path", b"/etc/evil")), info("x", b"x")]),
        "archive_absolute_path",
    ),
    "prefix parent": (lambda: archive(patched(slice(345, 500), b"..".ljust(155, b"\0"))), "archive_parent_path"),
    "too long for the kernel": (
        lambda: archive([*GOOD, pax(record("path", b"d/" * 2000 + b"../evil")), info("x", b"x")]),
        "archive_parent_path",
    ),
    # Things that are no regular files.
    "symlink": (lambda: archive([*GOOD, info("link", **LINK)]), "archive_symlink"),
    "symlink through": (lambda: archive([info("ebin", **LINK), *GOOD]), "archive_symlink"),
    "symlink instead of a file": (lambda: archive([*without("bin/run"), info("bin/run", **LINK)]), "archive_symlink"),
    "symlink then file": (lambda: archive([info("bin/run", **LINK), *GOOD]), "archive_symlink"),
    "symlink deep": (lambda: archive([info("a/" * 40 + "l", **LINK), *GOOD]), "archive_symlink"),
    "hardlink out": (
        lambda: archive([*GOOD, info("link", type=tarfile.LNKTYPE, linkname="../../etc/passwd")]),
        "archive_hardlink",
    ),
    "hardlink in": (
        lambda: archive([*GOOD, info("link", type=tarfile.LNKTYPE, linkname="bin/run")]),
        "archive_hardlink",
    ),
    "character device": (
        lambda: archive([*GOOD, info("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)]),
        "archive_device",
    ),
    "block device": (lambda: archive([*GOOD, info("disk", type=tarfile.BLKTYPE, devmajor=8)]), "archive_device"),
    "fifo": (lambda: archive([*GOOD, info("pipe", type=tarfile.FIFOTYPE)]), "archive_fifo"),
    "directory": (lambda: archive([info("ebin", type=tarfile.DIRTYPE, mode=0o755), *GOOD]), "archive_directory"),
    "directory 0777": (lambda: archive([info("ebin", type=tarfile.DIRTYPE, mode=0o777), *GOOD]), "archive_directory"),
    "contiguous": (lambda: archive(patched(slice(156, 157), b"7")), "archive_contiguous"),
    "old file type": (lambda: archive(patched(slice(156, 157), b"\0")), "archive_kind"),
    "unknown type": (lambda: archive(patched(slice(156, 157), b"Z")), "archive_kind"),
    "gnu sparse": (lambda: archive(patched(slice(156, 157), b"S")), "archive_sparse"),
    "gnu long name": (lambda: archive([info("././@LongLink", b"../evil\0", type=b"L"), *GOOD]), "archive_gnu_name"),
    "gnu long link": (lambda: archive([info("././@LongLink", b"/etc\0", type=b"K"), *GOOD]), "archive_gnu_name"),
    "gnu volume label": (lambda: archive([info("label", type=b"V"), *GOOD]), "archive_gnu_label"),
    "file with a link name": (lambda: archive(patched(slice(157, 161), b"/etc")), "archive_linkname"),
    "gnu format": (lambda: archive(GOOD, format=tarfile.GNU_FORMAT), "archive_format"),
    "v7 format": (lambda: archive(patched(slice(257, 265), bytes(8))), "archive_format"),
    # Modes and owners.
    "setuid": (lambda: archive(patched(slice(100, 108), b"0004755\0", "bin/run")), "archive_mode"),
    "setgid": (lambda: archive(patched(slice(100, 108), b"0002755\0", "bin/run")), "archive_mode"),
    "sticky": (lambda: archive(patched(slice(100, 108), b"0001755\0", "bin/run")), "archive_mode"),
    "world-writable": (lambda: archive(patched(slice(100, 108), b"0000666\0")), "archive_mode"),
    "executable against the manifest": (lambda: archive(patched(slice(100, 108), b"0000755\0")), "archive_mode"),
    "user 1234": (lambda: archive(patched(slice(108, 116), b"0002322\0")), "archive_owner"),
    "group 1234": (lambda: archive(patched(slice(116, 124), b"0002322\0")), "archive_owner"),
    # Sizes and numbers.
    "size too large": (lambda: archive(patched(slice(124, 136), b"00000002000\0")), "archive_size"),
    "size 8 GiB": (lambda: archive(patched(slice(124, 136), b"77777777777\0")), "archive_size"),
    "size too small": (lambda: archive(patched(slice(124, 136), b"00000000001\0")), "archive_size"),
    "size negative": (lambda: archive(patched(slice(124, 136), b"-0000001274\0")), "archive_number"),
    "size in base 256": (lambda: archive(patched(slice(124, 136), b"\x80" + bytes(10) + b"\x01")), "archive_number"),
    "size with underscores": (lambda: archive(patched(slice(124, 136), b"0000000_127\0")), "archive_number"),
    "size not octal": (lambda: archive(patched(slice(124, 136), b"00000000999\0")), "archive_number"),
    "wrong checksum": (lambda: archive(patched(slice(0, 1), b"X", resum=False)), "archive_checksum"),
    # Extended headers.
    "pax size": (lambda: archive([pax(record("size", b"99999999999")), *GOOD]), "archive_pax"),
    "pax linkpath": (lambda: archive([pax(record("linkpath", b"/etc")), *GOOD]), "archive_pax"),
    "pax uid": (lambda: archive([pax(record("uid", b"0")), *GOOD]), "archive_pax"),
    "pax sparse": (lambda: archive([pax(record("GNU.sparse.realsize", b"9999999999")), *GOOD]), "archive_pax"),
    "pax two records": (
        lambda: archive([pax(record("path", b"bin/run") + record("size", b"9")), *GOOD]),
        "archive_pax",
    ),
    "pax wrong length": (lambda: archive([pax(b"99 path=bin/run\n"), *GOOD]), "archive_pax"),
    "pax huge": (lambda: bomb(64 * 1024 * 1024, pax(b"", size=0o7777777777)), "archive_pax"),
    "pax empty": (lambda: archive([pax(b""), *GOOD]), "archive_pax"),
    "pax garbage behind": (
        lambda: archive([pax(record("path", b"bin/run") + b"\0X", size=len(record("path", b"bin/run"))), *GOOD]),
        "archive_pax",
    ),
    "pax twice": (
        lambda: archive([pax(record("path", b"bin/run")), pax(record("path", b"bin/run")), *GOOD]),
        "archive_extended",
    ),
    "pax global": (lambda: archive([pax(record("path", b"bin/run"), b"g"), *GOOD]), "archive_global_header"),
    "pax not UTF-8": (lambda: archive([pax(record("path", b"\xff\xfe")), *GOOD]), "archive_encoding"),
    "pax NUL": (lambda: archive([pax(record("path", b"bin/run\0x")), *GOOD]), "archive_hidden_name"),
    # Names that look alike.
    "not UTF-8": (lambda: archive(patched(slice(0, 4), b"\xff\xfe\xfd\xfc")), "archive_encoding"),
    "hidden behind NUL": (lambda: archive(patched(slice(0, 20), b"ebin/a.beam\0../evil\0")), "archive_hidden_name"),
    "case": (lambda: archive([*GOOD, info("BIN/run", CONTENT["bin/run"], mode=0o755)]), "archive_unexpected"),
    "unicode look-alike": (lambda: archive([*GOOD, info("ebin/\u00e1.beam", b"A")]), "archive_unexpected"),
    "unicode decomposed": (lambda: archive([*GOOD, info("ebin/a\u0301.beam", b"A")]), "archive_unexpected"),
    "newline": (lambda: archive([*GOOD, info("ebin/a.beam\n", b"A")]), "archive_unexpected"),
    "an option": (lambda: archive([*GOOD, info("-rf", b"A")]), "archive_unexpected"),
    "255 bytes": (lambda: archive([*GOOD, pax(record("path", b"n" * 255)), info("x", b"A")]), "archive_unexpected"),
    "empty name": (lambda: archive([*GOOD, info("", b"A")]), "archive_unexpected"),
    # What the manifest does not say.
    "duplicate": (lambda: archive([*GOOD, GOOD[-1]]), "archive_duplicate"),
    "duplicate with other content": (
        lambda: archive([*GOOD, info("start_erl.data", b"99.9 9.9.9")]),
        "archive_duplicate",
    ),
    "one more": (lambda: archive([*GOOD, info("ebin/evil.beam", b"x")]), "archive_unexpected"),
    "one missing": (lambda: archive(without("ebin/b.beam")), "archive_missing"),
    "nothing": (lambda: archive([]), "archive_missing"),
    "other content": (lambda: archive([*without("ebin/a.beam"), info("ebin/a.beam", b"B" * 700)]), "archive_content"),
    "data in the padding": (
        lambda: archive([raw([info("ebin/a.beam", b"A" * 700)], end=b"")[:-9] + b"\0evil123\0"]),
        "archive_padding",
    ),
    # Bombs and ends.
    "zeros": (lambda: bomb(64 * 1024 * 1024, raw(GOOD)), "archive_trailing"),
    "zeros in a file": (
        lambda: bomb(64 * 1024 * 1024, info("ebin/a.beam", b"", size=64 * 1024 * 1024)[0].tobuf(tarfile.USTAR_FORMAT)),
        "archive_size",
    ),
    "hundred thousand members": (many_members, "archive_unexpected"),
    "five thousand directories deep": (
        lambda: archive([pax(record("path", b"d/" * 2000 + b"f")), info("x", b"x")]),
        "archive_unexpected",
    ),
    "gzip in gzip": (self_nested, "archive_cut"),
    "second member": (lambda: archive(GOOD) + archive([info("../evil", b"x")]), "archive_second_member"),
    "split into two members": (
        lambda: gzip.compress(raw(GOOD)[:1024]) + gzip.compress(raw(GOOD)[1024:]),
        "archive_cut",
    ),
    "garbage behind": (lambda: archive(GOOD) + b"garbage", "archive_second_member"),
    "zeros behind": (lambda: archive(GOOD) + bytes(512), "archive_second_member"),
    "members behind the end": (lambda: archive([*GOOD, bytes(1024), info("../evil", b"x")]), "archive_trailing"),
    "one zero block": (lambda: archive([*GOOD, bytes(512), info("../evil", b"x")]), "archive_trailing"),
    "no end": (lambda: archive(GOOD, end=b""), "archive_cut"),
    "cut in a file": (lambda: gzip.compress(raw(GOOD)[:1500]), "archive_cut"),
    "cut gzip": (lambda: archive(GOOD)[:-20], "archive_cut"),
    "wrong gzip checksum": (flipped, "archive_not_gzip"),
    "not gzip": (lambda: b"PK\x03\x04 this is a zip", "archive_not_gzip"),
    "plain tar": (lambda: raw(GOOD), "archive_not_gzip"),
    "empty": (lambda: b"", "archive_cut"),
}


def layer_of(data: bytes, content: t.Mapping[str, bytes] | None = None) -> Layer:
    files = tuple(
        File(path, 0o755 if path.startswith("bin/") else 0o644, len(body), hashlib.sha256(body).hexdigest())
        for path, body in sorted((CONTENT if content is None else content).items())
    )
    return Layer(hashlib.sha256(data).hexdigest(), len(data), "", files)


def unpack(layer: Layer, data: bytes, root: Path) -> None:
    target = root / "target"
    target.mkdir()
    handle = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpack_layer(layer, data, handle)
    finally:
        os.close(handle)


def test_the_corpus_is_large_and_has_reasons_of_its_own() -> None:
    assert len(HOSTILE) >= 60
    assert len({code for _make, code in HOSTILE.values()}) >= 25


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str, tmp_path: Path) -> None:
    make, code = HOSTILE[name]
    data = make()
    (tmp_path / "outside").write_text("untouched")
    with pytest.raises(BeamError) as error:
        unpack(layer_of(data), data, tmp_path)
    assert error.value.code == code
    # Nothing but the directory itself and the manifest's own regular files in it, none larger or more allowed than it says.
    assert sorted(os.listdir(tmp_path)) == ["outside", "target"]
    for directory, names, files in os.walk(tmp_path / "target"):
        for entry in names + files:
            path = Path(directory, entry)
            mode = path.lstat().st_mode
            relative = str(path.relative_to(tmp_path / "target"))
            if stat.S_ISDIR(mode):
                assert relative in ("bin", "ebin")
            else:
                assert stat.S_ISREG(mode) and relative in CONTENT and path.lstat().st_size <= len(CONTENT[relative])
                assert mode & 0o7022 == 0


@pytest.mark.parametrize(
    "data",
    [archive(GOOD), archive(GOOD, end=bytes(10240 - len(raw(GOOD, end=b"")) % 10240))],
    ids=["two blocks", "a record"],
)
def test_a_good_archive_is_unpacked(data: bytes, tmp_path: Path) -> None:
    unpack(layer_of(data), data, tmp_path)
    found = {
        str(path.relative_to(tmp_path / "target")): path.read_bytes()
        for path in (tmp_path / "target").rglob("*")
        if path.is_file()
    }
    assert found == CONTENT
    assert stat.S_IMODE((tmp_path / "target" / "bin" / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "target" / "ebin" / "a.beam").stat().st_mode) == 0o644


def test_it_reads_what_our_packer_writes(tmp_path: Path) -> None:
    content = {
        **CONTENT,
        LONG: b"long",
        "priv/\u00e9t\u00e9.txt": b"summer",
        "a" * 100: b"100",
        "b" * 101: b"101",
        "large.bin": os.urandom(3 * 1024 * 1024 + 7),
        "exact.bin": bytes(1024 * 1024),
        "block.bin": b"x" * 512,
    }
    source = tmp_path / "source"
    for path, data in content.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    with pack(str(source), "", layer_of(b"", content).files).data as stream:
        packed = stream.read()
    unpack(layer_of(packed, content), packed, tmp_path)
    for path, data in content.items():
        assert (tmp_path / "target" / path).read_bytes() == data


@pytest.mark.parametrize("size, code", [(-1, "archive_truncated"), (1, "archive_too_long")])
def test_a_wrong_length_is_refused_unread(size: int, code: str, tmp_path: Path) -> None:
    data = archive(GOOD)
    given = data[:size] if size < 0 else data + b"x"
    with pytest.raises(BeamError) as error:
        unpack(layer_of(data), given, tmp_path)
    assert error.value.code == code and not list((tmp_path / "target").iterdir())


def test_every_flipped_bit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = archive(GOOD)
    layer = layer_of(data)
    for position in range(0, len(data), 7):
        bad = bytearray(data)
        bad[position] ^= 1 << position % 8
        root = tmp_path / str(position)
        root.mkdir()
        with pytest.raises(BeamError) as error:
            unpack(layer, bytes(bad), root)
        assert error.value.code == "archive_corrupt" and not list((root / "target").iterdir())


def test_a_bomb_costs_no_memory_and_no_disk(tmp_path: Path) -> None:
    """64 MiB behind the end: refused after one record of it."""
    import tracemalloc

    data = bomb(64 * 1024 * 1024, raw(GOOD))
    tracemalloc.start()
    try:
        with pytest.raises(BeamError):
            unpack(layer_of(data), data, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_planted_symlink_is_never_followed(tmp_path: Path) -> None:
    data = archive(GOOD)
    target = tmp_path / "target"
    (target / "x").mkdir(parents=True)
    (target / "start_erl.data").symlink_to(tmp_path / "victim")
    handle = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(FileExistsError):
            unpack_layer(layer_of(data), data, handle)
    finally:
        os.close(handle)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/x",
        "a/../../x",
        "a//b",
        "./a",
        "a/",
        "",
        ".",
        "..",
        "a\nb",
        "a\0b",
        "a\\b",
        "n" * 256,
        "d/" * 600 + "f",
        "\ud800",
        7,
        None,
    ],
)
def test_a_manifest_can_not_name_such_a_path(path: t.Any) -> None:
    with pytest.raises(ValueError):
        safe_path(path)


def test_the_archives_of_the_corpus_are_what_they_claim(tmp_path: Path) -> None:
    """Some of them do harm with Python's own extractor: the corpus is no strawman."""
    with tarfile.open(fileobj=io.BytesIO(HOSTILE["parent"][0]())) as tar:
        assert "../evil" in tar.getnames()
    with tarfile.open(fileobj=io.BytesIO(HOSTILE["setuid"][0]())) as tar:
        assert tar.getmember("bin/run").mode & stat.S_ISUID
    with tarfile.open(fileobj=io.BytesIO(HOSTILE["symlink through"][0]())) as tar:
        assert tar.getmember("ebin").issym()
