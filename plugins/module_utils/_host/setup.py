# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a server needs before its first release: accounts, directories, files, a cookie and units. Without Ansible.

A plan is what differs; where nothing does, nothing is written. The role `service` and the bootstrap apply it by the same code.
"""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import re
import secrets
import stat
import string
import subprocess
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._proc import end
from .claim import Claim

COMMAND_SECONDS = 120.0  # of systemd, useradd and the like
COOKIE_LETTERS = 64
MODE = re.compile(r"0[0-7]{3}")


@dataclass(frozen=True)
class User:
    name: str
    group: str
    home: str


@dataclass(frozen=True)
class Place:
    path: str
    owner: str
    group: str
    mode: str
    content: str | None = field(default=None, repr=False)  # None: a directory
    hidden: bool = False  # whether nobody may read the content in a diff
    once: bool = False  # what is there stays

    @property
    def bits(self) -> int:
        return int(self.mode, 8)


@dataclass(frozen=True)
class Server:
    users: tuple[User, ...] = ()
    directories: tuple[Place, ...] = ()
    files: tuple[Place, ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    groups: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    places: tuple[Place, ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    changes: tuple[str, ...] = field(default=())  # for people
    claim: Claim | None = None  # not noted yet

    @property
    def changed(self) -> bool:
        return bool(self.changes)

    def diff(self) -> list[dict[str, str]]:
        """What people see of it with --diff. Of what is hidden, only that it changes."""
        found = [
            {
                "before_header": place.path,
                "after_header": place.path,
                "before": text_of(place.path),
                "after": place.content,
            }
            for place in self.places
            if place.content is not None and not place.hidden and text_of(place.path) != place.content
        ]
        compared = {one["after_header"] for one in found}
        rest = "".join("%s\n" % change for change in self.changes if change not in compared)
        return [*([{"before": "", "after": rest}] if rest else []), *found]


def new_cookie() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _letter in range(COOKIE_LETTERS))


def plan_of(server: Server, claim: Claim) -> Plan:
    """Refuses what belongs to something else on this server."""
    claim.check()
    groups = tuple(dict.fromkeys(user.group for user in server.users if not _has(grp.getgrnam, user.group)))
    users = tuple(user for user in server.users if not _has(pwd.getpwnam, user.name))
    places = tuple(place for place in (*server.directories, *server.files) if not _is_so(place))
    enable = tuple(unit for unit in server.enable if not _is_enabled(unit))
    disable = tuple(unit for unit in server.disable if _is_enabled(unit))
    changes = (
        *("group %s" % name for name in groups),
        *("user %s" % user.name for user in users),
        *(place.path for place in places),
        *("enable %s" % unit for unit in enable),
        *("disable %s" % unit for unit in disable),
    )
    # A note of what is there already is no change of the server.
    return Plan(groups, users, places, enable, disable, changes, None if claim.noted else claim)


def apply_plan(plan: Plan) -> None:
    if plan.claim is not None:
        plan.claim.take()
    for group in plan.groups:
        _command(["groupadd", "--system", group])
    for user in plan.users:
        _command(
            [
                "useradd",
                "--system",
                "--gid",
                user.group,
                "--home-dir",
                user.home,
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                user.name,
            ]
        )
    for place in plan.places:
        _make(place)
    if any("/systemd/" in place.path for place in plan.places) and os.path.isdir("/run/systemd/system"):
        _command(["systemctl", "daemon-reload"])
    for verb, units in (("disable", plan.disable), ("enable", plan.enable)):
        if units:
            _command(["systemctl", verb, "--quiet", *units])


def _has(look: t.Callable[[str], t.Any], name: str) -> bool:
    try:
        look(name)
    except KeyError:
        return False
    return True


def _is_enabled(unit: str) -> bool:
    # Without asking systemd, which need not run where an image is made.
    for name in ("multi-user.target.wants", "timers.target.wants", "sockets.target.wants", "graphical.target.wants"):
        if os.path.lexists("/etc/systemd/system/%s/%s" % (name, unit)):
            return True
    return False


def _ids(place: Place) -> tuple[int, int]:
    try:
        return pwd.getpwnam(place.owner).pw_uid, grp.getgrnam(place.group).gr_gid
    except KeyError as exc:
        raise BeamError(
            "setup_failed",
            "%s can't be made" % place.path,
            str(exc.args[0]),
            "Create the account first, or name another one",
        ) from None


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _is_so(place: Place) -> bool:
    try:
        # A directory may be a link to where there is room; a file of ours is none.
        info = os.stat(place.path) if place.content is None else os.lstat(place.path)
        ids = pwd.getpwnam(place.owner).pw_uid, grp.getgrnam(place.group).gr_gid
    except (FileNotFoundError, NotADirectoryError, KeyError):
        return False
    if stat.S_IMODE(info.st_mode) != place.bits or (info.st_uid, info.st_gid) != ids:
        return False
    if place.content is None:
        return stat.S_ISDIR(info.st_mode)
    if not stat.S_ISREG(info.st_mode):
        return False
    if place.once:
        return True
    wanted = place.content.encode()
    if info.st_size != len(wanted):
        return False
    with open(place.path, "rb") as stream:
        return stream.read() == wanted


def _make(place: Place) -> None:
    try:
        _put(place)
    except OSError as exc:
        raise BeamError(
            "setup_failed",
            "%s can't be made" % place.path,
            exc.strerror or str(exc),
            "Run the setup as root, on a disk with room",
        ) from None


def _put(place: Place) -> None:
    uid, gid = _ids(place)
    if place.content is None:
        if not os.path.isdir(place.path):
            os.makedirs(posixpath.dirname(place.path), exist_ok=True)
            os.mkdir(place.path, 0o700)
        os.chown(place.path, uid, gid)
        os.chmod(place.path, place.bits)
        return
    if place.once and stat.S_ISREG(_mode(place.path)):
        os.chown(place.path, uid, gid, follow_symlinks=False)
        os.chmod(place.path, place.bits)
        return
    os.makedirs(posixpath.dirname(place.path), exist_ok=True)
    fresh = "%s.%s.new" % (place.path, secrets.token_hex(8))
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(place.content.encode())
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), place.bits)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, place.path)
    except BaseException:
        os.unlink(fresh)
        raise


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return 0


def _command(words: list[str]) -> None:
    what = "%s failed" % " ".join(words[:2])
    try:
        # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as exc:
        raise BeamError(
            "setup_failed",
            "%s can't be run" % words[0],
            exc.strerror or str(exc),
            "Install it on this server, or in its image",
        ) from None
    try:
        said = process.communicate(timeout=COMMAND_SECONDS)[1]
    except subprocess.TimeoutExpired:
        end(process)
        hint = "Run it by hand on this server, and look at what it waits for"
        raise BeamError("setup_failed", what, "it did not end within %g s" % COMMAND_SECONDS, hint) from None
    if process.returncode:
        why = (said.strip().splitlines() or ["exit status %d" % process.returncode])[-1]
        raise BeamError("setup_failed", what, why, "Run the setup as root")
