# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Ansible looks for callbacks beside a playbook first. So a playbook of this collection is quiet where nobody has chosen another callback: what
# stdout_callback or ANSIBLE_STDOUT_CALLBACK name is left alone, and `ansible.builtin.default` is Ansible's own.

from __future__ import annotations

DOCUMENTATION = r"""
name: default
type: stdout
short_description: The callback alchemist.beam.quiet, for the playbooks of this collection
description:
  - See P(alchemist.beam.quiet#callback).
author: alchemist.beam contributors (@alchemist-beam)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import importlib.util
import os
import sys

import ansible.plugins.callback as callbacks

# Ansible gives this file the name of its own callback, which quiet and other callbacks are made of: that one gets its name back.
_NAME = "ansible.plugins.callback.default"
_OWN = os.path.join(os.path.dirname(callbacks.__file__), "default.py")
if os.path.realpath(getattr(sys.modules.get(_NAME), "__file__", None) or __file__) != os.path.realpath(_OWN):
    _spec = importlib.util.spec_from_file_location(_NAME, _OWN)
    if _spec is not None and _spec.loader is not None:
        sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_NAME])

try:
    from ansible_collections.alchemist.beam.plugins.callback.quiet import CallbackModule as Base
except ImportError:
    # The collection is not where Ansible looks for collections: that is said better than in here.
    from ansible.plugins.callback.default import CallbackModule as Base


class CallbackModule(Base):
    """Named as Ansible wants it."""
