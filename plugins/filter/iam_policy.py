# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: iam_policy
short_description: An IAM policy that is no wider than the configuration
description:
  - Makes the policy of a kind of machine from what is configured, so that nobody has to write a wide one by hand.
  - A C(host) reads the prefix of its application, writes records of failed boots once, answers the hooks of its groups, and reads its own secrets.
  - A C(builder) publishes, and nothing that was published can be overwritten by it. It needs the condition key C(s3:if-none-match).
  - A C(deployer) moves channels, locks and journals by compare-and-swap, writes reports and bootstrap bundles once, refreshes the groups, and moves
    targets. It can't write layers, manifests and versions at all.
  - None of them may delete anything but what M(alchemist.beam.store_check) writes. Pruning takes C(s3:DeleteObject) for those who prune.
author: alchemist.beam contributors (@alchemist-beam)
positional: kind
options:
  _input:
    description:
      - The configuration. C(store) (C(s3://bucket/prefix)) and C(name) are needed.
      - C(region) and C(account) are needed with C(groups), and with secrets by their names. C(partition) is V(aws) by default.
      - C(groups) are names of auto scaling groups, C(target_groups) ARNs, C(roles) ARNs of the roles that instances get.
      - C(cookie) and the values of C(secrets) are sources such as C(ssm:/shop/cookie) or C(secretsmanager:shop#cookie). C(kms_keys) are ARNs of
        keys that they, or the bucket, are encrypted with, where those are not AWS's own.
    type: dict
    required: true
  kind:
    description: Whose policy it is.
    type: str
    choices: [host, deployer, builder]
    default: host
"""

EXAMPLES = r"""
- name: What may a server do?
  ansible.builtin.debug:
    msg: >-
      {{ {'store': 's3://releases/beam', 'name': 'shop', 'region': 'eu-central-1', 'account': '123456789012', 'groups': ['shop'],
          'cookie': 'ssm:/shop/cookie'} | alchemist.beam.iam_policy('host') }}
"""

RETURN = r"""
_value:
  description: The policy document.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemist.beam.plugins.module_utils._autoscaling.policies import documents
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import NOTHING_NAMED


def iam_policy(config: t.Mapping[str, t.Any], kind: str = "host") -> dict[str, t.Any]:
    try:
        return documents(config, kind)
    except BeamError as exc:
        raise AnsibleFilterError(NOTHING_NAMED.text(exc.message)) from exc


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"iam_policy": iam_policy}
