# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One start of the bootstrap with a real store and real releases: what it does to the group, what it records, and how it ends. Only the node is not real."""

from __future__ import annotations

import io
import json
import os
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import lifecycle, main, retry, server_steps
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import Config
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.metadata import Metadata
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import ending
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target

from .conftest import INSTANCE, Group, Imds, ServiceError, Shelf


class Server:
    """Starts of the bootstrap on one server, of which the node is a variable."""

    def __init__(self, shelf: Shelf, imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shelf, self.imds, self.group = shelf, imds, Group("Pending:Wait")
        self.running = ""
        self.sick: dict[str, str] = {}  # version -> a line of its log
        self.during: t.Callable[[str], None] = lambda version: None  # while it is gated
        self.proven: list[str] = []
        self.output = ""
        self.slept = 0.0
        monkeypatch.setattr(server_steps.Host, "_run", lambda host, target: self.run_node(target))
        monkeypatch.setattr(lifecycle, "Client", lambda *_words, **_more: self.group.client())
        monkeypatch.setattr(server_steps, "COMPLETE_SECONDS", 1)
        monkeypatch.setattr(retry, "COMING_SECONDS", 0)
        monkeypatch.setattr(server_steps.Host, "pause", lambda host, seconds: self.pause(seconds))

    def pause(self, seconds: float) -> None:
        self.slept += seconds

    def run_node(self, target: Target) -> None:
        self.running = target.version
        self.during(target.version)
        if target.version in self.sick:
            raise BeamError("unhealthy", "%s is sick" % target.version, "503", "", log=[self.sick[target.version]])
        self.proven.append(target.version)

    def config(self, **changes: t.Any) -> Config:
        return self.shelf.config(**{"lifecycle": "auto", "heartbeat": 600, "deadline": 1, **changes})

    def start(self, **changes: t.Any) -> int:
        out = io.StringIO()
        try:
            return main.run(self.config(**changes), Report("demo", out), Metadata(self.imds.url, 10))
        finally:
            self.output = out.getvalue()

    @property
    def told(self) -> list[str]:
        return [word.split()[1] for word in self.group.called("complete")]

    def codes(self) -> list[str]:
        return [record["code"] for record in self.shelf.records()]


@pytest.fixture
def server(shelf: Shelf, imds: Imds, monkeypatch: pytest.MonkeyPatch) -> Server:
    shelf.publish("1.0.0", "2.0.0")
    shelf.promote("1.0.0")
    return Server(shelf, imds, monkeypatch)


def files(base: str) -> dict[str, tuple[int, int]]:
    return {
        os.path.join(place, name): (
            os.lstat(os.path.join(place, name)).st_ino,
            os.lstat(os.path.join(place, name)).st_mtime_ns,
        )
        for place, _dirs, names in os.walk(base)
        for name in [*names, "."]
    }


def test_a_launch_comes_into_service(server: Server) -> None:
    assert server.start() == main.DONE
    assert (server.told, server.running, server.group.state, server.codes()) == (["CONTINUE"], "1.0.0", "InService", [])


def test_the_second_boot_writes_nothing(server: Server) -> None:
    server.start()
    before = files(server.shelf.base)
    assert server.start() == main.DONE
    assert files(server.shelf.base) == before and server.told == ["CONTINUE"]


def test_the_channel_that_moves_while_it_boots_is_followed_before_it_completes(server: Server) -> None:
    server.during = lambda version: server.shelf.promote("2.0.0")
    assert server.start() == main.DONE
    assert (server.told, server.proven) == (["CONTINUE"], ["1.0.0", "2.0.0"])


def test_the_channel_that_moves_while_it_completes_is_followed_too(server: Server) -> None:
    real = server.group.complete_lifecycle_action

    def complete(**words: t.Any) -> None:
        real(**words)
        server.shelf.promote("2.0.0")

    server.group.complete_lifecycle_action = complete  # type: ignore[method-assign]
    assert server.start() == main.DONE
    assert (server.told, server.proven) == (["CONTINUE"], ["1.0.0", "2.0.0"])


def test_sick_after_it_completed_is_tried_again_and_not_given_up(server: Server) -> None:
    server.sick["2.0.0"] = "boom"
    real = server.group.complete_lifecycle_action

    def complete(**words: t.Any) -> None:
        real(**words)
        server.shelf.promote("2.0.0")

    server.group.complete_lifecycle_action = complete  # type: ignore[method-assign]
    assert server.start() == main.FAILED
    assert (server.told, server.codes()) == (["CONTINUE"], ["unhealthy"])
    server.shelf.promote("1.0.0", force=True)
    assert server.start() == main.DONE and server.running == "1.0.0"


def test_a_sick_release_is_given_up_with_reason_and_log_in_the_store(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cookie").write_text("COOKIE-THAT-IS-SECRET")
    server.sick["1.0.0"] = "crash with COOKIE-THAT-IS-SECRET"
    assert server.start(cookie_file=str(tmp_path / "cookie")) == main.GIVEN_UP
    record = server.shelf.records()[0]
    assert server.told == ["ABANDON"]
    assert (record["instance"], record["version"], record["digest"]) == (
        INSTANCE,
        "1.0.0",
        server.shelf.digests["1.0.0"],
    )
    assert (record["code"], record["log"], record["ok"]) == ("unhealthy", ["crash with ********"], False)
    assert (
        "FAILED (unhealthy) 1.0.0 is sick" in server.output
        and "crash with" in server.output
        and "SECRET" not in server.output
    )


def test_a_loop_of_launches_is_braked_and_a_rollback_ends_the_wait(server: Server) -> None:
    server.sick["1.0.0"] = "boom"
    for number in range(4):
        server.group.state = "Pending:Wait"
        server.imds.values["meta-data/instance-id"] = "i-%08d" % number
        assert server.start(brake={"failures": 3, "within": 3600, "longest": 45}) == main.GIVEN_UP
    assert server.slept == 30 + 45 and len(server.codes()) == 4
    server.group.state, server.imds.values["meta-data/instance-id"] = "Pending:Wait", "i-00000005"
    server.pause = lambda seconds: server.shelf.promote("2.0.0")  # type: ignore[method-assign]
    assert server.start() == main.DONE
    assert server.told == ["ABANDON"] * 4 + ["CONTINUE"] and server.running == "2.0.0"


def test_a_failure_is_recorded_once_a_boot(server: Server) -> None:
    server.sick["1.0.0"], server.group.state = "boom", "InService"
    assert [server.start() for _time in range(3)] == [main.FAILED] * 3
    assert (server.codes(), server.told) == (["unhealthy"], [])


def change_channel(server: Server, **changes: t.Any) -> None:
    path = server.shelf.root / "store" / "demo" / "channels" / "production.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def no_channel(server: Server) -> None:
    (server.shelf.root / "store" / "demo" / "channels" / "production.json").unlink()


def empty_channel(server: Server) -> None:
    change_channel(server, stable=None)


def ghosted(server: Server) -> None:
    change_channel(
        server,
        ghosts=[
            {"version": "1.0.0", "digest": server.shelf.digests["1.0.0"], "reason": "bad", "at": "2026-01-01T00:00:00Z"}
        ],
    )


def garbage(server: Server) -> None:
    (server.shelf.root / "store" / "demo" / "channels" / "production.json").write_text("{")


def corrupt_layer(server: Server) -> None:
    for path in (server.shelf.root / "store" / "demo" / "layers").iterdir():
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)


def no_manifest(server: Server) -> None:
    for path in (server.shelf.root / "store" / "demo" / "manifests").iterdir():
        path.unlink()


def full_disk(server: Server) -> None:
    server.config = lambda **changes: Shelf.config(server.shelf, lifecycle="auto", heartbeat=600, min_free_mb=10**9)  # type: ignore[method-assign]


def bad_user_data(server: Server) -> None:
    server.imds.values["user-data"] = '#alchemist.beam: {"chanel": "x"}'
    config = server.config
    server.config = lambda **changes: config(identify=["user_data"])  # type: ignore[method-assign]


def missing_secret(server: Server) -> None:
    config, place = server.config, str(server.shelf.root / "secrets")
    server.config = lambda **changes: config(
        secrets={"KEY": "file:/nowhere/at/all"}, secrets_file=place, env_file=place
    )  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (no_channel, "channel_empty"),
        (empty_channel, "channel_empty"),
        (ghosted, "ghost"),
        (garbage, "channel_invalid"),
        (corrupt_layer, "archive_corrupt"),
        (no_manifest, "release_missing"),
        (full_disk, "disk_too_small"),
        (bad_user_data, "config_invalid"),
        (missing_secret, "secret_missing"),
    ],
)
def test_bad_input_is_given_up_with_a_record_and_nothing_was_started(
    server: Server, bad: t.Callable[[Server], None], code: str
) -> None:
    bad(server)
    assert server.start() == main.GIVEN_UP, server.output
    assert (server.told, server.codes(), server.running) == (["ABANDON"], [code], ""), server.output
    assert "FAILED (%s)" % code in server.output
    assert any("FAILED (%s)" % code in told for told in server.shelf.records()[0]["log"])


