# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Daily commands: which node is started, and what a person is told."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate import STEPS
from ansible_collections.alchemist.beam.plugins.plugin_utils._operate_desk import Desk

Vars = dict[str, t.Any]
DOWN = {"failed": False, "msg": "x", "error": {"what": "The node of shop does not run", "why": "its state is failed"}}
UNREACHABLE = {"unreachable": True, "msg": "ssh: no route to host"}


def desk(told: Vars | None = None, **variables: t.Any) -> Desk:
    """told: what each host registered."""
    told = told or {}
    variables = {"ansible_play_hosts_all": list(told), **variables}
    return Desk(variables.get, told)


@pytest.mark.parametrize(
    ("seen", "colors", "expected"),
    [
        ({"running": False, "current": {"version": "1.0.0"}}, [], ("current", "1.0.0")),
        ({"running": False, "current": {"version": None}}, [], ("current", "")),
        ({"running": True, "version": "0.9.0", "current": {"version": "1.0.0"}}, [], ("current", "0.9.0")),
        (
            {"running": True, "version": "2", "live": "green", "colors": {"blue": {"enabled": True, "points_at": "1"}}},
            ["blue", "green"],
            ("green", "2"),
        ),
        (
            {
                "running": False,
                "live": None,
                "colors": {"blue": {"points_at": "1"}, "green": {"enabled": True, "points_at": "2"}},
            },
            ["blue", "green"],
            ("green", "2"),
        ),
        ({"running": False, "colors": {"green": {"points_at": "2"}}}, ["blue", "green"], ("green", "2")),
        ({"running": False, "colors": {}, "current": {"version": "1"}}, ["blue", "green"], ("current", "1")),
        (
            {"running": True, "version": "1", "live": None, "plain": {"running": True}, "colors": {}},
            ["blue", "green"],
            ("current", "1"),
        ),
    ],
)
def test_which_node_is_started(seen: Vars, colors: list[str], expected: tuple[str, str]) -> None:
    found = STEPS["choose"](desk(operate_seen=seen, operate_colors=colors))
    assert (found["node"], found["version"]) == expected


def test_who_does_not_answer_is_named_with_the_reason() -> None:
    said = {
        "a": {"operate_pinged": {"ms": 1.26, "node": "shop@127.0.0.1", "version": "1.0.0", "pid": 7}},
        "b": {"operate_pinged": DOWN},
        "c": {"operate_pinged": UNREACHABLE},
    }
    found = STEPS["ping"](desk(said))
    assert found["wrong"] == "2 of 3 do not answer: b, c."
    text = "\n".join(found["lines"])
    assert "1.3 ms  shop@127.0.0.1" in text and "its state is failed" in text and "no route to host" in text
    assert STEPS["ping"](desk({"a": said["a"]}))["wrong"] == ""


def test_what_runs_what_current_is_and_what_is_stable() -> None:
    runs = {
        "running": True,
        "version": "1.0.0",
        "drift": True,
        "current": {"version": "1.1.0"},
        "started": "2026-01-01T00:00:00Z",
    }
    said = {
        "a": {"operate_seen": runs},
        "b": {"operate_seen": {"running": False, "version": None, "current": {"version": "1.2.0"}}},
        "c": {"operate_seen": UNREACHABLE},
        "d": {"operate_seen": {**runs, "drift": False, "version": "1.2.0", "upgraded_from": "1.1.0"}},
    }
    channel = {"channel": {"stable": {"version": "1.2.0"}}}
    lines = STEPS["version"](desk(said, operate_channel_now=channel))["lines"]
    assert lines[0].split() == ["host", "runs", "current", "stable", "since", "note"]
    assert "runs another version than current; current is not what is stable" in lines[1]
    assert lines[2].split()[:4] == ["b", "-", "1.2.0", "1.2.0"] and lines[2].endswith("it does not run")
    assert "no route to host" in lines[3] and len(lines) == 5
    assert lines[4].split()[:2] == ["d", "1.2.0"] and "upgraded hot from 1.1.0" in lines[4]


def test_without_a_store_it_tells_what_runs_all_the_same() -> None:
    said = {"a": {"operate_seen": {"running": True, "version": "1.0.0", "current": {"version": "1.0.0"}}}}
    refused = {"failed": False, "msg": "the store can't be read: denied."}
    lines = STEPS["version"](desk(said, operate_channel_now=refused))["lines"]
    assert (
        lines[1].split() == ["a", "1.0.0", "1.0.0"]
        and lines[2] == "What is stable is not known: the store can't be read: denied."
    )


