# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The end of an instance: scale-in, a refresh of its group, or a spot interruption. Drained, stopped cleanly, and the hook completed."""

from __future__ import annotations

import datetime
import time
import typing as t

from .._errors import BeamError
from .._json import parse_json
from .._node import restart
from .._node.ending import mark_leaving
from .._node.health import Health
from .._node.spec import manager_of
from .config import Config
from .identify import Identity, for_this_instance, needs_metadata, who
from .lifecycle import Lifecycle, find_lifecycle
from .metadata import Metadata
from .report import Report
from .retry import Deadline

POLL = 2.0
TOLD_EVERY = 300.0
Sleep = t.Callable[[float], None]


def watch(config: Config, report: Report, metadata: Metadata | None = None, sleep: Sleep = time.sleep) -> int:
    """Returns when the node has left for good."""
    if not needs_metadata(config):
        raise BeamError(
            "config_unwatched",
            "nothing can be watched",
            "lifecycle is none and nothing is identified by the cloud",
            "Disable this unit",
        )
    metadata = metadata or Metadata(config.aws.metadata_url)
    reason = wait_for_end(metadata, report, sleep)
    report.say("This instance is about to end (%s): draining for %g s" % (reason.why, reason.drain(config)))
    try:
        mark_leaving(config.base, reason.why)  # before anything is done to the node
    except OSError as exc:
        report.say(
            "What stops now may be taken for a fault of the release: %s can't be written: %s"
            % (config.base, exc.strerror or exc)
        )
    identity = Deadline(30).keep_trying(lambda: who(config, metadata), report.say)
    try:
        config = Deadline(30).keep_trying(lambda: for_this_instance(config, metadata), report.say)
    except BeamError as error:
        report.say(error.message)
    leave(config, identity, reason, report, sleep)
    return 0


class Reason(t.NamedTuple):
    why: str
    end: datetime.datetime | None = None  # when a spot instance is taken away

    def drain(self, config: Config) -> float:
        """There is no use in draining into the end."""
        if self.end is None:
            return config.drain
        left = (self.end - datetime.datetime.now(datetime.timezone.utc)).total_seconds() - config.stop_timeout - 5
        return max(0.0, min(config.drain, left))


def wait_for_end(metadata: Metadata, report: Report, sleep: Sleep) -> Reason:
    told = 0.0
    while True:
        try:
            reason = look(metadata)
            if reason:
                return reason
        except BeamError as error:
            if not told or time.monotonic() - told > TOLD_EVERY:
                report.say(error.message)
                told = time.monotonic()
        sleep(POLL)


def look(metadata: Metadata) -> Reason | None:
    if metadata.text("meta-data/autoscaling/target-lifecycle-state") == "Terminated":
        return Reason("its auto scaling group terminates it")
    path = "meta-data/spot/instance-action"
    text = metadata.text(path)
    if not text:
        return None
    try:
        action = parse_json(text)
        if action["action"] not in ("terminate", "stop", "hibernate"):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        # A page of a proxy, for example, ends no instance.
        raise metadata.nonsense(path, text, "the notice of an interruption") from None
    try:
        end = datetime.datetime.strptime(action["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        return Reason("spot interruption: %s at %s" % (action["action"], action["time"]), end)
    except (ValueError, KeyError, TypeError):
        return Reason("spot interruption")


def leave(
    config: Config,
    identity: Identity,
    reason: Reason,
    report: Report,
    sleep: Sleep = time.sleep,
    lifecycle: Lifecycle | None = None,
) -> None:
    """The node stops in any case, whatever the API says."""
    deadline = Deadline(60)
    if lifecycle is None:
        try:
            lifecycle = deadline.keep_trying(
                lambda: find_lifecycle(config, identity, report.say, terminating=True), report.say
            )
        except BeamError as error:
            report.say(error.message)
            lifecycle = Lifecycle()
    try:
        sleep(reason.drain(config))
        stop_node(config, report)
        lifecycle.complete("CONTINUE", Deadline(120).trier(report.say))
    except BeamError as error:
        report.tell(error)
        # The instance ends all the same. Waiting for the hook's timeout would help nobody.
        lifecycle.complete("CONTINUE", Deadline(60).trier(report.say))
    finally:
        lifecycle.close()


def stop_node(config: Config, report: Report) -> None:
    manager = manager_of(config.node())
    what = restart.plan("stopped", manager.status(), None)
    result = restart.apply(what, manager, Health(), config.stop_timeout, config.boot_timeout)
    report.say(
        "The node has stopped in %.2f s (%s)" % (result.total, result.escalated if what.changed else what.reason)
    )
