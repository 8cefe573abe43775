# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's desk in front of a fleet: versions of the example, an S3 server, an inventory, playbooks; and what hosts say themselves."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fleet"), str(ROOT / "tests" / "support")]
import releases
from instances import eventually

NEVER_HEALTHY = "0.3.0"  # of examples/make_versions.py

# The keys of the store are read from the inventory: they are in no argument of a process.
PUBLISH = """
import json, sys
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
with open(sys.argv[1]) as stream:
    variables = json.load(stream)["all"]["vars"]
store = {"store": variables["beam_store"], **variables["beam_store_options"]}
for tree in sys.argv[2:]:
    run_artifact({"state": "present", "name": "beacon", "path": tree, **store}, False)
"""


class Line:
    """The controller's desk: an inventory beside the fleet's own, and the playbooks of the collection."""

    def __init__(
        self, hosts: t.Any, directory: Path, names: t.Sequence[str], versions: t.Sequence[str] = (), **variables: t.Any
    ) -> None:
        """versions: what is in the store from the beginning, of releases that are kept. The store is then told without templates. Without any there is a
        repository to build from.

        variables: of the inventory, beside or instead of the usual ones.
        """
        self.hosts = hosts
        self.directory = directory
        self.names = tuple(names)
        self.versions = tuple(versions)
        self.variables = variables
        self.report_file = directory / "report.json"
        self.first: t.Any = None  # what a file's tests want to know of how their line began

    def prepare(self) -> None:
        support = ROOT / "tests" / "support"
        # The control namespace has no way out: what has to be fetched is fetched before.
        subprocess.run(
            [sys.executable, "-c", "import s3_server; s3_server.install()"],
            cwd=support,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        trees = releases.lay_out(self.directory / "kept-releases", self.versions)
        if not self.versions:
            made = [sys.executable, str(ROOT / "examples" / "make_versions.py"), str(self.directory / "repo")]
            subprocess.run(made, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        server = ["python", str(support / "s3_server.py")]
        where = ["--dir", str(self.directory / "s3")]
        self.hosts.control(*server, "start", "--bind", "10.99.0.1", *where)
        said = self.hosts.control(*server, "env", *where)
        pairs = (word.partition("=") for word in shlex.split(said) if "=" in word)
        s3 = {name: value for name, _equals, value in pairs}
        variables = {
            "beam_name": "beacon",
            "beam_repo": str(self.directory / "repo"),
            "beam_build_dir": str(self.directory / "build"),
            "beam_base": "/srv/beacon",
            "beam_store": "s3://%s/line" % s3["S3_BUCKET"],
            "beam_store_options": {
                "endpoint_url": s3["S3_ENDPOINT"],
                "region": "us-east-1",
                "access_key": s3["S3_ACCESS_KEY"],
                "secret_key": s3["S3_SECRET_KEY"],
            },
            "beam_channel": "production",
            "beam_batches": [1, "100%"],
            "beam_report": str(self.report_file),
            "service_env": {"PORT": "4000"},
            "beam_health": {
                "http": {
                    "url": "http://127.0.0.1:4000/health",
                    "json": {"ready": True, "version": "{{ rollout_expected_version }}"},
                },
                # A node that is well may need the time of a busy machine.
                "within": "{{ 15 if rollout_expected_version == '%s' else 60 }}" % NEVER_HEALTHY,
            },
            **self.variables,
        }
        inventory = {"all": {"vars": variables}}
        (self.directory / "line.yml").write_text(json.dumps(inventory), encoding="utf-8")
        (self.directory / "line.yml").chmod(0o600)  # it holds the keys of the store
        if trees:
            inventory_file = str(self.directory / "line.yml")
            self.hosts.control(sys.executable, "-c", PUBLISH, inventory_file, *map(str, trees.values()))

    def inventories(self) -> list[str]:
        return ["-i", str(self.hosts.directory / "inventory.yml"), "-i", str(self.directory / "line.yml")]

    def variables_of(self, name: str) -> t.Any:
        """A variable of the inventory that playbooks are run with."""
        return json.loads((self.directory / "line.yml").read_text(encoding="utf-8"))["all"]["vars"][name]

    def playbook(self, name: str, *words: str, expect: int = 0) -> str:
        self.report_file.unlink(missing_ok=True)
        # Every task with what came of it: `changes` reads them.
        shown = "ANSIBLE_STDOUT_CALLBACK=ansible.builtin.default"
        done = self.hosts.try_fleet(
            "run",
            "--",
            "env",
            shown,
            "ansible-playbook",
            *self.inventories(),
            "alchemist.beam." + name,
            *words,
            timeout=1200,
        )
        assert (done.returncode != 0) == bool(expect), "%s %s: exit code %d\n%s" % (
            name,
            " ".join(words),
            done.returncode,
            done.stdout,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return str(done.stdout)

    def report(self) -> dict[str, t.Any]:
        return json.loads(self.report_file.read_text(encoding="utf-8"))

    def health(self, host: str) -> dict[str, t.Any]:
        """What the application says of itself; empty while nothing answers."""
        done = self.hosts.try_fleet("exec", host, "curl", "-sS", "--max-time", "3", "http://127.0.0.1:4000/health")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def comes_back(self, host: str, pid: int) -> None:
        """Another process than this one serves."""
        eventually(lambda: self.pid(host) not in (0, pid) and self.health(host).get("ready"))

    def pid(self, host: str) -> int:
        return int(self.hosts.on(host, "systemctl", "show", "--value", "--property=MainPID", "beacon.service"))

    def runs(self, host: str) -> str:
        """The version of the release directory that the service's own process was started from: the kernel tells, nobody else is asked."""
        pid = self.pid(host)
        assert pid, "%s: the service does not run\n%s" % (
            host,
            self.hosts.try_fleet("exec", host, "journalctl", "-n", "40", "--no-pager").stdout,
        )
        executable = self.hosts.on(host, "readlink", "/proc/%d/exe" % pid).strip()
        found = re.match(r"/srv/beacon/releases/([^/]+)/erts-", executable)
        assert found, "%s runs %s" % (host, executable)
        return found.group(1)

    def assert_all_run(self, version: str) -> None:
        for host in self.names:
            assert self.runs(host) == version, host
            health = self.health(host)
            assert (health.get("version"), health.get("ready")) == (version, True), "%s: %s" % (host, health)
            assert self.hosts.on(host, "readlink", "/srv/beacon/current").strip() == "releases/" + version
            assert self.hosts.on(host, "systemctl", "is-system-running", "--wait").strip() == "running"

    def pids(self) -> dict[str, int]:
        return {host: self.pid(host) for host in self.names}


def changes(output: str) -> list[str]:
    """The tasks that changed something, with their host. A report is new each time, and says so."""
    found = []
    task = ""
    for text in output.splitlines():
        if text.startswith("TASK ["):
            task = text[len("TASK [") :].rpartition("]")[0]
        elif text.startswith("changed: [") and not task.endswith("Write the report"):
            found.append("%s: %s" % (task, text))
        elif re.fullmatch(
            r"changed: (?!\[|.*Write the report \().+ \(.+\)", text
        ):  # as the playbooks print it by themselves
            found.append(text)
    return found
