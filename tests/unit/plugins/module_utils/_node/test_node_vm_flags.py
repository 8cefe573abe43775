# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._node import vm_flags as subject

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
)  # fmt: skip
def test_what_the_vm_makes_of_vm_args_beside_the_flags_of_the_service(vm_args: str, wanted: dict[str, t.Any]) -> None:
    flags = subject.read(subject.of_node(ENV, vm_args))
    assert {key: getattr(flags, key) for key in wanted} == wanted


def test_without_flags_of_the_service() -> None:
    flags = subject.read(subject.of_node({"RELEASE_NODE": "shop", "ERL_AFLAGS": "-proto_dist inet6_tcp"}, "-setcookie a#b"))
    assert (flags.mode, flags.node, flags.port, flags.epmd, flags.protocol) == ("sname", "shop", None, True, "inet6_tcp")
    assert flags.first("setcookie") == "a" and flags.interface == ""
    assert subject.read(subject.of_node({"RELEASE_DISTRIBUTION": "none"}, "")).mode == "none"
    assert subject.read(["-erl_epmd_port", "x"]).port is None and subject.read(["-erl_epmd_port", "70000"]).port is None


@pytest.mark.parametrize(
    ("term", "wanted"),
    [("{127,0,0,1}", "127.0.0.1"), ("{ 10, 0, 0, 5 }", "10.0.0.5"), ("{0,0,0,0,0,0,0,1}", "::1"), ("{0,0,0,0,0,0,0,0}", "::"),
     ("{65152,0,0,0,0,0,0,1}", "fe80:0:0:0:0:0:0:1"), ("{127,0,0}", ""), ("any", ""), ("", "")],
)  # fmt: skip
def test_addresses(term: str, wanted: str) -> None:
    assert subject.address(term) == wanted


def test_where_a_flag_stands() -> None:
    text = "## comment -sname\n\n+P 5\n  -sname shop # why\n"
    assert subject.line_of(text, "sname") == 4 and subject.line_of(text, "name") == 0


def test_a_command_that_is_no_node_gets_the_rest() -> None:
    text = "-name shop@127.0.0.1\n# -sname x\n-setcookie s\n+P 5\n  -erl_epmd_port 1\n-start_epmd false\n-heart\n-kernel logger_level debug\n-env A b\n"
    assert subject.without_distribution(text) == "# -sname x\n+P 5\n-kernel logger_level debug\n-env A b\n"
