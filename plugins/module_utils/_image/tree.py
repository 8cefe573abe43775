# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The files of a base image that tell whether a release can run in it: what its layers say together, without unpacking them.

An image is somebody else's. Nothing of it is written where its own paths lead: names are resolved in memory, inside the image, and only libraries, what
configures the loader, and the names of programs come to the disk.
"""

from __future__ import annotations

import os
import posixpath
import re
import tarfile
import typing as t
import zlib
from dataclasses import dataclass

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_LINKS = 40
MAX_FILE = 256 * 1024 * 1024
MAX_ENTRIES = 500_000
_LIBRARY = re.compile(r".*\.so(\.[0-9.]+)?|ld\.so\.conf|.*\.conf|ld-musl-.*\.path")
_PLACES = re.compile(r"(usr/|opt/|.*/)?lib(32|64|x32)?/.*|etc/ld\.so\.conf(\.d/.*)?|etc/ld-musl-.*")
PROGRAM_PLACES = ("usr/local/bin", "usr/bin", "bin", "usr/local/sbin", "usr/sbin", "sbin")


@dataclass
class Node:
    kind: str  # file, link, directory, other
    target: str = ""
    content: str = ""  # where the bytes are, of what is wanted
    runs: bool = False


class Tree:
    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.nodes: dict[str, Node] = {"": Node("directory")}
        self.kept = 0

    def add_layer(self, path: str) -> None:
        """A layer, over those before. ValueError where it can't be read."""
        try:
            with tarfile.open(path, "r|*") as tar:
                hidden: list[str] = []
                fresh: set[str] = set()
                for info in tar:
                    self._member(tar, info, hidden, fresh)
                    if len(self.nodes) > MAX_ENTRIES:
                        raise ValueError("it has more than %d files" % MAX_ENTRIES)
                for place in hidden:
                    self._clear(place, fresh)
        except (tarfile.TarError, EOFError, zlib.error) as exc:
            raise ValueError(str(exc)) from exc

    def _member(self, tar: tarfile.TarFile, info: tarfile.TarInfo, hidden: list[str], fresh: set[str]) -> None:
        path = posixpath.normpath("/" + info.name).lstrip("/")
        if not path:
            return
        directory, name = posixpath.split(path)
        above = self.resolve(directory)
        above = directory if above is None else above
        if name == OPAQUE:
            hidden.append(above)
            return
        if name.startswith(WHITEOUT):
            self._remove(posixpath.join(above, name[len(WHITEOUT) :]))
            return
        path = posixpath.join(above, name)
        node = self._node(tar, info, path)
        there = self.nodes.get(path)
        if there is not None and there.kind == "directory" and node.kind != "directory":
            self._remove(path)
        self._parents(above, fresh)
        self.nodes[path] = node
        fresh.add(path)

    def _parents(self, path: str, fresh: set[str]) -> None:
        while path:
            if path not in self.nodes:
                self.nodes[path] = Node("directory")
            fresh.add(path)
            path = posixpath.dirname(path)

    def _node(self, tar: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> Node:
        if info.isdir():
            return Node("directory")
        if info.issym():
            return Node("link", info.linkname)
        if info.islnk():
            same = self.nodes.get(posixpath.normpath("/" + info.linkname).lstrip("/"))
            return Node(same.kind, same.target, same.content, same.runs) if same else Node("other")
        if not info.isreg():
            return Node("other")
        node = Node("file", runs=bool(info.mode & 0o111))
        # A name that is a library's, wherever it is: what links to it may be in another place.
        if (_LIBRARY.fullmatch(posixpath.basename(path)) and _PLACES.fullmatch(path)) and info.size <= MAX_FILE:
            stream = t.cast(t.BinaryIO, tar.extractfile(info))
            node.content = os.path.join(self.scratch, "%d" % self.kept)
            self.kept += 1
            with open(node.content, "wb") as out:
                for chunk in iter(lambda: stream.read(1 << 20), b""):
                    out.write(chunk)
        return node

    def _remove(self, path: str) -> None:
        for name in [name for name in self.nodes if name == path or name.startswith(path + "/")]:
            del self.nodes[name]

    def _clear(self, place: str, fresh: set[str]) -> None:
        """What lower layers have below an opaque directory."""
        start = place + "/" if place else ""
        for name in [name for name in self.nodes if name.startswith(start) and name not in fresh and name]:
            del self.nodes[name]

    def resolve(self, path: str) -> str | None:
        """Where a path leads inside the image, without symbolic links; None where it leads nowhere."""
        left = [part for part in path.split("/") if part]
        at = ""
        links = 0
        while left:
            part = left.pop(0)
            if part == ".":
                continue
            if part == "..":
                at = posixpath.dirname(at)
                continue
            step = posixpath.join(at, part)
            node = self.nodes.get(step)
            if node is None:
                return None
            if node.kind == "link":
                links += 1
                if links > MOST_LINKS:
                    return None
                if node.target.startswith("/"):
                    at = ""
                left = [piece for piece in node.target.split("/") if piece] + left
                continue
            at = step
        return at

    def program(self, name: str) -> bool:
        for place in PROGRAM_PLACES:
            found = self.resolve(posixpath.join(place, name))
            if found is not None and self.nodes[found].kind == "file" and self.nodes[found].runs:
                return True
        return False

    def write(self, root: str) -> int:
        """Libraries and directories that lead to others below root; how many libraries."""
        count = 0
        for path, node in sorted(self.nodes.items()):
            wanted = _LIBRARY.fullmatch(posixpath.basename(path)) and _PLACES.fullmatch(path)
            found = self.resolve(path)
            if found is None or not found:
                continue
            target = self.nodes[found]
            place = os.path.join(root, path)
            if wanted and target.content:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.link(target.content, place)
                count += 1
            elif node.kind == "link" and target.kind == "directory" and path.count("/") < 3:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.makedirs(os.path.join(root, found), exist_ok=True)
                if not os.path.lexists(place):
                    os.symlink(os.path.relpath(found, posixpath.dirname(path) or "."), place)
        return count
