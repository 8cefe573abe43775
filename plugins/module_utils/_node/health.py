# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Is the node healthy? Probes do the asking, verdicts and the counting of passes are pure.

A single good answer proves nothing: an application may flap, answer before it is ready, or be another one on the same port. So a
gate wants several passes in a row within a time, then quiet for a while, and the process identity checked all along by its caller.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import time
import typing as t
from dataclasses import dataclass, field

from .._deadline import TIMEOUTS, Limit, connect, http_connection, http_parts
from .._errors import BeamError
from .._json import parse_json
from .boot_words import cut

MAX_BODY = 1 << 20
LAST_ROUND = 0.5  # seconds
SHOWN = 200  # characters shown of a wrong answer
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    ok: bool
    reason: str


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    location: str = ""


@dataclass(frozen=True)
class HttpCheck:
    url: str
    status: tuple[int, ...] = (200,)
    json: t.Mapping[str, t.Any] = field(default_factory=dict)
    jmespath: str = ""
    headers: t.Mapping[str, str] = field(default_factory=dict)
    timeout: float = 2.0
    validate_certs: bool = True


@dataclass(frozen=True)
class TcpCheck:
    port: int
    host: str = "127.0.0.1"
    timeout: float = 2.0


@dataclass(frozen=True)
class NodeCheck:
    applications: tuple[str, ...] = ()
    timeout: float = 2.0
    connected: int = 0  # other nodes that it must be connected to
    rejoin: bool = False  # whether it must be connected again to those it was connected to before

    @property
    def gathers(self) -> bool:
        """Whether the node is one of a cluster."""
        return self.connected > 0 or self.rejoin


BOOTED = NodeCheck()


@dataclass(frozen=True)
class Health:
    http: t.Optional[HttpCheck] = None
    tcp: t.Optional[TcpCheck] = None
    node: t.Optional[NodeCheck] = None
    passes: int = 3
    interval: float = 0.5
    within: float = 60.0
    stable: float = 0.0

    @property
    def empty(self) -> bool:
        return not (self.http or self.tcp or self.node)


@dataclass
class Passes:
    """Counts passes in a row. One failure begins again from nothing."""

    wanted: int
    row: int = 0
    attempts: int = 0
    failures: int = 0

    def feed(self, ok: bool) -> bool:
        self.attempts += 1
        self.failures += not ok
        self.row = self.row + 1 if ok else 0
        return self.row >= self.wanted


