# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""IAM policies that are no wider than the configuration: who serves may read its application, who deploys can't overwrite what was published. Pure."""

from __future__ import annotations

import re
import typing as t

from .._errors import BeamError

Statement = dict[str, t.Any]
KINDS = ("host", "deployer", "builder")
# What is written once and never again, and what moves by compare-and-swap (see the store's keys).
_ONCE_BUILDER = ("layers", "manifests", "versions", "builds", "gates")
_ONCE_DEPLOYER = ("history", "bootstrap")
_SWAPPED = ("channels", "locks", "journal", "pins")
_KEYS = {
    "store": str,
    "name": str,
    "region": str,
    "account": str,
    "partition": str,
    "groups": list,
    "target_groups": list,
    "cookie": str,
    "secrets": dict,
    "kms_keys": list,
    "roles": list,
}


def documents(config: t.Mapping[str, t.Any], kind: str) -> dict[str, t.Any]:
    """The policy of a kind of machine: host, deployer or builder."""
    if kind not in KINDS:
        raise _refused("there is no policy for %s" % kind, "Say one of %s" % ", ".join(KINDS))
    checked = _checked(config)
    statements = {"host": _host, "deployer": _deployer, "builder": _builder}[kind](checked)
    return {"Version": "2012-10-17", "Statement": [one for one in statements if one["Resource"]]}


def _refused(why: str, hint: str) -> BeamError:
    return BeamError("policy_option", "The IAM policy can't be made", why, hint)


def _checked(config: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    unknown = sorted(set(config) - set(_KEYS))
    if unknown:
        raise _refused("it knows no %s" % ", ".join(unknown), "It knows %s" % ", ".join(sorted(_KEYS)))
    for key, kind in _KEYS.items():
        value = config.get(key)
        if value is not None and (isinstance(value, str) if kind is list else not isinstance(value, kind)):
            raise _refused("%s is no %s" % (key, {str: "string", list: "list", dict: "dictionary"}[kind]), "Correct it")
    found = {key: config.get(key) or kind() for key, kind in _KEYS.items()}
    found["partition"] = found["partition"] or "aws"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", found["name"]):
        raise _refused("name is %r" % found["name"], "Give the name of the release")
    place = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]+)((?:/[A-Za-z0-9._-]+)*)/?", found["store"])
    # What stands for anything in a policy must not come in by a name: a bucket called `*` would open them all.
    if not place:
        raise _refused(
            "store is %r, and a policy is made for s3://bucket/prefix only" % found["store"],
            "A file:// store needs none",
        )
    found["bucket"] = "arn:%s:s3:::%s" % (found["partition"], place.group(1))
    found["prefix"] = (place.group(2).strip("/") + "/" if place.group(2) else "") + found["name"]
    for key in ("groups", "target_groups", "kms_keys", "roles"):
        for one in found[key]:
            if not isinstance(one, str) or not one or re.search(r"[*?$]", one):
                raise _refused("%s has %r" % (key, one), "Name each, without wildcards")
    return found


def _under(config: t.Mapping[str, t.Any], *kinds: str) -> list[str]:
    return ["%s/%s/%s/*" % (config["bucket"], config["prefix"], kind) for kind in kinds]


def _read(config: t.Mapping[str, t.Any]) -> list[Statement]:
    return [
        {
            "Sid": "ReadTheApplication",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "%s/%s/*" % (config["bucket"], config["prefix"]),
        },
        {
            "Sid": "ListTheApplication",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": config["bucket"],
            "Condition": {"StringLike": {"s3:prefix": [config["prefix"] + "/*"]}},
        },
    ]


