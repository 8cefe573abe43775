# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host starts from: the plain tree, the tree with cloud-init, or an image that was baked from a host.

An image is what its host had written, without what makes a machine that machine, as one more layer of the overlay. Where something is left out, that of the
tree below is seen again: a machine-id that says `uninitialized`, and the ssh host keys that all hosts of a fleet have, so that the controller knows them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import base
import cgroups
import machine
from common import Fleet, FleetError, run, write

CLOUD = "cloud"  # the tree with cloud-init
# What `cloud-init clean --logs --machine-id` and the like take away before an image is made.
OWN = (
    "etc/machine-id",
    "etc/hostname",
    "etc/hosts",
    "etc/ssh/ssh_host_*",
    "var/lib/cloud",
    "var/log/cloud-init*",
    "var/log/journal",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "run/*",
    "tmp/*",
    "var/tmp/*",
)


def directory(fleet: Fleet, name: str) -> Path:
    return fleet.directory / "images" / name


def lower(fleet: Fleet, host: str) -> list[Path]:
    """The lower directories of the host's overlay, the uppermost first; the last is a tree of base.py."""
    name = fleet.images.get(host)
    if name not in (None, CLOUD):
        return _lower(fleet, str(name))
    return [base.ready(fleet.releases.get(host, base.own_release()), cloud=name == CLOUD)]


def _lower(fleet: Fleet, name: str) -> list[Path]:
    made = json.loads((known(fleet, name) / "image.json").read_text(encoding="utf-8"))
    return [Path(layer) for layer in made["lower"]]


def release(fleet: Fleet, name: str) -> str | None:
    """The Debian release of an image, where it is not this machine's."""
    found: str | None = json.loads((known(fleet, name) / "image.json").read_text(encoding="utf-8"))["release"]
    return found


def known(fleet: Fleet, name: str) -> Path:
    if not (directory(fleet, name) / "image.json").exists():
        raise FleetError("no image %r in fleet %s: `fleet bake HOST %s`" % (name, fleet.name, name))
    return directory(fleet, name)


def names(fleet: Fleet) -> list[str]:
    return sorted(path.parent.name for path in (fleet.directory / "images").glob("*/image.json"))


def bake(fleet: Fleet, host: str, name: str) -> None:
    """The host is switched off meanwhile, as EC2 does it for an image, and on again where it was on."""
    top = directory(fleet, name)
    if name == CLOUD or not re.fullmatch(r"[a-z][a-z0-9-]{2,40}", name):
        raise FleetError("an image's name is 3 to 41 of a-z, 0-9 and -, and not %r" % name)
    if (top / "image.json").exists():
        raise FleetError("there is an image %s already: an image does not change" % name)
    was_on = cgroups.init_pid(fleet, host) is not None
    machine.power_off(fleet, host)
    try:
        run("rm", "-rf", "--one-file-system", top)
        top.mkdir(parents=True)
        run("cp", "-a", fleet.host_directory(host) / "up", top / "tree", timeout=300)
        left_out = [found for pattern in OWN for found in (top / "tree").glob(pattern)]
        if left_out:
            run("rm", "-rf", "--one-file-system", *left_out)
        values = {"lower": [str(top / "tree"), *map(str, lower(fleet, host))], "release": fleet.releases.get(host)}
        write(top / "image.json", json.dumps(values) + "\n")
    finally:
        if was_on:
            machine.start(fleet, host)
    if was_on:
        machine.settled(fleet, host)
