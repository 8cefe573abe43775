#!/usr/bin/python
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_image
short_description: Make an OCI image of a published release, without a daemon and without a build
author:
  - alchemist.beam contributors (@alchemist-beam)
description:
  - Takes a release from the store and a base image by its digest, and pushes an image to a registry. Nothing is built, and no container is started.
  - The digest of the image follows from the digest of the release, the digest of the base and the options. Two hosts make the same image. What a layer was
    packed to is kept in the store below C(images/), so that this holds for hosts with another zlib as well.
  - A second version sends only the layers that differ. Applications are in directories without their version, and what changes seldom is joined in few layers.
  - Before anything is pushed, the base is compared with what the release needs. An architecture, C library, OpenSSL, library or program that does not fit is
    named, and nothing is pushed.
  - The node runs as O(user), in C(/app), with C(bin/NAME start) as the entrypoint. It writes to C(/tmp) only. Secrets are no part of an image. Give
    C(RELEASE_COOKIE) and others to the container.
extends_documentation_fragment:
  - alchemist.beam.store
  - alchemist.beam.registry
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
      - V(present) pushes the image of one release.
      - V(joined) gives one tag to images of several architectures (O(members)), as an index. Each release was built on its own architecture. Nothing is
        emulated.
    type: str
    choices: [present, joined]
    default: present
  store:
    required: false
    description:
      - Where releases live, as C(file:///path) or C(s3://bucket/prefix). Needed with O(state=present).
  name:
    description:
      - The name of the release. Needed with O(state=present).
    type: str
  version:
    description:
      - The version.
    type: str
  digest:
    description:
      - The digest of the release.
    type: str
  channel:
    description:
      - The channel whose stable release it is.
    type: str
  image:
    description:
      - The registry and the repository, without a tag, such as V(registry.example.com/shop).
    type: str
    required: true
  tag:
    description:
      - The tag. The default is the version, with C(_) for what no tag may have. A tag is for people. Deploy by the digest.
    type: str
  replace_tag:
    description:
      - Whether a tag that names another image already is moved. Without it that is refused.
    type: bool
    default: false
  base:
    description:
      - The base image, by its digest, such as V(registry.example.com/debian@sha256:...). It may be an index of several architectures.
      - A tag is refused. The message says which digest it has now.
      - Needed with O(state=present).
    type: str
  layers:
    description:
      - How many layers the release may take, from 5 to 100. A node needs time for each layer, so few are better than many.
    type: int
    default: 20
  user:
    description:
      - The user and the group of the node, as numbers.
    type: str
    default: "65532:65532"
  ports:
    description:
      - Ports that the application listens on. This is for readers only.
    type: list
    elements: int
    default: []
  env:
    description:
      - Environment variables that are the same in every place. A value that looks like a secret is refused.
    type: dict
    default: {}
  labels:
    description:
      - Further labels.
    type: dict
    default: {}
  distribution_port:
    description:
      - The port of Erlang's distribution. No epmd runs. Only the node listens there; C(bin/NAME rpc) in the container connects to it.
      - With V(0), the release does what it does on a server, with epmd.
    type: int
    default: 9100
  preflight:
    description:
      - Whether the libraries and programs of the base are compared with what the release needs. They are read once for each base.
    type: bool
    default: true
  abi_ignore:
    description:
      - Patterns of libraries (and names of programs) that may be missing in the base, because nobody will use them.
    type: list
    elements: str
    default: []
  members:
    description:
      - With O(state=joined), the images of the architectures, by their digests, in the repository O(image).
    type: list
    elements: str
    default: []
  cache:
    description:
      - A directory on this host for what was read of base images. The default is C(~/.cache/alchemist.beam).
    type: path
seealso:
  - module: alchemist.beam.release_image_info
  - module: alchemist.beam.release_artifact
"""

EXAMPLES = r"""
- name: Push the image of a version
  alchemist.beam.release_image:
    store: s3://releases/prod
    name: shop
    version: 1.4.2
    base: registry.example.com/debian@sha256:5f1e0c4b7a2d9e8c3b6a1f0d4e7c2b5a8d9f3e6c1b4a7d0e2f5c8b1a4d7e0f3c
    image: registry.example.com/shop
    authfile: /etc/beam/registry.json
    ports: [4000]
    env:
      PHX_SERVER: "true"
  register: pushed

- name: Show what a node is to run
  ansible.builtin.debug:
    var: pushed.image

- name: Push what is stable on a channel to a registry with a certificate of our own
  alchemist.beam.release_image:
    store: file:///srv/releases
    name: shop
    channel: production
    base: registry.example.com/base@sha256:4bcb9db66237237d03b55b969271728dd3d955eaaa254b9db8a3db94550b1885
    image: registry.example.com/shop
    tag: production
    replace_tag: true
    cert_dir: /etc/beam/registry.d

- name: Join the images of two architectures under one tag
  alchemist.beam.release_image:
    state: joined
    image: registry.example.com/shop
    tag: 1.4.2
    members:
      - "{{ pushed_amd64.image }}"
      - "{{ pushed_arm64.image }}"
"""

RETURN = r"""
image:
  description: The image by its digest, to be run.
  type: str
  returned: success
  sample: registry.example.com/shop@sha256:0d4b1f1ed8f1f7a2a1f2a0e6f0a0d6f3c9e0a4a0c8f1f8a7b4b3a4b1c7e5d6f0
tag:
  description: The tag that names it, too.
  type: str
  returned: success
  sample: 1.4.2
digest:
  description: The digest of the manifest, or of the index.
  type: str
  returned: success
config_digest:
  description: The digest of the configuration, which some runtimes call the ID of the image.
  type: str
  returned: state is present
name:
  description: The name of the release.
  type: str
  returned: success
  sample: shop
version:
  description: The version of the release.
  type: str
  returned: success
  sample: 1.4.2
release_digest:
  description: The digest of the release in the store. The label C(alchemist.beam.digest) and the file C(/app/.beam.json) of the image say the same.
  type: str
  returned: state is present
base:
  description: The base as it was given.
  type: str
  returned: state is present
base_digest:
  description: The digest of the base for this architecture.
  type: str
  returned: state is present
architecture:
  description: The architecture of the image.
  type: str
  returned: state is present
  sample: amd64
layers:
  description: How many layers are the base's (C(base)), are the release's (C(release)), and had to be packed now (C(packed)).
  type: dict
  returned: state is present
  sample: {base: 1, release: 16, packed: 3}
bytes:
  description:
    - Compressed bytes of the whole C(image), of its layers of the C(release), and of what is C(missing) in the registry. In check mode, that would be sent.
    - What is missing is told from the newest images in the repository. The registry itself may know more of the bytes.
  type: dict
  returned: state is present
  sample: {image: 25961421, release: 11761395, missing: 181220}
members:
  description: The digests of the images by their architecture.
  type: dict
  returned: state is joined
writes:
  description: How many objects of the store were created.
  type: int
  returned: state is present
problems:
  description: What speaks against the base.
  type: list
  elements: str
  returned: the release can't run in the base
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
from ansible_collections.alchemist.beam.plugins.module_utils._image.image import run_image
from ansible_collections.alchemist.beam.plugins.module_utils._image.options import REGISTRY_SPEC
from ansible_collections.alchemist.beam.plugins.module_utils._store.spec import store_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(store={"required": False}),
            **REGISTRY_SPEC,
            "state": {"type": "str", "choices": ["present", "joined"], "default": "present"},
            "name": {"type": "str"},
            "version": {"type": "str"},
            "digest": {"type": "str"},
            "channel": {"type": "str"},
            "image": {"type": "str", "required": True},
            "tag": {"type": "str"},
            "replace_tag": {"type": "bool", "default": False},
            "base": {"type": "str"},
            "layers": {"type": "int", "default": 20},
            "user": {"type": "str", "default": "65532:65532"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "env": {"type": "dict", "default": {}},
            "labels": {"type": "dict", "default": {}},
            "distribution_port": {"type": "int", "default": 9100},
            "preflight": {"type": "bool", "default": True},
            "abi_ignore": {"type": "list", "elements": "str", "default": []},
            "members": {"type": "list", "elements": "str", "default": []},
            "cache": {"type": "path"},
        },
        required_if=[
            ("state", "present", ("store", "name", "base")),
            ("state", "present", ("version", "digest", "channel"), True),
        ],
        mutually_exclusive=[("version", "digest", "channel")],
        supports_check_mode=True,
    )
    run(module, lambda: run_image(module.params, module.check_mode))


if __name__ == "__main__":
    main()
