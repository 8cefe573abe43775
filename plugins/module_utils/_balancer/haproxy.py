# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""HAProxy through its runtime API: what it says of a server decides, and the state of a server is set by command.

Leaving is `drain`, then `maint`: a draining server still gets requests of sticky sessions, one in maintenance gets none. Joining a checked server
goes through `drain` again, because a server that comes out of maintenance counts as up before its first check: it is made `ready` once a check passed.
"""

from __future__ import annotations

import collections
import csv
import re
import socket
import typing as t

from .._deadline import Limit, Socket, connect, reach
from .._errors import BeamError
from .base import DRAINING, IN, OUT, UNKNOWN, Counters, MemberState, Unavailable, beam_option

MOST_BYTES = 64 * 1024 * 1024  # of an answer: a row of 1 KiB for each of 60,000 servers
SECONDS = 5.0  # for one command and all of its answer
MOST_SHOWN = 100  # letters of an answer, in a message
_NUMBER = re.compile(r"[0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")  # HAProxy's own rule, and nothing that would end a command

# srv_admin_state of `show servers state`
FORCED_MAINT, INHERITED_MAINT, CONFIGURED_MAINT, FORCED_DRAIN, INHERITED_DRAIN, RESOLVER_MAINT, NAME_MAINT = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
)
_MAINT = FORCED_MAINT | INHERITED_MAINT | CONFIGURED_MAINT | RESOLVER_MAINT | NAME_MAINT
_DRAIN = FORCED_DRAIN | INHERITED_DRAIN
_FAILED = 2  # srv_check_result
_CHECKED = 6  # srv_check_state: configured and enabled


class Runtime:
    """One HAProxy: a command, its answer."""

    def __init__(self, address: str, timeout: float = SECONDS) -> None:
        self.address = address
        self._timeout = timeout
        self._target: t.Union[str, tuple[str, int]] = address
        if "/" not in address:
            host, _colon, port = address.rpartition(":")
            if not host or not port.isdigit():
                raise beam_option(
                    "Cannot use the address %s of HAProxy" % address, "it is neither the path of a socket nor HOST:PORT"
                )
            self._target = (host.strip("[]"), int(port))

    def _unreachable(self, why: str) -> Unavailable:
        hint = "Check that it runs with `stats socket %s level admin`, and that this machine reaches it" % self.address
        return Unavailable("balancer_unreachable", "HAProxy at %s does not answer" % self.address, why, hint)

    def ask(self, command: str) -> str:
        limit = Limit(self._timeout)
        try:
            with limit, self._connect() as sock:
                sock.sendall(command.encode("ascii") + b"\n")
                parts: list[bytes] = []
                size = 0
                while True:
                    data = sock.recv(65536)
                    if not data:
                        return b"".join(parts).decode("utf-8", "replace")
                    parts.append(data)
                    size += len(data)
                    if size > MOST_BYTES:
                        raise ValueError("its answer has more than %d bytes" % MOST_BYTES)
        except PermissionError as exc:
            raise BeamError(
                "balancer_denied",
                "HAProxy at %s can't be asked" % self.address,
                exc.strerror or str(exc),
                "Run the task as a user that may write to the socket (`stats socket ... user ... mode`)",
            ) from exc
        except (OSError, ValueError) as exc:
            raise self._unreachable(
                limit.why if limit.cut else getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            ) from exc

    def _connect(self) -> Socket:
        if isinstance(self._target, tuple):
            return connect(*self._target)
        sock = Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.server = self.address
            reach(sock, self._target, None)
        except BaseException:
            sock.close()
            raise
        return sock

    def tell(self, command: str) -> None:
        """A command that answers nothing when it is obeyed."""
        said = self.ask(command).strip()[: 10 * MOST_SHOWN]
        if not said:
            return
        what = "HAProxy at %s refuses `%s`" % (self.address, command)
        if "denied" in said.lower():
            raise BeamError("balancer_denied", what, said, "Give this socket `level admin` in its configuration")
        if said.startswith("No such"):
            raise BeamError(
                "member_unknown",
                what,
                said,
                "Correct the balancer in beam_balancers, or the host's beam_member (of the module balancers and members)",
            )
        raise BeamError("balancer_refused", what, said, "Look at HAProxy's log")


def parse_stat(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """`show stat`: rows by (proxy, server), whatever columns this version has."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("#"):
        raise _unreadable(text)
    lines[0] = lines[0].lstrip("# ")
    try:
        rows = list(csv.DictReader(lines))
    except csv.Error:
        raise _unreadable(text) from None
    return _by_name(text, rows, "pxname", "svname")