@pytest.mark.parametrize(
    ("production", "said", "refused"),
    [(True, "", True), ("true", "yes", True), (True, "live", False), ("false", "", False), (False, "", False)],
)
def test_what_could_do_harm_in_production_is_said_twice(production: t.Any, said: str, refused: bool) -> None:
    of = {"operate_channel": "live", "operate_production": production, "operate_confirm": said}
    if refused:
        with pytest.raises(BeamError, match="Say -e beam_confirm=live") as raised:
            STEPS["confirm"](desk(**of), "rpc")
        assert raised.value.code == "command_unconfirmed"
    else:
        assert STEPS["confirm"](desk(**of), "rpc") == {}
    assert STEPS["confirm"](Desk(of.get, {}, check_mode=True), "rpc") == {}


def test_who_takes_part() -> None:
    of = {"ansible_play_hosts_all": ["a", "b"]}
    for chosen, host, part in (("all", "b", True), ("first", "a", True), ("first", "b", False)):
        found = STEPS["whom"](Desk({**of, "operate_on": chosen, "inventory_hostname": host}.get, {}))
        assert found["takes_part"] is part


def test_values_and_failures_of_all_servers() -> None:
    said = {
        "a": {"operate_evaluated": {"value": "42", "printed": ["hi"]}},
        "b": {"operate_evaluated": {"value": "%{\n  a: 1\n}", "printed": []}},
        "c": {"operate_evaluated": {**DOWN, "output": ["    (shop) f/1"]}},
        "d": {"operate_evaluated": UNREACHABLE},
        "e": {"operate_evaluated": {"skipped": True}},
        "f": {"operate_evaluated": {"would_run": "1 +\n1", "node": "shop@f"}},
    }
    found = STEPS["evaluated"](desk(said))
    assert found["lines"][:6] == ["a | hi", "a => 42", "b =>", "  %{", "    a: 1", "  }"]
    assert "c failed: The node of shop does not run: its state is failed" in found["lines"]
    assert found["lines"][-3:] == ["f: would evaluate in the node shop@f:", "  1 +", "  1"]
    assert found["wrong"] == "2 of 5 failed: c, d."


def migration(host: str = "a", **variables: t.Any) -> Vars:
    of = {
        "ansible_play_hosts_all": ["a", "b"],
        "inventory_hostname": host,
        "operate_direction": "up",
        "operate_app": "shop",
        **dict.fromkeys(("operate_migrate", "operate_migrate_down", "operate_migrate_show"), ""),
        "operate_migrate_to": "",
        "operate_migrate_host": "",
        **variables,
    }
    return STEPS["migration"](Desk(of.get, {}))


def test_one_server_migrates() -> None:
    assert migration("a")["takes_part"] and not migration("b")["takes_part"]
    assert migration("b", operate_migrate_host="b")["takes_part"]
    with pytest.raises(BeamError, match="no server of this play"):
        migration(operate_migrate_host="c")


def test_how_it_migrates() -> None:
    assert migration(operate_migrate="Shop.Release.migrate()")["expression"] == "Shop.Release.migrate()"
    assert "Ecto.Migrator.run(&1, :up, all: true)" in migration()["expression"]
    down = migration(
        operate_direction="down", operate_migrate_to=20260131120000, operate_migrate="Shop.Release.migrate()"
    )
    assert down["undoes"] and "Ecto.Migrator.run(&1, :down, to: 20260131120000)" in down["expression"]
    assert "Application.fetch_env!(:shop, :ecto_repos)" in down["expression"]
    own = migration(operate_direction="down", operate_migrate_down="Shop.Release.rollback(Shop.Repo, 1)")
    assert own["expression"] == "Shop.Release.rollback(Shop.Repo, 1)" and own["undoes"]
    show = migration(operate_direction="show")
    assert "Ecto.Migrator.migrations/1" in show["expression"] and not show["undoes"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"operate_direction": "down"}, "beam_migrate_to is empty"),
        ({"operate_direction": "down", "operate_migrate_to": "1); System.halt("}, "is no version"),
        ({"operate_app": "Shop); x("}, "Give beam_app"),
    ],
)
def test_a_migration_that_is_none(variables: Vars, said: str) -> None:
    with pytest.raises(BeamError, match=re.escape(said)):
        migration(**variables)


