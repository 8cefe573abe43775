# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A new cookie for a node that runs, and in the files that it reads at its next start.

Erlang asks for the cookie when two nodes connect, and not again: so a node that is given another one stays connected. First the node is given it, over the
distribution, and has proven it; then the files are written. A run that was cut in between is finished by the next one: it tries the new cookie as well.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._errors import BeamError
from . import ask, dist, etf
from .daemon import Daemon
from .envfile import COOKIE_FILE, PLACEHOLDER
from .manager import Manager
from .process import NodeProcess
from .replace import write_like
from .systemd import Systemd, environment

# What neither a shell, nor an environment file, nor the VM reads as anything else.
_COOKIE = re.compile(r"[A-Za-z0-9!#%&()*+,./:;<=>?@^_{|}~\[\]-]{8,255}")
_LINE = re.compile(r"^RELEASE_COOKIE=.*$", re.MULTILINE)
Connect = t.Callable[[NodeProcess, float], dist.Connection]


def check_cookie(text: str) -> str:
    """The message does not show it."""
    if text != PLACEHOLDER and _COOKIE.fullmatch(text):
        return text
    why = "none is given" if not text else "it has %d letters, or some that may not be in it" % len(text)
    hint = "Give 8 to 255 letters and digits, from a vault (in an inventory beam_cookie), such as those of `openssl rand -hex 32`"
    raise BeamError("cookie_invalid", "The cookie can't be used", why, hint)


@dataclasses.dataclass(frozen=True)
class Rotation:
    """former: what the nodes may run with besides what is in their files; empty for nothing."""

    new: str = dataclasses.field(repr=False)
    former: str = dataclasses.field(default="", repr=False)
    timeout: float = 5.0
    check_mode: bool = False
    connect: Connect = ask.connect


def rotate(managers: t.Mapping[str, Manager], wanted: Rotation) -> dict[str, t.Any]:
    """managers: of each node of the server, by its pointer."""
    nodes, changed = [], False
    for pointer, manager in managers.items():
        process = manager.status().process
        if process is not None:
            found = _node(process, wanted)
            changed = changed or found["had"] == "old"
            nodes.append({"pointer": pointer, **found})
    files = [path for manager in managers.values() for path in _files(manager)]
    if not nodes and not files:
        raise BeamError(
            "cookie_nowhere",
            "There is no cookie to replace",
            "neither a node nor a file with its cookie is there",
            "Run the playbook alchemist.beam.setup first",
        )
    written = [path for path in dict.fromkeys(files) if _write(path, wanted)]
    return {"changed": changed or bool(written), "nodes": nodes, "files": written}


def _node(process: NodeProcess, wanted: Rotation) -> dict[str, t.Any]:
    told: dict[str, t.Any] = {"node": process.node, "had": None, "connected": []}
    if process.distribution == "none":
        return told  # nobody asks it for a cookie
    if not process.cookie_file:
        raise BeamError(
            "cookie_in_argv",
            "The cookie of node %s can't be replaced" % process.node,
            "it is in the arguments of its process, so it comes from a place that we do not write",
            "Let the node read it from a file, as the role alchemist.beam.service does; or change it there, and restart all nodes at once",
        )
    connection, cookie = _connected(process, wanted)
    with connection:
        told["connected"] = sorted(str(name) for name in connection.call("erlang", "nodes"))
        told["had"] = "new" if cookie == wanted.new else "old"
        if told["had"] == "old" and not wanted.check_mode:
            # In every OTP that speaks to us this sets the cookie of the node itself, for whoever connects from now on.
            name = etf.Atom(str(connection.call("erlang", "node")))
            connection.call("erlang", "set_cookie", name, etf.Atom(wanted.new))
    if told["had"] == "old" and not wanted.check_mode:
        wanted.connect(_with(process, wanted.new), wanted.timeout).__exit__()
    return told


def _with(process: NodeProcess, cookie: str) -> NodeProcess:
    return dataclasses.replace(process, cookie_file="", argv_cookie=cookie)


def _let_in(process: NodeProcess, cookie: str, wanted: Rotation) -> t.Optional[dist.Connection]:
    try:
        return wanted.connect(_with(process, cookie), wanted.timeout)
    except dist.WrongCookie:
        return None


def _connected(process: NodeProcess, wanted: Rotation) -> tuple[dist.Connection, str]:
    """With which of the cookies that we know it lets us in."""
    for cookie in dict.fromkeys(filter(None, (process.cookie(), wanted.new, wanted.former))):
        connection = _let_in(process, cookie, wanted)
        if connection is not None:
            return connection, cookie
    raise BeamError(
        "cookie_unknown",
        "Node %s refuses every cookie that is known here" % process.node,
        "it runs neither with the one in %s nor with the new one" % process.cookie_file,
        "Say with which one it runs (in a playbook beam_cookie_former); or restart it, and it reads the file",
    )


def _files(manager: Manager) -> list[str]:
    """Where its cookie is, of those that are there."""
    if isinstance(manager, Systemd):
        home = environment(manager.seen()).get("HOME")
        found = [os.path.join(home, COOKIE_FILE)] if home else []
    else:
        daemon = t.cast(Daemon, manager)
        shared = os.path.join(daemon.shared, "%s.cookie" % daemon.release)
        found = [os.path.join(daemon.run_dir, COOKIE_FILE), shared, daemon.env_file]
    return [path for path in found if os.path.exists(path)]


def _write(path: str, wanted: Rotation) -> bool:
    """As old as it was: the node has the cookie by now, and need not be restarted for it."""
    what = "The cookie in %s can't be replaced" % path
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            like, found = os.fstat(handle), stream.read(1 << 20)
        text = _replaced(path, found, wanted.new)
        if text == found or (path.endswith(".cookie") and found.strip() == wanted.new):
            return False
        if not wanted.check_mode:
            write_like(path, text, like, keep_time=True)
    except OSError as exc:
        hint = "Become root, or the user that runs the node. The node has the new cookie already, and the next run writes the file"
        raise BeamError("cookie_denied", what, exc.strerror or str(exc), hint) from None
    return True


def _replaced(path: str, found: str, cookie: str) -> str:
    if path.endswith(".cookie"):
        return cookie
    line = "RELEASE_COOKIE='%s'" % cookie
    if cookie in _values(found):
        return found
    return _LINE.sub(lambda _match: line, found) if _LINE.search(found) else "%s\n%s\n" % (found.rstrip("\n"), line)


def _values(text: str) -> list[str]:
    return [line.partition("=")[2].strip().strip("'\"") for line in _LINE.findall(text)]
