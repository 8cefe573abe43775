# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What can be known to be wrong with the settings of a rollout before anything is asked of a server: told all at once, in the names of the inventory."""

from __future__ import annotations

import functools
import re
import typing as t
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import COUNTING
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.bake import FAIL
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.batches import floor, share, sizes
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.colors import check_colors
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.strategies import STRATEGIES
from ansible_collections.alchemist.beam.plugins.module_utils._mask_shapes import has_userinfo, strings
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import HEALTH_SPEC, health_of
from ansible_collections.alchemist.beam.plugins.module_utils._release.names import (
    check_channel,
    check_name,
    check_version,
)
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import ROOT
from ansible_collections.alchemist.beam.plugins.plugin_utils._shapes import SHAPES, strange_keys

Vars = t.Mapping[str, t.Any]
# Seconds, and one number; the least that makes sense.
LEAST: t.Mapping[str, float] = {
    "wait": 0,
    "lock_ttl": 1,
    "drain_timeout": 0.1,
    "drain_quiet": 0,
    "join_timeout": 0.1,
    "bake": 0,
    "migrate_timeout": 1,
    "stop_timeout": 0,
    "boot_timeout": 1,
    "autoscaling_wait": 0,
    "keep": 1,
}
# What is read of a server, or a name in the inventory that Ansible looks for itself.
UNASKED = (
    "abi_ignore",
    "autoscaling_group",
    "autoscaling_host",
    "balancer_host",
    "base",
    "digest",
    "migrate",
    "push_to",
    "store_host",
    "unit",
)
CHECKED = ("health", "balancers", "canary", "hot", "ready", "store_options", "autoscaling_options")


def problems(
    given: Vars, hosts: t.Sequence[str], everyone: t.Sequence[str] = (), find: t.Callable[[str], str] = str
) -> list[str]:
    """given: the options of the role without their prefix, as they are for the first host. find: the path of a hook's file, or an exception."""
    given = {name: value for name, value in given.items() if value != ""}  # a survey question without an answer
    found = _types(given)
    for name, least in LEAST.items():
        found += _number("beam_" + name, given.get(name), least)
    found += _names(given) + _credentials(given)
    found += (
        _refusal(_batches, given, hosts)
        + _refusal(_floor, given, [*hosts, *everyone])
        + _refusal(_colors, given, hosts)
    )
    for name in CHECKED:
        found += _shape(name, given.get(name))
    found += (
        _canary(given) + _balancers(given, hosts) + _ready(given.get("ready") or {}) + _hooks(given.get("hooks"), find)
    )
    return (
        found
        + _report(str(given.get("report") or ""))
        + _known_host(str(given.get("migrate_host") or ""), given.get("inventory") or ())
    )


