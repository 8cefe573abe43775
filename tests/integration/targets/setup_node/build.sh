#!/bin/sh
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# build.sh DEST VERSION...: the example's versions, laid out as <DEST>/releases/<version> with real Elixir.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
dest=$1
shift
exec python3 "$here/../../../support/releases.py" "$dest/releases" "$@"
