# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of `fleet`. Each may be run again: up adds what is missing, down removes what is there, also after a crash."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import balancer
import base
import cgroups
import controller
import images
import imds
import machine
import network
import services
from common import CACHE, Fleet, FleetError, address, locked, run, under, wait_for

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def check() -> str:
    """Why this machine cannot carry a fleet, or nothing."""
    if os.geteuid() != 0:
        return "it needs root (namespaces, mounts and cgroups)"
    missing = [
        tool
        for tool in ("systemd-nspawn", "mmdebstrap", "ip", "zstd", "tar", "ssh", "ssh-keygen", "nsenter", "findmnt")
        if not shutil.which(tool)
    ]
    if missing:
        return "not installed: %s (tests/support/setup.sh packages)" % " ".join(missing)
    if not cgroups.hierarchies():
        return "no unified cgroup hierarchy under /sys/fs/cgroup"
    probe = cgroups.hierarchies()[-1] / ("beam-fleet-probe-%d" % os.getpid())
    try:
        probe.mkdir()
        can_kill = (probe / "cgroup.kill").exists()
        probe.rmdir()
    except OSError as error:
        return "cannot make a cgroup: %s" % error
    if not can_kill:
        return "this kernel has no cgroup.kill (5.14 or newer has)"
    name = "beam-probe-%d" % os.getpid()
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return "cannot make a network namespace: %s" % made.stderr.strip()
    run("ip", "netns", "del", name)
    if (
        "overlay" not in Path("/proc/filesystems").read_text()
        and subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode
    ):
        return "this kernel has no overlay file system"
    return ""


