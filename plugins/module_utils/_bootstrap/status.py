# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""What a server says about itself, without changing anything: what is stable, what is current, what runs, and whether they are the same."""

from __future__ import annotations

import typing as t

from .._errors import BeamError
from .._host.fence import installed_digest
from .._host.source import open_source
from .._node.replaced import status_as_it_runs
from .._node.spec import manager_of
from .._node.target import resolve
from .config import Config
from .identify import for_this_instance, who
from .metadata import Metadata
from .server_steps import read_pointer

STORE_SECONDS = 10


def status(config: Config) -> dict[str, t.Any]:
    """What can't be told is null, and `problems` says why."""
    problems: list[str] = []
    found: dict[str, t.Any] = {
        "name": config.name,
        "channel": config.channel,
        "stable": None,
        "current": None,
        "running": None,
        "instance": None,
    }

    def part(key: str, work: t.Callable[[], t.Any]) -> None:
        try:
            found[key] = work()
        except BeamError as error:
            problems.append(error.message)

    region = config.aws.region
    try:
        metadata = Metadata(config.aws.metadata_url)
        identity = who(config, metadata)
        region, found["instance"] = identity.region, identity.instance
        config = for_this_instance(config, metadata)
        found["channel"] = config.channel
    except BeamError as error:
        problems.append(error.message)
    part("stable", lambda: _stable(config, region))
    part("current", lambda: _current(config))
    part("running", lambda: _running(config))
    stable, current, running = found["stable"], found["current"], found["running"]
    same = bool(
        stable and current and running and stable["digest"] == current["digest"] and current["root"] == running["root"]
    )
    return {**found, "same": same, "problems": problems}


def _stable(config: Config, region: str | None) -> dict[str, t.Any]:
    options = dict(config.store_options)
    options.update(store=config.store, region=options.get("region") or region, store_timeout=STORE_SECONDS)
    pointer = read_pointer(open_source(options), config.name, config.channel)
    return {"version": pointer.version, "digest": pointer.digest, "serial": pointer.serial}


def _current(config: Config) -> dict[str, t.Any]:
    target = resolve(config.base, config.name)
    return {
        "version": target.version,
        "root": target.root,
        "digest": installed_digest(config.base, config.name, target.version),
    }


def _running(config: Config) -> dict[str, t.Any] | None:
    process = status_as_it_runs(config.base, "current", manager_of(config.node()).status()).process
    return process.facts() if process else None
