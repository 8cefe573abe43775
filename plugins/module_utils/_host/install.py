# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Install a release on this server: stage, activate, deactivate or remove it."""

from __future__ import annotations

import os
import posixpath
import time
import typing as t
from dataclasses import dataclass, field, replace

from .._errors import BeamError
from .._release.manifest import Manifest
from .._release.names import check_channel, check_digest, check_name, check_pointer, check_version
from .._store.base import Store
from .abi import for_service, require_abi
from .apply import Applied, apply
from .erlang import NAME, require_erl, require_erlang, wants_erlang
from .fence import Fence, refuse_older
from .files import named_errors, plain_umask, refuse_foreign_base
from .layout import Layout
from .lock import exclusive, settled
from .plan import Plan, plan_deactivation, plan_install, plan_removal
from .present import check_directories, has_leftovers, look_at_state, read_state, utc
from .resolve import Resolved, Wanted, refuse_replay, resolve
from .search import Search, search_of
from .state import State
from .verify import Reading


@dataclass(frozen=True)
class Request:
    wanted: Wanted
    base: str
    state: str = "staged"  # staged, active, inactive or absent
    keep: int = 5
    min_free_mb: int = 0
    verify: bool = False
    lock_timeout: float = 60
    fence: Fence | None = None
    pointer: str = "current"
    abi_ignore: t.Sequence[str] = ()
    apart: bool = False  # see assemble; install decides it
    reading: Reading = field(
        default_factory=Reading
    )  # of this run: what is planned again under the lock is not read again


def install(request: Request, open_store: t.Callable[[], Store], check_mode: bool = False) -> dict[str, t.Any]:
    """The module's result. open_store is called only where the store is needed."""
    begun, began = time.monotonic(), time.time()
    layout = _check(request)
    store = _once(open_store)
    search = search_of({request.base.rstrip("/"), layout.base})
    request = replace(request, apart=_may_write_all(search))
    with named_errors("%s can't be installed in %s" % (request.wanted.name, request.base)):
        refuse_foreign_base(request.base)
        check_directories(layout)
        try:
            noted, resolved, plan = _look(request, layout, store)
        except BeamError as exc:
            if exc.code != "release_unknown":
                raise
            # A release that another run is just putting there looks like a stranger until that run has noted it.
            with settled(layout.lock, request.lock_timeout):
                noted, resolved, plan = _look(request, layout, store)
        warnings: list[str] = []
        if plan.stage or plan.activate:
            warnings = _require(request, plan, t.cast(Resolved, resolved).manifest, search)
        applied = Applied()
        resolving = time.monotonic() - begun
        if not check_mode and (plan.changed or noted != plan.after or has_leftovers(layout)):
            with plain_umask():
                check_directories(layout, create=True)
                with exclusive(layout.lock, request.lock_timeout):
                    # While we waited for the lock, another run may have done a part of this, or something else.
                    state = read_state(layout, request.wanted.name)
                    refuse_older(layout.base, state, request.fence)
                    if resolved is not None and resolved.seen is not None:
                        refuse_replay(request.wanted, state, resolved.seen)
                    plan = _plan(request, layout, state, resolved)
                    applied = apply(
                        plan,
                        store,
                        lambda manifest, tree: _prove_erlang(request, manifest, tree, search),
                        request.apart,
                    )
    warnings += plan.rot.warnings()
    applied.seconds.update(resolve=resolving, total=time.monotonic() - begun)
    return {
        **_result(plan, applied, check_mode),
        "began": round(began, 3),
        **({"warnings": warnings} if warnings else {}),
    }


def _require(request: Request, plan: Plan, manifest: Manifest, search: Search) -> list[str]:
    """Refuse what can't run here, before a byte of it is fetched; what of it has to be read is looked at when it is assembled (see apply)."""
    warnings = require_abi(for_service(manifest.abi, search.libraries, request.abi_ignore))
    if plan.stage and wants_erlang(manifest) and NAME not in request.abi_ignore:
        require_erl("%s %s" % (manifest.name, manifest.version), search.programs)
    elif not plan.stage:
        _prove_erlang(request, manifest, plan.layout.release(plan.version), search)
    return ["%s %s: %s" % (manifest.name, manifest.version, warning) for warning in warnings]


def _may_write_all(search: Search) -> bool:
    """Without a unit, whoever installs runs the node; and root may write to files that are read-only."""
    return os.geteuid() == 0 and not search.unit


