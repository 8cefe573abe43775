#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The README's first command: the demo checks what it shows, and fails where a node does not say what it should.
set -eux
python "$(dirname "$0")/../../../../examples/demo/demo.py" --directory "${OUTPUT_DIR:?}/demo" --store "${DEMO_STORE:-file}"
