# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import sockets, vm_settings
from ansible_collections.alchemist.beam.plugins.module_utils._node.ending import VERDICTS
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target
from ansible_collections.alchemist.beam.plugins.module_utils._node.vm_settings import (
    Settings,
    after_script,
    check,
    check_port_free,
)

FLAGS = "-setcookie unused -start_epmd false -erl_epmd_port 4370 -kernel inet_dist_listen_min 4370 inet_dist_listen_max 4370 inet_dist_use_interface {%s}"
LOOPBACK, CLUSTER, SIX = (FLAGS % address for address in ("127,0,0,1", "0,0,0,0", "0,0,0,0,0,0,0,1"))
ENV = {
    "RELEASE_DISTRIBUTION": "name",
    "RELEASE_NODE": "shop@127.0.0.1",
    "RELEASE_COOKIE": "unused",
    "ERL_ZFLAGS": LOOPBACK,
}
TARGET = Target("shop", "/srv/shop/releases/1.0.0", "1.0.0")


def settings(vm_args: str = "", cookie: str = "right", **changed: str) -> Settings:
    before = {**ENV, **({"ERL_ZFLAGS": changed.pop("ERL_ZFLAGS")} if "ERL_ZFLAGS" in changed else {})}
    return Settings(TARGET, vm_args, before, {**before, **changed}, cookie)


@pytest.mark.parametrize(
    "found",
    [
        settings(),
        # Elixir's own lines for a node without epmd: it listens on the port of the service all the same.
        settings("-start_epmd false\n-erl_epmd_port 6789\n"),
        settings("-name ${RELEASE_NODE}\n-setcookie ${RELEASE_COOKIE}\n"),
        settings("-sname shop\n"),
        settings(RELEASE_NODE="shop@10.0.0.5"),
        settings(RELEASE_COOKIE="right"),
        settings(RELEASE_COOKIE="other", cookie=""),
        settings("-proto_dist inet6_tcp", ERL_ZFLAGS=SIX),
        settings(RELEASE_DISTRIBUTION="none", ERL_ZFLAGS="-setcookie unused"),
        settings("-heart"),
        settings("-setcookie"),
        settings("-x y\n+Bd"),
        settings("+c"),
        settings("-args_file /dev/null\n", RELEASE_VM_ARGS="/dev/null"),
        settings("-kernel inet_dist_use_interface {10,0,0,5}", ERL_ZFLAGS=CLUSTER),
    ],
)
def test_what_works_is_let_through(found: Settings) -> None:
    check(found)


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (
            settings("# x\n-proto_dist inet6_tcp"),
            "dist_family",
            ["line 2 of releases/1.0.0/vm.args", "127.0.0.1", 'service_dist_listen: "::1"'],
        ),
        (settings(ERL_AFLAGS="-proto_dist inet6_tcp"), "dist_family", ["ERL_AFLAGS in releases/1.0.0/env.sh"]),
        (
            settings("-proto_dist inet6_tls", ERL_ZFLAGS=CLUSTER),
            "dist_family",
            ["0.0.0.0", 'service_dist_listen: "::"'],
        ),
        (settings(ERL_ZFLAGS=SIX), "dist_family", ["::1, which is IPv6", "-proto_dist inet6_tcp"]),
        (
            settings(ERL_ZFLAGS=CLUSTER, RELEASE_NODE="shop@fd00::5"),
            "dist_family",
            ["shop@fd00::5", "it speaks IPv4", "-proto_dist inet6_tcp"],
        ),
        (
            settings("-erl_epmd_port 6789", ERL_ZFLAGS=CLUSTER),
            "dist_port_twice",
            ["-erl_epmd_port 6789 in line 1", "service_dist_port: 6789"],
        ),
        (
            settings("+P 5\n-x y -name # nothing"),
            "vm_args_incomplete",
            ["-name at the end of line 2 of releases/1.0.0/vm.args"],
        ),
        (settings("-env X"), "vm_args_incomplete", ["-env at the end of line 1"]),
        (settings("-x\n+P"), "vm_args_incomplete", ["+P at the end of releases/1.0.0/vm.args"]),
        (settings("-args_file"), "vm_args_incomplete", ["-args_file at the end of"]),
        (
            settings("\n-args_file /not/there"),
            "vm_args_missing",
            ["line 2 of releases/1.0.0/vm.args", "names /not/there"],
        ),
        (settings(RELEASE_VM_ARGS="/not/there"), "vm_args_missing", ["RELEASE_VM_ARGS names /not/there", "beam_files"]),
        (
            settings("-sname ${RELEASE_NODE}"),
            "vm_name_literal",
            ["-sname ${RELEASE_NODE} in line 1", "RELEASE_NODE in env.sh"],
        ),
        (settings(RELEASE_COOKIE="monster"), "vm_cookie_ignored", ["env.sh", "beam_cookie"]),
    ],
)
def test_what_can_not_work_is_refused_by_name_and_blames_no_release(
    found: Settings, code: str, said: t.Sequence[str]
) -> None:
    with pytest.raises(BeamError) as caught:
        check(found)
    assert caught.value.code == code and code not in VERDICTS
    assert [
        words for words in said if words not in caught.value.message
    ] == [] and "monster" not in caught.value.message


