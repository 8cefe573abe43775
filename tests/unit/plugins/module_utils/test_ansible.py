# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module says at the edge to Ansible, whole: with the options that Ansible returns by itself (as `invocation`; 2.21 leaves them out)."""

from __future__ import annotations

import json
import typing as t

import pytest

pytest.importorskip("ansible")
from ansible_collections.alchemist.beam.plugins.modules import beam_info, release_channel_info
from ansible_collections.alchemist.beam.plugins.plugin_utils._here import call


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        (release_channel_info, {"name": "shop", "channel": "production", "store": "s3://kkey:pass-word@bucket/x"}, "store_location"),
        (release_channel_info, {"name": "shop", "channel": "production", "store": "file:///x?token=pass-word"}, "store_location"),
        (beam_info, {"name": "shop", "base": "/nowhere", "health": {"http": {"url": "http://u:pass-word@127.0.0.1/h"}}}, "health_url_invalid"),
        (beam_info, {"name": "shop", "base": "/nowhere", "health": {"http": {"url": "ftp://127.0.0.1/h?token=pass-word"}}}, "health_url_invalid"),
    ],
)
def test_credentials_of_an_url_are_nowhere_in_a_result(module: t.Any, arguments: dict[str, t.Any], code: str) -> None:
    result = call(module, arguments)
    assert result["failed"] and result["error"]["code"] == code
    assert "pass-word" not in json.dumps(result) and "kkey" not in json.dumps(result)
