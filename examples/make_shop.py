#!/usr/bin/env python3
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a git repository with an application that is laid out as `mix phx.new shop` does it, and whose web server is Cowboy.

Phoenix itself comes from hex.pm, which not every machine reaches. Cowboy, Ranch and Cowlib are in a package of Debian and Ubuntu (rabbitmq-server),
compiled: it is downloaded and unpacked, and never installed. Where SHOP_VENDOR names a directory that --vendor made before, nothing is downloaded.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

SHOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shop")
PACKAGE = "rabbitmq-server"


def run(*argv: str, where: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=where)


def vendor(dest: str) -> None:
    """cowboy, cowlib and ranch as directories with `ebin`."""
    with tempfile.TemporaryDirectory() as scratch:
        run("apt-get", "download", "-q", PACKAGE, where=scratch)
        run("dpkg-deb", "-x", *glob.glob(os.path.join(scratch, "*.deb")), "unpacked", where=scratch)
        for name in ("cowboy", "cowlib", "ranch"):
            found = glob.glob(os.path.join(scratch, "unpacked/usr/lib/rabbitmq/lib/*/plugins/%s-*/ebin" % name))
            if len(found) != 1:
                sys.exit("the package %s of this system has no %s in it" % (PACKAGE, name))
            shutil.copytree(found[0], os.path.join(dest, name, "ebin"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", help="a directory that does not exist yet")
    parser.add_argument("--vendor", action="store_true", help="only Cowboy, Ranch and Cowlib, without an application")
    args = parser.parse_args()
    if os.path.exists(args.dest):
        sys.exit("%s is there already: remove it or name another place" % args.dest)
    if args.vendor:
        vendor(args.dest)
        return
    shutil.copytree(SHOP, args.dest, ignore=shutil.ignore_patterns("_build", "deps", "vendor", "erl_crash.dump"))
    at_hand = os.environ.get("SHOP_VENDOR")
    if at_hand:
        shutil.copytree(at_hand, os.path.join(args.dest, "vendor"))
    else:
        vendor(os.path.join(args.dest, "vendor"))
    run("git", "init", "--quiet", "--initial-branch=main", where=args.dest)
    run("git", "add", "--all", where=args.dest)
    run(
        "git",
        "-c",
        "user.name=shop",
        "-c",
        "user.email=shop@example.org",
        "commit",
        "--quiet",
        "--message",
        "A new shop",
        where=args.dest,
    )
    print(args.dest)


if __name__ == "__main__":
    main()
