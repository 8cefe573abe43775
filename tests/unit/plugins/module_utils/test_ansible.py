# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module says at the edge to Ansible, whole: with the options that Ansible returns by itself (as `invocation`; 2.21 leaves them out)."""

from __future__ import annotations

import json
import typing as t

import pytest

pytest.importorskip("ansible")
from ansible_collections.alchemist.beam.plugins.modules import (
    balancer_member,
    beam_info,
    release_channel_info,
    release_install,
    rollout_host,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import call

READY = {"kind": "file", "path": "/nowhere"}


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        (
            release_channel_info,
            {"name": "shop", "channel": "production", "store": "s3://kkey:pass-word@bucket/x"},
            "store_location",
        ),
        (
            release_channel_info,
            {"name": "shop", "channel": "production", "store": "file:///x?token=pass-word"},
            "store_location",
        ),
        (
            beam_info,
            {"name": "shop", "base": "/nowhere", "health": {"http": {"url": "http://u:pass-word@127.0.0.1/h"}}},
            "health_url_invalid",
        ),
        # A password that is not quoted ends the host for whoever takes the URL apart, and is half a port.
        (
            release_channel_info,
            {"name": "shop", "channel": "production", "store": "s3://kkey:pass-word/1@bucket/x"},
            "store_location",
        ),
        (
            beam_info,
            {"name": "shop", "base": "/nowhere", "health": {"http": {"url": "http://u:pass-word/1@127.0.0.1/h"}}},
            "health_url_invalid",
        ),
        (
            release_install,
            {"name": "shop", "base": "/nowhere", "version": "1", "store": "https://u:pass-word/1@127.0.0.1/x"},
            "store_url_invalid",
        ),
        (
            balancer_member,
            {"balancers": [{**READY, "url": "http://u:pass-word/1@127.0.0.1/h"}], "members": ["h1"]},
            "balancer_option",
        ),
        (
            beam_info,
            {"name": "shop", "base": "/nowhere", "health": {"http": {"url": "ftp://127.0.0.1/h?token=pass-word"}}},
            "health_url_invalid",
        ),
    ],
)
def test_credentials_of_an_url_are_nowhere_in_a_result(module: t.Any, arguments: dict[str, t.Any], code: str) -> None:
    result = call(module, arguments)
    assert result["failed"] and result["error"]["code"] == code
    assert "pass-word" not in json.dumps(result) and "kkey" not in json.dumps(result)


SHOP = {"name": "shop", "base": "/nowhere"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"point": {**SHOP, "state": "gone"}},
            "point: value of state must be one of: staged, active, inactive, absent, got: gone",
        ),
        (
            {"point": {**SHOP, "state": "active"}},
            "point: state is active but any of the following are missing: channel, version, digest",
        ),
        (
            {"point": {**SHOP, "state": "active", "version": "1", "fence": 7}},
            "point: parameters are required together: fence, fence_channel",
        ),
        ({"restart": {**SHOP, "boot_timeout": "soon"}}, "restart: argument 'boot_timeout' is of type"),
        ({"restart": {**SHOP, "health": {"http": {"adress": "x"}}}}, "health.http.adress"),
        ({}, "one of the following is required: point, restart"),
    ],
)
def test_options_of_other_modules_are_checked_as_there(arguments: dict[str, t.Any], said: str) -> None:
    result = call(rollout_host, arguments)
    assert result["failed"] and said in result["msg"]


def test_secrets_among_them_are_nowhere_in_a_result() -> None:
    store = {"store": "s3://bucket/x", "secret_key": "canary-key", "presigned": {"GET x": "https://h/x?sig=canary-url"}}
    health = {"http": {"url": "http://127.0.0.1/h", "headers": {"authorization": "canary-header"}}}
    result = call(
        rollout_host,
        {
            "point": {**SHOP, "state": "staged", "version": "1", **store},
            "restart": {**SHOP, "health": health, "boot_timeout": "soon"},
        },
    )
    assert result["failed"] and "canary" not in json.dumps(result)
