# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server is looked at: it is asked once, and once more only where the health was that of another version or node."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.looks import STEPS, Look

Doc = t.Mapping[str, t.Any]
STAGED = {"current": "1", "changed": True}


def of_version(pointer: str, version: str) -> Doc:
    return {"url": pointer + version}


def of_nothing(pointer: str, version: str) -> Doc:
    return {}


def of_colors_alone(pointer: str, version: str) -> Doc:
    return {"port": {"blue": 1, "green": 2}[pointer]}


class Server:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: Doc) -> None:
        self.answers, self.asked = list(answers), list[Doc]()

    def __call__(self, options: Doc) -> Doc:
        self.asked.append(options)
        return self.answers.pop(0)

    def healths(self) -> list[dict[str, t.Any]]:
        return [{one["pointer"]: one["health"] for one in asked["healths"]} for asked in self.asked]


def seen(version: str = "1", **more: t.Any) -> dict[str, t.Any]:
    return {"running": True, "version": version, "current": {"version": version}, **more}


@pytest.mark.parametrize(
    ("step", "colors", "answer", "likely", "health"),
    [
        ("stage", (), {"staged": STAGED, "seen": seen()}, "1", of_version),
        ("stage", (), {"staged": STAGED, "seen": seen()}, "0", of_nothing),
        ("stage", (), {"staged": {"current": None}, "seen": seen("")}, "", of_version),
        ("stage", ("blue", "green"), {"staged": STAGED, "seen": seen("2", live="green")}, "", of_colors_alone),
        ("stage", (), {"staged": STAGED, "seen": {"running": False}}, "0", of_version),
        ("status", (), {"seen": seen("1")}, "2", of_version),
        ("stage", (), {"failed": True, "msg": "no room"}, "0", of_version),
        ("foresee", (), {"unreachable": True}, "0", of_version),
    ],
)
def test_one_question_is_enough(step: str, colors: t.Sequence[str], answer: Doc, likely: str, health: t.Any) -> None:
    server = Server(answer)
    assert Look(STEPS[step], {"name": "shop"}, colors, likely).ask(server, health) == answer
    assert len(server.asked) == 1 and server.asked[0]["name"] == "shop"


@pytest.mark.parametrize(
    ("step", "colors", "first", "expected"),
    [
        # As it is now: what is current, which is not what would be; of two nodes and for joining, what runs.
        ("stage", (), {"staged": STAGED, "seen": seen("7")}, {"current": {"url": "current1"}}),
        ("foresee", (), {"seen": seen("7")}, {"current": {"url": "current7"}}),
        ("join", (), {"seen": {**seen("7"), "current": {"version": "8"}}}, {"current": {"url": "current7"}}),
        ("stage", ("blue",), {"staged": STAGED, "seen": seen("7", live="blue")}, {"blue": {"url": "blue7"}}),
    ],
)
def test_it_is_asked_again_where_another_version_runs(step: str, colors: t.Any, first: Doc, expected: Doc) -> None:
    options = {"digest": "d", "presigned": {"k": "u"}, "ready": {"path": "/r"}, "name": "shop", "colors": colors}
    server = Server(first, {"changed": False, "seen": seen("9")})
    found = Look(STEPS[step], options, colors, "0").ask(server, of_version)
    assert found == {**first, "seen": seen("9")}
    # What is done once is not done again.
    assert server.asked[1].keys() == {"name", "colors", "healths"} and server.healths()[1] == expected


def test_a_second_question_that_fails_is_the_failure_and_forgets_nothing_that_was_staged() -> None:
    server = Server({"staged": STAGED, "seen": seen("1")}, {"unreachable": True, "msg": "gone"})
    found = Look(STEPS["stage"], {}, (), "0").ask(server, of_version)
    assert found == {"unreachable": True, "msg": "gone", "staged": STAGED}


def test_a_health_that_knows_nothing_of_a_node_fails_only_where_that_one_serves() -> None:
    server = Server({"seen": seen("1", live=None)})
    with pytest.raises(KeyError):
        Look(STEPS["stage"], {}, ("blue", "green"), "").ask(server, of_colors_alone)
    assert server.healths() == [{"blue": {"port": 1}, "green": {"port": 2}}]


def test_who_is_not_asked_how_it_is_gets_no_question_of_it() -> None:
    server = Server({"seen": seen()})
    Look(STEPS["foresee"], {"name": "shop"}).ask(server)
    assert server.asked == [{"name": "shop"}]