@functools.cache
def _options() -> dict[str, t.Any]:
    """The documented options of the role, by what they are called in an inventory."""
    text = (ROOT / "roles" / "rollout" / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found = {}
    for name, option in yaml.safe_load(text)["argument_specs"]["plan"]["options"].items():
        found[name.partition("_")[2]] = {key: option[key] for key in ("type", "elements", "choices") if key in option}
    return found


def asked() -> list[str]:
    """The options that can be known to be wrong before anything is asked of a server, without their prefix."""
    return [name for name in _options() if name not in UNASKED]


def _types(given: Vars) -> list[str]:
    spec = {
        "beam_" + name: option
        for name, option in _options().items()
        if name in given and name not in CHECKED and name != "hooks"
    }
    judged = ArgumentSpecValidator(spec).validate({name: given[name.partition("_")[2]] for name in spec})
    return [message.rstrip(".") + "." for message in judged.error_messages]


def _number(name: str, value: t.Any, least: float) -> list[str]:
    try:
        good = value is None or isinstance(value, bool) or float(value) >= least
    except (TypeError, ValueError):
        return []  # said by its type already
    return [] if good else ["%s can't be %s: it is at least %g." % (name, value, least)]


def _credentials(given: Vars) -> list[str]:
    """Nothing uses them there, and all of it is in plans, results and reports. Of beam_health it is told where that is checked."""
    return [
        "beam_%s holds the credentials of a URL, which would show up in results and reports. Take them out of it%s."
        % (name, ", and give access_key and secret_key in beam_store_options" if name == "store" else "")
        for name in ("store", "ready", "balancers")
        if any(has_userinfo(text) for text in strings(given.get(name)))
    ]


def _names(given: Vars) -> list[str]:
    found = []
    for name, judge in (("name", check_name), ("channel", check_channel), ("version", check_version)):
        if given.get(name):
            found += ["beam_%s: %s" % (name, said) for said in _refusal(judge, str(given[name]))]
    if given.get("fetch") == "push" and not str(given.get("store") or "file://").startswith("file://"):
        found.append(
            "beam_fetch: push sends what is in a directory, and beam_store is %s. Give a file:// store, or say presigned."
            % given["store"]
        )
    return found


def _refusal(judge: t.Callable[..., t.Any], *given: t.Any) -> list[str]:
    try:
        judge(*given)
    except BeamError as exc:
        return [exc.message]
    return []


def _batches(given: Vars, hosts: t.Sequence[str]) -> None:
    strategy, batches = given.get("strategy"), given.get("batches")
    if strategy not in STRATEGIES:
        strategy = "rolling"  # that it is none is said by its type
    sizes(str(strategy), batches, max(len(hosts), 1))
    # Also the sizes that this fleet is too small to come to.
    for size in (
        batches.split(",") if isinstance(batches, str) else batches if isinstance(batches, (list, tuple)) else [batches]
    ):
        if share(size, max(len(hosts), 1), "a batch (beam_batches)") == 0 and "%" not in str(size):
            raise BeamError(
                "batches_invalid",
                "the fleet can't be cut into batches",
                "a batch of 0 hosts would never end",
                'Write beam_batches as [1, "25%"]',
            )


def _floor(given: Vars, everyone: t.Sequence[str]) -> None:
    floor(given.get("min_healthy"), str(given.get("strategy")), max(len(set(everyone)), 1))


def _colors(given: Vars, hosts: t.Sequence[str]) -> None:
    check_colors(
        str(given.get("strategy")), [str(color) for color in given.get("colors") or ()], hosts, bool(given.get("ready"))
    )


def _shape(name: str, value: t.Any) -> list[str]:
    if not value:
        return []
    found = list(strange_keys("beam_" + name, value, SHAPES[name]))
    if found:
        return found
    spec = {**SHAPES[name], "required": False}
    if name == "store_options":  # beam_store itself is a variable of its own
        spec = {**spec, "options": {**spec["options"], "store": {"type": "str"}}}
    judged = ArgumentSpecValidator({"beam_" + name: spec}).validate({"beam_" + name: value})
    if judged.error_messages:
        return ["beam_%s: %s" % (name, message.rstrip(".") + ".") for message in judged.error_messages]
    if name == "health":
        try:
            health_of(
                ArgumentSpecValidator({"health": HEALTH_SPEC})
                .validate({"health": value})
                .validated_parameters["health"]
            )
        except BeamError as exc:
            return [] if exc.code == "jmespath_missing" else [exc.message]  # this machine asks nothing
    return []


def _canary(given: Vars) -> list[str]:
    limits = given.get("canary")
    if (
        given.get("strategy") != "canary"
        or not isinstance(limits, t.Mapping)
        or limits.get("on_no_traffic") != FAIL
        or _kinds(given).intersection(COUNTING)
    ):
        return []
    return [
        "beam_canary.on_no_traffic: fail would refuse every version: no balancer of beam_balancers counts requests (kind %s does). Say pass."
        % COUNTING
    ]


def _kinds(given: Vars) -> set[str]:
    return {str(one.get("kind")) for one in given.get("balancers") or () if isinstance(one, t.Mapping)}


def _balancers(given: Vars, hosts: t.Sequence[str]) -> list[str]:
    if "file" not in _kinds(given) or len(hosts) < 2:
        return []
    return [
        "beam_balancers has one of kind file, and %d hosts: such a file is on the server itself. Say it in beam_ready: {path: …, url: …}."
        % len(hosts)
    ]


def _ready(ready: Vars) -> list[str]:
    path = ready.get("path") if isinstance(ready, t.Mapping) else None
    return (
        ["beam_ready.path can't be %r: it is an absolute path." % path]
        if path and not str(path).startswith("/")
        else []
    )


def _hooks(hooks: t.Any, find: t.Callable[[str], str]) -> list[str]:
    if not hooks:
        return []
    if not isinstance(hooks, t.Mapping):
        return ["beam_hooks can't be %r: it is a dictionary of task files." % (hooks,)]
    found = list(strange_keys("beam_hooks", hooks, SHAPES["hooks"]))
    for name, path in hooks.items():
        why = _tasks(str(path), find)
        if why:
            found.append("beam_hooks.%s: %s %s." % (name, path, why))
    return found


def _tasks(path: str, find: t.Callable[[str], str]) -> str:
    """Why it can't be included; empty where it can."""
    try:
        text = Path(find(path)).read_text(encoding="utf-8")
    except Exception as exc:
        return "can't be read (%s). A hook is a file of tasks on the controller, with an absolute path" % (
            getattr(exc, "strerror", None) or "it is not there"
        )
    try:
        tasks = yaml.compose(text, Loader=yaml.SafeLoader)  # tags such as !vault stay what they are
    except yaml.YAMLError as exc:
        return "is no YAML (%s)" % re.sub(r"\s+", " ", str(exc))[:200]
    if tasks is not None and not isinstance(tasks, yaml.SequenceNode):
        return "is no list of tasks (a playbook's tasks without the play)"
    words = {
        key.value
        for task in (tasks.value if tasks else ())
        if isinstance(task, yaml.MappingNode)
        for key, _value in task.value
    }
    return "is a playbook. A hook is a list of tasks" if "hosts" in words else ""


def _report(path: str) -> list[str]:
    directory = Path(path).parent
    return (
        ["beam_report: the directory %s is not there on the controller." % directory]
        if path and not directory.is_dir()
        else []
    )


def _known_host(name: str, inventory: t.Collection[str]) -> list[str]:
    return (
        ["beam_migrate_host: the inventory has no host %s." % name]
        if name and inventory and name not in inventory
        else []
    )
