# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.alchemist.beam.plugins.modules import rollout_info
from ansible_collections.alchemist.beam.plugins.plugin_utils._in_process import InProcess


class ActionModule(InProcess):
    """The module of the same name."""

    module = rollout_info
