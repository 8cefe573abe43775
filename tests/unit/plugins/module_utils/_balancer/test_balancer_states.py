# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy 2.6 says, word for word, and what it means."""

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import parse_stat, parse_states, state_of
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import places_of
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status \
srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 app 1 a 127.0.0.1 %s 0 0 - 9191 - 0 0 - - 0

"""
STAT = "# pxname,svname,qcur,scur,stot,econ,eresp,status,check_rise,check_fall,hrsp_5xx,req_tot,cli_abrt,rtime,ttime,mode,\n\n"
ROW = "app,a,%d,%d,715,2,5,%s,2,3,10,710,1,18,19,http,\n"


def state(server: str, status: str = "UP", sessions: int = 0, queue: int = 0) -> tuple[str, bool]:
    row = parse_states(STATES % server)["app", "a"]
    found = state_of(parse_stat(STAT + ROW % (queue, sessions, status))["app", "a"], row)
    assert found.sessions == sessions + queue
    return found.rotation, found.healthy


# srv_op_state srv_admin_state srv_uweight srv_iweight time srv_check_status srv_check_result srv_check_health srv_check_state agent
@pytest.mark.parametrize(
    ("server", "rotation", "healthy"),
    [
        ("2 0 1 1 1 6 3 4 6 0", "in", True),
        ("0 0 1 1 2 8 2 0 6 0", "in", False),  # down
        ("2 0 1 1 2 8 2 3 6 0", "in", False),  # up, and the last check failed
        ("2 0 1 1 2 1 0 0 0 0", "in", True),  # no check
        ("0 0 1 1 2 1 0 0 0 0", "in", False),  # no check of its own, and what it tracks is down
        ("2 8 1 1 1 6 3 4 6 0", "out", True),  # drain
        ("2 8 1 1 1 6 2 2 6 0", "out", False),  # just out of maintenance: up, and not checked yet
        ("2 16 1 1 1 6 3 4 6 0", "out", True),  # drain of the server that it tracks
        ("0 1 1 1 0 6 3 0 14 0", "out", False),  # maintenance
        ("0 2 1 1 0 6 3 0 14 0", "out", False),  # of the server that it tracks
        ("0 32 1 1 0 6 3 0 14 0", "out", False),  # its name is not resolved
        ("0 5 1 1 0 6 3 0 14 0", "out", False),  # `disabled` in the configuration
        ("2 0 0 1 1 6 3 4 6 0", "out", True),  # weight 0
        ("1 0 1 1 1 6 3 4 6 0", "in", True),  # slow start
        ("3 0 1 1 1 6 3 4 6 0", "in", False),  # stopping
    ],
)
def test_what_a_server_s_state_means(server: str, rotation: str, healthy: bool) -> None:
    assert state(server) == (rotation, healthy)


def test_what_is_in_flight_or_in_its_queue_drains() -> None:
    assert (
        state("2 8 1 1 1 6 3 4 6 0", "DRAIN", sessions=2)[0]
        == state("2 8 1 1 1 6 3 4 6 0", "DRAIN", queue=1)[0]
        == "draining"
    )
    assert state("0 1 1 1 0 6 3 0 14 0", "MAINT", sessions=1)[0] == "out"


def test_counters() -> None:
    found = state_of(
        parse_stat(STAT + ROW % (0, 0, "UP"))["app", "a"], parse_states(STATES % "2 0 1 1 1 6 3 4 6 0")["app", "a"]
    ).counters
    assert found is not None and (
        found.total,
        found.requests,
        found.responses_5xx,
        found.connect_errors,
        found.response_errors,
    ) == (715, 717, 10, 2, 5)
    assert (found.aborted, found.response_ms, found.total_ms) == (1, 18.0, 19.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "balancer_answer"),
        ("HTTP/1.0 400 Bad request\n", "balancer_answer"),
        ("Permission denied\n\n", "balancer_denied"),
    ],
)
def test_answers_that_are_none(text: str, code: str) -> None:
    for parse in (parse_stat, parse_states):
        with pytest.raises(BeamError) as caught:
            parse(text)
        assert caught.value.code == code


def test_two_members_that_are_one_server_are_refused() -> None:
    """Of two nodes on one host the one joins before the other leaves: were they one server, nobody would be left."""
    haproxy = {"kind": "haproxy", "address": "/nowhere", "backends": ["app"], "servers": "{short}"}
    with pytest.raises(BeamError, match="both are h1 there"):
        places_of([haproxy], {"h1.x-blue": {}}, {"h1.x-green": {}})
    assert places_of([{**haproxy, "servers": "{name}"}], {"h1.x-blue": {}}, {"h1.x-green": {}})
