# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The command line of beam-bootstrap.pyz.

    run CONFIG       bring this server into service on what its channel says; at every boot
    secrets CONFIG   only refresh the cookie and the secrets; prints `changed` or `unchanged`
    watch CONFIG     wait for the end of this instance, and leave cleanly
    setup KIT        make the server ready: users, directories, files, units
    status CONFIG    one line of JSON: what is stable, what is current, what runs

Exit status: 0 done; 1 failed, and worth another try; 2 not usable as it is (command line, configuration); 3 given up: the group was told, or terminates this
instance; 75 in service on what was here, as the store (or the group) can't be asked, and worth another try.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
import typing as t

from .._aws import shared_sessions
from .._errors import BeamError, foreseen
from .._flock import describe_holders, taken_within
from .._host.files import refuse_foreign_base
from .._host.lock import open_lock_at
from .._node.ending import LEAVING, Pace
from .config import Config, load_config
from .identify import Identity, for_this_instance, needs_metadata, who
from .metadata import Metadata
from .report import Report, aside, line
from .retry import COMING, PASSING, Deadline

T = t.TypeVar("T")

DONE, FAILED, UNUSABLE, GIVEN_UP, OFFLINE = 0, 1, 2, 3, 75
COMMANDS = ("run", "secrets", "watch", "setup", "status")
UNTOLD_SECONDS = 60.0
USAGE = "usage: beam-bootstrap.pyz run|secrets|watch|status CONFIG, or setup KIT"


def main(argv: t.Sequence[str]) -> int:
    os.umask(0o022)  # whoever starts it by hand may have another one
    # A directory beside the zip has botocore, for servers without it.
    beside = posixpath.join(posixpath.dirname(os.path.abspath(sys.argv[0])), "aws")
    if os.path.isdir(beside):
        sys.path.insert(0, beside)
    if len(argv) != 2 or argv[0] not in COMMANDS:
        aside(USAGE)
        return UNUSABLE
    command, path = argv
    report = Report(posixpath.basename(path).rsplit(".", 1)[0])
    try:
        if command == "setup":
            from .server_setup import run_setup

            return run_setup(path, report)
        config = load_config(path)
        report.name = config.name
        if needs_metadata(config):
            from .aws import use_metadata

            use_metadata(config.aws.metadata_url)
        with shared_sessions():
            return {"run": run, "secrets": run_secrets, "watch": run_watch, "status": run_status}[command](
                config, report
            )
    except Exception as exc:
        error = foreseen(exc)
        report.tell(error)
        return exit_of(error.code)


def exit_of(code: str) -> int:
    """Of an error. Another try is of no use with a configuration that is wrong, nor on an instance that its group terminates."""
    if code.startswith("config_") or code == "identity_invalid":
        return UNUSABLE
    return GIVEN_UP if code == LEAVING else FAILED


def run(config: Config, report: Report, metadata: Metadata | None = None) -> int:
    with _alone(config, report), Pace() as pace:
        return _run(config, report, metadata or Metadata(config.aws.metadata_url), pace)


