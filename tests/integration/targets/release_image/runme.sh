#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Images of real releases, with skopeo, a real registry, and runc to run one.
set -eux
cd "$(dirname "$0")"
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd ../../../../../../.. && pwd)}
PYTHONPATH="${collections%%:*}:../../../support" python -m pytest -q -p no:cacheprovider --durations=10 --basetemp "$output/pytest" test_*.py "$@"
