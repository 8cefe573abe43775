# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the VM makes of its flags. Pure: of the argument list of a process, or of what vm.args and the variables of a release are going to be.

Flags come from several places, and what is given twice is not simply overridden. Each rule here was seen with OTP 25: of several -name the first counts,
and any -sname goes before them; of several -erl_epmd_port none does, and then inet_dist_listen_min; a setting of kernel that is given first stays.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .vm_words import Load, arguments, expand, flags_of, lines, split

_V4 = re.compile(r"\{\s*(\d+(?:\s*,\s*\d+){3})\s*\}")
_V6 = re.compile(r"\{\s*(\d+(?:\s*,\s*\d+){7})\s*\}")
# The variables whose flags the VM gets, in their order: before its own arguments, and after them.
BEFORE, AFTER = ("ERL_AFLAGS", "ELIXIR_ERL_OPTIONS"), ("ERL_FLAGS", "ERL_ZFLAGS")
VM_ARGS = "vm.args"  # stands for the file that the launcher gives
# What makes a VM a node. A command that is no node must not have them.
DISTRIBUTING = (
    "name",
    "sname",
    "setcookie",
    "erl_epmd_port",
    "start_epmd",
    "proto_dist",
    "heart",
    "ssl_dist_optfile",
    "ssl_dist_opt",
)


@dataclass(frozen=True)
class Flags:
    groups: t.Mapping[str, t.Sequence[t.Sequence[str]]]  # of each flag, the values of each time that it is given

    def times(self, name: str) -> int:
        return len(self.groups.get(name, ()))

    def first(self, name: str) -> str:
        return next((values[0] for values in self.groups.get(name, ()) if values), "")

    def kernel(self, name: str) -> str:
        for values in self.groups.get("kernel", ()):
            found = dict(zip(values[::2], values[1::2]))
            if name in found:
                return found[name]
        return ""

    @property
    def mode(self) -> str:
        """name, sname, or none."""
        return next((kind for kind in ("sname", "name") if self.times(kind)), "none")

    @property
    def node(self) -> str:
        return self.first(self.mode)

    @property
    def port(self) -> t.Optional[int]:
        """The port of the distribution; None where it is any, or one that epmd knows."""
        if self.times("erl_epmd_port") == 1:
            return _number(self.first("erl_epmd_port"))
        least, most = self.kernel("inet_dist_listen_min"), self.kernel("inet_dist_listen_max")
        return _number(least) if least and most in ("", least) else None

    @property
    def protocol(self) -> str:
        """Given twice, the VM takes the usual one."""
        return self.first("proto_dist") if self.times("proto_dist") == 1 else "inet_tcp"

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("_tls")

    @property
    def interface(self) -> str:
        """The address that the distribution listens on, as people write it; empty: all."""
        return address(self.kernel("inet_dist_use_interface"))

    @property
    def epmd(self) -> bool:
        """Whether there is an epmd that knows the port."""
        last = [values[0] for values in self.groups.get("start_epmd", ()) if values][-1:]
        return last != ["false"] and not self.times("no_epmd")


def _number(text: str) -> t.Optional[int]:
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else None


def address(term: str) -> str:
    """{127,0,0,1} or {0,0,0,0,0,0,0,1}, as an address; empty where it is something else."""
    found = _V4.fullmatch(term.strip())
    if found:
        return ".".join(part.strip() for part in found.group(1).split(","))
    found = _V6.fullmatch(term.strip())
    if not found:
        return ""
    words = ["%x" % int(part) for part in found.group(1).split(",")]
    return {"0:0:0:0:0:0:0:0": "::", "0:0:0:0:0:0:0:1": "::1"}.get(":".join(words), ":".join(words))


def term(text: str) -> str:
    """An address as people write it, as a term of Erlang."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        raise BeamError(
            "address_invalid",
            "The distribution can't listen on %s" % text,
            "it is no IP address",
            "Give one in service_dist_listen, such as 127.0.0.1 or ::1",
        ) from None
    data = found.packed
    parts = data if found.version == 4 else struct.unpack(">8H", data)
    return "{%s}" % ",".join(map(str, parts))


def read(words: t.Sequence[str]) -> Flags:
    """Flags begin with -; what follows belongs to them. After -extra all are arguments of the application."""
    groups: dict[str, list[list[str]]] = {}
    values: list[str] = []  # of no flag
    for word in words:
        if word == "-extra":
            break
        if word == "--":
            values = []
        elif word.startswith("-") and len(word) > 1:
            values = []
            groups.setdefault(word[1:], []).append(values)
        else:
            values.append(word)
    return Flags(groups)


def words_of(variable: str, text: str) -> list[str]:
    """The words that a variable gives to the VM. Elixir's own is left to the shell, which knows no quotes there."""
    return text.split() if variable == "ELIXIR_ERL_OPTIONS" else split(text, comments=False)


def line_of(text: str, flag: str) -> int:
    """The line of vm.args that has a flag; 0 if none has."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if "-" + flag in split(line)), 0)


def of_node(env: t.Mapping[str, str], vm_args: str, load: Load = lambda path: "") -> list[str]:
    """What `bin/NAME start` gives to the VM, as far as it is about the distribution. env: after env.sh. load: reads another file that vm.args names."""
    mode, node, cookie = (
        env.get("RELEASE_DISTRIBUTION") or "sname",
        env.get("RELEASE_NODE") or env.get("RELEASE_NAME", ""),
        env.get("RELEASE_COOKIE", ""),
    )
    launcher = [*(["-setcookie", cookie] if cookie else []), *(["-" + mode, node] if mode in ("name", "sname") else [])]
    first, elixir, *after = (words_of(key, env.get(key, "")) for key in (*BEFORE, *AFTER))
    return arguments(
        [first, [*elixir, *launcher, "-args_file", VM_ARGS], *after],
        lambda path: vm_args if path == VM_ARGS else load(path),
    )


def without_distribution(text: str, load: Load = lambda path: "") -> str:
    """The same vm.args for a VM that is no node. As it is, where it makes none."""
    words, extra = expand(split(text), load)
    groups = flags_of(words)
    kept = [group for group in groups if not (group[0].startswith("-") and group[0][1:] in DISTRIBUTING)]
    if len(kept) == len(groups):
        return text
    return lines([word for group in kept for word in group] + (["-extra", *extra] if extra else []))