def test_what_came_of_a_migration() -> None:
    done = {
        "rc": 0,
        "version": "1.0.0",
        "seconds": 1.23,
        "log_file": "/x.log",
        "output": ["migrated"],
        "command": ["a"],
    }
    said = {"a": {"operate_migrated": done}, "b": {"operate_migrated": {"skipped": True}}}
    assert STEPS["migrated"](desk(said)) == {
        "lines": ["a | migrated", "a: done with 1.0.0 in 1.2 s; all it said is in /x.log"],
        "wrong": "",
    }
    assert (
        STEPS["migrated"](desk({"a": {"operate_migrated": {**DOWN, "rc": 1}}}))["wrong"] == "The migration failed on a."
    )
    would = {"version": "1.0.0", "command": ["bin/shop", "eval", "Shop.up()"], "output": []}
    assert STEPS["migrated"](desk({"a": {"operate_migrated": would}}))["lines"] == [
        "a: would evaluate with 1.0.0: Shop.up()"
    ]


CONSOLE = {
    "operate_unit": "shop",
    "operate_name": "shop",
    "operate_base": "/srv/shop",
    "operate_manager": "systemd",
    "operate_ssh_args": "-C -o ControlMaster=auto -oControlPersist=60s",
}


@pytest.mark.parametrize(
    ("of", "command"),
    [
        ({"ansible_user": "root"}, "ssh -t root@a /usr/local/sbin/shop-remote"),
        ({"ansible_user": "deploy"}, "ssh -t deploy@a 'sudo /usr/local/sbin/shop-remote'"),
        (
            {
                "ansible_host": "10.0.0.1",
                "ansible_port": 2222,
                "ansible_ssh_private_key_file": "/k y",
                "ansible_ssh_common_args": "-o ProxyJump=b",
            },
            "ssh -t -p 2222 -i '/k y' -o ProxyJump=b 10.0.0.1 'sudo /usr/local/sbin/shop-remote'",
        ),
        (
            {"ansible_ssh_args": "-F 'my config' -o ControlPath=/x -o ConnectTimeout=5"},
            "ssh -t -F 'my config' -o ConnectTimeout=5 a 'sudo /usr/local/sbin/shop-remote'",
        ),
        ({"ansible_connection": "local"}, "/usr/local/sbin/shop-remote"),
    ],
)
def test_the_command_of_a_console(of: Vars, command: str) -> None:
    told = {"a": {**of, "operate_seen": {"running": True, "live": None, "node": "shop@127.0.0.1"}}}
    assert STEPS["console"](desk(told, **CONSOLE)) == {"lines": ["a: " + command], "wrong": ""}


def test_a_console_of_a_color_of_a_daemon_and_of_nothing() -> None:
    seen = {"running": True, "live": "green", "node": "shop-green@127.0.0.1", "root": "/srv/shop/releases/1"}
    told = {"a": {"ansible_user": "root", "operate_seen": seen}, "b": {"operate_seen": {"running": False}}}
    found = STEPS["console"](desk(told, **CONSOLE))
    assert found["lines"][0].endswith("/usr/local/sbin/shop-green-remote")
    assert found["lines"][1] == "b: its node does not run" and found["wrong"] == "There is no console of b."
    [line, _down] = STEPS["console"](desk(told, **{**CONSOLE, "operate_manager": "daemon"}))["lines"]
    assert "RELEASE_NODE=shop-green@127.0.0.1 RELEASE_COOKIE=unused" in line and line.endswith(
        "/releases/1/bin/shop remote'"
    )
    assert "HOME=/srv/shop/shared/run/shop-green" in line and "RELEASE_DISTRIBUTION=name" in line


def test_one_server_is_named() -> None:
    of: Vars = {"ansible_play_hosts_all": ["a", "b"], "inventory_hostname": "b", "operate_host": ""}
    assert STEPS["one_host"](Desk(of.get, {}))["takes_part"]
    assert not STEPS["one_host"](Desk({**of, "operate_host": "a"}.get, {}))["takes_part"]
    with pytest.raises(BeamError, match="it is no server of this play. Name one of a, b"):
        STEPS["one_host"](Desk({**of, "operate_host": "c"}.get, {}))


def test_logs_of_all_servers() -> None:
    told = {
        "a": {"operate_logged": {"log": ["x", "y"]}},
        "b": {"operate_logged": {"log": []}},
        "c": {"operate_logged": UNREACHABLE},
    }
    found = STEPS["logs"](desk(told))
    assert found["lines"] == [
        "a | x",
        "a | y",
        "b: nothing was written",
        "c: the log can't be read: ssh: no route to host",
    ]
    assert found["wrong"] == "The log of c can't be read."


