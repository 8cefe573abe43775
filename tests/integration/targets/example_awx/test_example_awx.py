# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example project for AWX, run as AWX runs it: by ansible-runner, with the collection from its archive, a survey's answers, and a bucket's keys that
only the environment of a job has."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tarfile
import typing as t
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.channels import run_channel

ROOT = Path(__file__).resolve().parents[4]
BIN = ROOT / ".cache" / "venvrunner" / "bin"
PROJECT = ROOT / "examples" / "awx"
sys.path.insert(0, str(ROOT / "tests" / "support"))

import s3_server
from ports import free_ports
from trees import make_tree


def survey(name: str, **answers: t.Any) -> dict[str, t.Any]:
    """The defaults of a survey, and what somebody answers. An answer that the survey would not take is a mistake of the test."""
    spec = json.loads((PROJECT / "surveys" / (name + ".json")).read_text(encoding="utf-8"))["spec"]
    assert set(answers) <= {question["variable"] for question in spec}
    for question in spec:
        answer = answers.setdefault(question["variable"], question["default"])
        assert question["type"] != "multiplechoice" or answer in question["choices"]
    return answers


@dataclass
class Job:
    status: str
    events: list[dict[str, t.Any]]

    @property
    def text(self) -> str:
        """What the page of the job shows."""
        shown = "\n".join(event["stdout"] for event in self.events if event.get("stdout"))
        return re.sub(r"\x1b\[[0-9;]*m", "", shown)

    @property
    def stats(self) -> dict[str, dict[str, int]]:
        return next((dict(event["event_data"]) for event in self.events if event["event"] == "playbook_on_stats"), {})


