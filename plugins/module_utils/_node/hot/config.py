# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The configuration that a release would have, as its own `eval` evaluates it under the environment of the node that runs.

Both releases are asked, and only what differs between them is applied: what the application has set for itself since it was started stays.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import time
import typing as t

from ..._errors import BeamError
from ..._tree import remove_quietly
from ..boot_reason import read
from ..boot_words import plain
from ..explain import environment_of
from ..manager import Manager
from ..process import NodeProcess
from ..release_eval import await_end, begin
from ..surroundings import Surroundings, surroundings_of
from ..target import Target

ANSWER = "ALCHEMIST_BEAM_ANSWER"
LARGEST = 8 << 20
_LINES = 20
# What the launcher works out for itself, or what is of this one process: the other release has its own.
_OF_THE_PROCESS = frozenset(
    """RELEASE_ROOT RELEASE_VSN RELEASE_SYS_CONFIG RELEASE_BOOT_SCRIPT RELEASE_BOOT_SCRIPT_CLEAN RELEASE_REMOTE_VM_ARGS RELEASE_COMMAND RELEASE_PROG
    ROOTDIR BINDIR EMU PROGNAME NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES MAINPID""".split()
)
# For each application of the release, all that it is configured with once it is loaded.
_EXPRESSION = (
    'env = &System.fetch_env!/1; vsn = env.("RELEASE_VSN"); '
    'rel = Path.join([env.("RELEASE_ROOT"), "releases", vsn, env.("RELEASE_NAME") <> ".rel"]); '
    "{:ok, [{:release, _, _, apps}]} = :file.consult(String.to_charlist(rel)); "
    "all = for app <- apps, do: (Application.load(elem(app, 0)); {elem(app, 0), Application.get_all_env(elem(app, 0))}); "
    'File.write!(env.("%s"), :erlang.term_to_binary(all))' % ANSWER
)


def own_environment(environ: t.Mapping[str, str], root: str) -> dict[str, str]:
    """Of a node, for another release: without what only means the release in root."""
    inside = root + "/"
    return {
        key: value
        for key, value in environ.items()
        if key not in _OF_THE_PROCESS and not (key == "RELEASE_VM_ARGS" and value.startswith(inside))
    }


def around_process(
    process: NodeProcess, manager: Manager, more: t.Optional[t.Mapping[str, str]] = None
) -> Surroundings:
    """What another release is started with beside a node that runs: the environment of its process, with more, and the mask for all of it."""
    environ = {**own_environment(environment_of(process.pid), process.root), **(more or {})}
    around = surroundings_of(manager)
    # The file may have other secrets by now than the process that runs. A path is no secret, and stands in many messages.
    its_own = {name: value for name, value in environ.items() if not value.startswith("/")}
    return dataclasses.replace(around, env=environ, mask=around.mask.with_variables(its_own))


def evaluate(process: NodeProcess, manager: Manager, targets: t.Sequence[Target], timeout: float) -> list[bytes]:
    """For each release its configuration, as Erlang has it. It holds secrets, and is written nowhere but into a directory that goes away."""
    around = around_process(process, manager)
    places = [around.temporary() for _target in targets]
    children: list[subprocess.Popen[bytes]] = []
    mark = "RELEASE_TMP=" + places[0]
    try:
        for target, place in zip(targets, places):
            children.append(_begin(target, around, places[0], place))
        end = time.monotonic() + timeout
        codes = [await_end(child, max(0.1, end - time.monotonic()), mark) for child in children]
        return [_answer(target, around, place, code, timeout) for target, place, code in zip(targets, places, codes)]
    finally:
        for child in children:
            if child.poll() is None:
                await_end(child, 0.1, mark)
        for place in places:
            remove_quietly(place)


def _begin(target: Target, around: Surroundings, shared: str, place: str) -> subprocess.Popen[bytes]:
    log = os.open(
        os.path.join(place, "log"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        # RELEASE_TMP is one and the same for both: a setting made of it is no difference.
        own = {"RELEASE_TMP": shared, ANSWER: os.path.join(place, "answer")}
        return begin(target, around, _EXPRESSION, place, log, env=own)
    except OSError as exc:
        raise _failed(target, "%s can't be started: %s" % (target.launcher, exc.strerror or exc)) from None
    finally:
        os.close(log)


def _answer(target: Target, around: Surroundings, place: str, code: t.Optional[int], timeout: float) -> bytes:
    data = _own_file(os.path.join(place, "answer"), around.user.pw_uid) if code == 0 else None
    if data:
        return data
    said = (_own_file(os.path.join(place, "log"), os.geteuid()) or b"").decode("utf-8", "replace")
    lines = around.mask.lines([plain(line) for line in said.splitlines() if line.strip()][-_LINES:])
    reason = read(lines)
    if reason is not None:
        why = reason.text
    else:
        why = "it did not end within %g s" % timeout if code is None else "exit status %d" % code
    raise _failed(target, why, output=lines)


def _failed(target: Target, why: str, **details: t.Any) -> BeamError:
    return BeamError(
        "upgrade_config_failed",
        "The configuration of %s %s can't be evaluated under the environment of the node"
        % (target.name, target.version),
        why,
        "Correct the setting or config/runtime.exs. Nothing was touched",
        **details,
    )


def _own_file(path: str, owner: int) -> t.Optional[bytes]:
    """The directory is the node's: what it may have put there instead is not read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != owner or info.st_nlink != 1 or info.st_size > LARGEST:
            return None
        return stream.read(LARGEST)