def _plain(value: t.Any) -> str:
    """Options pass through templates and become text: 1 and "1", true and "True" are meant alike."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.lower() if value.lower() in ("true", "false") else value
    if value is None:
        return "null"
    return json.dumps(value, sort_keys=True)


_MISSING = object()


def lookup(document: t.Any, path: str) -> t.Any:
    """The value of a key, or of a dotted path through objects and lists."""
    if isinstance(document, dict) and path in document:
        return document[path]
    here = document
    for part in path.split("."):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return _MISSING
    return here


def excerpt(body: bytes) -> str:
    """The first part of what an answer says, of a page its words; behind a colon, or nothing."""
    text = body[:8192].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = _MARKUP.sub(" ", text)
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return ": %s" % cut(text, SHOWN) if text else ""


def judge_http(check: HttpCheck, answer: Answer) -> Verdict:
    """The judgement of an answer. Pure, except for a jmespath expression of the user."""
    if answer.status not in check.status:
        if 300 <= answer.status < 400:
            return Verdict(
                False,
                "answers %d, a redirect to %s: give the URL it leads to"
                % (answer.status, answer.location or "nowhere"),
            )
        return Verdict(False, "answers %d%s" % (answer.status, excerpt(answer.body)))
    if not check.json and not check.jmespath:
        return Verdict(True, "answers %d" % answer.status)
    try:
        document = parse_json(answer.body.decode("utf-8"))
    except ValueError:
        return Verdict(False, "answers %d with a body that is not JSON%s" % (answer.status, excerpt(answer.body)))
    for path, wanted in check.json.items():
        got = lookup(document, path)
        if got is _MISSING:
            return Verdict(False, "has no %s in its answer%s" % (path, excerpt(answer.body)))
        if _plain(got) != _plain(wanted):
            return Verdict(False, "says %s is %s, not %s" % (path, _plain(got)[:80], _plain(wanted)[:80]))
    if check.jmespath and not _jmespath().search(check.jmespath, document):
        return Verdict(False, "does not satisfy %s%s" % (check.jmespath, excerpt(answer.body)))
    return Verdict(True, "answers %d as wanted" % answer.status)


def _jmespath() -> t.Any:
    try:
        import jmespath
    except ImportError:
        raise BeamError(
            "jmespath_missing",
            "Cannot evaluate health.http.jmespath",
            "the Python library jmespath is not installed on this host",
            "Install it, or use health.http.json, which needs none",
        ) from None
    return jmespath


def check_expression(check: HttpCheck) -> None:
    """Refuse a bad URL or expression before anything is stopped for it."""
    try:
        parts = http_parts(check.url)
    except ValueError as exc:
        raise BeamError(
            "health_url_invalid", "Cannot use the health URL %s" % check.url, str(exc), "Correct it"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise BeamError(
            "health_url_invalid",
            "Cannot use the health URL",
            "it holds credentials, which would show up in results and reports, and which no check sends",
            'Take them out of health.http.url (in an inventory beam_health), and give headers: {Authorization: "Basic ..."} beside it',
        )
    if check.jmespath:
        library = _jmespath()
        try:
            library.compile(check.jmespath)
        except library.exceptions.JMESPathError as exc:
            raise BeamError(
                "jmespath_invalid", "Cannot evaluate health.http.jmespath", str(exc), "Correct the expression"
            ) from None


def ask_http(check: HttpCheck) -> Answer:
    """One GET, redirects not followed, no proxy, the body up to a limit."""
    parts = http_parts(check.url)
    context: t.Optional[ssl.SSLContext] = None
    if parts.scheme == "https":
        context = ssl.create_default_context() if check.validate_certs else ssl._create_unverified_context()
    conn = http_connection(parts.scheme, str(parts.hostname), parts.port, None, context)
    try:
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        conn.request(
            "GET",
            path,
            headers={"User-Agent": "alchemist.beam", "Accept": "*/*", "Connection": "close", **check.headers},
        )
        response = conn.getresponse()
        body = response.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise ValueError("sends more than %d bytes" % MAX_BODY)
        return Answer(response.status, body, response.getheader("Location") or "")
    finally:
        conn.close()


def probe_http(check: HttpCheck) -> Verdict:
    where, limit = "%s " % check.url, Limit(check.timeout)
    try:
        with limit:
            verdict = judge_http(check, ask_http(check))
    except TIMEOUTS:
        return Verdict(False, where + "does not answer within %g s" % round(limit.seconds, 1))
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return Verdict(False, where + "fails: %s" % (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__))
    return Verdict(verdict.ok, where + verdict.reason)


def probe_tcp(check: TcpCheck) -> Verdict:
    where, limit = "%s:%d " % (check.host, check.port), Limit(check.timeout)
    try:
        with limit, connect(check.host, check.port):
            return Verdict(True, where + "accepts connections")
    except TIMEOUTS:
        return Verdict(False, where + "does not answer within %g s" % round(limit.seconds, 1))
    except OSError as exc:
        return Verdict(False, where + "fails: %s" % (exc.strerror or exc))


@dataclass(frozen=True)
class Outcome:
    """What came of a gate."""

    passed: bool
    reason: str
    attempts: int
    failures: int
    seconds: float
    first_pass: t.Optional[float]  # monotonic time of the first probe that passed
    checks: t.Mapping[str, str]

    def facts(self) -> dict[str, t.Any]:
        return {
            "passed": self.passed,
            "reason": self.reason,
            "attempts": self.attempts,
            "failures": self.failures,
            "seconds": round(self.seconds, 3),
            "checks": dict(self.checks),
        }


def gate(
    health: Health,
    probes: t.Mapping[str, t.Callable[[], Verdict]],
    broken: t.Callable[[], str],
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> Outcome:
    """Probe until enough passes in a row, then stay quiet for `stable` seconds. `broken` names what ends all hope: the process died."""
    start = clock()
    passes = Passes(health.passes)
    first: t.Optional[float] = None
    last: dict[str, str] = {}
    worst = ""

    def end(passed: bool, reason: str) -> Outcome:
        return Outcome(passed, reason, passes.attempts, passes.failures, clock() - start, first, last)

    def probe() -> tuple[bool, str]:
        bad = ""
        # Once it is healthy, each probe has the limit of its own. Until then, even the last round has the time that a healthy node takes to answer.
        gated = passes.row < passes.wanted
        limit: t.ContextManager[t.Any] = (
            Limit(max(LAST_ROUND, start + health.within - clock())) if gated else contextlib.nullcontext()
        )
        with limit:
            for name, ask in probes.items():
                verdict = ask()
                last[name] = verdict.reason
                if not verdict.ok and not bad:
                    bad = verdict.reason
        return not bad, bad

    while True:
        reason = broken()
        if reason:
            return end(False, reason)
        ok, bad = probe()
        if ok and first is None:
            first = clock()
        if passes.feed(ok):
            break
        if not ok:
            first, worst = None, bad  # what came before was not health yet
        # Before the first pass, look often: what is measured is the outage, not our interval.
        pause = health.interval if ok else min(health.interval, 0.1)
        if clock() + pause - start > health.within:
            if not passes.row:
                return end(False, bad)
            why = "passed %d times in a row, not %d, within %g s" % (passes.row, health.passes, health.within)
            return end(False, why + ("; before that: %s" % worst if worst else ""))
        sleep(pause)
    quiet = clock() + health.stable
    while clock() < quiet:
        sleep(min(max(health.interval, 0.1), max(0.0, quiet - clock())))
        reason = broken()
        if reason:
            return end(False, reason)
        ok, bad = probe()
        passes.feed(ok)
        if not ok:
            # A dying VM has closed its sockets already: the cause of its death is the better reason.
            for _unused in range(10):
                sleep(0.2)
                reason = broken()
                if reason:
                    break
            return end(False, reason or "was healthy, then not any more: %s" % bad)
    reason = broken()
    return end(not reason, reason or "healthy")