def test_a_release_for_another_abi(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_abi: t.Any) -> None:
        raise BeamError("abi_mismatch", "the release can't run on this server", "it was built for s390x")

    from ansible_collections.alchemist.beam.plugins.module_utils._host import install

    monkeypatch.setattr(install, "require_abi", refuse)
    assert server.start() == main.GIVEN_UP
    assert (server.told, server.codes(), server.running) == (["ABANDON"], ["abi_mismatch"], "")


def test_what_nobody_foresaw_is_told_to_the_group_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import server_steps

    def broken(*_words: t.Any) -> t.NoReturn:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(server_steps, "install", broken)
    assert server.start() == main.GIVEN_UP
    assert (server.told, server.codes(), server.running) == (["ABANDON"], ["internal"], "")
    assert re.search(r"FAILED \(internal\) .*OSError: .*Invalid argument \(test_bootstrap_run.py:\d+\)", server.output)


def test_a_store_that_is_away_gives_a_launch_up_at_the_deadline(server: Server) -> None:
    os.rename(server.shelf.root / "store", server.shelf.root / "away")
    assert server.start(offline="current") == main.GIVEN_UP
    assert (server.told, server.running) == (["ABANDON"], "") and "could not be recorded" in server.output


def test_a_store_that_is_away_at_a_reboot(server: Server) -> None:
    server.start()
    server.running = ""
    os.rename(server.shelf.root / "store", server.shelf.root / "away")
    assert server.start() == main.FAILED and server.running == ""
    assert server.start(offline="current") == main.OFFLINE and server.running == "1.0.0"
    # What another instance had in service, of which this one's image was made, is not started.
    server.running, server.imds.values["meta-data/instance-id"] = "", "i-0123456789abcdef1"
    assert server.start(offline="current") == main.FAILED and server.running == ""


