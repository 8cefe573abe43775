# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import (
    Answer,
    Health,
    HttpCheck,
    Outcome,
    Passes,
    TcpCheck,
    Verdict,
    check_expression,
    gate,
    judge_http,
    probe_http,
    probe_tcp,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import HEALTH_SPEC, health_of

URL = "http://127.0.0.1:4000/health"


def body(value: t.Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("check", "answer", "ok", "words"),
    [
        ({}, Answer(200, b"anything"), True, "answers 200"),
        ({}, Answer(503, b""), False, "answers 503"),
        ({}, Answer(503, b'{"ready":\n false}'), False, 'answers 503: {"ready": false}'),
        ({}, Answer(500, b"<html><style>a {}</style><h1>Not\x00 here</h1></html>"), False, "answers 500: Not here"),
        ({}, Answer(500, b"word " * 100), False, "word word …"),
        ({"json": {"a": 1}}, Answer(200, b'{"b": 2}'), False, 'has no a in its answer: {"b": 2}'),
        ({}, Answer(302, b"", "http://x/"), False, "a redirect to http://x/"),
        ({}, Answer(301, b""), False, "a redirect to nowhere"),
        ({"status": (200, 302)}, Answer(302, b"", "http://x/"), True, "answers 302"),
        ({"json": {"ready": True}}, Answer(200, body({"ready": True})), True, "as wanted"),
        ({"json": {"ready": "True"}}, Answer(200, body({"ready": True})), True, "as wanted"),
        ({"json": {"n": "1"}}, Answer(200, body({"n": 1})), True, "as wanted"),
        ({"json": {"n": 1}}, Answer(200, body({"n": 1.5})), False, "says n is 1.5, not 1"),
        ({"json": {"v": None}}, Answer(200, body({"v": None})), True, "as wanted"),
        ({"json": {"version": "2"}}, Answer(200, body({"version": "1"})), False, "says version is 1, not 2"),
        ({"json": {"version": "2"}}, Answer(200, body({})), False, "has no version"),
        ({"json": {"a.b": 1}}, Answer(200, body({"a": {"b": 1}})), True, "as wanted"),
        ({"json": {"a.b": 1}}, Answer(200, body({"a.b": 1})), True, "as wanted"),
        ({"json": {"a.1.c": "x"}}, Answer(200, body({"a": [{}, {"c": "x"}]})), True, "as wanted"),
        ({"json": {"a.7": 1}}, Answer(200, body({"a": []})), False, "has no a.7"),
        ({"json": {"a": 1}}, Answer(200, b"<html>"), False, "not JSON"),
        ({"json": {"a": 1}}, Answer(200, b"\xff"), False, "not JSON"),
        ({"json": {"a": 1}}, Answer(200, b"[" * 100000), False, "not JSON"),
        ({"json": {"a": [1, {"b": 2}]}}, Answer(200, body({"a": [1, {"b": 2}]})), True, "as wanted"),
        (
            {"jmespath": "checks[?ok == `false`] | length(@) == `0`"},
            Answer(200, body({"checks": [{"ok": True}]})),
            True,
            "as wanted",
        ),
        ({"jmespath": "ready"}, Answer(200, body({"ready": False})), False, "does not satisfy ready"),
    ],
)
def test_judge_http(check: dict[str, t.Any], answer: Answer, ok: bool, words: str) -> None:
    pytest.importorskip("jmespath") if "jmespath" in check else None
    verdict = judge_http(HttpCheck(URL, **check), answer)
    assert verdict.ok is ok and words in verdict.reason


def test_jmespath_is_named_when_it_is_missing_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.modules.get("jmespath") or pytest.importorskip("jmespath"):
        with pytest.raises(BeamError, match="Cannot evaluate health.http.jmespath"):
            check_expression(HttpCheck(URL, jmespath="a[["))
    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(BeamError, match="not installed"):
        check_expression(HttpCheck(URL, jmespath="a"))


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:4000/health",
        "file:///etc/passwd",
        "http:///health",
        "ftp://x/",
        "http://[x/",
        "http://h:0/",
        "http://h:a/",
        "http://h/a b",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(BeamError, match="health URL"):
        check_expression(HttpCheck(url))


@pytest.mark.parametrize(
    "url", ["http://user:pass-word@127.0.0.1/health", "https://pass-word@h/", "http://:pass-word@h/"]
)
def test_a_url_with_credentials_is_refused_without_them(url: str) -> None:
    with pytest.raises(BeamError, match="holds credentials") as caught:
        check_expression(HttpCheck(url))
    assert "pass-word" not in caught.value.message and "headers" in caught.value.hint


