# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy in the control namespace, in front of port 4000 of every host. What it says of a server is the truth that the tests measure against."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
import typing as t

import controller
from common import CONTROL_ADDRESS, Fleet, FleetError, address, run, wait_for, write

BACKEND = "app"
APP_PORT = 4000
FRONT_PORT = 8080
RUNTIME_PORT = 9999
STATS_PORT = 8404
CHECK = "check inter 300ms fastinter 100ms downinter 200ms fall 2 rise 2"

# Only what failed is logged: a test makes a hundred thousand requests. No retry except of a connection that was refused, as
# balancers do it by default: what goes wrong on a server must be seen.
CONFIGURATION = """global
    maxconn 6000
    nbthread 2
    log stdout format raw daemon
    stats socket %(socket)s mode 600 level admin
    stats socket ipv4@%(control)s:%(runtime)d level admin

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    option redispatch
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout queue 5s
    timeout tunnel 1h
    # Without it a check fails that is not answered within its interval, as happens on a machine that is busy.
    timeout check 3s

frontend front
    bind %(control)s:%(front)d
    default_backend %(backend)s

frontend stats
    bind %(control)s:%(stats)d
    stats enable
    stats uri /

backend %(backend)s
    balance roundrobin
    option httpchk GET /health
    http-check expect status 200
%(servers)s
"""


def socket_path(fleet: Fleet) -> str:
    return str(fleet.run_directory / "haproxy.sock")


def addresses(fleet: Fleet) -> dict[str, t.Any]:
    return {
        "url": "http://%s:%d" % (CONTROL_ADDRESS, FRONT_PORT),
        "socket": socket_path(fleet),
        "address": "%s:%d" % (CONTROL_ADDRESS, RUNTIME_PORT),
        "stats": "http://%s:%d/" % (CONTROL_ADDRESS, STATS_PORT),
        "backend": BACKEND,
        "servers": list(fleet.hosts),
    }


def ask(path: str, command: str, timeout: float = 60) -> str:
    """One command of the runtime API."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(command.encode() + b"\n")
        said = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                return said.decode()
            said += piece


def tell(path: str, *commands: str) -> None:
    """Commands that say nothing when they succeed."""
    for command in commands:
        said = ask(path, command).strip()
        if said and not said.startswith("New server registered"):
            raise FleetError("HAProxy: %s: %s" % (command, said))


def alive(path: str) -> bool:
    try:
        return "Name: HAProxy" in ask(path, "show info")
    except OSError:
        return False


def servers(path: str) -> dict[str, dict[str, str]]:
    """The lines of `show stat` of the backend's servers."""
    lines = csv.DictReader(io.StringIO(ask(path, "show stat").lstrip("# ")))
    return {line["svname"]: line for line in lines if line["pxname"] == BACKEND and line["svname"] != "BACKEND"}


def start(fleet: Fleet) -> None:
    """Also when it runs: hosts that it does not know are added."""
    path = socket_path(fleet)
    if not alive(path):
        directory = fleet.directory / "balancer"
        lines = ["    server %s %s:%d %s" % (host, address(host), APP_PORT, CHECK) for host in fleet.hosts]
        values = {
            "socket": path,
            "control": CONTROL_ADDRESS,
            "runtime": RUNTIME_PORT,
            "front": FRONT_PORT,
            "stats": STATS_PORT,
            "backend": BACKEND,
        }
        write(directory / "haproxy.cfg", CONFIGURATION % {**values, "servers": "\n".join(lines)})
        run("haproxy", "-c", "-q", "-f", directory / "haproxy.cfg")
        with (directory / "haproxy.log").open("ab") as log:
            argv = controller.inside_control(fleet, ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")])
            subprocess.Popen(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for("HAProxy (%s)" % (directory / "haproxy.log"), lambda: alive(path))
    known = servers(path)
    for host in fleet.hosts:
        if host not in known:
            add(path, host)


def add(path: str, host: str) -> None:
    """It is in rotation as soon as its check succeeds."""
    name = "%s/%s" % (BACKEND, host)
    tell(
        path,
        "add server %s %s:%d %s" % (name, address(host), APP_PORT, CHECK),
        "enable health " + name,
        "enable server " + name,
    )


def add_idle(path: str, host: str) -> None:
    """Known, checked and out of rotation, until somebody says it is ready."""
    name = "%s/%s" % (BACKEND, host)
    if host in servers(path):
        tell(path, "set server %s state maint" % name)
    else:
        tell(path, "add server %s %s:%d %s" % (name, address(host), APP_PORT, CHECK), "enable health " + name)


def table(fleet: Fleet) -> str:
    lines = ["%-6s %-20s %-9s %8s %9s %6s %6s" % ("server", "status", "check", "sessions", "requests", "5xx", "errors")]
    for host, line in servers(socket_path(fleet)).items():
        errors = sum(int(line[name] or 0) for name in ("econ", "eresp"))
        check = "/".join(filter(None, (line["check_status"].lstrip("* "), line["check_code"])))
        lines.append(
            "%-6s %-20s %-9s %8s %9s %6s %6d"
            % (host, line["status"].replace(" ", "-"), check, line["scur"], line["stot"], line["hrsp_5xx"], errors)
        )
    return "\n".join(lines)
