# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The S3 client: botocore's, with every limit set that its defaults leave open or wide."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import dataclass

from .._aws import client_of
from .._errors import BeamError

CONNECT_SECONDS = 3
READ_SECONDS = 20
CONNECTIONS = 16
_MINIMUM = (1, 36, 0)
_INSTALL = (
    "Install boto3 1.36 or newer where the task runs. For the build server, say `ansible_python_interpreter: /opt/beam/bin/python` in the inventory, and "
    "alchemist.beam.setup makes that Python"
)


@dataclass(frozen=True)
class S3Options:
    bucket: str
    prefix: str  # "" or without a slash at either end
    location: str
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    validate_certs: bool = True
    aws_ca_bundle: str | None = None
    expected_bucket_owner: str | None = None
    timeout: float = 120


def make_client(options: S3Options) -> t.Any:
    """A botocore client, with every limit set that its defaults leave open or wide."""
    try:
        import botocore
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise BeamError(
            "boto3_missing",
            "the store %s can't be used" % options.location,
            "boto3 is not installed for %s" % sys.executable,
            _INSTALL,
        ) from exc
    if tuple(int(part) for part in botocore.__version__.split(".")[:3]) < _MINIMUM:
        raise BeamError(
            "boto3_too_old",
            "the store %s can't be used" % options.location,
            "botocore is %s for %s, and conditional writes need 1.36" % (botocore.__version__, sys.executable),
            _INSTALL,
        )
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=min(READ_SECONDS, max(1, options.timeout)),
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path" if options.endpoint_url else "auto"},
        signature_version="s3v4",
        # The sha256 of what we send goes with it, and what we read is compared with the manifest's: the client's own
        # checksums would only make requests that other S3 APIs don't know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return client_of(
            "s3",
            options.profile or None,
            region_name=options.region or None,
            endpoint_url=options.endpoint_url or None,
            config=config,
            aws_access_key_id=options.access_key or None,
            aws_secret_access_key=options.secret_key or None,
            aws_session_token=options.session_token or None,
            verify=(options.aws_ca_bundle or True) if options.validate_certs else False,
        )
    except (BotoCoreError, ValueError) as exc:
        raise BeamError(
            "store_options",
            "the store %s can't be used" % options.location,
            str(exc),
            "Check profile, region, endpoint_url and the credentials (in an inventory beam_store_options)",
        ) from exc
