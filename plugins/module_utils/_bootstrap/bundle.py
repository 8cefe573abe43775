# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The bundle: one zip with all that a bare server needs, the same bytes from the same sources, named by its sha256.

beam-bootstrap.pyz is made of the very modules that this process can import, so that it works from a checkout, an installed collection and
from the file that Ansible sends to a host, and it is never of another version than who made it.
"""

from __future__ import annotations

import ast
import compileall
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import marshal
import os
import re
import typing as t
import zipfile
from dataclasses import dataclass

from .._errors import BeamError
from .._host.files import refuse_foreign_root
from .._host.setup import apply_plan
from .first_boot import unpack
from .main import main as _entry  # adds the whole module, wherever this goes
from .server_setup import Kit, kit_of, parse_kit, plan_setup

PACKAGE = "alchemist_beam"
_TOP = __name__.rpartition(".")[0].rpartition(".")[0]
PYZ = "beam-bootstrap.pyz"
LEAST_PYTHON = (3, 9)
MAX_BYTES = 64 * 1024 * 1024
SERVICES = ("autoscaling", "s3", "secretsmanager", "ssm", "sts")
LIBRARIES = ("botocore", "dateutil", "jmespath", "six", "urllib3")
_MINIMUM = (1, 36)
# pyopenssl.py is a door to whatever OpenSSL package a server has: slow to import, and botocore does without.
_NEVER = re.compile(
    r"(^|/)(__pycache__|tests?|docs/bcdoc/fixtures|contrib/emscripten|contrib/webassembly)/|/contrib/pyopenssl\.py$|\.(pyc|pyi|so|tar\.gz)$|/examples-1\.json"
)
_MAIN = """\
import sys

if sys.version_info < (%d, %d):
    sys.exit("beam-bootstrap: Python %d.%d or newer is needed, and this is %%d.%%d" %% sys.version_info[:2])

from %s._bootstrap.main import main

sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Bundle:
    kit: Kit
    data: bytes
    sha256: str
    python: tuple[int, int]  # the least that runs it


def make_bundle(document: t.Mapping[str, t.Any], aws: bool) -> Bundle:
    """document: kit.json. aws: whether botocore goes along, as it is installed here."""
    kit = kit_of(dict(document), "the kit")
    files: dict[str, bytes] = {PYZ: make_pyz(), "kit.json": _json(document)}
    python = LEAST_PYTHON
    if aws:
        found, python = aws_files()
        files.update(found)
    files["bundle.json"] = _json({"schema": 1, "name": kit.name, "python": list(python)})
    data = _zip(files, zipfile.ZIP_DEFLATED)
    return Bundle(kit, data, hashlib.sha256(data).hexdigest(), python)


