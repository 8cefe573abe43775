# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What rollout_journal and rollout_info do: from options to the result.

A step is recorded several times per batch, so it costs two reads at the same time and one write.
"""

from __future__ import annotations

import datetime
import secrets
import typing as t

from .._errors import BeamError, Conflict
from .._release.channel import Stamp, Target
from .._release.names import check_channel, check_digest, check_name, check_rollout, check_version
from .._store.base import Store
from .._store.channels import channel_dict, make_stamp
from .._store.documents import read_channel
from .._store.location import open_store
from .fences import both, persist, read_journal, write_journal
from .history import read_history, write_report
from .journal import KINDS, STEPS, Journal, Opening, Step, check_host, close, open_journal, record
from .keeper import needed
from .lock import Lock, held_by, lost
from .lock_store import Lease, read_lock, renew
from .run_lock import journal_dict, keep_again, lock_dict

Transition = t.Callable[[Journal, Stamp], Journal]


def run_journal(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    name, channel, fence, token, state = (
        check_name(params["name"]),
        check_channel(params["channel"]),
        params["fence"],
        params["token"],
        params["state"],
    )
    store = open_store(params)
    stamp = make_stamp(params.get("by"), fence=fence)
    transition = _transition(state, params, stamp)

    def attempt() -> tuple[Journal, Journal]:
        (lock, lock_etag), (before, etag) = both(
            lambda: read_lock(store, name, channel), lambda: read_journal(store, name, channel)
        )
        if not held_by(lock, token, fence):
            raise lost(lock, fence)
        after = transition(before, stamp)
        if not check_mode:
            _stay_holder(store, lock, lock_etag, params)
            if state == "closed" and after.id:
                write_report(store, name, channel, fence, after.id, params["report"] or {}, params["html"] or "")
            write_journal(store, before, after, etag)
        return before, after

    try:
        before, after = persist(attempt)
    except Conflict as exc:
        if exc.code == "store_conflict":
            raise BeamError(
                "journal_busy",
                exc.what,
                "somebody writes it all the time",
                "Find out who it is, and run the task again",
            ) from exc
        raise
    result = {"changed": after != before, "journal": journal_dict(after)}
    if state == "opened":
        result["interrupted"] = journal_dict(before) if before.unfinished and before.id != after.id else None
    return result


def _stay_holder(store: Store, lock: Lock, etag: str, params: t.Mapping[str, t.Any]) -> None:
    """Where no keeper renews the lock, or that one was killed."""
    holder = lock.holder
    if holder is None:
        return
    if holder.process is None:
        renew(store, lock, etag)
    elif needed(lock, lock.token, lock.serial) and not holder.process.dead:
        keep_again(store, Lease(lock, etag), params, holder.process)


def _transition(state: str, params: t.Mapping[str, t.Any], stamp: Stamp) -> Transition:
    """What the options ask for, checked before the store is asked for anything."""
    hosts = params.get("hosts") or {}
    if state == "opened":
        opening = _opening(params, hosts)
        return lambda journal, stamp: open_journal(journal, opening, stamp)
    if state == "recorded":
        steps = {check_host(host): _step(host, row) for host, row in hosts.items()}
        return lambda journal, stamp: record(journal, steps, bool(params.get("reverting")), stamp)
    outcome = params.get("outcome") or ""
    return lambda journal, stamp: close(journal, outcome, stamp)


def _opening(params: t.Mapping[str, t.Any], hosts: t.Mapping[str, t.Any]) -> Opening:
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    rollout = params.get("id") or "%s-%s" % (now, secrets.token_hex(4))
    stable = params.get("stable")
    if params.get("kind") not in KINDS:
        raise BeamError(
            "option_missing", "kind is missing", "state=opened needs one of %s" % ", ".join(KINDS), "Give kind"
        )
    return Opening(
        check_rollout(rollout),
        params["kind"],
        check_version(params["version"]),
        check_digest(params["digest"]),
        Target(check_version(stable.get("version")), check_digest(stable.get("digest"))) if stable else None,
        str(params.get("strategy") or ""),
        {check_host(host): _version(_row(host, row).get("from")) for host, row in hosts.items()},
    )


def _version(value: t.Any) -> str | None:
    return check_version(value) if value else None


def _row(host: t.Any, row: t.Any) -> t.Mapping[str, t.Any]:
    if row is not None and not isinstance(row, dict):
        raise BeamError(
            "invalid_hosts",
            "what is given of the host %s can't be used" % host,
            "%r is no dictionary" % (row,),
            "Give step, from, out",
        )
    return row or {}


def _step(host: str, given: t.Any) -> Step:
    row = _row(host, given)
    unknown = set(row) - {"step", "from", "out", "seconds", "error"}
    seconds = row.get("seconds")
    if (
        unknown
        or row.get("step") not in STEPS
        or not isinstance(row.get("out"), (bool, type(None)))
        or isinstance(seconds, bool)
    ):
        why = (
            "%s is unknown" % ", ".join(sorted(map(str, unknown)))
            if unknown
            else "step is one of %s, out is true or false" % ", ".join(STEPS)
        )
        raise BeamError(
            "invalid_hosts",
            "the step of the host %s can't be recorded" % host,
            why,
            "Give a dictionary of step, from, out, seconds and error",
        )
    try:
        return Step(
            row["step"],
            _version(row.get("from")),
            row.get("out"),
            None if seconds is None else float(seconds),
            str(row.get("error") or ""),
        )
    except (TypeError, ValueError):
        raise BeamError(
            "invalid_hosts",
            "the step of the host %s can't be recorded" % host,
            "%r are no seconds" % (seconds,),
            "Give a number",
        ) from None


def run_info(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    store, name, channel = open_store(params), check_name(params["name"]), check_channel(params["channel"])
    (lock, _lock_etag), (journal, _etag) = both(
        lambda: read_lock(store, name, channel), lambda: read_journal(store, name, channel)
    )
    pointer, _channel_etag = read_channel(store, name, channel)
    return {
        "changed": False,
        "channel": channel_dict(pointer),
        "lock": lock_dict(lock) if lock.serial else None,
        "journal": journal_dict(journal),
        "unfinished": journal.unfinished,
        "interrupted_hosts": journal.interrupted_hosts(),
        "history": read_history(store, name, channel, params["history"]),
    }
