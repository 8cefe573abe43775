# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The steps of the protocol, done for real on this server."""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import typing as t
from dataclasses import replace

from .._aws import forget_sessions
from .._errors import BeamError, NotFound, foreseen
from .._host.install import Request, install
from .._host.resolve import Wanted
from .._host.source import open_source
from .._node import restart
from .._node.ending import ENDINGS, FROZEN, STOPPING, Pace, boot_id, ending
from .._node.manager import Manager
from .._node.replaced import status_as_it_runs
from .._node.spec import manager_of
from .._node.target import Target, resolve
from .._store.base import Store
from .._store.documents import read_channel
from .boots import failed_on, make_boot, write_boot
from .config import Config
from .identify import Identity
from .launch_backoff import hold_back
from .lifecycle import Lifecycle
from .notes import Notes, read_notes, write_notes
from .protocol import ABANDON, CONTINUE, Pointer
from .report import Report
from .retry import COMING, PASSING, Deadline
from .secrets import Sources, refresh

LOG_LINES = 50
NAMED = 5  # how many instances are named
COMPLETE_SECONDS = 60.0
RECORD_SECONDS = 15  # a record is worth no long wait
ENDED_SECONDS = 10.0  # to find out whether it is to blame at all


class Host:
    def __init__(
        self, config: Config, identity: Identity, lifecycle: Lifecycle, deadline: Deadline, report: Report
    ) -> None:
        self.config, self.identity, self.lifecycle, self.deadline, self.report = (
            config,
            identity,
            lifecycle,
            deadline,
            report,
        )
        self._store: Store | None = None
        self._patience = 0.0  # seconds that it may try before it gives up
        self._prepared = False
        self.problem: BeamError | None = None  # that was there before anything could be tried
        self._switched: tuple[int, ...] = ()  # what identifies the symlink that we left
        self.reached = False  # the store, ever
        self.abandoned = False
        self.stopping = False  # this server is shutting down, or stood still: nothing is over
        self.pace: Pace | None = None
        self.action = "none"  # what was done to the node

    # The steps.

    def look(self) -> Pointer:
        self.lifecycle.check()
        return self._with_store(lambda store: read_pointer(store, self.config.name, self.config.channel))

    def install(self) -> Pointer:
        with _told():
            return self._install()

    def prove(self, pointer: Pointer) -> None:
        with _told():
            self._prove(pointer)

    def _install(self) -> Pointer:
        if self.problem is not None:
            raise self.problem
        if not self._prepared:
            self._tried(self._prepare)
            self._prepared = True
        config = self.config
        wanted = Wanted(config.name, channel=config.channel)

        def work(store: Store) -> Pointer:
            lock_timeout = max(1.0, min(60.0, self.deadline.left()))
            request = Request(
                wanted,
                config.base,
                "active",
                config.keep,
                config.min_free_mb,
                lock_timeout=lock_timeout,
                abi_ignore=config.abi_ignore,
            )
            done = install(request, lambda: store)
            if done["changed"]:
                self.report.say(
                    "Installed %s (%d layers fetched, %d here) in %.2f s"
                    % (
                        done["version"],
                        done["layers"]["fetched"],
                        done["layers"]["reused"],
                        done["seconds"]["total"],
                    )
                )
            self._switched = link_identity(config.base)
            return Pointer(0, done["version"], done["digest"])

        return self._with_store(work)

    def _prove(self, pointer: Pointer) -> None:
        try:
            self._run(resolve(self.config.base, self.config.name, pointer.version))
        except BeamError as error:
            if self._switched != link_identity(self.config.base):
                why = "somebody else switched the release meanwhile (%s)" % error.why
                raise BeamError("displaced", error.what, why, error.hint, **error.details) from error
            raise

    def complete(self, result: str) -> None:
        if self.stopping and result == ABANDON:
            return  # it may be a reboot. A server that does not come back is given up by its group.
        # That is worth waiting for even when the time for all the rest is over.
        last = Deadline(max(COMPLETE_SECONDS, self.deadline.left()), self.deadline.clock, self.deadline.sleep)
        self.abandoned = self.lifecycle.launching and result == ABANDON
        self.lifecycle.complete(result, last.trier(self.report.say))
        if result == CONTINUE:
            self.deadline = Deadline(self.config.deadline, self.deadline.clock, self.deadline.sleep)

    def failed(self, error: BeamError, pointer: Pointer | None) -> float:
        ended = self._ended(error)
        if ended is None and error.code == FROZEN:
            error = BeamError(error.details["verdict"], error.what, error.why, error.hint, **error.details)
        elif ended is not None and error.code != ended.code:
            # Its node was stopped because it leaves: nothing is said against the release.
            error = BeamError(
                ended.code, ended.what, "%s; meanwhile: %s" % (ended.why, error.message), ended.hint, **error.details
            )
        self.report.tell(error)
        self.stopping = error.code in (STOPPING, FROZEN)
        if self.stopping:
            return 0.0  # nothing is over: its next boot goes on, or its next start
        digest = pointer.digest if pointer else ""
        try:
            failed = self._record(self.report.masked(error), pointer)
        except (BeamError, OSError) as exc:
            self.report.say("This failure could not be recorded in the store: %s" % exc)
            failed = [self.identity.instance]
        if ended is not None or not self.lifecycle.launching:
            return 0.0
        seconds = hold_back(len(failed), self.config.brake)
        if seconds:
            named = ", ".join(failed[:NAMED]) + (" and %d more" % (len(failed) - NAMED) if len(failed) > NAMED else "")
            what = "%d instances (%s) could not boot %s lately" % (len(failed), named, digest[:12] or "this channel")
            self.report.say(
                "%s: this one is held back for %d s before it is given up, so that they are not launched in a loop"
                % (what, seconds)
            )
        return seconds

    def pause(self, seconds: float) -> None:
        self.deadline.sleep(seconds)

    def say(self, text: str) -> None:
        self.report.say(text)

    # Around them.

    def jitter(self) -> None:
        if self.lifecycle.launching and self.config.jitter:
            self.deadline.sleep(random.uniform(0, self.config.jitter))  # not a secret

    def serve_current(self) -> str:
        """The store is away: what was in service here goes into service again."""
        notes = self._notes()
        target = resolve(self.config.base, self.config.name)
        if target.version != notes.version:
            raise BeamError(
                "never_served",
                "%s is not started without the store" % target.version,
                "it was never in service on this server",
                "Let the server reach the store",
            )
        self._run(target)
        return target.version

    def served(self, pointer: Pointer) -> None:
        write_notes(self.config.base, replace(self._notes(), version=pointer.version, digest=pointer.digest))

    def manager(self) -> Manager:
        return manager_of(self.config.node())

    # Below.

    def _ended(self, error: BeamError) -> BeamError | None:
        """What a failure really comes from, where this server itself ends."""
        if error.code in ENDINGS and error.code != FROZEN:
            return error
        found = ending(self.config.base)
        if found is not None:
            return BeamError(
                found.code, "%s can't come into service" % (self.identity.instance or "this server"), found.why
            )
        asking = Deadline(ENDED_SECONDS, self.deadline.clock, self.deadline.sleep)
        return self.lifecycle.taken_away(asking.trier(self.report.say)) or self._frozen(error)

    def _frozen(self, error: BeamError) -> BeamError | None:
        """Once a boot: a release that keeps its server from running at all would do so again."""
        found = self.pace.frozen() if self.pace is not None else None
        notes, said = self._notes(), (boot_id(), FROZEN)
        if (found is None and error.code != FROZEN) or (notes.boot, notes.failure) == said:
            return None
        with contextlib.suppress(OSError):
            write_notes(self.config.base, replace(notes, boot=said[0], failure=FROZEN))
        if found is None or error.code == FROZEN:
            return error
        return BeamError(
            found.code, "%s can't come into service yet" % (self.identity.instance or "this server"), found.why
        )

    def _run(self, target: Target) -> None:
        config = self.config
        health = config.health_of(target.version)
        manager = self.manager()
        what = restart.plan("restarted", status_as_it_runs(config.base, "current", manager.status()), target)
        result = restart.apply(what, manager, health, config.stop_timeout, config.boot_timeout, LOG_LINES)
        self.action = what.action
        if what.changed:
            self.report.say(
                "%s runs and is healthy: %s after %.2f s (boot %.2f s, gate %.2f s)"
                % (
                    target.version,
                    what.action,
                    result.total,
                    result.boot or 0,
                    result.gate or 0,
                )
            )

    def _prepare(self) -> None:
        sources = Sources(self.config, self.identity.region)
        try:
            changed = refresh(self.config, sources)
        finally:
            self.report.hide(sources.read)
        if changed:
            self.report.say("New: %s" % ", ".join(changed))

    def _notes(self) -> Notes:
        return read_notes(self.config.base, self.identity.instance)

    def _record(self, error: BeamError, pointer: Pointer | None) -> list[str]:
        """The instances that could not boot the same digest lately. Each kind of failure is recorded once a boot."""
        config = self.config
        store = self._open(RECORD_SECONDS)
        if pointer is None:  # a release that could not even be installed has a name, too
            with contextlib.suppress(BeamError):
                pointer = read_pointer(store, config.name, config.channel)
        digest, version = (pointer.digest, pointer.version) if pointer else ("", "")
        now = datetime.datetime.now(datetime.timezone.utc)
        boot, failure = boot_id(), "%s %s" % (error.code, digest)
        notes = self._notes()
        fresh = (notes.boot, notes.failure) != (boot, failure)
        if fresh:
            seconds, said = self.deadline.spent(), self.report.said
            write_boot(
                store,
                make_boot(
                    config.name, config.channel, self.identity.instance, error, version, digest, seconds, now, said
                ),
            )
            if os.path.isdir(config.base):
                write_notes(config.base, replace(notes, boot=boot, failure=failure))
        found = (
            failed_on(store, config.name, config.channel, digest, config.brake.within, now)
            if self.lifecycle.launching
            else []
        )
        return found or [self.identity.instance]

    def _open(self, seconds: float) -> Store:
        options = dict(self.config.store_options)
        options["region"] = options.get("region") or self.config.aws.region or self.identity.region
        return open_source(
            {
                **options,
                "store": self.config.store,
                "store_timeout": max(1.0, min(float(options["store_timeout"]), seconds)),
            }
        )

    def _with_store(self, work: t.Callable[[Store], t.Any]) -> t.Any:
        def attempt() -> t.Any:
            left = self.deadline.left()
            if self._store is None or left < self._patience:
                self._store, self._patience = (
                    self._open(left),
                    min(left, float(self.config.store_options["store_timeout"])),
                )
            self._store.start_clock()
            try:
                done = work(self._store)
            except BeamError as error:
                self._store = None  # with what it knew of credentials and the clock
                if error.code in COMING:
                    forget_sessions()
                if error.code == "store_clock":
                    from .aws import follow_clock

                    error.details["shifted"] = follow_clock(error.__cause__)
                self.reached = self.reached or error.code not in PASSING | COMING
                raise
            self.reached = True
            return done

        return self._tried(attempt)

    def _tried(self, work: t.Callable[[], t.Any]) -> t.Any:
        return self.deadline.keep_trying(work, self.report.say)


@contextlib.contextmanager
def _told() -> t.Iterator[None]:
    """Unexpected failures are recorded and told to the group, too. The group may launch another server on another release."""
    try:
        yield
    except BeamError:
        raise
    except Exception as exc:
        raise foreseen(exc) from exc


def link_identity(base: str) -> tuple[int, ...]:
    """Another one after each switch of `current`, even one there and back."""
    try:
        info = os.lstat(os.path.join(base, "current"))
    except OSError:
        return ()
    return info.st_ino, info.st_ctime_ns


def read_pointer(store: Store, name: str, channel: str) -> Pointer:
    value, _etag = read_channel(store, name, channel)
    if value.stable is None:
        raise NotFound(
            "channel_empty",
            "the channel %s of %s points to nothing" % (channel, name),
            "nothing was ever promoted on it in %s" % store.location,
            "Promote a version: deploy one (playbook alchemist.beam.deploy or rollout), or say release_channel",
        )
    return Pointer(value.serial, value.stable.version, value.stable.digest)