def test_who_rolled_out_what() -> None:
    report = {
        "begun": "2026-01-02T00:00:00Z",
        "by": "ada@desk",
        "kind": "rollout",
        "strategy": "rolling",
        "version": "1.1.0",
        "stable_before": {"version": "1.0.0"},
        "succeeded": False,
        "seconds": 12.5,
        "reason": "b: it died",
    }
    channel = {
        "channel": "live",
        "serial": 4,
        "stable": {"version": "1.0.0"},
        "by": "bob@desk",
        "at": "2026-01-01T00:00:00Z",
        "ghosts": [{"version": "1.1.0"}],
    }
    known = {"history": [report, {"id": "7-x", "damaged": "no JSON"}], "channel": channel, "lock": None}
    lines = STEPS["audit"](desk(operate_history=known, operate_channel="live"))["lines"]
    assert "ada@desk" in lines[1] and "rollout, rolling" in lines[1] and lines[1].endswith("12.50    b: it died")
    assert "failed" in lines[1] and "1.0.0" in lines[1] and "damaged" in lines[2]
    assert lines[3] == "live is at 1.0.0 (serial 4), moved last by bob@desk at 2026-01-01T00:00:00Z; ghosts: 1.1.0."
    none = STEPS["audit"](desk(operate_history={"history": [], "channel": {"serial": 0}}, operate_channel="live"))
    assert none["lines"] == ["No rollout of the channel live is known."]


CHANNELS = {
    "channels": [
        {
            "channel": "live",
            "stable": {"version": "1.1.0"},
            "previous": {"version": "1.0.0"},
            "candidate": None,
            "ghosts": [{"version": "1.2.0"}, {"version": "0.1.0"}],
        },
        {"channel": "staging", "stable": {"version": "1.2.0"}, "ghosts": []},
    ]
}
PUBLISHED = {
    "version": "1.1.0",
    "digest": "d" * 64,
    "published": "2026-01-01T00:00:00Z",
    "size": 5 << 20,
    "unpacked_size": 150 << 20,
    "layers": 30,
    "files": 2000,
    "pinned": True,
    "protected": "it is stable on the channel live",
    "abi": {"arch": "x86_64", "needs": ["libc", "2.36"], "none": ""},
    "provenance": {"git_sha": "a" * 40, "git_dirty": False, "elixir": "1.14.0", "otp": "25", "mix_env": "prod"},
}


def store(action: str, **variables: t.Any) -> Desk:
    of = {
        "operate_releases": action,
        "operate_version": "",
        "operate_compare": "",
        "operate_channel": "live",
        "operate_name": "shop",
        "operate_channels_now": CHANNELS,
        **variables,
    }
    return Desk(of.get, {})


@pytest.mark.parametrize(
    ("action", "variables", "expected"),
    [
        ("list", {}, ("", "")),
        ("verify", {}, ("", "")),
        ("verify", {"operate_version": "1.0.0"}, ("1.0.0", "")),
        ("show", {}, ("1.1.0", "")),
        ("diff", {}, ("1.1.0", "1.0.0")),
        ("diff", {"operate_version": "1.2.0"}, ("1.2.0", "1.1.0")),
        ("diff", {"operate_version": "1.2.0", "operate_compare": "0.9.0"}, ("1.2.0", "0.9.0")),
    ],
)
def test_which_version_is_meant(action: str, variables: Vars, expected: tuple[str, str]) -> None:
    found = STEPS["releases_asked"](store(action, **variables))
    assert (found["version"], found["compare_to"]) == expected


@pytest.mark.parametrize(
    ("action", "variables", "said"),
    [
        ("show", {"operate_channel": "none"}, "nothing is stable on the channel none"),
        ("diff", {"operate_channel": "staging"}, "there is no other version"),
        ("diff", {"operate_compare": "1.1.0"}, "there is no other version"),
    ],
)
def test_a_version_that_nobody_named(action: str, variables: Vars, said: str) -> None:
    with pytest.raises(BeamError, match=re.escape(said)):
        STEPS["releases_asked"](store(action, **variables))


