#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
set -eux
cd "$(dirname "$0")"
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd ../../../../../../.. && pwd)}
PYTHONPATH="${collections%%:*}:." python -m pytest -q -p no:cacheprovider --basetemp "$output/pytest" test_*.py "$@"
python ../../../../examples/make_versions.py "$output/project"
python ../../../../examples/make_versions.py "$output/origin"
# -vvv shows everything that Ansible would tell anybody of a task.
ansible-playbook -vvv -e "output_dir=$output" site.yml >"$output/playbook.log" 2>&1 || { grep -v '^<' "$output/playbook.log" | tail -n 60; exit 1; }
if grep -n 'canary-71c0' "$output/playbook.log"; then
    echo "the value of a variable of the build was shown"
    exit 1
fi
