# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, judged as IAM would: what a kind of machine may do with a key of the store, and above all what it may not."""

from __future__ import annotations

import fnmatch
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.policies import documents
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError

CONFIG: dict[str, t.Any] = {
    "store": "s3://releases/beam",
    "name": "shop",
    "region": "eu-central-1",
    "account": "123456789012",
    "groups": ["shop-web"],
    "target_groups": ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/1"],
    "cookie": "ssm:/shop/cookie",
    "secrets": {"KEY": "secretsmanager:shop#key", "OTHER": "secretsmanager:shop#other", "LOCAL": "file:/etc/key"},
    "roles": ["arn:aws:iam::123456789012:role/shop"],
    "kms_keys": ["arn:aws:kms:eu-central-1:123456789012:key/1"],
}
ONCE, SWAP = {"s3:if-none-match": "*"}, {"s3:if-match": '"etag"'}
GROUP = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:0a1b:autoScalingGroupName/%s"


def many(value: t.Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def holds(condition: t.Mapping[str, t.Any], context: t.Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            if operator == "Null":
                if (key not in context) != (wanted == "true"):
                    return False
            elif not any(
                fnmatch.fnmatchcase(context.get(key, "\0"), one)
                if operator == "StringLike"
                else context.get(key) == one
                for one in many(wanted)
            ):
                return False
    return True


def may(
    policy: t.Mapping[str, t.Any], action: str, resource: str, context: t.Optional[t.Mapping[str, str]] = None
) -> bool:
    return any(
        one["Effect"] == "Allow"
        and any(fnmatch.fnmatchcase(action, pattern) for pattern in many(one["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in many(one["Resource"]))
        and holds(one.get("Condition", {}), context or {})
        for one in policy["Statement"]
    )


def put(kind: str, key: str, context: t.Mapping[str, str]) -> bool:
    return may(documents(CONFIG, kind), "s3:PutObject", "arn:aws:s3:::releases/beam/" + key, context)


@pytest.mark.parametrize(
    ("kind", "once", "swapped"),
    [
        ("host", {"boots"}, set()),
        ("builder", {"layers", "manifests", "versions", "builds", "gates"}, set()),
        (
            "deployer",
            {"channels", "locks", "journal", "pins", "history", "bootstrap"},
            {"channels", "locks", "journal", "pins"},
        ),
    ],
)
def test_who_writes_what_and_nobody_overwrites(kind: str, once: set[str], swapped: set[str]) -> None:
    kinds = {
        "layers",
        "manifests",
        "versions",
        "builds",
        "gates",
        "channels",
        "locks",
        "journal",
        "history",
        "pins",
        "boots",
        "bootstrap",
    }
    assert {one for one in kinds if put(kind, "shop/%s/x" % one, ONCE)} == once
    assert {one for one in kinds if put(kind, "shop/%s/x" % one, SWAP)} == swapped
    assert not {one for one in kinds if put(kind, "shop/%s/x" % one, {})}, (
        "without a condition anything could be overwritten"
    )
    assert not {
        one
        for one in kinds
        if may(documents(CONFIG, kind), "s3:DeleteObject", "arn:aws:s3:::releases/beam/shop/%s/x" % one)
    }


@pytest.mark.parametrize("kind", ["host", "builder", "deployer"])
def test_nothing_of_another_application_or_bucket(kind: str) -> None:
    policy = documents(CONFIG, kind)
    assert may(policy, "s3:GetObject", "arn:aws:s3:::releases/beam/shop/channels/production.json")
    for key in ("beam/shop2/layers/x", "beam/other/layers/x", "shop/layers/x"):
        assert not may(policy, "s3:GetObject", "arn:aws:s3:::releases/" + key)
        assert not may(policy, "s3:PutObject", "arn:aws:s3:::releases/" + key, ONCE)
    assert not may(policy, "s3:GetObject", "arn:aws:s3:::releases2/beam/shop/layers/x")
    assert may(policy, "s3:ListBucket", "arn:aws:s3:::releases", {"s3:prefix": "beam/shop/boots/production/"})
    assert not may(policy, "s3:ListBucket", "arn:aws:s3:::releases", {"s3:prefix": "beam/other/"})
    assert not may(policy, "s3:ListBucket", "arn:aws:s3:::releases")


def test_a_host_answers_its_group_s_hooks_and_reads_its_secrets_only() -> None:
    policy = documents(CONFIG, "host")
    assert may(policy, "autoscaling:CompleteLifecycleAction", GROUP % "shop-web")
    assert not may(policy, "autoscaling:CompleteLifecycleAction", GROUP % "shop-web-2")
    assert not may(policy, "autoscaling:StartInstanceRefresh", GROUP % "shop-web")
    where = "arn:aws:%s:eu-central-1:123456789012:%s"
    assert may(policy, "ssm:GetParameter", where % ("ssm", "parameter/shop/cookie"))
    assert not may(policy, "ssm:GetParameter", where % ("ssm", "parameter/other/cookie"))
    assert may(policy, "secretsmanager:GetSecretValue", where % ("secretsmanager", "secret:shop-AbCdEf"))
    assert not may(policy, "secretsmanager:GetSecretValue", where % ("secretsmanager", "secret:shop-other-AbCdEf"))
    key = CONFIG["kms_keys"][0]
    bucket = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
    for who in (
        "host",
        "builder",
        "deployer",
    ):  # all of them read, and write something, in a bucket that may have a key of its own
        theirs = documents(CONFIG, who)
        assert (
            may(theirs, "kms:Decrypt", key, bucket)
            and may(theirs, "kms:GenerateDataKey", key, bucket)
            and not may(theirs, "kms:GenerateDataKey", key)
        )
    assert may(policy, "kms:Decrypt", key, {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}) and not may(
        policy, "kms:Decrypt", key
    )


def test_a_deployer_refreshes_and_moves_targets_of_its_own() -> None:
    policy = documents(CONFIG, "deployer")
    assert may(policy, "autoscaling:StartInstanceRefresh", GROUP % "shop-web") and not may(
        policy, "autoscaling:StartInstanceRefresh", GROUP % "x"
    )
    group = CONFIG["target_groups"][0]
    assert may(policy, "elasticloadbalancing:DeregisterTargets", group) and not may(
        policy, "elasticloadbalancing:DeregisterTargets", group + "2"
    )
    assert not may(policy, "ssm:GetParameter", "arn:aws:ssm:eu-central-1:123456789012:parameter/shop/cookie")
    assert may(policy, "s3:PutObject", "arn:aws:s3:::releases/beam/.check/x") and not may(
        policy, "s3:PutObject", "arn:aws:s3:::releases/.check/x"
    )


def test_nothing_is_allowed_that_nothing_needs() -> None:
    for kind in ("host", "deployer", "builder"):
        policy = documents({"store": "s3://releases", "name": "shop"}, kind)
        assert {action.split(":")[0] for one in policy["Statement"] for action in many(one["Action"])} == {"s3"}
        assert may(policy, "s3:GetObject", "arn:aws:s3:::releases/shop/layers/x")
        assert all(one["Resource"] not in ("*", [], ["*"]) for one in policy["Statement"])


@pytest.mark.parametrize(
    "changes",
    [
        {"store": "file:///srv/store"},
        {"store": "s3://*"},
        {"store": "s3://a/*"},
        {"name": "*"},
        {"name": ""},
        {"groups": ["*"]},
        {"groups": "shop"},
        {"kms_keys": ["*"]},
        {"roles": ["arn:aws:iam::1:role/*"]},
        {"region": ""},
        {"cookie": "ssm:/*"},
        {"cookie": "plain"},
        {"group": ["shop"]},
        {"secrets": {"A": "ssm:/x?"}},
    ],
)
def test_what_would_make_it_wide_or_wrong_is_refused(changes: dict[str, t.Any]) -> None:
    with pytest.raises(BeamError) as caught:
        documents({**CONFIG, **changes}, "host")
    assert caught.value.code == "policy_option"


def test_a_key_without_the_region_of_its_service_is_refused() -> None:
    """A condition that never holds would be a right that is not there."""
    with pytest.raises(BeamError) as caught:
        documents({"store": "s3://releases", "name": "shop", "kms_keys": CONFIG["kms_keys"]}, "builder")
    assert caught.value.code == "policy_option"


def test_another_kind_is_refused() -> None:
    with pytest.raises(BeamError):
        documents(CONFIG, "everybody")
