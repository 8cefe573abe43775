#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_artifact_info
short_description: Show which releases are in a store
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Lists the published releases of a name, the newest first, or describes one.
  - Can make presigned URLs for everything that a server reads to install one release, so that the server needs neither boto3 nor credentials.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the releases.
    type: str
    required: true
  version:
    description:
      - Only this version.
    type: str
  digest:
    description:
      - Only the release with this digest.
    type: str
  channel:
    description:
      - Only the release that is stable on this channel.
    type: str
  presign:
    description:
      - Make URLs by which anyone can read the release for so many seconds, 1 to 900. Needs O(version), O(digest) or O(channel), and an C(s3://) store.
      - The URLs are credentials for that time. Set C(no_log) on the task.
    type: int
  layers:
    description:
      - With O(presign), only make URLs of the layers with these sha256. With an empty list there are only URLs of the documents. A server needs no
        more in check mode to find out which layers it lacks.
    type: list
    elements: str
  compare_to:
    description:
      - With O(version), O(digest) or O(channel), another version, from which RV(difference) leads to that one.
    type: str
seealso:
  - module: alchemist.beam.release_artifact
  - module: alchemist.beam.release_install
"""

EXAMPLES = r"""
- name: List what is published
  alchemist.beam.release_artifact_info:
    store: file:///srv/releases
    name: shop
  register: shop_releases

- name: Make URLs for servers without credentials
  alchemist.beam.release_artifact_info:
    store: s3://releases/prod
    name: shop
    channel: production
    presign: 600
  register: shop_urls
  no_log: true

- name: Make URLs of the documents alone
  alchemist.beam.release_artifact_info:
    store: s3://releases/prod
    name: shop
    version: 1.4.2
    presign: 600
    layers: []
  register: shop_documents
  no_log: true

- name: Ask servers for the layers that they lack
  alchemist.beam.release_install:
    name: shop
    base: /opt/shop
    version: 1.4.2
    presigned: "{{ shop_documents.presigned }}"
  check_mode: true
  register: shop_lacks

- name: Make URLs of what any of them lacks
  alchemist.beam.release_artifact_info:
    store: s3://releases/prod
    name: shop
    version: 1.4.2
    presign: 600
    layers: "{{ ansible_play_hosts | map('extract', hostvars, ['shop_lacks', 'lacks']) | flatten | unique }}"
  register: shop_layers
  no_log: true
"""

RETURN = r"""
releases:
  description: The releases, the newest first. Empty if none matches.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name.
      type: str
    version:
      description: The version.
      type: str
    digest:
      description: The sha256 of the manifest.
      type: str
    published:
      description: When it was published, in UTC; V(null) if the version was removed since.
      type: str
    files:
      description: How many files it has.
      type: int
    layers:
      description: How many layers it has.
      type: int
    size:
      description: Compressed bytes of its layers.
      type: int
    unpacked_size:
      description: Bytes of its files.
      type: int
    pinned:
      description: Whether it is pinned.
      type: bool
    protected:
      description: What protects it from being removed; empty if nothing does.
      type: str
    abi:
      description: What it needs from a server.
      type: dict
    provenance:
      description: Where it comes from.
      type: dict
objects:
  description:
    - The store's keys of all parts of one release, such as C(shop/layers/9f2c….tar.gz), in the order in which they are written.
    - If they are copied to another store in this order, nobody ever sees an incomplete release there.
  type: list
  elements: str
  returned: one release is asked for, and there
difference:
  description: What leads from O(compare_to) to the release that is asked for. A file that only moved with the version of its application is the same.
  type: dict
  returned: O(compare_to) is given
  contains:
    applications:
      description:
        - OTP applications that were C(added) and C(removed), with their versions, and those that C(moved), with both versions.
        - Those in C(same_version) have other files all the same.
      type: dict
    erts:
      description: The versions of ERTS, before and after. Empty where a release has none of its own.
      type: list
      elements: str
    files:
      description: The files that were C(added), C(removed) and C(changed), a thousand of each at most, and the C(counts) of all of them.
      type: dict
    fetched:
      description: Compressed bytes of the layers that a server fetches which has the other version.
      type: int
    commits:
      description: The commits, before and after. Empty where they are not known.
      type: list
      elements: str
    built_with:
      description: What else of the provenance differs, with both values.
      type: dict
presigned:
  description: The store's keys with their URLs, as O(alchemist.beam.release_install#module:presigned) takes them.
  type: dict
  returned: O(presign) is given
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "name": {"type": "str", "required": True},
            "version": {"type": "str"},
            "digest": {"type": "str"},
            "channel": {"type": "str"},
            "presign": {"type": "int"},
            "layers": {"type": "list", "elements": "str"},
            "compare_to": {"type": "str"},
        },
        mutually_exclusive=[("version", "digest", "channel")],
        required_by={"layers": ["presign"]},
        supports_check_mode=True,
    )
    run(module, lambda: run_artifact_info(module.params))


if __name__ == "__main__":
    main()