def _once(sid: str, resources: list[str]) -> Statement:
    """Write what is not there. A request without If-None-Match could overwrite, so it is not allowed at all; S3 takes no other value than `*`."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": resources,
        "Condition": {"Null": {"s3:if-none-match": "false"}},
    }


def _swap(config: t.Mapping[str, t.Any]) -> list[Statement]:
    """Begin what is not there, and replace exactly what was read."""
    swapped = _under(config, *_SWAPPED)
    return [
        _once("BeginWhatMoves", swapped),
        {
            "Sid": "MoveWhatWasRead",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": swapped,
            "Condition": {"Null": {"s3:if-match": "false"}},
        },
    ]


def _check(config: t.Mapping[str, t.Any]) -> list[Statement]:
    """store_check writes, overwrites and deletes below .check, where nothing else is. This prefix is a sibling of the applications, not below one."""
    base = config["prefix"].rpartition("/")[0]
    where = "%s.check/*" % (base + "/" if base else "")
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    return [
        {"Sid": "ProveTheStore", "Effect": "Allow", "Action": actions, "Resource": "%s/%s" % (config["bucket"], where)},
        {
            "Sid": "ListTheProof",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": config["bucket"],
            "Condition": {"StringLike": {"s3:prefix": [where]}},
        },
    ]


def _group_arns(config: t.Mapping[str, t.Any]) -> list[str]:
    if config["groups"] and not (config["region"] and config["account"]):
        raise _refused("the ARNs of groups need region and account", "Give both")
    made = "arn:%s:autoscaling:%s:%s:autoScalingGroup:*:autoScalingGroupName/%s"  # the star: an id that a group gets when it is made
    return [made % (config["partition"], config["region"], config["account"], group) for group in config["groups"]]


def _host(config: t.Mapping[str, t.Any]) -> list[Statement]:
    groups = _group_arns(config)
    found = [
        *_read(config),
        _once("RecordBootsThatFailed", _under(config, "boots")),
        {
            "Sid": "AnswerTheHooks",
            "Effect": "Allow",
            "Resource": groups,
            "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
        },
        # AWS knows no narrower resource for these.
        {
            "Sid": "KnowTheGroup",
            "Effect": "Allow",
            "Resource": "*" if groups else [],
            "Action": ["autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"],
        },
    ]
    sources = [source for source in [config["cookie"], *config["secrets"].values()] if isinstance(source, str)]
    parameters, secrets = _sources(config, sources)
    found.append(
        {
            "Sid": "ReadParameters",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters"],
            "Resource": parameters,
        }
    )
    found.append(
        {"Sid": "ReadSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secrets}
    )
    services = [
        "%s.%s.amazonaws.com" % (name, config["region"])
        for name, used in (("ssm", parameters), ("secretsmanager", secrets))
        if used
    ]
    found.append(
        {
            "Sid": "DecryptByTheServices",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": config["kms_keys"] if services else [],
            "Condition": {"StringEquals": {"kms:ViaService": services}},
        }
    )
    return [*found, _bucket_keys(config)]


def _bucket_keys(config: t.Mapping[str, t.Any]) -> Statement:
    """Of a bucket that encrypts with a key of its own: reading takes the one, writing takes both."""
    if config["kms_keys"] and not config["region"]:
        raise _refused("the service that uses a key needs region", "Give it")
    return {
        "Sid": "UseTheBucketsKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": config["kms_keys"],
        "Condition": {"StringEquals": {"kms:ViaService": ["s3.%s.amazonaws.com" % config["region"]]}},
    }


def _sources(config: t.Mapping[str, t.Any], sources: t.Sequence[str]) -> tuple[list[str], list[str]]:
    """ssm:/path and secretsmanager:id[#json_key] as ARNs; file:/path needs no permission, because it is on the host."""
    parameters: list[str] = []
    secrets: list[str] = []
    for source in sources:
        kind, _colon, name = source.partition(":")
        name = name.partition("#")[0]
        if not source or kind == "file":
            continue
        if kind not in ("ssm", "secretsmanager") or not re.fullmatch(r"[A-Za-z0-9_.:/+=@-]+", name):
            raise _refused(
                "%r is no source of a secret" % source,
                "Say ssm:/path, secretsmanager:id, secretsmanager:id#json_key or file:/path",
            )
        if name.startswith("arn:"):
            (parameters if kind == "ssm" else secrets).append(name)
            continue
        if not (config["region"] and config["account"]):
            raise _refused("the ARNs of parameters and secrets need region and account", "Give both")
        where = (config["partition"], kind, config["region"], config["account"])
        if kind == "ssm":
            parameters.append("arn:%s:%s:%s:%s:parameter/%s" % (*where, name.lstrip("/")))
        else:
            secrets.append("arn:%s:%s:%s:%s:secret:%s-??????" % (*where, name))  # AWS adds six characters to the name
    return sorted(set(parameters)), sorted(set(secrets))


def _builder(config: t.Mapping[str, t.Any]) -> list[Statement]:
    return [*_read(config), _once("PublishOnce", _under(config, *_ONCE_BUILDER)), *_check(config), _bucket_keys(config)]


def _deployer(config: t.Mapping[str, t.Any]) -> list[Statement]:
    groups = _group_arns(config)
    refresh = [
        "autoscaling:StartInstanceRefresh",
        "autoscaling:CancelInstanceRefresh",
        "autoscaling:RollbackInstanceRefresh",
    ]
    describe = ["AutoScalingGroups", "LifecycleHooks", "InstanceRefreshes"]
    balance = ["DescribeTargetGroups", "DescribeTargetGroupAttributes", "DescribeTargetHealth"]
    return [
        _bucket_keys(config),
        *_read(config),
        _once("WriteOnce", _under(config, *_ONCE_DEPLOYER)),
        *_swap(config),
        *_check(config),
        {"Sid": "RefreshTheGroups", "Effect": "Allow", "Action": refresh, "Resource": groups},
        {
            "Sid": "KnowTheGroups",
            "Effect": "Allow",
            "Resource": "*" if groups else [],
            "Action": [
                *("autoscaling:Describe" + one for one in describe),
                "ec2:DescribeInstances",
                "ec2:DescribeLaunchTemplateVersions",
            ],
        },
        {
            "Sid": "TakeOutAndPutBack",
            "Effect": "Allow",
            "Resource": config["target_groups"],
            "Action": ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
        },
        {
            "Sid": "KnowTheTargets",
            "Effect": "Allow",
            "Resource": "*" if config["target_groups"] else [],
            "Action": ["elasticloadbalancing:" + one for one in balance],
        },
        # AWS asks this of who starts a refresh to another launch template.
        {
            "Sid": "LaunchByTheGroups",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": config["roles"],
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        },
        {
            "Sid": "LaunchWithTheRoles",
            "Effect": "Allow",
            "Action": ["ec2:RunInstances", "ec2:CreateTags"],
            "Resource": "*" if config["roles"] else [],
            "Condition": {"StringEquals": {"aws:CalledViaLast": "autoscaling.amazonaws.com"}},
        },
    ]
