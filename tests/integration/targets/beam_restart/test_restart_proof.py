# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With real nodes: what a restart must prove, and every way in which one may go wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import dist, restart
from ansible_collections.alchemist.beam.plugins.module_utils._node.explain import why_down
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import (
    Health,
    HttpCheck,
    NodeCheck,
    Outcome,
    TcpCheck,
    probe_http,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.health import gate as health_gate
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import descendants
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import resolve
from ansible_collections.alchemist.beam.plugins.module_utils._node.vm_flags import term
from node_site import NAME, Site, server
from ports import free_port

SERVICE = Path(__file__).resolve().parents[4] / "roles" / "service"


def fails(site: Site, code: str, **options: t.Any) -> BeamError:
    with pytest.raises(BeamError) as caught:
        site.run(**options)
    assert caught.value.code == code, caught.value.message
    return caught.value


def test_start_then_second_version_then_nothing_to_do_then_stop(site: Site) -> None:
    first = site.run()
    assert (first.plan.action, first.plan.changed) == ("start", True)
    assert (
        first.after is not None and first.after.version == "0.1.0" and first.boot is not None and first.outage is None
    )
    boot_id = site.answer()["boot_id"]

    again = site.run()
    assert (
        (again.plan.action, again.plan.changed) == ("none", False) and again.health is not None and again.health.passed
    )

    site.current("0.2.0")
    assert site.run(state="started").plan.action == "none"  # started does not mind which version
    second = site.run(health=site.health(json={"version": "0.2.0", "ready": True}))
    assert second.plan.action == "restart" and second.plan.before is not None and second.after is not None
    assert second.plan.before.identity == first.after.identity != second.after.identity
    assert second.after.root == os.path.realpath(site.base / "releases" / "0.2.0") and second.after.version == "0.2.0"
    assert (
        second.escalated != "kill"
        and second.stop is not None
        and second.outage is not None
        and second.stop < second.outage < second.total
    )
    assert site.answer()["boot_id"] != boot_id and not first.after.alive()

    forced = site.run(force=True)
    assert (forced.plan.action, forced.plan.reason) == ("restart", "forced")

    stopped = site.run(state="stopped")
    assert stopped.plan.action == "stop" and stopped.after is None and site.process() is None
    assert site.leftovers() == []
    assert site.run(state="stopped").plan.action == "none"  # not running is a state, not an error


def test_the_cookie_is_in_no_argument_list_and_the_secret_in_no_result(site: Site) -> None:
    done = site.run()
    assert done.after is not None
    with open("/proc/%d/cmdline" % done.after.pid, "rb") as handle:
        assert site.cookie.encode() not in handle.read()
    assert done.after.cookie() == site.cookie
    assert site.cookie not in repr(done) and site.cookie not in repr(done.facts())
    with dist.connect(done.after.node, site.cookie, epmd=done.after.epmd) as node:
        assert node.call("erlang", "get_cookie") == site.cookie
    with pytest.raises(dist.WrongCookie):
        dist.connect(done.after.node, "unused", epmd=done.after.epmd)


def test_cookies_differ_between_versions(site: Site) -> None:
    site.env(RELEASE_COOKIE=None)
    for version in ("0.1.0", "0.2.0"):
        own = site.base / "releases" / version / "releases" / "COOKIE"
        own.unlink()
        own.write_text("cookie-of-%s" % version)
    first = site.run(health=Health(node=NodeCheck(("beacon",)), passes=1))
    site.current("0.2.0")
    second = site.run(health=Health(node=NodeCheck(("beacon",)), passes=1))
    assert first.after is not None and not first.after.alive() and second.after is not None
    assert second.escalated != "kill" and second.after.cookie() == "cookie-of-0.2.0"


def test_missing_cookie_stops_nothing(site: Site) -> None:
    first = site.run()
    (site.base / "releases" / "0.2.0" / "releases" / "COOKIE").unlink()
    site.env(RELEASE_COOKIE=None)
    site.current("0.2.0")
    error = fails(site, "cookie_missing")
    assert "RELEASE_COOKIE" in error.message and first.after is not None and first.after.alive()


def test_environment_file_that_others_read_is_refused(site: Site) -> None:
    site.env_file.chmod(0o644)
    error = fails(site, "env_file_open")
    assert str(site.env_file) in error.message and site.process() is None


def test_changed_environment_is_a_reason_to_restart(site: Site) -> None:
    site.run()
    os.utime(site.env_file)
    assert site.run().plan.reason == "its configuration changed after it had started"
    assert site.run().plan.action == "none"


def test_hang_on_stop_is_killed_at_the_deadline(site: Site) -> None:
    site.env(BEACON_FAULT="hang_on_stop")
    site.run()
    site.env()
    site.current("0.2.0")
    done = site.run(stop_timeout=2)
    assert done.escalated == "kill" and done.stop is not None and 2 <= done.stop < 10
    assert done.after is not None and done.after.version == "0.2.0"


def test_frozen_vm_is_killed_at_the_deadline(site: Site) -> None:
    first = site.run()
    assert first.after is not None
    first.after.signal(signal.SIGSTOP)
    with pytest.raises(dist.NodeHung):
        dist.connect(first.after.node, site.cookie, timeout=0.5, epmd=first.after.epmd)
    done = site.run(state="stopped", stop_timeout=1)
    assert done.escalated == "kill" and done.stop is not None and 1 <= done.stop < 10 and site.leftovers() == []


def test_sigterm_during_early_boot_is_repeated_until_heard(site: Site) -> None:
    site.run(state="stopped")
    manager = site.manager
    manager.directories()
    env = {**os.environ, **{key: str(value) for key, value in site.values.items()}, "RELEASE_TMP": manager.run_dir}
    launcher = str(site.base / "current" / "bin" / NAME)
    with (
        open(os.devnull, "wb") as null,
        subprocess.Popen(
            [launcher, "start"], env=env, stdin=null, stdout=null, stderr=null, start_new_session=True
        ) as child,
    ):
        while site.process() is None:  # the VM, not yet the node
            time.sleep(0.005)
        time.sleep(0.05)
        done = site.run(state="stopped", stop_timeout=10)
        assert done.escalated in ("none", "term") and child.wait(10) is not None and site.leftovers() == []


def test_started_by_hand_as_daemon_is_found_and_stopped_with_its_run_erl(site: Site) -> None:
    env = {
        **os.environ,
        **{key: str(value) for key, value in site.values.items()},
        "RELEASE_TMP": str(site.base / "shared" / "tmp"),
    }
    subprocess.run([str(site.base / "current" / "bin" / NAME), "daemon"], env=env, check=True, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while site.process() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert site.run(state="started").plan.action == "none"
    assert site.run(state="stopped").plan.action == "stop" and site.leftovers() == []


def test_an_eval_of_the_release_is_not_the_node(site: Site) -> None:
    env = {
        **os.environ,
        **{key: str(value) for key, value in site.values.items()},
        "RELEASE_TMP": str(site.base / "shared" / "tmp"),
    }
    with subprocess.Popen(
        [str(site.base / "current" / "bin" / NAME), "eval", "Process.sleep(:infinity)"],
        env=env,
        stdin=subprocess.DEVNULL,
    ) as child:
        deadline = time.monotonic() + 10
        while not site.leftovers() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        assert site.leftovers() and site.process() is None
        child.kill()


def test_started_twice_at_once_runs_one(site: Site) -> None:
    manager, other = site.manager, site.manager
    with manager._lock():
        error = fails(site, "node_busy")
    assert "somebody else" in error.message
    site.run()
    with pytest.raises(BeamError, match="runs it already"):
        other.start(resolve(str(site.base), NAME), 5)


def test_port_in_use(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)), pytest.raises(BeamError) as caught:
        site.run()
    error = caught.value
    # It dies by itself, before its boot counts as done or after. Either way it is not the release's fault.
    assert (
        error.code == "misconfigured"
        and error.details["cause"] == "port_in_use"
        and "address already in use" in error.why
    ), error.message
    assert "address already in use" in error.details["crash"], error.details
    assert site.leftovers() == []


def test_a_setting_that_is_wrong(site: Site) -> None:
    """The reason is told, and the log is that of this start."""
    site.run()
    site.env(PORT="many")
    error = fails(site, "misconfigured", force=True)
    assert (
        error.details["cause"] == "setting_invalid"
        and "not a textual representation of an integer" in error.why
        and "beam_env" in error.hint
    )
    assert not [line for line in error.details["log"] if "alchemist.beam starts" in line or "SIGTERM" in line]
    down = why_down(site.manager, site.manager.status())
    assert down is not None and "textual representation" in down.text and down.setting
    site.env()
    site.run()
    assert why_down(site.manager, site.manager.status()) is None
    site.run(state="stopped")
    assert why_down(site.manager, site.manager.status()) is None


@pytest.mark.parametrize(
    ("fault", "codes", "words"),
    [
        ("crash_loop:300", ("unhealthy", "node_died"), "exit status 1"),
        ("exit0:300", ("unhealthy", "node_died"), "exit status 0"),
        ("boot_error", ("node_died",), "exit status 1"),
    ],
)
def test_a_node_that_does_not_stay(site: Site, fault: str, codes: tuple[str, ...], words: str) -> None:
    site.env(BEACON_FAULT=fault)
    with pytest.raises(BeamError) as caught:
        site.run(health=site.health(passes=3, interval=0.5, within=15, stable=10))
    assert caught.value.code in codes and words in caught.value.message
    assert caught.value.details["changed"] is True and caught.value.details["log"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("never_healthy", "answers 503"),
        ("flap", "answers 503"),
        ("slow_health:3000", "does not answer within 1 s"),
        ("lie", "says version is 0.0.0, not 0.1.0"),
    ],
)
def test_a_node_that_is_not_healthy(site: Site, fault: str, words: str) -> None:
    site.env(BEACON_FAULT=fault)
    error = fails(site, "unhealthy", health=site.health(json={"version": "0.1.0"}, within=1.0, interval=0.1))
    assert words in error.message or "in a row" in error.message
    assert error.details["after"]["version"] == "0.1.0" and error.details["health"]["failures"] > 0
    assert site.values["BEACON_SECRET"] not in repr(error.details)