def test_a_group_that_can_not_be_asked_keeps_no_server_away_that_was_in_service(server: Server) -> None:
    server.start()
    server.running, server.group.errors = "", [ServiceError("AccessDenied", "no", 403)] * 2
    assert server.start() == main.OFFLINE and server.running == "1.0.0"


def test_a_group_that_can_not_be_asked_at_the_launch(server: Server) -> None:
    server.group.errors = [ServiceError("AccessDenied", "no", 403)] * 2
    assert server.start() == main.FAILED and server.running == ""
    assert server.codes() == ["aws_denied"] and "Give the instance profile's role this right" in server.output


def test_an_instance_that_its_group_terminates_starts_nothing(server: Server) -> None:
    server.group.state = "Terminating:Wait"
    assert server.start() == main.GIVEN_UP and server.running == ""


def test_terminated_half_way(server: Server) -> None:
    server.during = lambda version: setattr(server.group, "state", "Terminating:Wait")
    assert server.start() == main.GIVEN_UP
    assert server.told == [] and server.codes() == ["instance_terminating"]


def test_a_node_that_was_stopped_because_the_instance_leaves_says_nothing_against_its_release(server: Server) -> None:
    server.sick["1.0.0"] = "the supervisor was told to stop"
    server.during = lambda version: setattr(server.group, "state", "Terminating:Wait")
    assert server.start() == main.GIVEN_UP
    assert server.told == [] and server.slept == 0 and server.codes() == ["instance_terminating"]
    assert "1.0.0 is sick" in server.shelf.records()[0]["why"] and server.shelf.records()[0]["log"] == [
        "the supervisor was told to stop"
    ]