def parse_states(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """`show servers state`: its first line is the format's version, its second names the columns."""
    lines = [line for line in text.splitlines() if line.strip()]
    names: list[str] = []
    rows: list[dict[str, str]] = []
    for line in lines[1:]:
        if line.startswith("#"):
            names = line.lstrip("# ").split()
        elif names:
            values = line.split()
            if len(values) != len(names):  # a value is never empty: all after one that is missing would be another's
                raise _unreadable(text, "it has a server with %d of %d columns" % (len(values), len(names)))
            rows.append(dict(zip(names, values)))
    if not names:
        raise _unreadable(text)
    return _by_name(text, rows, "be_name", "srv_name")


def _by_name(
    text: str, rows: t.Sequence[dict[str, str]], proxy: str, server: str
) -> dict[tuple[str, str], dict[str, str]]:
    """A server that is listed twice counts as missing: a command could mean either of the two."""
    whole = all(row.get(proxy) and row.get(server) and None not in (*row, *row.values()) for row in rows)
    if not text.endswith("\n") or not whole:
        raise _unreadable(text, "it ends in the middle of a line, or has lines of another length than the first")
    keys = collections.Counter((row[proxy], row[server]) for row in rows)
    return {(row[proxy], row[server]): row for row in rows if keys[row[proxy], row[server]] == 1}


def _unreadable(text: str, why: str = "") -> BeamError:
    line = text.strip().splitlines()[0] if text.strip() else "nothing"
    if "denied" in line.lower():
        return BeamError(
            "balancer_denied",
            "HAProxy does not show its servers",
            line[:MOST_SHOWN],
            "Give this socket `level admin` in its configuration",
        )
    # A process that is being replaced may close before it has answered.
    return Unavailable(
        "balancer_answer",
        "HAProxy's answer can't be read",
        why or "it says %s" % line[:MOST_SHOWN],
        "Check that the address is HAProxy's runtime API",
    )


def _number(row: t.Mapping[str, str], key: str) -> int:
    """Of a counter, which a proxy of this mode or version may not have."""
    return _needed(row, key) if row.get(key) else 0


def _needed(row: t.Mapping[str, str], key: str) -> int:
    """What is no number is not taken for 0: a server would be called drained by it."""
    value = row.get(key) or ""
    if not _NUMBER.fullmatch(value):
        raise _unreadable("", "its %s of a server is no number: %s" % (key, repr(value[:MOST_SHOWN])))
    return int(value)


def counters_of(row: t.Mapping[str, str]) -> Counters:
    failed = _number(row, "econ") + _number(row, "eresp")
    # stot counts what was sent there, req_tot only what was answered; a TCP proxy has no req_tot.
    answered = (
        _number(row, "req_tot") + failed
        if row.get("req_tot") and row.get("mode", "http") == "http"
        else _number(row, "stot")
    )
    return Counters(
        total=_needed(row, "stot"),
        requests=answered,
        responses_1xx=_number(row, "hrsp_1xx"),
        responses_2xx=_number(row, "hrsp_2xx"),
        responses_3xx=_number(row, "hrsp_3xx"),
        responses_4xx=_number(row, "hrsp_4xx"),
        responses_5xx=_number(row, "hrsp_5xx"),
        connect_errors=_number(row, "econ"),
        response_errors=_number(row, "eresp"),
        aborted=_number(row, "cli_abrt"),
        response_ms=float(_number(row, "rtime")),
        total_ms=float(_number(row, "ttime")),
    )


def state_of(stat: t.Mapping[str, str], server: t.Mapping[str, str]) -> MemberState:
    admin, status = _needed(server, "srv_admin_state"), stat.get("status") or ""
    sessions = _needed(stat, "scur") + _needed(stat, "qcur")
    checked = _needed(server, "srv_check_state") & _CHECKED == _CHECKED
    healthy = _needed(server, "srv_op_state") in (1, 2)  # starting (slow start) or running
    if checked and healthy:
        # Up until `fall` checks failed, and at once after maintenance: the last check has to have passed.
        full = _needed(stat, "check_rise") + _needed(stat, "check_fall") - 1
        healthy = _needed(server, "srv_check_health") >= full and _needed(server, "srv_check_result") != _FAILED
    check = " ".join(stat[key] for key in ("check_code", "last_chk") if stat.get(key))
    note = "%s, %s" % (status, check) if checked and check else status
    weightless = _needed(server, "srv_uweight") == 0
    note += "; its weight is 0" if weightless else ""
    if admin & _MAINT:
        rotation = OUT
    elif admin & _DRAIN or weightless:
        rotation = DRAINING if sessions else OUT
    else:
        rotation = IN
    return MemberState(rotation, healthy, sessions, note, counters_of(stat))


class HAProxy:
    """One backend of one HAProxy."""

    fails_open = False
    adds = False
    sees_all = True
    pace = 0.2

    def __init__(self, runtime: Runtime, backend: str, servers: t.Mapping[str, str]) -> None:
        """servers: of each host, its server's name there."""
        for name in (backend, *servers.values()):
            if not _NAME.fullmatch(name):
                raise beam_option(
                    "Cannot use %r as a name in HAProxy" % name, "names have letters, digits, and _ . : - only"
                )
        self.label = "haproxy %s %s" % (runtime.address, backend)
        self._runtime, self._backend, self._servers = runtime, backend, dict(servers)
        self._hosts = {server: host for host, server in self._servers.items()}
        self._seen: dict[str, tuple[int, bool, bool]] = {}  # host -> admin state, healthy, checked

    def look(self) -> dict[str, MemberState]:
        states = parse_states(self._runtime.ask("show servers state"))
        stats = parse_stat(self._runtime.ask("show stat -1 4 -1"))
        found = {}
        for (backend, server), row in states.items():
            if backend == self._backend and (backend, server) in stats:
                # A server of no host asked about goes by its own name, but never by that of a host that is called otherwise here.
                host = self._hosts.get(server) or ("%s/%s" % (backend, server) if server in self._servers else server)
                found[host] = state_of(stats[backend, server], row)
                checked = _needed(row, "srv_check_state") & _CHECKED == _CHECKED
                self._seen[host] = _needed(row, "srv_admin_state"), found[host].healthy, checked
        for host, server in self._servers.items():
            if host not in found:
                known = any(backend == self._backend for backend, _server in states)
                note = (
                    "backend %s has no server %s" % (self._backend, server)
                    if known
                    else "there is no backend %s with servers" % self._backend
                )
                found[host] = MemberState(UNKNOWN, False, None, note)
        return found

    def _set(self, name: str, state: str) -> None:
        self._runtime.tell("set server %s/%s state %s" % (self._backend, self._servers[name], state))

    def leave(self, name: str) -> None:
        self._set(name, "drain")

    def shut(self, name: str) -> None:
        self._set(name, "maint")

    def join(self, name: str, checked: bool = True) -> None:
        if not checked:
            return self._set(name, "ready")
        admin, healthy, has_check = self._seen.get(name, (FORCED_MAINT, False, False))
        if not admin & (FORCED_MAINT | CONFIGURED_MAINT | FORCED_DRAIN):
            return  # in, or kept out by the server that it tracks, by the resolver or by its weight: no command changes that
        if not has_check:
            self._set(name, "ready")
        elif admin & FORCED_MAINT:
            self._set(name, "drain")
        elif healthy:
            self._set(name, "ready")

    def forecast(self) -> dict[str, float]:
        return {}


def places(options: t.Mapping[str, t.Any], servers: t.Mapping[str, str]) -> list[HAProxy]:
    if not options.get("address") or not options.get("backends"):
        raise beam_option("Cannot use a balancer of kind haproxy", "it needs address and backends", "Give both")
    runtime = Runtime(options["address"])
    return [HAProxy(runtime, backend, servers) for backend in options["backends"]]
