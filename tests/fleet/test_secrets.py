# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of every kind, looked for in every place (leaks.py): under systemd with root, then as a daemon of a user without it.

The tests are one story and run in this order. A build, a migration and a node print all that they have, in all the ways that an application may, and die of it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import leaks
from line import ROOT, Line

LOOK = "/usr/local/lib/leaks_look.py"
# Where on a host; each is asked of root, of the node's user and of nobody.
TOPS = (
    (leaks.BASE, ("/srv",)),
    (leaks.SYSTEM, ("/etc", "/run", "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/opt", "/usr/local")),
    (leaks.LOGS, ("/var/log",)),
    (leaks.CORES, ("/var/crash", "/var/lib")),
)
VARIABLES = ("BEACON_SECRET", "DATABASE_URL", "SURVEY_TOKEN", "SSM_TOKEN")
SPILL = (
    "for name <- %s, value = System.get_env(name), do: "
    "IO.puts([name, 32, value, 32, Base.encode64(value), 32, Base.encode16(value), 32, URI.encode_www_form(value), 32, "
    'inspect(String.to_charlist(value), charlists: :as_lists), 32, inspect(value <> <<0>>), 32, inspect(%%{"a" => value}), 32, '
    "String.slice(value, 0, String.length(value) - 4)]); "
    'IO.puts(inspect(URI.parse(System.get_env("DATABASE_URL")).userinfo)); '
    'raise "cannot log in as " <> System.get_env("DATABASE_URL") <> " with " <> System.get_env("BEACON_SECRET")'
) % json.dumps(VARIABLES)
# The same at every boot of the node, without a space or a quote.
AT_BOOT = " ".join(
    "-eval io:format([os:getenv([%s],[]),10])" % ",".join(str(ord(sign)) for sign in name) for name in VARIABLES
)
STORE = """
import boto3, json, os, sys
at = json.loads(os.environ["AT"])
client = boto3.client("s3", endpoint_url=at["endpoint_url"], region_name="us-east-1",
                      aws_access_key_id=at["access_key"], aws_secret_access_key=at["secret_key"])
for page in client.get_paginator("list_objects_v2").paginate(Bucket=at["bucket"]):
    for line in page.get("Contents", []):
        data = client.get_object(Bucket=at["bucket"], Key=line["Key"])["Body"].read()
        path = os.path.join(sys.argv[1], line["Key"].replace("/", "~"))
        with open(path, "wb") as stream:
            stream.write(data)
"""


