# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""AWS by botocore: what all parts that speak to it agree on, and the only place that knows the words of its failures. Each part makes its own error of
what was said. The store speaks S3, whose words are others (_store/s3_errors.py).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import random
import sys
import threading
import time
import types
import typing as t

from . import _deadline
from ._errors import BeamError

# The options of every module that speaks to AWS. Documented by the doc fragment alchemist.beam.aws.
AWS_SPEC: dict[str, dict[str, t.Any]] = {
    "region": {"type": "str", "aliases": ["aws_region", "ec2_region"]},
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url"]},
    "profile": {"type": "str", "aliases": ["aws_profile"]},
    "access_key": {"type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"type": "str", "aliases": ["aws_session_token"], "no_log": True},
}
INSTALL = "Install boto3 where the task runs; a virtual environment that ansible_python_interpreter names will do"

BUSY, CREDENTIALS, DENIED, REFUSED, UNREACHABLE, OPTION = (
    "busy",
    "credentials",
    "denied",
    "refused",
    "unreachable",
    "option",
)
_CODES: dict[str, frozenset[str]] = {
    BUSY: frozenset(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "RequestTimeout",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "InternalFailure",
            "InternalError",
            "InternalServerError",
            "InternalServiceError",
            "ResourceContention",
            "ResourceContentionFault",
        )
    ),
    CREDENTIALS: frozenset(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "InvalidToken",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "UnrecognizedClientException",
            "MissingAuthenticationToken",
            "InvalidAccessKeyId",
            "AuthFailure",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "IncompleteSignature",
        )
    ),
    DENIED: frozenset(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OperationNotPermitted", "Forbidden")
    ),
}
# Of botocore's exceptions, by their classes or one of the parents': botocore need not be there to be understood.
_CLASSES: dict[str, frozenset[str]] = {
    CREDENTIALS: frozenset(
        (
            "NoCredentialsError",
            "PartialCredentialsError",
            "CredentialRetrievalError",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
        )
    ),
    UNREACHABLE: frozenset(
        (
            "HTTPClientError",
            "ConnectionError",
            "OSError",
            "ConnectionClosedError",
            "ReadTimeoutError",
            "ConnectTimeoutError",
            "ResponseParserError",
        )
    ),
    OPTION: frozenset(("BotoCoreError",)),
}

# Network failures that botocore would try again.
_TRANSIENT = frozenset(("HTTPClientError", "ConnectionError"))

# Whatever these raise about an answer that has come is the answer's fault.
_PARSERS = frozenset(("botocore", "dateutil", "xml", "http", "urllib3", "email", "json", "datetime"))


T = t.TypeVar("T")


class Said(t.NamedTuple):
    """What a failure means: one of the kinds above; the service's own word for it, if it answered; and its text."""

    kind: str
    code: str
    text: str

    @property
    def why(self) -> str:
        return "%s: %s" % (self.code, self.text) if self.code else self.text


