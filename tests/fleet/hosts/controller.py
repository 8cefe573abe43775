# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller needs to reach the hosts: a key, ssh's and Ansible's settings, an inventory."""

from __future__ import annotations

import json
import os
import typing as t

from common import NETWORK, ROOT, Fleet, address, run, write


def write_key(fleet: Fleet) -> None:
    directory = fleet.directory / "ssh"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (directory / "id_ed25519").exists():
        run(
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "beam-fleet-" + fleet.name,
            "-f",
            directory / "id_ed25519",
        )


def write_files(fleet: Fleet, host_keys: list[str]) -> None:
    directory = fleet.directory
    sockets = fleet.run_directory / "cp"
    sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(directory / "ssh" / "known_hosts", "".join("%s.* %s\n" % (NETWORK, key) for key in host_keys))
    lines = [
        "Host %s.*" % NETWORK,
        "User root",
        "IdentityFile %s" % (directory / "ssh" / "id_ed25519"),
        "IdentitiesOnly yes",
    ]
    lines += [
        "UserKnownHostsFile %s" % (directory / "ssh" / "known_hosts"),
        "StrictHostKeyChecking yes",
        "ConnectTimeout 30",
        "LogLevel ERROR",
    ]
    lines += ["ServerAliveInterval 5", "ServerAliveCountMax 3"]
    write(directory / "ssh" / "config", "\n    ".join(lines) + "\n")
    options = "-F %s -o ControlMaster=auto -o ControlPersist=60s -o PreferredAuthentications=publickey" % (
        directory / "ssh" / "config"
    )
    write(
        directory / "ansible.cfg",
        "[defaults]\ninventory = %s\ncollections_path = %s\nforks = 20\ntimeout = 30\ninterpreter_python = /usr/bin/python3\nretry_files_enabled = false\n"
        "local_tmp = %s\nlocalhost_warning = false\nnocolor = true\n\n[inventory]\ninventory_unparsed_warning = false\n\n"
        "[connection]\npipelining = true\n\n[ssh_connection]\nssh_args = %s\ncontrol_path_dir = %s\n"
        % (directory / "inventory.yml", ROOT / ".cache" / "live", directory / "ansible-tmp", options, sockets),
    )


def write_inventory(fleet: Fleet, services: dict[str, t.Any]) -> None:
    """The hosts, and where the services are. It may hold keys of the S3 server."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {host: {"ansible_host": address(host)} for host in fleet.hosts}
    for host, instance in services.get("aws", {}).get("instances", {}).items():
        if host in hosts:  # an instance that is about to be, or was, no host is no server of anybody's
            hosts[host]["fleet_instance_id"] = instance
    inventory: dict[str, t.Any] = {"hosts": {"localhost": local}, "children": {"beam": {"hosts": hosts}}}
    if services:
        inventory["vars"] = {"fleet_" + name: values for name, values in services.items()}
    write(fleet.directory / "inventory.yml", json.dumps({"all": inventory}, indent=2) + "\n", 0o600)


def controller_environment(fleet: Fleet) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    kept["ANSIBLE_CONFIG"] = str(fleet.directory / "ansible.cfg")
    kept["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".cache" / "live")
    kept["PATH"] = "%s:%s" % (ROOT / ".cache" / "venv" / "bin", os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    return kept


def inside_control(fleet: Fleet, argv: list[str]) -> list[str]:
    return ["ip", "netns", "exec", fleet.control, *argv]


def ssh(fleet: Fleet, host: str, argv: list[str]) -> list[str]:
    return inside_control(fleet, ["ssh", "-F", str(fleet.directory / "ssh" / "config"), address(host), *argv])