def in_parallel(action: t.Callable[[str], None], hosts: t.Iterable[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(max_workers=10) as pool:
        for future in [pool.submit(action, host) for host in hosts]:
            future.result()


def up(
    fleet: Fleet,
    asked: t.Sequence[str],
    wanted: t.Collection[str] = (),
    releases: t.Sequence[str] = (),
    image: str = "",
    all_on: bool = True,
    wait: bool = True,
) -> None:
    """releases: Debian releases by turns, for the hosts that are not there yet; image: what these are made from. all_on: all are switched on."""
    why = check()
    if "balancer" in wanted and not why:
        why = "" if shutil.which("haproxy") else "not installed: haproxy (tests/support/setup.sh packages)"
    if why:
        raise FleetError("no fleet on this machine: %s" % why)
    if not 1 <= len({*asked, *fleet.hosts}) <= 60 or not all(re.fullmatch(r"h[1-9][0-9]?", host) for host in asked):
        raise FleetError("a fleet has 1 to 60 hosts, h1 to h99, not %d" % len({*asked, *fleet.hosts}))
    began = time.monotonic()
    services.prepare(wanted)
    in_cloud = "cloud" in (*fleet.services, *wanted)
    if releases:
        turns = [at_hand(codename, in_cloud) for codename in releases]
        fleet.releases.update(
            {host: turns[index % len(turns)] for index, host in enumerate(asked) if host not in fleet.hosts}
        )
    if image or in_cloud:
        fleet.images.update({host: image or images.CLOUD for host in asked if host not in fleet.hosts})
    fleet.hosts = sorted(set(fleet.hosts) | set(asked), key=lambda host: int(host[1:]))
    fleet.services = [name for name in services.NAMES if name in (*fleet.services, *wanted)]
    lower = {host: images.lower(fleet, host) for host in fleet.hosts}
    # systemd takes 7 inotify instances a host, an ssh login some more: the usual 128 are gone with a dozen hosts.
    limit = int(INOTIFY.read_text())
    if limit < 20 * len(fleet.hosts):
        fleet.inotify_before = limit if fleet.inotify_before is None else fleet.inotify_before
        INOTIFY.write_text(str(20 * len(fleet.hosts)))
    fleet.save()
    controller.write_key(fleet)
    controller.write_files(fleet, sorted({machine.base_host_key(trees[-1]) for trees in lower.values()}))
    controller.write_inventory(fleet, {})
    network.up(fleet)
    if in_cloud:
        services.start(fleet)  # an instance asks about itself while it boots
    for host in fleet.hosts:
        network.plug(fleet, host)
        machine.create(fleet, host, lower[host])
        if all_on or host in asked:
            machine.start(fleet, host)
    if not in_cloud:
        services.start(fleet)
    controller.write_inventory(fleet, services.addresses(fleet))
    if wait:
        in_parallel(lambda host: machine.settled(fleet, host), fleet.hosts if all_on else asked)
    print(
        "fleet %s: %d hosts up in %.1f s: %s"
        % (fleet.name, len(fleet.hosts), time.monotonic() - began, " ".join(fleet.hosts))
    )


def add(fleet: Fleet, hosts: list[str], image: str = "", wait: bool = True) -> None:
    if not fleet.hosts:
        raise FleetError("fleet %s is not up: `fleet up 3`" % fleet.name)
    if image and image != images.CLOUD:
        images.known(fleet, image)
        release = images.release(fleet, image)
        fleet.releases.update({host: release for host in hosts if release and host not in fleet.hosts})
    up(fleet, hosts, image=image, all_on=False, wait=wait)


def remove(fleet: Fleet, hosts: list[str]) -> None:
    """What it wrote to its console is kept, by the name that the cloud knew it by."""
    instances = services.addresses(fleet).get("aws", {}).get("instances", {})
    for host in hosts:
        machine.power_off(fleet, fleet.known(host))
        console = fleet.host_directory(host) / "console.log"
        if console.exists():
            (fleet.directory / "console").mkdir(exist_ok=True)
            shutil.copy(console, fleet.directory / "console" / (instances.get(host, host) + ".log"))
        machine.remove(fleet, host)
        network.unplug(fleet, host)
        fleet.hosts.remove(host)
        fleet.images.pop(host, None)
        fleet.releases.pop(host, None)
        fleet.save()
    controller.write_inventory(fleet, services.addresses(fleet))


def bake(fleet: Fleet, host: str, name: str) -> None:
    images.bake(fleet, fleet.known(host), name)
    found = ""
    if "cloud" in fleet.services:
        found = wait_for("the AMI of image %s" % name, lambda: services.addresses(fleet)["cloud"]["images"].get(name))
        controller.write_inventory(fleet, services.addresses(fleet))
    print("image %s %s" % (name, found))


def at_hand(codename: str, cloud: bool = False) -> str:
    """Where a release can't be had, this machine's own takes its place; `status --json` says what each host is."""
    try:
        base.ready(codename, cloud)
        return codename
    except FleetError as error:
        if codename == base.own_release():
            raise
        print("fleet: ! NO %s: its hosts will be %s instead. %s" % (codename, base.own_release(), error), flush=True)
        return base.own_release()


def down(fleet: Fleet) -> None:
    if os.geteuid() != 0:
        if fleet.directory.exists():
            raise FleetError("only root can end fleet %s" % fleet.name)
        return
    began = time.monotonic()
    services.stop(fleet)
    network.down(fleet)
    cgroups.remove_all(fleet)
    for host in machine.orphans(fleet):
        machine.remove(fleet, host)
    if fleet.inotify_before is not None and int(INOTIFY.read_text()) == 20 * len(fleet.hosts):
        INOTIFY.write_text(str(fleet.inotify_before))
    for directory in (fleet.run_directory, fleet.directory):
        left = under(directory) if directory.exists() else []
        if left:
            raise FleetError("still mounted, so nothing is removed: %s" % " ".join(left))
        run("rm", "-rf", "--one-file-system", directory)
    if fleet.run_directory.parent.exists() and not any(fleet.run_directory.parent.iterdir()):
        fleet.run_directory.parent.rmdir()
    print("fleet %s: down in %.1f s" % (fleet.name, time.monotonic() - began))


def status(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    found = {}
    for host in fleet.hosts:
        pid = cgroups.init_pid(fleet, host)
        state = "off" if pid is None else "frozen" if cgroups.frozen(fleet, host) else "on"
        found[host] = {
            "address": address(host),
            "state": state,
            "pid": pid,
            "release": fleet.releases.get(host, base.own_release()),
        }
    return found


def on(fleet: Fleet, hosts: list[str], action: t.Callable[[Fleet, str], None]) -> None:
    in_parallel(lambda host: action(fleet, fleet.known(host)), hosts)


def start(fleet: Fleet, host: str) -> None:
    machine.start(fleet, host)
    machine.settled(fleet, host)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="fleet",
        description="A fleet of real systemd hosts on this machine. Hosts are h1, h2, ...; see README.md beside this.",
    )
    top.add_argument(
        "--name", default=os.environ.get("FLEET_NAME", "fl"), help="of the fleet (default: $FLEET_NAME or fl)"
    )
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="can this machine carry a fleet? says why not, exit code 1")
    start_all = commands.add_parser("up", help="start hosts, or add hosts to those that are up")
    start_all.add_argument("count", type=int)
    start_all.add_argument(
        "--balancer", action="store_true", help="HAProxy in front of port %d of all hosts" % balancer.APP_PORT
    )
    start_all.add_argument("--s3", action="store_true", help="an S3 server")
    start_all.add_argument(
        "--aws", action="store_true", help="a double of AWS whose target groups are HAProxy's servers (with --balancer)"
    )
    start_all.add_argument(
        "--releases",
        type=lambda text: text.split(","),
        default=[],
        help="Debian releases of new hosts, by turns: bookworm,trixie",
    )
    start_all.add_argument(
        "--cloud",
        action="store_true",
        help="all of these, hosts with cloud-init, and a metadata service: launch templates boot bare hosts",
    )
    add_some = commands.add_parser("add", help="hosts by name, to a fleet that is up")
    add_some.add_argument("hosts", nargs="+")
    add_some.add_argument("--image", default="", help="one that was baked")
    add_some.add_argument("--no-wait", action="store_true", help="do not wait for the end of their boot")
    commands.add_parser(
        "remove", help="hosts, for good: all of them goes but what they wrote to their console"
    ).add_argument("hosts", nargs="+")
    make_image = commands.add_parser("bake", help="an image from a host, and its id as AMI")
    make_image.add_argument("host")
    make_image.add_argument("image")
    service = commands.add_parser(
        "imds",
        help="faults of the metadata service: on, off, slow SECONDS, no-hop, no-role, expired; spot HOST SECONDS",
    )
    service.add_argument("mode", choices=[*imds.MODES, "spot"])
    service.add_argument("words", nargs="*", metavar="WORD")
    commands.add_parser("balancer", help="its servers, or the answer to a command of its runtime API").add_argument(
        "argv", nargs=argparse.REMAINDER
    )
    commands.add_parser("down", help="end the fleet and remove all of it").add_argument(
        "--all", action="store_true", help="every fleet of this work tree"
    )
    commands.add_parser("status", help="hosts, addresses, on/off/frozen; services").add_argument(
        "--json", action="store_true"
    )
    for name, (_action, words) in ACTIONS.items():
        commands.add_parser(name, help=words).add_argument("hosts", nargs="+")
    for name, words in (
        ("exec", "a command on a host, not by its network (works while it is cut off)"),
        ("ssh", "ssh to a host from the control namespace"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("host")
        command.add_argument("argv", nargs=argparse.REMAINDER)
    commands.add_parser(
        "run", help="a command in the control namespace, with the fleet's Ansible settings"
    ).add_argument("argv", nargs=argparse.REMAINDER)
    return top


# They change nothing and print their answer.
ASKING = ("status", "balancer", "exec")
ACTIONS: dict[str, tuple[t.Callable[[Fleet, str], None], str]] = {
    "kill": (machine.power_cut, "power cut: all its processes end at once"),
    "poweroff": (machine.power_off, "the button: services stop in order"),
    "start": (start, "switch on again; its disk is as it was"),
    "reboot": (machine.reboot, "reboot from inside, until it is up again"),
    "freeze": (cgroups.freeze, "it hangs: nothing of it runs, its network answers nothing"),
    "thaw": (cgroups.thaw, "it goes on"),
    "cut": (lambda fleet, host: network.cable(fleet, host, "down"), "pull its cable: it runs, and nobody reaches it"),
    "mend": (lambda fleet, host: network.cable(fleet, host, "up"), "plug its cable in"),
}


def parse(words: t.Sequence[str]) -> argparse.Namespace:
    options = parser().parse_args(words)
    if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", options.name):
        raise FleetError("a fleet's name is 1 to 8 of a-z and 0-9, not %r" % options.name)
    given = getattr(options, "argv", [])
    options.argv = given[1:] if given[:1] == ["--"] else given
    return options


def ask(words: t.Sequence[str], timeout: float = 600) -> tuple[int, str]:
    """The exit code of one of ASKING, and what it prints. A test calls it hundreds of times: to start a Python for each takes ten times as long."""
    try:
        return asked(parse(words), timeout)
    except FleetError as error:
        return 1, "fleet: %s\n" % error


def asked(options: argparse.Namespace, timeout: float) -> tuple[int, str]:
    fleet = Fleet.load(options.name)
    if options.command == "status":
        return 0, status_text(fleet, options.json) + "\n"
    require_up(fleet)
    if options.command == "exec":
        return machine.inside(fleet, fleet.known(options.host), *options.argv, timeout=timeout)
    if "balancer" not in fleet.services:
        raise FleetError("fleet %s has no balancer: `fleet up %d --balancer`" % (fleet.name, len(fleet.hosts)))
    if options.argv:
        return 0, balancer.ask(balancer.socket_path(fleet), " ".join(options.argv)).strip() + "\n"
    return 0, balancer.table(fleet) + "\n"


def status_text(fleet: Fleet, as_json: bool) -> str:
    found, beside = status(fleet), services.addresses(fleet)
    if as_json:
        return json.dumps({"hosts": found, **beside})
    hosts = [
        "%-4s %-12s %-7s %-8s %s" % (host, *(one[name] for name in ("address", "state", "release", "pid")))
        for host, one in found.items()
    ]
    places = [
        "%-8s %s" % (name, values.get("url") or values.get("endpoint_url") or values["metadata_url"])
        for name, values in beside.items()
    ]
    return "\n".join([*(hosts or ["no hosts"]), *places])


def require_up(fleet: Fleet) -> None:
    if not fleet.hosts:
        raise FleetError("fleet %s is not up: `fleet up 3`" % fleet.name)


def main() -> int:
    options = parse(sys.argv[1:])
    if options.command == "check":
        why = check()
        print(why or "this machine can carry a fleet")
        return 1 if why else 0
    if options.command in ASKING:
        code, output = asked(options, 600)
        sys.stdout.write(output)
        return code
    if options.command in ("ssh", "run"):
        fleet = Fleet.load(options.name)
        require_up(fleet)
        words = (
            controller.ssh(fleet, fleet.known(options.host), options.argv)
            if options.command == "ssh"
            else controller.inside_control(fleet, options.argv)
        )
        os.execvpe(words[0], words, controller.controller_environment(fleet))
    change(options)
    return 0


def change(options: argparse.Namespace) -> None:
    if options.command == "remove":
        # It may take its time, which others need not wait for.
        on(Fleet.load(options.name), options.hosts, machine.power_off)
    with locked(CACHE / ("%s.lock" % options.name)):
        fleet = Fleet.load(options.name)
        if options.command == "up":
            named = {name for name in services.NAMES if getattr(options, name)}
            wanted = [
                name for name in services.NAMES if name in named.union(*(services.NEEDS.get(one, ()) for one in named))
            ]
            up(fleet, ["h%d" % number for number in range(1, options.count + 1)], wanted, options.releases)
        elif options.command == "add":
            add(fleet, options.hosts, options.image, not options.no_wait)
        elif options.command == "remove":
            remove(fleet, options.hosts)
        elif options.command == "bake":
            bake(fleet, options.host, options.image)
        elif options.command == "imds":
            imds.command(
                fleet, options.mode, options.words, services.addresses(fleet).get("aws", {}).get("instances", {})
            )
        elif options.command == "down":
            for name in machine.fleets() if options.all else [options.name]:
                down(Fleet.load(name))
        else:
            on(fleet, options.hosts, ACTIONS[options.command][0])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FleetError as error:
        sys.exit("fleet: %s" % error)
