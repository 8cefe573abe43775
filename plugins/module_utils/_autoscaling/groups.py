# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Auto scaling groups through boto3: thin calls, each with its failure in words. What is made of the answers is in transformations.py."""

from __future__ import annotations

import sys
import typing as t

from .._errors import BeamError
from . import transformations
from .transformations import Group, Member

# The options of every module that speaks to AWS. Documented by the doc fragment alchemist.beam.aws.
AWS_SPEC: dict[str, dict[str, t.Any]] = {
    "region": {"type": "str", "aliases": ["aws_region", "ec2_region"]},
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url"]},
    "profile": {"type": "str", "aliases": ["aws_profile"]},
    "access_key": {"type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"type": "str", "aliases": ["aws_session_token"], "no_log": True},
}
_CREDENTIALS = frozenset((
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "MissingAuthenticationToken",
    "InvalidAccessKeyId", "AuthFailure", "RequestExpired", "IncompleteSignature",
))  # fmt: skip
_DENIED = frozenset(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OperationNotPermitted", "403", "Forbidden"))
_BUSY = frozenset(("Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable", "InternalFailure", "InternalError"))


class Unavailable(BeamError):
    """Not answered, or throttled: somebody who waits anyway may ask again."""


def make_client(service: str, options: t.Mapping[str, t.Any]) -> t.Any:
    what = "The service %s of AWS can't be used" % service
    try:
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise BeamError(
            "boto3_missing", what, "boto3 is not installed for %s" % sys.executable,
            "Install boto3 where the task runs; a virtual environment that ansible_python_interpreter names will do",
        ) from exc  # fmt: skip
    config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 5, "mode": "standard"})
    try:
        session = botocore.session.Session(profile=options.get("profile") or None)
        return session.create_client(
            service, region_name=options.get("region") or None, endpoint_url=options.get("endpoint_url") or None, config=config,
            aws_access_key_id=options.get("access_key") or None, aws_secret_access_key=options.get("secret_key") or None,
            aws_session_token=options.get("session_token") or None,
        )  # fmt: skip
    except (BotoCoreError, ValueError) as exc:
        raise BeamError("aws_option", what, str(exc), "Check profile, region and endpoint_url") from exc


def translate(exc: BaseException, what: str) -> t.Optional[BeamError]:
    """None for what is no error of the API or the way there."""
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        text = "%s: %s" % (code, str(response.get("Error", {}).get("Message", ""))[:300])
        if code in _BUSY or status >= 500 or status == 429:
            return Unavailable("aws_busy", what, text, "Run the task again later")
        if code in _CREDENTIALS:
            return BeamError("aws_credentials", what, text, "Renew or correct the credentials, and run the task again")
        if code in _DENIED or status == 403:
            return BeamError("aws_denied", what, text, "The rights it takes are those of the filter alchemist.beam.iam_policy for a deployer")
        return BeamError("aws_refused", what, text, "Look at the auto scaling group", aws_code=code)
    names = {cls.__name__ for cls in type(exc).__mro__}
    if names & {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError", "UnauthorizedSSOTokenError"}:
        return BeamError("aws_credentials", what, str(exc), "Give profile, or use the environment's credentials")
    if names & {"HTTPClientError", "ConnectionError", "OSError", "ConnectionClosedError", "ReadTimeoutError", "ConnectTimeoutError", "ResponseParserError"}:
        return Unavailable("aws_unreachable", what, str(exc)[:300], "Check the network, region and endpoint_url")
    if "BotoCoreError" in names:
        return BeamError("aws_option", what, str(exc)[:300], "Check the options of the task")
    return None


class Aws:
    """The calls that are needed, by the words of the API."""

    def __init__(self, options: t.Mapping[str, t.Any], clients: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        self._options = options
        self._clients: dict[str, t.Any] = dict(clients or {})

    def call(self, service: str, operation: str, what: str = "", **parameters: t.Any) -> t.Any:
        try:
            if service not in self._clients:
                self._clients[service] = make_client(service, self._options)
            return getattr(self._clients[service], operation)(**parameters)
        except BeamError:
            raise
        except Exception as exc:
            error = translate(exc, what or "%s of %s failed" % (operation, service))
            if error is None:
                raise
            raise error from exc

    def pages(self, service: str, operation: str, key: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = []
        while True:
            answer = self.call(service, operation, **parameters)
            found += answer.get(key) or []
            if not answer.get("NextToken"):
                return found
            parameters["NextToken"] = answer["NextToken"]

    def group(self, name: str) -> Group:
        """The group, its hooks and its refresh. Its absence is an error: a name that is mistyped must not look like a group without members."""
        raw = self.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name])
        if not raw:
            raise BeamError(
                "group_missing", "There is no auto scaling group %s" % name, "AWS knows none of this name in this account and region",
                "Correct the name or the region; alchemist.beam.autoscaling makes groups",
            )  # fmt: skip
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
                "template_missing", "There is no version %s of the launch template %s" % (version, template.get("name") or template.get("id")),
                "AWS knows none in this account and region", "Correct launch_template",
            )  # fmt: skip
        return str(found[0]["VersionNumber"])


def run_info(params: t.Mapping[str, t.Any], aws: t.Optional[Aws] = None) -> dict[str, t.Any]:
    """The result of the module autoscaling_info."""
    aws = aws or Aws(params)
    found = []
    for name in params["groups"]:
        group = aws.group(name)
        members = aws.members(group)
        found.append({**transformations.told(group), "members": [transformations.told_member(one, group.name) for one in members]})
    return {"changed": False, "groups": found, "members": [member for group in found for member in group["members"]]}
