# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: erlang_address
short_description: Write an IP address as Erlang does
description:
  - Used by the role P(alchemist.beam.service#role), for the flags of the VM.
author: alchemist.beam contributors (@alchemist-beam)
options:
  _input:
    description: An address of IPv4 or IPv6.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show {0,0,0,0,0,0,0,1}
  ansible.builtin.debug:
    msg: "{{ '::1' | alchemist.beam.erlang_address }}"
"""

RETURN = r"""
_value:
  description: A tuple of numbers.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.vm_flags import term


def erlang_address(text: str) -> str:
    try:
        return term(str(text))
    except BeamError as exc:
        raise AnsibleFilterError(exc.message) from exc


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"erlang_address": erlang_address}
