# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that nobody deploys to: born by an auto scaling group, from a baked image, while others are being deployed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from born import GROUP, PROGRAM, Born
from instances import HOOK_SECONDS, Aws, eventually, group, instance_of, template

SECRET, COOKIE, ROTATED = "canary-of-the-secret", "canary-of-the-cookie", "canary-of-the-rotation"
USUAL_DEADLINE = 120
PLAY = [
    {
        "name": "The bundle",
        "hosts": "localhost",
        "gather_facts": False,
        "roles": [{"role": "alchemist.beam.bootstrap"}],
    },
    {"name": "The image", "hosts": "h1", "gather_facts": False, "roles": [{"role": "alchemist.beam.image"}]},
]


@pytest.fixture(scope="module")
def born(hosts: t.Any, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Born]:
    """h1 is deployed to, and what the image golden is made from; all others are born."""
    hosts.fleet("up", "1", "--cloud", timeout=580)
    s3, at = hosts.services()["s3"], hosts.services()["aws"]
    options = {name: s3[name] for name in ("endpoint_url", "region", "access_key", "secret_key")}
    user_data = tmp_path_factory.mktemp("user-data") / "user-data"
    line = Born(
        hosts,
        tmp_path_factory.mktemp("born"),
        ["h1"],
        ["0.1.0", "0.2.0", "1.0.0-wrong-abi"],
        beam_store="s3://%s/born" % s3["bucket"],
        beam_store_options=options,
        beam_env={"PORT": "4000", "BEACON_IP": "0.0.0.0"},
        service_env="{{ beam_env }}",
        bootstrap_user_data_path=str(user_data),
        bootstrap_aws={"endpoint_url": at["endpoint_url"], "metadata_url": hosts.services()["cloud"]["metadata_url"]},
        bootstrap_secrets={"BEACON_SECRET": "ssm:/beacon/secret"},
        bootstrap_cookie="secretsmanager:beacon#cookie",
        service_distribution="cluster",
        beam_cookie=COOKIE,  # the latter for h1 alone, to which a play brings it
        bootstrap_deadline=USUAL_DEADLINE,
        bootstrap_jitter=1,
        bootstrap_drain=2,
        bootstrap_heartbeat=5,
    )
    line.aws = Aws(hosts, "ec2", "ssm", "secretsmanager")
    line.keep(SECRET)
    line.aws.ask("secretsmanager", "create_secret", {"Name": "beacon", "SecretString": json.dumps({"cookie": COOKIE})})
    line.prepare()
    (line.directory / "born.yml").write_text(json.dumps(PLAY), encoding="utf-8")
    line.playbook("setup", "alchemist.beam.rollout", str(line.directory / "born.yml"), "-e", "beam_version=0.1.0")
    line.user_data = user_data.read_text(encoding="utf-8")
    image = hosts.fleet("bake", "h1", "golden").split()[-1]
    group(line.aws, GROUP, template(line.aws, GROUP, image, ""), ["launching", "terminating"])
    group(line.aws, "bare", template(line.aws, "bare", at["image"], line.user_data), ["launching", "terminating"])
    yield line
    for client in (line.aws.process, line.s3):
        client.terminate()
        client.wait(timeout=60)


@contextlib.contextmanager
def bare(born: Born, number: int) -> t.Iterator[None]:
    """So many servers of a bare image. Afterwards they are gone, also where a test failed: the next one finds the servers that it expects."""
    before = set(born.hosts.status())
    born.capacity(number, "bare")
    try:
        yield
    finally:
        born.capacity(0, "bare")
        eventually(lambda: set(born.hosts.status()) == before, 2 * HOOK_SECONDS)


