#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_artifact
short_description: Publish, remove, export, verify and prune releases in a store
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Publishes an assembled release tree into a store, as immutable layers, a manifest and a version. Only layers that the store lacks are sent.
  - Publishing the same tree again only repairs objects that are damaged in the store, and writes nothing else. Another tree under an existing version is
    refused, and the files that differ are named.
  - C(releases/COOKIE) is left out of every release. A tree is refused if it has something that looks like a private key, an environment file or credentials,
    or a setuid file, a device or a symbolic link that leaves the tree. The error names the files.
  - A release is never removed if a channel points to it, an unfinished rollout needs it, or a pin protects it.
requirements:
  - boto3 1.36 or newer, only for an C(s3://) store.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) publishes the tree at O(path). Without O(path) it only pins or unpins a published version.
      - V(absent) removes a version, and the layers that no other release needs.
      - V(exported) writes a version as one ordinary C(.tar.gz) to O(dest).
      - V(verified) reads every byte of O(version), or of all versions, and fails with a list of what is wrong.
      - V(pruned) removes all versions except the O(keep) newest ones, those younger than O(keep_days), and those that a channel, a rollout or a pin protects.
    type: str
    choices: [present, absent, exported, verified, pruned]
    default: present
  name:
    description:
      - The name of the release. The default with O(path) is the name in its build record.
    type: str
  version:
    description:
      - The version. The default with O(path) is the version in its build record, or in C(releases/start_erl.data) of the tree.
    type: str
  path:
    description:
      - The release tree to publish, such as RV(alchemist.beam.mix_release#module:path) or C(_build/prod/rel/<name>).
    type: path
  exclude:
    description:
      - Patterns of files and directories to leave out of the release. A pattern without a slash is compared with the name, a pattern with a slash with the
        whole path in the tree.
    type: list
    elements: str
    default: []
  commit:
    description:
      - The commit that is meant to be published, in full or at least its first 7 digits.
      - If the build record of the tree at O(path) names another commit, or none, the tree is refused.
    type: str
  inputs:
    description:
      - A sha256 of all inputs of the build, including the commit, as M(alchemist.beam.mix_release) returns it. The store records which version was built
        from it (and published with the same O(exclude)), so that a later run uses that version and builds nothing.
      - The record is written after the version, even for a release that was published before. That alone does not count as a change, because no release
        changes. If a store refuses it, there is a warning. It is not written for a tree with uncommitted changes.
    type: str
  verify:
    description:
      - Publishing checks size and sha256 of all objects that it would reuse, and writes wrong or missing ones again from the tree. If the store recorded a
        sha256 when the bytes were written, that one is used (AWS S3 and SeaweedFS record it).
      - With O(verify=true), every existing byte is read, so that damage below the store is found, too.
    type: bool
    default: false
  pinned:
    description:
      - Whether the version is protected from being removed, in addition to the protection by channels. Without it, the pin stays as it is.
    type: bool
  dest:
    description:
      - The file to write with O(state=exported), or a directory to write C(<name>-<version>.tar.gz) into.
    type: path
  keep:
    description:
      - How many of the newest versions O(state=pruned) keeps; 1 at least.
    type: int
    default: 10
  keep_days:
    description:
      - O(state=pruned) keeps versions that were published less than so many days ago.
    type: int
    default: 0
  min_layer_age:
    description:
      - Layers without a release are collected when they are at least so many hours old. Younger ones may belong to a publish in flight.
    type: int
    default: 24
seealso:
  - module: alchemist.beam.mix_release
  - module: alchemist.beam.release_channel
  - module: alchemist.beam.release_artifact_info
"""

EXAMPLES = r"""
- name: Publish what was just built
  alchemist.beam.release_artifact:
    store: s3://releases/prod
    region: eu-central-1
    path: "{{ build.path }}"

- name: Publish a tree that mix release made by hand
  alchemist.beam.release_artifact:
    store: file:///srv/releases
    name: shop
    path: /home/deploy/shop/_build/prod/rel/shop

- name: Have an ordinary tarball
  alchemist.beam.release_artifact:
    store: file:///srv/releases
    name: shop
    version: 1.4.2
    state: exported
    dest: /tmp/shop-1.4.2.tar.gz

- name: Keep the ten newest, and a month's
  alchemist.beam.release_artifact:
    store: file:///srv/releases
    name: shop
    state: pruned
    keep: 10
    keep_days: 30

- name: Is every byte in the store what was published?
  alchemist.beam.release_artifact:
    store: file:///srv/releases
    name: shop
    state: verified
"""

RETURN = r"""
name:
  description: The name of the release.
  type: str
  returned: success
  sample: shop
version:
  description: The version.
  type: str
  returned: state is present, absent or exported
  sample: 1.4.2
digest:
  description: The sha256 of the manifest. In check mode, V(null) for a version that is not published yet.
  type: str
  returned: state is present or exported
files:
  description: How many files the release has.
  type: int
  returned: state is present, exported or verified
layers:
  description:
    - How many layers the release has (C(total)), were sent (C(sent); in check mode, would be), or were collected (C(collected)).
    - C(repaired) counts the objects that were wrong or missing in the store and were written again; warnings name them.
  type: dict
  returned: success
  sample: {total: 74, sent: 5, repaired: 0}
bytes:
  description:
    - Compressed bytes of the whole C(release) and of what was C(sent), layers, manifest and version; bytes of the files (C(unpacked)).
    - Compressed bytes of the layers that were C(collected).
    - In check mode, C(release) and C(sent) are V(null) for a version that is not published yet.
  type: dict
  returned: success
  sample: {release: 11948625, sent: 118203, unpacked: 30412002}
left_out:
  description: Files and directories of the tree that are not part of the release.
  type: list
  elements: str
  returned: O(path) is given
  sample: [releases/COOKIE]
pinned:
  description: Whether the version is pinned now.
  type: bool
  returned: O(pinned) is given
removed:
  description: Versions that were removed, or would be.
  type: list
  elements: str
  returned: state is absent or pruned
kept:
  description: Versions that O(keep) and O(keep_days) would not keep, and what protects them.
  type: dict
  returned: state is absent or pruned
  sample: {1.0.0: it is pinned}
dest:
  description: The file that was written, or would be.
  type: str
  returned: state is exported
size:
  description: Bytes of that file; V(null) if it does not exist yet.
  type: int
  returned: state is exported
verified:
  description: Versions whose every byte is right.
  type: list
  elements: str
  returned: state is verified
problems:
  description: What is wrong, layer by layer.
  type: list
  elements: dict
  returned: a release in the store is not whole
causes:
  description:
    - The paths of RV(differing) by the cause of the difference, if this very commit is published and was built with the same options.
    - C(path) for modules that hold the path they were built at, C(time) for files that hold the time of the build, C(only_here) and C(only_published) for
      files that one of them lacks, C(directory) for empty directories, C(mode) for permissions, C(other) for what is not reproducible.
  type: dict
  returned: the version exists with other content
  sample: {time: [lib/shop-1.0.0/priv/static/cache_manifest.json]}
published_from:
  description: The commit that the published version was built from. Empty if unknown.
  type: str
  returned: the version exists with other content
commit:
  description: The commit that the tree was built from. Empty if unknown.
  type: str
  returned: O(commit) is given, and the tree is of another one
differing:
  description: The files that differ from the published version (C(+) only in the tree, C(-) only in the store, C(~) changed).
  type: list
  elements: str
  returned: the version exists with other content
refused:
  description: The files that can't be part of a release, with the reason.
  type: list
  elements: dict
  returned: the tree is refused
writes:
  description: How many objects in the store were created, replaced or deleted.
  type: int
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "state": {
                "type": "str",
                "choices": ["present", "absent", "exported", "verified", "pruned"],
                "default": "present",
            },
            "name": {"type": "str"},
            "version": {"type": "str"},
            "path": {"type": "path"},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "commit": {"type": "str"},
            "inputs": {"type": "str"},
            "verify": {"type": "bool", "default": False},
            "pinned": {"type": "bool"},
            "dest": {"type": "path"},
            "keep": {"type": "int", "default": 10},
            "keep_days": {"type": "int", "default": 0},
            "min_layer_age": {"type": "int", "default": 24},
        },
        required_if=[
            ("state", "absent", ("name", "version")),
            ("state", "exported", ("name", "version", "dest")),
            ("state", "verified", ("name",)),
            ("state", "pruned", ("name",)),
        ],
        required_by={"commit": "path", "inputs": "path"},
        supports_check_mode=True,
    )
    run(module, lambda: run_artifact(module.params, module.check_mode))


if __name__ == "__main__":
    main()
