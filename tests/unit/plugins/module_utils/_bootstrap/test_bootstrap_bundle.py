# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kit, the bundle and the user data, without a server."""

from __future__ import annotations

import ast
import datetime
import grp
import importlib.util
import io
import json
import os
import pwd
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import (
    bundle,
    first_boot,
    server_setup,
    user_data,
)
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host import setup as host_setup

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
CONFIG = {"schema": 1, "name": "shop", "base": "/srv/shop", "store": "s3://releases/prod"}


def document(where: str = "", config: t.Any = None, **changes: t.Any) -> dict[str, t.Any]:
    """where: a directory in the place of /."""
    place = {"owner": USER, "group": GROUP}
    return {
        "schema": 1,
        "name": "shop",
        "directories": [{**place, "path": where + "/srv/shop", "mode": "0750"}],
        "files": [
            {
                **place,
                "path": where + "/etc/beam-bootstrap/shop.json",
                "mode": "0644",
                "content": json.dumps({**CONFIG, **(config or {})}),
            },
            {**place, "path": where + "/etc/shop/env", "mode": "0600", "content": "PORT='4000'\n"},
        ],
        **changes,
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(server_setup, "DIRECTORY", "%s/etc/beam-bootstrap" % tmp_path)
    return str(tmp_path)


def snapshot(root: str) -> dict[str, tuple[int, int, int]]:
    return {
        os.path.join(place, name): (
            os.lstat(os.path.join(place, name)).st_ino,
            os.lstat(os.path.join(place, name)).st_mtime_ns,
            os.lstat(place).st_mtime_ns,
        )
        for place, folders, names in os.walk(root)
        for name in (*folders, *names)
    }


def setup(root: str, **changes: t.Any) -> server_setup.Plan:
    plan = server_setup.plan_setup(server_setup.kit_of(document(root, **changes), "kit.json"))
    server_setup.apply_plan(plan)
    return plan


def test_setup_makes_what_is_not_there_and_a_second_one_writes_nothing(root: str) -> None:
    assert server_setup.plan_setup(server_setup.kit_of(document(root), "kit.json")).changed and os.listdir(root) == []
    assert len(setup(root).changes) == 3
    before = snapshot(root)
    assert not setup(root).changed and snapshot(root) == before
    assert (
        os.stat(root + "/etc/shop/env").st_mode & 0o777 == 0o600
        and os.stat(root + "/srv/shop").st_mode & 0o777 == 0o750
    )


def test_setup_mends_content_mode_and_a_link_in_the_place_of_a_file(root: str, tmp_path: Path) -> None:
    setup(root)
    os.chmod(root + "/etc/shop/env", 0o644)
    assert setup(root).changes == (root + "/etc/shop/env",)
    Path(root, "etc/shop/env").write_text("PORT='4001'\n")
    assert setup(root).changes == (root + "/etc/shop/env",)
    Path(root, "etc/shop/env").unlink()
    (tmp_path / "elsewhere").write_text("not ours")
    os.symlink(tmp_path / "elsewhere", root + "/etc/shop/env")
    assert setup(root).changes == (root + "/etc/shop/env",)
    assert not os.path.islink(root + "/etc/shop/env") and (tmp_path / "elsewhere").read_text() == "not ours"


def test_accounts_and_units_that_are_missing_are_made_by_the_tools_of_the_system(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(host_setup, "_command", ran.append)
    users = [{"name": "no-such-user", "group": "no-such-group", "home": "/var/lib/shop"}]
    setup(root, users=users, enable=["beam-bootstrap@shop.service"], disable=["shop.service"])
    assert (
        ran[0] == ["groupadd", "--system", "no-such-group"] and ran[1][0] == "useradd" and ran[1][-1] == "no-such-user"
    )
    assert ran[2:] == [["systemctl", "enable", "--quiet", "beam-bootstrap@shop.service"]]


def test_what_is_on_the_server_and_not_the_kit_s_is_refused_before_anything_is_made(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_setup, "_command", lambda words: pytest.fail(words[0]))
    Path(root, "etc/shop").mkdir(parents=True)
    Path(root, "etc/shop/env").write_text("theirs")
    before = snapshot(root)
    users = [{"name": USER, "group": GROUP, "home": "/var/lib/shop"}]
    with pytest.raises(BeamError) as caught:
        setup(root, users=users)
    assert (
        caught.value.code == "service_taken"
        and caught.value.details["taken"] == [root + "/etc/shop/env", USER]
        and snapshot(root) == before
    )
    # What was made by an earlier boot, or by an image, is the kit's own.
    assert setup(root, users=users, adopt=[root + "/etc/shop/env", USER]).changed
    assert not setup(root, users=users).changed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema"),
        ({"more": 1}, "it.more: there is no such key"),
        ({"files": []}, "shop.json is not among them"),
        ({"config": {"typo": 1}}, "typo"),
        ({"config": {"name": "other"}}, "configuration is of other"),
        ({"directories": [{"path": "srv", "owner": "root", "group": "root", "mode": "0755"}]}, "absolute"),
        ({"directories": [{"path": "/srv/../etc", "owner": "root", "group": "root", "mode": "0755"}]}, "absolute"),
        ({"directories": [{"path": "/srv", "owner": "root", "group": "root", "mode": "u=rwx"}]}, "mode"),
        ({"users": [{"name": "-o", "group": "x", "home": "/"}]}, "account"),
        (
            {"users": [{"name": "customer_notification_dispatch_service", "group": "x", "home": "/"}]},
            "38 letters, and useradd takes 32. Give the node another",
        ),
        (
            {"users": [{"name": "mail", "group": "mail", "home": "/var/lib/mail"}]},
            "mail is the system's on every server. Give the service another name",
        ),
        (
            {"directories": [{"path": "/etc/ssl", "owner": "root", "group": "root", "mode": "0700"}]},
            "/etc/ssl is the system's on every server",
        ),
        ({"enable": ["--now"]}, "unit"),
        ({"enable": "x.service"}, "list"),
    ],
)
def test_a_kit_that_would_fail_on_the_server_is_refused_where_it_is_made(changes: dict[str, t.Any], said: str) -> None:
    with pytest.raises(BeamError) as caught:
        bundle.make_bundle(document(**changes), False)
    assert caught.value.code == "config_invalid" and said in caught.value.message