@contextlib.contextmanager
def metadata(born: Born, fault: str, seconds: float) -> t.Iterator[None]:
    """A fault of the metadata service, which is mended after a while, and in any case."""
    born.hosts.fleet("imds", *fault.split())
    over = threading.Event()

    def mend() -> None:
        over.wait(seconds)
        born.hosts.fleet("imds", "on")

    mended = threading.Thread(target=mend)
    mended.start()
    try:
        yield
    finally:
        over.set()
        mended.join()


def test_the_server_that_was_deployed_to_comes_up_by_itself(born: Born) -> None:
    """h1 is in no group: after the bake it is on again, and its bootstrap has started what is stable."""
    born.booted("h1", "0.1.0")
    assert born.hosts.on("h1", "systemctl", "is-enabled", "beam-bootstrap@beacon").strip() == "enabled"
    assert born.hosts.try_fleet("exec", "h1", "systemctl", "is-enabled", "beacon").stdout.strip() == "disabled"


def test_a_desired_instance_comes_into_service_on_stable(born: Born) -> None:
    began = time.monotonic()
    born.capacity(1)
    born.serves("h2", "0.1.0")
    print("from desired capacity to in service: %.1f s" % (time.monotonic() - began))
    born.booted("h2", "0.1.0")
    eventually(lambda: born.aws.targets("describe_target_health").get("h2") == "healthy")
    assert born.layers("h2") == born.layers("h1")  # all were in the image


def test_secrets_are_where_the_node_reads_them_and_nowhere_else(born: Born) -> None:
    files = born.hosts.shell("h2", "stat -c '%a %U %n' /etc/beacon/secrets /var/lib/beacon/.erlang.cookie").splitlines()
    assert files == ["600 root /etc/beacon/secrets", "400 beacon /var/lib/beacon/.erlang.cookie"]
    assert "BEACON_SECRET=" + SECRET in born.environment("h2")
    assert born.holding("h2", SECRET) == {"/etc/beacon/secrets"}
    assert born.holding("h2", COOKIE) == {"/var/lib/beacon/.erlang.cookie"}


def test_a_second_start_has_nothing_to_do(born: Born) -> None:
    before = born.pid("h2")
    born.hosts.shell("h2", "touch /run/marker; sleep 0.1")
    began = time.monotonic()
    assert born.bootstrap("h2")[0] == 0
    print("a start with nothing to do: %.1f s" % (time.monotonic() - began))
    written = "find /srv/beacon /etc /usr/local/lib/beam-bootstrap /var/lib/beacon -newer /run/marker -not -path '/srv/beacon/shared/*' -not -path '*/tmp/*'"
    assert born.hosts.shell("h2", written).split() == []
    assert born.pid("h2") == before


def test_a_secret_is_rotated(born: Born) -> None:
    born.keep(ROTATED)
    assert [born.bootstrap("h1", "secrets") for _time in range(2)] == [(0, "changed\n"), (0, "unchanged\n")]
    assert "BEACON_SECRET=" + SECRET in born.environment("h1")
    born.playbook("restart")
    assert "BEACON_SECRET=" + ROTATED in born.environment("h1")
    born.keep(SECRET)
    assert born.bootstrap("h1", "secrets") == (0, "changed\n")


@pytest.mark.parametrize("fault", ["slow 2", "off", "no-role"])
def test_a_metadata_service_that_fails_for_a_while(born: Born, fault: str) -> None:
    before = born.pid("h2")
    with metadata(born, fault, 6):
        code, said = born.bootstrap("h2")
    assert code == 0, said
    assert (born.pid("h2"), born.runs("h2")) == (before, "0.1.0")


@pytest.mark.parametrize(
    ("offline", "status", "told"),
    [
        ("refuse", 1, "FAILED (store_unreachable)"),
        ("current", 75, "In service on 0.1.0, which was in service here before"),
    ],
)
def test_a_store_that_is_away_for_ever(born: Born, offline: str, status: int, told: str) -> None:
    """A server that was in service serves on what it had, where its owner says so, and says that it does."""
    before = born.pid("h2")
    began = time.monotonic()
    options = {"endpoint_url": "http://control:9", "region": "us-east-1"}
    code, said = born.bootstrap_with("h2", store_options=options, offline=offline, deadline=15)
    assert code == status and told in said, said
    assert time.monotonic() - began < USUAL_DEADLINE  # but the one of 15 s
    assert (born.pid("h2"), born.runs("h2")) == (before, "0.1.0")


