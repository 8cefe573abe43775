# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options of the module, and what becomes of them."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .._errors import BeamError
from . import alb, file, haproxy
from .base import Balancer, beam_option
from .compare import Limits
from .move import PATIENCE, Mover, Timing, unmoved
from .plan import Plan, capacity, check_capacity, check_known, plan_drain, plan_join, rotation_of, states_of
from .watch import watch

COUNTING = ("haproxy",)  # kinds whose counters tell requests and errors
SETTLE = 3.0  # seconds for a place to notice who is back, before min_healthy refuses

BALANCERS_SPEC: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "kind": {"type": "str", "required": True, "choices": ["haproxy", "alb", "file"]},
        "address": {"type": "str"},
        "backends": {"type": "list", "elements": "str"},
        "servers": {"type": "str", "default": "{name}"},
        "target_groups": {"type": "list", "elements": "str"},
        "port": {"type": "int"},
        "region": {"type": "str"},
        "endpoint_url": {"type": "str"},
        "profile": {"type": "str"},
        "access_key": {"type": "str", "no_log": False},
        "secret_key": {"type": "str", "no_log": True},
        "session_token": {"type": "str", "no_log": True},
        "path": {"type": "path"},
        "url": {"type": "str"},
    },
    "required_if": [
        ["kind", "haproxy", ["address", "backends"]],
        ["kind", "alb", ["target_groups"]],
        ["kind", "file", ["path"]],
    ],
}
LIMITS_SPEC: dict[str, t.Any] = {
    "type": "dict",
    "default": {},
    "options": {
        "min_requests": {"type": "int", "default": 100},
        "error_margin": {"type": "float", "default": 0.001},
        "error_ratio": {"type": "float", "default": 1.5},
        "latency_margin": {"type": "float", "default": 50.0},
        "latency_ratio": {"type": "float", "default": 2.0},
    },
    "apply_defaults": True,
}
MEMBER = {"server": str, "target": str, "port": int, "zone": str, "left": bool, "places": list}


def members_of(given: t.Any, option: str) -> dict[str, dict[str, t.Any]]:
    """{host: options}, or a list of hosts."""
    if isinstance(given, (list, tuple)):
        given = dict.fromkeys(given)
    if not isinstance(given, dict) or not all(isinstance(name, str) and name for name in given):
        raise beam_option("Cannot use %s" % option, "it is neither a list of hosts nor a dictionary by host")
    found = {}
    for name, options in given.items():
        options = {key: value for key, value in (options or {}).items() if value is not None}
        unknown = set(options) - set(MEMBER)
        if unknown:
            raise beam_option(
                "Cannot use %s.%s.%s" % (option, name, sorted(unknown)[0]),
                "there are only %s" % ", ".join(sorted(MEMBER)),
            )
        try:
            found[name] = {key: _converted(key, value) for key, value in options.items()}
        except (TypeError, ValueError):
            raise beam_option(
                "Cannot use the options of %s in %s" % (name, option),
                "port is a number, left true or false, places a list",
            ) from None
    return found


def _converted(key: str, value: t.Any) -> t.Any:
    if key == "places":
        if not isinstance(value, (list, tuple)):
            raise ValueError
        return [str(each) for each in value]
    if key == "left":
        return value if isinstance(value, bool) else str(value).lower() in ("true", "yes", "1")
    return int(value) if key == "port" else str(value)


def _server(template: str, name: str) -> str:
    return template.replace("{name}", name).replace("{short}", name.split(".")[0])


def _target(name: str, options: t.Mapping[str, t.Any], port: t.Optional[int]) -> alb.Target:
    target = options.get("target") or name
    if not re.fullmatch(r"i-[0-9a-f]+", target):
        try:
            ipaddress.ip_address(target)
        except ValueError:
            why = "%s is neither an instance id nor an IP address" % target
            raise beam_option("Cannot find %s in a target group" % name, why, "Give its entry a target") from None
    return alb.Target(target, options.get("port") or port, options.get("zone", ""), options.get("left", False))


def _check_distinct(known: t.Mapping[str, t.Any]) -> None:
    """Refuse two members that are the same server: putting one in and taking the other out would leave no server."""
    names: dict[t.Any, str] = {}
    for name, what in known.items():
        other = names.setdefault(what, name)
        if other != name:
            said = what if isinstance(what, str) else ":".join(str(part) for part in what if part is not None)
            raise beam_option(
                "Cannot tell %s from %s" % (name, other),
                "both are %s there" % said,
                "Give each a server, or a target and a port, of its own",
            )


