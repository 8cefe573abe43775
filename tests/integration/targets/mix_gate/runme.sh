#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
set -eux
cd "$(dirname "$0")"
output=${OUTPUT_DIR:-$(mktemp -d)}
collections=${ANSIBLE_COLLECTIONS_PATH:-$(cd ../../../../../../.. && pwd)}
PYTHONPATH="${collections%%:*}:../mix_release" python -m pytest -q -p no:cacheprovider --basetemp "$output/pytest" test_*.py "$@"
python ../../../../examples/make_versions.py "$output/origin"
mkdir "$output/store"
ansible-playbook -e "output_dir=$output" site.yml