def _json(value: t.Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _zip(files: t.Mapping[str, bytes], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression, compresslevel=9) as bundle:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system, info.external_attr = compression, 3, 0o100644 << 16
            bundle.writestr(info, data)
    return buffer.getvalue()


def make_pyz() -> bytes:
    """Not compressed by itself: the bundle is, and Python imports from it faster."""
    files = {"__main__.py": (_MAIN % (*LEAST_PYTHON, *LEAST_PYTHON, PACKAGE)).encode(), PACKAGE + "/__init__.py": b""}
    for name, source in sources().items():
        folder, _slash, _file = name.rpartition("/")
        if folder:
            files["%s/%s/__init__.py" % (PACKAGE, folder)] = b""
        files["%s/%s" % (PACKAGE, name)] = source
    return _zip(files, zipfile.ZIP_STORED)


def sources() -> dict[str, bytes]:
    """All modules that main imports, now or later, by their paths below module_utils."""
    found: dict[str, bytes] = {}
    waiting = [_entry.__module__[len(_TOP) + 1 :]]
    while waiting:
        name = waiting.pop()
        path = name.replace(".", "/") + ".py"
        if path in found:
            continue
        found[path] = source = source_of(name)
        waiting += [other for other in _imports(source, name) if other not in waiting]
    return dict(sorted(found.items()))


def _imports(source: bytes, name: str) -> t.Iterator[str]:
    """The names of the modules that are imported relatively, below module_utils."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*name.split(".")[: -node.level], *([node.module] if node.module else [])])
            if base and _is_module(base):
                yield base
            else:  # `from .._node import envfile`
                yield from (".".join(filter(None, (base, alias.name))) for alias in node.names)


def _is_module(name: str) -> bool:
    """And no directory of them."""
    spec = importlib.util.find_spec("%s.%s" % (_TOP, name))
    return spec is not None and spec.submodule_search_locations is None


def source_of(name: str) -> bytes:
    """name: below module_utils."""
    full = "%s.%s" % (_TOP, name)
    spec = importlib.util.find_spec(full)
    loader: t.Any = spec.loader if spec else None
    text = loader.get_source(full) if loader else None
    if text is None:
        raise BeamError(
            "bundle_failed",
            "the bundle can't be made",
            "the source of %s can't be read" % name,
            "Install the collection again",
        )
    return str(text).encode()


def aws_files() -> tuple[dict[str, bytes], tuple[int, int]]:
    """botocore and what it needs, with the data of a few services of its hundreds; and the least Python that runs it."""
    files: dict[str, bytes] = {}
    python = LEAST_PYTHON
    for library in LIBRARIES:
        spec = importlib.util.find_spec(library)
        if spec is None or not spec.origin:
            raise BeamError(
                "boto3_missing",
                "the bundle can't be made",
                "%s is not installed here" % library,
                "Install boto3 1.36 or newer where this task runs, or say aws: false (the role: bootstrap_with_aws: false) where servers have it",
            )
        if spec.submodule_search_locations:
            folder = list(spec.submodule_search_locations)[0]
            files.update(_tree(folder, "aws/" + library))
        else:
            with open(spec.origin, "rb") as stream:
                files["aws/%s.py" % library] = stream.read()
        try:
            distribution = importlib.metadata.distribution("python-dateutil" if library == "dateutil" else library)
        except importlib.metadata.PackageNotFoundError:
            continue
        about = distribution.metadata
        files.update(_licences(distribution, library))
        if library == "botocore" and tuple(int(part) for part in about["Version"].split(".")[:2]) < _MINIMUM:
            raise BeamError(
                "boto3_too_old",
                "the bundle can't be made",
                "botocore is %s here, and conditional writes need 1.36" % about["Version"],
                "Install boto3 1.36 or newer where this task runs",
            )
        least = re.search(r">=\s*3\.(\d+)", about["Requires-Python"] or "")
        python = max(python, (3, int(least.group(1)))) if least else python
    return files, python


def _licences(distribution: importlib.metadata.Distribution, library: str) -> t.Iterator[tuple[str, bytes]]:
    """Their texts go where the code goes. A distribution's packages keep theirs elsewhere, and may not list their files."""
    for path in distribution.files or ():
        if re.match(r"(LICEN[CS]E|NOTICE|COPYING)", path.name, re.IGNORECASE) and ".dist-info" in path.parts[0]:
            with contextlib.suppress(OSError):
                yield "licences/%s/%s" % (library, path.name), path.read_binary()


def _tree(folder: str, under: str) -> t.Iterator[tuple[str, bytes]]:
    for place, directories, names in os.walk(folder):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            inside = os.path.relpath(path, folder).replace(os.sep, "/")
            parts = inside.split("/")
            if _NEVER.search("/" + inside) or (parts[0] == "data" and len(parts) > 2 and parts[1] not in SERVICES):
                continue
            if not name.endswith((".py", ".json", ".gz", ".pem")):
                continue
            with open(path, "rb") as stream:
                yield "%s/%s" % (under, inside), stream.read()


@dataclass(frozen=True)
class Installed:
    changed: bool
    changes: tuple[str, ...]


def install_bundle(data: bytes, root: str, check_mode: bool) -> Installed:
    """The same on a host that is made into an image, or that is there already: unpacked, and the host set up."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            if bundle.getinfo("kit.json").file_size > MAX_BYTES:
                raise zipfile.BadZipFile("kit.json is too large")
            kit = parse_kit(bundle.read("kit.json"), "kit.json of the bundle")
    except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError) as exc:
        raise BeamError("bundle_invalid", "the bundle can't be used", str(exc), "Make it again") from None
    folder = "%s.%s" % (kit.name, sha256[:16])
    link = os.path.join(root, kit.name)
    there = os.path.islink(link) and os.readlink(link) == folder and os.path.isdir(os.path.join(root, folder))
    refuse_foreign_root(root)
    plan = plan_setup(kit)
    if not check_mode:
        try:
            if unpack(data, kit.name, sha256, root):
                _compile(os.path.join(root, folder))
        except OSError as exc:
            raise BeamError(
                "setup_failed",
                "%s can't be made" % link,
                exc.strerror or str(exc),
                "Run this as root, on a disk with room",
            ) from None
        apply_plan(plan)
    return Installed(not there or plan.changed, (*([] if there else [link]), *plan.changes))


def _compile(place: str) -> None:
    """A bake has time for this, a boot does not: half of what the bootstrap costs is compiling. Another Python than this one takes the sources."""
    compileall.compile_dir(os.path.join(place, "aws"), quiet=2)
    path = os.path.join(place, PYZ)
    with zipfile.ZipFile(path) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    for name in [name for name in files if name.endswith(".py") and name != "__main__.py"]:
        code = marshal.dumps(compile(files[name], name, "exec", dont_inherit=True))
        # The form of PEP 552 that is not compared with its source: both are in one file.
        files[name + "c"] = (
            importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(files[name]) + code
        )
    with open(path + ".new", "wb") as stream:
        stream.write(_zip(files, zipfile.ZIP_STORED))
    os.replace(path + ".new", path)
