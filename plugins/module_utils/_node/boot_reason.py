# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a node that did not come up says of why: the first cause that its log names since this start. Pure.

A log has the cause once, and around it what follows from it: traces, terms of the supervisors above, a crash dump's slogan, further starts.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .boot_causes import SETUP, STATUSES, Cause, judge, of_step
from .boot_terms import configuring, errno, raised
from .boot_words import cut, plain, unfolded

LONGEST = 600


@dataclass(frozen=True)
class Reason:
    kind: str
    text: str
    hint: str
    setting: bool  # the settings of the host are at fault, and not the release


@dataclass(frozen=True)
class _Said:
    text: str
    rank: int  # 0: why it ended; 1: the same, of the VM's last words; 2: trouble on the way that it may have survived; 3: what only follows from a cause
    config: bool = False  # said of a provider of the configuration, such as config/runtime.exs


_RAISED = re.compile(r"\*\* \(([A-Za-z][\w.]*)\) ?(.*)")
_PROVIDER = re.compile(r"Config provider (\S+) failed with:")
_LOGGED = re.compile(r"^\W{0,2}(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d")
_OF_SYSTEMD = re.compile(r"\S+\.service: |(?:Start|Stopp)(?:ing|ed) |Failed to start |Failed$")
_TRACE = re.compile(
    r"^\s*(?:\([\w.]+ [\w.+-]+\) )?(\S+\.(?:exs?|erl):\d+): (.*)|^\s+:?[A-Za-z_][\w.!?:]*\(.*\)$|^\s+\([\w.]+ [\w.+-]+\) "
)
_PLACE = re.compile(r"^\s+\((?!stdlib|elixir|kernel|logger|proc_lib)[\w.]+ [\w.+-]+\) (\S+\.(?:exs?|erl):\d+): ")
_ON_THE_WAY = re.compile(r"failed to connect|disconnected|reconnect", re.IGNORECASE)
_OUTCOME = re.compile(r"Application (\S+) exited: (.*)")
_NESTED = re.compile(r"^an exception was raised|^shutdown: failed to start child|^shutdown$")
# Of the VM, the dynamic linker and systemd: a line of them is a reason as it stands. Nothing here begins with `.*`: a log may have long lines, and many.
_LISTENER = (
    r"Failed to start Ranch listener |Running \S+ with .* failed, |Failed to start .{0,80}listener"
    r"|Protocol .*register/listen error: |Failed to load NIF library"
)
_LINES = re.compile(
    r"(?P<begin>%s)| listen error: |the name \S+ seems to be in use by another Erlang node|error while loading shared libraries: |version `[\w.]+' not found"
    r"|^bad -\w+ option |_alloc: Cannot (?:re)?allocate \d+ bytes of memory|Failed at step [A-Z_]+ spawning |Unable to locate executable "
    r"|Failed to load environment files: |has been killed by the OOM killer|Failed with result 'oom-kill'|Watchdog timeout "
    r"|Can't set (?:long|short) node name|Hostname \S+ is illegal|[Cc]ookie file .*(?:eacces|accessible|cookie)"
    r"|Main process exited, code=(?:killed|dumped), status=(?:4/ILL|5/TRAP|7/BUS|11/SEGV|31/SYS)" % _LISTENER
)
# Of the launcher and of programs that the node runs: they may be about something that does no harm.
_PROGRAMS = re.compile(
    r"\.service: Failed to execute |/bin/\S+: .*(?:Permission denied|not found|No such file or directory|Read-only file system)$"
    r"|^(?:erl|erlexec|beam\.smp|exec)\b.*: (?:Permission denied|not found|No such file or directory|.*cannot.*)$"
    r"|Could not (?:parse|read|find) .*(?:vm\.args|sys\.config|boot)|cannot get bootfile|SIGTRAP|No usable sandbox"
    r"|Main process exited, code=exited, status=2\d\d/[A-Z_]+|Failed to move to new namespace|Check failed: .*errno_location"
    r"|(?:mprotect|mmap|executable).*(?:EPERM|Operation not permitted|Permission denied)"
)
_LIMIT = "Start request repeated too quickly"
_LAST = re.compile(r'^\{?"?(?:Kernel pid terminated|init terminating in|Runtime terminating during boot|Slogan: )')
_NOISE = re.compile(r"^Crash dump is being written to: \S+?\.\.\.(?:done)?")


_FATAL = re.compile(
    r'^\{?"?(?:Kernel pid terminated|init terminating in|Runtime terminating during boot)|Crash dump is being written to|register/listen error|'
    r"error while loading shared|^bad -\w+ option|Cannot (?:re)?allocate \d+ bytes|Application \S+ exited: "
)
_SERVER_OFF = re.compile(r"Configuration :server was not enabled for (\S+?),")
PHX_SERVER = 'Give PHX_SERVER: "true" in beam_env, %s' % SETUP


def read(lines: t.Sequence[str], slogan: str = "", selinux: bool = False) -> t.Optional[Reason]:
    """The reason; None if nothing says it. lines: the log since this start. slogan: of its crash dump. selinux: whether it is enforcing."""
    said = list(_said([_NOISE.sub("", line) for line in unfolded(lines)]))
    if slogan:
        said += _of_term("Slogan: " + plain(slogan))
    for rank in (0, 1, 2, 3):
        for one in said:
            if one.rank == rank:
                text = cut(one.text, 4 * LONGEST)
                return _reason(judge(text, one.config, selinux), text)
    return None


