# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Auto scaling groups through boto3: thin calls, each with its failure in words. What is made of the answers is in transformations.py."""

from __future__ import annotations

import typing as t

from .._aws import BUSY, CREDENTIALS, DENIED, OPTION, REFUSED, UNREACHABLE, Limits, ask, make_client, said
from .._deadline import Limit
from .._errors import BeamError
from . import transformations
from .transformations import Group, Member

_LIMITS = Limits(connect=5, read=20, attempts=5)
# By the kind of a failure, the code of ours and what to do.
_MEANINGS = {
    BUSY: ("aws_busy", "Run the task again later"),
    CREDENTIALS: ("aws_credentials", "Give profile, or renew or correct the credentials, and run the task again"),
    DENIED: ("aws_denied", "The rights it takes are those of the filter alchemist.beam.iam_policy for a deployer"),
    REFUSED: ("aws_refused", "Look at the auto scaling group"),
    UNREACHABLE: ("aws_unreachable", "Check the network, region and endpoint_url"),
    OPTION: ("aws_option", "Check the options of the task"),
}


class Unavailable(BeamError):
    """Not answered, or throttled: somebody who waits anyway may ask again."""


def translate(exc: BaseException, what: str) -> t.Optional[BeamError]:
    """None for what is no error of the API or the way there."""
    failure = said(exc)
    if failure is None:
        return None
    code, hint = _MEANINGS[failure.kind]
    details = {"aws_code": failure.code} if failure.kind == REFUSED else {}
    return (Unavailable if failure.kind in (BUSY, UNREACHABLE) else BeamError)(code, what, failure.why, hint, **details)


class Aws:
    """The calls that are needed, by the words of the API."""

    def __init__(self, options: t.Mapping[str, t.Any], clients: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        self._options = options
        self._clients: dict[str, t.Any] = dict(clients or {})

    def call(self, service: str, operation: str, what: str = "", **parameters: t.Any) -> t.Any:
        what = what or "%s of %s failed" % (operation, service)
        try:
            if service not in self._clients:
                self._clients[service] = make_client(
                    service, self._options, _LIMITS, "The service %s of AWS can't be used" % service
                )
            return ask(self._clients[service], operation, _LIMITS, parameters, lambda exc: translate(exc, what))
        except BeamError:
            raise
        except Exception as exc:
            error = translate(exc, what)
            if error is None:
                raise
            raise error from exc

    def pages(self, service: str, operation: str, key: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = []
        with Limit(_LIMITS.total):  # over all pages: there may be no last one
            while True:
                answer = self.call(service, operation, **parameters)
                found += answer.get(key) or []
                if not answer.get("NextToken"):
                    return found
                parameters["NextToken"] = answer["NextToken"]

    def group(self, name: str) -> Group:
        """The group, its hooks and its refresh. Its absence is an error: a name that is mistyped must not look like a group without members."""
        raw = self.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]
        )
        if not raw:
            raise BeamError(
                "group_missing",
                "There is no auto scaling group %s" % name,
                "AWS knows none of this name in this account and region",
                "Correct the name or the region; alchemist.beam.autoscaling makes groups",
            )
        hooks = self.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=name)["LifecycleHooks"]
        return transformations.group_of(raw[0], hooks, self.refreshes(name))

    def refreshes(self, name: str, refresh: str = "") -> list[dict[str, t.Any]]:
        """The newest first."""
        chosen = {"InstanceRefreshIds": [refresh]} if refresh else {"MaxRecords": 10}
        answer = self.call("autoscaling", "describe_instance_refreshes", AutoScalingGroupName=name, **chosen)
        return list(answer.get("InstanceRefreshes") or ())

    def members(self, group: Group) -> tuple[Member, ...]:
        """Every instance of the group, whatever its lifecycle state, with its addresses."""
        ids = [one["InstanceId"] for one in group.instances]
        machines: dict[str, t.Any] = {}
        for start in range(0, len(ids), 100):
            # By a filter: an id that is gone already would make the whole request fail.
            chosen = [{"Name": "instance-id", "Values": ids[start : start + 100]}]
            for reservation in self.pages("ec2", "describe_instances", "Reservations", Filters=chosen):
                machines.update({one["InstanceId"]: one for one in reservation["Instances"]})
        return tuple(transformations.member_of(one, machines.get(one["InstanceId"])) for one in group.instances)

    def template_version(self, template: t.Mapping[str, t.Any], version: str) -> str:
        """The number that $Latest or $Default stand for now."""
        named = {"LaunchTemplateId": template["id"]} if template.get("id") else {"LaunchTemplateName": template["name"]}
        answer = self.call("ec2", "describe_launch_template_versions", **named, Versions=[version or "$Default"])
        found = answer.get("LaunchTemplateVersions") or ()
        if not found:
            raise BeamError(
                "template_missing",
                "There is no version %s of the launch template %s"
                % (version, template.get("name") or template.get("id")),
                "AWS knows none in this account and region",
                "Correct the version of the launch template in the group, or launch_template of alchemist.beam.autoscaling_group",
            )
        return str(found[0]["VersionNumber"])


def run_info(params: t.Mapping[str, t.Any], aws: t.Optional[Aws] = None) -> dict[str, t.Any]:
    """The result of the module autoscaling_info."""
    aws = aws or Aws(params)
    found = []
    for name in params["groups"]:
        group = aws.group(name)
        members = aws.members(group)
        found.append(
            {
                **transformations.told(group),
                "members": [transformations.told_member(one, group.name) for one in members],
            }
        )
    return {"changed": False, "groups": found, "members": [member for group in found for member in group["members"]]}
