# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit and the environment that the role service writes, for many settings: the kit of a server has the same from the same templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node.envfile import parse_of_unit

ROOT = Path(__file__).resolve().parents[2]
PEM = "-----BEGIN KEY-----\nMIIE=\n-----END KEY-----\n"

SETTINGS: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "env": {
        "beam_env": {"PHX_SERVER": True, "OFF": False, "PORT": 4000, "RATIO": 0.5, "PEM": PEM, "ODD": "it's $x \\"}
    },
    "options": {
        "service_unit_options": {
            "MemoryMax": "1G",
            "LimitCORE": "infinity",
            "PrivateDevices": False,
            "ReadWritePaths": ["/data/a", "/data/b"],
        }
    },
    "jit": {"service_jit": True, "service_namespaces": True, "service_low_ports": True},
    "patient": {"service_restart_delay": 5, "service_start_limit_burst": 4},
    "limited": {"service_start_limit_interval": 300},
    "soft": {"service_hardening": False},
    "cluster": {"service_distribution": "cluster", "beam_cookie": "hunter2"},
    "fetched": {
        "service_distribution": "cluster",
        "bootstrap_cookie": "ssm:/shop/cookie",
        "service_node": "web@localhost",
        "service_dist_listen": "::",
    },
    "named": {"service_distribution": "cluster", "beam_cookie": "hunter2", "service_node": "shop@shop.internal"},
    "theirs": {"service_create_user": "false", "service_user": "deploy", "service_adopt": ["/srv/shop"]},
}
REFUSED: dict[str, tuple[dict[str, t.Any], str]] = {
    "null": ({"beam_env": {"EMPTY": None, "KEY": "hunter2"}}, "EMPTY in bootstrap_env (beam_env) has no value"),
    "reserved": (
        {"beam_env": {"RELEASE_COOKIE": "hunter2"}},
        "RELEASE_COOKIE in bootstrap_env (beam_env) is set by the role itself",
    ),
    "files": ({"beam_files": [{"path": "x", "content": "hunter2"}]}, "every server of the account may read the bundle"),
    "unit": ({"beam_unit": "Shop"}, "Check service_manager"),
    "cookie": (
        {"service_distribution": "cluster"},
        "Name in beam_cookie_source (bootstrap_cookie) where each server reads it.",
    ),
}
# Nodes beside each other that would clash: of a role that a play sets a server up with.
COLORED = {"service_colors": ["blue", "green"]}
CLASHES: dict[str, dict[str, t.Any]] = {
    "current": {"service_colors": ["current", "blue"]},
    "twice": {"service_colors": ["blue", "blue"]},
    "port": {**COLORED, "service_color_dist_ports": {"blue": 4372}},
    "stranger": {**COLORED, "service_color_env": {"red": {}}},
    "node": {**COLORED, "service_color_env": {"blue": {"RELEASE_NODE": "x"}}},
    "clustered": {**COLORED, "service_distribution": "cluster"},
}