def places_of(
    balancers: t.Sequence[t.Mapping[str, t.Any]], members: t.Mapping[str, t.Any], fleet: t.Mapping[str, t.Any]
) -> list[Balancer]:
    hosts = {**fleet, **members}
    found: list[Balancer] = []
    for options in balancers:
        if options["kind"] == "haproxy":
            template = options.get("servers") or "{name}"
            servers = {name: own.get("server") or _server(template, name) for name, own in hosts.items()}
            _check_distinct(servers)
            found += haproxy.places(options, servers)
        elif options["kind"] == "alb":
            targets = {name: _target(name, own, options.get("port")) for name, own in hosts.items()}
            _check_distinct({name: (target.id, target.port) for name, target in targets.items()})
            found += alb.places(options, targets)
        else:
            found += file.places(options, list(members))
    labels = [place.label for place in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or not found:
        raise beam_option("Cannot use balancers", "%s is given twice" % twice[0] if twice else "there is none")
    return found


def _facts(
    rows: t.Mapping[str, t.Any], changed: bool, seen: t.Mapping[str, t.Any], places: t.Sequence[Balancer]
) -> dict[str, t.Any]:
    return {
        "changed": changed,
        "healthy": dict(seen),
        "members": {name: row.facts() for name, row in rows.items()},
        "balancers": [p.label for p in places],
    }


def work(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    members = members_of(params["members"], "members")
    fleet = None if params["fleet"] is None else members_of(params["fleet"], "fleet")
    if not members:
        raise beam_option("Cannot use members", "there is none")
    for key, least in (("timeout", 0.1), ("quiet", 0.0), ("interval", 0.01), ("bake", 0.0), ("min_healthy", 0)):
        if params[key] is not None and params[key] < least:
            raise beam_option("Cannot use %s %s" % (key, params[key]), "it must be at least %g" % least)
    # Without a balancer the canary bakes all the same, and its result says that nothing was compared.
    alone = params["state"] == "watched" and not params["balancers"]
    places = [] if alone else places_of(params["balancers"], members, fleet or {})
    for name, own in members.items():
        strange = set(own.get("places", ())) - {place.label for place in places}
        if strange:
            raise beam_option(
                "Cannot use members.%s.places" % name,
                "there is no %s" % sorted(strange)[0],
                "They are named as in `taken` and `balancers`",
            )
    hosts = None if fleet is None else {*fleet, *members}
    mover = Mover(
        places,
        Timing(params["timeout"], params["quiet"], params["interval"], patience=min(PATIENCE, params["timeout"])),
    )
    looks = mover.look()
    if params["state"] is None:
        return _info(places, mover, members, hosts, params["min_healthy"])
    check_known(places, looks, members, params["state"] == "joined")
    if params["state"] == "watched":
        verdict = (
            None
            if check_mode
            else watch(mover, members, hosts, params["bake"], params["interval"] or 1.0, Limits(**params["limits"]))
        )
        result = _info(places, mover, members, hosts, params["min_healthy"])
        return {**result, "comparison": verdict and verdict.facts()}
    if params["state"] == "drained":
        floor = params["min_healthy"]
        if capacity(places, looks, members, hosts, floor).refusal:
            looks = mover.until(lambda seen: not capacity(places, seen, members, hosts, floor).refusal, SETTLE)
        plan = plan_drain(places, looks, members, hosts, floor)
        check_capacity(plan)
    else:
        plan = plan_join(
            places, looks, members, hosts, {name: own["places"] for name, own in members.items() if "places" in own}
        )
    rows = unmoved(plan) if check_mode else mover.drain(plan) if plan.verb == "drained" else mover.join(plan)
    changed = plan.changed or not check_mode and any(row.taken for row in rows.values())
    after = plan.capacity if check_mode else capacity(places, mover.looks, (), hosts, None)
    seen = {**plan.capacity.facts(), "after": after.after}
    return {**_facts(rows, changed, seen, places), "diff": plan.diff(), "forecast": _forecasts(places)}


def _forecasts(places: t.Sequence[Balancer]) -> dict[str, t.Any]:
    """Only to be told: that it can't be asked is no reason to fail."""
    return {place.label: _forecast(place) for place in places}


def _forecast(place: Balancer) -> dict[str, t.Any]:
    try:
        return dict(place.forecast())
    except BeamError as exc:
        return {"unknown": exc.why}


def _info(
    places: t.Sequence[Balancer],
    mover: Mover,
    members: t.Mapping[str, t.Any],
    hosts: t.Optional[t.Collection[str]],
    floor: t.Any,
) -> dict[str, t.Any]:
    looks = mover.looks
    plan = Plan(
        "info",
        (),
        tuple((place.label, name) for place in places for name in members),
        capacity(places, looks, (), hosts, floor),
        looks,
    )
    rows = unmoved(plan)
    for name, row in rows.items():
        row.after = row.before = rotation_of(states_of(looks, name).values())
    return {**_facts(rows, False, plan.capacity.facts(), places), "forecast": _forecasts(places)}
