# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The edge between the product and Ansible: the only file of module_utils that knows AnsibleModule."""

from __future__ import annotations

import json
import os
import stat
import typing as t

from ._errors import BeamError
from ._mask import HIDDEN, NOTHING_NAMED
from ._mask_shapes import credentials_of, strings

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]


def run(module: AnsibleModule, work: t.Callable[[], t.Mapping[str, t.Any]]) -> None:
    """Exit with work's result, or fail with its BeamError's message. Anything else is a bug and stays one."""
    hide_credentials(module)
    umask = os.umask(0o022)
    os.umask(umask | stat.S_IWOTH)  # whatever it was: nothing that a module makes is for everybody to write
    try:
        result = dict(work())
    except BeamError as exc:
        shown = NOTHING_NAMED.error(exc)
        module.fail_json(msg=shown.message, **shown.as_result())
    finally:
        os.umask(umask)
    module.exit_json(**result)


def taken(module: AnsibleModule, name: str) -> str:
    """An option with no_log. It is neither logged nor returned; but a text that happens to be the same is no secret, as the 1 in an answer to 1."""
    value = str(module.params[name])
    module.params[name] = HIDDEN
    module.no_log_values.discard(value)
    return value


def uncut(module: AnsibleModule, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result of a build, with its warnings told. Ansible would cut the value of a variable such as MIX_TARGET=host out of every path with it."""
    for warning in result.pop("warnings", []):
        module.warn(warning)
    said = json.dumps(result)
    keys = {module.params[name] for name in ("secret_key", "session_token")}
    module.no_log_values.difference_update([value for value in module.no_log_values - keys if value in said])
    return result


def hide_credentials(module: AnsibleModule) -> None:
    """Ansible returns all options. Credentials in URLs among them must not be repeated."""
    for text in strings(module.params):
        module.no_log_values.update(credentials_of(text))


def suboptions(module: AnsibleModule, key: str, spec: Options, rules: Options) -> Options | None:
    """An option that holds all options of another module, checked as that module checks them; None where it was not given."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    given = module.params[key]
    if given is None:
        return None
    module.no_log_values.update(_secrets(spec, given))
    found = ArgumentSpecValidator(spec, **rules).validate(given)
    if found.error_messages:
        module.fail_json(msg="%s: %s" % (key, "; ".join(found.error_messages)))
    return t.cast("Options", found.validated_parameters)


def _secrets(spec: Options, given: Options) -> t.Iterator[str]:
    """What is given in options that are not to be shown."""
    for name, option in spec.items():
        value = given.get(name)
        if option.get("no_log"):
            yield from strings(value)
        elif "options" in option and isinstance(value, t.Mapping):
            yield from _secrets(option["options"], value)
