# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""shop.py SUPPORT DIRECTORY: a repository with a commit a day, and beside it the tree of a release of each of them, with its build record.

The fourth commit reverts the second one.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

BEGIN = 1772409600  # 2026-03-02, a Monday
ABI = {
    "needs": {},
    "runpath": [],
    **dict.fromkeys(("arch", "libc", "libc_version", "openssl", "erts", "interpreter"), ""),
}
TEXTS = ("Begin", "Faster", "More colours", "Revert Faster\n\nThis reverts commit %s.")


def git(repo: pathlib.Path, *words: str, at: int = BEGIN) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(
        {"GIT_%s_%s" % (who, what): "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        GIT_AUTHOR_DATE="%d +0000" % at,
        GIT_COMMITTER_DATE="%d +0000" % at,
        GIT_CONFIG_GLOBAL=os.devnull,
    )
    argv = ["git", "-C", str(repo), *words]
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(support: str, directory: str) -> None:
    sys.path.insert(0, support)
    import trees

    repo = pathlib.Path(directory, "repo")
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch=main")
    shas: list[str] = []
    for number, text in enumerate(TEXTS):
        text = text % shas[1] if "%s" in text else text
        git(repo, "commit", "--quiet", "--allow-empty", "-m", text, at=BEGIN + number * 86400)
        shas.append(git(repo, "rev-parse", "HEAD").strip())
        version = "1.%d.0" % number
        tree = pathlib.Path(directory, version)
        trees.make_tree(tree, version, modules=4)
        record = {
            "name": "shop",
            "version": version,
            "abi": ABI,
            "provenance": {"git_sha": shas[-1]},
            "own_apps": ["shop"],
        }
        pathlib.Path(str(tree) + ".build.json").write_text(json.dumps(record), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