def test_slow_boot_within_and_beyond_its_time(site: Site) -> None:
    site.env(BEACON_FAULT="slow_boot:800")
    done = site.run()
    assert done.boot is not None and done.boot > 0.8
    site.env(BEACON_FAULT="slow_boot:60000")
    error = fails(site, "boot_timeout", force=True, boot_timeout=1)
    assert "within 1 s" in error.message
    site.env()
    assert site.run(force=True, stop_timeout=1).after is not None


def test_a_clock_that_was_set_back_restarts_once(site: Site) -> None:
    """The environment file is of the future. It can't be known whether it was changed after the start, so there is one restart, and no second."""
    site.run()
    later = time.time() + 3600
    os.utime(site.manager.env_file, (later, later))
    done = site.run()
    assert done.plan.reason == "its configuration changed after it had started"
    assert site.run().plan.action == "none"


def test_another_one_answers_on_the_health_port(site: Site) -> None:
    """200 from whoever has the port proves nothing: the version in the body does, or the node itself."""
    other = Site(site.base.parent / "other", site.base / "releases", int(site.values["ERL_EPMD_PORT"]))
    try:
        other.current("0.2.0")
        other.run()
        with_version = Health(HttpCheck(other.url, json={"version": "0.1.0"}), passes=1, interval=0.05, within=1)
        assert "says version is 0.2.0, not 0.1.0" in fails(site, "unhealthy", health=with_version).message
    finally:
        other.clean()


