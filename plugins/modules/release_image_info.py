#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_image_info
short_description: Tell which release is in an image
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Reads the manifest and the configuration of an image in a registry, and no layer of it. Every document is compared with its digest.
  - An image that M(alchemist.beam.release_image) did not make has no name, no version and no release digest.
extends_documentation_fragment:
  - alchemist.beam.registry
  - alchemist.beam.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  image:
    description:
      - The image, with a tag or a digest, such as V(registry.example.com/shop:1.4.2).
    type: str
    required: true
seealso:
  - module: alchemist.beam.release_image
"""

EXAMPLES = r"""
- name: Ask which release a tag names
  alchemist.beam.release_image_info:
    image: registry.example.com/shop:1.4.2
    authfile: /etc/beam/registry.json
  register: found

- name: Require it to be the one that was published
  ansible.builtin.assert:
    that: found.images[0].release_digest == published.digest
"""

RETURN = r"""
exists:
  description: Whether the registry has such an image.
  type: bool
  returned: success
digest:
  description: The digest that the name leads to, of a manifest or of an index.
  type: str
  returned: the image exists
index:
  description: Whether it is an index of several architectures.
  type: bool
  returned: the image exists
images:
  description: The image, or the images of the index, one for each architecture.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the release. Empty for the image of somebody else.
      type: str
    version:
      description: The version of the release.
      type: str
    release_digest:
      description: The digest of the release in the store.
      type: str
    base_digest:
      description: The digest of the base image.
      type: str
    image:
      description: The image by its digest.
      type: str
    digest:
      description: The digest of its manifest.
      type: str
    config_digest:
      description: The digest of its configuration.
      type: str
    architecture:
      description: The architecture.
      type: str
    os:
      description: The operating system.
      type: str
    user:
      description: The user that the node runs as.
      type: str
    entrypoint:
      description: What is started.
      type: list
      elements: str
    labels:
      description: All labels.
      type: dict
    layers:
      description: Each layer with digest and size.
      type: list
      elements: dict
    size:
      description: Compressed bytes of all layers.
      type: int
error:
  description: What could not be done, why, and the next step, for machines.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemist.beam.plugins.module_utils._ansible import run
from ansible_collections.alchemist.beam.plugins.module_utils._image.look import run_image_info
from ansible_collections.alchemist.beam.plugins.module_utils._image.options import REGISTRY_SPEC


def main() -> None:
    module = AnsibleModule(
        argument_spec={**REGISTRY_SPEC, "image": {"type": "str", "required": True}}, supports_check_mode=True
    )
    run(module, lambda: run_image_info(module.params))


if __name__ == "__main__":
    main()
