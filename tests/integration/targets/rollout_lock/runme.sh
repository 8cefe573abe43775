#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The lock and the journal of a rollout: plays that run at the same time, and the unit tests once more, on a real S3 server.
set -eu
: "${S3_ENDPOINT:?names no S3 server: start one with tests/support/s3_server.py, and take its env}"
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd "$root/../../.." && pwd)}
export PYTHONPATH="${collections%%:*}" ANSIBLE_COLLECTIONS_PATH="$collections"
python -m pytest -q -p no:cacheprovider --durations=10 --basetemp "$output/plays" --junitxml="$output/pytest-plays.xml" "$here" "$@"
cd "$root/tests/unit/plugins/module_utils/_rollout"
python -m pytest -q -p no:cacheprovider --durations=10 --basetemp "$output/s3" test_rollout_lock_store.py test_rollout_answers.py \
    test_rollout_keeper.py -k "not keeps_what and not broken_lock_ends and not make_no_sense"
