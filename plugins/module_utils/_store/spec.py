# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options of whatever speaks to a store."""

from __future__ import annotations

import typing as t

# Documented by the doc fragment alchemist.beam.store.
STORE_SPEC: dict[str, dict[str, t.Any]] = {
    "store": {"type": "str", "required": True},
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url", "s3_url"]},
    "region": {"type": "str", "aliases": ["aws_region", "ec2_region"]},
    "profile": {"type": "str", "aliases": ["aws_profile"]},
    "access_key": {"type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"type": "str", "aliases": ["aws_session_token"], "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "aws_ca_bundle": {"type": "path"},
    "expected_bucket_owner": {"type": "str"},
    "store_timeout": {"type": "int", "default": 120},
}


def store_spec(**changes: t.Any) -> dict[str, dict[str, t.Any]]:
    """STORE_SPEC with some of its options changed, such as store_spec(store={"required": False})."""
    return {key: {**spec, **changes.get(key, {})} for key, spec in STORE_SPEC.items()}
