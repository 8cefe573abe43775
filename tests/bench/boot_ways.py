# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others boot with in boots.py, as people write it, and the mirrors that they take their packages from.

They are treated kindly: what a registry sends in seconds comes out of this machine's memory, apt reads an index of a few packages instead of Debian's,
git and venv are in the image already, and nobody gates, checks a hash, or holds back a group.
"""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

CONTROL = "10.99.0.1"
PORT = 8099
WEB = "http://%s:%d" % (CONTROL, PORT)
TARBALL = "tarballs/beacon.tar.gz"

_UNIT = """\
[Unit]
After=network-online.target

[Service]
Type=exec
User=beacon
Environment=PORT=4000 BEACON_IP=0.0.0.0 RELEASE_TMP=/tmp LANG=C.UTF-8
ExecStart=/srv/beacon/bin/beacon start
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

_AWSCLI = """\
#!/bin/sh
set -eu
rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] {web}/apt ./' > /etc/apt/sources.list
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y awscli
useradd --system beacon
mkdir -p /srv/beacon
export AWS_EC2_METADATA_SERVICE_ENDPOINT={metadata} AWS_DEFAULT_REGION={region}
aws --endpoint-url {endpoint} s3 cp s3://{bucket}/{tarball} /tmp/beacon.tar.gz
tar xzf /tmp/beacon.tar.gz -C /srv/beacon
chown -R beacon: /srv/beacon
cat > /etc/systemd/system/beacon.service <<'END'
{unit}END
systemctl daemon-reload
systemctl enable beacon
systemctl start --no-block beacon
"""

_PULL = """\
#!/bin/sh
set -eu
export HOME=/root
python3 -m venv /opt/ansible
/opt/ansible/bin/pip install --no-index --find-links {web}/wheels/ --trusted-host {control} ansible-core boto3
/opt/ansible/bin/ansible-pull --full -U {web}/play.git -i localhost, site.yml
"""

# boto3 takes the tarball, because a private bucket is read with the instance's role: s3_object would need a collection from Galaxy beside it, and takes longer.
_PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.user:
        name: beacon
        system: true
        create_home: false
    - ansible.builtin.file:
        path: /srv/beacon
        state: directory
    - ansible.builtin.command:
        argv:
          - /opt/ansible/bin/python
          - -c
          - import boto3; boto3.client('s3', endpoint_url='{endpoint}').download_file('{bucket}', '{tarball}', '/tmp/beacon.tar.gz')
        creates: /tmp/beacon.tar.gz
      environment:
        AWS_EC2_METADATA_SERVICE_ENDPOINT: {metadata}
        AWS_DEFAULT_REGION: {region}
    - ansible.builtin.unarchive:
        src: /tmp/beacon.tar.gz
        dest: /srv/beacon
        remote_src: true
        owner: beacon
    - ansible.builtin.copy:
        dest: /etc/systemd/system/beacon.service
        content: |
{indented}
    - ansible.builtin.systemd:
        name: beacon
        daemon_reload: true
        enabled: true
        state: started
"""


def _here(*argv: str, **more: t.Any) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, **more)


def user_data(way: str, services: t.Mapping[str, t.Any]) -> str:
    """way: awscli or pull."""
    return {"awscli": _AWSCLI, "pull": _PULL}[way].format(**_values(services))


def _values(services: t.Mapping[str, t.Any]) -> dict[str, str]:
    s3, cloud = services["s3"], services["cloud"]
    indented = "".join("          %s\n" % line if line else "\n" for line in _UNIT.splitlines()).rstrip("\n")
    return {
        "web": WEB,
        "control": CONTROL,
        "metadata": cloud["metadata_url"] + "/",
        "region": s3["region"],
        "endpoint": s3["endpoint_url"],
        "bucket": s3["bucket"],
        "tarball": TARBALL,
        "unit": _UNIT,
        "indented": indented,
    }


def mirrors(kept: Path, web: Path, base: Path, services: t.Mapping[str, t.Any]) -> None:
    """web: gets apt, wheels and play.git. kept: where packages stay for the next run. base: the tree that hosts start from."""
    _apt(kept / "apt", base)
    wheels = kept / "wheels"
    if not list(wheels.glob("ansible_core-*.whl")):
        _here(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            str(wheels),
            "ansible-core",
            "boto3",
        )
    web.mkdir()
    for name in ("apt", "wheels"):
        (web / name).symlink_to(kept / name)
    play = web.with_name("play")
    play.mkdir()
    (play / "site.yml").write_text(_PLAY.format(**_values(services)), encoding="utf-8")
    _here("git", "init", "--quiet", "--initial-branch=main", str(play))
    _here("git", "-C", str(play), "add", "site.yml")
    _here(
        "git",
        "-C",
        str(play),
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@localhost",
        "commit",
        "--quiet",
        "-m",
        "The play",
    )
    _here("git", "clone", "--quiet", "--bare", str(play), str(web / "play.git"))
    _here("git", "-C", str(web / "play.git"), "update-server-info")


def _apt(packages: Path, base: Path) -> None:
    """A flat repository of what a host lacks for awscli, without what is only recommended."""
    if not (packages / "Packages").exists():
        (packages / "partial").mkdir(parents=True, exist_ok=True)
        options = [
            "Dir::State::status=%s" % (base / "var/lib/dpkg/status"),
            "Dir::Cache::archives=%s" % packages,
            "Debug::NoLocking=1",
        ]
        words = [word for option in options for word in ("-o", option)]
        _here(
            "apt-get",
            "--assume-yes",
            "--quiet",
            "--no-install-recommends",
            "--download-only",
            *words,
            "install",
            "awscli",
        )
        with (packages / "Packages.new").open("w", encoding="utf-8") as index:
            subprocess.run(
                ["dpkg-scanpackages", "."],
                cwd=packages,
                stdin=subprocess.DEVNULL,
                stdout=index,
                stderr=subprocess.DEVNULL,
                check=True,
            )
        (packages / "Packages.new").rename(packages / "Packages")
