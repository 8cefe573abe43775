# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whose are the names that a service takes on a host: an account, a group, directories, units and commands?

What exists and is not ours is refused before anything is touched: a release named `ssl` would make /etc/ssl its own. What we took is noted in
/etc/alchemist-beam/<unit>.json before it is made. On a host that was set up before there were notes, the unit file tells.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import posixpath
import pwd
import re
import stat
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._json import parse_json
from .files import write_atomically
from .layout import NAMES

NOTES = "/etc/alchemist-beam"
UNITS = "/etc/systemd/system"
_UNIT_DIRECTORIES = (
    UNITS,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_COMMAND_DIRECTORIES = ("/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# The first line of every file that a template of ours makes; the command for a shell has had this one from the beginning.
_MARKS = ("alchemist.beam contributors", "# A shell in the running node (remote)")
# What release_install and the role make in a base; the rest of what lies there is somebody's.
_OF_A_BASE = {*NAMES, "lost+found"}
# What every Linux system has: where no host is asked, these are refused by their names.
EVERYWHERE = frozenset(
    ["daemon", "bin", "adm", "lp", "mail", "games", "nobody", "sync"]
    + [
        "/etc/" + name
        for name in ("alternatives", "default", "opt", "security", "selinux", "skel", "ssh", "ssl", "systemd")
    ]
)
ACCOUNT_LETTERS = 32  # useradd's limit
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*")


@dataclass(frozen=True)
class Account:
    name: str
    group: str


@dataclass(frozen=True)
class Directory:
    path: str
    owner: str = "root"
    mode: int = 0o755
    base: bool = False  # of releases: what lies there is known


@dataclass(frozen=True)
class Wanted:
    unit: str  # whose note it is
    accounts: tuple[Account, ...] = ()  # that are made where they are missing
    directories: tuple[Directory, ...] = ()
    files: tuple[str, ...] = ()  # units and commands among them
    adopt: frozenset[str] = field(default_factory=frozenset)  # accounts and paths that may be taken as they are
    ports: tuple[int, ...] = ()  # of the distribution: a second application with the same one could not start


@dataclass(frozen=True)
class Note:
    """What is ours, as it was noted."""

    accounts: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


def of_service(
    unit: str,
    instances: t.Sequence[str],
    user: str,
    group: str,
    base: str,
    create_user: bool = True,
    adopt: t.Collection[str] = (),
    ports: t.Sequence[int] = (),
) -> Wanted:
    """What the role `service` takes for a unit, or for the two of its colours."""
    directories = [
        Directory("/etc/" + unit, "root", 0o700),
        Directory("/var/lib/" + unit, user, 0o700),
        Directory(posixpath.normpath(base), base=True),
        *(Directory("/run/" + instance, user, 0o700) for instance in instances),
    ]
    suffixes = [instance[len(unit) :] for instance in instances]
    files = [
        "/etc/%s/env" % unit,
        *("/etc/%s/env%s" % (unit, suffix) for suffix in suffixes if suffix),
        *("%s/%s.service" % (UNITS, instance) for instance in instances),
        *("/usr/local/sbin/%s-remote" % instance for instance in instances),
    ]
    accounts = (Account(user, group),) if create_user else ()
    return Wanted(unit, accounts, tuple(directories), tuple(files), frozenset(adopt), tuple(ports))


def ports_of(unit: str) -> list[str]:
    """The ports of the distribution that the text of a unit gives to its node."""
    return re.findall(r"-erl_epmd_port (\d{1,5})\b", unit)


def check_account(name: str) -> str:
    """A name that useradd takes."""
    what = "The account %s can't be made" % name
    hint = "Give the node another one in service_user"
    if len(name) > ACCOUNT_LETTERS:
        raise BeamError(
            "service_name_invalid",
            what,
            "its name has %d letters, and useradd takes %d" % (len(name), ACCOUNT_LETTERS),
            hint,
        )
    if not _ACCOUNT.fullmatch(name):
        raise BeamError(
            "service_name_invalid",
            what,
            "a name of an account has lower-case letters, digits, _ and -, and begins with a letter",
            hint,
        )
    return name


class Claim:
    """The names of one service on this host."""

    def __init__(self, wanted: Wanted, root: str = "/", notes: str = NOTES) -> None:
        self.wanted = wanted
        self.root = root
        self.notes = notes
        self._others = self._read_notes()
        self._mine = self._others.pop(wanted.unit, Note())
        self._units = self._read_units()

    def check(self) -> None:
        """Refuse everything that exists and is not ours, in one error."""
        made = {account.name for account in self.wanted.accounts}
        for account in self.wanted.accounts:
            for name, there in ((account.name, _user(account.name)), (account.group, _group(account.group))):
                if there is None:
                    check_account(name)
        for directory in self.wanted.directories:
            if directory.owner not in made and _user(directory.owner) is None:
                raise BeamError(
                    "service_account_missing",
                    "%s can't be made" % directory.path,
                    "there is no account %s on this host" % directory.owner,
                    "Create it first, or let the role do it (service_create_user: true)",
                )
        directories = list(self._directories())
        below = {path for path, _why in directories}
        found = [
            *self._accounts(),
            *directories,
            *((path, why) for path, why in self._files() if posixpath.dirname(path) not in below),
        ]
        if not found:
            self._check_ports()
            return
        names = sorted({name for name, _why in found})
        raise BeamError(
            "service_taken",
            "The service %s can't be set up" % self.wanted.unit,
            "it would take what is on this host and is not its own: %s. Nothing was touched"
            % "; ".join(why for _name, why in found),
            "Give the service other names (beam_unit, service_user, beam_base), or, if this is the application's own, say so: service_adopt: %s"
            % json.dumps(names),
            taken=names,
        )

    def _check_ports(self) -> None:
        for port, unit in self._ports_of_others():
            if port in self.wanted.ports:
                raise BeamError(
                    "service_port_taken",
                    "The service %s can't be set up" % self.wanted.unit,
                    "port %d of its distribution is that of the service %s on this host, so only one of the two could run. Nothing was touched"
                    % (port, unit),
                    "Give one of them another: service_dist_port: %d" % (port + 10),
                )

    def _ports_of_others(self) -> t.Iterator[tuple[int, str]]:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._at(UNITS))):
                path = posixpath.join(UNITS, name)
                owner = self._unit_of(path) if name.endswith(".service") else ""
                if owner not in ("", self.wanted.unit):
                    yield from ((int(port), owner) for port in ports_of(self._text(path)))

    @property
    def note(self) -> bytes:
        accounts = {account.name for account in self.wanted.accounts} | self._mine.accounts
        # A group that was there under another name is somebody's, and stays it.
        accounts |= {
            account.group
            for account in self.wanted.accounts
            if account.group == account.name or _group(account.group) is None
        }
        paths = {directory.path for directory in self.wanted.directories} | set(self.wanted.files) | self._mine.paths
        document = {"schema": 1, "unit": self.wanted.unit, "accounts": sorted(accounts), "paths": sorted(paths)}
        return (json.dumps(document, indent=1) + "\n").encode()

    @property
    def path(self) -> str:
        return posixpath.join(self.notes, self.wanted.unit + ".json")

    @property
    def noted(self) -> bool:
        try:
            with open(self._at(self.path), "rb") as stream:
                return stream.read() == self.note
        except OSError:
            return False

    def take(self) -> None:
        """Record the names before anything is made. A run that died in between recognises its own things again."""
        place = self._at(self.notes)
        try:
            os.makedirs(place, 0o755, exist_ok=True)
            write_atomically(self._at(self.path), self.note, place)
        except OSError as exc:
            raise BeamError(
                "setup_failed",
                "%s can't be written" % self.path,
                exc.strerror or str(exc),
                "Run the setup as root, on a disk with room",
            ) from None

    # What exists.
    def _at(self, path: str) -> str:
        return path if self.root == "/" else self.root.rstrip("/") + path

    def _text(self, path: str) -> str:
        try:
            with open(self._at(path), encoding="utf-8", errors="replace") as stream:
                return stream.read(1 << 16)
        except OSError:
            return ""

    def _read_notes(self) -> dict[str, Note]:
        found = {}
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._at(self.notes))):
                # A note that can't be read says nothing; the unit file is asked then.
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    document = parse_json(self._text(posixpath.join(self.notes, name)))
                    found[str(document["unit"])] = Note(
                        frozenset(map(str, document["accounts"])), frozenset(map(str, document["paths"]))
                    )
        return found

    def _read_units(self) -> dict[str, list[str]]:
        """The lines of the unit files that this service has here already, whatever version of the role made them, by path."""
        found = {}
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._at(UNITS))):
                path = posixpath.join(UNITS, name)
                if name.endswith(".service") and self._unit_of(path) == self.wanted.unit:
                    found[path] = self._text(path).splitlines()
        return found

    def _unit_of(self, path: str) -> str:
        """The service whose unit file this is; empty where the role did not make it."""
        text = self._text(path)
        state = re.search(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
        return state.group(1) if state and _MARKS[0] in text else ""

    # Whose it is.
    def _ours(self, name: str) -> bool:
        return name in self.wanted.adopt or any(name in note.paths for note in (self._mine, *self._others.values()))

    def _known(self, account: str) -> bool:
        return account in self.wanted.adopt or any(
            account in note.accounts for note in (self._mine, *self._others.values())
        )

    def _said(self, line: str) -> bool:
        """Whether a unit of ours, of whatever age, says so."""
        return any(line in lines for lines in self._units.values())

    def _accounts(self) -> t.Iterator[tuple[str, str]]:
        for account in self.wanted.accounts:
            user = _user(account.name)
            if user is not None and not self._known(account.name) and not self._said("User=" + account.name):
                yield account.name, "the account %s (uid %d, home %s)" % (account.name, user.pw_uid, user.pw_dir)
            # A group of another name was chosen by somebody: the role does not change it.
            mine = self._known(account.group) or self._said("Group=" + account.group)
            if account.group == account.name and user is None and not mine and _group(account.group) is not None:
                yield account.group, "the group %s, whose rights the node would have" % account.group

    def _directories(self) -> t.Iterator[tuple[str, str]]:
        wanted = {directory.path for directory in self.wanted.directories}
        for directory in self.wanted.directories:
            if (
                posixpath.dirname(directory.path) in wanted
                or self._ours(directory.path)
                or self._by_unit(directory.path)
            ):
                continue
            why = self._objection(directory)
            if why:
                yield directory.path, why

    def _by_unit(self, path: str) -> bool:
        """The directories that a unit of ours names."""
        parent, name = posixpath.split(path)
        starts = any(line.startswith("ExecStart=%s/" % path) for lines in self._units.values() for line in lines)
        return (
            starts
            or self._said("EnvironmentFile=%s/env" % path)
            or self._said("WorkingDirectory=" + path)
            or (parent == "/run" and self._said("RuntimeDirectory=" + name))
        )

    def _objection(self, directory: Directory) -> str:
        place = self._at(directory.path)
        try:
            info = os.stat(place)
        except FileNotFoundError:
            return "" if not os.path.islink(place) else "%s, a symlink to nothing" % directory.path
        except OSError as exc:
            return "%s (%s)" % (directory.path, exc.strerror)
        if not stat.S_ISDIR(info.st_mode):
            return "%s, which is no directory" % directory.path
        mode = stat.S_IMODE(info.st_mode)
        owner = _user_name(info.st_uid)
        entries = set(os.listdir(place))
        text = "%s (%s's, mode %04o%s)" % (directory.path, owner, mode, ", not empty" if entries else "")
        if mode & stat.S_ISVTX:
            return text
        if directory.base:
            # Of a base that somebody chose, the role changes nothing where owner and mode are right; /srv/<name> is made up from the name.
            chosen = not directory.path.startswith("/srv/")
            same = (info.st_uid, mode) == (0, 0o755)
            return "" if not entries - _OF_A_BASE or "state.json" in entries or (chosen and same) else text
        if owner == directory.owner and (mode == directory.mode or directory.owner != "root"):
            return ""  # nothing is taken from anybody
        # /run/<unit> goes away with the unit, whatever is in it then.
        return "" if not entries - {"lost+found"} and not directory.path.startswith(("/etc/", "/run/")) else text

    def _files(self) -> t.Iterator[tuple[str, str]]:
        for path in self.wanted.files:
            if path in self.wanted.adopt or path in self._mine.paths:
                continue
            owner = self._unit_of(path)
            if owner not in ("", self.wanted.unit):
                yield path, "the unit %s of the service %s" % (path, owner)
            elif not self._ours(path) and path not in self._units:
                yield from self._file(path)

    def _file(self, path: str) -> t.Iterator[tuple[str, str]]:
        directory, name = posixpath.split(path)
        if os.path.lexists(self._at(path)) and not any(mark in self._text(path) for mark in _MARKS):
            yield path, "the file %s" % path
        elif directory == UNITS and name.endswith(".service"):
            stem = name[: -len(".service")]
            # A socket or a timer would start ours; a unit of a package would be hidden by ours.
            others = [
                posixpath.join(place, stem + kind)
                for place in _UNIT_DIRECTORIES
                for kind in (".service", ".socket", ".timer", ".path")
            ]
            others = [
                other
                for other in [*others, "/etc/init.d/" + stem]
                if other != path and not self._marked(other) and os.path.lexists(self._at(other))
            ]
            if others:
                yield path, "the unit %s" % others[0]
        elif directory == "/usr/local/sbin":
            others = [posixpath.join(place, name) for place in _COMMAND_DIRECTORIES]
            others = [other for other in others if os.path.lexists(self._at(other)) and not self._marked(other)]
            if others:
                yield path, "the command %s" % others[0]

    def _marked(self, path: str) -> bool:
        return any(mark in self._text(path) for mark in _MARKS)


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _group(name: str) -> grp.struct_group | None:
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
