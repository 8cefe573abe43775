# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With a real HAProxy: who leaves gets nothing more, nothing that it has is lost, and what is refused was not touched."""

from __future__ import annotations

import http.client
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.haproxy import Runtime, places
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.plan import plan_drain
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import work
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from balancer_site import App, Clients, Proxy, tasks, until

DEFAULTS: dict[str, t.Any] = {
    "state": None,
    "min_healthy": None,
    "fleet": None,
    "timeout": 10.0,
    "quiet": 0.4,
    "interval": 0.05,
    "bake": 3.0,
    "limits": {
        "min_requests": 50,
        "error_margin": 0.01,
        "error_ratio": 2.0,
        "latency_margin": 50.0,
        "latency_ratio": 2.0,
    },
}


def run(balancers: t.Any, members: t.Any, state: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    balancers = balancers if isinstance(balancers, list) else [balancers]
    return work({**DEFAULTS, "balancers": balancers, "members": members, "state": state, **options}, check_mode)


def fails(code: str, *args: t.Any, **options: t.Any) -> BeamError:
    with pytest.raises(BeamError) as caught:
        run(*args, **options)
    assert caught.value.code == code, caught.value.message
    return caught.value


def get(port: int, path: str = "/work", **headers: str) -> http.client.HTTPResponse:
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    conn.request("GET", path, headers=headers)
    return conn.getresponse()


def test_restarting_each_under_load_loses_no_request(proxy: Proxy, apps: dict[str, App]) -> None:
    with Clients(proxy.port, 8) as clients:
        time.sleep(0.3)
        for name, app in apps.items():
            gone = run(proxy.balancer(), [name], "drained", min_healthy=2)
            assert gone["changed"] and gone["members"][name]["after"] == "out" and gone["healthy"]["after"] == 2
            served = len(app.served)
            app.stop()
            time.sleep(0.3)
            app.start()
            assert len(app.served) == served, "it got requests while it was out"
            back = run(proxy.balancer(), [name], "joined")
            assert back["changed"] and back["members"][name]["after"] == "in" and back["healthy"]["after"] == 3
            until(lambda app=app, served=served: len(app.served) > served + 20, "it gets requests again")  # type: ignore[misc]
    assert clients.sent > 1000 and not clients.failed, clients.failed[:5]


def test_as_tasks_twice_and_in_check_mode(proxy: Proxy, tmp_path: Path) -> None:
    options = {"balancers": [proxy.balancer("app", "sticky")], "members": ["a"], "fleet": ["a", "b", "c"], "quiet": 0.3}
    drained, joined = {**options, "state": "drained", "min_healthy": 2}, {**options, "state": "joined"}
    untouched = proxy.admin()

    would, refused = tasks([drained, {**drained, "min_healthy": 3}], "--check", "--diff", directory=tmp_path)
    assert (
        would["changed"]
        and (would["members"]["a"]["before"], would["members"]["a"]["after"]) == ("in", "out")
        and proxy.admin() == untouched
    )
    assert refused["failed"] and refused["error"]["code"] == "capacity_floor" and not refused["changed"]
    assert refused["healthy"] == {"before": 3, "after": 2, "floor": 3, "fleet": 3}
    assert "3 of the fleet are in and healthy now, 2 would be without a, and min_healthy is 3" in refused["msg"]

    refused, first, again = tasks([{**drained, "min_healthy": 3}, drained, drained], directory=tmp_path)
    out = proxy.admin()
    assert refused["error"]["code"] == "capacity_floor" and first["members"]["a"]["before"] == "in", (
        "the refusal touched nothing"
    )
    assert (
        first["changed"]
        and len(first["members"]["a"]["taken"]) == 2
        and out["app", "a"] == out["sticky", "a"] == "1"
        and out["app", "b"] == "0"
    )
    assert not again["changed"] and again["members"]["a"]["before"] == "out" and again["members"]["a"]["taken"] == []

    (would,) = tasks([joined], "--check", directory=tmp_path)
    assert would["changed"] and would["members"]["a"]["after"] == "in" and proxy.admin() == out
    watched = {**options, "state": "watched", "bake": 0.5, "interval": 0.1}
    first, again, info, compared = tasks([joined, joined, options, watched], directory=tmp_path)
    assert (
        first["changed"]
        and not again["changed"]
        and again["members"]["a"]["after"] == "in"
        and proxy.admin() == untouched
    )
    assert not info["changed"] and info["healthy"]["before"] == 3 and info["members"]["a"]["counters"]["total"] == 0
    assert compared["comparison"]["verdict"] == "not enough traffic"


def test_every_backend_of_every_balancer(proxy: Proxy, second: Proxy) -> None:
    both = [proxy.balancer("app", "sticky"), second.balancer("app", address="127.0.0.1:%d" % second.tcp)]
    gone = run(both, ["a"], "drained", min_healthy=2)
    assert len(gone["members"]["a"]["taken"]) == 3 == len(gone["balancers"])
    assert [
        proxy.admin()["app", "a"],
        proxy.admin()["sticky", "a"],
        second.admin()["app", "a"],
        second.admin()["sticky", "a"],
    ] == ["1", "1", "1", "0"]
    assert gone["healthy"] == {"before": 3, "after": 2, "floor": 2, "fleet": 3}
    # Out of one of them is not in service, whatever the others say.
    second.tell("set server app/b state maint")
    fails("capacity_floor", both, ["c"], "drained", min_healthy=1)
    back = run(both, ["a"], "joined")
    assert back["members"]["a"]["after"] == "in" and second.admin()["app", "a"] == "0"


def test_a_response_that_is_being_sent_is_waited_for(proxy: Proxy, apps: dict[str, App]) -> None:
    response = get(proxy.port, "/stream")
    name = next(name for name, app in apps.items() if app.served)
    threading.Timer(2.0, apps[name].open.set).start()
    row = run(proxy.balancer(), [name], "drained")["members"][name]
    assert row["cut"] == 0 and row["seconds"] >= 2.2
    assert set(response.read()) == {ord(".")}


def test_what_is_open_at_the_deadline_is_told_and_not_broken_off_by_us(proxy: Proxy, apps: dict[str, App]) -> None:
    response = get(proxy.port, "/stream")
    name = next(name for name, app in apps.items() if app.served)
    row = run(proxy.balancer(), [name], "drained", timeout=1.0)["members"][name]
    assert (
        row["cut"] == 1
        and row["seconds"] == pytest.approx(1.0, abs=0.5)
        and "1 sessions still open" in row["note"]
        and proxy.admin()["app", name] == "1"
    )
    apps[name].open.set()
    assert set(response.read()) == {ord(".")}, "the end of the response came all the same"


def test_sticky_clients_go_elsewhere(proxy: Proxy, apps: dict[str, App]) -> None:
    response = get(proxy.sticky_port)
    cookie = (response.getheader("Set-Cookie") or "").split(";")[0]
    name = response.read().decode()
    assert get(proxy.sticky_port, Cookie=cookie).read().decode() == name, "not sticky: the test proves nothing"
    run(proxy.balancer("sticky"), [name], "drained")
    assert get(proxy.sticky_port, Cookie=cookie).read().decode() != name


def test_a_server_that_is_never_healthy_is_not_joined_and_gets_no_request(proxy: Proxy, apps: dict[str, App]) -> None:
    run(proxy.balancer(), ["a"], "drained")
    apps["a"].health = 404
    served = len(apps["a"].served)
    with Clients(proxy.port) as clients:
        error = fails("not_joined", proxy.balancer(), ["a"], "joined", timeout=2.0)
    assert clients.sent > 100 and not clients.failed and len(apps["a"].served) == served
    assert "not healthy" in error.why and "404" in error.message and error.details["members"]["a"]["left"] == "out"
    apps["a"].health = 200
    assert run(proxy.balancer(), ["a"], "joined")["members"]["a"]["healthy"]


def test_who_is_down_or_in_maintenance_carries_nothing(proxy: Proxy, apps: dict[str, App]) -> None:
    apps["b"].health = 503
    until(lambda: proxy.stat("b")["status"] == "DOWN", "b goes down")
    proxy.tell("set server app/c state maint")
    before = proxy.admin()
    error = fails("capacity_floor", proxy.balancer(), ["a"], "drained", min_healthy=1)
    assert error.details["healthy"] == {"before": 1, "after": 0, "floor": 1, "fleet": 3} and proxy.admin() == before
    # Those two take nothing away, and c was out before us.
    gone = run(proxy.balancer(), ["b", "c"], "drained", min_healthy=1)
    assert (gone["members"]["b"]["before"], gone["members"]["c"]["before"], gone["members"]["c"]["taken"]) == (
        "in",
        "out",
        [],
    )


def test_a_floor_waits_a_moment_for_who_is_coming_back(proxy: Proxy, apps: dict[str, App]) -> None:
    apps["b"].health = 503
    until(lambda: proxy.stat("b")["status"] == "DOWN", "b goes down")
    threading.Timer(0.7, setattr, (apps["b"], "health", 200)).start()
    assert run(proxy.balancer(), ["a"], "drained", min_healthy=2)["changed"]


@pytest.mark.parametrize(
    ("backend", "member", "said"),
    [("app", "zz", "backend app has no server zz"), ("nope", "a", "there is no backend nope with servers")],
)
def test_unknown_to_the_balancer(proxy: Proxy, backend: str, member: str, said: str) -> None:
    before = proxy.admin()
    for state in ("drained", "joined"):
        error = fails("member_unknown", proxy.balancer(backend), ["b", member] if backend == "app" else [member], state)
        assert said in error.message and error.details["members"][member]["left"] == "unknown"
    assert proxy.admin() == before


def test_a_server_has_the_name_of_a_host_that_is_called_otherwise(proxy: Proxy) -> None:
    before = proxy.admin()
    error = fails("member_unknown", proxy.balancer(), {"a": {"server": "zz"}}, "drained")
    assert error.details["members"]["a"]["left"] == "unknown"
    assert proxy.admin() == before


def test_a_socket_without_the_right_to_change(proxy: Proxy) -> None:
    error = fails("balancer_denied", proxy.balancer(address="127.0.0.1:%d" % proxy.readonly), ["a"], "drained")
    assert "level admin" in error.message


def test_one_of_two_balancers_dies_and_the_other_gets_the_server_back(
    proxy: Proxy, second: Proxy, apps: dict[str, App]
) -> None:
    found = [*places(proxy.balancer(), {"a": "a"}), *places(second.balancer(), {"a": "a"})]
    mover = Mover(found, Timing(20.0, 0.3, 0.05, patience=1.0, undo=2.0))
    plan = plan_drain(found, mover.look(), {"a"})
    response = get(proxy.port, "/stream")
    while not apps["a"].served:
        response = get(proxy.port, "/stream")
    threading.Timer(0.5, second.stop).start()
    with pytest.raises(BeamError) as caught:
        mover.drain(plan)
    assert caught.value.code == "balancer_unreachable" and proxy.admin()["app", "a"] == "0"
    assert caught.value.details["members"]["a"]["places"] == [found[1].label] and "NOT put back: a" in caught.value.why
    for app in apps.values():
        app.open.set()
    response.read()


def test_a_reload_that_forgets_is_noticed(proxy: Proxy, apps: dict[str, App]) -> None:
    response = get(proxy.port, "/stream")
    name = next(name for name, app in apps.items() if app.served)
    found = places(proxy.balancer(), {name: name})
    mover = Mover(found, Timing(20.0, 0.3, 0.05))
    plan = plan_drain(found, mover.look(), {name})
    threading.Timer(0.5, proxy.reload).start()
    with Clients(proxy.port, 2):
        result = mover.drain(plan)[name]
        assert result.after == "out" and proxy.admin()["app", name] == "1"
        served = len(apps[name].served)
        time.sleep(0.3)
        assert len(apps[name].served) == served
    apps[name].open.set()
    response.read()


@pytest.mark.parametrize(
    ("status", "delay", "said"), [(500, 0.0, "of the canary's"), (200, 0.15, "the canary answers after")]
)
def test_a_canary_that_does_worse(proxy: Proxy, apps: dict[str, App], status: int, delay: float, said: str) -> None:
    with Clients(proxy.port, 12):
        time.sleep(1.0)  # a past without fault, that must not hide it
        apps["a"].status, apps["a"].delay = status, delay
        began = time.monotonic()
        error = fails("canary_worse", proxy.balancer(), ["a"], "watched", bake=30.0, interval=0.2)
    assert said in error.why and time.monotonic() - began < 25
    assert error.details["comparison"]["verdict"] == "worse" and error.details["comparison"]["canary"]["requests"] >= 50


def test_a_canary_like_the_rest(proxy: Proxy) -> None:
    with Clients(proxy.port, 6):
        result = run(proxy.balancer(), ["a"], "watched", bake=4.0)
    assert (
        result["comparison"]["verdict"] == "same"
        and result["comparison"]["canary"]["requests"] > 50
        and not result["changed"]
    )


def test_mean_time_is_that_of_the_new_requests(proxy: Proxy, apps: dict[str, App]) -> None:
    """HAProxy tells a sliding mean: 200 requests of 40 ms after 1500 of nothing move it to 13 ms only."""
    from ansible_collections.alchemist.beam.plugins.module_utils._balancer.compare import mean_since

    for name in ("b", "c"):
        proxy.tell("set server app/%s state maint" % name)
    place = places(proxy.balancer(), {"a": "a"})[0]

    def send(count: int) -> t.Any:
        conn = http.client.HTTPConnection("127.0.0.1", proxy.port)
        for _unused in range(count):
            conn.request("GET", "/work")
            answer = conn.getresponse()
            answer.read()
            assert answer.status == 200
        return place.look()["a"].counters

    before = send(1500)
    apps["a"].delay = 0.04
    began = time.monotonic()
    after = send(200)
    measured = (time.monotonic() - began) * 1000 / 200  # 41, or more where the machine has other things to do
    mean = mean_since(before, after)
    assert after.requests - before.requests == 200 and mean is not None and after.response_ms < mean * 0.6
    assert 38 < mean and abs(mean - measured) < max(6, measured * 0.3)


def test_the_socket_is_gone() -> None:
    with pytest.raises(BeamError) as caught:
        Runtime("/nonexistent/haproxy.sock").ask("show stat")
    assert (
        caught.value.code == "balancer_unreachable"
        and "stats socket /nonexistent/haproxy.sock level admin" in caught.value.message
    )
