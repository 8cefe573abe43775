# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Whether a release may become candidate or stable on its channel: what the channel requires, compared with the statements of the release's commit."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import asdict, replace

from .._errors import BeamError
from .._mask import NOTHING_NAMED
from .._release.channel import Channel, Target
from .._release.gates import check_commit
from .._release.requires import Checked, Glass, check
from .base import Store
from .documents import read_manifest
from .gates import read_statements

# What the store holds is wrong. That it can't be asked is an error of its own, which no reason lets through.
_WRONG = ("statement_invalid", "statements_too_many", "store_object_too_large", "invalid_commit")


def newly_named(before: Channel, after: Channel) -> list[Target]:
    """What becomes candidate or stable, and was named by the channel in no way. So the way back to `previous` is always open."""
    pointed = dict.fromkeys(target for target in (after.candidate, after.stable) if target is not None)
    return [target for target in pointed if target not in before.targets()]


def apply_requires(
    store: Store, before: Channel, after: Channel, break_glass: str, now: datetime.datetime | None = None
) -> tuple[Channel, list[dict[str, t.Any]]]:
    """The channel that is to be written, and what was found of each gate. Refused, if the release does not fulfil what is required."""
    requires = before.requires
    if requires is None or after is before:
        return after, []
    found: list[dict[str, t.Any]] = []
    for target in newly_named(before, after):
        rows = _rows(store, before, target, now or datetime.datetime.now(datetime.timezone.utc))
        found += [{"version": target.version, **asdict(row)} for row in rows]
        bad = [row for row in rows if not row.ok]
        if not bad:
            continue
        unmet = "; ".join("%s is %s (%s)" % (row.gate, row.verdict, row.note) for row in bad)
        reason = NOTHING_NAMED.text(break_glass.strip())
        if not reason:
            raise _refuse(before, target, unmet, rows)
        after = replace(
            after, glass=Glass(target.version, target.digest, reason[:500], unmet[:2000], after.by, after.at)
        )
    return after, found


def _rows(store: Store, channel: Channel, target: Target, now: datetime.datetime) -> tuple[Checked, ...]:
    requires = channel.requires
    if requires is None:
        return ()
    try:
        origin = read_manifest(store, channel.name, target.digest).provenance
        if not origin.git_sha or origin.git_dirty:
            return _none(requires.names, "the release was not built from a commit")
        commit = check_commit(origin.git_sha)
        filed = read_statements(store, channel.name, commit, set(requires.names))
    except BeamError as exc:
        if exc.code not in _WRONG:
            raise
        return _none(requires.names, exc.message.rstrip("."))
    return check(requires, (one.statement for one in filed), now)


def _none(names: t.Iterable[str], why: str) -> tuple[Checked, ...]:
    return tuple(Checked(name, "missing", note=why) for name in names)


def _refuse(channel: Channel, target: Target, unmet: str, rows: t.Iterable[Checked]) -> BeamError:
    return BeamError(
        "gates_unmet",
        "%s %s can't be picked on the channel %s" % (channel.name, target.version, channel.channel),
        "the channel requires gates: %s" % unmet,
        "Run the gates of its commit (playbook alchemist.beam.gate), or give a reason to let it through with break_glass"
        " (of a playbook -e beam_break_glass=...)",
        gates=[{"version": target.version, **asdict(row)} for row in rows],
    )
