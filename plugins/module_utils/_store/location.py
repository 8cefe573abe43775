# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""From what the user wrote to a Store."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote, urlsplit

from .._errors import BeamError
from .base import Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[0-9A-Za-z._=+@-]+(/[0-9A-Za-z._=+@-]+)*")


def _refuse(location: str, why: str) -> BeamError:
    return BeamError(
        "store_location", "%r is not a store" % location, why, "Give file:///absolute/path or s3://bucket/prefix"
    )


def open_store(params: t.Mapping[str, t.Any]) -> Store:
    """params: the options of STORE_SPEC. Nothing is asked of the store yet."""
    location = str(params["store"])
    try:
        url = urlsplit(location)
        port = url.port
    except ValueError:  # whose text may hold a part of a password
        raise _refuse("store", "it is no URL: its host or its port can't be read") from None
    if url.username or url.password:
        raise BeamError(
            "store_location",
            "the store's location holds credentials",
            "they would show up in logs and results",
            "Leave them out of store (in an inventory beam_store), and give access_key and secret_key (beam_store_options)",
        )
    if url.query or url.fragment:
        raise _refuse(location.split("?", 1)[0].split("#", 1)[0], "it has a query or a fragment")
    if url.scheme == "file":
        if url.netloc not in ("", "localhost") or not url.path.startswith("/"):
            raise _refuse(location, "a file:// store needs an absolute path: three slashes")
        from .directory import DirectoryStore

        return DirectoryStore(unquote(url.path), location)
    if url.scheme == "s3":
        prefix = url.path.strip("/")
        if port or not _BUCKET.fullmatch(url.netloc):
            raise _refuse(location, "%r is not a bucket's name" % url.netloc)
        if prefix and (not _PREFIX.fullmatch(prefix) or any(part in (".", "..") for part in prefix.split("/"))):
            raise _refuse(location, "%r is not a prefix: letters, digits, slashes and . _ = + @ - are allowed" % prefix)
        from .s3 import S3Store
        from .s3_client import S3Options

        return S3Store(
            S3Options(
                bucket=url.netloc,
                prefix=prefix,
                location=location,
                timeout=float(params.get("store_timeout") or 120),
                validate_certs=params.get("validate_certs") is not False,
                **{
                    key: params.get(key) or None
                    for key in (
                        "endpoint_url",
                        "region",
                        "profile",
                        "access_key",
                        "secret_key",
                        "session_token",
                        "aws_ca_bundle",
                        "expected_bucket_owner",
                    )
                },
            )
        )
    raise _refuse(location, "its scheme is %r" % url.scheme)
