# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store


def test_a_directory() -> None:
    for location, root in (
        ("file:///srv/x", "/srv/x"),
        ("file:///srv/a%20b/", "/srv/a b"),
        ("file://localhost/srv/x", "/srv/x"),
    ):
        store = open_store({"store": location})
        assert isinstance(store, DirectoryStore) and store.root == root and store.location == location


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/srv/x",
        "srv",
        "file://host/x",
        "file:relative",
        "ftp://x/y",
        "s3://",
        "s3:///prefix",
        "s3://Bad_Bucket/x",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/a b",
        "s3://bucket/x?y=z",
        "s3://bucket:99/x",
        "s3://bucket:x/",
        "file:///x#y",
        "http://[::1",
    ],
)
def test_what_is_no_store(location: str) -> None:
    with pytest.raises(BeamError) as caught:
        open_store({"store": location})
    assert caught.value.code == "store_location" and "s3://bucket" in caught.value.hint


def test_credentials_in_the_location_are_refused_and_not_repeated() -> None:
    with pytest.raises(BeamError) as caught:
        open_store({"store": "s3://AKIA:topsecret@bucket/x"})
    assert "topsecret" not in caught.value.message and "AKIA" not in caught.value.message


def test_s3_options() -> None:
    pytest.importorskip("botocore", reason="S3 needs botocore, which this Python does not have")
    from ansible_collections.alchemist.beam.plugins.module_utils._store.s3 import S3Store

    store = open_store(
        {
            "store": "s3://bucket/some/prefix/",
            "endpoint_url": "http://127.0.0.1:1",
            "region": "eu-central-1",
            "access_key": "a",
            "secret_key": "b",
            "store_timeout": 7,
            "expected_bucket_owner": "123456789012",
        }
    )
    assert isinstance(store, S3Store)
    assert (store.options.bucket, store.options.prefix, store.options.timeout) == ("bucket", "some/prefix", 7)
    config = store._client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.region_name) == (3, 7, "eu-central-1")
    assert config.retries["total_max_attempts"] == 1
    assert store._common == {"Bucket": "bucket", "ExpectedBucketOwner": "123456789012"}
    for options, code in (
        ({"profile": "no-such-profile"}, "store_options"),
        ({"endpoint_url": "not a url"}, "store_options"),
    ):
        with pytest.raises(BeamError) as caught:
            open_store({"store": "s3://bucket/x", "region": "eu-central-1", **options})
        assert caught.value.code == code