def code_of(exc: BaseException) -> str:
    """The word of the service, where there was an answer."""
    response = getattr(exc, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def said(exc: BaseException) -> t.Optional[Said]:
    """None for what is no error of AWS or the way there, that is: a bug."""
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        code, text = code_of(exc), str(response.get("Error", {}).get("Message", ""))[:300]
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        status = int(code) if code.isdigit() else status  # an answer without a body
        # A word that is known counts more than the status: AWS says 400 with most of them.
        for kind, codes in _CODES.items():
            if code in codes:
                return Said(kind, code, text)
        return Said(BUSY if status == 429 or status >= 500 else DENIED if status == 403 else REFUSED, code, text)
    names = {cls.__name__ for cls in type(exc).__mro__}
    for kind, classes in _CLASSES.items():
        if names & classes:
            return Said(kind, "", str(exc)[:300])
    return None


class Limits(t.NamedTuple):
    """Seconds for a connection and for an answer, and how often a call is tried: once, where the caller has a deadline over all requests."""

    connect: float
    read: float
    attempts: int

    @property
    def total(self) -> float:
        """For one call, whatever the server does meanwhile."""
        return (self.connect + self.read) * self.attempts


class TooLate(ConnectionError):
    """A call was ended by its limit."""


@contextlib.contextmanager
def _within(limits: Limits) -> t.Iterator[_deadline.Limit]:
    """All that happens meanwhile, such as asking for credentials, has one limit."""
    with _deadline.Limit(limits.total) as limit:
        try:
            _deadline.time_left(None)  # what never waits for long, such as page after page, ends here
            yield limit
        except Exception as exc:
            if limit.cut:
                raise TooLate(limit.why) from exc
            raise


def ask(
    client: t.Any,
    operation: str,
    limits: Limits,
    parameters: t.Mapping[str, t.Any],
    refuse: t.Callable[[Exception], t.Optional[BeamError]],
) -> t.Any:
    """The answer to one call. refuse: makes the caller's own error of a NoAnswer, where a part is missing that is asked for later."""
    with _within(limits) as limit:
        try:
            answer = _tried(functools.partial(getattr(client, operation), **parameters), limits.attempts, limit)
        except Exception as exc:
            why = refused_by_parser(exc)
            if why:
                raise NoAnswer("%s gave an answer that can't be parsed (%s)" % (limit.server, why)) from exc
            raise
    return _checked(answer, limit.server, refuse)


def _tried(call: t.Callable[[], T], attempts: int, limit: _deadline.Limit, tried: int = 1) -> T:
    """What passes is tried again, after pauses that become longer. Some versions of botocore sleep for seconds between theirs, whatever time is left."""
    try:
        return call()
    except Exception as exc:
        if tried >= attempts or limit.cut or limit.left() <= 0 or not _passes(exc):
            raise
    time.sleep(max(0.0, min(limit.left(), random.uniform(0, 2 ** (tried - 1)))))
    return _tried(call, attempts, limit, tried + 1)


def _passes(exc: Exception) -> bool:
    """Whether the next try may go well: the service is busy, or the way to it failed."""
    known = said(exc)
    return known is not None and (
        known.kind == BUSY or bool(_TRANSIENT & {cls.__name__ for cls in type(exc).__mro__} and not known.code)
    )


class NoAnswer(ConnectionError):
    """What answers there is not the service."""


class _Answer(dict[str, t.Any]):
    """A part of an answer. One that is not there is an error that names the server."""

    def __init__(
        self, parts: t.Mapping[str, t.Any], server: str, refuse: t.Callable[[Exception], t.Optional[BeamError]]
    ) -> None:
        super().__init__(parts)
        self._server, self._refuse = server, refuse

    def __missing__(self, key: str) -> t.NoReturn:
        missing = NoAnswer("%s gave an answer without %s" % (self._server, key))
        raise self._refuse(missing) or missing


def _checked(answer: t.Any, server: str, refuse: t.Callable[[Exception], t.Optional[BeamError]]) -> t.Any:
    if isinstance(answer, dict):
        return _Answer({key: _checked(value, server, refuse) for key, value in answer.items()}, server, refuse)
    return [_checked(one, server, refuse) for one in answer] if isinstance(answer, list) else answer


def refused_by_parser(exc: BaseException) -> str:
    """Why a library could not make sense of an answer; "" for what went wrong elsewhere, that is: a bug of ours."""
    if not isinstance(
        exc,
        (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            IndexError,
            AssertionError,
            RuntimeError,
        ),
    ):
        return ""
    trace: t.Optional[types.TracebackType] = exc.__traceback__
    names = []
    while trace is not None:
        names.append(str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        trace = trace.tb_next
    if isinstance(exc, RecursionError):  # such as of redirects that never end: it can happen anywhere below
        return "it leads round in a circle" if _PARSERS.intersection(names) else ""
    return "%s: %s" % (type(exc).__name__, str(exc)[:200]) if names and names[-1] in _PARSERS else ""


_sessions: t.Optional[dict[t.Optional[str], t.Any]] = None
_making = threading.Lock()  # a session makes one client at a time


@contextlib.contextmanager
def shared_sessions() -> t.Iterator[None]:
    """All clients made meanwhile, the store's too, share what a session reads once: botocore's data on regions, and the credentials of the instance."""
    global _sessions
    before, _sessions = _sessions, {}
    try:
        yield
    finally:
        _sessions = before


def forget_sessions() -> None:
    """The next client gets its credentials anew: those at hand were refused."""
    if _sessions:
        _sessions.clear()


def client_of(service: str, profile: t.Optional[str], **parameters: t.Any) -> t.Any:
    """botocore's create_client, with its errors."""
    import botocore.session

    guard_connections()
    with _making:
        sessions = {} if _sessions is None else _sessions
        if profile not in sessions:
            session = botocore.session.Session(profile=profile)
            session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
            sessions[profile] = session
        return sessions[profile].create_client(service, **parameters)


@functools.cache
def _loader(data_path: t.Optional[str]) -> t.Any:
    """What botocore knows of services and regions is read once in a process, and not for each client: it takes ten times what the rest of a client does."""
    import botocore.loaders

    return botocore.loaders.create_loader(data_path)


def read_ahead(service: str) -> None:
    """Reads what a client needs, so that processes that are forked later need not read it themselves. Without botocore, or with another one, they do."""
    try:
        importlib.import_module("botocore.client")
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return
    loader = _loader(None)
    with contextlib.suppress(BotoCoreError):
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
        for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
            loader.load_data(name)


@functools.cache
def guard_connections() -> None:
    """Every connection that botocore makes from now on keeps to the limit around it, those for credentials, too."""
    import botocore.awsrequest
    from urllib3 import exceptions

    class Guarded:
        def _new_conn(self) -> t.Any:
            this = t.cast(t.Any, self)
            timeout = this.timeout if isinstance(this.timeout, (int, float)) else None
            try:
                return _deadline.connect(
                    this._dns_host, this.port, timeout, this.source_address, this.socket_options or ()
                )
            except _deadline.TIMEOUTS as exc:
                raise exceptions.ConnectTimeoutError(this, "Connection to %s timed out" % this.host) from exc
            except OSError as exc:
                raise exceptions.NewConnectionError(this, "Failed to establish a new connection: %s" % exc) from exc

        def connect(self) -> None:
            this = t.cast(t.Any, self)
            context = getattr(this, "ssl_context", None)
            if context is not None:
                context.sslsocket_class = _deadline.TlsSocket
            super().connect()  # type: ignore[misc]
            if isinstance(this.sock, _deadline.TlsSocket):
                this.sock.server = "%s:%s" % (this.host, this.port)

    awsrequest: t.Any = botocore.awsrequest
    for pool in (awsrequest.AWSHTTPConnectionPool, awsrequest.AWSHTTPSConnectionPool):
        pool.ConnectionCls = type(pool.ConnectionCls.__name__, (Guarded, pool.ConnectionCls), {})


def make_client(
    service: str,
    options: t.Mapping[str, t.Any],
    limits: Limits,
    what: str,
    code: str = "aws_option",
    hint: str = "Check profile, region and endpoint_url",
    install: str = INSTALL,
) -> t.Any:
    """options: those of AWS_SPEC. what: what can't be done where they can't be used (then with this code and hint), or boto3 is not there.
    TooLate where what gives the credentials does not answer in time.
    """
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise BeamError("boto3_missing", what, "boto3 is not installed for %s" % sys.executable, install) from exc
    config = Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"total_max_attempts": 1, "mode": "standard"},  # see _tried
    )
    with _within(limits) as limit:
        try:
            client = client_of(
                service,
                options.get("profile") or None,
                region_name=options.get("region") or None,
                endpoint_url=options.get("endpoint_url") or None,
                config=config,
                aws_access_key_id=options.get("access_key") or None,
                aws_secret_access_key=options.get("secret_key") or None,
                aws_session_token=options.get("session_token") or None,
            )
        except (BotoCoreError, ValueError) as exc:
            raise BeamError(code, what, str(exc), hint) from exc
    if limit.cut:  # botocore goes on without the credentials that it was waiting for
        raise TooLate(limit.why)
    return client
