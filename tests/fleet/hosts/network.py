# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a fleet: a namespace for the controller and the stores with a bridge, no uplink, and one namespace a host.

The hosts' namespaces outlive a power cut and a reboot, as a cable and a switch do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

from common import CONTROL_ADDRESS, Fleet, address, run


def namespaces() -> set[str]:
    return {entry["name"] for entry in json.loads(run("ip", "-json", "netns", "list") or "[]")}


def up(fleet: Fleet) -> None:
    if fleet.control in namespaces():
        return
    run("ip", "netns", "add", fleet.control)
    run("ip", "-n", fleet.control, "link", "set", "lo", "up")
    run("ip", "-n", fleet.control, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", fleet.control, "addr", "add", CONTROL_ADDRESS + "/24", "dev", "br0")
    run("ip", "-n", fleet.control, "link", "set", "br0", "up")


def plug(fleet: Fleet, host: str) -> None:
    """A cable from the host's eth0 to the bridge."""
    own = fleet.netns(host)
    if own in namespaces():
        return
    run("ip", "netns", "add", own)
    run("ip", "-n", fleet.control, "link", "add", "v-" + host, "type", "veth", "peer", "name", "eth0", "netns", own)
    run("ip", "-n", fleet.control, "link", "set", "v-" + host, "master", "br0", "up")
    run("ip", "-n", own, "addr", "add", address(host) + "/24", "dev", "eth0")
    run("ip", "-n", own, "link", "set", "lo", "up")
    run("ip", "-n", own, "link", "set", "eth0", "up")


def unplug(fleet: Fleet, host: str) -> None:
    """For good: its end of the cable goes with the namespace, and that takes the other end along."""
    if fleet.netns(host) in namespaces():
        run("ip", "netns", "del", fleet.netns(host))


def cable(fleet: Fleet, host: str, state: str) -> None:
    """`down` cuts the host off from all others; it goes on running."""
    run("ip", "-n", fleet.control, "link", "set", "v-" + host, state)


def down(fleet: Fleet) -> None:
    """Ends what runs in the control namespace (servers and ssh masters: all were started in it by name), then the namespaces."""
    present = namespaces()
    if fleet.control in present:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in run("ip", "netns", "pids", fleet.control).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), number)
            deadline = time.monotonic() + 3
            while run("ip", "netns", "pids", fleet.control).strip() and time.monotonic() < deadline:
                time.sleep(0.05)
    for name in sorted(present):
        if name.startswith(fleet.name + "-"):
            run("ip", "netns", "del", name)
