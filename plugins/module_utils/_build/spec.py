# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The options that name the sources of a project and how they are prepared. Documented by the doc fragment alchemist.beam.sources."""

from __future__ import annotations

import typing as t

SOURCES_SPEC: dict[str, dict[str, t.Any]] = {
    "project_dir": {"type": "path", "required": True},
    "subdir": {"type": "str"},
    "repo": {"type": "str"},
    "ref": {"type": "str"},
    "compile_env": {"type": "list", "elements": "str", "default": []},
    "deps_env": {"type": "dict", "default": {}, "no_log": True},
    "deps": {"type": "str", "choices": ["get", "locked", "offline"], "default": "locked"},
    "elixir_path": {"type": "path"},
    "build_dir": {"type": "path"},
}
