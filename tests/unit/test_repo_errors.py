# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of errors is what the source says; and pages quote nothing that nobody says."""

from __future__ import annotations

import importlib
import re
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "docs" / "errors.md"
PAGES = [
    page
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "roles").glob("*/README.md")),
    )
    if page != CATALOGUE
]


@pytest.fixture(scope="module")
def codes() -> t.Iterator[t.Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tests" / "support"))
        yield importlib.import_module("error_codes")


def test_the_page_is_what_the_command_prints(codes: t.Any) -> None:
    assert CATALOGUE.read_text(encoding="utf-8") == codes.page(), "make errors"


def test_no_code_is_raised_that_the_catalogue_does_not_know(codes: t.Any) -> None:
    found, unknown = codes.catalogue()
    assert not unknown
    # What tests expect is another way to find codes.
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)
    )
    expected = set(re.findall(r"""(?:\.code|\["code"\]) == "(\w+)\"""", text))
    assert len(expected) > 100 and expected - set(found) == {"a_code"}  # of an error that a test makes up


def test_each_code_says_what_and_by_whom(codes: t.Any) -> None:
    for code, entry in codes.catalogue()[0].items():
        assert (entry.messages or codes.meaning(code)) and codes.said_by(entry), code


@pytest.mark.parametrize(
    ("code", "text", "hint", "by", "facts"),
    [
        # A message of constants; one that is put together by a function; a row of a table; a record that an error is made of.
        ("unhealthy", "… … does not become healthy: …", "Read the lines", "`beam_restart`", ["blames the release"]),
        ("balancer_option", "Cannot use members: there is none", "Correct the option", "`balancer_member`", []),
        (
            "store_busy",
            "…: it is overloaded or broken at the moment",
            "Run it again later",
            "every module of the store",
            ["passes by itself"],
        ),
        ("no_hex", "…: Hex is not installed", "", "`mix_release`", []),
        ("invalid_version", "… is not a version: it must start with", "Give another version", "`release_channel`", []),
        (
            "archive_symlink",
            "the layer … is refused: it holds something that is no regular file",
            "Publish the same tree again",
            "the bootstrap",
            [],
        ),
        (
            "config_missing",
            "… can't be read: …",
            "Unpack the bundle again",
            "the bootstrap",
            ["the bootstrap ends with 2"],
        ),
        (
            "batches_invalid",
            "the fleet can't be cut into batches: beam_batches is empty",
            "Write it as",
            "`rollout_fleet`",
            [],
        ),
        ("canary_lost", "the canary … …", "Look at its log", "`rollout_fleet`", []),
        ("no_program", "the build of … failed in the step …", "", "`mix_release`", []),
    ],
)
def test_what_an_entry_has(codes: t.Any, code: str, text: str, hint: str, by: str, facts: list[str]) -> None:
    entry = codes.catalogue()[0][code]
    assert any(text in message.text and hint in message.hint for message in entry.messages), entry.messages
    assert by in codes.said_by(entry) and codes.facts(code, entry) == facts


def test_what_no_message_tells_stands_beside_the_code(codes: t.Any) -> None:
    section = CATALOGUE.read_text(encoding="utf-8").partition("### `misconfigured`\n")[2].partition("\n### ")[0]
    assert (
        "- means: A node did not start, or is not well, because of a setting of its host." in section
        and "- by: `beam_restart`" in section
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_quotes_what_is_said(codes: t.Any, path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert [quote for quote in codes.quoted(page) if not codes.is_said(quote)] == []
    # A code stands in brackets behind its message.
    found = codes.catalogue()[0]
    assert [
        code for code in re.findall(r"`[^`\n]+ [^`\n]+ [^`\n]+` \(`([a-z]+_[a-z_]+)`\)", page) if code not in found
    ] == []


@pytest.mark.parametrize(
    ("quote", "good"),
    [
        ("h9 can't be taken out of the balancer: … does not know them", True),
        ("batch 2 of 2 can't move …", True),
        ("There is nothing to roll out", True),
        ("h9 can't be taken from the balancer", False),
        ("There is nothing to deploy", False),
        ("the lock of … was not had", False),
    ],
)
def test_what_counts_as_said(codes: t.Any, quote: str, good: bool) -> None:
    assert codes.is_said(quote) is good
