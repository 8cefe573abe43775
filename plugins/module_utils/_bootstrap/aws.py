# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""AWS by botocore, which is imported only where it is needed: that alone costs more than all the rest of a boot with nothing to do."""

from __future__ import annotations

import datetime
import os
import typing as t
from email.utils import parsedate_to_datetime

from .._aws import (
    BUSY,
    CREDENTIALS,
    DENIED,
    OPTION,
    REFUSED,
    UNREACHABLE,
    Limits,
    ask,
    code_of,
    forget_sessions,
    make_client,
    said,
)
from .._errors import BeamError
from .config import Aws

_LIMITS = Limits(connect=3, read=10, attempts=1)  # once: the bootstrap has a deadline over all requests
# What a wrong clock looks like. SignatureDoesNotMatch is also said of a wrong key: the date of the answer tells them apart.
_CLOCK = frozenset(("RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"))
_SKEW = 60.0  # seconds of difference that are worth a correction
_INSTALL = "Use the bundle with aws: true, or install boto3 on this server"
# By the kind of a failure, its code here and what to do.
_MEANINGS = {
    BUSY: ("aws_busy", "It is tried again at the next start of the bootstrap"),
    CREDENTIALS: ("aws_credentials", "Look at the instance profile's role, and at the clock"),
    DENIED: ("aws_denied", "Give the instance profile's role this right"),
    REFUSED: ("aws_refused", "Look at what was asked for"),
    UNREACHABLE: (
        "aws_unreachable",
        "Check the network, aws.region and aws.endpoint_url; a private subnet needs a VPC endpoint",
    ),
    OPTION: ("aws_options", "Set aws.region and aws.endpoint_url"),
}
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
        try:
            if self._client is None:
                options = {"region": self._options.region or self._region, "endpoint_url": self._options.endpoint_url}
                self._client = make_client(
                    self.service,
                    options,
                    _LIMITS,
                    "AWS %s can't be asked" % self.service,
                    *_MEANINGS[OPTION],
                    install=_INSTALL,
                )
            return ask(
                self._client,
                operation,
                _LIMITS,
                parameters,
                lambda exc: translate(exc, "%s (%s)" % (what, self.service), self.rights),
            )
        except BeamError:
            raise
        except Exception as exc:
            if code_of(exc) in _CLOCK and follow_clock(exc):
                return self.call(operation, what, **parameters)
            error = translate(exc, "%s (%s)" % (what, self.service), self.rights)
            if error is None:
                raise
            if error.code == "aws_credentials":
                self._client = None
                forget_sessions()
            raise error from exc


def translate(exc: BaseException, what: str, rights: str = "") -> BeamError | None:
    """None for what is no error of AWS or the way there."""
    failure = said(exc)
    if failure is None:
        return None
    code, hint = _MEANINGS[failure.kind]
    if failure.kind == DENIED and rights:
        hint += ": " + rights
    if failure.kind == CREDENTIALS and not failure.code:
        hint = "Give the instance a profile with a role"
    details = {"aws": failure.code} if failure.code else {}
    if failure.kind == REFUSED:
        details["said"] = failure.text
    return BeamError(code, what, failure.why, hint, **details)


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
        auth.get_current_datetime = lambda remove_tzinfo=True: (
            _Clock.utcnow() if remove_tzinfo else _Clock.now(datetime.timezone.utc)
        )
    else:
        auth.datetime = type(
            "datetime", (), {"datetime": _Clock, "timezone": datetime.timezone, "timedelta": datetime.timedelta}
        )
