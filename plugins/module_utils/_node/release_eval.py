# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""`bin/NAME eval EXPRESSION` of a release: a VM of its own beside the node, which meets neither its name nor its port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t

from .._errors import BeamError
from .envfile import PLACEHOLDER
from .process import with_environment
from .surroundings import Surroundings
from .target import Target
from .vm_flags import without_distribution
from .vm_settings import read_text

GRACE = 5.0  # seconds between SIGTERM, which lets it close its connections, and SIGKILL


def begin(
    target: Target,
    around: Surroundings,
    expression: str,
    place: str,
    log: t.Union[int, t.IO[bytes]],
    env: t.Optional[t.Mapping[str, str]] = None,
    keep: t.Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """place: a directory of its own. env: what it has besides, or otherwise. keep: handles that it inherits. It may raise an OSError."""
    whole = {
        **around.env,
        "RELEASE_DISTRIBUTION": "none",
        "RELEASE_TMP": place,
        "ERL_CRASH_DUMP_BYTES": "0",
        # Without distribution no cookie is needed, and the launcher would put it into argv for everybody to read.
        "RELEASE_COOKIE": PLACEHOLDER,
        **(env or {}),
        **vm_args_without_node(target, around, place),
    }
    return launch(target, around, ["eval", expression], whole, log, keep)


def launch(
    target: Target,
    around: Surroundings,
    words: t.Sequence[str],
    env: t.Mapping[str, str],
    log: t.Union[int, t.IO[bytes]],
    keep: t.Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """A command of a release, as the user that runs the node, in a session of its own."""
    # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
    return subprocess.Popen(
        [target.launcher, *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=env,
        cwd=around.directory,
        start_new_session=True,
        umask=0o077,
        pass_fds=tuple(keep),
        **around.identity(),
    )


def vm_args_without_node(
    target: Target, around: Surroundings, temporary: str, more: t.Sequence[str] = ()
) -> dict[str, str]:
    """`eval` reads the vm.args of the node. A name or a port in it would make the command a second node, beside the one that runs.

    more: lines of a node that is one all the same.
    """
    path = around.env.get("RELEASE_VM_ARGS") or os.path.join(os.path.dirname(target.env_script), "vm.args")
    text = read_text(path)
    kept = without_distribution(text, lambda name: read_text(os.path.join(around.directory, name)))
    if kept == text and not more:
        return {}
    own = os.path.join(temporary, "vm.args")
    write_of_node(own, around, "".join(line + "\n" for line in (kept, *more)))
    return {"RELEASE_VM_ARGS": own}


def write_of_node(path: str, around: Surroundings, text: str) -> None:
    """A file that only the user of the node may read."""
    # The directory is the node's by now, and we may be root: what the node has put there under that name is neither written to nor given away.
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        hint = "Look at what runs as %s on this server: it has put something there" % around.user.pw_name
        raise BeamError("scratch_denied", "%s can't be made" % path, exc.strerror or str(exc), hint) from None
    with open(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), around.user.pw_uid, around.group)


def await_end(child: subprocess.Popen[bytes], timeout: float, mark: str) -> t.Optional[int]:
    """The exit status; None if it had to be killed, and then nothing of it is left."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(timeout)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    # What a VM starts is in sessions of its own, and may have lost its parent: but all of it has the environment that we gave.
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        left = with_environment(mark)
        for process in left:
            process.signal(signal.SIGKILL)
        if not left and child.poll() is not None:
            break
        time.sleep(0.02)
    return None
