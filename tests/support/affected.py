# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files changed since a commit, and which unit tests that touches: the nearest first, by who imports whom."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import typing as t
from pathlib import Path

PACKAGE = "ansible_collections.alchemist.beam."
UNITS = "tests/unit"
# They hold what is true of the whole repository, and take seconds.
ALWAYS = "tests/unit/test_repo_*.py"


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def base_of(root: Path, wanted: str = "") -> str:
    """The commit that is wanted; else where this branch left the one that it goes to; HEAD where there is no such branch."""
    if wanted:
        found = git(root, "rev-parse", "--verify", "--quiet", wanted + "^{commit}").strip()
        if not found:
            raise SystemExit("BASE=%s: there is no such commit here" % wanted)
        return found
    for branch in ("upstream/main", "origin/main", "main"):
        found = git(root, "merge-base", "HEAD", branch).strip()
        if found:
            return found
    return "HEAD"


def changed(root: Path, base: str) -> list[str]:
    """In commits since, in the index, in the work tree, and files that git does not know yet; removed ones, too."""
    names = git(root, "diff", "--name-only", "--no-renames", "-z", base).split("\0")
    return sorted({name for name in (*names, *git(root, "ls-files", "-oz", "--exclude-standard").split("\0")) if name})


@functools.cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _module(path: str) -> str:
    return PACKAGE + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@functools.cache
def _imports(root: Path, path: str) -> set[str]:
    """Names of modules, among them some that are none: of `from a import b` both a and a.b."""
    try:
        tree = ast.parse(_text(root / path))
    except (SyntaxError, ValueError):
        return set()
    package = _module(path).split(".")
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            where = ".".join(package[: len(package) - node.level]) + "." if node.level else ""
            name = (where + (node.module or "")).rstrip(".")
            found.add(name)
            found.update("%s.%s" % (name, alias.name) for alias in node.names)
    return found


def _importers(root: Path, paths: t.Sequence[str]) -> dict[str, set[str]]:
    """Of each file those that import it, and of a conftest.py all tests below it."""
    known = {_module(path): path for path in paths}
    beside = {
        path: {Path(name).stem: name for name in paths if Path(name).parent == Path(path).parent}
        for path in paths
        if path.startswith("tests/")
    }
    found: dict[str, set[str]] = {path: set() for path in paths}
    for path in paths:
        for name in _imports(root, path):
            target = known.get(name) or beside.get(path, {}).get(name)
            if target and target != path:
                found[target].add(path)
        if Path(path).name == "conftest.py":
            below = str(Path(path).parent) + "/"
            found[path].update(name for name in paths if name.startswith(below) and Path(name).name.startswith("test_"))
        elif path.startswith("tests/support/"):
            # They are loaded by their names.
            word = re.compile(r"\b%s\b" % re.escape(Path(path).stem))
            found[path].update(name for name in paths if name.startswith(UNITS) and word.search(_text(root / name)))
    return found


def _namesakes(path: str, tests: t.Sequence[str]) -> set[str]:
    """By convention _host/apply.py is tried by module_utils/_host/test_host_apply*.py, without importing it where it is run as a program."""
    place, stem = Path(path).parent.name.strip("_"), Path(path).stem.strip("_")
    return {
        test
        for test in tests
        if Path(test).name.startswith(("test_%s_%s" % (place, stem), "test_plugin_%s" % stem, "test_%s." % stem))
    }


def _is_run(root: Path, test: str) -> bool:
    """Not where its directory's conftest.py leaves it out: a path that is given by name is collected all the same."""
    lines = _text(root / Path(test).parent / "conftest.py").splitlines()
    return not any(line.startswith("collect_ignore") and '"%s"' % Path(test).name in line for line in lines)


def tests_of(root: Path, files: t.Sequence[str]) -> list[str]:
    """Paths of test files: those that changed or import what changed, then those that import these, and so on."""
    paths = sorted(
        str(path.relative_to(root))
        for top in ("plugins", UNITS, "tests/support")
        for path in (root / top).rglob("*.py")
    )
    tests = [
        path for path in paths if path.startswith(UNITS) and Path(path).name.startswith("test_") and _is_run(root, path)
    ]
    importers = _importers(
        root,
        sorted({*paths, *(name for name in files if name.endswith(".py") and name.startswith(("plugins/", UNITS)))}),
    )
    order: list[str] = []
    seen: set[str] = set()
    level = {name for name in files if name in importers}
    near = {test for name in level if name.startswith("plugins/") for test in _namesakes(name, tests)}
    while level | near:
        order += [test for test in sorted(level | near) if test in tests and test not in order]
        seen |= level
        level, near = {name for path in level for name in importers[path]} - seen, set()
    always = sorted(str(path.relative_to(root)) for path in root.glob(ALWAYS))
    return [*(test for test in order if test not in always), *always] if files else []
