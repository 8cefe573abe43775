# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock as a person meets it: several ansible-playbook at once, over a directory and a real S3 server that loses answers."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import sys
import time
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.run_journal import run_info

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import fault_proxy

import playbooks

TTL = 3
DIGEST = "ab" * 32
WHERE = {"name": "shop", "channel": "production"}
OURS = {**WHERE, "fence": "{{ held.lock.serial }}", "token": "{{ held.lock.token }}"}
HELD = {
    "alchemist.beam.rollout_lock": {
        **WHERE,
        "state": "held",
        "purpose": "rollout of {{ version }}",
        "wait": "{{ wait | default(0) }}",
        "ttl": TTL,
        "by": "{{ by }}",
    },
    "register": "held",
}
OPENED = {
    "alchemist.beam.rollout_journal": {
        **OURS,
        "state": "opened",
        "kind": "rollout",
        "version": "{{ version }}",
        "digest": DIGEST,
        "hosts": {"web1": {"from": "1.0.0"}},
    },
    "register": "opened",
}
LEAVING = {
    "alchemist.beam.rollout_journal": {**OURS, "state": "recorded", "hosts": {"web1": {"step": "leaving", "out": True}}}
}
PAUSE = {"ansible.builtin.wait_for": {"path": "{{ go }}", "timeout": 60, "sleep": 1}, "when": "go is defined"}
JOINED = {
    "alchemist.beam.rollout_journal": {**OURS, "state": "recorded", "hosts": {"web1": {"step": "joined", "out": False}}}
}
WITHDRAWN = {"alchemist.beam.release_channel": {**WHERE, "state": "withdrawn", "fence": "{{ held.lock.serial }}"}}
CLOSED = {
    "alchemist.beam.rollout_journal": {
        **OURS,
        "state": "closed",
        "outcome": "moved",
        "report": {"version": "{{ version }}"},
    }
}
RELEASED = {
    "alchemist.beam.rollout_lock": {**WHERE, "state": "released", "token": "{{ held.lock.token }}"},
    "register": "released",
}
BROKEN = {"alchemist.beam.rollout_lock": {**WHERE, "state": "broken"}, "register": "broken"}
ROLLOUT = [HELD, OPENED, LEAVING, PAUSE, JOINED, WITHDRAWN, CLOSED, RELEASED]


