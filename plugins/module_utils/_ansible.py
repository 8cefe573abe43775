# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The edge between the product and Ansible: the only file of module_utils that knows AnsibleModule."""

from __future__ import annotations

import typing as t

from ._errors import BeamError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def run(module: AnsibleModule, work: t.Callable[[], t.Mapping[str, t.Any]]) -> None:
    """Exit with work's result, or fail with its BeamError's message. Anything else is a bug and stays one."""
    try:
        result = dict(work())
    except BeamError as exc:
        module.fail_json(msg=exc.message, **exc.as_result())
    module.exit_json(**result)