@pytest.mark.parametrize("code", ["node_died", "unhealthy", "store_unreachable"])
def test_a_node_that_the_shutdown_of_its_server_killed_says_nothing_against_its_release(
    server: Server, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Nothing is recorded, and the launch is held on: it may be a reboot, which the next boot goes on from."""

    def shut_down(version: str) -> None:
        monkeypatch.setattr(ending, "_stopping", lambda _systemctl: True)
        server.running = ""
        raise ending.judged(BeamError(code, "%s died" % version, "it was killed"), server.shelf.base)

    server.during = shut_down
    assert server.start() == main.FAILED
    assert (server.told, server.codes(), server.slept, server.group.state) == ([], [], 0, "Pending:Wait")
    assert "FAILED (host_stopping)" in server.output and "it was killed" in server.output
    monkeypatch.setattr(ending, "_stopping", lambda _systemctl: False)
    server.during = lambda version: None
    assert server.start() == main.DONE
    assert (server.told, server.running, server.codes()) == (["CONTINUE"], "1.0.0", [])


@pytest.fixture
def freeze(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[float], None]:
    """From now on it is known that this server stood still for that long."""
    return lambda seconds: monkeypatch.setattr(ending.Pace, "stood", lambda _pace: seconds)


@pytest.mark.parametrize("code", ["boot_timeout", "unhealthy", "store_timeout"])
def test_a_server_that_was_frozen_and_goes_on_says_nothing_against_its_release(
    server: Server, freeze: t.Callable[[float], None], code: str
) -> None:
    """The launch is held on, and the next start goes on."""

    def frozen(version: str) -> None:
        freeze(90)
        with ending.Pace() as pace:
            raise ending.judged(
                BeamError(code, "%s did not answer" % version, "no time was left"), server.shelf.base, pace
            )

    server.during = frozen
    assert server.start() == main.FAILED
    assert (server.told, server.codes(), server.slept, server.group.state) == ([], [], 0, "Pending:Wait")
    assert (
        "FAILED (host_frozen)" in server.output
        and "stood still for 90 s" in server.output
        and "no time was left" in server.output
    )
    freeze(0)
    server.during = lambda version: None
    assert server.start() == main.DONE
    assert (server.told, server.running, server.codes()) == (["CONTINUE"], "1.0.0", [])


def test_a_release_that_keeps_its_server_from_running_is_excused_once(
    server: Server, freeze: t.Callable[[float], None]
) -> None:
    freeze(90)
    server.sick["1.0.0"] = "all of the memory"
    assert server.start() == main.FAILED and server.codes() == []
    assert server.start() == main.GIVEN_UP
    assert (server.told, server.codes()) == (["ABANDON"], ["unhealthy"])


def test_one_that_was_frozen_longer_than_its_group_waits_leaves(
    server: Server, freeze: t.Callable[[float], None]
) -> None:
    def frozen(version: str) -> None:
        freeze(900)
        server.group.state = "Terminating:Wait"

    server.during, server.sick["1.0.0"] = frozen, "no answer"
    assert server.start() == main.GIVEN_UP
    assert (server.told, server.codes()) == ([], ["instance_terminating"])


def test_an_instance_that_leaves_says_nothing_either_whatever_its_group_knows(server: Server) -> None:
    """A spot interruption is not the group's, and the group may not answer."""

    def interrupted(version: str) -> None:
        ending.mark_leaving(server.shelf.base, "spot interruption: terminate")
        raise ending.judged(BeamError("node_died", "%s died" % version, "it was killed"), server.shelf.base)

    server.during = interrupted
    assert server.start() == main.GIVEN_UP
    assert (server.codes(), server.slept) == (["instance_terminating"], 0)
    assert (
        "spot interruption" in server.shelf.records()[0]["why"] and "it was killed" in server.shelf.records()[0]["why"]
    )


def test_a_group_that_does_not_answer_at_once_is_asked_again_before_a_release_is_blamed(server: Server) -> None:
    server.sick["1.0.0"] = "the supervisor was told to stop"

    def terminated(version: str) -> None:
        server.group.state = "Terminating:Wait"
        server.group.errors = [
            ServiceError("Throttling", "slow down", 400),
            ServiceError("InternalFailure", "oops", 500),
        ]

    server.during = terminated
    assert server.start() == main.GIVEN_UP
    assert server.group.errors == [] and server.codes() == ["instance_terminating"]


def test_a_sweep_that_is_faster_is_no_failure(server: Server) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
    from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
    from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source

    def sweep(version: str) -> None:
        """Switches to what is not stable yet; the node that was gated is gone by that."""
        if version == "1.0.0" and not server.proven:
            server.during = lambda version: None
            install(
                Request(Wanted("demo", version="2.0.0"), server.shelf.base, "active"),
                lambda: open_source({"store": server.shelf.store}),
            )
            raise BeamError("unhealthy", "process 1 ended and process 2 took its place")

    server.during = sweep
    assert server.start() == main.DONE
    assert (server.told, server.proven, server.codes()) == (["CONTINUE"], ["1.0.0"], [])


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main.main([]) == main.UNUSABLE and main.main(["fly", "x"]) == main.UNUSABLE
    assert main.main(["run", str(tmp_path / "missing.json")]) == main.UNUSABLE
    (tmp_path / "bad.json").write_text("{}")
    assert main.main(["status", str(tmp_path / "bad.json")]) == main.UNUSABLE
    assert "is missing" in capsys.readouterr().out

    def broken(path: str) -> t.NoReturn:
        raise IndexError(path)

    monkeypatch.setattr(main, "load_config", broken)
    assert main.main(["run", str(tmp_path / "bad.json")]) == main.FAILED
    assert "FAILED (internal) Something unforeseen went wrong: IndexError" in capsys.readouterr().out


def test_status_tells_what_is_the_same(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.status import status

    config = server.shelf.config()
    before = status(config)
    assert (before["stable"]["version"], before["current"], before["same"]) == ("1.0.0", None, False) and before[
        "problems"
    ]
    server.start()
    after = status(config)
    assert (after["current"]["version"], after["current"]["digest"], after["running"]) == (
        "1.0.0",
        server.shelf.digests["1.0.0"],
        None,
    )
    assert not after["same"] and after["problems"] == []


# The name of a node of a cluster.


CLUSTER = {"manager": "systemd", "lifecycle": "auto"}


def named(server: Server, tmp_path: Path, listen: str = "0.0.0.0") -> tuple[dict[str, t.Any], list[str]]:
    """The configuration of a node of a cluster, and the name that each of its starts finds."""
    file, found = tmp_path / "run" / "shop.node", []
    server.during = lambda version: found.append(file.read_text() if file.exists() else "")
    return {**CLUSTER, "cluster": {"name": "shop", "listen": listen, "file": str(file)}}, found


def test_a_node_of_a_cluster_is_named_by_its_address_before_each_start(server: Server, tmp_path: Path) -> None:
    changes, found = named(server, tmp_path)
    server.imds.values["meta-data/local-ipv4"] = "10.0.0.5"
    assert server.start(**changes) == main.DONE and "The node is called shop@10.0.0.5" in server.output
    before = (tmp_path / "run/shop.node").stat()
    assert server.start(**changes) == main.DONE and "called" not in server.output
    assert (tmp_path / "run/shop.node").stat() == before and before.st_mode & 0o777 == 0o600
    server.imds.values["meta-data/local-ipv4"] = "10.0.0.9"  # it was stopped, and started again
    assert server.start(**changes) == main.DONE
    assert found == ["RELEASE_NODE='shop@10.0.0.%d'\n" % last for last in (5, 5, 9)]


def test_without_a_cluster_no_address_is_asked_for(server: Server, tmp_path: Path) -> None:
    _changes, found = named(server, tmp_path)
    server.imds.values["meta-data/local-ipv4"] = "nonsense"
    assert server.start(manager="systemd") == main.DONE and found == [""]


@pytest.mark.parametrize(("listen", "address"), [("::", "fd00::5"), ("0.0.0.0", "10.0.0.5"), ("10.0.0.5", "10.0.0.5")])
def test_the_address_is_of_the_family_that_the_node_speaks(
    server: Server, tmp_path: Path, listen: str, address: str
) -> None:
    changes, found = named(server, tmp_path, listen)
    server.imds.values.update({"meta-data/local-ipv4": "10.0.0.5", "meta-data/ipv6": "fd00::5"})
    assert server.start(**changes) == main.DONE and found == ["RELEASE_NODE='shop@%s'\n" % address]


@pytest.mark.parametrize(
    ("listen", "values", "said"),
    [
        ("0.0.0.0", {}, "knows no private address of this server"),
        ("0.0.0.0", {"ipv6": "fd00::5"}, "the server has only fd00::5.*-proto_dist inet6_tcp"),
        ("::", {"local-ipv4": "10.0.0.5"}, "the server has only 10.0.0.5.*service_dist_listen: 0.0.0.0"),
        ("0.0.0.0", {"local-ipv4": "<html>"}, "says '<html>'"),
        ("0.0.0.0", {"local-ipv4": "127.0.0.1"}, "says '127.0.0.1'"),
    ],
)
def test_no_node_is_started_under_a_name_that_nobody_reaches(
    server: Server, tmp_path: Path, listen: str, values: dict[str, str], said: str
) -> None:
    """Its group and the store are told."""
    changes, found = named(server, tmp_path, listen)
    server.imds.values.update({"meta-data/" + key: value for key, value in values.items()})
    assert server.start(**changes) == main.GIVEN_UP and found == []
    assert (server.told, server.codes()) == (["ABANDON"], ["node_unnamed"]) and re.search(said, server.output)


def test_a_server_that_can_t_be_named_serves_nothing_without_its_store_either(server: Server, tmp_path: Path) -> None:
    changes, found = named(server, tmp_path)
    server.imds.values["meta-data/local-ipv4"] = "10.0.0.5"
    assert server.start(**changes) == main.DONE
    (tmp_path / "run/shop.node").unlink()  # another boot
    del server.imds.values["meta-data/local-ipv4"]
    os.rename(server.shelf.root / "store", server.shelf.root / "away")
    assert server.start(offline="current", **changes) == main.FAILED and len(found) == 1


def test_servers_of_a_cluster_make_up_no_cookie(server: Server, tmp_path: Path) -> None:
    changes, found = named(server, tmp_path)
    server.imds.values["meta-data/local-ipv4"] = "10.0.0.5"
    cookie = tmp_path / "cookie"
    assert server.start(cookie_file=str(cookie), **changes) == main.GIVEN_UP and found == []
    assert server.codes() == ["cookie_missing"] and "beam_cookie_source" in server.output and not cookie.exists()
    server.group.state = "Pending:Wait"
    cookie.write_text("of-the-image")
    assert server.start(cookie_file=str(cookie), **changes) == main.DONE and len(found) == 1