def _run(config: Config, report: Report, metadata: Metadata, pace: Pace) -> int:
    from .lifecycle import Lifecycle, find_lifecycle
    from .node_name import name_node
    from .notes import read_notes
    from .protocol import bring_up
    from .secrets import known_secrets
    from .server_steps import Host

    report.hide(known_secrets(config))
    deadline = Deadline(config.deadline)
    identity = deadline.keep_trying(lambda: who(config, metadata), report.say)
    # What goes wrong from here on can be told to the group, or at least recorded.
    config, problem = _attempt(
        config, lambda: deadline.keep_trying(lambda: for_this_instance(config, metadata), report.say)
    )
    deadline = Deadline(config.deadline - deadline.spent())
    served = bool(read_notes(config.base, identity.instance).version)
    # Most likely no hook holds a server that was in service before. It should not stay out of service because this can't be found out.
    asking = Deadline(min(deadline.left(), UNTOLD_SECONDS)) if served else deadline
    named, unnamed = _attempt("", lambda: deadline.keep_trying(lambda: name_node(config, metadata), report.say))
    if named:
        report.say("The node is called %s" % named)
    lifecycle, untold = _attempt(
        Lifecycle(), lambda: asking.keep_trying(lambda: find_lifecycle(config, identity, report.say), report.say)
    )
    if untold is not None and untold.code == LEAVING:
        report.tell(untold)
        return GIVEN_UP
    passed_over = untold if served and untold is not None and untold.code in PASSING | COMING else None
    host = Host(config, identity, lifecycle, deadline, report)
    host.pace = pace
    host.problem = problem or unnamed or (None if passed_over else untold)
    held = lifecycle.launching
    try:
        host.jitter()
        done = bring_up(host, config.rounds)
        host.served(done)
        report.say("In service on %s (channel %s) after %.2f s" % (done.version, config.channel, deadline.spent()))
        if passed_over:
            report.say("Whether its group waits for that is not known: %s" % passed_over.message)
        return OFFLINE if passed_over else DONE
    except BeamError as error:
        # It was told in the course of the protocol.
        if (
            served
            and not held
            and unnamed is None
            and not host.reached
            and error.code in PASSING | COMING
            and config.offline == "current"
        ):
            version = host.serve_current()
            report.say("In service on %s, which was in service here before: the store can't be reached" % version)
            return OFFLINE
        return GIVEN_UP if host.abandoned or error.code == LEAVING else FAILED
    finally:
        lifecycle.close()


def _attempt(otherwise: T, work: t.Callable[[], T]) -> tuple[T, BeamError | None]:
    try:
        return work(), None
    except BeamError as error:
        return otherwise, error


@contextlib.contextmanager
def _alone(config: Config, report: Report) -> t.Iterator[None]:
    """One at a time on this base."""
    path = posixpath.join(os.path.realpath(config.base), ".bootstrap.lock")
    try:
        refuse_foreign_base(config.base)
        os.makedirs(config.base, 0o755, exist_ok=True)
        handle = open_lock_at(path)
    except OSError as exc:
        raise BeamError(
            "base_denied",
            "%s can't be used" % config.base,
            exc.strerror or str(exc),
            "Run as the owner of the base directory",
        ) from None
    try:
        if not taken_within(handle, 0):
            report.say("Waiting for the lock file %s: %s" % (path, describe_holders(handle)))
            if not taken_within(handle, config.deadline):
                raise BeamError(
                    "bootstrap_locked",
                    "the bootstrap of %s can't begin" % config.name,
                    "%s is locked for longer than its deadline of %d s: %s"
                    % (path, config.deadline, describe_holders(handle)),
                    "End that process where it hangs",
                )
        yield
    finally:
        os.close(handle)


def run_secrets(config: Config, report: Report) -> int:
    from .secrets import Sources, refresh

    deadline = Deadline(config.deadline)
    identity = _region_only(config, deadline)
    changed = deadline.keep_trying(lambda: refresh(config, Sources(config, identity.region)), aside)
    line("changed" if changed else "unchanged")
    return DONE


def _region_only(config: Config, deadline: Deadline) -> Identity:
    """Secrets from files need no cloud."""
    sources = [*config.secrets.values(), config.cookie or ""]
    if (
        config.aws.region
        or not any(source.startswith(("ssm:", "secretsmanager:")) for source in sources)
        or not needs_metadata(config)
    ):
        return Identity("", config.aws.region)
    return deadline.keep_trying(lambda: who(config, Metadata(config.aws.metadata_url)), aside)


def run_watch(config: Config, report: Report) -> int:
    from .leave import watch

    return watch(config, report)


def run_status(config: Config, report: Report) -> int:
    from .status import status

    report.result(status(config))
    return DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
