# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""AWS by botocore, which is imported only where it is needed: that alone costs more than all the rest of a boot with nothing to do."""

from __future__ import annotations

import datetime
import os
import sys
import typing as t
from email.utils import parsedate_to_datetime

from .._errors import BeamError
from .config import Aws

_BUSY = frozenset((
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded", "TooManyRequestsException", "RequestTimeout",
    "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "InternalError", "InternalServerError", "InternalServiceError",
    "ResourceContention", "ResourceContentionFault", "429", "500", "502", "503", "504",
))  # fmt: skip
_DENIED = frozenset(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OperationNotPermitted", "403", "Forbidden"))
_CREDENTIALS = frozenset((
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "MissingAuthenticationToken",
    "InvalidAccessKeyId", "AuthFailure", "IncompleteSignature", "InvalidToken",
))  # fmt: skip
# What a wrong clock looks like. SignatureDoesNotMatch is also said of a wrong key: the date of the answer tells them apart.
_CLOCK = frozenset(("RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"))
_SKEW = 60.0  # seconds of difference that are worth a correction
_shift = datetime.timedelta()


def use_metadata(url: str) -> None:
    """Where botocore, here and in the store, gets the instance's credentials from."""
    os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = url
    os.environ.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "2")
    os.environ.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3")


class Client:
    """One service. Any error is a BeamError, which keeps the code of the service in details["aws"]."""

    def __init__(self, service: str, options: Aws, region: str | None, client: t.Any = None, rights: str = "") -> None:
        self.service, self.rights = service, rights
        self._options, self._region = options, region
        self._client = client

    def call(self, operation: str, what: str, **parameters: t.Any) -> t.Any:
        if self._client is None:
            self._client = make_client(self.service, self._options, self._region)
        try:
            return getattr(self._client, operation)(**parameters)
        except Exception as exc:
            if _code(exc) in _CLOCK and follow_clock(exc):
                return self.call(operation, what, **parameters)
            error = translate(exc, "%s (%s)" % (what, self.service), self.rights)
            if error is None:
                raise
            self._client = None if error.code == "aws_credentials" else self._client
            raise error from exc


def make_client(service: str, options: Aws, region: str | None) -> t.Any:
    try:
        import botocore.session
        from botocore.config import Config as Settings
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise BeamError(
            "boto3_missing", "AWS %s can't be asked" % service, "botocore is not installed for %s" % sys.executable,
            "Use the bundle with aws: true, or install boto3 on this server",
        ) from exc  # fmt: skip
    settings = Settings(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1, "mode": "standard"})
    try:
        session = botocore.session.Session()
        return session.create_client(service, region_name=options.region or region or None, endpoint_url=options.endpoint_url or None, config=settings)
    except (BotoCoreError, ValueError) as exc:
        raise BeamError("aws_options", "AWS %s can't be asked" % service, str(exc), "Set aws.region and aws.endpoint_url") from exc


def translate(exc: BaseException, what: str, rights: str = "") -> BeamError | None:
    """None for what is no error of AWS or the way there."""
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        code, status = _code(exc), str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        said = str(response.get("Error", {}).get("Message", ""))[:300]
        text = "%s: %s" % (code, said)
        if code in _BUSY or status in _BUSY:
            return BeamError("aws_busy", what, text, "It is tried again at the next start of the bootstrap", aws=code)
        if code in _CREDENTIALS or code in _CLOCK:
            return BeamError("aws_credentials", what, text, "Look at the instance profile's role, and at the clock", aws=code)
        if code in _DENIED or status == "403":
            return BeamError("aws_denied", what, text, "Give the instance profile's role this right%s" % (": " + rights if rights else ""), aws=code)
        return BeamError("aws_refused", what, text, "Look at what was asked for", aws=code, said=said)
    names = {cls.__name__ for cls in type(exc).__mro__}
    if names & {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return BeamError("aws_credentials", what, str(exc)[:300], "Give the instance a profile with a role")
    if names & {"HTTPClientError", "ConnectionError", "OSError", "ConnectionClosedError", "ReadTimeoutError", "ConnectTimeoutError", "ResponseParserError"}:
        return BeamError("aws_unreachable", what, str(exc)[:300], "Check the network, aws.region and aws.endpoint_url; a private subnet needs a VPC endpoint")
    if "BotoCoreError" in names:
        return BeamError("aws_options", what, str(exc)[:300], "Set aws.region and aws.endpoint_url")
    return None


def _code(exc: BaseException) -> str:
    response = getattr(exc, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def follow_clock(exc: BaseException | None) -> bool:
    """Sign with the time that the answer told, where ours is wrong. The machine's clock itself is left alone."""
    global _shift
    response = getattr(exc, "response", None)
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(response, dict) else {}
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return False
    shift = theirs - datetime.datetime.now(datetime.timezone.utc)
    if abs((shift - _shift).total_seconds()) < _SKEW:
        return False  # it is not the clock
    _shift = shift
    _patch()
    return True


def clock_shift() -> float:
    """Seconds that this server's clock is behind, as far as that is known."""
    return _shift.total_seconds()


class _Clock(datetime.datetime):
    """In the place of datetime.datetime in botocore.auth, which asks for the time of a signature in one of these ways."""

    @classmethod
    def utcnow(cls) -> t.Any:
        return (datetime.datetime.now(datetime.timezone.utc) + _shift).replace(tzinfo=None)

    @classmethod
    def now(cls, tz: t.Any = None) -> t.Any:
        return datetime.datetime.now(tz) + _shift


def _patch() -> None:
    import botocore.auth

    auth: t.Any = botocore.auth
    if hasattr(auth, "get_current_datetime"):
        auth.get_current_datetime = lambda remove_tzinfo=True: _Clock.utcnow() if remove_tzinfo else _Clock.now(datetime.timezone.utc)
    else:
        auth.datetime = type("datetime", (), {"datetime": _Clock, "timezone": datetime.timezone, "timedelta": datetime.timedelta})
