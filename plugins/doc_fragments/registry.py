# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of modules that speak to a registry of images."""

    DOCUMENTATION = r"""
requirements:
  - skopeo 1.9 or newer on the host where the module runs. It does all that concerns the registry, with its own settings for mirrors and signatures.
options:
  authfile:
    description:
      - A file with the credentials for the registries, as C(skopeo login --authfile) writes it. The credentials themselves are never an option.
      - The default is skopeo's own.
    type: path
  validate_registry:
    description:
      - Whether the registry has to speak https with a certificate that is trusted.
    type: bool
    default: true
  cert_dir:
    description:
      - A directory with the certificate of an authority (C(*.crt)) and, for a registry that wants one, of this client (C(*.cert), C(*.key)).
    type: path
  skopeo:
    description:
      - The program, by name or path.
    type: str
    default: skopeo
  timeout:
    description:
      - Seconds that one call of skopeo may take.
    type: int
    default: 600
"""
