# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS as the tests see it: moto in a process of its own (cloud_server.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import playbooks

REGION = "us-east-1"


class Cloud:
    def __init__(self) -> None:
        subprocess.run([str(ROOT / "tests" / "support" / "setup.sh"), "venvaws"], stdin=subprocess.DEVNULL, check=True)
        argv = [
            str(ROOT / ".cache" / "venvaws" / "bin" / "python"),
            str(Path(__file__).with_name("cloud_server.py")),
            str(ROOT / "tests" / "fleet" / "hosts"),
        ]
        self._server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.options = {
            "endpoint_url": "http://127.0.0.1:%s" % self._read(),
            "region": REGION,
            "access_key": "double",
            "secret_key": "of the double",
        }
        keys = {
            "endpoint_url": self.options["endpoint_url"],
            "region_name": REGION,
            "aws_access_key_id": "double",
            "aws_secret_access_key": "of the double",
        }
        self._client: t.Any = boto3.client
        self.clients = {
            name: self._client(name, **keys) for name in ("autoscaling", "ec2", "elbv2", "cloudwatch", "iam")
        }
        self.autoscaling, self.ec2 = self.clients["autoscaling"], self.clients["ec2"]

    def template(self, name: str) -> str:
        """A new version of it; its number."""
        data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
        if name not in [one["LaunchTemplateName"] for one in self.ec2.describe_launch_templates()["LaunchTemplates"]]:
            self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
            return "1"
        return str(
            self.ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)[
                "LaunchTemplateVersion"
            ]["VersionNumber"]
        )

    def group(self, name: str, size: int, version: str = "1") -> list[str]:
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=2 * size,
            DesiredCapacity=size,
            AvailabilityZones=[REGION + "a"],
            LaunchTemplate={"LaunchTemplateName": name, "Version": version},
        )
        return self.members(name)

    def raw(self, name: str) -> dict[str, t.Any]:
        return dict(self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0])

    def members(self, name: str) -> list[str]:
        return [one["InstanceId"] for one in self.raw(name)["Instances"]]

    def versions(self, name: str) -> list[str]:
        return [one["LaunchTemplate"]["Version"] for one in self.raw(name)["Instances"]]

    def set_state(self, name: str, instance: str, state: str) -> None:
        assert self._server.stdin
        self._server.stdin.write("%s %s %s\n" % (name, instance, state))
        self._server.stdin.flush()
        assert self._read() == "done"

    def _read(self) -> str:
        assert self._server.stdout
        return self._server.stdout.readline().strip()

    def close(self) -> None:
        self._server.kill()
        self._server.wait()


def ansible(module: str, options: t.Mapping[str, t.Any], directory: Path, *more: str) -> dict[str, t.Any]:
    """The result of one module on this machine."""
    collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(ROOT / ".cache" / "live")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
        "ANSIBLE_LOCAL_TEMP": str(directory),
        "ANSIBLE_REMOTE_TEMP": str(directory),
        "ANSIBLE_NOCOLOR": "1",
    }
    argv = [
        "ansible",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        "ansible_python_interpreter=" + sys.executable,
    ]
    argv += ["localhost", "-m", module, "-a", json.dumps(options), *more]
    done = playbooks.run(argv, environment, apart=True)
    line = next((line for line in done.stdout.splitlines() if " => " in line or "!:" in line), "")
    assert "{" in line, done.stdout + done.stderr
    return {**json.loads(line[line.index("{") :]), "exit": done.returncode}
