#!/usr/bin/env bash
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the make targets need, made under .cache. Each step does nothing when it is done already.
#   setup.sh packages [demo]       Debian/Ubuntu packages (installs as root, else prints what to install)
#   setup.sh pythons               .cache/pythons/python3.X -> every Python 3.9 to 3.14 that really runs
#   setup.sh venv | venv39 | venv221 | venvaws | awscollections | venvrunner
#   setup.sh live | frozen [DIR]   the collection at an importable path: a link, and a copy for ansible-test
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
support=$root/tests/support
cache=$root/.cache

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

packages() {
    command -v dpkg-query >/dev/null || { say "no dpkg here: install what tests/support/apt-packages.txt lists by hand"; return 0; }
    local wanted missing=()
    wanted=$(sed 's/#.*//' "$support/apt-packages.txt" | awk -v group="${1:-}" 'NF && (group == "" || $2 == group) { print $1 }')
    for name in $wanted; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "packages are missing and this is not root. Install them, then run this again:"
        say "    sudo apt-get install ${missing[*]}"
        return 1
    fi
    say "apt-get install ${missing[*]}"
    # A test machine must not get a listening sshd from this: policy-rc.d keeps apt from starting services.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update </dev/null
    apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >"$cache/apt.log" 2>&1 \
        || { tail -20 "$cache/apt.log" >&2; die "apt-get install failed; the whole log is .cache/apt.log"; }
    case " ${missing[*]} " in
        *" openssh-server "*) [ ! -d /run/systemd/system ] || systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true ;;
    esac
}

# A distribution builds its Python with profiles (a third faster here), a version manager mostly not: the distribution's first. A name in PATH can be a
# version manager's shim that does not run: ask it to run, and take the real file that answers.
real_python() {
    local version=$1 candidate
    for candidate in /usr/bin/"python$version" "python$version" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/"python$version" /usr/local/bin/"python$version"; do
        "$candidate" -c "import ensurepip, os, ssl, sys, venv; assert '%d.%d' % sys.version_info[:2] == '$version'; print(os.path.realpath(sys.executable))" 2>/dev/null && return 0
    done
    return 1
}

pythons() {
    mkdir -p "$cache/pythons"
    local version path
    for version in 3.9 3.10 3.11 3.12 3.13 3.14; do
        if [ -x "$cache/pythons/python$version" ] && "$cache/pythons/python$version" -c '' 2>/dev/null; then continue; fi
        rm -f "$cache/pythons/python$version"
        if path=$(real_python $version); then ln -s "$path" "$cache/pythons/python$version"; fi
    done
}

# make_venv NAME REQUIREMENTS VERSION... : the first Python found of the versions; packages again when the list changed.
make_venv() {
    local name=$1 requirements=$2 version python='' stamp dir
    shift 2
    pythons
    dir=$cache/$name
    for version in "$@"; do
        if [ -x "$cache/pythons/python$version" ]; then python=$cache/pythons/python$version; break; fi
    done
    [ -n "$python" ] || return 3
    stamp=$(sha256sum < "$requirements")
    if [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ] && "$dir/bin/python" -c '' 2>/dev/null; then return 0; fi
    say "$name: $(basename "$python"), packages of tests/support/$(basename "$requirements")"
    if ! "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$dir"
        "$python" -m venv "$dir"
    fi
    "$dir/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements" 2>"$cache/$name.log" \
        || { tail -20 "$cache/$name.log" >&2; die "pip could not install $requirements"; }
    printf '%s\n' "$stamp" > "$dir/.stamp"
}

# code_cache.py, to be loaded at the start of each process of the environment, if that is asked for. What it kept of former sources is removed.
keep_code() {
    local packages
    packages=$(echo "$cache/$1"/lib/python3.*/site-packages)
    if ! cmp -s "$support/code_cache.py" "$packages/beam_code_cache.py" || [ ! -e "$packages/beam_code_cache.pth" ]; then
        install -m 644 "$support/code_cache.py" "$packages/beam_code_cache.py"
        echo "import os; os.environ.get('BEAM_CODE_CACHE') and __import__('beam_code_cache')" >"$packages/beam_code_cache.pth"
    fi
    [ ! -d "$cache/code" ] || find "$cache/code" -type f -mtime +1 -delete
}

