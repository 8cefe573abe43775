#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_install
short_description: Install a release of an Elixir application on a server
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Puts a release from a store on this server, and points C(<base>/current) at it if asked to.
  - Only layers that the server lacks are fetched. Each is checked against the manifest before it is unpacked, and each file afterwards.
  - A release appears in C(<base>/releases) completely or not at all, and V(current) switches atomically. The running node is not touched;
    restart it with M(alchemist.beam.beam_restart).
  - A release that is already staged can be activated by O(version) or O(digest) even if the store can't be reached.
  - The kept releases, the current and the previous one, and every release that a running process still uses are never pruned.
requirements:
  - Python 3.9 or newer; nothing else for a C(file://) or C(http(s)://) store and for O(presigned).
  - boto3, only for an C(s3://) store.
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
  name:
    description:
      - The name of the release.
    type: str
    required: true
  base:
    description:
      - The directory for this release on the server, such as C(/opt/shop). It is made if it is missing.
      - It must belong to root or to the user who runs this module, and lie on one file system.
      - All parent directories and links on the path to it must also belong to root, to that user or to the user who became root by sudo. No other user may
        write to them, except to those with the sticky bit (such as C(/tmp)). Otherwise the base is refused (C(base_foreign)), whatever O(state) is.
      - Only users who may write to the base can open its lock file (C(.lock), 0600). If a former version left the file readable, the next installation
        closes it. A process that had it open before can hold the lock until it ends; the error names this process and its user.
    type: path
    required: true
  state:
    description:
      - V(staged) puts the release on the server and leaves C(current) alone.
      - V(active) also points C(current) at it.
      - V(inactive) removes C(current) and leaves the releases, as before the first activation. Name no release with it.
      - V(absent) removes the release. One that is current or used by a running process is refused.
    type: str
    choices: [staged, active, inactive, absent]
    default: staged
  channel:
    description:
      - Install the release that is stable on this channel. Give exactly one of O(channel), O(version) and O(digest), or none with O(state=inactive).
    type: str
  version:
    description:
      - Install this version.
    type: str
  digest:
    description:
      - Install the release with this digest (the sha256 of its manifest).
    type: str
  store:
    description:
      - Where releases live, as C(file:///path), C(s3://bucket/prefix) or (read-only) C(https://host/path).
      - Not needed with O(presigned), with O(state=absent), and for a version that is staged already.
    type: str
    required: false
  presigned:
    description:
      - URLs to fetch from instead of O(store), by the key of the object in the store, as
        M(alchemist.beam.release_artifact_info) returns them. The server then needs no credentials and no boto3.
    type: dict
  keep:
    description:
      - How many of the newest releases to keep, besides the current, the previous and those in use.
    type: int
    default: 5
  min_free_mb:
    description:
      - MiB that must stay free on the file system after the installation.
    type: int
    default: 100
  verify:
    description:
      - Read every file of a release that is already staged, and repair files that differ from the manifest, in every version
        that shares them.
      - Without it, if a release is staged and its state does not change, only missing files and files of another size or mode are noticed.
        Layers that a new version shares with releases on the server, and a staged release that is activated, are always read.
    type: bool
    default: false
  allow_ghost:
    description:
      - Install what the channel points at even if it is a ghost there (it failed before).
    type: bool
    default: false
  allow_older_serial:
    description:
      - Accept a channel whose serial is lower than the one that this server has seen, because the channel was recreated on purpose.
    type: bool
    default: false
  lock_timeout:
    description:
      - Seconds to wait for another installation on the same base. After that, the error names the process that holds the lock file, as the kernel reports it.
    type: int
    default: 60
  pointer:
    description:
      - The symlink in O(base) that V(active) switches and V(inactive) removes.
      - Each of two nodes on a server (see the role P(alchemist.beam.service#role)) has its own symlink, such as V(blue).
        C(current) points at the release that serves. A release that any of them points at is never removed.
      - C(previous) is about C(current) alone.
    type: str
    default: current
  fence:
    description:
      - The serial of the lock under which this is done, as M(alchemist.beam.rollout_lock) returns it.
      - The server remembers the highest serial that wrote to it, by channel. With a lower one nothing is touched, and the error is V(lock_lost),
        because another deploy has taken over since.
    type: int
  fence_channel:
    description:
      - The channel of this lock.
    type: str
  abi_ignore:
    description:
      - Libraries that this server need not have, as patterns such as V(libwx_*), because the files of the release that need them are never loaded.
      - With V(erlang), the Erlang of the server is not checked if the release has none of its own (C(include_erts) is false).
      - All other libraries that a file of the release needs have to be on the server, in a directory of the dynamic loader or of C(LD_LIBRARY_PATH) in the
        environment of the service. If only an application that loads its libraries late (wx, odbc) needs one, a missing library is only a warning.
    type: list
    elements: str
    default: []
seealso:
  - module: alchemist.beam.release_artifact
  - module: alchemist.beam.release_channel
  - module: alchemist.beam.beam_restart
"""

EXAMPLES = r"""
- name: Stage what is stable in production
  alchemist.beam.release_install:
    name: shop
    base: /opt/shop
    store: s3://releases/apps
    channel: production

- name: Activate a version; with the store away, if it is staged
  alchemist.beam.release_install:
    name: shop
    base: /opt/shop
    store: s3://releases/apps
    version: 1.4.2
    state: active

- name: Presign on the controller, so that servers need neither credentials nor boto3
  alchemist.beam.release_artifact_info:
    name: shop
    store: s3://releases/apps
    channel: production
    presign: 600
  delegate_to: localhost
  run_once: true
  register: release

- name: Install with the presigned URLs
  alchemist.beam.release_install:
    name: shop
    base: /opt/shop
    presigned: "{{ release.presigned }}"
    channel: production
    state: active
"""

RETURN = r"""
name:
  description: The name of the release.
  type: str
  returned: success
version:
  description: The version that was installed, deactivated or removed.
  type: str
  returned: success
  sample: 1.4.2
digest:
  description: The digest of the release.
  type: str
  returned: success
path:
  description: The directory of the release.
  type: str
  returned: success
  sample: /opt/shop/releases/1.4.2
current:
  description: The version that C(current) points at afterwards, if any.
  type: str
  returned: success
pointers:
  description: The version that each symlink in O(base) points at afterwards, by its name.
  type: dict
  returned: success
  sample: {current: 1.4.1, blue: 1.4.1, green: 1.4.2}
previous:
  description: The version that was active before the current one, if any.
  type: str
  returned: success
bytes:
  description: Compressed bytes of the layers that were C(fetched), that were on the server already (C(reused)), and of the whole C(release).
  type: dict
  returned: success
  sample: {fetched: 48213, reused: 11900412, release: 11948625}
layers:
  description: How many layers were fetched and how many were on the server already.
  type: dict
  returned: success
  sample: {fetched: 3, reused: 41}
lacks:
  description:
    - The sha256 of each layer that this server did not have and fetched, or would fetch in check mode.
    - Check mode needs no URLs of layers for this, see the option O(alchemist.beam.release_artifact_info#module:layers).
  type: list
  elements: str
  returned: success
began:
  description: When it began, in seconds since 1970.
  type: float
  returned: success
pruned:
  description: Versions that were removed.
  type: list
  elements: str
  returned: success
damaged:
  description: Files of the staged release that differed from the manifest, and were repaired.
  type: list
  elements: str
  returned: success
rotten:
  description:
    - Damaged files in the layers on this server, found by reading. Their layers were fetched again.
    - If a file is in the kernel's cache, it is read from there. A failing disk is then found only when the file has left the cache.
  type: list
  elements: str
  returned: success
mended:
  description: The files of other versions on this server that were repaired with them, by version.
  type: dict
  returned: success
  sample: {1.4.1: [lib/kernel-9.2/ebin/kernel.beam]}
seconds:
  description: How long the steps took. C(fetch) and C(unpack) are sums over parallel threads, C(layers) is their wall time.
  type: dict
  returned: success
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._modules.install import OPTIONS, RULES, work


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
