#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-runner runs the playbooks of examples/awx, as it does in AWX.
set -eux
cd "$(dirname "$0")"
# A copy of the repository in another place (ansible-test) makes an environment of its own there.
../../../support/setup.sh venvrunner
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd ../../../../../../.. && pwd)}
PYTHONPATH="${collections%%:*}" python -m pytest -q -p no:cacheprovider --basetemp "$output/pytest" test_*.py "$@"