def test_a_port_that_somebody_else_has() -> None:
    taken = [sockets.Listener("0.0.0.0", 4370, "1")]
    flags = settings().flags
    check_port_free(TARGET, flags, {4370}, taken)
    check_port_free(TARGET, settings(ERL_ZFLAGS=LOOPBACK.replace("4370", "4371")).flags, set(), taken)
    check_port_free(TARGET, settings(ERL_ZFLAGS="").flags, set(), taken)
    with pytest.raises(BeamError, match="port 4370, and something else on this host does .*service_dist_port"):
        check_port_free(TARGET, flags, {4000}, taken)


@pytest.mark.parametrize(
    ("ours", "theirs", "clash"),
    [
        (LOOPBACK, "127.0.0.1", True),
        (LOOPBACK, "127.0.0.2", False),
        (LOOPBACK, "::", True),
        (CLUSTER, "127.0.0.2", True),
        (LOOPBACK.replace(" inet_dist_use_interface {127,0,0,1}", ""), "127.0.0.2", True),
    ],
)
def test_nodes_of_one_host_may_have_one_port_on_addresses_of_their_own(ours: str, theirs: str, clash: bool) -> None:
    flags = settings(ERL_ZFLAGS=ours).flags
    with pytest.raises(BeamError) if clash else contextlib.nullcontext():
        check_port_free(TARGET, flags, set(), [sockets.Listener(theirs, 4370, "1")])


def test_listening_sockets_are_read_from_the_kernel() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        wanted = {("127.0.0.1", four.getsockname()[1]), ("::1", six.getsockname()[1])}
        assert wanted <= {(one.address, one.port) for one in sockets.of_process(os.getpid())}
        assert wanted <= {(one.address, one.port) for one in sockets.listeners()}
    assert not wanted & {(one.address, one.port) for one in sockets.of_process(os.getpid())}
    assert sockets.of_process(2**22 + 1) == [] and sockets.parse(["  sl  local_address", "x"]) == []


def release(place: Path, script: str) -> Target:
    (place / "releases" / "1.0.0").mkdir(parents=True)
    (place / "releases" / "1.0.0" / "env.sh").write_text(script)
    return Target("shop", str(place), "1.0.0")


def test_env_sh_is_run_as_the_launcher_runs_it(tmp_path: Path) -> None:
    script = '#!/bin/sh\n: "$SELF" "$REL_VSN_DIR/x"\necho noise\n[ "$1" = start ]\n'
    script += 'case $RELEASE_COMMAND in start*) RELEASE_NODE="$RELEASE_NAME@$MY_IP" ;; esac\n'
    script += 'export ERL_AFLAGS="-proto_dist inet6_tcp"\nNOT_EXPORTED=1\n'
    after = after_script(release(tmp_path, script), {"MY_IP": "10.0.0.5", "PATH": os.environ["PATH"]}, "/nowhere", {})
    assert (after["RELEASE_NODE"], after["ERL_AFLAGS"], after["MY_IP"]) == (
        "shop@10.0.0.5",
        "-proto_dist inet6_tcp",
        "10.0.0.5",
    )
    assert "NOT_EXPORTED" not in after


def test_a_release_without_env_sh(tmp_path: Path) -> None:
    assert after_script(Target("shop", str(tmp_path), "1.0.0"), {"A": "b"}, "/", {}) == {"A": "b"}


def test_env_sh_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BeamError, match=r"env.sh ends with status 3: no such address. Correct rel/env.sh.eex"):
        after_script(release(tmp_path, "echo no such address >&2\nexit 3\n"), {"PATH": os.environ["PATH"]}, "/", {})


def test_env_sh_that_waits_is_left_to_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm_settings, "SCRIPT_SECONDS", 0.3)
    begun = time.monotonic()
    assert (
        after_script(release(tmp_path, "sleep 30 &\nwait\n"), {"PATH": os.environ["PATH"], "A": "b"}, "/", {})["A"]
        == "b"
    )
    assert time.monotonic() - begun < 10
