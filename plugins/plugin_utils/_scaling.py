# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The members of an auto scaling group and the hosts of an inventory: which members are missing there, and how they are added."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.newcomers import is_on_its_way

Vars = t.Mapping[str, t.Any]
# What AWS knows a machine by, and where an inventory may have it: amazon.aws.aws_ec2 sets the first ones.
_MEMBER = ("instance_id", "private_ip", "public_ip", "private_dns")
_HOST = (
    "instance_id",
    "ec2_instance_id",
    "ansible_host",
    "private_ip_address",
    "public_ip_address",
    "private_dns_name",
)


def names_of(host: str, of: Vars) -> set[str]:
    """Everything that a host of the inventory may be recognized by."""
    target = (of.get("beam_member") or {}).get("target") if isinstance(of.get("beam_member"), t.Mapping) else None
    return {str(one) for one in (host, target, *(of.get(key) for key in _HOST)) if one}


def missing(members: t.Iterable[Vars], hostvars: Vars, hosts: t.Iterable[str], serving: bool = True) -> list[Vars]:
    """Members that no host stands for. serving: without those that are on their way in, which look at the channel themselves before they serve."""
    known: set[str] = set()
    for host in hosts:
        known |= names_of(host, hostvars.get(host) or {})
    found = []
    for member in members:
        if not member["stays"] or member.get("state") not in ("running", "pending"):
            continue
        if serving and is_on_its_way(member["lifecycle_state"]):
            continue
        if not known & known_by(member):
            found.append(member)
    return found


def known_by(member: Vars) -> set[str]:
    return {str(member[key]) for key in _MEMBER if member.get(key)}


def hosts_of(members: t.Iterable[Vars], hostvars: Vars, hosts: t.Iterable[str]) -> list[str]:
    """The hosts that stand for some members."""
    wanted = set().union(*(known_by(member) for member in members))
    return [host for host in hosts if wanted & names_of(host, hostvars.get(host) or {})]


def group_for(pattern: str, groups: t.Mapping[str, t.Collection[str]]) -> str:
    """The group of the inventory that members are added to: the pattern of the playbook where it can be one. Into any other pattern nobody can be put."""
    named = re.fullmatch(r"[A-Za-z0-9_.-]+", pattern) and pattern not in groups.get("all", ())
    return pattern if pattern in groups or named else "beam"


def check_matched(left: t.Sequence[Vars], group: str, pattern: str) -> None:
    """left: members that are missing still, after they were added."""
    if left:
        raise BeamError(
            "members_unmatched",
            "%s of the auto scaling group %s can't be brought in" % (" ".join(m["instance_id"] for m in left), group),
            "beam_hosts (%s) does not match them" % pattern,
            "Let beam_hosts be the name of one group, which new members are added to",
        )
