# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three real nodes that form a cluster: one after the other is restarted, and what would split the cluster is found."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.ask import connect
from ansible_collections.alchemist.beam.plugins.module_utils._node.cluster import connected
from ansible_collections.alchemist.beam.plugins.module_utils._node.etf import Atom
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import NodeCheck
from node_site import Site
from ports import free_port

NODES = ["beacon@127.0.0.%d" % number for number in (2, 3, 4)]
REJOIN = NodeCheck(rejoin=True)


@pytest.fixture
def sites(tmp_path: Path, releases: Path, epmd_port: int) -> t.Iterator[list[Site]]:
    """As hosts of one cluster have it: the same port and cookie, an address for each."""
    port, made = free_port(), []
    try:
        for number, name in enumerate(NODES):
            site = Site(tmp_path / str(number), releases, epmd_port)
            made.append(site)
            site.values.update(
                RELEASE_NODE=name,
                RELEASE_DISTRIBUTION="name",
                RELEASE_COOKIE=made[0].cookie,
                BEACON_PEERS=",".join(NODES),
                ELIXIR_ERL_OPTIONS='"-start_epmd false -erl_epmd_port %d -kernel inet_dist_use_interface {%s}"'
                % (port, name.partition("@")[2].replace(".", ",")),
            )
            site.env()
        yield made
    finally:
        for site in made:
            site.clean()


def others(site: Site) -> tuple[str, ...]:
    process = site.process()
    assert process is not None
    return connected(process, 2.0)


def all_connected(sites: list[Site]) -> bool:
    return [len(others(site)) for site in sites] == [2, 2, 2]


def eventually(what: t.Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def cookie_for(site: Site, node: str, cookie: str) -> None:
    process = site.process()
    assert process is not None
    with connect(process, 2.0) as there:
        there.call("erlang", "set_cookie", Atom(node), Atom(cookie))


def test_one_after_the_other_comes_back_into_the_cluster(sites: list[Site]) -> None:
    for site in sites:
        site.run(health=site.health(node=REJOIN))  # nobody to come back to: the first start waits for nobody
    eventually(lambda: all_connected(sites))

    for site in sites:
        site.current("0.2.0")
        done = site.run(health=site.health(node=NodeCheck(connected=2, rejoin=True)))
        assert done.health is not None and "connected to 2 other nodes" in done.health.checks["node"]
    eventually(lambda: all_connected(sites))

    first, second, third = sites
    before = [site.process() for site in sites]
    first.env(RELEASE_COOKIE="of-nobody-else")
    with pytest.raises(BeamError) as refused:
        first.run(force=True, health=first.health(node=REJOIN))
    assert refused.value.code == "cluster_cookie" and refused.value.details["peer"] in NODES[1:]
    assert [site.process() for site in sites] == before  # nothing was stopped
    first.env()

    # A split that heals only when somebody mends it: the third node takes the first one no more.
    cookie_for(third, NODES[0], "of-nobody-else")
    with pytest.raises(BeamError) as alone:
        first.run(force=True, health=first.health(node=REJOIN, within=3.0))
    assert alone.value.code == "unhealthy"
    # Since OTP 25, `global` takes it away from the second node as well, which is connected to the third.
    for words in ("the node is not connected to ", NODES[2], ", which it was connected to before, and which "):
        assert words in alone.value.message
    cookie_for(third, NODES[0], sites[0].cookie)
    eventually(lambda: all_connected(sites))

    # Who is down is not waited for.
    third.run("stopped")
    done = second.run(force=True, health=second.health(node=REJOIN))
    assert done.health is not None and done.health.passed and others(second) == (NODES[0],)