def test_a_region_that_has_nothing_of_ours(born: Born) -> None:
    before = born.pid("h2")
    at = born.hosts.services()
    aws = {
        "region": "eu-west-3",
        "endpoint_url": at["aws"]["endpoint_url"],
        "metadata_url": at["cloud"]["metadata_url"],
    }
    code, said = born.bootstrap_with("h2", aws=aws)
    assert code == 1 and re.search(
        "(/beacon/secret|secretsmanager:beacon) can't be read: there is no such secret in eu-west-3", said
    ), said
    assert (born.pid("h2"), born.runs("h2")) == (before, "0.1.0")


def test_a_disk_that_is_too_small(born: Born) -> None:
    """Nothing is begun on it: what it lacks is told in bytes."""
    born.hosts.shell(
        "h2", "mkdir -p /srv/small; mount -t tmpfs -o size=4m,mode=755 small /srv/small; chown root: /srv/small"
    )
    try:
        code, said = born.bootstrap_with("h2", base="/srv/small")
        left = born.hosts.shell("h2", "find /srv/small -type f -size +8k").split()
    finally:
        born.hosts.shell("h2", "umount /srv/small; rmdir /srv/small")
    assert code == 1 and re.search(r"it needs \d+ MiB, 100 MiB shall stay free, and 4 MiB are free", said), said
    assert left == []
    assert born.runs("h2") == "0.1.0"