venv() {
    make_venv venv "$support/requirements-dev.txt" 3.11 3.12 3.13 && keep_code venv && return
    # Debian's python3 comes without venv: that is one of the packages.
    packages demo
    { make_venv venv "$support/requirements-dev.txt" 3.11 3.12 3.13 && keep_code venv; } \
        || die "no working Python 3.11, 3.12 or 3.13 with venv: install one (Debian 12: python3-venv; Ubuntu 22.04: python3.11 and python3.11-venv)"
}

# The other two are extra coverage: without the Python this says so (rc 3) and the caller reports it.
venv39() { make_venv venv39 "$support/requirements-py39.txt" 3.9; }
# The double of AWS for the fleet: a server of its own, so it shares no packages with the tools.
venvaws() { make_venv venvaws "$support/requirements-aws.txt" 3.11 3.12 3.13; }
# What AWX runs playbooks with, and what it makes an execution environment with.
venvrunner() { make_venv venvrunner "$support/requirements-runner.txt" 3.11 3.12 3.13; }
# amazon.aws for role autoscaling, out of the one package that PyPI has it in: the rest of it is 500 MB that nobody needs.
awscollections() {
    local dir=$cache/awscollections stamp
    venv
    stamp=$(sha256sum < "$support/requirements-collections.txt")
    [ "$(cat "$dir/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf "$dir"
    mkdir -p "$dir/wheel"
    "$cache/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --no-cache-dir -d "$dir/wheel" -r "$support/requirements-collections.txt" 2>"$cache/awscollections.log" \
        || { tail -20 "$cache/awscollections.log" >&2; die "pip could not download what requirements-collections.txt lists"; }
    "$cache/venv/bin/python" - "$dir" <<'END'
import pathlib, sys, zipfile
directory = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next((directory / "wheel").glob("*.whl"))) as wheel:
    wheel.extractall(directory, [name for name in wheel.namelist() if name.startswith("ansible_collections/amazon/aws/")])
END
    rm -rf "$dir/wheel"
    printf '%s\n' "$stamp" > "$dir/.stamp"
}
venv221() { make_venv venv221 "$support/requirements-core221.txt" 3.13 3.12 3.14 && keep_code venv221; }

live() {
    mkdir -p "$cache/live/ansible_collections/alchemist"
    ln -sfn "$root" "$cache/live/ansible_collections/alchemist/beam"
}

# ansible-test wants a real directory that is a git work tree of its own (through a link, or inside an ignored
# directory of another work tree, it finds no files, tests nothing and exits 0).
frozen() {
    local dir=${1:-$cache/frozen} copy
    copy=$dir/ansible_collections/alchemist/beam
    mkdir -p "$copy"
    cd "$root"
    git ls-files -coz --exclude-standard > "$dir/files"
    # A file deleted from the work tree but not yet from the index is listed and not there.
    while IFS= read -r -d '' name; do
        if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\0' "$name"; fi
    done < "$dir/files" > "$dir/present"
    rsync -a --from0 --files-from="$dir/present" ./ "$copy.new/"
    rsync -a --delete --exclude=/.git "$copy.new/" "$copy/"
    rm -rf "$copy.new"
    [ -d "$copy/.git" ] || git init -q "$copy"
}

mkdir -p "$cache"
step=${1:?usage: setup.sh STEP}
shift
exec 9>"$cache/setup.lock"
flock 9
case $step in
    packages|pythons|venv|venv39|venv221|venvaws|awscollections|venvrunner|live|frozen) "$step" "$@" ;;
    *) die "unknown step $step" ;;
esac
