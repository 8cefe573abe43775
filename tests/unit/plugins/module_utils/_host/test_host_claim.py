# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service may take on a host: nothing that exists and is not its own, and everything that a former version of the role made."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import claim as claims
from ansible_collections.alchemist.beam.plugins.module_utils._host.claim import Claim, check_account, of_service

HEADER = "# Copyright (c) 2026, alchemist.beam contributors\n# Ansible managed\n\n"
UNIT = """
[Service]
ExecStart=/srv/{base}/current/bin/shop start
User={user}
Group={user}
WorkingDirectory=/var/lib/{unit}
StateDirectory={unit}
RuntimeDirectory={instance}
EnvironmentFile=/etc/{unit}/env
"""


class Host:
    """A directory in the place of /, and accounts of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.users: dict[str, int] = {"root": 0, "proxy": 13, "mail": 8}
        self.groups: set[str] = {"root", "proxy", "mail", "docker"}

    def user(self, name: str) -> pwd.struct_passwd | None:
        return (
            pwd.struct_passwd((name, "x", self.users[name], 0, "", "/bin", "/usr/sbin/nologin"))
            if name in self.users
            else None
        )

    def group(self, name: str) -> grp.struct_group | None:
        return grp.struct_group((name, "x", 1, [])) if name in self.groups else None

    def write(self, path: str, text: str = "", mode: int = 0o755) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            file.mkdir(exist_ok=True)
            file.chmod(mode)
        else:
            file.write_text(text)

    def unit(self, unit: str, instance: str = "", user: str = "", base: str = "") -> None:
        """As a former version of the role left it, without a note."""
        instance, user, base = instance or unit, user or unit, base or unit
        self.write(
            "/etc/systemd/system/%s.service" % instance,
            HEADER + UNIT.format(unit=unit, instance=instance, user=user, base=base),
        )

    def former(self, unit: str, instances: t.Sequence[str] = ()) -> None:
        self.users[unit] = 990
        self.groups.add(unit)
        for instance in instances or [unit]:
            self.unit(unit, instance)
            self.write("/run/%s/" % instance, mode=0o700)
            self.write(
                "/usr/local/sbin/%s-remote" % instance,
                "#!/bin/sh\n# Ansible managed\n# A shell in the running node (remote), or\n",
            )
        for path in ("/etc/%s/env", "/var/lib/%s/.erlang.cookie", "/srv/%s/releases/", "/srv/%s/mine/x"):
            self.write(path % unit, HEADER)

    def claim(self, unit: str = "shop", **options: t.Any) -> Claim:
        user = options.pop("user", unit)
        wanted = of_service(
            unit,
            options.pop("instances", [unit]),
            user,
            options.pop("group", user),
            options.pop("base", "/srv/" + unit),
            **options,
        )
        return Claim(wanted, str(self.root))

    def taken(self, unit: str, **options: t.Any) -> list[str]:
        before = sorted(map(str, self.root.rglob("*")))
        with pytest.raises(BeamError) as caught:
            self.claim(unit, **options).check()
        assert caught.value.code == "service_taken" and sorted(map(str, self.root.rglob("*"))) == before
        assert (
            all(name in caught.value.message for name in caught.value.details["taken"])
            and "service_adopt" in caught.value.hint
        )
        return list(caught.value.details["taken"])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(claims, "_user", made.user)
    monkeypatch.setattr(claims, "_group", made.group)
    # Whoever runs the tests is root in there, as long as nothing else is said.
    monkeypatch.setattr(claims, "_user_name", lambda uid: "root" if uid == os.geteuid() else str(uid))
    return made


def test_a_bare_host_has_room_and_what_was_taken_is_known_again(host: Host) -> None:
    first = host.claim()
    first.check()
    assert not first.noted and list(host.root.iterdir()) == []
    first.take()
    assert host.claim().noted and (host.root / "etc/alchemist-beam/shop.json").stat().st_mode & 0o777 == 0o644
    # It died after it had made some of it: no unit is there yet.
    host.users["shop"] = 990
    host.groups.add("shop")
    for path in ("/etc/shop/env", "/var/lib/shop/x", "/srv/shop/x"):
        host.write(path)
    host.claim().check()


@pytest.mark.parametrize(
    ("unit", "prepare", "taken"),
    [
        ("ssl", ["/etc/ssl/openssl.cnf"], ["/etc/ssl"]),
        ("network", ["/etc/network/interfaces", "/run/network/ifstate"], ["/etc/network", "/run/network"]),
        ("opt", ["/etc/opt/"], ["/etc/opt"]),
        ("proxy", [], ["proxy"]),
        ("docker", [], ["docker"]),
        ("dpkg", ["/var/lib/dpkg/status"], ["/var/lib/dpkg"]),
        ("git", ["/srv/git/project.git/HEAD"], ["/srv/git"]),
        ("shop", ["/srv/shop"], ["/srv/shop"]),
        ("ssh", ["/usr/lib/systemd/system/ssh.service"], ["/etc/systemd/system/ssh.service"]),
        ("cups", ["/lib/systemd/system/cups.socket"], ["/etc/systemd/system/cups.service"]),
        ("old", ["/etc/init.d/old"], ["/etc/systemd/system/old.service"]),
        ("shop", ["/etc/systemd/system/shop.service"], ["/etc/systemd/system/shop.service"]),
        ("git", ["/usr/bin/git-remote"], ["/usr/local/sbin/git-remote"]),
        ("shop", ["/usr/local/sbin/shop-remote"], ["/usr/local/sbin/shop-remote"]),
        ("mail", ["/etc/mail/aliases", "/var/lib/mail/x"], ["/etc/mail", "/var/lib/mail", "mail"]),
    ],
)
def test_what_exists_and_is_not_ours_is_refused(host: Host, unit: str, prepare: list[str], taken: list[str]) -> None:
    for path in prepare:
        host.write(path, "theirs")
    assert host.taken(unit) == taken
    host.claim(unit, adopt=taken).check()


@pytest.mark.parametrize("instances", [(), ("shop-blue", "shop-green")])
@pytest.mark.parametrize("wanted", [["shop"], ["shop-blue", "shop-green"]])
def test_a_host_of_a_former_version_goes_on(host: Host, instances: tuple[str, ...], wanted: list[str]) -> None:
    """With and without colours, before and after: the unit file tells what is ours, and the rest is noted."""
    host.former("shop", instances)
    found = host.claim(instances=wanted)
    found.check()
    found.take()
    host.claim(instances=wanted).check()


def test_a_unit_of_ours_says_which_account_and_base_are_ours(host: Host) -> None:
    host.former("shop")
    assert host.taken("shop", user="proxy") == ["proxy"]
    host.write("/srv/git/project.git/HEAD")
    assert host.taken("shop", base="/srv/git") == ["/srv/git"]
    host.unit("shop", user="deploy", base="data")
    host.users["deploy"] = 1000
    host.write("/srv/data/x")
    host.claim(user="deploy", base="/srv/data").check()


def test_a_unit_of_another_service_of_ours_is_not_taken(host: Host) -> None:
    host.former("shop-blue")
    assert host.taken("shop", instances=["shop-blue", "shop-green"]) == [
        "/etc/systemd/system/shop-blue.service",
        "/run/shop-blue",
    ]
    # Two services may share an account and a base.
    host.claim("shop-blue").take()
    host.claim("shop", user="shop-blue", base="/srv/shop-blue").check()


def test_directories_that_may_be_there_before(host: Host) -> None:
    host.write("/srv/shop/lost+found/")
    host.write("/var/lib/shop/")
    host.write("/etc/shop/tls.pem")
    (host.root / "etc/shop").chmod(0o700)
    host.claim().check()
    host.write("/etc/shop/env", "theirs")
    assert host.taken("shop") == ["/etc/shop/env"]
    host.write("/data/shop/certs/x")
    (host.root / "data/shop").chmod(0o755)
    (host.root / "etc/shop/env").unlink()
    if os.geteuid() == 0:
        host.claim(base="/data/shop").check()
    (host.root / "data/shop").chmod(0o1777)
    assert host.taken("shop", base="/data/shop") == ["/data/shop"]
    # A release was put there first.
    host.write("/srv/web/state.json")
    host.write("/srv/web/more")
    host.claim("web").check()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("customer_notification_dispatch_service", "38 letters"),
        ("Shop", "lower-case"),
        ("my.app", "lower-case"),
        ("-o", "lower-case"),
        ("", "lower-case"),
    ],
)
def test_names_that_useradd_does_not_take(host: Host, name: str, said: str) -> None:
    with pytest.raises(BeamError) as caught:
        check_account(name)
    assert (
        caught.value.code == "service_name_invalid"
        and said in caught.value.message
        and "service_user" in caught.value.hint
    )
    with pytest.raises(BeamError):
        host.claim("shop", user=name).check()


def test_the_longest_name_and_a_group_that_somebody_chose(host: Host) -> None:
    assert check_account("a" * 32)
    found = host.claim("shop", group="docker")
    found.check()
    found.take()
    assert b"docker" not in found.note and host.claim("shop", group="docker").noted
    assert host.taken("docker") == ["docker"]


def test_an_account_that_is_somebody_s_stays_as_it_is(host: Host) -> None:
    host.users["First.Last"] = 1000
    host.claim("shop", user="First.Last", create_user=False).check()
    with pytest.raises(BeamError) as caught:
        host.claim("shop", user="nobody-here", create_user=False).check()
    assert caught.value.code == "service_account_missing"


def test_a_note_that_can_t_be_read_says_nothing(host: Host) -> None:
    host.write("/etc/alchemist-beam/shop.json", "{")
    host.claim().check()


def test_a_port_of_the_distribution_that_another_service_has(host: Host) -> None:
    host.unit("blog")
    unit = host.root / "etc/systemd/system/blog.service"
    unit.write_text(unit.read_text() + 'Environment="ERL_ZFLAGS=-start_epmd false -erl_epmd_port 4370"\n')
    shop = ("shop", ["shop"], "shop", "shop", "/srv/shop")
    with pytest.raises(
        BeamError, match="port 4370 of its distribution is that of the service blog .*service_dist_port: 4380"
    ) as caught:
        Claim(of_service(*shop, ports=[4370]), str(host.root)).check()
    assert caught.value.code == "service_port_taken"
    Claim(of_service(*shop, ports=[4371, 4372]), str(host.root)).check()
    Claim(of_service("blog", ["blog"], "blog", "blog", "/srv/blog", ports=[4370]), str(host.root)).check()
