# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/zero-to-phoenix.md on real systemd hosts: its files and commands as they stand there, from an empty home.

What is brought along is what the page asks for: ssh to four servers by their names, git, keys of a bucket. The settings of Ansible are the page's own.
"""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fleet")]

import s3_server
from reader import CONTROL, Reader, here

APPS = {"app1.example.com": "h1", "app2.example.com": "h2", "app3.example.com": "h3"}
HOSTS = {**APPS, "build1.example.com": "h4"}
BUCKET = "example-releases"
SSH = '#!/bin/sh\nexec /usr/bin/ssh -F %s "$@"\n'  # ssh looks into the home of the user, whatever HOME is


class Newcomer(Reader):
    page = "zero-to-phoenix.md"
    builder = "build1.example.com"

    def bring(self, web: Path) -> None:
        self.ansible = {}
        bin_directory = self.home / "bin"
        bin_directory.mkdir()
        (bin_directory / "ssh").write_text(SSH % (self.home / "ssh" / "config"), encoding="utf-8")
        (bin_directory / "ssh").chmod(0o755)
        resolve = "".join('resolve = "%s:4000:10.99.0.1%s"\n' % (name, host[1:]) for name, host in APPS.items())
        (self.home / ".curlrc").write_text(resolve, encoding="utf-8")
        (self.home / ".gitconfig").write_text("[user]\n    name = a\n    email = a@example.org\n", encoding="utf-8")
        here(sys.executable, str(ROOT / "examples" / "make_shop.py"), "--vendor", str(self.directory / "vendor"))
        self.environment.update(
            PATH="%s:%s" % (bin_directory, self.environment["PATH"]),
            SHOP_VENDOR=str(self.directory / "vendor"),
            ANSIBLE_NOCOLOR="1",
        )
        server, where = (
            ["python", str(ROOT / "tests" / "support" / "s3_server.py")],
            ["--dir", str(self.directory / "s3")],
        )
        self.hosts.control(*server, "start", "--bind", CONTROL, "--bucket", BUCKET, *where)
        self.s3 = s3_server.load(self.directory / "s3")
        keys = {
            "aws_access_key_id": self.s3.access_key,
            "aws_secret_access_key": self.s3.secret_key,
            "region": "us-east-1",
            "endpoint_url": self.s3.endpoint,
        }
        self.environment.update(
            AWS_ACCESS_KEY_ID=self.s3.access_key,
            AWS_SECRET_ACCESS_KEY=self.s3.secret_key,
            AWS_REGION="us-east-1",
            AWS_ENDPOINT_URL=self.s3.endpoint,
        )
        settings = "[default]\\n" + "".join("%s = %s\\n" % pair for pair in keys.items())
        self.hosts.shell(HOSTS[self.builder], "mkdir -m 700 ~root/.aws && printf '%s' > ~root/.aws/config" % settings)

    def versions(self) -> list[str]:
        """What the processes run, by the directory that they were started from."""
        found = []
        for host in APPS.values():
            said = self.hosts.shell(host, "readlink /proc/$(systemctl show --value --property=MainPID shop)/exe")
            match = re.match(r"/srv/shop/releases/([^/]+)/erts-", said)
            found.append(match.group(1) if match else said)
        return found

    def page_of(self, host: str) -> str:
        return str(self.hosts.shell(host, "curl -s http://127.0.0.1:4000/"))


@pytest.fixture(scope="module")
def newcomer(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    hosts.fleet("up", str(len(HOSTS)), timeout=580)
    made = Newcomer(hosts, tmp_path_factory.mktemp("zero"), HOSTS)
    made.prepare()
    return made


def test_1_the_first_page(newcomer: Newcomer) -> None:
    newcomer.types("project")
    said = newcomer.types("init")
    assert "beam_env.PHX_HOST" in said and "vault_secret_key_base" in said
    written = yaml.safe_load((newcomer.home / "shop/deploy/group_vars/all/beam.yml").read_text(encoding="utf-8"))
    for phase in ("fleet", "setup"):
        newcomer.types(phase)
    by_hand = yaml.safe_load((newcomer.home / "ops/inventory.yml").read_text(encoding="utf-8"))["all"]["vars"]
    same = (
        "beam_name",
        "beam_build_version",
        "beam_build_after_compile",
        "beam_migrate",
        "beam_channel",
        "beam_batches",
    )
    assert {name: written.get(name) for name in same} == {name: by_hand[name] for name in same}
    assert (
        newcomer.hosts.shell("h4", "/opt/beam/bin/python -c 'import boto3; print(boto3.__name__)'").strip() == "boto3"
    )
    said = newcomer.types("first")
    assert "<h1>Welcome to the shop</h1>" in said and "runs on 3 of 3 hosts" in said
    assert re.search(r'href="/assets/app-[0-9a-f]{32}\.css"', said), "assets.deploy has run"
    (version,) = set(newcomer.versions())
    assert re.fullmatch(r"0\.1\.0\+g[0-9a-f]{8}", version)


def test_2_a_second_version(newcomer: Newcomer) -> None:
    """What phx.digest left beside the sources of the first build is no change of the project."""
    (before,) = set(newcomer.versions())
    said = newcomer.types("second")
    assert "<h1>We sell tea</h1>" in said
    (version,) = set(newcomer.versions())
    assert version != before


def test_3_a_version_that_fails(newcomer: Newcomer) -> None:
    before = newcomer.versions()
    said = newcomer.types("fails")
    assert "It went back." in said and "<h1>We sell tea</h1>" in said
    verdict = next(line for line in said.splitlines() if "was not rolled out" in line)
    assert "SHOP_CURRENCY" in verdict and "ghost" not in verdict, verdict
    assert newcomer.versions() == before
    seen = newcomer.types("inside")
    assert "Running ShopWeb.Endpoint with cowboy" in seen and 'products: [%{name: "Tea"}]' in seen


def test_4_the_setting_and_again(newcomer: Newcomer) -> None:
    before = newcomer.versions()
    assert "runs on 3 of 3 hosts" in newcomer.types("again")
    assert not set(newcomer.versions()) & set(before)


def test_5_secrets_are_where_they_belong(newcomer: Newcomer) -> None:
    line = newcomer.hosts.shell("h1", "grep ^SECRET_KEY_BASE= /etc/shop/env")
    secret = line.partition("=")[2].strip().strip("'\"")
    assert len(secret) == 64
    for host in HOSTS.values():
        assert secret not in newcomer.hosts.on(host, "journalctl", "--no-pager", "--output=cat")
        found = newcomer.hosts.shell(
            host, "grep -rsalF -e '%s' /srv /etc /opt /var /tmp /root || true" % secret
        ).split()
        assert found == (["/etc/shop/env"] if host in APPS.values() else [])
