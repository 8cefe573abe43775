# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One release_install as a process of its own, Python's start included: BASE VERSION OPTIONS, a JSON file (presigned, or an s3:// store)."""

from __future__ import annotations

import json
import sys

from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source

base, version, options = sys.argv[1:]
with open(options, encoding="utf-8") as stream:
    params = json.load(stream)
result = install(Request(Wanted("beacon", version=version), base, "active"), lambda: open_source(params))
print(json.dumps(result))
