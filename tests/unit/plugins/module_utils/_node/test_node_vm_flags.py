# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node import vm_flags as subject
from ansible_collections.alchemist.beam.plugins.module_utils._node import vm_words

OURS = (
    "-setcookie unused -start_epmd false -erl_epmd_port 4370 -kernel inet_dist_listen_min 4370 inet_dist_listen_max 4370"
    " inet_dist_use_interface {127,0,0,1}"
)
ENV = {"RELEASE_DISTRIBUTION": "name", "RELEASE_NODE": "shop@127.0.0.1", "RELEASE_COOKIE": "unused", "ERL_ZFLAGS": OURS}


# What a VM of OTP 25 said of these, when it was asked.
@pytest.mark.parametrize(
    ("vm_args", "wanted"),
    [
        ("", {"node": "shop@127.0.0.1", "port": 4370, "interface": "127.0.0.1", "protocol": "inet_tcp", "epmd": False}),
        ("# -sname nobody\n+P 100000", {"mode": "name", "node": "shop@127.0.0.1"}),
        ("-start_epmd false\n-erl_epmd_port 6789", {"port": 4370, "epmd": False}),
        ("-erl_epmd_port 6789\n-kernel inet_dist_listen_min 9100\n-kernel inet_dist_listen_max 9105", {"port": None}),
        ("-erl_epmd_port 6789\n-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9100", {"port": 9100}),
        ("-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9105", {"port": 4370}),
        ("-kernel inet_dist_use_interface {0,0,0,0}", {"interface": "0.0.0.0"}),
        ("-name ${RELEASE_NODE}", {"node": "shop@127.0.0.1"}),
        ("-sname shop", {"mode": "sname", "node": "shop"}),
        ("-name a@b -sname c -sname d", {"mode": "sname", "node": "c"}),
        ("-start_epmd true", {"epmd": False}),
        ("-proto_dist inet6_tcp", {"protocol": "inet6_tcp", "tls": False}),
        ("-proto_dist inet6_tcp -proto_dist inet6_tcp", {"protocol": "inet_tcp"}),
        ("-proto_dist inet_tls\n-ssl_dist_optfile /etc/x", {"protocol": "inet_tls", "tls": True}),
        ("-extra -sname shop", {"mode": "name"}),
        ("-env X -sname", {"mode": "name", "node": "shop@127.0.0.1"}),
        ("-kernel logger_level debug", {"port": 4370}),
        ("-name 'unclosed", {"node": "shop@127.0.0.1"}),
    ],
)
def test_what_the_vm_makes_of_vm_args_beside_the_flags_of_the_service(vm_args: str, wanted: dict[str, t.Any]) -> None:
    flags = subject.read(subject.of_node(ENV, vm_args))
    assert {key: getattr(flags, key) for key in wanted} == wanted


def test_without_flags_of_the_service() -> None:
    flags = subject.read(
        subject.of_node({"RELEASE_NODE": "shop", "ERL_AFLAGS": "-proto_dist inet6_tcp"}, "-setcookie a#b")
    )
    assert (flags.mode, flags.node, flags.port, flags.epmd, flags.protocol) == (
        "sname",
        "shop",
        None,
        True,
        "inet6_tcp",
    )
    assert flags.first("setcookie") == "a" and flags.interface == ""
    assert subject.read(subject.of_node({"RELEASE_DISTRIBUTION": "none"}, "")).mode == "none"
    assert subject.read(["-erl_epmd_port", "x"]).port is None and subject.read(["-erl_epmd_port", "70000"]).port is None


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("{127,0,0,1}", "127.0.0.1"),
        ("{ 10, 0, 0, 5 }", "10.0.0.5"),
        ("{0,0,0,0,0,0,0,1}", "::1"),
        ("{0,0,0,0,0,0,0,0}", "::"),
        ("{65152,0,0,0,0,0,0,1}", "fe80:0:0:0:0:0:0:1"),
        ("{127,0,0}", ""),
        ("any", ""),
        ("", ""),
    ],
)
def test_addresses(term: str, wanted: str) -> None:
    assert subject.address(term) == wanted


def test_where_a_flag_stands() -> None:
    text = "## comment -sname\n\n+P 5\n  -sname shop # why\n"
    assert subject.line_of(text, "sname") == 4 and subject.line_of(text, "name") == 0