class Desk:
    """The controller: playbooks that are run so that they tell the most, and what they leave behind."""

    def __init__(self, line: Line, planted: dict[str, str]) -> None:
        self.line = line
        self.hosts = line.hosts
        options = line.variables_of("beam_store_options")
        self.options = options
        self.sweep = leaks.Sweep(
            {**planted, leaks.STORE_KEY: options["secret_key"], leaks.PRESIGNED: "X-Amz-Signature="}
        )
        self.rollouts = line.directory / "rollouts"
        self.log = line.directory / "ansible.log"
        self.temporary = line.directory / "tmp"
        self.temporary.mkdir()
        self.began = time.time()

    def play(
        self,
        name: str,
        expect: t.Optional[int] = 0,
        verbose: bool = True,
        environment: t.Optional[t.Mapping[str, str]] = None,
        **extra: t.Any,
    ) -> str:
        """extra: variables, in a file, as AWX gives the answers of a survey."""
        given = self.line.directory / "extra.json"
        given.touch(mode=0o600)
        given.write_text(json.dumps({"survey_token": self.sweep.planted[leaks.SURVEY], **extra}), encoding="utf-8")
        argv = [
            "env",
            "ANSIBLE_KEEP_REMOTE_FILES=1",
            "ANSIBLE_PIPELINING=0",
            "ANSIBLE_CALLBACKS_ENABLED=alchemist.beam.rollout",
            "BEAM_ROLLOUT_DIRECTORY=%s" % self.rollouts,
            "ANSIBLE_LOG_PATH=%s" % self.log,
            "TMPDIR=%s" % self.temporary,
            "ansible-playbook",
            *(["-vvv"] if verbose else []),
            "-i",
            str(self.hosts.directory / "inventory.yml"),
            "-i",
            str(self.line.directory / "line.yml"),
            "-e",
            "@%s" % given,
            "alchemist.beam." + name,
        ]
        done = self.hosts.try_fleet("run", "--", *argv, timeout=600, env={**os.environ, **(environment or {})})
        assert (expect is None or bool(done.returncode) == bool(expect)) and "Traceback" not in done.stdout, (
            done.stdout[-6000:]
        )
        self.sweep.see(leaks.RESULTS if verbose else leaks.CALLBACK, done.stdout, name)
        return str(done.stdout)

    def reports(self) -> None:
        for path in [*self.rollouts.glob("*"), *self.line.directory.glob("report*")]:
            place = leaks.CALLBACK if path.parent == self.rollouts else leaks.REPORT
            self.sweep.see(place, path.read_text(encoding="utf-8"), path.name)
            assert path.stat().st_mode & 0o777 == 0o640, path
        self.sweep.see(leaks.LOGS, self.log.read_text(encoding="utf-8"), "log of Ansible")

    def store(self) -> None:
        """All objects, unpacked; history with its pages among them."""
        objects = self.line.directory / "objects"
        objects.mkdir()
        at = {**self.options, "bucket": "releases"}
        self.hosts.control(sys.executable, "-c", STORE, str(objects), env={**os.environ, "AT": json.dumps(at)})
        kinds = {path.name.split("~")[2] for path in objects.iterdir()}
        assert {"history", "layers", "manifests", "channels"} <= kinds, kinds
        for path in objects.iterdir():
            place = leaks.REPORT if path.name.endswith(".html") else leaks.STORE
            self.sweep.see_bytes(place, path.read_bytes(), path.name)

    def files(self) -> None:
        """Of the controller: its build, its kept modules and its temporary files, and what is new in /tmp."""
        directory = self.line.directory
        assert (directory / "kept").stat().st_mode & 0o777 == 0o700
        for top in (directory / "build", directory / "repo", self.temporary):
            for path in top.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    self.sweep.see_bytes(
                        leaks.SYSTEM, path.read_bytes(), "controller: %s" % path.relative_to(directory)
                    )
        for path in Path("/tmp").iterdir():
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_mtime > self.began:
                    self.sweep.see_bytes(leaks.SYSTEM, path.read_bytes(), "controller: %s" % path)


def walk(line: Line, sweep: leaks.Sweep, host: str, reader: str, tops: t.Sequence[str]) -> dict[str, t.Any]:
    as_reader = (
        []
        if reader == "root"
        else [
            "setpriv",
            "--reuid=" + reader,
            "--regid=" + ("nogroup" if reader == "nobody" else reader),
            "--clear-groups",
        ]
    )
    argv = [
        str(ROOT / "tests/fleet/fleet"),
        "--name",
        line.hosts.name,
        "ssh",
        host,
        *as_reader,
        "python3",
        LOOK,
        "walk",
        *tops,
    ]
    done = subprocess.run(
        argv, input=json.dumps(sweep.words) + "\n", stdout=subprocess.PIPE, text=True, timeout=300, check=True
    )
    return dict(json.loads(done.stdout))


def look_at(line: Line, sweep: leaks.Sweep, users: t.Sequence[str]) -> None:
    """The files of the host, as root and as others."""
    for place, tops in TOPS:
        told = walk(line, sweep, "h1", "root", tops)
        for apart, pattern in ((leaks.KEPT, "/.ansible/"), (leaks.DUMPS, "erl_crash"), (place, "")):
            found = [one for one in told["found"] if pattern in one[1]]
            told["found"] = [one for one in told["found"] if one not in found]
            sweep.judge(apart, {**told, "found": found, "files": told["files"] if apart == place else len(found)}, "h1")
        for user in users:
            sweep.judge_other(place, walk(line, sweep, "h1", user, tops), user)