def test_a_release_for_another_system(born: Born) -> None:
    """Its emulator asks for a libc that no server has. A rollout refuses to stage it, and a server that finds it on its channel does not switch to it."""
    before = born.pid("h2")
    said = born.playbook("rollout", "-e", "beam_version=1.0.0-wrong-abi", expect=1)
    assert "GLIBC_2.99" in said and born.runs("h1") == "0.1.0"
    promote = {
        "name": "beacon",
        "channel": "another",
        "state": "promoted",
        "version": "1.0.0-wrong-abi",
        "store": born.variables["beam_store"],
    }
    words = json.dumps({**promote, **born.variables["beam_store_options"]})
    born.hosts.control("ansible", "localhost", "-m", "alchemist.beam.release_channel", "-a", words)
    code, said = born.bootstrap_with("h2", channel="another", identify=["user_data"])
    assert code == 1 and "FAILED (abi_mismatch)" in said and "GLIBC_2.99" in said, said
    assert (born.pid("h2"), born.runs("h2")) == (before, "0.1.0")
    records = [born.store("get", key) for key in born.store("list", "born/beacon/boots/another/")]
    assert [(record["code"], record["version"]) for record in records] == [("abi_mismatch", "1.0.0-wrong-abi")]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong(born: Born, hours: int) -> None:
    """S3 refuses its signatures: they are made for the time that the answer tells. The clock itself is not the bootstrap's."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    shutil.copy(library, born.hosts.directory / "hosts/h2/m/opt/libfaketime.so.1")
    code, said = born.bootstrap_with("h2", "env", "LD_PRELOAD=/opt/libfaketime.so.1", "FAKETIME=%+dh" % hours)
    # Whether the node is restarted says nothing here: libfaketime makes the clock since the boot a date, and all processes seem older than their files.
    assert code == 0 and "clock differs too much" in said and "It works again" in said, said
    assert born.runs("h2") == "0.1.0"


def test_a_hook_that_is_not_the_groups(born: Born) -> None:
    code, said = born.bootstrap_with("h2", lifecycle={"group": "another", "launching": "launching"})
    assert code == 1 and "not in the auto scaling group another" in said, said
    assert born.runs("h2") == "0.1.0"


def test_bare_servers_come_up_by_their_user_data_alone(born: Born) -> None:
    """cloud-init runs it: no package, no image, no Ansible."""
    assert len(born.user_data) <= 16384 and born.hosts.services()["s3"]["secret_key"] not in born.user_data
    began = time.monotonic()
    with bare(born, 2):
        # Somebody else completes the launch of one of them before it is up. It comes up all the same.
        waits = {"AutoScalingGroupName": "bare", "LifecycleHookName": "launching", "LifecycleActionResult": "CONTINUE"}
        eventually(lambda: born.aws.instances().get("h4") == "Pending:Wait")
        born.aws.scaling("complete_lifecycle_action", InstanceId=instance_of(born.hosts, "h4"), **waits)
        for host in ("h3", "h4"):
            born.serves(host, "0.1.0")
            print("%s, bare, in service after %.1f s" % (host, time.monotonic() - began))
            assert born.hosts.on(host, "systemctl", "is-system-running", "--wait").strip() == "running"
        # Of one image or none, each is called by its own address, and they find each other by these names and the cookie.
        nodes = {host: "beacon@" + born.hosts.shell(host, "hostname -I").split()[0] for host in ("h2", "h3", "h4")}
        assert len(set(nodes.values())) == 3
        for host, node in nodes.items():
            assert "RELEASE_NODE=" + node in born.environment(host)
            pings = "IO.puts(inspect({node(), %s}))" % ", ".join('Node.ping(:"%s")' % other for other in nodes.values())
            assert born.hosts.on(host, "beacon-remote", "rpc", pings).strip() == '{:"%s", :pong, :pong, :pong}' % node
        born.hosts.fleet("imds", "spot", "h3", "120")
        left = r"spot interruption: terminate at .*draining for 2 s.*The node has stopped in"
        # It says so a moment after the unit is inactive.
        eventually(lambda: re.search(left, born.told("h3"), re.DOTALL))
        assert born.hosts.try_fleet("exec", "h3", "systemctl", "is-active", "beacon").stdout.strip() == "inactive"


def test_one_that_is_taken_away_half_way(born: Born) -> None:
    """It gives up, which says nothing against its release, and the one that its group launches instead comes into service."""
    with bare(born, 1):
        instance = born.held("h3")
        born.aws.scaling(
            "terminate_instance_in_auto_scaling_group", InstanceId=instance, ShouldDecrementDesiredCapacity=False
        )
        _gives_up(born, "h3", instance)
        born.serves("h4", "0.1.0")
        eventually(lambda: set(born.hosts.status()) == {"h1", "h2", "h4"})


def test_one_that_is_frozen_longer_than_its_hook_waits(born: Born) -> None:
    """No heartbeat comes: its group gives it up. It finds that out when it goes on, and does not come into service."""
    hook = {"AutoScalingGroupName": "bare", "LifecycleHookName": "launching"}
    more = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "DefaultResult": "ABANDON"}
    with bare(born, 1):
        instance = born.held("h3")
        # A last heartbeat. How long a host takes until its first one does not matter so.
        born.aws.scaling("put_lifecycle_hook", HeartbeatTimeout=5, **hook, **more)
        born.aws.scaling("record_lifecycle_action_heartbeat", InstanceId=instance, **hook)
        born.aws.scaling("put_lifecycle_hook", HeartbeatTimeout=HOOK_SECONDS, **hook, **more)
        eventually(lambda: born.aws.instances().get("h3") == "Terminating:Wait")
        born.capacity(0, "bare")  # a group launches another one at once
        _gives_up(born, "h3", instance)


def _gives_up(born: Born, host: str, instance: str) -> None:
    """It goes on after its group has begun to terminate it, while the one that sees it off still stands still: so it is there until it has said why."""
    born.goes_on(host, "beam-bootstrap")
    records = eventually(lambda: born.records(instance))
    assert [record["code"] for record in records] == ["instance_terminating"], records
    eventually(lambda: "FAILED (instance_terminating)" in born.console(instance))
    assert "CONTINUE" not in born.console(instance)
    born.goes_on(host, "beam-watch")
    eventually(lambda: "Told the group bare: CONTINUE" in born.console(instance).partition("draining")[2])


def test_one_that_ends_under_its_bootstrap_says_nothing_against_its_release(born: Born) -> None:
    """Its node is stopped while it boots. Who is faster does not matter: nothing is recorded, or that it was taken away."""
    with bare(born, 1):
        instance = born.held("h3")
        born.aws.scaling(
            "terminate_instance_in_auto_scaling_group", InstanceId=instance, ShouldDecrementDesiredCapacity=True
        )
        born.goes_on("h3", "beam-watch", "beam-bootstrap")
    assert {record["code"] for record in born.records(instance)} <= {"instance_terminating"}
    assert "CONTINUE" not in born.console(instance).partition("draining")[0]


def test_a_bundle_that_is_not_what_the_user_data_names(born: Born) -> None:
    """Nothing of it is executed, and the group is told at once."""
    bundle = [key for key in born.store("list", "born/beacon/bootstrap/") if key.endswith(".zip")]
    assert len(bundle) == 1
    born.store("spoil", bundle[0])
    # Nothing is on it that would see it off, so its group waits as long as the hook says.
    hook = {
        "AutoScalingGroupName": "bare",
        "LifecycleHookName": "terminating",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    }
    born.aws.scaling("put_lifecycle_hook", HeartbeatTimeout=5, **hook)
    try:
        with bare(born, 1):
            eventually(lambda: "h3" in born.aws.instances())
            instance = instance_of(born.hosts, "h3")
            eventually(lambda: "told to abandon" in born.console(instance))
            born.capacity(0, "bare")  # a group launches another one at once
            said = born.console(instance)
    finally:
        born.store("mend", bundle[0])
        born.aws.scaling("put_lifecycle_hook", HeartbeatTimeout=HOOK_SECONDS, **hook)
    assert "is not what this user data names: it has another sha256" in said and "handed over" not in said, said


def test_what_a_shutdown_kills_says_nothing_against_its_release(born: Born) -> None:
    """A bootstrap that does not hear the shutdown sees its node die, and knows of what."""
    health = {
        "http": {"url": "http://127.0.0.1:4001/"},
        "stable": 600,
    }  # asked of somebody who tells when the node is being watched
    born.configure("h2", "/etc/beam-bootstrap/deaf.json", health=health)
    script = "trap '' TERM; exec %s run /etc/beam-bootstrap/deaf.json > /var/log/deaf 2>&1" % " ".join(PROGRAM)
    before, recorded = born.started("h2"), born.records(instance_of(born.hosts, "h2"))
    born.hosts.on("h2", "systemd-run", "--quiet", "--unit=asked", "python3", "-m", "http.server", "4001")
    born.hosts.on("h2", "systemd-run", "--quiet", "--unit=deaf", "--property=TimeoutStopSec=240", "sh", "-c", script)
    eventually(lambda: "GET / " in born.hosts.on("h2", "journalctl", "--unit=asked", "--output=cat", "--no-pager"))
    born.hosts.fleet("reboot", "h2")
    eventually(lambda: born.started("h2") > before)
    born.booted("h2", "0.1.0")
    said = born.hosts.on("h2", "cat", "/var/log/deaf")
    assert "FAILED (host_stopping)" in said and "this server is shutting down" in said, said
    assert born.records(instance_of(born.hosts, "h2")) == recorded
    assert born.aws.instances() == {"h2": "InService"}
    born.hosts.shell("h2", "rm /etc/beam-bootstrap/deaf.json /var/log/deaf")


def test_a_reboot_reconciles(born: Born) -> None:
    before = born.started("h2")
    born.hosts.fleet("reboot", "h2")
    eventually(lambda: born.started("h2") > before)
    born.booted("h2", "0.1.0")
    assert born.aws.instances() == {"h2": "InService"}
    assert (
        born.hosts.try_fleet("exec", "h2", "systemctl", "is-enabled", "beacon").stdout.strip() == "disabled"
    )  # so it was the bootstrap
    assert "Result=success" in born.hosts.on("h2", "systemctl", "show", "--property=Result", "beam-bootstrap@beacon")


def test_one_that_is_born_during_a_rollout_ends_on_the_new_version(born: Born) -> None:
    """It boots the old one from its image, and fetches only what is new."""
    before = born.layers("h1")
    mark, hook = born.directory / "goes-on", born.directory / "waits.yml"
    waits = {"ansible.builtin.wait_for": {"path": str(mark)}, "run_once": True, "delegate_to": "localhost"}
    hook.write_text(json.dumps([{"name": "Wait until another one is being born", "become": False, **waits}]))
    failures: list[BaseException] = []

    def rollout() -> None:
        try:
            born.playbook(
                "rollout", "-e", "beam_version=0.2.0", "-e", json.dumps({"beam_hooks": {"before_batch": str(hook)}})
            )
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=rollout)
    thread.start()
    try:
        eventually(lambda: failures or _candidate(born), 300)
        if not failures:
            born.capacity(2)
            eventually(lambda: "h3" in born.aws.instances())
    finally:
        mark.touch()
        thread.join()
    if failures:
        raise failures[0]
    born.serves("h3", "0.2.0")
    # h2 was there before, and is one of the inventory's.
    born.serves("h2", "0.2.0")
    new = born.layers("h3") - before
    assert 0 < len(new) < len(before) and new <= born.layers("h1")


def _candidate(born: Born) -> bool:
    return bool((born.store("get", "born/beacon/channels/production.json") or {}).get("candidate"))


def test_a_corrupt_release_is_abandoned_and_leaves_a_record(born: Born) -> None:
    image = {Path(key).name.partition(".")[0] for key in born.store("list", "born/beacon/layers/")} & (
        born.layers("h1") - _of_image(born)
    )
    assert image
    spoiled = "born/beacon/layers/%s.tar.gz" % sorted(image)[0]
    born.store("spoil", spoiled)
    try:
        with bare(born, 1):
            eventually(lambda: "h4" in born.aws.instances())
            instance = instance_of(born.hosts, "h4")
            record = eventually(lambda: born.records(instance))[0]
            born.capacity(0, "bare")  # a group launches another one at once
        eventually(lambda: born.aws.instances() == dict.fromkeys(("h2", "h3"), "InService"))
    finally:
        born.store("mend", spoiled)
    assert (record["instance"], record["version"], record["ok"], record["code"]) == (
        instance,
        "0.2.0",
        False,
        "archive_corrupt",
    ), record
    assert record["what"] in born.console(instance)


def _of_image(born: Born) -> set[str]:
    return set(os.listdir(born.hosts.directory / "images/golden/tree/srv/beacon/layers"))


def test_scale_in_drains_stops_and_completes_the_hook(born: Born) -> None:
    instance = instance_of(born.hosts, "h2")
    began = time.monotonic()
    born.aws.scaling(
        "terminate_instance_in_auto_scaling_group", InstanceId=instance, ShouldDecrementDesiredCapacity=True
    )
    eventually(lambda: sorted(born.aws.instances()) == ["h3"], HOOK_SECONDS / 2)
    assert time.monotonic() - began < HOOK_SECONDS / 2  # it did not wait for the hook's time to run out
    told = r"draining for 2 s.*The node has stopped in .*Told the group beacon: CONTINUE"
    eventually(lambda: re.search(told, born.console(instance), re.DOTALL))
