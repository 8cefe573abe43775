# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Variables that are dictionaries: which keys they have, all the way down. What is a template as a whole is not looked into."""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.alchemist.beam.plugins.module_utils._aws import AWS_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.spec import BALANCERS_SPEC, LIMITS_SPEC, MEMBER
from ansible_collections.alchemist.beam.plugins.module_utils._fleet.bake import ON_NO_TRAFFIC
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.plan import ACCEPTABLE
from ansible_collections.alchemist.beam.plugins.module_utils._node.spec import HEALTH_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import STORE_SPEC

Spec = t.Mapping[str, t.Any]
ONCE = ("before_rollout", "before_migrate", "after_migrate", "before_promote", "after_rollout")
EACH = (
    "before_batch",
    "leave",
    "before_restart",
    "after_restart",
    "join",
    "after_batch",
    "before_return",
    "after_return",
)
HOOKS = (*ONCE, *EACH)
READY_SPEC: Spec = {"type": "dict", "options": {"path": {"type": "path", "required": True}, "url": {"type": "str"}}}
CANARY_SPEC: Spec = {
    "type": "dict",
    "options": {
        **LIMITS_SPEC["options"],
        "memory_ratio": {"type": "float"},
        "on_no_traffic": {"type": "str", "choices": list(ON_NO_TRAFFIC)},
    },
}
HOT_SPEC: Spec = {
    "type": "dict",
    "options": {
        "accept": {"type": "list", "elements": "str", "choices": list(ACCEPTABLE)},
        **{name: {"type": "float"} for name in ("suspend_timeout", "change_timeout", "timeout")},
    },
}
_STORE: Spec = {"type": "dict", "options": STORE_SPEC}

# By the part after the prefix: beam_health and rollout_health are one.
SHAPES: t.Mapping[str, Spec] = {
    "health": HEALTH_SPEC,
    "balancers": BALANCERS_SPEC,
    "canary": CANARY_SPEC,
    "hooks": {"type": "dict", "options": {name: {"type": "str"} for name in HOOKS}},
    "hot": HOT_SPEC,
    "ready": READY_SPEC,
    "member": {"type": "dict", "options": {name: {} for name in MEMBER}},
    "store_options": _STORE,
    "server_store_options": _STORE,
    "autoscaling_options": {"type": "dict", "options": AWS_SPEC},
}
_PREFIXES = ("beam", "rollout", "build", "distribute", "bootstrap", "image")


def shape_of(variable: str) -> t.Optional[Spec]:
    prefix, _line, rest = variable.partition("_")
    return SHAPES.get(rest) if prefix in _PREFIXES else None


def strange_keys(where: str, value: t.Any, spec: Spec, besides: t.Collection[str] = ()) -> t.Iterator[str]:
    """A sentence for each key that is not known. besides: keys that are allowed at the top, with anything below them."""
    options = spec.get("options")
    if not isinstance(options, t.Mapping):
        return
    if isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from strange_keys("%s[%d]" % (where, number), each, spec, besides)
    elif isinstance(value, t.Mapping):
        names = set(options) | {alias for option in options.values() for alias in option.get("aliases", ())}
        for key, inner in value.items():
            if key in besides or not isinstance(key, str) or "{{" in key:
                continue
            if key in names:
                yield from strange_keys("%s.%s" % (where, key), inner, options.get(key) or {})
                continue
            near = difflib.get_close_matches(key, sorted(names), 1)
            yield "%s.%s: %s" % (
                where,
                key,
                "did you mean %s?" % near[0] if near else "there are only %s." % ", ".join(sorted(options)),
            )


def strange_in(variables: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Of one host's variables, as they were written."""
    colors = variables.get("beam_colors")
    if colors is None and isinstance(variables.get("rollout_colors"), (list, tuple)):
        colors = variables["rollout_colors"]  # otherwise that is the role's own default
    for name, value in variables.items():
        spec = shape_of(name) if isinstance(name, str) else None
        if spec is not None:
            # A host with two nodes has a dictionary for each colour in beam_member; colours that are a template are not known here.
            free = [str(color) for color in colors] if isinstance(colors, (list, tuple)) else []
            if name.endswith("_member") and colors is not None and not free:
                continue
            yield from strange_keys(name, value, spec, free if name.endswith("_member") else ())
