# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What S3 and its client say, and what it means to the user. Data: the words of botocore, without importing it."""

from __future__ import annotations

import socket
import typing as t

from .._errors import BeamError, Conflict, NotFound


class Meaning(t.NamedTuple):
    code: str
    why: str
    hint: str
    retry: bool = False


_CREDENTIALS_HINT = (
    "Check access_key, secret_key and session_token, or profile (in an inventory under beam_store_options), "
    "or the environment of the host that runs the task"
)
# A task runs on the build server or on a server, so the environment of whoever types the command does not count.
_NO_CREDENTIALS = (
    "Give access_key and secret_key, or profile (in an inventory under beam_store_options), "
    "or use the environment of the host that runs the task"
)
_BUSY = Meaning(
    "store_busy",
    "it is overloaded or broken at the moment",
    "Run it again later, or raise store_timeout (in an inventory in beam_store_options)",
    True,
)
_CORRUPTED = Meaning(
    "store_upload_corrupt",
    "the bytes changed on the way to it",
    "Run the task again; if it repeats, look for a broken proxy or memory",
    True,
)
_REGION = Meaning(
    "store_region",
    "the bucket is in another region",
    "Set region to the bucket's (in an inventory in beam_store_options)",
)
_DENIED = Meaning(
    "store_denied",
    "it is missing or the access is denied (S3 does not tell them apart without the right to list the bucket)",
    "Check the name, and the rights of these credentials: s3:GetObject, s3:PutObject, s3:DeleteObject on the objects, s3:ListBucket on the bucket",
)

# By the error code of an answer.
CODES: dict[str, Meaning] = {
    "NoSuchBucket": Meaning(
        "store_missing", "there is no such bucket", "Create it, or correct store (in an inventory beam_store)"
    ),
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "403": _DENIED,
    "Forbidden": _DENIED,
    "InvalidAccessKeyId": Meaning("store_credentials", "the access key is unknown there", _CREDENTIALS_HINT),
    "SignatureDoesNotMatch": Meaning("store_credentials", "the secret key is wrong", _CREDENTIALS_HINT),
    "InvalidToken": Meaning("store_credentials", "the session token is not valid", _CREDENTIALS_HINT),
    "ExpiredToken": Meaning(
        "store_credentials_expired", "the credentials have expired", "Renew them, and run the task again"
    ),
    "ExpiredTokenException": Meaning(
        "store_credentials_expired", "the credentials have expired", "Renew them, and run the task again"
    ),
    "TokenRefreshRequired": Meaning(
        "store_credentials_expired", "the credentials have expired", "Renew them, and run the task again"
    ),
    "RequestTimeTooSkewed": Meaning(
        "store_clock",
        "this machine's clock differs too much from the store's",
        "Set the clock (chrony, systemd-timesyncd)",
    ),
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "Redirect": _REGION,
    "301": _REGION,
    "307": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "IncorrectEndpoint": _REGION,
    "InvalidBucketName": Meaning(
        "store_location", "the bucket's name is not valid", "Correct the name in store (in an inventory beam_store)"
    ),
    "KMS.DisabledException": Meaning("store_kms", "the bucket's KMS key is disabled", "Enable the key"),
    "KMS.NotFoundException": Meaning("store_kms", "the bucket's KMS key does not exist", "Give the bucket another key"),
    "KMS.KMSInvalidStateException": Meaning(
        "store_kms", "the bucket's KMS key can't be used now", "Look at the key's state"
    ),
    "NotImplemented": Meaning(
        "store_unsupported",
        "it does not know this request",
        "Use an S3 API with conditional writes; alchemist.beam.store_check proves it",
    ),
    "501": Meaning(
        "store_unsupported",
        "it does not know this request",
        "Use an S3 API with conditional writes; alchemist.beam.store_check proves it",
    ),
    "BadDigest": _CORRUPTED,
    "InvalidDigest": _CORRUPTED,
    "XAmzContentSHA256Mismatch": _CORRUPTED,
    "XAmzContentChecksumMismatch": _CORRUPTED,
    "IncompleteBody": _CORRUPTED,
    "EntityTooLarge": Meaning("store_object_too_large", "it refuses an object of this size", "Make the layer smaller"),
    "QuotaExceeded": Meaning(
        "store_full",
        "the bucket's quota is used up",
        "Keep fewer releases (in an inventory beam_keep; of the module state: pruned), or raise the quota",
    ),
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "OperationAborted": _BUSY,
    "429": _BUSY,
    "500": _BUSY,
    "502": _BUSY,
    "503": _BUSY,
    "504": _BUSY,
}