def test_a_list_with_sizes_channels_and_ghosts() -> None:
    rows = [PUBLISHED, {**PUBLISHED, "version": "1.2.0", "pinned": False, "provenance": {}, "size": 1000}]
    lines = STEPS["releases"](store("list", operate_found={"releases": rows}))["lines"]
    assert lines[0].split() == ["version", "published", "size", "unpacked", "commit", "channels"]
    assert "5.0 MiB  150 MiB   aaaaaaaaaaaa  stable on live, pinned" in lines[1]
    assert "1000 B" in lines[2] and lines[2].endswith("ghost on live, stable on staging")
    assert lines[3] == "Ghosts that are not in the store: 0.1.0 on live."
    empty = store("list", operate_found={"releases": []}, operate_channels_now={"channels": []})
    assert STEPS["releases"](empty)["lines"] == ["Nothing is published."]


def test_one_release() -> None:
    lines = STEPS["releases"](store("show", operate_found={"releases": [PUBLISHED]}))["lines"]
    text = "\n".join(lines)
    assert "5.0 MiB in 30 layers, 150 MiB in 2000 files" in text and "arch x86_64, needs libc 2.36" in text
    assert "elixir 1.14.0, otp 25, mix_env prod" in text and "it is stable on the channel live" in text
    with pytest.raises(BeamError, match="it is not in the store"):
        STEPS["releases"](store("show", operate_found={"releases": []}, operate_asked={"version": "9"}))


def test_what_leads_to_another_release() -> None:
    found = {
        "applications": {"added": {"a": "1"}, "removed": {"b": "2"}, "moved": {"c": ["1", "2"]}, "same_version": ["d"]},
        "erts": ["13", "14"],
        "files": {
            "added": ["f%d" % number for number in range(60)],
            "removed": ["g"],
            "changed": [],
            "counts": {"added": 60, "removed": 1, "changed": 0},
        },
        "fetched": 2048,
        "commits": ["a" * 40, "b" * 40],
        "built_with": {"elixir": ["1.14", ""]},
    }
    asked = {"version": "1.1.0", "compare_to": "1.0.0"}
    told = {"operate_found": {"releases": [PUBLISHED], "difference": found}, "operate_asked": asked}
    lines = STEPS["releases"](store("diff", **told))["lines"]
    assert lines[:4] == [
        "1.0.0 -> 1.1.0",
        "a server fetches 2.0 KiB",
        "commits aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "  git log --oneline aaaaaaaaaaaa..bbbbbbbbbbbb",
    ]
    assert lines[4:10] == [
        "erts 13 -> 14",
        "elixir 1.14 -> ?",
        "+ application a 1",
        "- application b 2",
        "~ application c 1 -> 2",
        "~ application d, of the same version",
    ]
    assert "+ 20 files more" in lines and lines[-1] == "- g"


def test_what_was_done_in_the_store() -> None:
    verified = {"verified": ["1.0.0", "1.1.0"], "files": 10, "bytes": {"release": 100}}
    assert STEPS["releases"](store("verify", operate_done=verified))["lines"] == [
        "Every byte is right of 1.0.0, 1.1.0: 10 files, 100 B."
    ]
    exported = {"name": "shop", "version": "1.0.0", "dest": "/x.tar.gz", "changed": False}
    assert STEPS["releases"](store("export", operate_done=exported))["lines"] == [
        "shop 1.0.0 is in /x.tar.gz, as it was."
    ]
    pruned = {"removed": ["0.9.0"], "bytes": {"collected": 3 << 30}, "kept": {"0.8.0": "it is pinned"}}
    assert STEPS["releases"](store("prune", operate_done=pruned))["lines"] == [
        "Removed 0.9.0, and 3.0 GiB.",
        "Kept 0.8.0: it is pinned.",
    ]


def leaves(host: str, name: str = "b", lock: t.Any = None) -> Vars:
    of = {
        "ansible_play_hosts_all": ["a", "b", "c"],
        "inventory_hostname": name,
        "operate_host": host,
        "operate_history": {"lock": lock},
    }
    return STEPS["leaving"](Desk(of.get, {}))


def test_who_leaves_is_named() -> None:
    assert leaves("b") == {"takes_part": True, "leaving": ["b"]}
    assert leaves("a, c")["leaving"] == ["a", "c"] and not leaves("a, c")["takes_part"]
    with pytest.raises(BeamError, match="none is named. Name who leaves"):
        leaves("")
    with pytest.raises(BeamError, match="x is no server of this play"):
        leaves("b,x")
    with pytest.raises(BeamError) as raised:
        leaves("b", lock={"held": True, "owner": "ada"})
    assert raised.value.code == "rollout_goes_on"


