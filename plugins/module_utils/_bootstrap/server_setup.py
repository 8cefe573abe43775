# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a server needs before its first release: users, directories, files and units, from kit.json. Without Ansible, and without secrets.

A plan is what differs; where nothing does, nothing is written.
"""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import re
import secrets
import stat
import subprocess
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._host.claim import EVERYWHERE, NOTES, UNITS, Account, Claim, Directory, Wanted, check_account, ports_of
from .._host.selinux import advice
from .._json import parse_json
from .._node.process import end
from .config import DIRECTORY, parse_config
from .report import Report

SCHEMA = 1
MAX_BYTES = 4 * 1024 * 1024
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]{1,200}\.(?:service|timer|socket|target)")
_MODE = re.compile(r"0[0-7]{3}")
_PLACE = {"path": str, "owner": str, "group": str, "mode": str}


COMMAND_SECONDS = 120.0  # of systemd, useradd and the like


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
    content: str | None = None  # None: a directory

    @property
    def bits(self) -> int:
        return int(self.mode, 8)


@dataclass(frozen=True)
class Kit:
    name: str
    users: tuple[User, ...] = ()
    directories: tuple[Place, ...] = ()
    files: tuple[Place, ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    kit: Kit
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


def parse_kit(data: bytes, where: str) -> Kit:
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_BYTES)
        document = parse_json(data)
    except ValueError as exc:
        raise BeamError("config_invalid", "%s can't be read" % where, str(exc), "Make it again") from None
    return kit_of(document, where)


def kit_of(document: t.Any, where: str) -> Kit:
    """document: as in kit.json."""
    lists = {"users": list, "directories": list, "files": list, "enable": list, "disable": list, "adopt": list}
    values = _members(document, {"schema": int, "name": str, **lists}, where, "it", optional=set(lists))
    if values["schema"] != SCHEMA:
        raise _refuse(where, "schema", "this collection reads %d" % SCHEMA)
    users = [User(**_members(one, {"name": str, "group": str, "home": str}, where, "users")) for one in values["users"]]
    directories = [Place(**_members(one, _PLACE, where, "directories")) for one in values["directories"]]
    files = [Place(**_members(one, {**_PLACE, "content": str}, where, "files")) for one in values["files"]]
    more = [tuple(values[name]) for name in ("enable", "disable", "adopt")]
    kit = Kit(values["name"], tuple(users), tuple(directories), tuple(files), *more)
    _check(kit, where)
    return kit


def config_path(kit: Kit) -> str:
    return posixpath.join(DIRECTORY, kit.name + ".json")


def _check(kit: Kit, where: str) -> None:
    try:
        for user in kit.users:
            check_account(user.name)
            check_account(user.group)
    except BeamError as exc:
        raise BeamError(
            "config_invalid", "%s can't be used" % where, "users: %s: %s" % (exc.what, exc.why), exc.hint, key="users"
        ) from None
    taken = {account for user in kit.users for account in (user.name, user.group)} | {
        place.path for place in kit.directories
    }
    system = sorted(taken & EVERYWHERE - set(kit.adopt))
    if system:
        hint = "Give the service another name in beam_unit (bootstrap_unit)"
        raise BeamError(
            "config_invalid",
            "%s can't be used" % where,
            "%s is the system's on every server" % system[0],
            hint,
            key="users",
        )
    for place in (*kit.directories, *kit.files):
        if not place.path.startswith("/") or posixpath.normpath(place.path) != place.path:
            raise _refuse(where, "path", "%r is no plain absolute path" % place.path)
        if not _MODE.fullmatch(place.mode):
            raise _refuse(where, "mode", "%r is no mode such as 0644" % place.mode)
    for unit in (*kit.enable, *kit.disable):
        if not isinstance(unit, str) or not _UNIT.fullmatch(unit):
            raise _refuse(where, "enable", "%r is no unit" % (unit,))
    # What the server would refuse at its boot is refused where somebody looks.
    configs = [file for file in kit.files if posixpath.dirname(file.path) == DIRECTORY]
    for file in configs:
        config = parse_config((file.content or "").encode(), "%s of %s" % (file.path, where))
        if file.path == config_path(kit) and config.name != kit.name:
            raise _refuse(where, "name", "the configuration is of %s" % config.name)
    if config_path(kit) not in [file.path for file in configs]:
        raise _refuse(where, "files", "%s is not among them" % config_path(kit))


def _members(
    value: t.Any, types: t.Mapping[str, type], where: str, key: str, optional: t.Collection[str] = ()
) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise _refuse(where, key, "it is no JSON object")
    unknown = sorted(map(str, set(value) - set(types)))
    if unknown:
        raise _refuse(where, "%s.%s" % (key, unknown[0]), "there is no such key")
    for name, kind in types.items():
        if name not in value and name not in optional:
            raise _refuse(where, "%s.%s" % (key, name), "it is missing")
        if name in value and (not isinstance(value[name], kind) or isinstance(value[name], bool)):
            raise _refuse(where, "%s.%s" % (key, name), "it must be of type %s" % kind.__name__)
    return {**{name: [] for name in optional}, **value}


def _refuse(where: str, key: str, why: str) -> BeamError:
    return BeamError(
        "config_invalid", "%s can't be used" % where, "%s: %s" % (key, why), "Correct it where it comes from", key=key
    )


def base_of(kit: Kit) -> str:
    return next(
        parse_config((file.content or "").encode(), file.path).base
        for file in kit.files
        if file.path == config_path(kit)
    )


def claim_of(kit: Kit) -> Claim:
    """What the kit takes on this host. What lies in the bootstrap's own directory is the bootstrap's."""
    units = [
        file.path[len(UNITS) + 1 : -len(".service")]
        for file in kit.files
        if file.path.startswith(UNITS + "/") and file.path.endswith(".service")
    ]
    base = base_of(kit)
    directories = [
        Directory(place.path, place.owner, place.bits, place.path == base)
        for place in kit.directories
        if place.path != DIRECTORY
    ]
    files = [file.path for file in kit.files if posixpath.dirname(file.path) != DIRECTORY]
    wanted = Wanted(
        next((unit for unit in units if "@" not in unit), kit.name),
        tuple(Account(user.name, user.group) for user in kit.users),
        tuple(directories),
        tuple(files),
        frozenset(kit.adopt),
        tuple(
            int(port)
            for file in kit.files
            if file.path.startswith(UNITS + "/")
            for port in ports_of(file.content or "")
        ),
    )
    return Claim(wanted, notes=posixpath.join(posixpath.dirname(DIRECTORY), posixpath.basename(NOTES)))


def plan_setup(kit: Kit) -> Plan:
    claim = claim_of(kit)
    claim.check()
    groups = tuple(dict.fromkeys(user.group for user in kit.users if not _has(grp.getgrnam, user.group)))
    users = tuple(user for user in kit.users if not _has(pwd.getpwnam, user.name))
    places = tuple(place for place in (*kit.directories, *kit.files) if not _is_so(place))
    enable = tuple(unit for unit in kit.enable if not _is_enabled(unit))
    disable = tuple(unit for unit in kit.disable if _is_enabled(unit))
    changes = (
        *("group %s" % name for name in groups),
        *("user %s" % user.name for user in users),
        *(place.path for place in places),
        *("enable %s" % unit for unit in enable),
        *("disable %s" % unit for unit in disable),
    )
    # A note of what is there already is no change of the server.
    return Plan(kit, groups, users, places, enable, disable, changes, None if claim.noted else claim)


def apply_setup(plan: Plan) -> None:
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


def run_setup(path: str, report: Report) -> int:
    """The command `setup` of the bootstrap."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise BeamError(
            "config_missing", "%s can't be read" % path, exc.strerror or str(exc), "Unpack the bundle again"
        ) from None
    kit = parse_kit(data, path)
    report.name = kit.name
    plan = plan_setup(kit)
    apply_setup(plan)
    for text in advice(base_of(kit)):
        report.say(text)
    report.say("The server is ready: %d changes" % len(plan.changes) if plan.changed else "The server was ready")
    return 0


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
            "setup_failed", "%s can't be made" % place.path, str(exc.args[0]), "Name the account in the kit"
        ) from None


def _is_so(place: Place) -> bool:
    try:
        info = os.lstat(place.path)
        ids = pwd.getpwnam(place.owner).pw_uid, grp.getgrnam(place.group).gr_gid
    except (FileNotFoundError, NotADirectoryError, KeyError):
        return False
    if stat.S_IMODE(info.st_mode) != place.bits or (info.st_uid, info.st_gid) != ids:
        return False
    if place.content is None:
        return stat.S_ISDIR(info.st_mode)
    wanted = place.content.encode()
    if not stat.S_ISREG(info.st_mode) or info.st_size != len(wanted):
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
        if not stat.S_ISDIR(_mode(place.path)):
            os.makedirs(posixpath.dirname(place.path), exist_ok=True)
            os.mkdir(place.path, 0o700)
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