def test_a_command_that_is_no_node_gets_the_rest() -> None:
    text = "-name shop@127.0.0.1\n# -sname x\n-setcookie s\n+P 5\n  -erl_epmd_port 1\n-start_epmd false\n-heart\n-kernel logger_level debug\n-env A b\n"
    assert subject.without_distribution(text) == "+P 5\n-kernel logger_level debug\n-env A b\n"
    # Wherever it stands in its line, over lines, and in files that are named.
    text = "-kernel a 'b c' -name shop@h +Bd\n-setcookie\n s\n-env A -name -x \\# d\n-args_file more\n-extra -name z"
    kept = subject.without_distribution(text, {"more": "-sname m\n-y 1 # -z"}.get)
    assert kept == "-kernel a b\\ c\n+Bd\n-env A -name\n-x \\# d\n-y 1\n--\n-extra\n-name z\n"
    assert vm_words.split(kept)[:4] == ["-kernel", "a", "b c", "+Bd"]
    for text in ("# nothing -name\n-kernel a 'b'\n", "-args_file more\n", ""):
        assert subject.without_distribution(text, {"more": "+P 5"}.get) == text


# Beside the flags of the service: what is in vm.args, and in variables.
CASES: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("-name own@host\n-setcookie own", {}),
    ("-sname own", {}),
    ("-name a@b -sname c -sname d", {}),
    ("-name", {"ERL_ZFLAGS": "-x"}),
    ("-setcookie a#b\n-kernel logger_level debug # -name c@d\n## -sname e", {}),
    ("# -name a@b\n  # -sname c\n-heart", {}),
    ("-kernel inet_dist_listen_min 9100 +P 5000 inet_dist_listen_max 9105 +Bd x", {}),
    (
        "-a 1 +A4 x +S 2:2 y +c z +c true u +fnu v +pc unicode w +dcg 4 +sbt db +hms 233 +K true +zdbbl 8 q +r r +l l +IOt 2 i +MBas aobf m",
        {},
    ),
    ("-name 'a@b' -x \"y z\" '' 'it\\' w'x'y \"k\\\" l", {}),
    ("-x y\\ z \\# u\\'v \\-sname w", {}),
    ("-x 'never closed -name a@b", {}),
    ("-x y\r\n-setcookie\tc\r\n-z\x0b1\x0c2 \u00a03", {}),
    ("-env X -sname -env Y 'q r'\n-name a@b", {}),
    ("-extra -name a@b", {}),
    ("-x -extra y", {"ERL_AFLAGS": "-extra z -sname u", "ERL_FLAGS": "-v -extra w"}),
    ("-a 1 -- -name a@b -- c - d", {}),
    ("-args_file more\n-x 1", {}),
    ("-kernel a", {"ERL_FLAGS": "b -name of@flags"}),
    (
        "-name of@args",
        {"ERL_AFLAGS": "-name first@aflags", "ELIXIR_ERL_OPTIONS": "-sname elixir", "ERL_FLAGS": "-name of@flags"},
    ),
    ("", {"ERL_AFLAGS": "-setcookie a#b '-x y' # z", "ERL_FLAGS": '-proto_dist "inet6_tcp" \'open -u'}),
    ("", {"ELIXIR_ERL_OPTIONS": "-name 'a@b c' -x \\y # -z"}),
    ("", {"ERL_FLAGS": "-args_file more", "ELIXIR_ERL_OPTIONS": "-heart -args_file more"}),
    ("-start_epmd false\n-erl_epmd_port 6789", {"ERL_ZFLAGS": ""}),
]


@pytest.mark.skipif(shutil.which("erl") is None, reason="no Erlang is installed")
@pytest.mark.parametrize(("vm_args", "env"), CASES)
def test_erlexec_makes_the_same_of_it(tmp_path: Path, vm_args: str, env: dict[str, str]) -> None:
    """It prints what it would start the VM with, and starts none."""
    (tmp_path / "vm.args").write_bytes(vm_args.encode())
    (tmp_path / "more").write_text("-more 1 # -sname no\n-setcookie c\n-extra -name hidden@more\n-more 2\n")
    env = {**ENV, **env}
    # As the launcher and Elixir's script make the command.
    command = [
        "erl",
        *env.get("ELIXIR_ERL_OPTIONS", "").split(),
        "-setcookie",
        "unused",
        "-name",
        "shop@127.0.0.1",
        "-args_file",
        "vm.args",
    ]
    done = subprocess.run(
        [*command, "-emu_args_exit"],
        cwd=tmp_path,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    found = subject.read(subject.of_node(env, vm_args, lambda path: (tmp_path / path).read_text()))
    if "Usage: erl" in done.stdout + done.stderr:
        assert not found.groups["name"][-1] and "Missing argument" in done.stdout + done.stderr
        return
    _before, home, words = done.stdout.partition("-home\n")
    assert home, done.stderr
    theirs = subject.read(words.splitlines()[1:])
    assert theirs.groups == found.groups
