# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML that people copy: EXAMPLES of modules, blocks of pages, inventories and playbooks. What is wrong with it, as the product itself would say it.

A value with a template in it is taken for right: what it gives is known at run time only.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
import typing as t
from pathlib import Path
from unittest import mock

import yaml  # type: ignore[import-untyped]
from ansible_collections.alchemist.beam.plugins.plugin_utils._known import known
from ansible_collections.alchemist.beam.plugins.plugin_utils._shapes import shape_of, strange_keys

ROOT = Path(__file__).resolve().parents[2]
OURS = "alchemist.beam."
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "meta").is_dir())
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
MODULES = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
_PREFIXES = re.compile(r"\b(?:beam|%s)_[a-z0-9_]+" % "|".join(ROLES))
_IMPORT = {"import_playbook", "ansible.builtin.import_playbook"}
_ROLE = {"include_role", "import_role", "ansible.builtin.include_role", "ansible.builtin.import_role"}
Spec = t.Mapping[str, t.Any]


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


class _Made(Exception):
    pass


@functools.cache
def module_spec(name: str) -> dict[str, t.Any]:
    """What the module gives to AnsibleModule."""
    module = importlib.import_module("ansible_collections.alchemist.beam.plugins.modules." + name)
    made = mock.Mock(side_effect=_Made)
    with mock.patch.object(module, "AnsibleModule", made), contextlib.suppress(_Made):
        module.main()
    found = dict(made.call_args.kwargs)
    if made.call_args.args:
        found["argument_spec"] = made.call_args.args[0]
    return found


@functools.cache
def role_options(role: str) -> dict[str, dict[str, t.Any]]:
    """Of all entry points of the role."""
    found: dict[str, dict[str, t.Any]] = {}
    for entry in load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"].values():
        found.update(entry.get("options", {}))
    return found


@functools.cache
def takers(variable: str) -> dict[str, dict[str, t.Any]]:
    """The options of roles that this variable sets: the one of this name, or those whose default is made of it alone."""
    alone = re.compile(r"\{\{ %s(?: \| default\(.*\))? \}\}" % re.escape(variable))
    found = {}
    for role in ROLES:
        defaults = load(ROOT / "roles" / role / "defaults" / "main.yml")
        options = role_options(role).items()
        found.update(
            {name: option for name, option in options if name == variable or alone.fullmatch(str(defaults.get(name)))}
        )
    return found


def read_in(data: t.Any) -> set[str]:
    """Variables that a template in it reads: a reader's own may have the prefix, too."""
    templates = re.findall(r"\{\{.*?\}\}", str(data))
    return {match.group() for template in templates for match in _PREFIXES.finditer(template)}


def _templated(value: t.Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _any_value(spec: Spec, given: Spec) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The specification and the parameters, with any value let pass where it is a template."""
    aliases = {alias: name for name, option in spec.items() for alias in option.get("aliases", [])}
    checked, parameters = dict(spec), dict(given)
    for key, value in given.items():
        name = aliases.get(key, key)
        option = dict(spec.get(name) or {})
        if _templated(value) and option:
            kept = {word: option[word] for word in ("required", "aliases") if word in option}
            checked[name] = {**kept, "type": "raw"}
        elif isinstance(value, list) and option:
            items = [item for item in value if not _templated(item)]
            if isinstance(option.get("options"), dict):
                pairs = [_any_value(option["options"], item) for item in items if isinstance(item, dict)]
                items = [item for _option, item in pairs]
                checked[name] = {
                    **option,
                    "options": {word: what for inner, _item in reversed(pairs) for word, what in inner.items()}
                    or option["options"],
                }
            parameters[key] = items
        elif isinstance(value, dict) and isinstance(option.get("options"), dict):
            inner, parameters[key] = _any_value(option["options"], value)
            checked[name] = {**option, "options": inner}
    return checked, parameters


def mistakes(spec: Spec, given: t.Any, **rules: t.Any) -> list[str]:
    """What Ansible says of these parameters. rules: required_if and the like."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    if not isinstance(given, dict):
        return [] if _templated(given) else ["%r is no dictionary" % (given,)]
    checked, parameters = _any_value(spec, given)
    return list(ArgumentSpecValidator(checked, **rules).validate(parameters).error_messages)


def module_mistakes(name: str, given: t.Any, defaults: Spec) -> list[str]:
    """defaults: module_defaults of the play."""
    if name not in MODULES:
        return ["there is no module %s" % name]
    rules = {
        key: value
        for key, value in module_spec(name).items()
        if key not in ("supports_check_mode", "add_file_common_args")
    }
    groups = load(ROOT / "meta" / "runtime.yml")["action_groups"]
    for group, words in defaults.items():
        if group == OURS + name or (group.startswith("group/" + OURS) and name in groups[group.split(".")[-1]]):
            given = {
                **(words if isinstance(words, dict) else dict.fromkeys(_required(rules["argument_spec"]), "{{ x }}")),
                **(given or {}),
            }
    return mistakes(rules.pop("argument_spec"), given or {}, **rules)


def _required(spec: Spec) -> list[str]:
    return [name for name, option in spec.items() if option.get("required")]


def variable_mistakes(name: str, value: t.Any, own: t.Collection[str] = ()) -> list[str]:
    if name not in known() and name not in own:
        return ["nothing reads the variable %s" % name]
    found = [one for option, spec in takers(name).items() for one in mistakes({option: spec}, {option: value})]
    shape = shape_of(name)
    return found + (list(strange_keys(name, value, shape)) if shape and name != "beam_member" else [])


def wrong(
    data: t.Any, where: str = "", defaults: t.Optional[Spec] = None, own: t.Optional[t.Collection[str]] = None
) -> t.Iterator[str]:
    """Everything that is wrong with plays, tasks, an inventory or variables, wherever it stands in them. own: variables that are read there."""
    own = read_in(data) if own is None else own
    if isinstance(data, list):
        for number, item in enumerate(data):
            yield from wrong(item, "%s[%d]" % (where, number), defaults, own)
    if not isinstance(data, dict):
        return
    defaults = {**(defaults or {}), **(data.get("module_defaults") or {})}
    for key, value in data.items():
        here, said = "%s.%s" % (where, key), []
        if key == "module_defaults":
            continue
        if str(key).startswith(OURS):
            said = module_mistakes(key[len(OURS) :], value, defaults)
        elif key in _IMPORT and str(value).startswith(OURS):
            said = [] if value[len(OURS) :] in PLAYBOOKS else ["there is no playbook %s" % value]
        elif key in _ROLE and str(value.get("name")).startswith(OURS):
            said = _role_mistakes(value["name"][len(OURS) :], value.get("tasks_from", "main"))
        elif key == "roles":
            names = [item if isinstance(item, str) else item.get("role") for item in value]
            said = [
                one for name in names if str(name).startswith(OURS) for one in _role_mistakes(name[len(OURS) :], "main")
            ]
        elif _PREFIXES.fullmatch(str(key)):
            said = variable_mistakes(key, value, own)
        yield from ("%s: %s" % (here, one) for one in said)
        if not str(key).startswith(OURS):
            yield from wrong(value, here, defaults, own)


def _role_mistakes(role: str, entry: str) -> list[str]:
    return (
        []
        if (ROOT / "roles" / role / "tasks" / (entry + ".yml")).is_file()
        else ["there is no role %s with %s" % (role, entry)]
    )


def blocks(path: Path) -> list[str]:
    """The YAML of a page, with the indentation of its list taken away."""
    found = re.findall(r"^( *)```yaml\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub("^" + indent, "", text, flags=re.MULTILINE) for indent, text in found]