def test_passes_begin_again_after_a_failure() -> None:
    passes = Passes(3)
    assert [passes.feed(ok) for ok in (True, True, False, True, True, True)] == [False] * 5 + [True]
    assert (passes.attempts, passes.failures) == (6, 1)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(health: Health, answers: str, deaths: t.Sequence[float] = (), cost: float = 0.0) -> tuple[Outcome, Time]:
    """Answers: one character a probe, + or -, of which the last goes on for ever; broken after each of `deaths`."""
    time = Time()
    left = list(answers)

    def probe() -> Verdict:
        time.now += cost
        sign = left.pop(0) if len(left) > 1 else left[0]
        return Verdict(sign == "+", "good" if sign == "+" else "bad")

    def broken() -> str:
        return "dead" if any(time.now >= death for death in deaths) else ""

    return gate(health, {"probe": probe}, broken, time.clock, time.sleep), time


@pytest.mark.parametrize(
    ("answers", "health", "passed", "reason"),
    [
        ("+", {}, True, "healthy"),
        ("--+", {}, True, "healthy"),
        ("-", {}, False, "bad"),
        ("+-", {"passes": 2}, False, "bad"),
        ("+-" * 100, {"passes": 2}, False, "passed 1 times in a row, not 2, within 10 s; before that: bad"),
        ("++-", {"passes": 2}, True, "healthy"),
        ("++-", {"passes": 2, "stable": 3}, False, "was healthy, then not any more: bad"),
        ("+", {"passes": 100, "within": 2.0, "interval": 0.5}, False, "passed 5 times in a row, not 100, within 2 s"),
    ],
)
def test_gate(answers: str, health: dict[str, t.Any], passed: bool, reason: str) -> None:
    outcome, time = run(Health(**{"interval": 0.5, "within": 10.0, **health}), answers)
    assert (outcome.passed, outcome.reason) == (passed, reason)
    assert time.now - 100 <= 10 + health.get("stable", 0) + 3


def test_the_outage_ends_with_the_first_of_the_passes_in_a_row() -> None:
    outcome, _time = run(Health(passes=3, interval=1.0, within=60), "-+-+++")
    # 0.1 s after each failure, a second after each pass
    assert outcome.passed and outcome.first_pass == pytest.approx(101.2)


def test_a_dead_process_ends_the_gate_at_once() -> None:
    outcome, time = run(Health(passes=3, within=60), "-", deaths=[101.0])
    assert not outcome.passed and outcome.reason == "dead" and time.now < 102


def test_a_process_that_dies_while_it_ought_to_be_stable() -> None:
    outcome, time = run(Health(passes=1, stable=10), "+", deaths=[105.0])
    assert not outcome.passed and outcome.reason == "dead" and time.now < 106
    # It had closed its socket before it died: the better reason is waited for.
    outcome, time = run(Health(passes=1, stable=10), "++-", deaths=[102.5])
    assert outcome.reason == "dead"


def test_healthy_answers_while_the_process_changes_are_not_health() -> None:
    outcome, _time = run(Health(passes=1), "+", deaths=[100.05], cost=0.1)
    assert not outcome.passed and outcome.reason == "dead"


def test_all_checks_must_pass_in_one_round() -> None:
    time = Time()
    turn = iter([True, False] * 100)
    probes = {"one": lambda: Verdict(next(turn), "one"), "two": lambda: Verdict(next(turn), "two")}
    outcome = gate(Health(passes=1, within=2), probes, lambda: "", time.clock, time.sleep)
    assert not outcome.passed and set(outcome.checks) == {"one", "two"}


def defaults(options: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    out: dict[str, t.Any] = {}
    for key, spec in options.items():
        value = given.get(key, spec.get("default"))
        out[key] = defaults(spec["options"], value) if isinstance(value, dict) and "options" in spec else value
    return out


def test_health_of() -> None:
    assert health_of(None) == Health() and Health().empty
    given = {
        "http": {"url": URL, "json": {"a": 1}, "headers": {"x": 1}},
        "tcp": {"port": 1},
        "node": {"applications": ["a"]},
        "passes": 2,
    }
    health = health_of(defaults(HEALTH_SPEC["options"], given))
    assert health.http == HttpCheck(URL, json={"a": 1}, headers={"x": "1"}) and health.tcp == TcpCheck(1)
    assert (
        health.node is not None and health.node.applications == ("a",) and (health.passes, health.within) == (2, 60.0)
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"passes": 0}, "health.passes"),
        ({"within": 0}, "health.within"),
        ({"interval": 0}, "health.interval"),
        ({"stable": -1}, "health.stable"),
        ({"http": {"url": URL, "timeout": 0}}, "health.http.timeout"),
        ({"tcp": {"port": 1, "timeout": -1}}, "health.tcp.timeout"),
        ({"http": {"url": "x"}}, "health URL"),
    ],
)
def test_health_of_refuses(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(BeamError, match=words):
        health_of(defaults(HEALTH_SPEC["options"], given))


def test_nobody_listens() -> None:
    assert "Connection refused" in probe_http(HttpCheck("http://127.0.0.1:1/", timeout=1)).reason
    assert "Connection refused" in probe_tcp(TcpCheck(1, timeout=1)).reason
    assert not probe_http(HttpCheck("http://no-such-host.invalid/", timeout=1)).ok
