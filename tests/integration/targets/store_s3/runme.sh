#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The tests of the stores, on a real S3 server, and with faults between us and it.
set -eu
: "${S3_ENDPOINT:?names no S3 server: start one with tests/support/s3_server.py, and take its env}"
root=$(cd "$(dirname "$0")/../../../.." && pwd)
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd "$root/../../.." && pwd)}
cd "$root/tests/unit/plugins/module_utils/_store"
PYTHONPATH="${collections%%:*}" python -m pytest -q -p no:cacheprovider --durations=10 --basetemp "$output/pytest" \
    test_store_conformance.py test_store_publish.py test_store_builds.py test_store_retention.py test_store_channels.py test_store_check.py test_store_faults.py "$@"
