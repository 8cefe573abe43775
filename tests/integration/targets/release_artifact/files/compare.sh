#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# compare.sh ARCHIVE TREE: the archive holds the tree, but for its cookie, with the same modes.
set -euo pipefail
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
tar -xzf "$1" -C "$out"
test ! -e "$out/releases/COOKIE"
diff -r --exclude=COOKIE "$2" "$out"
modes() { (cd "$1" && find . -type f ! -name COOKIE -printf '%p %m\n' | sort); }
diff <(modes "$2") <(modes "$out")
