#!/usr/bin/env python3
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lays out a version of the example with one of each thing that makes a hot upgrade hard: make_hard.py DIRECTORY VERSION.

1.0.0 is the first one. In 1.1.0 every module that keeps a state or runs for long is other code, and the states have another shape. 1.2.0 is 1.1.0 with
another native library, while the code of its module is the same. hard_things/README.md says what becomes of each in a hot upgrade.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
MORE = """
defimpl Beacon.Hard.Speak, for: Integer do
  def speak(value), do: "number #{value}"
end
"""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, "%s has not exactly one %r" % (file, old)
    file.write_text(text.replace(old, new), encoding="utf-8")


def make(directory: Path, version: str) -> None:
    shutil.copytree(HERE / "beacon", directory, dirs_exist_ok=True)
    shutil.copytree(HERE / "hard_things", directory, dirs_exist_ok=True)
    (directory / "priv").mkdir(exist_ok=True)  # Mix links it into the build only if it is there from the beginning
    edit(directory / "mix.exs", 'version: "1.0.0"', 'version: "%s"' % version)
    edit(directory / "lib/beacon/application.ex", "Beacon.Listener]", "Beacon.Listener, Beacon.Hard]")
    if version != "1.0.0":
        for file in sorted((directory / "lib/beacon/hard").glob("*.ex")):
            file.write_text(
                file.read_text(encoding="utf-8").replace("@generation 1", "@generation 2"), encoding="utf-8"
            )
        with (directory / "lib/beacon/hard/speak.ex").open("a", encoding="utf-8") as file:
            file.write(MORE)
    if version == "1.2.0":
        edit(directory / "c_src/hard.c", "enif_make_int(env, 41)", "enif_make_int(env, 42)")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in VERSIONS:
        sys.exit("make_hard.py DIRECTORY VERSION; the versions are %s" % ", ".join(VERSIONS))
    make(Path(sys.argv[1]), sys.argv[2])
