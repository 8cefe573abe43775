# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The rehearsal of a hot upgrade, beside the node that runs: the old release is booted, upgraded, and compared with a cold boot of the new one.

A plan can't tell what a supervisor or an application would have started with the new code. Two nodes can: what differs between them would be missing, or
too much, in the node that is upgraded. Both are booted under the environment of the node with the switches of the user, which keep them from ports and
from work. Without switches there is no rehearsal, because a second node of the application might do its work twice.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass, replace

from ..._errors import BeamError
from ..._tree import remove_quietly
from .. import etf
from ..ask import connect
from ..boot_reason import read
from ..boot_words import plain
from ..envfile import COOKIE_FILE, PLACEHOLDER
from ..health import Health
from ..manager import Status
from ..process import NodeProcess, identify
from ..release_eval import await_end, launch, vm_args_without_node, write_of_node
from ..target import Target
from ..vm_flags import AFTER, BEFORE, without_distribution
from .config import around_process
from .plan import Place, shown
from .remote import Remote
from .run import Session, apply, looked_at

HOT, RESTART, SKIPPED = "hot", "restart", "skipped"
_LINES = 20
_ASK = 5.0  # seconds for one answer of a node that boots
# Processes that supervisors hold by a name of their own, from the top of each application; and a hash of each setting.
_SEEN = """
Text = fun(Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])) end,
Walk = fun Walk(Supervisor, Path) ->
  lists:append([begin
    Here = Path ++ [Text(Id)],
    [Here | case {Type, is_pid(Pid)} of {supervisor, true} -> Walk(Pid, Here); _ -> [] end]
  end || {Id, Pid, Type, _} <- supervisor:which_children(Supervisor), Id =/= undefined])
end,
Children = lists:append([case application_controller:get_master(App) of
    undefined -> [];
    Master -> case catch element(1, application_master:get_child(Master)) of
      Top when is_pid(Top) -> case proc_lib:translate_initial_call(Top) of
        {supervisor, _, _} -> Walk(Top, [Text(App)]);
        _ -> []
      end;
      _ -> []
    end
  end || {App, _, _} <- application:which_applications()]),
Settings = [{App, [{Text(Key), erlang:md5(term_to_binary(Value))} || {Key, Value} <- application:get_all_env(App)]}
  || {App, _, _} <- application:loaded_applications()],
{Children, Settings}.
"""
_OF_ONE_BOOT = re.compile(r"<\d+\.\d+\.\d+>|#Ref<[0-9.]+>|#Port<[0-9.]+>|#Fun<[^>]*>")
# Where Elixir notes what it has booted from, as is every node's own.
_OF_THE_START = re.compile(r"elixir\.config_provider_.*")


@dataclass(frozen=True)
class Seen:
    """children: the application and the names on the way to a child. settings: a hash of each, by application.key."""

    children: frozenset[tuple[str, ...]]
    settings: t.Mapping[str, bytes]


@dataclass(frozen=True)
class Verdict:
    action: str
    why: tuple[str, ...] = ()
    seconds: float = 0.0

    def facts(self) -> dict[str, t.Any]:
        return {"action": self.action, "why": list(self.why), "seconds": round(self.seconds, 3)}


class Unfit(Exception):
    """There can be no rehearsal; the argument says why."""


def differences(hot: Seen, cold: Seen) -> tuple[str, ...]:
    """What a node that was upgraded lacks, has beside, or is set to otherwise, compared with one that was booted."""
    found = ["a cold boot starts %s, and a hot upgrade does not" % name for name in _tops(cold.children, hot.children)]
    found += ["a cold boot does not start %s any more" % name for name in _tops(hot.children, cold.children)]
    names = sorted(set(hot.settings) | set(cold.settings))
    other = [name for name in names if hot.settings.get(name) != cold.settings.get(name)]
    if other:
        found.append("these settings have another value after a cold boot: %s" % ", ".join(other[:10]))
    return tuple(found)


def _tops(ours: t.AbstractSet[tuple[str, ...]], theirs: t.AbstractSet[tuple[str, ...]]) -> list[str]:
    """Of what only we have, the topmost: what is below it is missing with it."""
    only = ours - theirs
    return [" > ".join(path) for path in sorted(only) if path[:-1] not in only]


def read_seen(answer: tuple[t.Any, t.Any]) -> Seen:
    children = frozenset(tuple(_name(etf.text(name)) for name in path) for path in answer[0])
    settings = {"%s.%s" % (app, _name(etf.text(key))): value for app, pairs in answer[1] for key, value in pairs}
    return Seen(children, {name: value for name, value in settings.items() if not _OF_THE_START.fullmatch(name)})


def _name(text: str) -> str:
    """A term as Erlang writes it, without what differs from boot to boot; a module as its people write it."""
    text = _OF_ONE_BOOT.sub("...", text)
    return shown(text[1:-1]) if re.fullmatch(r"'[^']*'", text) else text


def rehearse(session: Session, switches: t.Mapping[str, str], timeout: float) -> Verdict:
    """timeout: seconds for each boot. A new release that does not boot is an error: it is neither to be upgraded to nor to be restarted on."""
    began = time.monotonic()
    try:
        action, why = _rehearsed(session, switches, timeout)
    except Unfit as exc:
        action, why = SKIPPED, (str(exc),)
    return Verdict(action, tuple(map(session.manager.mask().text, why)), time.monotonic() - began)