def test_the_node_is_asked_and_tcp(site: Site) -> None:
    everything = Health(
        tcp=TcpCheck(site.port), node=NodeCheck(("beacon", "logger")), passes=2, interval=0.05, within=30
    )
    assert site.run(health=everything).health is not None
    error = fails(site, "unhealthy", health=Health(node=NodeCheck(("mnesia",)), passes=1, interval=0.05, within=0.5))
    assert "applications not started: mnesia" in error.message
    site.run(health=Health(passes=1))  # nothing configured: the node itself is asked


def test_without_distribution(site: Site) -> None:
    site.env(RELEASE_DISTRIBUTION="none")
    done = site.run()
    assert (
        done.after is not None and done.after.distribution == "none" and done.health is not None and done.health.passed
    )
    assert site.run(state="stopped").plan.action == "stop" and site.leftovers() == []


def own_settings(site: Site, version: str, name: str, text: str) -> None:
    """A release that brings a vm.args or env.sh of its own. The file is another one than those of the other tests, which are links."""
    path = site.base / "releases" / version / "releases" / version / name
    kept = path.read_text()
    path.unlink()
    path.write_text(kept + "\n" + text + "\n")


def service_flags(address: str, port: int) -> str:
    """As the role `service` gives them."""
    return (
        "-start_epmd false -erl_epmd_port %d -kernel inet_dist_listen_min %d inet_dist_listen_max %d inet_dist_use_interface %s"
        % (port, port, port, term(address))
    )


NODE = Health(node=NodeCheck(("beacon",)), passes=1, interval=0.05, within=20)


