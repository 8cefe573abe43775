# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import builtins
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils import _aws
from ansible_collections.alchemist.beam.plugins.module_utils._aws import (
    BUSY,
    CREDENTIALS,
    DENIED,
    OPTION,
    REFUSED,
    UNREACHABLE,
    Limits,
    client_of,
    forget_sessions,
    make_client,
    read_ahead,
    said,
    shared_sessions,
)
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

LIMITS = Limits(1, 1, 1)


class Answer(Exception):
    def __init__(self, code: str, status: int = 400, message: str = "no") -> None:
        self.response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("Throttling", 400, BUSY),
        ("RequestLimitExceeded", 503, BUSY),
        ("Anything", 502, BUSY),
        ("Anything", 429, BUSY),
        ("503", 0, BUSY),
        ("ExpiredToken", 403, CREDENTIALS),  # the word counts more than the status
        ("RequestTimeTooSkewed", 403, CREDENTIALS),
        ("SignatureDoesNotMatch", 403, CREDENTIALS),
        ("AccessDenied", 400, DENIED),
        ("Anything", 403, DENIED),
        ("403", 0, DENIED),
        ("ValidationError", 400, REFUSED),
        ("", 400, REFUSED),
    ],
)
def test_what_an_answer_means(code: str, status: int, kind: str) -> None:
    found = said(Answer(code, status))
    assert found is not None and (found.kind, found.code) == (kind, code)
    assert found.why == ("%s: no" % code if code else "no")


def test_what_is_not_an_answer() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    cases: list[tuple[BaseException, str]] = [
        (exceptions.NoCredentialsError(), CREDENTIALS),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), UNREACHABLE),
        (exceptions.ReadTimeoutError(endpoint_url="http://x"), UNREACHABLE),
        (exceptions.NoRegionError(), OPTION),
        (OSError("no route"), UNREACHABLE),
    ]
    for exc, kind in cases:
        found = said(exc)
        assert found is not None and (found.kind, found.code) == (kind, ""), exc
    assert said(KeyError("a bug")) is None


def test_a_long_text_is_cut() -> None:
    found = said(Answer("X", message="y" * 5000))
    assert found is not None and len(found.text) == 300


def test_without_boto3_it_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_botocore(name: str, *rest: t.Any) -> t.Any:
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_botocore)
    with pytest.raises(BeamError) as caught:
        make_client("ec2", {}, LIMITS, "it can't be used")
    assert caught.value.code == "boto3_missing" and caught.value.what == "it can't be used"


def test_options_that_make_no_client_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for options in (
        {"profile": "nobody-has-this-one", "region": "eu-central-1"},
        {"endpoint_url": "not a url", "region": "eu-central-1"},
    ):
        with pytest.raises(BeamError) as caught:
            make_client("ec2", options, LIMITS, "it can't be used", "balancer_option", "Mend it")
        assert caught.value.code == "balancer_option" and caught.value.why and caught.value.hint == "Mend it"


def test_sessions_are_shared_only_where_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[t.Any] = []

    class Session:
        def __init__(self, profile: t.Any) -> None:
            made.append(self)

        def get_config_variable(self, _name: str) -> None:
            return None

        def register_component(self, _name: str, component: t.Any) -> None:
            self.loader = component

        def create_client(self, service: str) -> tuple[t.Any, str]:
            return self, service

    monkeypatch.setattr("botocore.session.Session", Session)
    assert client_of("s3", None) == (made[0], "s3") and client_of("s3", None) == (made[1], "s3")
    with shared_sessions():
        assert [client_of(name, None) for name in ("s3", "ssm")] == [(made[2], "s3"), (made[2], "ssm")]
        assert client_of("s3", "other")[0] is made[3]
        forget_sessions()
        assert client_of("s3", None)[0] is made[4]
    assert client_of("s3", None)[0] is made[5]
    forget_sessions()  # nothing is shared, so there is nothing to forget
    assert made[0].loader is made[5].loader  # what botocore knows of services is no session's


def test_what_was_read_ahead_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ansible-playbook forked has it already; another path of data has a loader of its own."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    read_ahead("s3")
    monkeypatch.setattr("botocore.loaders.json", None)
    assert client_of("s3", None, region_name="eu-central-1", endpoint_url="http://127.0.0.1:1", **keys)
    monkeypatch.setenv("AWS_DATA_PATH", "/nowhere")
    with pytest.raises(AttributeError):
        client_of("s3", None, region_name="eu-central-1", **keys)


class Service:
    """answers: one after the other; the last one for ever."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers, self.asked = list(answers), 0

    def describe(self) -> t.Any:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No pause is made: the longest that it may be is kept."""
    found: list[float] = []
    monkeypatch.setattr("%s.random.uniform" % _aws.__name__, lambda _least, most: most)
    monkeypatch.setattr("%s.time.sleep" % _aws.__name__, found.append)
    return found


def ask(service: Service, limits: Limits) -> t.Any:
    return _aws.ask(service, "describe", limits, {}, lambda exc: None)


def test_what_passes_is_tried_again(pauses: list[float]) -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    away = exceptions.EndpointConnectionError(endpoint_url="http://x")
    service = Service(Answer("Throttling"), Answer("Anything", 503), away, {"found": True})
    assert ask(service, Limits(5, 20, 5)) == {"found": True} and service.asked == 4 and pauses == [1, 2, 4]


@pytest.mark.parametrize(
    ("answer", "attempts", "asked"),
    [
        (Answer("Throttling"), 3, 3),
        (Answer("Throttling"), 1, 1),
        (Answer("ValidationError"), 5, 1),
        (Answer("AccessDenied"), 5, 1),
        (Answer("ExpiredToken", 403), 5, 1),
        (ZeroDivisionError(), 5, 1),
    ],
)
def test_what_does_not_pass_is_not(answer: Exception, attempts: int, asked: int, pauses: list[float]) -> None:
    service = Service(answer)
    with pytest.raises(type(answer)):
        ask(service, Limits(5, 20, attempts))
    assert service.asked == asked and len(pauses) == asked - 1


def test_a_pause_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own would sleep on, for up to eight seconds before the last of five tries."""
    monkeypatch.setattr("%s.random.uniform" % _aws.__name__, lambda _least, most: 8.0)
    begun = time.monotonic()
    with pytest.raises(Answer):
        ask(Service(Answer("Throttling")), Limits(0.02, 0.02, 5))
    assert time.monotonic() - begun < 2
