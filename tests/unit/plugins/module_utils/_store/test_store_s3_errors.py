# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What S3 says, and what the user reads."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store import s3_errors
from ansible_collections.alchemist.beam.plugins.module_utils._store.builds import StoreBuilds
from ansible_collections.alchemist.beam.plugins.module_utils._store.s3 import S3Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.s3_client import S3Options


class ClientError(Exception):
    def __init__(self, status: int, code: str = "", region: str = "", header: str = "") -> None:
        super().__init__(code)
        self.response = {
            "Error": {"Code": code, **({"Region": region} if region else {})},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "HTTPHeaders": {"x-amz-bucket-region": header} if header else {},
            },
        }


def named(*names: str) -> Exception:
    """An exception whose class and parents have these names, as botocore's have."""
    base: t.Any = Exception
    for name in reversed(names):
        base = type(name, (base,), {})
    result: Exception = base("x")
    return result


TABLE = [
    (ClientError(404, "NoSuchBucket"), "store_missing", "no such bucket", False),
    (ClientError(403, "AccessDenied"), "store_denied", "missing or the access is denied", False),
    (ClientError(403, "403"), "store_denied", "missing or the access is denied", False),
    (ClientError(403, "SomethingNew"), "store_denied", "missing or the access is denied", False),
    (ClientError(403, "InvalidAccessKeyId"), "store_credentials", "access key is unknown", False),
    (ClientError(403, "SignatureDoesNotMatch"), "store_credentials", "secret key is wrong", False),
    (ClientError(400, "ExpiredToken"), "store_credentials_expired", "expired", False),
    (ClientError(403, "RequestTimeTooSkewed"), "store_clock", "clock", False),
    (ClientError(301, "PermanentRedirect", header="eu-west-1"), "store_region", "another region, eu-west-1", False),
    (ClientError(307, "TemporaryRedirect", header="eu-west-2"), "store_region", "another region, eu-west-2", False),
    (
        ClientError(400, "AuthorizationHeaderMalformed", region="eu-west-3"),
        "store_region",
        "another region, eu-west-3",
        False,
    ),
    (ClientError(301, "301"), "store_region", "another region", False),
    (ClientError(503, "SlowDown"), "store_busy", "overloaded", True),
    (ClientError(500, "InternalError"), "store_busy", "overloaded", True),
    (ClientError(599, "Odd"), "store_busy", "overloaded", True),
    (ClientError(501, "NotImplemented"), "store_unsupported", "does not know", False),
    (ClientError(400, "BadDigest"), "store_upload_corrupt", "changed on the way", True),
    (ClientError(400, "KMS.DisabledException"), "store_kms", "KMS", False),
    (ClientError(418, "Teapot"), "store_refused", "418 Teapot", False),
    (named("NoCredentialsError", "BotoCoreError"), "store_credentials", "no credentials", False),
    (
        named("ConnectTimeoutError", "ConnectionError", "HTTPClientError"),
        "store_unreachable",
        "can't be connected",
        True,
    ),
    (named("EndpointConnectionError", "ConnectionError"), "store_unreachable", "can't be connected", True),
    (named("ReadTimeoutError", "HTTPClientError"), "store_timeout", "stopped answering", True),
    (named("SSLError", "ConnectionError", "HTTPClientError"), "store_tls", "TLS", False),
    (named("ConnectionClosedError", "HTTPClientError"), "store_cut", "connection broke", True),
    (named("IncompleteReadError", "BotoCoreError"), "store_cut", "connection broke", True),
    (ConnectionResetError(), "store_cut", "connection broke", True),
]


@pytest.mark.parametrize(
    ("exc", "code", "words", "retry"), TABLE, ids=[row[1] + "-" + str(i) for i, row in enumerate(TABLE)]
)
def test_every_answer_has_a_meaning(exc: Exception, code: str, words: str, retry: bool) -> None:
    error = s3_errors.translate(exc, "x of the store s3://b can't be read")
    assert error is not None
    assert error.code == code and words in error.message and error.hint
    assert error.message.startswith("x of the store s3://b can't be read: ")
    assert s3_errors.meaning_of(exc).retry is retry  # type: ignore[union-attr]


def test_what_is_a_bug_stays_one() -> None:
    assert s3_errors.translate(TypeError("x"), "y") is None


def test_the_owner_and_the_time_are_told() -> None:
    denied = s3_errors.translate(ClientError(403, "AccessDenied"), "x", owner="123456789012")
    assert denied is not None and "123456789012" in denied.message
    busy = s3_errors.translate(ClientError(503, "SlowDown"), "x", after=61.2)
    assert busy is not None and "tried for 61 s" in busy.message


class Narrow:
    """S3 as it answers whoever may list a prefix only: what is missing is denied."""

    def __init__(self, listed: t.Sequence[str], may_list: bool = True) -> None:
        self.listed, self.may_list = listed, may_list

    def get_object(self, **_request: t.Any) -> t.Any:
        raise ClientError(403, "AccessDenied")

    def list_objects_v2(self, **request: t.Any) -> t.Any:
        if not self.may_list:
            raise ClientError(403, "AccessDenied")
        now = datetime.datetime.now(datetime.timezone.utc)
        return {
            "Name": "b",
            "Contents": [
                {"Key": key, "Size": 1, "LastModified": now} for key in self.listed if key.startswith(request["Prefix"])
            ],
        }


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (Narrow([]), "store_key_missing"),
        (Narrow(["p/shop/x.json.gz", "p/shop/y"]), "store_key_missing"),
        (Narrow(["p/shop/x"]), "store_denied"),
        (Narrow([], may_list=False), "store_denied"),
    ],
)
def test_what_is_denied_because_it_is_missing(client: Narrow, code: str) -> None:
    store = S3Store(S3Options(bucket="releases", prefix="p", location="s3://releases/p"), client)
    with pytest.raises(BeamError) as caught:
        store.get("shop/x", 10)
    assert caught.value.code == code


def test_a_builder_with_the_least_rights_builds_what_is_not_published() -> None:
    builds = StoreBuilds(S3Store(S3Options(bucket="releases", prefix="", location="s3://releases"), Narrow([])))
    assert builds.of_inputs("shop", "1" * 64) is None and builds.of_version("shop", "1.0.0") is None