def journal(line: Line, sweep: leaks.Sweep) -> None:
    """But for what the node itself writes to its standard output, which is the application's affair."""
    lines = [json.loads(text) for text in line.hosts.on("h1", "journalctl", "--no-pager", "--output=json").splitlines()]
    own, others = (
        [one for one in lines if (one.get("_SYSTEMD_UNIT") == "beacon.service") is so] for so in (True, False)
    )
    assert any(sweep.planted[leaks.SETTING] in str(one.get("MESSAGE")) for one in own), (
        "the node did not spill its secrets"
    )
    sweep.see(leaks.LOGS, "\n".join(json.dumps(one, ensure_ascii=False) for one in others), "journal")


@pytest.fixture(scope="module")
def desk(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Desk]:
    hosts.fleet("up", "1", timeout=580)
    planted = leaks.canaries()
    directory = tmp_path_factory.mktemp("line")
    (directory / "kept").mkdir(mode=0o700)
    made = Line(
        hosts,
        directory,
        ("h1",),
        beam_cookie=planted[leaks.COOKIE],
        ansible_user="deploy",
        ansible_become=True,
        ansible_become_password=planted[leaks.BECOME],
        service_env={
            "PORT": "4000",
            "BEACON_SECRET": planted[leaks.SETTING],
            "ELIXIR_ERL_OPTIONS": AT_BOOT,
            "DATABASE_URL": "ecto://beacon:%s@db.example.com/beacon" % planted[leaks.MIGRATION].replace("/", "%2F"),
            "SURVEY_TOKEN": "{{ survey_token | default('') }}",
        },
    )
    made.prepare()
    inventory = json.loads((directory / "line.yml").read_text(encoding="utf-8"))
    inventory["all"]["hosts"] = {"localhost": {"ansible_remote_tmp": str(directory / "kept"), "ansible_become": False}}
    (directory / "line.yml").write_text(json.dumps(inventory), encoding="utf-8")
    at_desk = Desk(made, planted)
    prepare_host(at_desk)
    yield at_desk
    tell(at_desk.sweep)


def prepare_host(desk: Desk) -> None:
    """sudo wants the password; a core file would be written if nobody forbade it; there is a user without root."""
    shell = desk.hosts.shell
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=desk.sweep.planted[leaks.BECOME],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    shell("h1", "usermod -p '%s' deploy; echo 'deploy ALL=(ALL) ALL' > /etc/sudoers.d/deploy" % hashed)
    shell(
        "h1",
        "mkdir -p /etc/systemd/system.conf.d; printf '[Manager]\\nDefaultLimitCORE=infinity\\n' > /etc/systemd/system.conf.d/core.conf",
    )
    shell("h1", "systemctl daemon-reexec")
    shell(
        "h1",
        "useradd --create-home --home-dir /opt/runner --shell /bin/bash runner; cp -r /home/deploy/.ssh /opt/runner/; chown -R runner: /opt/runner",
    )
    shell("h1", "mkdir /srv/daemon; chown runner: /srv/daemon")
    argv = [str(ROOT / "tests/fleet/fleet"), "--name", desk.hosts.name, "ssh", "h1", "cat > " + LOOK]
    subprocess.run(argv, input=Path(__file__).with_name("leaks_look.py").read_bytes(), check=True)


def tell(sweep: leaks.Sweep) -> None:
    """The table, and the figure: see tests/bench/bad_days.py."""
    print("\n".join(["", *sweep.table()]))
    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    hits = sum(len(set(where)) for where in sweep.hits.values())
    importlib.import_module("figures").record(
        "bad_days", secrets={"kinds": len(leaks.KINDS), "places": len(leaks.PLACES), "hits": hits}
    )


def found(desk: Desk) -> str:
    return "\n".join(desk.sweep.table()) if desk.sweep.hits else ""


