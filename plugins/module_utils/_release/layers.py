# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How a release is cut into layers. Pure: files in, groups out.

The aim is that two consecutive versions share almost everything, in few objects:

- what comes with Erlang and Elixir changes only with them: a few large layers, and `erts` as one;
- a dependency changes when its version does, so a large one is a layer of its own (its `priv` apart from its code),
  while small ones share a layer with others;
- the project's own applications and the consolidated protocols change with every commit: they are cut into buckets by
  the hash of the file's name, so that a change of a few modules moves a few buckets;
- the boot files carry the version in their content, and go together.

Paths are relative to the layer's prefix, and a version directory is part of the prefix wherever the content may
outlive it: an application moved to another version directory with the same content is the same layer.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections import defaultdict
from dataclasses import replace

from .manifest import File, Layer

KIB = 1024
OWN_BUCKET = 64 * KIB  # raw bytes per bucket of what changes with every commit
OTHER_BUCKET = 1024 * KIB
TOOLCHAIN_BUCKET = 2048 * KIB
SMALL_APP = 64 * KIB  # up to here, dependencies share layers
SHARED_BUCKET = 256 * KIB
SPLIT_APP = 256 * KIB  # from here on, a dependency's priv is a layer apart from its code
MAX_BUCKETS = 128

# Applications that come with Erlang/OTP and Elixir: they change together, with the toolchain.
TOOLCHAIN = frozenset(
    "asn1 common_test compiler crypto debugger dialyzer diameter edoc eldap erl_docgen erl_interface et eunit ftp inets "
    "jinterface kernel megaco mnesia observer odbc os_mon parsetools public_key reltool runtime_tools sasl snmp ssh ssl "
    "stdlib syntax_tools tftp tools wx xmerl eex elixir ex_unit iex logger mix".split(),
)


class Group(t.NamedTuple):
    """What becomes a layer: files relative to prefix, sorted by path."""

    prefix: str
    files: tuple[File, ...]


def content_key(prefix_relative: t.Iterable[File]) -> str:
    """Equal for equal paths, modes and contents. It shows whether a published layer can be reused."""
    rows = sorted("%s\0%o\0%s" % (f.path, f.mode, f.sha256) for f in prefix_relative)
    return hashlib.sha256("\n".join(rows).encode("utf-8")).hexdigest()


def layer_content_key(layer: Layer) -> str:
    return content_key(layer.files)


def _bucket(name: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big") % count


def bucket_count(raw: int, target: int) -> int:
    """The power of two that brings a bucket near target bytes: a size that drifts seldom changes it."""
    count = 1
    while count < MAX_BUCKETS and raw > target * count * 1.5:
        count *= 2
    return count


class _Cut:
    """Files by (prefix, part); every part of a prefix becomes one layer."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], list[File]] = defaultdict(list)

    def add(self, prefix: str, part: str, files: t.Iterable[File]) -> None:
        start = len(prefix) + 1 if prefix else 0
        self.parts[(prefix, part)].extend(replace(f, path=f.path[start:]) for f in files)

    def add_buckets(
        self, prefix: str, part: str, files: t.Sequence[File], target: int, key: t.Callable[[File], str]
    ) -> None:
        count = bucket_count(sum(f.size for f in files), target)
        for file in files:
            self.add(prefix, "%s/%d" % (part, _bucket(key(file), count)), [file])

    def groups(self) -> list[Group]:
        groups = [
            Group(prefix, tuple(sorted(files, key=lambda f: f.path))) for (prefix, _part), files in self.parts.items()
        ]
        return sorted(groups, key=lambda g: (g.prefix, g.files[0].path))


def _app_of(directory: str) -> str:
    """my_app of my_app-1.2.3."""
    return directory.split("-", 1)[0]


def _under(path: str, depth: int) -> str:
    return "/".join(path.split("/")[:depth])


def _cut_own(cut: _Cut, prefix: str, files: t.Sequence[File]) -> None:
    by_part: dict[str, list[File]] = defaultdict(list)
    for file in files:
        top = file.path[len(prefix) + 1 :].split("/", 1)
        by_part[top[0] if len(top) > 1 else ""].append(file)
    for part, members in by_part.items():
        cut.add_buckets(prefix, part, members, OWN_BUCKET, lambda f: f.path[len(prefix) + 1 :])


def _cut_dependency(cut: _Cut, prefix: str, files: t.Sequence[File]) -> None:
    priv = [f for f in files if f.path.startswith(prefix + "/priv/")]
    if sum(f.size for f in files) < SPLIT_APP or not priv or sum(f.size for f in priv) < SMALL_APP:
        cut.add(prefix, "", files)
        return
    cut.add(prefix, "priv", priv)
    rest = [f for f in files if not f.path.startswith(prefix + "/priv/")]
    if rest:
        cut.add(prefix, "", rest)


def _cut_lib(cut: _Cut, files: t.Sequence[File], own_apps: t.Container[str]) -> None:
    apps: dict[str, list[File]] = defaultdict(list)
    for file in files:
        apps[_under(file.path, 2)].append(file)
    toolchain: list[File] = []
    small: list[File] = []
    for prefix, members in apps.items():
        app = _app_of(prefix.split("/")[1])
        if app in own_apps:
            _cut_own(cut, prefix, members)
        elif app in TOOLCHAIN:
            toolchain += members
        elif sum(f.size for f in members) <= SMALL_APP:
            small += members
        else:
            _cut_dependency(cut, prefix, members)
    # Small dependencies stay in their bucket when their version changes: it is chosen by the application's name.
    cut.add_buckets("lib", "toolchain", toolchain, TOOLCHAIN_BUCKET, lambda f: _under(f.path, 2))
    cut.add_buckets("lib", "small", small, SHARED_BUCKET, lambda f: _app_of(f.path.split("/")[1]))


def cut_layers(files: t.Iterable[File], own_apps: t.Container[str]) -> list[Group]:
    """The groups of a release's files (paths relative to its root). Every file is in exactly one."""
    cut = _Cut()
    lib: list[File] = []
    boot: list[File] = []
    other: list[File] = []
    erts: dict[str, list[File]] = defaultdict(list)
    consolidated: dict[str, list[File]] = defaultdict(list)
    for file in files:
        parts = file.path.split("/")
        if parts[0] == "lib" and len(parts) > 2:
            lib.append(file)
        elif parts[0].startswith("erts-") and len(parts) > 1:
            erts[parts[0]].append(file)
        elif parts[0] == "releases" and len(parts) > 3 and parts[2] == "consolidated":
            consolidated["/".join(parts[:3])].append(file)
        elif parts[0] in ("bin", "releases") and len(parts) > 1:
            boot.append(file)
        else:
            other.append(file)
    _cut_lib(cut, lib, own_apps)
    for prefix, members in erts.items():
        cut.add(prefix, "", members)
    for prefix, members in consolidated.items():
        cut.add_buckets(prefix, "", members, OWN_BUCKET, lambda f: f.path.rsplit("/", 1)[1])
    if boot:
        cut.add("", "boot", boot)
    cut.add_buckets("", "other", other, OTHER_BUCKET, lambda f: f.path)
    return cut.groups()
