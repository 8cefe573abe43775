# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a node's manager would start it with: environment, user, directory. For commands of a release that are not the node."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._mask import Mask
from . import envfile
from .daemon import Daemon
from .manager import Manager
from .systemd import Systemd, environment, environment_files

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Surroundings:
    env: t.Mapping[str, str] = field(repr=False)
    mask: Mask  # for what is in env
    user: pwd.struct_passwd
    group: int
    directory: str
    scratch: str  # where a directory for runtime files can be made

    def temporary(self) -> str:
        """A directory for RELEASE_TMP that nothing else uses.

        Configuration with resolved secrets is written there. The node's own directory goes away with the node, and may
        not be there before its first start.
        """
        try:
            path = tempfile.mkdtemp(prefix="migrate-", dir=self.scratch)
            if os.geteuid() == 0:
                os.chown(path, self.user.pw_uid, self.group)
        except OSError as exc:
            why = exc.strerror or str(exc)
            raise BeamError(
                "scratch_denied",
                "Cannot make a directory in %s" % self.scratch,
                why,
                "Give it to the user that runs the node",
            ) from None
        return path

    def identity(self) -> dict[str, t.Any]:
        """Arguments of Popen: be the user that runs the node."""
        if os.geteuid() == self.user.pw_uid:
            return {}
        if os.geteuid() != 0:
            raise BeamError(
                "user_denied",
                "Cannot run a command as %s" % self.user.pw_name,
                "we are another user",
                "Become root, or %s" % self.user.pw_name,
            )
        return {
            "user": self.user.pw_uid,
            "group": self.group,
            "extra_groups": os.getgrouplist(self.user.pw_name, self.group),
        }


def surroundings_of(manager: Manager, again: bool = True) -> Surroundings:
    """again: ask systemd, though it has just been asked."""
    return _of_systemd(manager, again) if isinstance(manager, Systemd) else _of_daemon(t.cast(Daemon, manager))


def _of_daemon(daemon: Daemon) -> Surroundings:
    given = envfile.load(daemon.env_file, daemon.env_required)
    user = pwd.getpwuid(os.geteuid())
    return Surroundings(
        {**_login(user), "ERL_CRASH_DUMP": daemon.crash_dump(), **given},
        Mask(given),
        user,
        user.pw_gid,
        daemon.run_dir,
        daemon.run_dir,
    )


def _of_systemd(manager: Systemd, again: bool) -> Surroundings:
    shown = manager.show() if again else manager.seen()
    what = "Cannot tell the environment of %s" % manager.unit
    if shown.get("LoadState") not in ("loaded", "masked"):
        why = "systemd says it is %s" % shown.get("LoadState")
        raise BeamError(
            "unit_missing",
            what,
            why,
            "Run the playbook alchemist.beam.setup first, or correct unit (in an inventory beam_unit)",
        )
    given: dict[str, str] = {}
    for path, optional in environment_files(shown.get("EnvironmentFiles", "")):
        given.update(envfile.load_of_unit(path, required=not optional))
    try:
        name = shown.get("User") or "root"
        user = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        wanted = shown.get("Group", "")
        group = int(wanted) if wanted.isdigit() else grp.getgrnam(wanted).gr_gid if wanted else user.pw_gid
    except KeyError as exc:
        raise BeamError("user_missing", what, str(exc.args[0]), "Apply the role alchemist.beam.service first") from None
    # A dash before it says that it may be missing, and a tilde is the home.
    directory = shown.get("WorkingDirectory", "").lstrip("!-").replace("~", user.pw_dir)
    return Surroundings(
        {**_login(user), **environment(shown), **given},
        Mask(given),
        user,
        group,
        directory if os.path.isdir(directory) else "/",
        "/run" if os.geteuid() == 0 else tempfile.gettempdir(),
    )


def _login(user: pwd.struct_passwd) -> dict[str, str]:
    return {"PATH": PATH, "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "LANG": "C.UTF-8"}
