# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A job as AWX runs it, without AWX: what its awx/main/tasks/jobs.py puts into a private data directory, and its way through ansible-runner.

The directory is made (inventory as a script, variables in a file, answers of a survey marked as unsafe), sent by `transmit` to
`ansible-runner worker`, which has nothing but that stream, and `process` takes the events back. Runs in an environment of its own that has
ansible-runner:

    awx_job.py JOB.json     prints a JSON line: status, and the file with a line for each event
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import ansible_runner

PROMPTS = (r"BECOME password.*:\s*?$", r"SSH password:\s*?$", r"Password:\s*?$", r"Vault password:\s*?$")
RUNNER = Path(sys.executable).parent / "ansible-runner"


def unsafe(value: t.Any) -> str:
    """YAML in which no string is ever a template: what AWX makes of everything that did not come from who may edit the job template."""
    if isinstance(value, str):
        return "!unsafe %s" % json.dumps(value)
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (unsafe(k), unsafe(v)) for k, v in value.items())
    if isinstance(value, list):
        return "[%s]" % ", ".join(unsafe(v) for v in value)
    return json.dumps(value)


def private(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def prepare(job: dict[str, t.Any], directory: Path) -> dict[str, t.Any]:
    """The private data directory of the job; the arguments for ansible-runner."""
    directory.mkdir(mode=0o700)
    shutil.copytree(job["project"], directory / "project")
    # What the update of the project installed; in the container both are below /runner.
    shutil.copytree(job["collections"], directory / "requirements_collections")
    script = "#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint(%r)\n" % json.dumps(job["inventory"])
    private(directory / "inventory" / "hosts", script, 0o700)
    meta = {"awx_job_id": job["id"], "awx_job_launch_type": "manual", "tower_job_id": job["id"]}
    lines = ["%s: %s\n" % (json.dumps(name), json.dumps(value)) for name, value in job.get("extra_vars", {}).items()]
    lines += ["%s: %s\n" % (unsafe(name), unsafe(value)) for name, value in {**job.get("answers", {}), **meta}.items()]
    private(directory / "env" / "extravars", "".join(lines))
    private(
        directory / "env" / "settings",
        json.dumps({"job_timeout": 0, "suppress_ansible_output": True, "suppress_output_file": True}),
    )
    arguments = ["-u", "root", *(["--check"] if job.get("check") else []), *(["--diff"] if job.get("diff") else [])]
    arguments += ["-l", job["limit"]] if job.get("limit") else []
    private(directory / "env" / "cmdline", ansible_runner.utils.args2cmdline(*arguments))
    # No `inventory`: it is an absolute path in AWX, the same on both sides; without it ansible-runner takes the directory's.
    return {
        "ident": job["id"],
        "private_data_dir": str(directory),
        "playbook": job["playbook"],
        "passwords": dict.fromkeys(PROMPTS, ""),
        "suppress_env_files": True,
        "fact_cache_type": "",
    }


def run(job: dict[str, t.Any]) -> dict[str, t.Any]:
    here, there = Path(job["directory"]) / "control", Path(job["directory"]) / "execution"
    for path in (here, there):
        shutil.rmtree(path, ignore_errors=True)
    parameters = prepare(job, here)
    parameters["envvars"] = {
        **job.get("environment", {}),
        "JOB_ID": str(job["id"]),
        "AWX_PRIVATE_DATA_DIR": str(here),
        "ANSIBLE_FORCE_COLOR": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_COLLECTIONS_PATH": str(there / "requirements_collections"),
        "ANSIBLE_ROLES_PATH": "requirements_roles",
    }
    worker = subprocess.Popen(
        [str(RUNNER), "worker", "--private-data-dir", str(there)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=job["directory"],
        env={"HOME": job["directory"], "LANG": "C.UTF-8", "PATH": os.pathsep.join([str(RUNNER.parent), job["path"]])},
    )
    assert worker.stdin and worker.stdout

    def transmit() -> None:
        with worker.stdin as stream:
            ansible_runner.interface.run(streamer="transmit", _output=stream, **parameters)

    sender = threading.Thread(target=transmit)
    sender.start()
    kept = Path(job["directory"]) / ("events-%d.jsonl" % job["id"])
    try:
        with kept.open("w", encoding="utf-8") as log:

            def keep(event: dict[str, t.Any]) -> bool:
                print(json.dumps(event), file=log, flush=True)
                return False

            done = ansible_runner.interface.run(
                streamer="process",
                _input=worker.stdout,
                quiet=True,
                ident=job["id"],
                private_data_dir=str(here),
                event_handler=keep,
            )
        sender.join()
    finally:
        worker.terminate()
        worker.wait(timeout=60)
    return {"status": done.status, "events": str(kept)}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