_NETWORK_HINT = "Check endpoint_url (in an inventory in beam_store_options), the network and the firewall; store_timeout bounds how long is tried"
_UNREACHABLE = Meaning("store_unreachable", "it can't be connected to", _NETWORK_HINT, True)
_SILENT = Meaning("store_timeout", "it stopped answering", _NETWORK_HINT, True)
_CUT = Meaning("store_cut", "the connection broke", _NETWORK_HINT, True)

# By the class of an exception of the client, its own or one of its parents'; the first that fits.
EXCEPTIONS: dict[str, Meaning] = {
    "NoCredentialsError": Meaning("store_credentials", "there are no credentials", _NO_CREDENTIALS),
    "PartialCredentialsError": Meaning("store_credentials", "the credentials are not complete", _CREDENTIALS_HINT),
    "CredentialRetrievalError": Meaning("store_credentials", "the credentials can't be fetched", _CREDENTIALS_HINT),
    "TokenRetrievalError": Meaning(
        "store_credentials", "the SSO token can't be fetched", "Log in again (aws sso login)"
    ),
    "UnauthorizedSSOTokenError": Meaning(
        "store_credentials", "the SSO session has expired", "Log in again (aws sso login)"
    ),
    "SSLError": Meaning(
        "store_tls",
        "its TLS certificate can't be verified, or TLS fails",
        "Give the right aws_ca_bundle (in an inventory in beam_store_options), or correct the certificate",
    ),
    "ConnectTimeoutError": _UNREACHABLE,
    "ProxyConnectionError": Meaning(
        "store_unreachable", "the proxy can't be connected to", "Check the environment's proxy settings", True
    ),
    "EndpointConnectionError": _UNREACHABLE,
    "ReadTimeoutError": _SILENT,
    "IncompleteReadError": _CUT,
    "ConnectionClosedError": _CUT,
    "ResponseStreamingError": _CUT,
    "HTTPClientError": _CUT,
    "ResponseParserError": Meaning(
        "store_not_s3",
        "its answer is not one of an S3 API",
        "Check endpoint_url (in an inventory in beam_store_options)",
        True,
    ),
    "ProtocolError": _CUT,
    "OSError": _CUT,
}
NETWORK = frozenset(("store_unreachable", "store_timeout", "store_cut"))


def meaning_of(exc: BaseException) -> Meaning | None:
    """None for what is not an error of the store, that is: a bug."""
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        known = CODES.get(code) or CODES.get(str(status))
        if known:
            return known
        if status >= 500:
            return _BUSY
        return Meaning(
            "store_refused",
            "it answered %s %s" % (status or "", code or "without a code"),
            "Look at the store's own logs",
        )
    for cls in type(exc).__mro__:
        if cls.__name__ in EXCEPTIONS:
            return EXCEPTIONS[cls.__name__]
    return None


def status_of(exc: BaseException) -> int:
    response = getattr(exc, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0) if isinstance(response, dict) else 0


def code_of(exc: BaseException) -> str:
    response = getattr(exc, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def region_of(exc: BaseException) -> str:
    """The region that the store names in its refusal."""
    response = getattr(exc, "response", None)
    if not isinstance(response, dict):
        return ""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region") or "")


def translate(exc: BaseException, what: str, after: float = 0.0, owner: str | None = None) -> BeamError | None:
    """exc as a BeamError; after: seconds that were spent trying."""
    known = meaning_of(exc)
    if known is None:
        return None
    why, hint = known.why, known.hint
    if known.code == "store_region":
        region = region_of(exc)
        if region:
            why, hint = "%s, %s" % (why, region), "Set region: %s (in an inventory in beam_store_options)" % region
    if known.code.startswith("store_credentials"):
        why += " on %s" % socket.gethostname()  # whose environment counts
    if known.code == "store_denied" and owner:
        why += ", or another account than %s owns the bucket" % owner
    if known.retry and after >= 1:
        why += " (tried for %d s)" % after
    return BeamError(known.code, what, why, hint)


def missing(key: str, location: str) -> NotFound:
    return NotFound("store_key_missing", "%s is not in the store %s" % (key, location), "there is no such object")


def lost(key: str, location: str) -> Conflict:
    return Conflict(
        "store_conflict",
        "%s of the store %s was not written" % (key, location),
        "somebody else changed it meanwhile",
        "Look at it, and run the task again",
    )
