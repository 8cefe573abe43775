# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The manifest: everything a release is, in one immutable document.

Its canonical JSON bytes' sha256 is the release's digest. Nothing in it depends on when, where or by whom it was made,
so that two builds of the same input have the same digest.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass, field, fields

from .._errors import BeamError
from .._json import parse_json
from .abi import Abi
from .names import check_name, check_version, is_digest

SCHEMA = 1
# Caps for documents that come from a store: a hostile one must not exhaust the reader.
MAX_MANIFEST_BYTES = 32 * 1024 * 1024
MAX_FILES = 200_000
MAX_RELEASE_BYTES = 8 * 1024 * 1024 * 1024
MAX_PATH = 1024
# Of the largest releases that are known a hundredth of it. A path costs a reader memory for each of its parts.
MAX_DIRECTORIES = 20_000  # empty ones
MAX_PARENTS = 200_000  # directories in all
MAX_DEPTH = 64  # parts of a path
MAX_LAYERS = 10_000
MAX_VALUES = (
    1_100_000  # in the JSON, five for a file: each takes up to two hundred bytes of memory, and two of the text
)
_KEYS = ("schema", "name", "version", "abi", "provenance", "directories", "layers")
_LAYER_KEYS = ("sha256", "size", "prefix", "files")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class File:
    """A regular file; path is relative to its layer (in a layer) or to the release's root (in a tree)."""

    __slots__ = ("mode", "path", "sha256", "size")  # there are many of them
    path: str
    mode: int  # 0o644 or 0o755, nothing else is ever stored
    size: int  # bytes
    sha256: str

    @property
    def placed_mode(self) -> int:
        """On a server nobody writes a file of a release: all releases with the same layer would change with it. Launchers before Elixir 1.12 copy
        sys.config with its mode, and the VM writes that copy.
        """
        return self.mode if self.path.endswith("sys.config") else self.mode & ~0o222


@dataclass(frozen=True)
class Layer:
    """A deterministic .tar.gz, named by the sha256 of its bytes, and the place where the manifest puts its files."""

    sha256: str
    size: int  # bytes of the archive
    prefix: str  # directory below the release's root, "" for the root itself; several layers may share one
    files: tuple[File, ...]

    @property
    def unpacked_size(self) -> int:
        return sum(f.size for f in self.files)


@dataclass(frozen=True)
class Provenance:
    """Where a release comes from. Empty strings where it is not known."""

    git_sha: str = ""
    git_dirty: bool = False
    lock_sha256: str = ""  # of mix.lock
    fingerprint: str = ""  # of everything that decided the build's output
    mix_env: str = ""
    elixir: str = ""
    otp: str = ""


@dataclass(frozen=True)
class Manifest:
    name: str
    version: str
    abi: Abi
    provenance: Provenance
    layers: tuple[Layer, ...]
    directories: tuple[str, ...] = field(default=())  # empty ones; others follow from the files

    def files(self) -> t.Mapping[str, File]:
        """All files by their path in the release."""
        return self._files

    @functools.cached_property
    def _files(self) -> dict[str, File]:
        found = {}
        for layer in self.layers:
            prefix = layer.prefix + "/" if layer.prefix else ""
            for f in layer.files:
                found[prefix + f.path] = File(prefix + f.path, f.mode, f.size, f.sha256)
        return found

    def parents(self) -> frozenset[str]:
        """Every directory that is above a file or an empty directory."""
        return self._parents

    @functools.cached_property
    def _parents(self) -> frozenset[str]:
        placed = (posixpath.join(layer.prefix, f.path) for layer in self.layers for f in layer.files)
        return parents_of(itertools.chain(placed, self.directories))

    @property
    def unpacked_size(self) -> int:
        return sum(layer.unpacked_size for layer in self.layers)

    @property
    def packed_size(self) -> int:
        return sum(layer.size for layer in self.layers)

    def to_bytes(self) -> bytes:
        return json.dumps(self._document(), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _document(self) -> dict[str, t.Any]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "abi": self.abi.to_dict(),
            "provenance": vars(self.provenance),
            "directories": list(self.directories),
            "layers": [
                {
                    "sha256": layer.sha256,
                    "size": layer.size,
                    "prefix": layer.prefix,
                    "files": [[f.path, "%o" % f.mode, f.size, f.sha256] for f in layer.files],
                }
                for layer in self.layers
            ],
        }


def _no_duplicates(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _value in pairs]
        raise ValueError("the key %.40r appears twice" % next(key for key in keys if keys.count(key) > 1))
    return result


def safe_path(path: t.Any, empty_ok: bool = False) -> str:
    """A relative path that names the same thing wherever it is joined, or ValueError."""
    if not isinstance(path, str) or len(path) > MAX_PATH or (not path and not empty_ok):
        raise ValueError("%r is not a path" % (path,))
    if path and (posixpath.normpath(path) != path or path.startswith(("/", "../")) or path in (".", "..")):
        raise ValueError("%r leaves its place" % path)
    if path.count("/") >= MAX_DEPTH:
        raise ValueError("%.60r... is more than %d directories deep" % (path, MAX_DEPTH))
    if _UNSAFE.search(path):
        raise ValueError("%r has a control character or backslash" % path)
    if len(path.encode("utf-8")) > 255 and any(len(part.encode("utf-8")) > 255 for part in path.split("/")):
        raise ValueError("%r has a part of more than 255 bytes" % path)
    return path


