# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a server that comes up by itself needs before its first release, from kit.json. Without Ansible, and without secrets."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._host.claim import EVERYWHERE, NOTES, UNITS, Account, Claim, Directory, Wanted, check_account, ports_of
from .._host.selinux import advice
from .._host.setup import MODE, Place, Plan, Server, User, apply_plan, plan_of
from .._json import parse_json
from .config import DIRECTORY, parse_config
from .report import Report

SCHEMA = 1
MAX_BYTES = 4 * 1024 * 1024
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]{1,200}\.(?:service|timer|socket|target)")
_PLACE = {"path": str, "owner": str, "group": str, "mode": str}


@dataclass(frozen=True)
class Kit(Server):
    name: str = ""
    adopt: tuple[str, ...] = ()


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
    enable, disable, adopt = (tuple(values[name]) for name in ("enable", "disable", "adopt"))
    kit = Kit(tuple(users), tuple(directories), tuple(files), enable, disable, values["name"], adopt)
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
        if not MODE.fullmatch(place.mode):
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
    return plan_of(kit, claim_of(kit))


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
    apply_plan(plan)
    for text in advice(base_of(kit)):
        report.say(text)
    report.say("The server is ready: %d changes" % len(plan.changes) if plan.changed else "The server was ready")
    return 0
