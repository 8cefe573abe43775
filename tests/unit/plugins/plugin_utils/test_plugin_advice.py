# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.alchemist.beam.plugins.plugin_utils._advice import UNWATCHED, advice

PLAN: dict[str, t.Any] = {"hosts": ["a", "b", "c"], "watched": True, "idle": False}
DRIFT = {"service_drifted": {"results": [{"differs": ["/etc/shop/env: new: PHX_SERVER"]}, {"differs": []}]}}


def test_a_gate_that_no_user_would_notice_is_told() -> None:
    assert advice({**PLAN, "watched": False}, {}) == [UNWATCHED]
    assert advice(PLAN, {}) == [] == advice({**PLAN, "watched": False, "idle": True}, {})


def test_settings_that_are_not_there_are_told_for_all_servers_at_once() -> None:
    (said,) = advice(
        {**PLAN, "idle": True}, {"a": DRIFT, "b": DRIFT, "c": {"service_drifted": {"results": [{"differs": []}]}}}
    )
    assert (
        said.startswith("Settings of the inventory that are not on a, b: /etc/shop/env: new: PHX_SERVER. ")
        and "setup --limit a,b" in said
    )


def test_what_could_not_be_compared_is_told() -> None:
    away = {"service_drifted": {"failed": True, "results": [{"failed": True, "msg": "no vault secrets"}]}}
    assert advice(PLAN, {"a": away}) == [
        "The settings on a could not be compared with the inventory: no vault secrets."
    ]
    assert advice(PLAN, {"a": {"service_drifted": {"failed": True, "msg": "'x' is undefined"}}})[0].endswith(
        ": 'x' is undefined."
    )


def test_settings_that_this_rollout_brings_are_not_told_as_missing() -> None:
    both = {"differs": ["/etc/shop/env: new: A", "/etc/x.service: User"], "settings": ["/etc/shop/env: new: A"]}
    (said,) = advice({**PLAN, "settings": True}, {"a": {"service_drifted": {"results": [both]}}})
    assert "not on a: /etc/x.service: User. " in said and "new: A" not in said
