# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundle with real parts: the zipapp on the oldest Python with a real node, and the user data with a real S3 server and the keys of a server."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t
import urllib.parse
import zipfile
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import first_boot
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.bundle import Bundle, make_bundle
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.pack import run_bundle
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.user_data import render
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import bundle_key
from ansible_collections.alchemist.beam.plugins.module_utils._store.location import open_store
from node_site import NAME, Site

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import s3_server

import playbooks

INSTANCE = "i-0123456789abcdef0"
OLDEST = next(
    (str(path) for path in [ROOT / ".cache" / "venv39" / "bin" / "python"] if path.exists()),
    shutil.which("python3.9") or sys.executable,
)


def kit(**config: t.Any) -> dict[str, t.Any]:
    name = config.setdefault("name", "shop")
    text = json.dumps({"schema": 1, "base": "/srv/shop", **config})
    place = {"owner": "root", "group": "root", "mode": "0644"}
    return {
        "schema": 1,
        "name": name,
        "directories": [{**place, "path": "/etc/beam-bootstrap", "mode": "0755"}],
        "files": [{**place, "path": "/etc/beam-bootstrap/%s.json" % name, "content": text}],
    }


def unpacked(bundle: Bundle, where: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as packed:
        packed.extractall(where)
    return where / "beam-bootstrap.pyz"


# The zipapp alone, on the oldest Python there is: no site-packages, no environment.
class Server:
    def __init__(self, site: Site, tmp_path: Path) -> None:
        self.site, self.path, self.store = site, tmp_path / "beacon.json", {"store": "file://%s" % (tmp_path / "store")}
        self.trees = site.base / "releases"
        site.base = tmp_path / "new"
        (site.base / "shared").mkdir(parents=True)
        (tmp_path / "store").mkdir()
        self.config = {
            "schema": 1,
            "name": NAME,
            "base": str(site.base),
            **self.store,
            "manager": "daemon",
            "env_file": str(site.env_file),
            "lifecycle": "none",
            "identify": ["file"],
            "deadline": 20,
            "jitter": 0,
            "boot_timeout": 20,
            "stop_timeout": 10,
            "min_free_mb": 1,
            "health": {
                "http": {"url": site.url, "json": {"version": "{version}"}},
                "passes": 2,
                "interval": 0.05,
                "within": 10,
            },
        }
        self.path.write_text(json.dumps(self.config))
        self.pyz = unpacked(make_bundle(kit(name=NAME, **self.store), aws=False), tmp_path / "bundle")

    def publish(self, version: str) -> None:
        options = {
            "name": NAME,
            "version": version,
            "digest": None,
            "exclude": [],
            "exclude_defaults": True,
            "path": str(self.trees / version),
        }
        run_artifact({**self.store, "state": "present", "provenance": {}, "own_apps": None, **options}, False)

    def promote(self, version: str) -> None:
        options = {
            "version": version,
            "digest": None,
            "reason": None,
            "force": False,
            "serial": None,
            "fence": None,
            "by": "tester",
        }
        run_channel({**self.store, "name": NAME, "channel": "production", "state": "promoted", **options}, False)

    def __call__(self, command: str, status: int = 0) -> str:
        done = subprocess.run(
            [OLDEST, "-I", "-S", str(self.pyz), command, str(self.path)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.path.parent)},
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout


def test_a_server_comes_up_follows_the_channel_and_then_has_nothing_to_do(site: Site, tmp_path: Path) -> None:
    server = Server(site, tmp_path)
    server.publish("0.1.0")
    server.publish("0.2.0")
    assert "channel" in server("run", status=1).lower()  # there is none yet

    server.promote("0.1.0")
    assert "In service on 0.1.0" in server("run")
    assert site.answer()["version"] == "0.1.0"
    first = site.process()
    begun = time.monotonic()
    assert "In service on 0.1.0" in server("run")
    spent = time.monotonic() - begun
    assert site.process() == first and spent < 5, spent
    assert json.loads(server("status"))["same"] is True

    server.promote("0.2.0")
    assert json.loads(server("status"))["same"] is False
    assert "In service on 0.2.0" in server("run")
    assert site.answer()["version"] == "0.2.0"


def test_the_bundle_has_the_same_bytes_wherever_it_is_made(tmp_path: Path) -> None:
    here = make_bundle(kit(store="file:///x"), aws=True)
    assert make_bundle(kit(store="file:///x"), aws=True).sha256 == here.sha256
    play = tmp_path / "play.yml"
    task = {"alchemist.beam.bootstrap_bundle": {"kit": kit(store="file:///x"), "path": str(tmp_path / "bundle.zip")}}
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    for again in (1, 0):
        done = playbooks.run(
            [
                "ansible-playbook",
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                "ansible_python_interpreter=" + sys.executable,
                str(play),
            ],
        )
        assert done.returncode == 0, done.stdout
        assert "changed=%d" % again in done.stdout
    assert (tmp_path / "bundle.zip").read_bytes() == here.data


# The user data of a bare server.
@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[s3_server.Server]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


class Cloud:
    """The metadata service and the API of auto scaling, of one instance that is being launched."""

    def __init__(self, key: str, secret: str) -> None:
        role = "meta-data/iam/security-credentials/"
        self.values = {
            "meta-data/instance-id": INSTANCE,
            "meta-data/placement/region": "us-east-1",
            role: "app",
            "meta-data/autoscaling/target-lifecycle-state": "InService",
            role + "app": json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": ""}),
        }
        self.asked: list[dict[str, str]] = []
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status: int, text: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self) -> None:
                self.answer(200 if self.path == "/latest/api/token" else 404, "the-token")

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != "the-token":
                    return self.answer(401)
                value = cloud.values.get(self.path[len("/latest/") :])
                return self.answer(404) if value is None else self.answer(200, value)

            def do_POST(self) -> None:
                asked = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                assert "/us-east-1/autoscaling/aws4_request" in self.headers["Authorization"]
                cloud.asked.append(asked)
                self.answer(200, cloud.answers(asked["Action"]))

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def answers(self, action: str) -> str:
        hook = "<member><LifecycleHookName>%s</LifecycleHookName><LifecycleTransition>autoscaling:EC2_INSTANCE_%s</LifecycleTransition></member>"
        return {
            "DescribeAutoScalingInstances": "<AutoScalingGroupName>fleet</AutoScalingGroupName>",
            "DescribeLifecycleHooks": "<LifecycleHooks>%s%s</LifecycleHooks>"
            % (hook % ("end", "TERMINATING"), hook % ("launch", "LAUNCHING")),
        }.get(action, "<ok/>")


