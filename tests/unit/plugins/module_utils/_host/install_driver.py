# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One installation as a process of its own, to be killed or failed at any system call: BASE STORE VERSION.

Exit 0: done. 3: refused by name (printed). Anything else is a bug.
"""

from __future__ import annotations

import sys

from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._host.install import Request, install
from ansible_collections.alchemist.beam.plugins.module_utils._host.resolve import Wanted
from ansible_collections.alchemist.beam.plugins.module_utils._host.source import open_source


def main() -> int:
    base, store, version = sys.argv[1:]
    try:
        install(Request(Wanted("demo", version=version), base, "active", keep=1), lambda: open_source({"store": store}))
    except BeamError as error:
        print(error.code, error.message)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