@pytest.mark.parametrize("old", [False, True])
def test_a_release_with_lines_for_a_node_without_epmd(site: Site, old: bool) -> None:
    """Elixir's own template has them. old: flags of a service that was set up before it gave inet_dist_listen_min."""
    own_settings(
        site,
        "0.1.0",
        "vm.args",
        "-start_epmd false\n-erl_epmd_port 6789\n-name ${RELEASE_NODE}\n-setcookie ${RELEASE_COOKIE}",
    )
    port = free_port()
    flags = service_flags("127.0.0.1", port)
    if old:
        flags = flags.replace("inet_dist_listen_min %d inet_dist_listen_max %d " % (port, port), "")
    site.env(RELEASE_DISTRIBUTION="name", RELEASE_NODE="shop@127.0.0.1", ERL_ZFLAGS=flags)
    done = site.run(health=NODE)
    assert done.after is not None and done.after.node == "shop@127.0.0.1" and done.after.port == (None if old else port)


def test_a_release_that_calls_its_node_otherwise_and_listens_elsewhere(site: Site) -> None:
    own_settings(site, "0.1.0", "vm.args", "-sname shop")
    address = "127.0.0.7"  # stands for a private one
    site.env(RELEASE_DISTRIBUTION="name", RELEASE_NODE="x@127.0.0.1", ERL_ZFLAGS=service_flags(address, free_port()))
    done = site.run(health=NODE)
    assert done.after is not None and done.after.node.startswith("shop@") and done.after.address == address


def shell(site: Site, tmp_path: Path, *words: str) -> str:
    """What the role installs as <unit>-remote says, with a systemctl that knows the node."""
    process = site.process()
    tools = {
        "systemctl": "echo %d" % (process.pid if process else 0),
        "setpriv": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    }
    values = {
        "ansible_managed": "",
        "service_instance": "..%s" % tmp_path,
        "service_user": "root",
        "service_group": "root",
        "service_state_dir": str(tmp_path),
        "service_instance_dist_port": 4370,
        "service_name": NAME,
    }
    text = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True).from_string(
        (SERVICE / "templates" / "remote.sh.j2").read_text()
    )
    for name, script in {
        **{name: "#!/bin/sh\n" + line for name, line in tools.items()},
        "beacon-remote": text.render(values),
    }.items():
        (tmp_path / name).write_text(script + "\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".erlang.cookie").write_text(site.cookie)
    (tmp_path / ".erlang.cookie").chmod(0o400)
    env = {
        **os.environ,
        "PATH": "%s:%s" % (tmp_path, os.environ["PATH"]),
        "RELEASE_NODE": "of-the-caller",
        "PRIVATE_IP": "10.9.9.9",
    }
    done = subprocess.run(
        [str(tmp_path / "beacon-remote"), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    (tmp_path / ".erlang.cookie").unlink()
    return done.stdout + done.stderr


def test_a_shell_reaches_the_node_under_the_name_that_env_sh_computes(site: Site, tmp_path: Path) -> None:
    """From what the service gives, also where that is of several lines or looks like commands."""
    odd = 'it\'s $(touch %s/never) \\ "`x`"' % tmp_path
    own_settings(
        site,
        "0.1.0",
        "env.sh",
        'export RELEASE_DISTRIBUTION=name RELEASE_NODE="$WHO@$PRIVATE_IP"\n: "${ODD:?is missing}"',
    )
    own_settings(site, "0.1.0", "remote.vm.args", "-start_epmd false\n-erl_epmd_port 6789\n-dist_listen false")
    site.env(
        WHO="shop",
        PRIVATE_IP="127.0.0.1",
        ODD="'%s'" % odd.replace("'", "") + "\nLINES='one\ntwo'",
        ERL_ZFLAGS=service_flags("127.0.0.1", free_port()),
    )
    done = site.run(health=NODE)
    assert done.after is not None and done.after.node == "shop@127.0.0.1"
    assert shell(site, tmp_path, "rpc", "IO.inspect(node())").strip() == ':"shop@127.0.0.1"'
    assert (
        shell(site, tmp_path, "rpc", 'IO.inspect(System.get_env("LINES"))').strip() == '"one\\ntwo"'
        and not (tmp_path / "never").exists()
    )


def test_ipv6_as_fly_writes_it(site: Site) -> None:
    site.run(health=NODE)
    before = site.process()
    own_settings(
        site, "0.2.0", "env.sh", 'export ERL_AFLAGS="-proto_dist inet6_tcp"\nexport RELEASE_NODE="$RELEASE_NAME@::1"'
    )
    site.current("0.2.0")
    site.env(RELEASE_DISTRIBUTION="name", ERL_ZFLAGS=service_flags("127.0.0.1", free_port()))
    error = fails(site, "dist_family", health=NODE)
    now = site.process()
    assert (
        "ERL_AFLAGS in releases/0.2.0/env.sh" in error.message
        and before is not None
        and now is not None
        and now.identity == before.identity
    )
    site.env(RELEASE_DISTRIBUTION="name", ERL_ZFLAGS=service_flags("::1", free_port()))
    done = site.run(health=NODE)
    assert done.after is not None and (done.after.address, done.after.node) == ("::1", "beacon@::1")


def test_a_port_of_the_distribution_that_another_application_has(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        site.env(
            RELEASE_DISTRIBUTION="name",
            RELEASE_NODE="shop@127.0.0.1",
            ERL_ZFLAGS=service_flags("127.0.0.1", other.getsockname()[1]),
        )
        assert "service_dist_port" in fails(site, "dist_port_taken", health=NODE).hint
    assert site.leftovers() == []


def _redirect(conn: socket.socket) -> None:
    conn.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n")


def _hang(conn: socket.socket) -> None:
    time.sleep(1.5)


def _drip(conn: socket.socket) -> None:
    for _unused in range(40):
        conn.sendall(b"H")
        time.sleep(0.05)


def _garbage(conn: socket.socket) -> None:
    conn.sendall(b"220 mail.example.org ESMTP\r\n")


def _endless(conn: socket.socket) -> None:
    conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        conn.sendall(b"x" * 65536)


def _no_json(conn: socket.socket) -> None:
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (_redirect, "a redirect to http://elsewhere/"),
        (_hang, "does not answer within 0.4 s"),
        (_drip, "does not answer within 0.4 s"),
        (_garbage, "fails: 220 mail"),
        (_endless, "sends more than"),
        (_no_json, "not JSON"),
    ],
    ids=["redirects", "hangs", "drips", "speaks-smtp", "never-ends", "no-json"],
)
def test_health_urls_that_misbehave(behave: t.Callable[[socket.socket], None], words: str) -> None:
    with server(behave) as url:
        begin = time.monotonic()
        verdict = probe_http(HttpCheck(url, json={"a": 1}, timeout=0.4))
        assert not verdict.ok and words in verdict.reason, verdict.reason
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (None, "current_missing"),
        ("releases/9.9.9", "current_dangling"),
        ("/tmp", "current_outside"),
        ("DIR", "current_not_a_link"),
    ],
)
def test_current_that_leads_nowhere_stops_nothing(site: Site, target: t.Optional[str], code: str) -> None:
    (site.base / "current").unlink()
    if target == "DIR":
        (site.base / "current").mkdir()
    elif target:
        (site.base / "current").symlink_to(target)
    assert "current" in fails(site, code).message


