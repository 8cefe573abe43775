#!/bin/sh
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# build.sh DEST VERSION...: the example's versions, laid out as <DEST>/releases/<version> with real Elixir.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
dest=$1
shift
mkdir -p "$dest/releases"
python3 "$here/../../../../examples/make_versions.py" "$dest/source" >/dev/null
cd "$dest/source"
for version in "$@"; do
    git checkout --quiet "v$version"
    # A build directory that knew another version keeps its application's version: begin anew.
    rm -rf _build
    MIX_ENV=prod mix release --quiet --path "$dest/releases/$version" </dev/null
done
