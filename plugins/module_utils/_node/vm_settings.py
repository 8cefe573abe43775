# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A release brings its own vm.args and env.sh, and the service has flags of its own. Whether they agree is looked at before anything is stopped.

What can't work is refused by name, with the line to change: it is the setting's fault, and no version becomes a ghost for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._proc import end
from . import sockets, vm_flags, vm_words
from .target import Target
from .vm_flags import Flags

SCRIPT_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "::1")
SETUP = "and run alchemist.beam.setup"


@dataclass(frozen=True)
class Settings:
    """What the VM is going to be started with, as far as it is known before."""

    target: Target
    vm_args: str
    before: t.Mapping[str, str]  # the environment that the manager gives
    after: t.Mapping[str, str]  # the same after env.sh
    cookie: str = ""  # that the VM reads from a file, where it does
    directory: str = "/"  # where the VM is started, and looks for further files

    @property
    def flags(self) -> Flags:
        return vm_flags.read(vm_flags.of_node(self.after, self.vm_args, self.load))

    @property
    def next_cookie(self) -> str:
        """What the VM takes: given twice, the flag counts as not given, and it reads its file."""
        if self.flags.times("setcookie") > 1:
            return self.cookie
        return self.after.get("RELEASE_COOKIE", "") or self.target.own_cookie()

    def load(self, path: str) -> str:
        return read_text(os.path.join(self.directory, path))

    def origin(self, flag: str) -> str:
        """The place in the release that has a flag, as its user calls it."""
        line = vm_flags.line_of(self.vm_args, flag)
        if line:
            return "line %d of releases/%s/vm.args (rel/vm.args.eex)" % (line, self.target.version)
        for key in (*vm_flags.BEFORE, *vm_flags.AFTER):
            if "-" + flag in vm_flags.words_of(key, self.after.get(key, "")) and self.after.get(key) != self.before.get(
                key
            ):
                return "%s in releases/%s/env.sh (rel/env.sh.eex)" % (key, self.target.version)
        return next(
            (
                key
                for key in (*vm_flags.BEFORE, *vm_flags.AFTER)
                if "-" + flag in vm_flags.words_of(key, self.after.get(key, ""))
            ),
            "the release",
        )


def check(found: Settings) -> None:
    """Pure: raise what can't work."""
    _check_whole(found)
    if found.after.get("RELEASE_DISTRIBUTION") != "none" or found.flags.mode != "none":
        _check_name(found)
        _check_family(found)
        _check_port(found)
    _check_cookie(found)


def _what(found: Settings) -> str:
    return "%s %s would not start as it is set up" % (found.target.name, found.target.version)


def _check_whole(found: Settings) -> None:
    words = vm_words.split(found.vm_args)
    flag = vm_words.lacking(words)
    if flag:
        place = (
            found.origin(flag[1:]) if flag[0] == "-" else "releases/%s/vm.args (rel/vm.args.eex)" % found.target.version
        )
        raise BeamError(
            "vm_args_incomplete",
            _what(found),
            "%s at the end of %s has no value" % (flag, place),
            "Give it one, or take it out",
        )
    paths = [after for word, after in zip(words, words[1:]) if word == "-args_file"]
    if found.after.get("RELEASE_VM_ARGS"):
        paths.append(found.after["RELEASE_VM_ARGS"])
    missing = next((path for path in paths if not os.path.exists(os.path.join(found.directory, path))), None)
    if missing is not None:
        place = "RELEASE_VM_ARGS" if missing == found.after.get("RELEASE_VM_ARGS") else found.origin("args_file")
        raise BeamError(
            "vm_args_missing",
            _what(found),
            "%s names %s, and there is no such file" % (place, missing),
            "Put the file there (beam_files does), or take the line out",
        )


def _check_name(found: Settings) -> None:
    name = found.flags.node
    if "$" in name:
        flag = found.flags.mode
        raise BeamError(
            "vm_name_literal",
            _what(found),
            "-%s %s in %s is taken as it stands: nothing puts a value there" % (flag, name, found.origin(flag)),
            "Take the line out: the service names the node (service_node), and RELEASE_NODE in env.sh is heard",
        )


def _check_family(found: Settings) -> None:
    flags, interface = found.flags, found.flags.interface
    six = flags.protocol.startswith("inet6")
    host = flags.node.partition("@")[2]
    if ":" in host and not six and interface not in _LOOPBACK:
        raise BeamError(
            "dist_family",
            _what(found),
            "the node is called %s, which is an address of IPv6, and it speaks IPv4: no other node would find it"
            % flags.node,
            'Put -proto_dist inet6_tcp into rel/vm.args.eex, and give service_dist_listen: "::", %s' % SETUP,
        )
    if not interface or six == (":" in interface):
        return
    if six:
        wanted = "::1" if interface in _LOOPBACK else "::"
        raise BeamError(
            "dist_family",
            _what(found),
            "%s says -proto_dist %s, and the service listens on %s, which is IPv4"
            % (found.origin("proto_dist"), flags.protocol, interface),
            'Give service_dist_listen: "%s", or take the flag out, %s' % (wanted, SETUP),
        )
    raise BeamError(
        "dist_family",
        _what(found),
        "the service listens on %s, which is IPv6, and the node speaks IPv4" % interface,
        "Put -proto_dist inet6_tcp into rel/vm.args.eex, or give service_dist_listen an address of IPv4, %s" % SETUP,
    )