def _rehearsed(session: Session, switches: t.Mapping[str, str], timeout: float) -> tuple[str, tuple[str, ...]]:
    if not switches:
        raise Unfit("rehearse_env is empty, so nothing keeps a second node from doing the work of the first one")
    start = t.cast(Place, session.plan.start)
    box = Sandbox(session, switches, timeout)
    try:
        with box.booted(replace(session.target, root=start.root, version=start.version)) as node:
            try:
                hot = _upgraded(session, node)
            except BeamError as exc:
                return RESTART, ("the upgrade failed: %s" % exc.why,)
        if isinstance(hot, tuple):
            return RESTART, hot
        with box.booted(session.target) as node, connect(node, _ASK) as answers:
            cold = seen(Remote(answers), timeout)
    finally:
        box.close()
    found = differences(hot, cold)
    return (RESTART, found) if found else (HOT, ())


def seen(remote: Remote, timeout: float) -> Seen:
    return read_seen(remote.run(_SEEN, timeout))


def _upgraded(session: Session, process: NodeProcess) -> t.Union[Seen, tuple[str, ...]]:
    """The node in the sandbox after the same upgrade, or what spoke against it there."""
    own = Session(session.request, session.manager, process, session.target, session.plan)
    with connect(process, session.request.timeout) as node:
        own = looked_at(own, node, Status(process, "running"))
        if own.plan.blockers:
            return tuple(one.why for one in own.plan.blockers)
        apply(own, Health(passes=1, interval=0.0), lambda: None)
        return seen(t.cast(Remote, own.remote), session.request.timeout)


class Sandbox:
    """A node of the application that has another name, another cookie and a port of its own on the loopback interface. One boots at a time."""

    def __init__(self, session: Session, switches: t.Mapping[str, str], timeout: float) -> None:
        process = t.cast(NodeProcess, session.process)
        self._timeout = timeout
        self._mode = process.distribution
        self._node = "rehearsal-" + secrets.token_hex(6)
        self._host = process.node.partition("@")[2]
        self._around = around_process(process, session.manager, switches)
        self._place = self._around.temporary()
        self._count = 0
        write_of_node(os.path.join(self._place, COOKIE_FILE), self._around, secrets.token_hex(20))

    def close(self) -> None:
        remove_quietly(self._place)

    @contextlib.contextmanager
    def booted(self, target: Target) -> t.Iterator[NodeProcess]:
        """Whatever happens, nothing of it runs afterwards."""
        mark = "RELEASE_TMP=" + self._place
        self._count += 1
        log = os.path.join(self._place, "log-%d" % self._count)
        with open(
            os.open(log, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+b"
        ) as file:
            try:
                child = launch(target, self._around, ["start"], self._environment(target), file)
            except OSError as exc:
                raise Unfit("%s can't be started: %s" % (target.launcher, exc.strerror or exc)) from None
            try:
                yield self._ready(target, child, file)
            finally:
                await_end(child, 0.05, mark)

    def _environment(self, target: Target) -> dict[str, str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        node = self._node if self._mode == "sname" else "%s@%s" % (self._node, self._host)
        flags = {
            name: without_distribution(self._around.env[name])
            for name in (*BEFORE, *AFTER)
            if self._around.env.get(name)
        }
        lines = (
            "-start_epmd false",
            "-erl_epmd_port %d" % port,
            "-kernel inet_dist_use_interface {127,0,0,1}",
            "-setcookie "
            + PLACEHOLDER,  # the second one: so the VM reads the file in its home, and the arguments have no cookie
        )
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._place, "vm.args"))
        return {
            **self._around.env,
            **flags,
            "HOME": self._place,
            "RELEASE_TMP": self._place,
            "RELEASE_NODE": node,
            "RELEASE_DISTRIBUTION": self._mode,
            "RELEASE_COOKIE": PLACEHOLDER,
            "ERL_CRASH_DUMP_BYTES": "0",
            **vm_args_without_node(target, self._around, self._place, lines),
        }

    def _ready(self, target: Target, child: subprocess.Popen[bytes], log: t.IO[bytes]) -> NodeProcess:
        end = time.monotonic() + self._timeout
        while True:
            if child.poll() is not None:
                raise self._not_booted(target, "it ended with exit status %d" % child.returncode, log)
            found = identify(child.pid)
            if found is not None and found.vm:
                if found.node.partition("@")[0] != self._node:
                    raise Unfit("%s calls itself %s, whatever RELEASE_NODE says" % (target.version, found.node))
                if _started(found):
                    return found
            if time.monotonic() > end:
                raise self._not_booted(target, "it was not started within %g s" % self._timeout, log)
            time.sleep(0.05)

    def _not_booted(self, target: Target, why: str, log: t.IO[bytes]) -> Exception:
        log.seek(0)
        said = log.read(1 << 20).decode("utf-8", "replace")
        lines = self._around.mask.lines([plain(line) for line in said.splitlines() if line.strip()][-_LINES:])
        reason = read(lines)
        why = "%s: %s" % (why, reason.text) if reason else why
        if self._count == 1:
            return Unfit("%s, which runs, does not boot with rehearse_env: %s" % (target.version, why))
        return BeamError(
            "rehearsal_failed",
            "%s %s is not upgraded" % (target.name, target.version),
            "it does not boot under the environment of the node with rehearse_env: %s" % why,
            "Correct the release, or the variables of the second node. The node that runs was not touched",
            output=lines,
        )


def _started(process: NodeProcess) -> bool:
    try:
        with connect(process, _ASK) as node:
            return bool(node.call("init", "get_status", timeout=_ASK)[0] == "started")
    except (BeamError, OSError):
        return False