def test_the_bundle_is_deterministic_and_all_of_its_modules_can_be_imported(tmp_path: Path) -> None:
    made = bundle.make_bundle(document(), True)
    assert (
        made.sha256
        == bundle.make_bundle(document(), True).sha256
        != bundle.make_bundle(document(config={"keep": 4}), True).sha256
    )
    with zipfile.ZipFile(io.BytesIO(made.data)) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path)
    assert (
        not [name for name in names if name.endswith((".pyc", ".so", "/pyopenssl.py")) or "/ec2/" in name]
        and len(made.data) < 3_000_000
    )
    assert {name.split("/")[1] for name in names if name.startswith("licences/")} == set(bundle.LIBRARIES)
    with zipfile.ZipFile(tmp_path / "beam-bootstrap.pyz") as inner:
        modules = [
            name[:-3].replace("/", ".") for name in inner.namelist() if name.endswith(".py") and "__" not in name
        ]
    assert "alchemist_beam._store.s3" in modules and "alchemist_beam._bootstrap.server_setup" in modules
    assert not [name for name in modules if "_rollout." in name or "_build." in name]
    code = """
import importlib, sys
sys.path[:0] = sys.argv[1:3]
for name in sys.argv[3:]:
    importlib.import_module(name)
import botocore.session
for service in ("s3", "autoscaling", "ssm", "secretsmanager"):
    botocore.session.Session().create_client(service, region_name="eu-west-1")
"""
    words = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        code,
        str(tmp_path / "beam-bootstrap.pyz"),
        str(tmp_path / "aws"),
        *modules,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_image_has_it_compiled_and_a_second_time_changes_nothing(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)  # a server's Python has none, the tests' has
    data = bundle.make_bundle(document(root), True).data
    assert bundle.install_bundle(data, root + "/lib", False).changed
    source = root + "/lib/shop/aws/botocore/session.py"
    assert os.path.exists(importlib.util.cache_from_source(source))
    before = snapshot(root)
    assert not bundle.install_bundle(data, root + "/lib", False).changed
    assert snapshot(root) == before
    # And Python takes it: nothing newer is made of it.
    done = subprocess.run(
        [
            sys.executable,
            "-v",
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, %r); import botocore.session" % (root + "/lib/shop/aws"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "code object from '%s'" % importlib.util.cache_from_source(source) in done.stderr
    for ending in (".py", ".pyc"):  # either is enough
        with (
            zipfile.ZipFile(root + "/lib/shop/beam-bootstrap.pyz") as packed,
            zipfile.ZipFile(root + "/one.pyz", "w") as one,
        ):
            for name in [name for name in packed.namelist() if name.endswith(ending) or name == "__main__.py"]:
                one.writestr(name, packed.read(name))
        done = subprocess.run(
            [sys.executable, "-I", root + "/one.pyz", "boot"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and done.stderr.startswith("usage: "), done.stderr


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_root_that_others_may_replace_is_refused_before_anything_is_made(root: str, check_mode: bool) -> None:
    above = Path(root, "above")
    above.mkdir()
    above.chmod(0o777)
    data = bundle.make_bundle(document(root), False).data
    with pytest.raises(BeamError) as caught:
        bundle.install_bundle(data, str(above / "lib"), check_mode)
    assert caught.value.code == "base_foreign" and str(above) in caught.value.what
    assert os.listdir(above) == []


def test_a_bundle_that_leads_out_of_its_place_is_refused_and_a_new_one_takes_its_place_at_once(tmp_path: Path) -> None:
    def packed(**files: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as out:
            for name, text in files.items():
                out.writestr(name.replace("__", "/"), text)
        return buffer.getvalue()

    with pytest.raises(first_boot.Failed):
        first_boot.unpack(packed(**{"..__x": ""}), "shop", "0" * 64, str(tmp_path / "lib"))
    assert not (tmp_path / "lib" / "shop").exists() and not (tmp_path / "x").exists()
    assert first_boot.unpack(packed(a="1", b__c="2"), "shop", "1" * 64, str(tmp_path / "lib"))
    assert not first_boot.unpack(packed(a="1", b__c="2"), "shop", "1" * 64, str(tmp_path / "lib"))
    assert first_boot.unpack(packed(a="3"), "shop", "2" * 64, str(tmp_path / "lib"))
    assert (tmp_path / "lib" / "shop" / "a").read_text() == "3" and sorted(os.listdir(tmp_path / "lib")) == [
        "shop",
        "shop." + "2" * 16,
    ]


@pytest.mark.parametrize("token", ["", "a/session+token=="])
def test_the_signature_is_that_of_botocore(token: str) -> None:
    botocore_auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url, now = "https://releases.s3.eu-west-1.amazonaws.com/prod/shop/bootstrap/1.zip", 1_780_000_000.0
    ours = first_boot.sign("GET", url, "s3", "eu-west-1", {"key": "AKID", "secret": "wJalr", "token": token}, now)
    request = AWSRequest(
        "GET",
        url,
        headers={"host": "releases.s3.eu-west-1.amazonaws.com", "x-amz-content-sha256": ours["x-amz-content-sha256"]},
    )
    at = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = at
    request.headers["X-Amz-Date"] = at
    if token:
        request.headers["X-Amz-Security-Token"] = token
    auth = botocore_auth.S3SigV4Auth(Credentials("AKID", "wJalr", token or None), "s3", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert ours["authorization"].endswith("Signature=" + signature) and ours["x-amz-date"] == at


def test_the_narrow_program_in_user_data_is_the_same_program() -> None:
    def bare(source: str) -> str:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            first = (
                (getattr(node, "body", None) or [None])[0] if isinstance(getattr(node, "body", None), list) else None
            )
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = ""  # what people read
        return ast.dump(tree)

    assert bare(user_data._code()) == bare(bundle.source_of("_bootstrap.first_boot").decode())


def test_user_data_is_short_and_has_no_secret_and_none_for_a_directory() -> None:
    made = bundle.make_bundle(
        document(config={"secrets": {"KEY": "ssm:/shop/key"}, "secrets_file": "/etc/shop/secrets"}), False
    )
    text = user_data.render(made, {"channel": "canary"})
    assert text is not None and text.startswith("#!/usr/bin/python3\n") and len(text.encode()) <= 16384
    assert '\n#alchemist.beam: {"channel": "canary"}\n' in text and made.sha256 in text and "/shop/key" not in text
    compile(text, "user-data", "exec")
    # Names of buckets, URLs and an identity take the rest.
    assert len(text.encode()) < 14336
    assert user_data.render(bundle.make_bundle(document(config={"store": "file:///srv/store"}), False)) is None


@pytest.mark.parametrize(
    ("identity", "code"),
    [({"store": "s3://other"}, "config_invalid"), ({"lifecycle": {"group": "g" * 5000}}, "user_data_too_long")],
)
def test_what_can_not_be_user_data_is_refused(identity: dict[str, t.Any], code: str) -> None:
    with pytest.raises(BeamError) as caught:
        user_data.render(bundle.make_bundle(document(), False), identity)
    assert caught.value.code == code, caught.value.message