class Awx:
    def __init__(self, directory: Path, server: s3_server.Server) -> None:
        self.directory = directory
        self.jobs = 0
        self.store = {**server.params, "store": "s3://%s/awx" % server.bucket}
        # AWX injects the keys of an AWS credential into the environment of a job.
        self.environment = {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": server.endpoint,
        }
        self.secrets = {
            "the key of the bucket": server.secret_key,
            "a variable of the service": secrets.token_hex(12),
            "the cookie": secrets.token_hex(12),
        }
        ports = free_ports(4)
        self.ports = {"app1": ports[0], "app2": ports[1]}
        # As AWX writes it: its own numbers in each host, and a group `all` with the variables of the inventory.
        self.inventory: dict[str, t.Any] = {
            "all": {
                "hosts": ["build1", *self.ports],
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "beam_name": "beacon",
                    "beam_repo": str(directory / "repo"),
                    "beam_build_dir": str(directory / "build"),
                    "beam_store": "s3://%s/awx" % server.bucket,
                    "beam_store_options": {"endpoint_url": server.endpoint, "region": "us-east-1"},
                    "beam_channel": "staging",
                    "beam_manager": "daemon",
                    "beam_stop_timeout": 10,
                    "beam_boot_timeout": 20,
                    "beam_cookie": self.secrets["the cookie"],
                    "beam_health": {
                        "http": {
                            "url": "http://127.0.0.1:{{ beam_port }}/health",
                            "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
                        },
                        "within": 10,
                        "passes": 2,
                        "interval": 0.2,
                        "stable": 0.3,
                    },
                },
            },
            "build": {"hosts": ["build1"]},
            "beam": {"hosts": list(self.ports)},
            "_meta": {"hostvars": {"build1": {"remote_tower_enabled": "true", "remote_tower_id": 1}}},
        }
        for index, (host, port) in enumerate(self.ports.items()):
            self.inventory["_meta"]["hostvars"][host] = {
                "remote_tower_enabled": "true",
                "remote_tower_id": 2 + index,
                "beam_base": str(directory / "nodes" / host),
                "beam_port": port,
                "beam_env": {"PORT": str(port), "BEACON_SECRET": self.secrets["a variable of the service"]},
                "service_node": "beacon_%s_%d@127.0.0.1" % (host, port),
                "service_dist_port": ports[2 + index],
            }
        subprocess.run(
            [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(directory / "repo")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.project = directory / "project"
        self.install()

    def galaxy(self, *words: str) -> str:
        # Not the collection of the tests, which is found by ANSIBLE_COLLECTIONS_PATH.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / ".ansible"),
        }
        done = subprocess.run(
            [str(BIN / "ansible-galaxy"), "collection", *words],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def install(self) -> None:
        """What updating the project does; Galaxy is a file here, and amazon.aws is not needed where no inventory comes from EC2."""
        # From a copy: an archive of a directory in which somebody is working does not fit its own list of files.
        subprocess.run(
            [str(ROOT / "tests" / "support" / "setup.sh"), "frozen", str(self.directory / "source")],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        self.galaxy(
            "build",
            "--output-path",
            str(self.directory / "built"),
            str(self.directory / "source" / "ansible_collections" / "alchemist" / "beam"),
        )
        (archive,) = (self.directory / "built").glob("*.tar.gz")
        self.sync()
        requirements = self.project / "collections" / "requirements.yml"
        wanted = {item["name"] for item in yaml.safe_load(requirements.read_text(encoding="utf-8"))["collections"]}
        assert wanted == {"alchemist.beam", "amazon.aws"}
        requirements.write_text(json.dumps({"collections": [{"name": str(archive), "type": "file"}]}), encoding="utf-8")
        said = self.galaxy(
            "install", "--offline", "-r", str(requirements), "-p", str(self.directory / "requirements_collections")
        )
        assert "alchemist.beam" in said and "installed successfully" in said
        with tarfile.open(archive) as tar:
            assert "meta/execution-environment.yml" in tar.getnames()

    def sync(self) -> None:
        """The project is a repository of its own, of which AWX checks a branch out (project_update.yml): a file that is not committed is not there."""
        origin = self.directory / "origin"
        subprocess.run(["cp", "-r", str(PROJECT), str(origin)], check=True)
        for words in (
            ["init", "-q", "-b", "main"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x"],
        ):
            subprocess.run(["git", "-C", str(origin), *words], check=True, stdin=subprocess.DEVNULL)
        (origin / "left.yml").write_text("- hosts: all\n", encoding="utf-8")
        play = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [
                    {
                        "ansible.builtin.git": {
                            "repo": str(origin),
                            "dest": str(self.project),
                            "version": "main",
                            "force": False,
                            "accept_hostkey": True,
                        }
                    }
                ],
            }
        ]
        playbook = self.directory / "project_update.json"
        playbook.write_text(json.dumps(play), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / ".ansible"),
        }
        subprocess.run(
            [str(BIN / "ansible-playbook"), str(playbook)], env=environment, check=True, stdin=subprocess.DEVNULL
        )
        assert (self.project / "deploy.yml").exists() and not (self.project / "left.yml").exists()

    def launch(
        self,
        playbook: str,
        limit: str = "",
        check: bool = False,
        extra_vars: t.Optional[dict[str, t.Any]] = None,
        **answers: t.Any,
    ) -> Job:
        self.jobs += 1
        given = {
            "id": self.jobs,
            "directory": str(self.directory),
            "project": str(self.project),
            "collections": str(self.directory / "requirements_collections"),
            "playbook": playbook + ".yml",
            "inventory": self.inventory,
            "extra_vars": extra_vars or {},
            "answers": answers,
            "limit": limit,
            "check": check,
            "environment": self.environment,
            "path": os.environ["PATH"],
        }
        job = self.directory / "job.json"
        job.touch(mode=0o600)
        job.write_text(json.dumps(given), encoding="utf-8")
        argv = ["timeout", "240", str(BIN / "python"), str(Path(__file__).parent / "awx_job.py"), str(job)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        job.unlink()
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        result = Job(
            said["status"], [json.loads(line) for line in Path(said["events"]).read_text(encoding="utf-8").splitlines()]
        )
        print(result.text)
        everything = json.dumps(result.events)
        leaked = [what for what, value in self.secrets.items() if value in everything]
        assert not leaked, "the events of %s, which AWX stores and shows, have %s" % (playbook, leaked)
        return result

    def ghost(self, version: str) -> None:
        """A version that is published and failed: nobody gets as far as to look at what is in it."""
        tree = make_tree(self.directory / version, version=version, name="beacon")
        run_artifact({**self.store, "state": "present", "name": "beacon", "path": str(tree)}, False)
        run_channel(
            {
                **self.store,
                "name": "beacon",
                "channel": "staging",
                "state": "ghosted",
                "version": version,
                "reason": "the test says so",
            },
            False,
        )

    def answers(self) -> dict[str, tuple[str, int]]:
        """Version and OS pid, as each node itself says."""
        found = {}
        for host, port in self.ports.items():
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen("http://127.0.0.1:%d/health" % port, timeout=5) as answer,
            ):
                body = json.load(answer)
                found[host] = (body["version"], int(body["pid"]))
        return found

    def versions(self) -> dict[str, str]:
        return {host: version for host, (version, _pid) in self.answers().items()}


@pytest.fixture(scope="module")
def awx(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Awx]:
    directory = tmp_path_factory.mktemp("awx")
    with s3_server.running(directory / "s3") as server:
        made = Awx(directory, server)
        try:
            yield made
        finally:
            ended = made.launch("stop")
            assert ended.status == "successful" and made.answers() == {}


def test_1_a_job_template_with_a_survey_deploys(awx: Awx) -> None:
    assert awx.launch("setup").status == "successful"
    # Numbers are numbers from a survey, and text where somebody writes them into the template or sends them to the API.
    job = awx.launch(
        "deploy", **survey("deploy", beam_ref="v0.1.0", beam_batches="1, 100%", beam_wait="0", beam_bake="60")
    )
    assert job.status == "successful", job.text
    assert awx.versions() == {"app1": "0.1.0", "app2": "0.1.0"}
    assert "batch 1 of 2: app1" in job.text, "ansible.cfg of the project enables the callback beside AWX's own"
    assert "runs on 2 of 2 hosts" in job.text


def test_2_a_job_of_type_check_touches_nothing(awx: Awx) -> None:
    before = awx.answers()
    job = awx.launch("restart", check=True, **survey("restart", beam_batches="100%", beam_min_healthy="0"))
    assert job.status == "successful" and "would run on 2 of 2 hosts" in job.text
    assert awx.answers() == before


def test_3_an_answer_that_makes_no_sense_is_named_before_anything_moves(awx: Awx) -> None:
    before = awx.answers()
    job = awx.launch("restart", **survey("restart", beam_batches="1,half"))
    assert job.status == "failed" and "a batch can't be 'half'" in job.text
    job = awx.launch("restart", **survey("restart"), beam_batchs="1")
    assert job.status == "failed" and "beam_batchs: did you mean beam_batches?" in job.text
    # An answer is never a template: it can't read what the job can read.
    job = awx.launch(
        "rollout", **survey("rollout", beam_version="{{ lookup('ansible.builtin.env', 'AWS_SECRET_ACCESS_KEY') }}")
    )
    assert job.status == "failed" and "lookup('ansible.builtin.env'" in job.text
    assert awx.answers() == before


def test_4_a_ghost_is_a_ghost_although_false_is_a_text(awx: Awx) -> None:
    before = awx.answers()
    awx.ghost("9.9.9")
    job = awx.launch("rollout", **survey("rollout", beam_version="9.9.9", beam_force="false"))
    assert job.status == "failed" and "it is a ghost since" in job.text
    assert awx.answers() == before


def test_5_a_job_that_fails_says_why_and_where(awx: Awx) -> None:
    """A version that is never ready, and a ghost that the survey insists on: `true` is a text, too."""
    before = awx.answers()
    assert awx.launch("build", **survey("build", beam_ref="v0.3.0")).status == "successful"
    run_channel(
        {
            **awx.store,
            "name": "beacon",
            "channel": "staging",
            "state": "ghosted",
            "version": "0.3.0",
            "reason": "the test says so",
        },
        False,
    )
    job = awx.launch("rollout", **survey("rollout", beam_version="0.3.0", beam_batches="1", beam_force="true"))
    assert job.status == "failed"
    assert "it is a ghost since" not in job.text
    # What the page shows last, and whom its filter "failed" names. The server goes back, and the other one is not touched.
    assert "0.3.0" in job.text[-3000:] and "app1" in job.text[-3000:] and "Traceback" not in job.text
    assert set(job.stats["failures"]) & {"app1", "app2", "localhost"}
    after = awx.answers()
    assert awx.versions() == {"app1": "0.1.0", "app2": "0.1.0"} and len(set(after.items()) ^ set(before.items())) == 2


def test_6_a_provisioning_callback_brings_the_caller_home(awx: Awx) -> None:
    """AWX limits the job to the host that called; here its node is gone, as on a server that was just born."""
    answers = awx.answers()
    os.kill(answers["app2"][1], 9)
    job = awx.launch("converge", limit="app2")
    assert job.status == "successful", job.text
    after = awx.answers()
    assert awx.versions() == {"app1": "0.1.0", "app2": "0.1.0"}
    assert after["app1"] == answers["app1"] and after["app2"] != answers["app2"]
    assert set(job.stats["ok"]) <= {"app2", "localhost"}


def test_7_the_execution_environment_has_what_the_collection_needs(awx: Awx) -> None:
    context = awx.directory / "context"
    argv = [str(BIN / "ansible-builder"), "create", "--context", str(context), "--file", "execution-environment.yml"]
    made = subprocess.run(
        argv,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # Its name is that of whichever container tool is at hand.
    assert made.returncode == 0 and any((context / name).exists() for name in ("Containerfile", "Dockerfile")), (
        made.stdout
    )
    assert "alchemist.beam" in (context / "_build" / "requirements.yml").read_text(encoding="utf-8")
    argv = [
        str(BIN / "ansible-builder"),
        "introspect",
        "--write-pip",
        str(context / "pip.txt"),
        "--write-bindep",
        str(context / "bindep.txt"),
    ]
    asked = subprocess.run(
        [*argv, str(awx.directory / "requirements_collections")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout
    assert "boto3" in (context / "pip.txt").read_text(encoding="utf-8") and "git" in (context / "bindep.txt").read_text(
        encoding="utf-8"
    )


def test_8_a_server_pulls_what_is_stable(awx: Awx) -> None:
    """examples/autoscaling/pull.yml, by ansible-pull from a git repository; a second run changes nothing."""
    directory = awx.directory / "pulled"
    repository = directory / "repo"
    repository.mkdir(parents=True)
    for name in ("pull.yml", "pull_converge.yml"):
        (repository / name).write_text(
            (ROOT / "examples" / "autoscaling" / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(repository), *words], check=True, stdin=subprocess.DEVNULL)
    ports = free_ports(2)
    awx.ports["pulled"] = ports[0]
    awx.inventory["_meta"]["hostvars"]["pulled"] = {
        "beam_base": str(directory / "node"),
        "beam_port": ports[0],
        "beam_env": {"PORT": str(ports[0])},
        "service_node": "beacon_p_%d@127.0.0.1" % ports[0],
        "service_dist_port": ports[1],
    }
    for group in ("all", "beam"):
        awx.inventory[group]["hosts"].append("pulled")
    variables = directory / "variables.json"
    variables.touch(mode=0o600)
    variables.write_text(
        json.dumps({**awx.inventory["all"]["vars"], **awx.inventory["_meta"]["hostvars"]["pulled"]}), encoding="utf-8"
    )
    environment = {
        **awx.environment,
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(awx.directory / "requirements_collections"),
    }
    argv = [
        str(BIN / "ansible-pull"),
        "--url",
        str(repository),
        "--inventory",
        "localhost,",
        "--extra-vars",
        "@%s" % variables,
        "pull.yml",
    ]
    said = ""
    for _round in range(2):
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = done.stdout
        print(said)
        assert done.returncode == 0
    assert awx.versions()["pulled"] == "0.1.0"
    # The first line of a recap is that of ansible-pull's own checkout.
    assert re.findall(r"changed=(\d+)", said)[-1] == "0"