def _prove_erlang(request: Request, manifest: Manifest, tree: str, search: Search) -> None:
    if wants_erlang(manifest) and NAME not in request.abi_ignore:
        require_erlang("%s %s" % (manifest.name, manifest.version), tree, search.programs)


def _check(request: Request) -> Layout:
    wanted = request.wanted
    check_name(wanted.name)
    given = [key for key in ("channel", "version", "digest") if getattr(wanted, key) is not None]
    if request.state == "inactive" and given:
        raise BeamError(
            "target_ambiguous",
            "%s can't be deactivated" % wanted.name,
            "%s was given, but whatever is current is deactivated" % " and ".join(given),
            "Leave it out",
        )
    if (len(given) != 1 and request.state != "inactive") or (request.state == "absent" and wanted.channel is not None):
        kinds = "version and digest" if request.state == "absent" else "channel, version and digest"
        raise BeamError(
            "target_ambiguous",
            "%s can't be installed" % wanted.name,
            "exactly one of %s must be given, not %s" % (kinds, " and ".join(given) or "none"),
            "Give one of them",
        )
    for check, value in (
        (check_channel, wanted.channel),
        (check_version, wanted.version),
        (check_digest, wanted.digest),
    ):
        if value is not None:
            check(value)
    if not request.base.startswith("/") or posixpath.normpath(request.base) in ("/", "//"):
        raise BeamError(
            "base_invalid",
            "%r can't be used as a base" % request.base,
            "it must be an absolute path of a directory of its own",
            "Give a path such as /opt/%s" % wanted.name,
        )
    # Processes know their root without symlinks (the launcher's pwd -P), so we do, too.
    return Layout(os.path.realpath(request.base), check_pointer(request.pointer))


def _look(request: Request, layout: Layout, store: t.Callable[[], Store]) -> tuple[State, Resolved | None, Plan]:
    """The state is that of the file, which the plan's may differ from."""
    noted, state = look_at_state(layout, request.wanted.name)
    refuse_older(layout.base, state, request.fence)
    resolved = None if request.state in ("absent", "inactive") else resolve(request.wanted, store, layout, state)
    return noted, resolved, _plan(request, layout, state, resolved)


def _plan(request: Request, layout: Layout, state: State, resolved: Resolved | None) -> Plan:
    plan = _unfenced(request, layout, state, resolved)
    if request.fence is None:
        return plan
    return replace(plan, after_switch=plan.after_switch.fenced(request.fence.channel, request.fence.number))


def _unfenced(request: Request, layout: Layout, state: State, resolved: Resolved | None) -> Plan:
    if request.state == "inactive":
        return plan_deactivation(layout, state)
    if resolved is None:
        return plan_removal(layout, state, request.wanted.version, request.wanted.digest)
    return plan_install(
        layout,
        state,
        resolved,
        request.wanted.channel,
        utc(time.time()),
        request.state == "active",
        request.keep,
        request.min_free_mb,
        request.verify,
        request.apart,
        request.reading,
    )


def _once(make: t.Callable[[], Store]) -> t.Callable[[], Store]:
    made: list[Store] = []

    def get() -> Store:
        if not made:
            made.append(make())
        return made[0]

    return get


def _result(plan: Plan, applied: Applied, check_mode: bool) -> dict[str, t.Any]:
    manifest = plan.manifest
    version = plan.version
    return {
        "changed": plan.changed,
        "name": plan.before.name,
        "version": version,
        "digest": plan.digest,
        "path": plan.layout.release(version) if version else "",
        "previous": plan.after.previous,
        "current": plan.pointers_after.get("current"),
        "pointers": plan.pointers_after,
        "bytes": {
            "fetched": plan.fetch_bytes if check_mode else applied.brought.bytes,
            "reused": sum(layer.size for layer in plan.reuse),
            "release": manifest.packed_size if manifest else 0,
        },
        "layers": {"fetched": len(plan.fetch), "reused": len(plan.reuse)},
        "lacks": [layer.sha256 for layer in plan.fetch],
        "pruned": list(plan.remove if check_mode else applied.removed),
        "damaged": list(plan.damaged),
        "rotten": list(plan.rot.files),
        "mended": {mend.version: list(mend.paths) for mend in plan.rot.mends},
        "seconds": {step: round(seconds, 3) for step, seconds in applied.seconds.items()},
        "diff": plan.diff(),
    }