def test_a_crash_while_it_is_watched(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    process = site.process()
    assert process is not None
    timer = threading.Timer(0.7, process.signal, [signal.SIGKILL])

    def gate(*words: t.Any, **more: t.Any) -> Outcome:
        timer.start()
        return health_gate(*words, **more)

    monkeypatch.setattr(restart, "gate", gate)
    error = fails(site, "unhealthy", health=site.health(stable=5))
    timer.join()
    assert "process %d ended" % process.pid in error.message


def test_heart_does_not_bring_a_killed_node_back(site: Site) -> None:
    witness = site.base / "heart-was-here"
    site.env(ELIXIR_ERL_OPTIONS="-heart", HEART_COMMAND="touch %s" % witness)
    site.run()
    process = site.process()
    assert process is not None and any(command == "heart" for _child, command in descendants(process.pid))
    process.signal(signal.SIGSTOP)
    assert site.run(state="stopped", stop_timeout=1).escalated == "kill"
    time.sleep(0.5)
    assert site.leftovers() == [] and not witness.exists()


@pytest.mark.parametrize("address", ["path", "abstract"])
def test_the_vm_says_itself_that_it_is_ready(site: Site, tmp_path: Path, address: str) -> None:
    """The expression of the role service, with a real VM: READY=1 after the applications, then signs of life."""
    variables = yaml.safe_load((SERVICE / "vars" / "main.yml").read_text())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        name = "@" + site.values["RELEASE_NODE"] if address == "abstract" else str(tmp_path / "n")
        notify.bind("\0" + name[1:] if address == "abstract" else name)
        notify.settimeout(15)
        site.env(
            ERL_ZFLAGS="-eval '%s'" % variables["service_ready"].strip(),
            NOTIFY_SOCKET=name,
            WATCHDOG_USEC=600000,
            BEACON_FAULT="slow_boot:500",
        )
        begin = time.monotonic()
        site.run()
        assert (
            notify.recv(100) == b"READY=1" and notify.recv(100) == b"WATCHDOG=1" and notify.recv(100) == b"WATCHDOG=1"
        )
        assert time.monotonic() - begin > 0.5