KIT = {"name": "alchemist.beam.service", "tasks_from": "kit"}
REHEARSAL = {"name": "alchemist.beam.service", "apply": {"check_mode": True}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """All of them in one run of Ansible: name -> the kit, or why not."""
    where = tmp_path_factory.mktemp("kits")
    every = {**SETTINGS, **{name: variables for name, (variables, _said) in REFUSED.items()}, **CLASHES}
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"beam_name": "shop", **variables},
            "tasks": [
                {
                    "block": [
                        {"ansible.builtin.include_role": REHEARSAL if name in CLASHES else KIT},
                        {
                            "ansible.builtin.copy": {
                                "content": "{{ service_kit | to_json }}",
                                "dest": str(where / name),
                                "mode": "0600",
                            }
                        },
                    ],
                    "rescue": [
                        {
                            "ansible.builtin.copy": {
                                "content": "{{ (ansible_failed_result.results | default([ansible_failed_result]))[-1].msg | to_json }}",
                                "dest": str(where / name),
                                "mode": "0600",
                            }
                        }
                    ],
                }
            ],
        }
        for name, variables in every.items()
    ]
    (where / "plays.json").write_text(json.dumps(plays))
    words = [
        sys.executable,
        "-m",
        "ansible.cli.playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        "ansible_python_interpreter=" + sys.executable,
    ]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "live"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    done = subprocess.run(
        [*words, str(where / "plays.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=where,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    return {name: json.loads((where / name).read_text()) for name in every}


def files(kit: dict[str, t.Any]) -> dict[str, str]:
    return {file["path"]: file["content"] for file in kit["files"]}


def unit(kit: dict[str, t.Any]) -> dict[str, list[str]]:
    """The lines of the unit, the last of a key last."""
    found: dict[str, list[str]] = {}
    for line in files(kit)["/etc/systemd/system/shop.service"].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_environment_of_the_node(made: dict[str, t.Any]) -> None:
    text = files(made["env"])["/etc/shop/env"]
    assert parse_of_unit(text) == {
        "PHX_SERVER": "true",
        "OFF": "false",
        "PORT": "4000",
        "RATIO": "0.5",
        "PEM": PEM,
        "ODD": "it's $x \\",
    }
    assert "PHX_SERVER='true'\nPORT='4000'\nRATIO='0.5'\n" in text
    assert files(made["plain"])["/etc/shop/env"].splitlines()[-1].startswith("# ")


def test_what_the_unit_forbids_and_what_permits_it(made: dict[str, t.Any]) -> None:
    plain, jit, soft = unit(made["plain"]), unit(made["jit"]), unit(made["soft"])
    assert plain["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]
    keys = ("MemoryDenyWriteExecute", "RestrictNamespaces", "SystemCallFilter", "CapabilityBoundingSet")
    assert [plain[key] for key in keys] == [["true"], ["true"], ["@system-service"], [""]]
    assert [jit[key] for key in keys] == [["false"], ["false"], ["@system-service chroot"], ["CAP_NET_BIND_SERVICE"]]
    assert not set(keys) & set(soft)
    # Each restriction is in the table that says how to lift it.
    table = (ROOT / "roles" / "service" / "README.md").read_text()
    assert [key for key in set(plain) - set(soft) if key not in table] == []


def test_a_node_that_can_t_boot_is_started_again_for_as_long_as_it_takes(made: dict[str, t.Any]) -> None:
    """Restarts alone never reach the limit: so many of them take longer than the time in which they are counted."""
    for name, limit in (("plain", ("20", "10", "2")), ("patient", ("20", "4", "5")), ("limited", ("300", "10", "2"))):
        found = unit(made[name])
        assert (found["StartLimitIntervalSec"], found["StartLimitBurst"], found["RestartSec"]) == tuple(
            [value] for value in limit
        ), name
        assert found["OOMPolicy"] == ["continue"]


def test_a_node_leaves_no_core_file(made: dict[str, t.Any]) -> None:
    """All of its memory, on a disk that nobody looks at."""
    assert [unit(made[name])["LimitCORE"] for name in ("plain", "soft")] == [["0"], ["0"]]


def test_an_account_that_is_somebody_s_is_not_made(made: dict[str, t.Any]) -> None:
    assert [user["name"] for user in made["plain"]["users"]] == ["shop"] and made["plain"]["adopt"] == []
    assert (
        made["theirs"]["users"] == []
        and made["theirs"]["adopt"] == ["/srv/shop"]
        and unit(made["theirs"])["User"] == ["deploy"]
    )


def test_a_node_of_a_cluster_is_named_at_each_boot(made: dict[str, t.Any]) -> None:
    file = "/run/beam-bootstrap/shop.node"
    assert made["cluster"]["cluster"] == {"name": "shop", "listen": "0.0.0.0", "file": file}
    assert made["fetched"]["cluster"] == {"name": "web", "listen": "::", "file": file}
    assert not made["plain"]["cluster"] and not made["named"]["cluster"]
    # The unit is the same where a play sets it up. The last file counts.
    assert [
        unit(made[name])["EnvironmentFile"][-1] == "-" + file for name in ("cluster", "fetched", "named", "plain")
    ] == [True, True, True, False]


def test_further_options_of_the_unit(made: dict[str, t.Any]) -> None:
    found = unit(made["options"])
    assert found["MemoryMax"] == ["1G"] and found["LimitCORE"] == ["0", "infinity"]
    assert found["PrivateDevices"] == ["true", "false"] and found["ReadWritePaths"][-2:] == ["/data/a", "/data/b"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(made: dict[str, t.Any], name: str) -> None:
    assert REFUSED[name][1] in made[name], made[name]


@pytest.mark.parametrize("name", CLASHES)
def test_colours_that_would_clash_are_refused(made: dict[str, t.Any], name: str) -> None:
    assert made[name].startswith("Check service_colors"), made[name]