def test_a_secret_is_only_where_it_must_be_and_with_its_mode() -> None:
    """Without a host: what the sweep makes of what it finds."""
    planted = {**dict.fromkeys((*leaks.KINDS, leaks.BAIT), "not-looked-for"), leaks.SETTING: "a-secret-setting"}
    told = {"found": [[leaks.SETTING, "/etc/beacon/env"]], "files": 1}
    modes: tuple[tuple[str, int, int], ...] = (("root", 0o600, 0), ("root", 0o640, 1), ("beacon", 0o600, 1))
    for owner, mode, hits in modes:
        sweep = leaks.Sweep(planted)
        sweep.judge(leaks.SYSTEM, {**told, "seen": {"/etc/beacon/env": [owner, mode]}}, "h1")
        assert len(sweep.hits) == hits, (owner, mode)
    sweep.judge_other(leaks.SYSTEM, {**told, "seen": {"/etc/beacon/env": ["root", 0o600]}}, "beacon")
    assert sweep.hits[leaks.SETTING, leaks.SYSTEM][-1] == "beacon can read /etc/beacon/env"


def test_settings_with_a_password_in_a_url_are_refused_without_it(desk: Desk) -> None:
    password = desk.sweep.planted[leaks.URL]
    health = desk.line.variables_of("beam_health")
    desk.play("deploy", expect=2, beam_store="s3://someone:%s@releases/line" % password)
    desk.play("setup")
    # As a server's bootstrap writes what it has fetched.
    desk.hosts.shell("h1", "umask 077; echo SSM_TOKEN=%s > /etc/beacon/secrets" % desk.sweep.planted[leaks.PARAMETER])
    desk.play(
        "deploy",
        expect=2,
        beam_ref="v0.1.0",
        beam_health={"http": {**health["http"], "url": "http://probe:%s@127.0.0.1:4000/health" % password}},
    )
    with leaks.Watch(desk.sweep):
        for quoted in (password, password.replace("/", "%2F")):
            desk.play("deploy", expect=2, beam_repo="https://someone:%s@127.0.0.1:1/beacon.git" % quoted)
    assert not found(desk), found(desk)


def test_what_spills_under_systemd(desk: Desk) -> None:
    sweep, hosts = desk.sweep, desk.hosts
    print_it = 'run --no-start --no-compile -e \'IO.puts(System.get_env("COMPILE_SECRET")); raise System.get_env("COMPILE_SECRET")\''
    compiled = {"COMPILE_SECRET": sweep.planted[leaks.COMPILE]}
    with leaks.Watch(sweep) as watch:
        waits = "BAIT=%s sh -c 'until test -e /run/seen; do sleep 0.1; done' %s >/dev/null 2>&1 &"
        hosts.shell("h1", waits % ((sweep.planted[leaks.BAIT],) * 2))
        watch.look()
        hosts.shell("h1", "touch /run/seen")
        said = desk.play(
            "deploy",
            expect=2,
            environment=compiled,
            beam_ref="v0.1.0",
            beam_compile_env=["COMPILE_SECRET"],
            beam_build_before=[print_it],
        )
        assert "** (RuntimeError) ********" in said
        desk.play("deploy", beam_ref="v0.1.0", environment=compiled, beam_compile_env=["COMPILE_SECRET"])
        said = desk.play("deploy", expect=2, beam_ref="v0.2.0", beam_migrate=SPILL)
        assert "cannot log in as ********" in said
        desk.play("deploy", expect=2, beam_ref="v0.3.0", verbose=False)
        # Whether the server minds a token that it does not know is its affair.
        options = {**desk.options, "session_token": sweep.planted[leaks.SESSION]}
        desk.play("deploy", expect=None, beam_ref="v0.2.0", beam_force=True, beam_store_options=options)
        desk.play("deploy", beam_ref="v0.2.0", beam_force=True)
    desk.line.assert_all_run("0.2.0")
    pid = desk.line.pid("h1")
    hosts.shell("h1", "kill -ABRT %d" % pid)
    desk.line.comes_back("h1", pid)
    pid = desk.line.pid("h1")
    dying = 'System.halt("lost " <> System.get_env("DATABASE_URL") <> " " <> System.get_env("BEACON_SECRET") <> " " <> System.get_env("SSM_TOKEN"))'
    hosts.try_fleet("exec", "h1", "/usr/local/sbin/beacon-remote", "rpc", dying)
    desk.line.comes_back("h1", pid)
    assert "Slogan: lost ecto" in hosts.shell("h1", "head -n 3 /var/lib/beacon/erl_crash.dump")
    desk.play("status")
    told = hosts.control(
        "ansible",
        "-i",
        str(hosts.directory / "inventory.yml"),
        "h1",
        "--become",
        "-m",
        "alchemist.beam.beam_info",
        "-a",
        json.dumps({"name": "beacon", "base": "/srv/beacon"}),
    )
    assert '"slogan": "lost ********' in told
    sweep.see(leaks.DUMPS, told, "beam_info")
    journal(desk.line, sweep)
    assert not found(desk), found(desk)


