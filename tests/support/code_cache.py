# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compiles for the tests once what Ansible compiles again in every process: BEAM_CODE_CACHE=DIRECTORY.

Python keeps what it has compiled. Ansible's loader of collections does not, nor does zipimport, from which each module runs; and to pack a module,
ansible-playbook parses every file that it imports. In tests that run many short playbooks this is a third of the processor's time. What comes out is the
same, since everything is kept by the hash of its source; tests/unit/test_repo_code_cache.py compares. setup.sh puts this file into .cache/venv, where it
is loaded at the start of a process if the variable is set. Without the variable, nothing of it is there.
"""

from __future__ import annotations

import _imp
import contextlib
import gc
import hashlib
import importlib.machinery
import marshal
import os
import sys
import types
import typing as t
import zipimport

DIRECTORY = os.environ.get("BEAM_CODE_CACHE", "")
# Code of another Python, or with other checks left out, is other code.
_PYTHON = "%s-%d" % (sys.implementation.cache_tag, sys.flags.optimize)


def kept(source: bytes, of: str, make: t.Callable[[], t.Any]) -> t.Any:
    """What make() gives for the source. of: what else decides what that is."""
    key = hashlib.sha256(b"%s\0%s\0" % (_PYTHON.encode(), of.encode()) + source).hexdigest()
    path = os.path.join(DIRECTORY, key)
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
        with open(path, "rb") as file:
            return marshal.load(file)
    made = make()
    temporary = "%s.%d" % (path, os.getpid())
    with contextlib.suppress(OSError):
        os.makedirs(DIRECTORY, exist_ok=True)
        with open(temporary, "wb") as file:
            marshal.dump(made, file)
        os.replace(temporary, path)
    return made


def _compile(source: t.Any, filename: str, mode: str, flags: int = 0, dont_inherit: bool = False) -> t.Any:
    def now() -> t.Any:
        return compile(source, filename, mode, flags, dont_inherit)

    if mode != "exec" or flags or not dont_inherit or not isinstance(source, (str, bytes)):
        return now()
    code = kept(source.encode() if isinstance(source, str) else bytes(source), "code", now)
    _imp._fix_co_filename(code, filename)  # type: ignore[attr-defined]
    return code


def _of_collections(module: t.Any) -> None:
    """ansible.utils.collection_loader._collection_finder"""
    module.compile = _compile


def _of_packing(module: t.Any) -> None:
    """ansible.executor.module_common: what a file imports is kept, not its syntax tree, which is slower to load than to parse."""
    parse, search = module._compile_module_ast, module.ModuleDepFinder.__init__
    if "tree" not in search.__code__.co_varnames:
        return  # ansible-core 2.21 parses elsewhere, and has units only

    class Later:
        """A syntax tree that is made when somebody looks into it."""

        def __init__(self, name: str, source: t.Any) -> None:
            self.name, self.source = name, source

        def __getattr__(self, name: str) -> t.Any:
            return getattr(parse(self.name, self.source), name)

    def find(self: t.Any, name: str, tree: Later, is_pkg_init: bool = False) -> None:
        def now() -> t.Any:
            search(self, name, parse(tree.name, tree.source), is_pkg_init)
            return [sorted(self.submodules), sorted(self.optional_imports)]

        source = tree.source.encode() if isinstance(tree.source, str) else bytes(tree.source)
        submodules, optional = kept(source, "imports %s %s %r" % (module.__version__, name, bool(is_pkg_init)), now)
        self.submodules, self.optional_imports = set(submodules), set(optional)

    module._compile_module_ast = Later
    module.ModuleDepFinder.__init__ = find


_WHERE = {
    "ansible.utils.collection_loader._collection_finder": _of_collections,
    "ansible.executor.module_common": _of_packing,
}


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        super().exec_module(module)
        _WHERE[module.__name__](module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: t.Any = None, target: t.Any = None) -> t.Any:
        if name not in _WHERE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


def _from_zip(pathname: str, source: bytes) -> t.Any:
    return _compile(zipimport._normalize_line_endings(source), pathname, "exec", dont_inherit=True)  # type: ignore[attr-defined]


if DIRECTORY:
    # What Ansible loads stays: to look for garbage in it again and again is a twelfth of a run.
    gc.set_threshold(50_000)
    sys.meta_path.insert(0, t.cast(t.Any, _Finder))
    zipimport._compile_source = _from_zip  # type: ignore[attr-defined]