def _check_port(found: Settings) -> None:
    """Where the flag is there twice, the node listens where inet_dist_listen_min says, and finds no other node any more."""
    flags = found.flags
    if flags.times("erl_epmd_port") > 1 and flags.interface not in _LOOPBACK:
        given = next((values[0] for values in flags.groups["erl_epmd_port"] if values), "?")
        raise BeamError(
            "dist_port_twice",
            _what(found),
            "-erl_epmd_port %s in %s is given beside the one of the service; of two the VM takes none, and the nodes of a cluster would not find each other"
            % (given, found.origin("erl_epmd_port")),
            "Take the line out, and give service_dist_port: %s, %s" % (given, SETUP),
        )


def _check_cookie(found: Settings) -> None:
    own = found.after.get("RELEASE_COOKIE", "")
    if (
        found.cookie
        and own != found.before.get("RELEASE_COOKIE", "")
        and own != found.cookie
        and found.flags.times("setcookie") > 1
    ):
        raise BeamError(
            "vm_cookie_ignored",
            _what(found),
            "releases/%s/env.sh sets a RELEASE_COOKIE that is not the one of the service, which would count"
            % found.target.version,
            "Take it out of rel/env.sh.eex, and give that cookie as beam_cookie, from a vault, %s" % SETUP,
        )


def check_port_free(
    target: Target, flags: Flags, own: t.Collection[int], listening: t.Iterable[sockets.Listener]
) -> None:
    """own: the ports that our node, which is going to be stopped, listens on."""
    port = flags.port
    taken = next(
        (one for one in listening if one.port == port and port not in own and _clash(one.address, flags.interface)),
        None,
    )
    if port is not None and taken is not None:
        raise BeamError(
            "dist_port_taken",
            "%s %s would not start" % (target.name, target.version),
            "its distribution is to listen on port %d, and something else on this host does (on %s)"
            % (port, taken.address),
            "Give this application a port of its own: service_dist_port, %s. `ss -ltnp` tells who has it" % SETUP,
        )


def _clash(one: str, other: str) -> bool:
    """Two sockets can have one port on two addresses, unless one of them listens on all. Without an address it does."""
    return one == other or bool({one, other} & {"", "0.0.0.0", "::"})


def read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(1 << 20)
    except OSError:
        return ""


# As the launcher has it: what it knows before env.sh, and what it exports afterwards whatever env.sh did.
_SCRIPT = (
    'set -e; SELF=$1 REL_VSN_DIR=$2; set -- start; . "$REL_VSN_DIR/env.sh" >&2; export %s; exec env -0'
    % " ".join(("RELEASE_COOKIE", "RELEASE_NODE", "RELEASE_DISTRIBUTION", "RELEASE_VM_ARGS"))
)


def after_script(
    target: Target, env: t.Mapping[str, str], cwd: str, identity: t.Mapping[str, t.Any]
) -> t.Mapping[str, str]:
    """The environment that env.sh leaves, run by the user of the node with what the launcher tells it."""
    if not os.path.isfile(target.env_script):
        return env
    told = {
        "RELEASE_ROOT": target.root,
        "RELEASE_NAME": target.name,
        "RELEASE_VSN": target.version,
        "RELEASE_COMMAND": "start",
        "RELEASE_PROG": os.path.basename(target.launcher),
        "RELEASE_BOOT_SCRIPT": "start",
    }
    command = ["/bin/sh", "-c", _SCRIPT, "sh", target.launcher, os.path.dirname(target.env_script)]
    directory = cwd if os.path.isdir(cwd) else "/"
    try:
        # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
        shell = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**env, **told},
            cwd=directory,
            start_new_session=True,
            **identity,
        )
    except OSError:
        return env
    try:
        out, err = shell.communicate(timeout=SCRIPT_SECONDS)
    except subprocess.TimeoutExpired:
        # It waits for something that a start will wait for as well. What it has begun would keep our pipes open.
        with contextlib.suppress(OSError):
            os.killpg(shell.pid, signal.SIGKILL)
        end(shell)
        return env
    if shell.returncode != 0:
        said = [line.strip() for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
        raise BeamError(
            "vm_env_script",
            "%s %s would not start" % (target.name, target.version),
            "its env.sh ends with status %d%s" % (shell.returncode, ": %s" % said[-1][:300] if said else ""),
            "Correct rel/env.sh.eex, or what it needs on this host",
        )
    words = out.decode("utf-8", "surrogateescape").split("\0")
    return dict(word.partition("=")[::2] for word in words if "=" in word)