def test_what_spills_of_a_daemon_without_root(desk: Desk) -> None:
    daemon: dict[str, t.Any] = {
        "ansible_user": "runner",
        "ansible_become": False,
        "beam_manager": "daemon",
        "beam_base": "/srv/daemon",
        "beam_channel": "daemon",
        "service_dist_port": 4371,
        "service_env": {**desk.line.variables_of("service_env"), "PORT": "4001"},
        "beam_health": {
            "http": {
                "url": "http://127.0.0.1:4001/health",
                "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
            },
            "within": "{{ 15 if rollout_expected_version == '0.3.0' else 60 }}",
        },
    }
    with leaks.Watch(desk.sweep):
        desk.play("setup", **daemon)
        desk.play("deploy", beam_ref="v0.1.0", **daemon)
        said = desk.play("deploy", expect=2, beam_ref="v0.2.0", beam_migrate=SPILL, **daemon)
        assert "cannot log in as ********" in said
        desk.play("deploy", expect=2, beam_ref="v0.3.0", **daemon)
    assert not found(desk), found(desk)


def bait(desk: Desk) -> None:
    """What a leak in each place would look like. Those of processes were there while others ran."""
    word, options = desk.sweep.planted[leaks.BAIT], desk.options
    for path in (
        "/srv/daemon/bait",
        "/etc/bait",
        "/var/log/bait",
        "/var/lib/core.bait",
        "/home/deploy/.ansible/tmp/bait",
    ):
        desk.hosts.shell("h1", "echo %s > %s" % (word, path))
    for name in ("report-bait.json", "rollouts/bait.json"):
        report = desk.line.directory / name
        report.touch(mode=0o640)
        report.write_text(word, encoding="utf-8")
    put = "import boto3, json, os; at = json.loads(os.environ['AT']); client = boto3.client('s3', region_name='us-east-1', **at); "
    put += "client.put_object(Bucket='releases', Key='line/beacon/history/bait', Body=os.environ['BAIT'].encode())"
    keys = {
        "endpoint_url": options["endpoint_url"],
        "aws_access_key_id": options["access_key"],
        "aws_secret_access_key": options["secret_key"],
    }
    desk.hosts.control(sys.executable, "-c", put, env={**os.environ, "AT": json.dumps(keys), "BAIT": word})
    desk.hosts.shell("h1", "mkdir -m 0700 /root/dumps; printf 'Slogan: %s\n' > /root/dumps/erl_crash.dump" % word)
    desk.sweep.see(
        leaks.RESULTS,
        desk.hosts.control("ansible", "localhost", "-vvv", "-m", "ansible.builtin.debug", "-a", "msg=%s" % word),
        "debug",
    )


def test_no_secret_is_anywhere(desk: Desk) -> None:
    bait(desk)
    desk.reports()
    desk.store()
    desk.files()
    look_at(desk.line, desk.sweep, ("beacon", "runner", "nobody"))
    assert not found(desk), found(desk)


def test_the_sweep_finds_what_is_planted_in_each_place(desk: Desk) -> None:
    assert desk.sweep.caught == set(leaks.PLACES)
