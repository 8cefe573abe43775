# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What rollout_lock does: from options to the result."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._release.channel import Channel, Stamp
from .._release.names import check_channel, check_name
from .._store.base import Store
from .._store.channels import channel_dict, make_stamp, whoami
from .._store.location import open_store
from .fences import Fenced, highest, raise_fences, read_fenced, read_journal
from .journal import Journal
from .keeper import Keeper, end_keeper, fork_keeper
from .lock import Lock, free
from .lock_store import Lease, Want, acquire, give_back, read_lock, renew, take_away
from .mend import channel_before, fence_channel, fence_journal, tolerant
from .process import Process, controller

MIN_TTL = 3
MAX_TTL = 86400


def run_lock(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    name, channel = check_name(params["name"]), check_channel(params["channel"])
    store = open_store(params)
    if params["state"] == "released":
        return _released(store, name, channel, params["token"], check_mode)
    if params["state"] == "broken":
        return _broken(store, name, channel, make_stamp(params.get("by")), check_mode)
    return _foretell(store, name, channel) if check_mode else _held(store, name, channel, params)


def _held(store: Store, name: str, channel: str, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    watched = controller(params.get("controller_pid"))
    if watched is None and params.get("controller_pid") is not None:
        raise BeamError(
            "controller_missing",
            "the lock of %s on the channel %s was not taken" % (name, channel),
            "no process %d runs here" % params["controller_pid"],
            "Leave out controller_pid",
        )
    ttl = params["ttl"] if watched else params["ttl_without_keeper"]
    for option, value in (("ttl", params["ttl"]), ("ttl_without_keeper", params["ttl_without_keeper"])):
        if not MIN_TTL <= value <= MAX_TTL:
            raise BeamError(
                "invalid_ttl",
                "%s: %s can't be used" % (option, value),
                "it must be %d to %d seconds" % (MIN_TTL, MAX_TTL),
                "Give another one",
            )
    want = Want(name, channel, params.get("by") or whoami(), params.get("purpose") or "", ttl, max(0, params["wait"]))
    lease, fenced = hold(
        store, want, watched, lambda lock, process: fork_keeper(lambda: open_store(params), lock, process)
    )
    note = (
        ""
        if watched
        else "no process of this machine runs the play, so the lock is renewed by each rollout_journal only, and lasts %d seconds"
        % ttl
    )
    result = _result(True, lease.lock, fenced, note)
    result["lock"].update(token=lease.lock.token, taken_from=lease.taken_from.owner if lease.taken_from else None)
    return result


def hold(
    store: Store, want: Want, process: Process | None, fork: t.Callable[[Lock, Process], Keeper] | None
) -> tuple[Lease, Fenced]:
    """The lock, with the fences raised and a keeper for it, in the name of process.

    Until that is confirmed, the lock is in the name of this process: if it dies before, it is seen to be dead.
    """
    lease = acquire(store, want, lambda: highest(read_fenced(store, want.name, want.channel)))
    keeper: Keeper | None = None
    try:
        fenced = raise_fences(store, want.name, want.channel, make_stamp(want.owner, fence=lease.lock.serial))
        keeper = fork(lease.lock, process) if fork and process else None
        confirmed = renew(store, lease.lock, lease.etag, process=process, keeper=keeper and keeper.process)
        if keeper:
            keeper.go(confirmed)
    except BaseException:
        if keeper:
            keeper.cancel()
        _give_up(store, lease)
        raise
    return Lease(confirmed.lock, confirmed.etag, lease.taken_from), fenced


def _give_up(store: Store, lease: Lease) -> None:
    try:
        give_back(store, lease.lock.name, lease.lock.channel, lease.lock.token)
    except BeamError:
        pass  # the earlier failure is the one to report


def keep_again(store: Store, lease: Lease, params: t.Mapping[str, t.Any], watched: Process) -> Lease:
    """Another keeper for a lock that is ours, whose own was killed."""
    keeper = fork_keeper(lambda: open_store(params), lease.lock, watched)
    try:
        renewed = renew(store, lease.lock, lease.etag, keeper=keeper.process)
    except BaseException:
        keeper.cancel()
        raise
    keeper.go(renewed)
    return renewed


def _foretell(store: Store, name: str, channel: str) -> dict[str, t.Any]:
    """Check mode: who holds it, and nothing is written."""
    lock, _etag = read_lock(store, name, channel)
    available = free(lock)
    return _result(
        available,
        lock,
        read_fenced(store, name, channel),
        "" if available or lock.holder is None else lock.holder.describe(),
    )


def _released(store: Store, name: str, channel: str, token: str, check_mode: bool) -> dict[str, t.Any]:
    lock, _etag = read_lock(store, name, channel)
    former = lock if lock.token == token and lock.holder else None
    if former and not check_mode:
        lock, former = give_back(store, name, channel, token)
        if former:
            end_keeper(former)
    note = ""
    if former is None:
        who = lock.holder.describe() if lock.holder else "nobody holds it"
        note = "the lock of %s on the channel %s was not ours any more: %s" % (name, channel, who)
    return _result(former is not None, lock, None, note)


def _broken(store: Store, name: str, channel: str, stamp: Stamp, check_mode: bool) -> dict[str, t.Any]:
    before, channel_note = channel_before(
        store, name, channel
    )  # a damaged document must not keep the lock from being broken
    journal, journal_note = tolerant(lambda: read_journal(store, name, channel)[0])
    journal_before = journal
    above = max(before.fence if before else 0, journal.fence if journal else 0)
    lock, former, changed = take_away(store, name, channel, above, check_mode)
    channel_now = before
    if not check_mode:
        # Even if nobody holds the lock: the process that broke it may have died before this.
        raised = Stamp(stamp.by, stamp.at, stamp.token, lock.serial)
        channel_now, channel_note = fence_channel(store, name, channel, raised)
        journal, journal_note = fence_journal(store, name, channel, raised)
        end_keeper(former)
    broken = former.holder
    note = " ".join(filter(None, (channel_note, journal_note)))
    fenced = Fenced(channel_now or Channel(name, channel), journal or Journal(name, channel))
    result = _result(changed or (channel_now, journal) != (before, journal_before), lock, fenced, note)
    result["lock"]["taken_from"] = broken and broken.owner
    result["broken"] = broken and broken.facts()
    return result


def lock_dict(lock: Lock) -> dict[str, t.Any]:
    """For results; only its holder gets the token."""
    holder = lock.holder
    facts: dict[str, t.Any] = (
        holder.facts() if holder else dict.fromkeys(("owner", "purpose", "since", "renewed", "ttl"))
    )
    return {
        "serial": lock.serial,
        "token": None,
        "taken_from": None,
        "held": holder is not None,
        "dead": holder is not None and free(lock),
        **facts,
    }


def journal_dict(journal: Journal | None) -> dict[str, t.Any] | None:
    """As in the document; None where there is none, or nothing in it but its fence."""
    return journal.document() if journal and journal.id else None


def _result(changed: bool, lock: Lock, fenced: Fenced | None, note: str) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {"changed": changed, "lock": lock_dict(lock), "note": note}
    if fenced:
        result["channel"] = channel_dict(fenced.channel) if fenced.channel.serial else None
        result["journal"] = journal_dict(fenced.journal)
    return result
