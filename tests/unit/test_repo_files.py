# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the repository: what they must not say, and what the collection's archive holds."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

# Hosts of package registries, by the beginning of the sha256 of their names: which mirror a machine uses is its own affair.
REGISTRIES = {
    "a4aa2ac280bb8d1a",
    "c899567ee9068517",
    "e680c440a2e92079",
    "1ba4e37997a2e986",
    "a0f007d863a0ed19",
    "e514b0d3b0562f54",
    "0dc11026ac75c015",
    "384fe328e9cc3d5c",
    "00a7dc5a0cc38858",
    "3d01f3609be82d98",
}
# Directories of somebody's machine; examples and fixtures have invented users, and test hosts have a root with files. Put together here, so that
# this file does not name them either.
OTHERS = ["w%srk" % "o", r"r%st(?=/\.)" % "oo", "h%sme" % "o", "U%srs" % "se"]
INVENTED = r"(?!(?:a|app|deploy|user)\b)"
MACHINE = re.compile("(?<![A-Za-z0-9_.$}>/-])/(%s)/%s[A-Za-z0-9._]" % ("|".join(OTHERS), INVENTED))


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    found = {}
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found[name] = data.decode("utf-8")
    return found


def test_no_file_names_a_directory_of_somebody_s_machine(texts: dict[str, str]) -> None:
    lines = [
        "%s:%d: %s" % (name, number, line)
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert not lines, "\n".join(lines)


def test_python_is_formatted_without_exceptions(texts: dict[str, str]) -> None:
    marks = ["# fmt: " + word for word in ("skip", "off")]
    assert [name for name, text in texts.items() if name.endswith(".py") and any(mark in text for mark in marks)] == []


def test_no_file_names_the_host_of_a_package_registry(texts: dict[str, str]) -> None:
    hosts = {
        (name, host) for name, text in texts.items() for host in re.findall(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,4}\b", text)
    }
    found = [pair for pair in sorted(hosts) if hashlib.sha256(pair[1].encode()).hexdigest()[:16] in REGISTRIES]
    assert not found


@pytest.mark.parametrize("line", ["cd /w%srk/main" % "o", "path: /r%st/.ansible" % "oo", "/h%sme/someone/x" % "o"])
def test_the_search_for_machine_directories_finds(line: str) -> None:
    assert MACHINE.search(line)


@pytest.mark.parametrize(
    "line", ["/usr/lib/x", "$DIR/w%srk/x" % "o", "upper/r%st/.ssh" % "oo", "/h%sme/deploy/.ssh" % "o"]
)
def test_the_search_for_machine_directories_leaves_others(line: str) -> None:
    assert not MACHINE.search(line)


def test_every_development_package_is_pinned() -> None:
    for path in sorted((ROOT / "tests" / "support").glob("requirements-*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", " ")):
                assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9]", line), "%s: %s" % (path.name, line)


def test_the_next_release_says_what_is_new() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    fragments = list((ROOT / "changelogs" / "fragments").glob("*.yml"))
    changelog = ROOT / "changelogs" / "changelog.yaml"
    released = yaml.safe_load(changelog.read_text(encoding="utf-8"))["releases"] if changelog.exists() else {}
    assert fragments or version in released


def test_the_archive_of_the_collection_holds_files_of_the_repository_only(tmp_path: Path) -> None:
    tool = Path(sys.executable).parent / "ansible-galaxy"
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp")}
    argv = [str(tool), "collection", "build", "--output-path", str(tmp_path), str(ROOT)]
    subprocess.run(
        argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    archive = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        packed = {member.name for member in tar.getmembers() if not member.isdir()}
    junk = packed - set(tracked()) - {"MANIFEST.json", "FILES.json"}
    assert not junk, sorted(junk)[:20]
    for name in (
        "README.md",
        "CHANGELOG.md",
        "COPYING",
        "meta/runtime.yml",
        "requirements.txt",
        "plugins/module_utils/_ansible.py",
    ):
        assert name in packed
    assert archive.stat().st_size < 2_000_000