class Play:
    """One ansible-playbook; its registered results are in the file `out`."""

    def __init__(
        self, directory: pathlib.Path, store: dict[str, t.Any], name: str, tasks: list[t.Any], **variables: t.Any
    ) -> None:
        self.out = directory / (name + ".json")
        tell = {
            "ansible.builtin.copy": {
                "dest": str(self.out),
                "mode": "0600",
                "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
            },
            "vars": {"names": "{{ ['held', 'opened', 'released', 'broken'] | select('in', vars) }}"},
        }
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {"group/alchemist.beam.store": store},
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "version": "1.1.0", "by": name},
            "tasks": [*tasks, tell],
        }
        (directory / (name + ".yml")).write_text(json.dumps([play]))
        self.log = directory / (name + ".log")
        with open(self.log, "wb") as log:
            self.process = playbooks.start(
                ["ansible-playbook", "-i", "localhost,", "-e", json.dumps(variables), str(directory / (name + ".yml"))],
                log.fileno(),
                {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1"},
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def until(self, words: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while words not in self.text:
            assert self.process.poll() is None and time.monotonic() < end, self.text
            time.sleep(0.05)

    def end(self, code: int = 0, seconds: float = 90) -> dict[str, t.Any]:
        assert self.process.wait(seconds) == code, self.text
        return json.loads(self.out.read_text()) if code == 0 else {}

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGCONT)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[dict[str, t.Any]]:
    if request.param == "file":
        (tmp_path / "store").mkdir()
        yield {"store": "file://%s" % (tmp_path / "store")}
        return
    with fault_proxy.running(os.environ["S3_ENDPOINT"]) as proxy:
        for path in (
            "/locks/",
            "/journal/",
            "/channels/",
        ):  # the first writes of each kind are carried out, and their answers are lost
            proxy.add(fault_proxy.drop_answer(), method="PUT", path=path, times=2)
        yield {
            "store": "s3://%s/plays-%d-%d" % (os.environ["S3_BUCKET"], os.getpid(), time.monotonic_ns()),
            "endpoint_url": proxy.endpoint,
            "region": "us-east-1",
            "access_key": os.environ["S3_ACCESS_KEY"],
            "secret_key": os.environ["S3_SECRET_KEY"],
        }
        assert all(rule.applied == 2 for rule in proxy.rules)


@pytest.fixture
def play(tmp_path: pathlib.Path, store: dict[str, t.Any]) -> t.Iterator[t.Callable[..., Play]]:
    plays: list[Play] = []

    def start(name: str, tasks: list[t.Any], **variables: t.Any) -> Play:
        plays.append(Play(tmp_path, store, name, tasks, **variables))
        return plays[-1]

    yield start
    for one in plays:
        one.kill()


def info(store: dict[str, t.Any]) -> dict[str, t.Any]:
    return run_info({**store, **WHERE, "history": 10})


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_second_deployer_is_refused_or_waits(
    play: t.Callable[..., Play], store: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    go = tmp_path / "go"
    anna = play("anna", ROLLOUT, go=str(go))
    anna.until("wait_for")
    refused = play("ben", ROLLOUT)
    refused.end(code=2)
    said = one_line(refused.text)
    expected = (
        r"the lock of shop on the channel production was not taken: anna holds it for the rollout of 1\.1\.0 since 2\S+Z, its last sign of life came at"
        r" 2\S+Z\. Run it again later, or with wait \(of a playbook -e beam_wait=600\), which waits for it; where nobody is there any more,"
        r" the playbook alchemist\.beam\.unlock breaks it\."
    )
    assert re.search(expected, said), said
    begun = time.monotonic()
    impatient = play("carl", ROLLOUT, wait=2)
    impatient.end(code=2)
    assert time.monotonic() - begun > 2 and "seconds were waited for it" in one_line(impatient.text)
    patient = play("dora", ROLLOUT, wait=60, version="1.2.0")
    time.sleep(TTL + 1)  # longer than a lock lives that nobody renews
    assert patient.process.poll() is None and not go.exists()
    go.touch()
    first, second = anna.end(), patient.end()
    assert first["released"]["changed"] and second["held"]["lock"]["serial"] > first["held"]["lock"]["serial"]
    assert second["held"]["lock"]["taken_from"] is None and second["opened"]["interrupted"] is None
    now = info(store)
    assert (
        [row["version"] for row in now["history"]] == ["1.2.0", "1.1.0"]
        and not now["unfinished"]
        and not now["lock"]["held"]
    )


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_controller_that_is_killed_is_followed_at_once(
    play: t.Callable[..., Play], store: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    anna = play("anna", ROLLOUT, go=str(tmp_path / "never"))
    anna.until("wait_for")
    os.kill(anna.process.pid, signal.SIGKILL)
    anna.process.wait()
    now = info(store)
    assert now["unfinished"] and now["interrupted_hosts"] == ["web1"] and now["lock"]["dead"]
    ben = play("ben", ROLLOUT, version="1.2.0").end()
    assert ben["held"]["lock"]["taken_from"] == "anna" and ben["held"]["journal"]["version"] == "1.1.0"
    assert ben["opened"]["interrupted"]["hosts"]["web1"] == {
        **ben["opened"]["interrupted"]["hosts"]["web1"],
        "out": True,
        "from": "1.0.0",
    }
    assert ben["opened"]["journal"]["hosts"]["web1"]["out"]


@pytest.mark.parametrize(
    ("store", "way"), [("file", "frozen"), ("s3", "frozen"), ("file", "broken")], indirect=["store"]
)
def test_who_lost_the_lock_writes_nothing(
    way: str, play: t.Callable[..., Play], store: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    go = tmp_path / "go"
    anna = play("anna", ROLLOUT, go=str(go))
    anna.until("wait_for")
    if way == "frozen":
        os.kill(anna.process.pid, signal.SIGSTOP)
    else:
        assert play("unlock", [BROKEN]).end()["broken"]["broken"]["owner"] == "anna"
    ben = play("ben", ROLLOUT, wait=30, version="1.2.0").end()
    assert ben["held"]["lock"]["taken_from"] == ("anna" if way == "frozen" else None)
    before = info(store)
    go.touch()
    os.kill(anna.process.pid, signal.SIGCONT)
    anna.end(code=2)
    assert "is not ours any more" in one_line(anna.text) and "lock_lost" in anna.text, anna.text
    after = info(store)
    assert after == before and after["journal"]["version"] == "1.2.0"
