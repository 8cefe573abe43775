# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.envfile import (
    COOKIE_FILE,
    load,
    load_of_unit,
    parse,
    parse_of_unit,
    read_cookie,
)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("", {}),
        ("# c\n; c\n\nA=1\n  B = two words \n", {"A": "1", "B": "two words"}),
        ('A=\'it is $x \\ "q"\'\nB="a \\"q\\" \\\\ \\$x"', {"A": 'it is $x \\ "q"', "B": 'a "q" \\ $x'}),
        ("A=\nB=x=y\nA=again", {"A": "again", "B": "x=y"}),
        ("A='", {"A": "'"}),
        ("A='-----BEGIN-----\nMII\n'\nB=\"two\nlines\"\n", {"A": "-----BEGIN-----\nMII\n", "B": "two\nlines"}),
        ("A=one \\\n  two\nB=1", {"A": "one   two", "B": "1"}),
        ("A=\u2028x\x85y\fz\nB=1", {"A": "\u2028x\x85y\fz", "B": "1"}),
        ("A=\\d+\r\nB='x'\r\n", {"A": "\\d+", "B": "x"}),
    ],
)
def test_parse(content: str, values: dict[str, str]) -> None:
    assert parse(content, "env") == values


@pytest.mark.parametrize(
    "content", ["SECRETWORD", "=SECRETWORD", "1A=SECRETWORD", "A-B=SECRETWORD", "export A=SECRETWORD"]
)
def test_a_line_that_is_no_assignment_is_named_by_number_only(content: str) -> None:
    with pytest.raises(BeamError, match="line 2 is not KEY=value") as caught:
        parse("A=1\n" + content, "/etc/x/env")
    assert "SECRETWORD" not in caught.value.message and "/etc/x/env" in caught.value.message


def test_quotes_that_are_not_closed_are_named_by_number_only() -> None:
    with pytest.raises(BeamError, match="quotes that begin in line 2 are not closed") as caught:
        parse("A=1\nB='SECRETWORD\nmore\n", "/etc/x/env")
    assert "SECRETWORD" not in caught.value.message


# tests/fleet/test_service.py has systemd read the like.
OF_UNIT = [
    ("A=1\nnonsense\nexport B=2\nC=3\n", {"A": "1", "C": "3"}),
    ("A=a\\b \\\n  c\n", {"A": "ab   c"}),
    ("A='x'\"y\"z w  \n", {"A": "xyz w"}),
    ('A="\\n \\" \\$x\\\ny"\n', {"A": '\\n " $xy'}),
    ("A='bell\x07'\nB=tab\there\n", {"A": "bell\x07", "B": "tab\there"}),
    ("A=\u2028\x85\n", {"A": "\u2028\x85"}),
    ("  # c\nA = 'b'\n;A=2\n=x\n1A=x\n", {"A": "b"}),
    ("A='no end\nB=1\n", {"A": "no end\nB=1\n"}),
]


@pytest.mark.parametrize(("content", "values"), OF_UNIT)
def test_what_systemd_takes_of_a_file(content: str, values: dict[str, str]) -> None:
    assert parse_of_unit(content) == values


def test_files_of_a_unit(tmp_path: Path) -> None:
    """Of whatever mode, as a pattern, with lines that systemd passes over: no reason not to start."""
    for name, text in (("a.env", "A=1\nB=1\n"), ("b.env", "export X=1\nB='2\n3'\n"), ("c.txt", "C=1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    assert load_of_unit(str(tmp_path / "*.env")) == {"A": "1", "B": "2\n3"}
    assert load_of_unit(str(tmp_path / "c.txt")) == {"C": "1"}
    assert (
        load_of_unit(str(tmp_path / "none*"), required=False)
        == load_of_unit(str(tmp_path / "none"), required=False)
        == {}
    )
    (tmp_path / "bad").write_bytes(b"A=\xff\n")
    assert load_of_unit(str(tmp_path / "bad"), required=False) == {}
    for name, code in (
        ("none*", "env_file_missing"),
        ("none", "env_file_missing"),
        ("bad", "env_file_invalid"),
        ("", "env_file_denied"),
    ):
        with pytest.raises(BeamError) as caught:
            load_of_unit(str(tmp_path / name))
        assert caught.value.code == code


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "env"
    assert load(str(path), required=False) == {}
    with pytest.raises(BeamError, match="does not exist"):
        load(str(path))
    path.write_text("A=1\n")
    for mode in (0o644, 0o640, 0o604, 0o602, 0o660):
        path.chmod(mode)
        with pytest.raises(BeamError, match="others can read it") as caught:
            load(str(path))
        assert caught.value.code == "env_file_open"
    path.chmod(0o600)
    assert load(str(path)) == {"A": "1"}
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(BeamError, match="not UTF-8"):
        load(str(path))
    with pytest.raises(BeamError):
        load(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("A=1\n")
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(BeamError, match="belongs to user 12345"):
        load(str(path))


def test_the_cookie_of_a_home(tmp_path: Path) -> None:
    assert read_cookie(str(tmp_path)) == ""
    (tmp_path / COOKIE_FILE).write_text("monster\n")
    assert read_cookie(str(tmp_path)) == "monster"


def test_a_cookie_that_its_node_has_made_a_trap(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / COOKIE_FILE)
    assert read_cookie(str(tmp_path)) == ""
    (tmp_path / COOKIE_FILE).unlink()
    (tmp_path / COOKIE_FILE).symlink_to("/etc/passwd")
    assert read_cookie(str(tmp_path)) == ""
