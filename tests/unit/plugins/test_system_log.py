# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module writes its options to the system log of the server. What is secret in them is not there, in whatever form Ansible writes it."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible")
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.alchemist.beam.plugins.module_utils._modules.setup import OPTIONS


def test_settings_of_several_lines_and_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible masks a value within another option only where the line holds it letter by letter, which no value of several lines is."""
    said: list[str] = []
    monkeypatch.setattr(
        basic.AnsibleModule, "log", lambda _self, msg, log_args=None: said.append("%s %s" % (msg, log_args))
    )
    given: dict[str, t.Any] = {
        "unit": "shop",
        "user": "shop",
        "group": "shop",
        "base": "/srv/shop",
        "settings": {"/etc/shop/env": "PORT='4000'\nSECRET='hunter2'\n"},
        "cookie_file": "/var/lib/shop/.erlang.cookie",
        "cookie": "correct-horse",
    }
    with patch_module_args(given):
        module = basic.AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    assert said and "/srv/shop" in said[0], "the module wrote nothing to the log"
    assert not [word for word in ("hunter2", "correct-horse") if word in str(said)]
    # Names and paths are no secrets, or results would hide them.
    assert not [value for value in module.no_log_values if value in ("shop", "root", "/etc/shop/env")]