@pytest.fixture
def cloud(s3: s3_server.Server) -> t.Iterator[Cloud]:
    made = Cloud(s3.reader_access_key, s3.reader_secret_key)
    yield made
    made.server.shutdown()
    made.server.server_close()


class Bare:
    def __init__(self, s3: s3_server.Server, cloud: Cloud, tmp_path: Path, aws: bool = False) -> None:
        self.s3, self.tmp, self.root = s3, tmp_path, tmp_path / "lib"
        self.options = {**s3.params, "store": "s3://%s/%s" % (s3.bucket, tmp_path.name.replace("_", "-"))}
        servers = {"endpoint_url": s3.endpoint, "region": "us-east-1"}
        self.kit = kit(
            store=self.options["store"],
            store_options=servers,
            aws={"metadata_url": cloud.url, "endpoint_url": cloud.url, "region": "us-east-1"},
            deadline=3,
        )
        self.aws = aws
        self.bundle = make_bundle(self.kit, aws)
        self.key = bundle_key("shop", self.bundle.sha256)

    def publish(self, check_mode: bool = False) -> dict[str, t.Any]:
        return run_bundle(
            {
                **self.options,
                "state": "packed",
                "kit": self.kit,
                "path": None,
                "aws": self.aws,
                "identity": {"channel": "canary"},
            },
            check_mode,
        )

    def tamper(self) -> None:
        store = open_store(self.options)
        found = store.get(self.key, 1 << 24)
        store.replace(self.key, found.data[:-1] + b"x", found.etag)

    def boot(self, user_data: str) -> tuple[int, str]:
        """In a mount namespace of its own, in which /etc is a copy."""
        (self.tmp / "up").mkdir(exist_ok=True)
        (self.tmp / "work").mkdir(exist_ok=True)
        script = self.tmp / "user-data"
        mark = '"sha256":'
        assert user_data.count(mark) == 1
        script.write_text(user_data.replace(mark, '"root": %s, %s' % (json.dumps(str(self.root)), mark)))
        overlay = "mount -t overlay overlay -o lowerdir=/etc,upperdir=%s,workdir=%s /etc && exec %s %s"
        done = subprocess.run(
            [
                "unshare",
                *([] if os.geteuid() == 0 else ["--map-root-user"]),
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                overlay % (self.tmp / "up", self.tmp / "work", sys.executable, script),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        output = done.stdout + done.stderr
        assert self.s3.reader_secret_key not in output + user_data and "Traceback" not in output, output
        return done.returncode, output


@pytest.fixture
def bare(s3: s3_server.Server, cloud: Cloud, tmp_path: Path) -> Bare:
    return Bare(s3, cloud, tmp_path)


def test_a_bare_server_takes_the_bundle_and_is_set_up(bare: Bare, cloud: Cloud) -> None:
    assert bare.publish(check_mode=True)["changed"] and open_store(bare.options).stat(bare.key) is None
    made = bare.publish()
    assert made["changed"] and not bare.publish()["changed"]
    assert made["user_data_bytes"] <= 16384 and '#alchemist.beam: {"channel": "canary"}' in made["user_data"]
    for _again in (1, 2):
        status, output = bare.boot(made["user_data"])
        assert status == 0 and "handed over" in output, output
    assert (bare.tmp / "up" / "beam-bootstrap" / "shop.json").read_text() == bare.kit["files"][0]["content"]
    assert os.readlink(bare.root / "shop") == "shop." + bare.bundle.sha256[:16]
    assert sorted(os.listdir(bare.root / "shop")) == ["beam-bootstrap.pyz", "bundle.json", "kit.json"]
    assert "The server was ready" in output and cloud.asked == []


def test_a_tampered_bundle_is_refused_and_the_launch_abandoned(bare: Bare, cloud: Cloud) -> None:
    user_data = bare.publish()["user_data"]
    bare.tamper()
    status, output = bare.boot(user_data)
    assert status == 1 and "another sha256" in output and not bare.root.exists(), output
    assert [asked["Action"] for asked in cloud.asked] == [
        "DescribeAutoScalingInstances",
        "DescribeLifecycleHooks",
        "CompleteLifecycleAction",
    ]
    told = cloud.asked[-1]
    assert (told["LifecycleHookName"], told["InstanceId"], told["LifecycleActionResult"]) == (
        "launch",
        INSTANCE,
        "ABANDON",
    )
    with pytest.raises(BeamError) as caught:
        bare.publish()
    assert caught.value.code == "bundle_tampered"


def test_no_credentials_no_bundle_and_no_metadata_are_told(bare: Bare, cloud: Cloud) -> None:
    user_data = render(bare.bundle)
    assert user_data is not None
    status, output = bare.boot(user_data)
    assert status == 1 and "can't be read: 404 NoSuchKey" in output, output
    role = cloud.values.pop("meta-data/iam/security-credentials/")
    status, output = bare.boot(user_data)
    assert status == 1 and "instance profile with a role" in output and "given up after 3 s" in output, output
    cloud.values["meta-data/iam/security-credentials/"] = role
    cloud.values["meta-data/iam/security-credentials/app"] = json.dumps(
        {"AccessKeyId": "nobody", "SecretAccessKey": "none", "Token": ""}
    )
    status, output = bare.boot(user_data)
    assert status == 1 and "403 InvalidAccessKeyId" in output, output


def test_a_clock_that_is_off_by_an_hour_is_no_obstacle(
    bare: Bare, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.publish()
    text = render(bare.bundle)
    assert text is not None
    settings = _settings(text)
    now = time.time
    monkeypatch.setattr(first_boot.time, "time", lambda: now() - 3600)
    boot = first_boot.Boot(settings)
    assert boot.keep_trying(boot.fetch, 10) == bare.bundle.data
    assert 3500 < boot.shift < 3700


def _settings(user_data: str) -> dict[str, t.Any]:
    found: list[dict[str, t.Any]] = []
    code = user_data.replace("sys.exit(main(", "FOUND.append((")
    with contextlib.suppress(SystemExit):
        exec(compile(code, "user-data", "exec"), {"FOUND": found, "__name__": "user_data"})
    return found[0]


# The role, which makes the kit.
def play(tmp_path: Path, **variables: t.Any) -> tuple[int, str]:
    told = {
        "beam_name": "shop",
        "beam_store": "s3://releases/prod",
        "bootstrap_publish": False,
        "bootstrap_path": str(tmp_path / "bundle.zip"),
        "beam_store_options": {"access_key": "AKREVEALED", "secret_key": "skrevealed", "region": "us-east-1"},
        "beam_health": {
            "http": {"url": "http://127.0.0.1:4000/health", "json": {"version": "{{ rollout_expected_version }}"}}
        },
        **variables,
    }
    (tmp_path / "variables.json").write_text(json.dumps(told))
    done = playbooks.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            "@%s" % (tmp_path / "variables.json"),
            "-e",
            "ansible_python_interpreter=" + sys.executable,
            "alchemist.beam.bootstrap",
        ],
    )
    return done.returncode, done.stdout


def test_the_role_makes_the_kit_of_the_service_and_keeps_keys_to_itself(tmp_path: Path) -> None:
    secrets = {"SECRET_KEY_BASE": "ssm:/shop/secret"}
    status, output = play(
        tmp_path, beam_env={"PORT": 4000, "SECRET_KEY_BASE": "inventory-secret"}, bootstrap_secrets=secrets
    )
    assert status == 0, output
    data = (tmp_path / "bundle.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        text = packed.read("kit.json").decode()
    assert not [word for word in ("AKREVEALED", "skrevealed", "inventory-secret") if word in text]
    made = json.loads(text)
    files = {file["path"]: file["content"] for file in made["files"]}
    assert (
        "EnvironmentFile=-/etc/shop/secrets" in files["/etc/systemd/system/shop.service"]
        and "PORT='4000'" in files["/etc/shop/env"]
    )
    config = json.loads(files["/etc/beam-bootstrap/shop.json"])
    assert (
        config["health"]["http"]["json"] == {"version": "{version}"}
        and config["secrets"] == secrets
        and config["store_options"] == {"region": "us-east-1"}
    )
    assert made["enable"] == ["beam-bootstrap@shop.service", "beam-watch@shop.service"] and made["disable"] == [
        "shop.service"
    ]
    assert (
        play(tmp_path, beam_env={"PORT": 4000}, bootstrap_secrets=secrets)[0] == 0
        and (tmp_path / "bundle.zip").read_bytes() == data
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"beam_env": {"DATABASE_URL": "ecto://app:hunter2@db/shop"}}, "DATABASE_URL in bootstrap_env"),
        ({"service_colors": ["blue", "green"]}, "no colours"),
        ({"bootstrap_secrets": {"KEY": "hunter2"}}, "secrets.KEY: it must be ssm:NAME"),
        ({"bootstrap_identity": {"name": "other"}}, "name: it is not one of"),
    ],
)
def test_the_role_refuses(tmp_path: Path, variables: dict[str, t.Any], said: str) -> None:
    status, output = play(tmp_path, **variables)
    assert status != 0 and said in " ".join(output.split()) and "hunter2" not in output, output
    assert not (tmp_path / "bundle.zip").exists()
