# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The TCP ports that processes listen on, as the kernel has them."""

from __future__ import annotations

import contextlib
import socket
import struct
import typing as t

from .._proc import open_files

_ESTABLISHED, _LISTEN = "01", "0A"


class Listener(t.NamedTuple):
    address: str
    port: int
    inode: str


def listeners(pid: t.Union[int, str] = "self") -> list[Listener]:
    """All of the network that a process is in, whoever they belong to."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open("/proc/%s/net/%s" % (pid, name), encoding="ascii") as table:
            found += parse(table)
    return found


def parse(lines: t.Iterable[str]) -> list[Listener]:
    """The lines of /proc/net/tcp or tcp6 that are of listening sockets."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) > 9 and words[3] == _LISTEN and ":" in words[1]:
            address, _colon, port = words[1].rpartition(":")
            found.append(Listener(_address(address), int(port, 16), words[9]))
    return found


def partners(pid: int, port: int) -> list[str]:
    """The addresses that are connected to a process by a port which is the same at both ends of a cluster: one end listens on it, whichever began."""
    inodes = _inodes(pid) or set()
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open("/proc/%d/net/%s" % (pid, name), encoding="ascii") as table:
            found |= {address for address, inode in parse_partners(table, port) if inode in inodes}
    return sorted(found)


def parse_partners(lines: t.Iterable[str], port: int) -> list[tuple[str, str]]:
    """The other end's address, and the inode of ours."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) > 9 and words[3] == _ESTABLISHED:
            ports = {int(end.rpartition(":")[2], 16) for end in words[1:3]}
            if port in ports:
                found.append((_address(words[2].rpartition(":")[0]), words[9]))
    return found


def _address(digits: str) -> str:
    """The kernel writes words of 32 bits in its own order of bytes. What listens for both families has addresses of IPv4 in the form of IPv6."""
    data = b"".join(struct.pack("=I", int(digits[at : at + 8], 16)) for at in range(0, len(digits), 8))
    text = socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
    return text[len("::ffff:") :] if text.startswith("::ffff:") and "." in text else text


def of_process(pid: int) -> list[Listener]:
    """Those of one process, as far as we may look."""
    return seen_of(pid) or []


def seen_of(pid: int) -> t.Optional[list[Listener]]:
    """The same; None if the process is gone or not ours, so that we can't find out."""
    inodes = _inodes(pid)
    if inodes is None:
        return None
    return [one for one in listeners(pid) if one.inode in inodes] if inodes else []


def _inodes(pid: int) -> t.Optional[set[str]]:
    """Of its open sockets; None as above."""
    try:
        return {link[len("socket:[") : -1] for link in open_files(pid) if link.startswith("socket:[")}
    except OSError:
        return None


def reached_at(address: str) -> str:
    """Where this host reaches what listens on an address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