def _size(value: t.Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_RELEASE_BYTES:
        raise ValueError("%r is not a size" % (value,))
    return value


def _sha256(value: t.Any) -> str:
    if not isinstance(value, str) or not is_digest(value):
        raise ValueError("%r is not a sha256" % (value,))
    return value


def _file(row: t.Any) -> File:
    path, mode, size, sha256 = row
    if mode not in ("644", "755"):
        raise ValueError("%r has the mode %r" % (path, mode))
    return File(safe_path(path), int(mode, 8), _size(size), _sha256(sha256))


def _layer(doc: t.Any) -> Layer:
    _closed(doc, _LAYER_KEYS, "a layer")
    return Layer(
        _sha256(doc["sha256"]),
        _size(doc["size"]),
        safe_path(doc["prefix"], empty_ok=True),
        tuple(
            _file(row) for row in _list(doc.pop("files"), MAX_FILES, "files")
        ),  # given back as they go: there are many
    )


def _closed(doc: t.Any, keys: t.Collection[str], what: str) -> dict[str, t.Any]:
    """doc, with these keys and no others."""
    if not isinstance(doc, dict):
        raise ValueError("%s is no dictionary" % what)
    for problem, found in (("unknown", set(doc) - set(keys)), ("missing", set(keys) - set(doc))):
        if found:
            raise ValueError("%s of %s is %s" % (", ".join("%.40r" % key for key in sorted(found)[:5]), what, problem))
    return doc


def _list(value: t.Any, most: int, what: str) -> list[t.Any]:
    if not isinstance(value, list):
        raise ValueError("its %s are no list" % what)
    if len(value) > most:
        raise ValueError("it has %d %s, and %d are allowed" % (len(value), what, most))
    return value


def _provenance(doc: t.Any) -> Provenance:
    for key, value in _closed(doc, [f.name for f in fields(Provenance)], "its provenance").items():
        wanted = bool if key == "git_dirty" else str
        if not isinstance(value, wanted) or (isinstance(value, str) and len(value) > MAX_PATH):
            raise ValueError("%s of its provenance is no %s" % (key, "boolean" if wanted is bool else "short text"))
    return Provenance(**doc)


def _check_whole(manifest: Manifest) -> None:
    count = sum(len(layer.files) for layer in manifest.layers)
    if count > MAX_FILES or manifest.unpacked_size > MAX_RELEASE_BYTES:
        raise ValueError("%d files of %d bytes are over the limits" % (count, manifest.unpacked_size))
    files = manifest.files()
    if len(files) != count:
        raise ValueError("two layers hold the same file")
    directories = set(manifest.directories)
    if len(directories) != len(manifest.directories):
        raise ValueError("a directory is named twice")
    both = directories & set(files)
    if both:
        raise ValueError("%r is a file and a directory" % sorted(both)[0])
    parents = manifest.parents()
    wrong = parents & set(files)
    if wrong:
        raise ValueError("%r is a file and a directory" % sorted(wrong)[0])


def parents_of(paths: t.Iterable[str]) -> frozenset[str]:
    """All directories above these paths; ValueError before there are too many to hold."""
    seen: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in seen:
            seen.add(parent)
            if len(seen) > MAX_PARENTS:
                raise ValueError("it has more than %d directories" % MAX_PARENTS)
            parent = parent.rpartition("/")[0]
    return frozenset(seen)


def _refuse_bomb(data: bytes) -> None:
    """Checked before it is parsed: the number of its values and its depth show how much memory it would take."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise ValueError("it has more than %d bytes" % MAX_MANIFEST_BYTES)
    if not data.isascii():  # one other character makes the whole text four times as large
        raise ValueError("it is not in canonical form")
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > MAX_VALUES:
        raise ValueError("it has about %d values, and %d are allowed" % (values, MAX_VALUES))


def parse_manifest(data: bytes, digest: str | None = None) -> Manifest:
    """The manifest in data; digest, where given, must be the sha256 of data."""
    label = "the manifest %s" % (digest or "")[:12]
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise BeamError(
            "manifest_corrupt",
            "%s can't be trusted" % label.strip(),
            "its bytes do not have the digest it is named by",
            "Publish the same tree again (playbook alchemist.beam.deploy with -e beam_build_force=true), which repairs it, and find out who changed the store",
        )
    try:
        _refuse_bomb(data)
        doc = parse_json(data, object_pairs_hook=_no_duplicates)
        if not isinstance(doc, dict) or doc.get("schema") != SCHEMA:
            raise ValueError(
                "its schema is %.40r, this collection reads %d"
                % (doc.get("schema") if isinstance(doc, dict) else None, SCHEMA)
            )
        _closed(doc, _KEYS, "it")
        layers = _list(doc["layers"], MAX_LAYERS, "layers")
        if sum(len(layer["files"]) for layer in layers) > MAX_FILES:
            raise ValueError("it has more than %d files" % MAX_FILES)
        manifest = Manifest(
            check_name(doc["name"]),
            check_version(doc["version"]),
            Abi.from_dict(doc["abi"]),
            _provenance(doc["provenance"]),
            tuple(_layer(layer) for layer in layers),
            tuple(safe_path(path) for path in _list(doc["directories"], MAX_DIRECTORIES, "directories")),
        )
        del doc, layers
        manifest.parents()  # refuses too many of them
        # Before the rest, so that what it takes is given back when that takes as much.
        if manifest.to_bytes() != data:
            raise ValueError("it is not in canonical form")
        _check_whole(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, BeamError) as exc:
        raise BeamError(
            "manifest_invalid",
            "%s can't be read" % label.strip(),
            str(exc) or type(exc).__name__,
            "Publish the release again with this version of the collection",
        ) from exc
    return manifest