def first(lines: t.Sequence[str], selinux: bool = False) -> t.Optional[Reason]:
    """The same of a node that is up, and not well: only what speaks of a cause."""
    found = read(lines, selinux=selinux)
    return found if found is not None and found.kind not in ("ended", "start_limit") else None


def of_unit(result: str, status: str, selinux: bool = False) -> t.Optional[Reason]:
    """What systemd itself knows if no log says why: the Result of a unit, and the exit status of its process."""
    step = STATUSES.get(int(status)) if result == "exit-code" and status.isdigit() else None
    if step:
        why = "%s: Permission denied" % step if step == "EXEC" and selinux else ""
        return _reason(
            of_step(step, why, selinux), "systemd could not execute the launcher (status %s/%s)" % (status, step)
        )
    said = {
        "oom-kill": "Failed with result 'oom-kill'",
        "watchdog": "Watchdog timeout",
        "start-limit-hit": "Start request repeated too quickly",
    }.get(result)
    return _reason(judge(said), said) if said else None


def endpoint_off(lines: t.Iterable[str]) -> str:
    """The Phoenix endpoint that said that it does not listen."""
    return next((found.group(1) for found in map(_SERVER_OFF.search, lines) if found), "")


def no_server(endpoint: str, why: str = "") -> Reason:
    """Phoenix listens only if it is told to. `mix phx.new` makes that a variable."""
    text = "%s does not listen, as PHX_SERVER is not set" % (endpoint or "its Phoenix endpoint")
    return Reason("server_off", "%s; %s" % (why, text) if why else text, PHX_SERVER, True)


def fatal(lines: t.Iterable[str]) -> bool:
    """Whether it is the log of a node that ended of itself, and not because it was stopped."""
    return any(_FATAL.search(line) for line in lines)


def _reason(cause: Cause, text: str) -> Reason:
    return Reason(cause.kind, cut(cause.text or text, LONGEST), cause.hint, cause.setting)


def _said(lines: t.Sequence[str]) -> t.Iterator[_Said]:
    provider = ""
    for number, line in enumerate(lines):
        named = _PROVIDER.search(line)
        if named:
            provider = named.group(1)
            continue
        told = _RAISED.search(line)
        if told and not _inner(lines, number):
            text = _exception(lines, number)
            if text:
                # The VM may write its own last words between the provider's name and the provider's message.
                rank = 2 if _ON_THE_WAY.search(line[: told.start()]) else 0
                yield _Said(text, rank, bool(provider))
                provider = ""
            continue
        ended = _OUTCOME.search(line)
        if ended and not (number + 1 < len(lines) and _RAISED.search(lines[number + 1])):
            outcome = ended.group(2)
            yield _Said("the application %s ended: %s" % ended.groups(), 3 if outcome in ("shutdown", "normal") else 0)
        elif _LAST.match(line.strip()):
            yield from _of_term(line.strip())
        elif _LIMIT in line:
            yield _Said(line.strip(), 3)
        elif not told:
            found, loose = _LINES.search(line), _PROGRAMS.search(line)
            if found or loose:
                begin = found.start() if found and found.group("begin") else 0
                yield _Said(line[begin:].strip(" ,}'\""), 0 if found else 2)
    if provider:
        yield _Said("the config provider %s failed" % provider, 2, True)


def _inner(lines: t.Sequence[str], number: int) -> bool:
    """Whether a line was told together with the one before it: nested reasons stand below each other."""
    before = _RAISED.search(lines[number - 1]) if number else None
    return before is not None and before.group(1) == "EXIT" and _indent(lines[number]) > _indent(lines[number - 1])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _exception(lines: t.Sequence[str], number: int) -> str:
    """The innermost of nested reasons, with the lines that belong to its message and the place in the application's code."""
    while number + 1 < len(lines) and _RAISED.search(lines[number + 1]) and _inner(lines, number + 1):
        number += 1
    found = _RAISED.search(lines[number])
    if found is None:
        return ""
    name, text = found.groups()
    if name in ("EXIT", "stop") and _NESTED.search(text):
        return ""
    text = "** (%s) %s" % (name, text)
    more, call = _rest(lines, number + 1, _indent(lines[number]), text.endswith(":"))
    text = " ".join([text, *more])
    place = next((at.group(1) for at in map(_PLACE.match, lines[number + 1 : number + 12]) if at), "")
    return text + (" in %s" % call if call else " (%s)" % place if place else "")


def _rest(lines: t.Sequence[str], number: int, indent: int, wanted: bool) -> tuple[list[str], str]:
    """The lines of a message after its first one, and the call that was refused its arguments."""
    more: list[str] = []
    for line in lines[number : number + 6]:
        text = line.strip()
        if (
            _LOGGED.match(line)
            or _OF_SYSTEMD.match(line)
            or _RAISED.search(line)
            or _LAST.match(text)
            or text == "done"
        ):
            break
        if _TRACE.match(line):
            return more, text if wanted and more and re.match(r"^:?[A-Za-z_][\w.!?:]*\(.*\)$", text) else ""
        if wanted and len(more) < 2 or _indent(line) == indent and len(more) < 1:
            more.append(text.lstrip("* ") if wanted else text)
        else:
            break
    return more, ""


def _of_term(line: str) -> list[_Said]:
    """What a last word of the VM holds, which is an Erlang term: the exception in it, or an error of the system, or itself."""
    text = raised(line)
    if text:
        return [_Said(text, 1, configuring(line))]
    last = cut(line.replace("Slogan: ", ""), 300)
    return [_Said(errno(line) or last, 3)]