def test_how_many_have_to_stay() -> None:
    told = {"a": {}, "b": {"beam_member": {"server": "two"}}, "c": {}}
    of = {"operate_leaving": {"leaving": ["b"]}, "operate_fleet_hosts": ["a", "b", "c"], "operate_colors": []}
    found = STEPS["drain"](desk(told, **of, operate_min_healthy="auto"))
    assert found == {
        "members": {"b": {"server": "two"}},
        "fleet": {"a": {}, "b": {"server": "two"}, "c": {}},
        "min_healthy": 1,
    }
    # Who takes the last one away means it.
    last = {"operate_leaving": {"leaving": ["b"]}, "operate_fleet_hosts": ["b"], "operate_colors": []}
    assert STEPS["drain"](desk(told, **last, operate_min_healthy=1))["min_healthy"] == 0


def test_what_is_cleaned_and_what_is_not() -> None:
    of = {**CONSOLE, "operate_colors": ["blue", "green"]}
    found = STEPS["remains"](desk(**of))
    assert found["units"] == ["shop.service", "shop-blue.service", "shop-green.service"]
    assert {"/srv/shop/releases", "/srv/shop/blue", "/etc/shop", "/var/lib/shop", "/usr/local/sbin/shop-remote"} <= set(
        found["paths"]
    )
    assert {"/srv/shop/.upgraded", "/srv/shop/.upgraded-blue", "/srv/shop/.upgraded-green"} <= set(found["paths"])
    assert "/srv/shop/shared" not in found["paths"] and "/srv/shop" not in found["paths"]
    daemon = STEPS["remains"](desk(**{**of, "operate_manager": "daemon"}))["paths"]
    assert all(path.startswith("/srv/shop/") for path in daemon)


def test_what_is_said_of_who_left() -> None:
    stopped = {"results": [{"action": "stop"}, {"action": "none"}]}
    told: dict[str, Vars] = {"a": {"operate_stopped": {"skipped": True}}, "b": {"operate_stopped": stopped}}
    found = STEPS["removed"](desk(told, operate_base="/srv/shop"))
    assert found["wrong"] == "" and found["lines"][0] == "b is out of its balancers, stopped, and not started at boot."
    assert "-e beam_clean=true" in found["lines"][1] and "inventory" in found["lines"][2]
    told["b"]["operate_cleaned"] = {"results": []}
    cleaned = STEPS["removed"](desk(told, operate_base="/srv/shop"))
    assert "/srv/shop/shared" in cleaned["lines"][1]


def test_a_cookie_is_replaced_on_all_of_the_fleet_or_nowhere() -> None:
    given = {"operate_cookie": "new-cookie-2", "operate_fleet_hosts": ["a", "b"], "ansible_play_hosts_all": ["a", "b"]}
    assert STEPS["rotating"](desk({}, **given)) == {}
    for code, more in (
        ("rotation_partial", {"operate_fleet_hosts": ["a", "b", "c"]}),
        ("cookie_invalid", {"operate_cookie": ""}),
        ("rollout_goes_on", {"operate_history": {"lock": {"held": True, "owner": "ada", "purpose": "rollout"}}}),
    ):
        with pytest.raises(BeamError) as caught:
            STEPS["rotating"](desk({}, **{**given, **more}))
        assert caught.value.code == code


def test_who_has_the_new_cookie_and_who_has_lost_a_connection() -> None:
    def node(had: str | None, *connected: str) -> dict[str, t.Any]:
        return {"nodes": [{"node": "n@h", "had": had, "connected": list(connected)}], "files": ["f"], "changed": True}

    said = {
        "a": {"operate_rotated": node("old", "x", "y"), "operate_looked_again": node("new", "y")},
        "b": {"operate_rotated": node("new", "x"), "operate_looked_again": node("new", "x")},
        "c": {"operate_rotated": DOWN},
        "d": {"operate_rotated": {"nodes": [], "files": ["f"]}, "operate_looked_again": {"nodes": [], "files": []}},
        "e": {"operate_rotated": node(None), "operate_looked_again": node(None)},
    }
    found = STEPS["rotated"](desk(said))
    text = "\n".join(found["lines"])
    assert found["wrong"] == "The cookie is not as it should be on a, c."
    assert "not connected any more: x" in text and "it had it" in text and "it does not run" in text
    assert "none is asked for" in text and "its state is failed" in text
    assert "would be new" in "\n".join(STEPS["rotated"](replace(desk({"a": said["a"]}), check_mode=True))["lines"])
