# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS for the tests of auto scaling groups: every request is held against botocore's own model of the API, and the answers are made here."""

from __future__ import annotations

import functools
import typing as t

import botocore.session
import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling import groups
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.groups import Aws
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

TEMPLATE = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "shop", "Version": "1"}


@functools.cache
def model(service: str) -> t.Any:
    return botocore.session.get_session().get_service_model(service)


class Client:
    def __init__(self, fake: FakeAws, service: str) -> None:
        self._fake, self._service = fake, service

    def __getattr__(self, operation: str) -> t.Callable[..., t.Any]:
        name = "".join(word.capitalize() for word in operation.split("_"))
        shape = model(self._service).operation_model(name).input_shape

        def call(**parameters: t.Any) -> t.Any:
            report = ParamValidator().validate(parameters, shape)
            assert not report.has_errors(), report.generate_report()
            self._fake.calls.append((operation, parameters))
            if self._fake.errors.get(operation):
                code = self._fake.errors[operation].pop(0)
                raise ClientError(
                    {
                        "Error": {"Code": code, "Message": "as the test wants it"},
                        "ResponseMetadata": {"HTTPStatusCode": 400},
                    },
                    name,
                )
            return getattr(self._fake, operation)(**parameters)

        return call


class FakeAws:
    """One group, `shop`. A refresh goes through the states of `steps`, one for each look at it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, t.Any]]] = []
        self.errors: dict[str, list[str]] = {}
        self.raw: dict[str, t.Any] = {
            "AutoScalingGroupName": "shop",
            "AutoScalingGroupARN": "arn:shop",
            "MinSize": 1,
            "MaxSize": 4,
            "DesiredCapacity": 2,
            "LaunchTemplate": dict(TEMPLATE),
            "Instances": [instance("i-1"), instance("i-2")],
            "SuspendedProcesses": [],
            "TargetGroupARNs": ["arn:tg"],
        }
        self.hooks: list[dict[str, t.Any]] = []
        self.history: list[dict[str, t.Any]] = []
        self.steps = ["Pending", "InProgress", "Successful"]
        self.replaces = True

    def aws(self) -> Aws:
        return Aws({}, {name: Client(self, name) for name in ("autoscaling", "ec2")})

    def said(self, operation: str) -> list[dict[str, t.Any]]:
        return [parameters for name, parameters in self.calls if name == operation]

    # The API.

    def describe_auto_scaling_groups(self, AutoScalingGroupNames: list[str], **_more: t.Any) -> t.Any:
        return {"AutoScalingGroups": [self.raw] if "shop" in AutoScalingGroupNames else []}

    def describe_lifecycle_hooks(self, **_more: t.Any) -> t.Any:
        return {"LifecycleHooks": self.hooks}

    def describe_instance_refreshes(self, InstanceRefreshIds: t.Sequence[str] = (), **_more: t.Any) -> t.Any:
        for one in self.history:
            if one["InstanceRefreshId"] in InstanceRefreshIds and one["steps"]:
                one["Status"] = one["steps"].pop(0)
                if one["Status"] == "Successful" and self.replaces:
                    if "DesiredConfiguration" in one:
                        self.raw["LaunchTemplate"] = {**TEMPLATE, **one["DesiredConfiguration"]["LaunchTemplate"]}
                    version = self.raw.get("LaunchTemplate", TEMPLATE)["Version"]
                    now = {**TEMPLATE, "Version": "2" if version == "$Latest" else version}
                    self.raw["Instances"] = [instance("i-3", now), instance("i-4", now)]
        return {
            "InstanceRefreshes": [
                one for one in self.history if not InstanceRefreshIds or one["InstanceRefreshId"] in InstanceRefreshIds
            ]
        }

    def start_instance_refresh(self, **parameters: t.Any) -> t.Any:
        configuration = {key: value for key, value in parameters.items() if key == "DesiredConfiguration"}
        self.history.insert(
            0,
            {
                "InstanceRefreshId": "r-%d" % len(self.history),
                "Status": "Pending",
                "steps": list(self.steps),
                **configuration,
            },
        )
        return {"InstanceRefreshId": self.history[0]["InstanceRefreshId"]}

    def cancel_instance_refresh(self, **_more: t.Any) -> t.Any:
        self.history[0].update(Status="Cancelling", steps=["Cancelling", "Cancelled"])
        return {"InstanceRefreshId": self.history[0]["InstanceRefreshId"]}

    def rollback_instance_refresh(self, **_more: t.Any) -> t.Any:
        self.history[0].update(Status="RollbackInProgress", steps=["RollbackInProgress", "RollbackSuccessful"])
        return {"InstanceRefreshId": self.history[0]["InstanceRefreshId"]}

    def describe_instances(self, Filters: list[dict[str, t.Any]], **_more: t.Any) -> t.Any:
        known = {"i-1": "10.0.0.1", "i-2": "10.0.0.2"}
        found = [
            {
                "InstanceId": one,
                "PrivateIpAddress": known[one],
                "State": {"Name": "running"},
                "Tags": [{"Key": "Name", "Value": "shop-" + one}],
            }
            for one in Filters[0]["Values"]
            if one in known
        ]
        return {"Reservations": [{"Instances": [one]} for one in found]}

    def describe_launch_template_versions(self, Versions: list[str], **_more: t.Any) -> t.Any:
        return {
            "LaunchTemplateVersions": [{"VersionNumber": {"$Latest": 2, "$Default": 1}[Versions[0]]}]
            if Versions[0] in ("$Latest", "$Default")
            else []
        }


def instance(name: str, template: t.Optional[dict[str, str]] = None, state: str = "InService") -> dict[str, t.Any]:
    return {
        "InstanceId": name,
        "LifecycleState": state,
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": False,
        "AvailabilityZone": "a",
        "LaunchTemplate": dict(template or TEMPLATE),
    }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """Its errors are those that are left after a call was tried as often as it may be."""
    monkeypatch.setattr(groups, "_LIMITS", groups._LIMITS._replace(attempts=1))
    return FakeAws()
