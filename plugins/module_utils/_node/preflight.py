# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What can be known to go wrong with a start, looked for on the host while nothing has been touched."""

from __future__ import annotations

import os
import typing as t

from .._errors import BeamError
from .._tree import remove_quietly
from . import cluster, sockets, vm_settings
from .daemon import Daemon
from .envfile import COOKIE_FILE
from .health import BOOTED, NodeCheck
from .manager import Manager, Status
from .process import NodeProcess
from .surroundings import Surroundings, surroundings_of
from .systemd import Systemd
from .target import Target

_AT_REST = ("inactive", "failed", "stopped")


def preflight(
    manager: Manager,
    target: Target,
    before: t.Optional[NodeProcess],
    check: NodeCheck = BOOTED,
    rehearsal: bool = False,
) -> None:
    """before: the node that is going to be stopped. check: what it is asked then. rehearsal: the release's env.sh is not run, because it may do anything."""
    manager.preflight(target)
    if isinstance(manager, (Systemd, Daemon)):
        found = _settings(manager, target, before, rehearsal)
        if before is not None:
            cluster.check_cookie(before, found.next_cookie, check)


def _settings(
    manager: t.Union[Systemd, Daemon], target: Target, before: t.Optional[NodeProcess], rehearsal: bool
) -> vm_settings.Settings:
    around = surroundings_of(manager, again=False)
    env, cookie = _given(manager, target, around)
    if isinstance(manager, Daemon) and not rehearsal:
        manager.directories()
    try:
        after = env if rehearsal else _after(target, env, around)
        path = after.get("RELEASE_VM_ARGS") or os.path.join(os.path.dirname(target.env_script), "vm.args")
        found = vm_settings.Settings(target, vm_settings.read_text(path), env, after, cookie, around.directory)
        vm_settings.check(found)
    except BeamError as exc:
        raise around.mask.also(cookie).error(exc) from None
    if before is not None or _at_rest(manager.status()):
        own = {one.port for one in sockets.of_process(before.pid)} if before is not None else set()
        vm_settings.check_port_free(
            target, found.flags, own, sockets.listeners(before.pid if before is not None else "self")
        )
    return found


def _at_rest(status: Status) -> bool:
    """Not between two starts of a crash loop, whose next one may have the port already."""
    return status.process is None and status.state in _AT_REST


def _given(manager: t.Union[Systemd, Daemon], target: Target, around: Surroundings) -> tuple[t.Mapping[str, str], str]:
    """The environment of a start, and the cookie that the VM reads from a file in its home."""
    if isinstance(manager, Daemon):
        return manager.environment(target)
    home = around.env.get("HOME", "/")
    cookie = (
        vm_settings.read_text(os.path.join(home, COOKIE_FILE)).strip()
        if "-setcookie" in around.env.get("ERL_ZFLAGS", "")
        else ""
    )
    return around.env, cookie


def _after(target: Target, env: t.Mapping[str, str], around: Surroundings) -> t.Mapping[str, str]:
    # The directory of the unit is not there before its start.
    temporary = around.temporary()
    try:
        after = vm_settings.after_script(target, {**env, "RELEASE_TMP": temporary}, around.directory, around.identity())
        return {key: value for key, value in after.items() if value != temporary}
    finally:
        remove_quietly(temporary)
