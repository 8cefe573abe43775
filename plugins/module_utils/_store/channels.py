# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Moving a channel: a pure transition of _release/channel.py between a read and a compare-and-swap."""

from __future__ import annotations

import datetime
import getpass
import secrets
import socket
import time
import typing as t
from dataclasses import dataclass, replace

from .._errors import BeamError, Conflict
from .._json import parse_json
from .._mask import NOTHING_NAMED
from .._release.channel import (
    LAST_SERIAL,
    MAX_CHANNEL_BYTES,
    Channel,
    Stamp,
    Target,
    add_ghost,
    promote,
    propose,
    refuse_older_fence,
    remove_ghost,
    require,
    roll_back,
    spent,
    withdraw,
)
from .._release.names import check_channel, check_name
from .._release.requires import Requires, parse_requires
from .base import Store
from .check import prove_conditions
from .documents import read_channel, read_channel_anyhow, read_version, resolve
from .intact import lost_write
from .keys import channel_key, names_in, prefix
from .location import open_store
from .parallel import parallel
from .required import apply_requires

Transition = t.Callable[[Channel, Stamp], Channel]


@dataclass(frozen=True)
class ChannelPlan:
    before: Channel
    after: Channel
    etag: str | None  # of what before was read from; None where it does not exist yet
    stamp: Stamp

    @property
    def changed(self) -> bool:
        return self.after != self.before


def make_stamp(by: str | None = None, now: datetime.datetime | None = None, fence: int | None = None) -> Stamp:
    now = now or datetime.datetime.now(datetime.timezone.utc)
    return Stamp(by or whoami(), now.strftime("%Y-%m-%dT%H:%M:%SZ"), secrets.token_hex(16), fence)


def whoami() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such uid in the passwd file
        user = "unknown"
    return "%s@%s" % (user, socket.gethostname())


def find_target(store: Store, name: str, version: str | None, digest: str | None) -> Target:
    """The published release that version or digest names; both may be given, and then have to agree."""
    found = resolve(store, name, version=None if digest else version, digest=digest)
    if version and found.version != version:
        raise BeamError(
            "version_digest_differ",
            "%s %s can't be found" % (name, version),
            "the digest %s is of the version %s" % (found.digest[:12], found.version),
            "Give one of them",
        )
    return Target(found.version, found.digest)


def plan_channel(
    store: Store,
    name: str,
    channel: str,
    transition: Transition,
    stamp: Stamp,
    serial: int | None = None,
    anew: bool = False,
) -> ChannelPlan:
    """serial: what the caller has seen the channel at (0: that it does not exist); Conflict where it moved on since.

    anew: a document that can't be read, or whose counters can't go on, is written anew.
    """
    before, etag = (_anew if anew else read_channel)(store, check_name(name), check_channel(channel))
    refuse_older_fence(before, stamp)
    if serial is not None and before.serial != serial:
        raise _conflict(before, "serial %d was expected" % serial)
    return ChannelPlan(before, transition(before, stamp), etag, stamp)


def _anew(store: Store, name: str, channel: str) -> tuple[Channel, str | None]:
    """If its former serial is unknown, it starts with the time: there were never as many promotions as seconds since 1970."""
    value, etag, why = read_channel_anyhow(store, name, channel)
    if not why and value is not None and not spent(value):
        return value, etag
    now = int(time.time())
    value = value or Channel(name, channel, requires=_still_required(store, name, channel))
    return replace(
        value,
        serial=value.serial if 0 < value.serial < LAST_SERIAL else now,
        fence=value.fence if 0 < value.fence < LAST_SERIAL else now,
    ), etag


def _still_required(store: Store, name: str, channel: str) -> Requires | None:
    """What a document that makes no sense otherwise says of gates: writing it anew is no way past them."""
    try:
        return parse_requires(parse_json(store.get(channel_key(name, channel), MAX_CHANNEL_BYTES).data)["requires"])
    except (BeamError, ValueError, KeyError, TypeError):
        return None


def apply_channel(store: Store, plan: ChannelPlan) -> Channel:
    if not plan.changed:
        return plan.before
    prove_conditions(store)
    name, channel = plan.after.name, plan.after.channel
    try:
        etag = store.replace(channel_key(name, channel), plan.after.to_bytes(), plan.etag)
    except Conflict as exc:
        now, _etag = read_channel(store, name, channel)
        if now.token == plan.after.token:  # our own write, its answer was lost
            return plan.after
        refuse_older_fence(now, plan.stamp)
        raise _conflict(now, "somebody else was faster") from exc
    _stored(store, plan)
    _still_there(store, plan, etag)
    return plan.after


def _stored(store: Store, plan: ChannelPlan) -> None:
    """A server may say that it wrote and keep what was there. Somebody else's later write is no such thing: its serial is higher."""
    if store.needs_proof and read_channel(store, plan.after.name, plan.after.channel)[0].serial < plan.after.serial:
        raise lost_write(
            store, channel_key(plan.after.name, plan.after.channel), "what was there before is there still"
        )


