# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two calls on one server as one."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._modules.in_turn import in_turn

POINTED = {"changed": True, "version": "2", "diff": {"before": "1", "after": "2"}, "warnings": ["old"]}
RAN = {"changed": False, "after": {"version": "2"}, "diff": {"before": "", "after": ""}}


def fails(code: str) -> t.Callable[[], t.Mapping[str, t.Any]]:
    def call() -> t.Mapping[str, t.Any]:
        raise BeamError(code, "It did not go", "the disk is full", "Make room", log=["x"])

    return call


def never() -> t.Mapping[str, t.Any]:
    raise AssertionError("called")


def test_both_are_told() -> None:
    found = in_turn(lambda: POINTED, lambda: RAN)
    assert found == {
        **RAN,
        "changed": True,
        "diff": [POINTED["diff"], RAN["diff"]],
        "warnings": ["old"],
        "pointed": POINTED,
    }


def test_one_alone_answers_as_its_module_does() -> None:
    assert in_turn(lambda: POINTED, None) == POINTED
    assert in_turn(None, lambda: RAN) == RAN


def test_nothing_is_restarted_where_current_was_not_pointed() -> None:
    with pytest.raises(BeamError) as raised:
        in_turn(fails("disk_full"), never)
    said = raised.value.as_result()
    assert raised.value.message == "It did not go: the disk is full. Make room."
    assert (
        said["error"]["code"] == "disk_full"
        and said["pointed"]["failed"]
        and said["pointed"]["error"] == said["error"]
        and said["log"] == ["x"]
    )


def test_a_restart_that_fails_tells_what_was_pointed() -> None:
    with pytest.raises(BeamError) as raised:
        in_turn(lambda: POINTED, fails("unhealthy"))
    assert raised.value.code == "unhealthy" and raised.value.as_result()["pointed"] == POINTED
