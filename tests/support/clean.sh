#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Removes what the make targets made, and nothing else: .cache may hold the mounts of a fleet, and those are not ours to delete through.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=$PWD/.cache
[ -d "$cache" ] || exit 0
if [ -e tests/fleet/fleet ] && [ -d "$cache/fleet" ] && [ -x "$cache/venv/bin/python" ]; then
    tests/fleet/fleet down --all
fi
if [ -x "$cache/venv/bin/python" ] && [ -f tests/support/s3_server.py ]; then
    "$cache/venv/bin/python" tests/support/s3_server.py stop >/dev/null 2>&1 || true
fi
if findmnt -rno TARGET | grep -q "^$cache/"; then
    echo "clean: something under .cache is still mounted; nothing was removed:" >&2
    findmnt -rno TARGET | grep "^$cache/" >&2
    exit 1
fi
rm -rf --one-file-system "$cache" .ruff_cache .mypy_cache .pytest_cache tests/output
find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf --one-file-system {} +