def _still_there(store: Store, plan: ChannelPlan, etag: str) -> None:
    """A release may have been removed between our look at it and our write: then the channel goes back."""
    new = [x for x in plan.after.targets() if x not in plan.before.targets()]
    gone = [x for x in new if read_version(store, plan.after.name, x.version) is None]
    if not gone:
        return
    stamp = make_stamp(plan.after.by)
    back = Channel(
        **{
            **vars(plan.before),
            "name": plan.after.name,
            "channel": plan.after.channel,
            "serial": plan.after.serial + 1,
            "by": stamp.by,
            "at": stamp.at,
            "token": stamp.token,
            "fence": plan.after.fence,
        }
    )
    store.replace(channel_key(plan.after.name, plan.after.channel), back.to_bytes(), etag)
    raise Conflict(
        "release_removed",
        "the channel %s of %s can't point to %s" % (plan.after.channel, plan.after.name, gone[0].version),
        "that release was removed from the store at the same moment",
        "Publish it again, then promote it",
    )


def _conflict(now: Channel, why: str) -> Conflict:
    if now.serial == 0:
        return Conflict(
            "channel_conflict",
            "the channel %s of %s was not changed" % (now.channel, now.name),
            "%s: it does not exist" % why,
            "Promote without serial",
        )
    points_to = now.stable.version if now.stable else "nothing"
    return Conflict(
        "channel_conflict",
        "the channel %s of %s was not changed" % (now.channel, now.name),
        "%s: %s set it to %s at %s (serial %d)" % (why, now.by or "somebody", points_to, now.at, now.serial),
        "Look whether that is right; if your change is still wanted, run the task again",
        channel=channel_dict(now),
    )


def channel_dict(channel: Channel) -> dict[str, t.Any]:
    """As in the document: for results and diffs."""
    document: dict[str, t.Any] = parse_json(channel.to_bytes())
    return document


def list_channels(store: Store, name: str) -> list[Channel]:
    names = names_in(store.list(prefix(name, "channels")), ".json", check_channel)[1]
    return parallel(lambda channel: read_channel(store, name, channel)[0], names)


def run_channel(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """What release_channel does: from options to the result."""
    store = open_store(params)
    name, channel, state, force = (
        check_name(params["name"]),
        check_channel(params["channel"]),
        params["state"],
        bool(params.get("force")),
    )
    target: Target | None = None
    if params.get("version") or params.get("digest"):
        target = find_target(store, name, params.get("version"), params.get("digest"))
    elif state not in ("rolled_back", "withdrawn", "required"):
        raise BeamError(
            "option_missing",
            "version is missing",
            "state=%s needs a version or a digest" % state,
            "Give version or digest",
        )
    stamp = make_stamp(params.get("by"), fence=params.get("fence"))
    requires = parse_requires(params.get("requires") or {})
    transition = _transition(state, target, NOTHING_NAMED.text(params.get("reason") or ""), force, requires)
    plan = plan_channel(store, name, channel, transition, stamp, params.get("serial"), force and state == "promoted")
    # Before anything is written; the compare-and-swap then holds what was required when it was compared.
    required, gates = apply_requires(store, plan.before, plan.after, params.get("break_glass") or "")
    plan = replace(plan, after=required)
    after = plan.after if check_mode else apply_channel(store, plan)
    where = "%s/%s" % (store.location, channel_key(name, channel))
    return {
        "changed": plan.changed,
        "channel": channel_dict(after),
        "previous_serial": plan.before.serial,
        "gates": gates,
        "diff": {
            "before_header": where,
            "after_header": where,
            "before": plan.before.to_bytes().decode("ascii") if plan.before.serial else "",
            "after": after.to_bytes().decode("ascii") if after.serial else "",
        },
    }


def _transition(
    state: str, target: Target | None, reason: str, force: bool, requires: Requires | None = None
) -> Transition:
    if state == "required":
        return lambda channel, stamp: require(channel, requires, stamp)
    if state == "rolled_back":
        return lambda channel, stamp: _roll_back(channel, stamp, target, reason, force)
    if state == "withdrawn":
        return withdraw
    if target is None:
        raise AssertionError("run_channel has seen to it")
    wanted = target
    transitions: dict[str, Transition] = {
        "promoted": lambda channel, stamp: promote(channel, wanted, stamp, force),
        "proposed": lambda channel, stamp: propose(channel, wanted, stamp, force),
        "ghosted": lambda channel, stamp: add_ghost(channel, wanted, reason, stamp),
        "unghosted": lambda channel, stamp: remove_ghost(channel, wanted, stamp),
    }
    return transitions[state]


def _roll_back(channel: Channel, stamp: Stamp, target: Target | None, reason: str, force: bool) -> Channel:
    """Rolling back to what is stable already, when it was named, is done: the second run of the same task."""
    if target is not None and channel.stable == target:
        return channel
    return roll_back(channel, stamp, target, reason or "rolled back", force)


def run_channel_info(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    store = open_store(params)
    name = check_name(params["name"])
    if params.get("channel"):
        value, _etag = read_channel(store, name, check_channel(params["channel"]))
        found = [value] if value.serial else []
    else:
        found = list_channels(store, name)
    channels = [channel_dict(value) for value in found]
    return {
        "changed": False,
        "channel": channels[0] if params.get("channel") and channels else None,
        "channels": channels,
    }
