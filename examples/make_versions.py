#!/usr/bin/env python3
# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a git repository with three tagged versions of the example application.

    v0.1.0  what is in examples/beacon
    v0.2.0  another greeting, and the counter says since when it counts (its state migrates in code_change)
    v0.3.0  boots, but is never ready: it waits for a cache that nobody warms

With --faults there are bad versions too, each on top of v0.2.0: v1.0.0-never-healthy, -crash-loop, -exits-0, -flapping, -hangs-on-stop, -ignores-term,
-wrong-abi, -missing-env, -port-in-use, -errors, -slow and -migration-fails. The fault is in the version, so the version before it is well.

With --modules and --deps the application grows to the size of a real one, the same in all versions.
Commits have fixed names and dates: the same arguments give the same commits.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys

BEACON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "beacon")
NOTICE = "# Copyright (c) 2026, alchemist.beam contributors\n# SPDX-License-Identifier: GPL-3.0-or-later\n\n"

# version -> [(file, old text, new text)], each on top of the version before.
CHANGES = {
    "0.2.0": [
        ("mix.exs", 'version: "0.1.0"', 'version: "0.2.0"'),
        ("lib/beacon/greeting.ex", '"Hello"', '"Hello again"'),
        (
            "lib/beacon/counter.ex",
            """  def init(nil), do: {:ok, 0}

  @impl true
  def handle_call(:increment, _from, count), do: {:reply, %{count: count + 1}, count + 1}
""",
            """  def init(nil), do: {:ok, migrate(0)}

  @impl true
  def handle_call(:increment, _from, state) do
    state = %{state | count: state.count + 1}
    {:reply, state, state}
  end

  @impl true
  def code_change({:down, _vsn}, %{count: count}, _extra), do: {:ok, count}
  def code_change(_vsn, count, _extra) when is_integer(count), do: {:ok, migrate(count)}
  def code_change(_vsn, state, _extra), do: {:ok, state}

  defp migrate(count), do: %{count: count, since: DateTime.to_iso8601(DateTime.utc_now())}
""",
        ),
    ],
    "0.3.0": [
        ("mix.exs", 'version: "0.2.0"', 'version: "0.3.0"'),
        (
            "lib/beacon/health.ex",
            "  defp ready?, do: present?(Application.fetch_env!(:beacon, :ready_file))\n\n"
            "  defp present?(nil), do: true\n  defp present?(file), do: File.exists?(file)\n",
            "  # The mistake of this version: nobody warms the cache.\n"
            "  defp ready?, do: Application.get_env(:beacon, :cache) == :warm\n",
        ),
    ],
}

SETTING = 'System.get_env("BEACON_FAULT", "none")'
SETTINGS = {
    "never-healthy": "never_healthy",
    "crash-loop": "crash_loop",
    "exits-0": "exit0",
    "flapping": "flap",
    "hangs-on-stop": "hang_on_stop",
    "ignores-term": "ignore_term",
    "port-in-use": "port_in_use",
    "errors": "errors",
    "slow": "slow",
    "migration-fails": "migration_fails",
}

# name -> [(file, old text, new text)], on top of v0.2.0: what goes wrong on any server, without a setting there.
FAULTS = {name: [("config/runtime.exs", SETTING, SETTING.replace("none", fault))] for name, fault in SETTINGS.items()}
FAULTS["missing-env"] = [("config/runtime.exs", SETTING, SETTING + ',\n  licence: System.fetch_env!("BEACON_LICENCE")')]
FAULTS["wrong-abi"] = [
    (
        "mix.exs",
        "[include_executables_for: [:unix]]",
        "[include_executables_for: [:unix], steps: [:assemble, &newer_libc/1]]",
    ),
    (
        "mix.exs",
        "  # No package from hex.pm",
        """  # As if it had been built on a newer system: the emulator asks for a libc that no server has.
  defp newer_libc(release) do
    [beam] = Path.wildcard(Path.join(release.path, "erts-*/bin/beam.smp"))
    File.write!(beam, Regex.replace(~r/GLIBC_2\\.\\d\\d(?=\\0)/, File.read!(beam), "GLIBC_2.99"))
    release
  end

  # No package from hex.pm""",
    ),
]


def write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def module_source(name: str, rng: random.Random, size: int) -> str:
    """A module with a few functions and a table of size bytes that does not compress to nothing, as real code does not."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    lines = [
        NOTICE + "defmodule %s do" % name,
        '  @moduledoc "Generated, to give the example the size of a real application."',
        "",
    ]
    lines += ["  def step(%d, value), do: value + %d" % (number, rng.randrange(1 << 40)) for number in range(10)]
    lines += ["", '  def table, do: "%s"' % "".join(rng.choices(alphabet, k=size)), "end", ""]
    return "\n".join(lines)


def grow(dest: str, modules: int, deps: int, dep_modules: int, size: int) -> None:
    for number in range(1, modules + 1):
        path = "lib/beacon/generated/table%04d.ex" % number
        write(os.path.join(dest, path), module_source("Beacon.Generated.Table%04d" % number, random.Random(path), size))
    entries = []
    for number in range(1, deps + 1):
        app = "dep%03d" % number
        write(
            os.path.join(dest, "vendor", app, "mix.exs"),
            NOTICE
            + 'defmodule Dep%03d.MixProject do\n  use Mix.Project\n\n  def project, do: [app: :%s, version: "1.0.0"]\n'
            "  def application, do: []\nend\n" % (number, app),
        )
        for module in range(1, dep_modules + 1):
            path = "vendor/%s/lib/table%04d.ex" % (app, module)
            write(
                os.path.join(dest, path),
                module_source("Dep%03d.Table%04d" % (number, module), random.Random(path), size),
            )
        entries.append('{:%s, path: "vendor/%s"}' % (app, app))
    if entries:
        edit(
            dest,
            "mix.exs",
            "  defp deps do\n    []\n",
            "  defp deps do\n    [\n      %s\n    ]\n" % ",\n      ".join(entries),
        )


def edit(dest: str, name: str, old: str, new: str) -> None:
    path = os.path.join(dest, name)
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    if text.count(old) != 1:
        sys.exit("%s: %r is there %d times, expected once" % (path, old, text.count(old)))
    write(path, text.replace(old, new))


def git(dest: str, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "beacon",
        "GIT_AUTHOR_EMAIL": "beacon@example.org",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_NAME": "beacon",
        "GIT_COMMITTER_EMAIL": "beacon@example.org",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    subprocess.run(
        ["git", "-C", dest, *arguments], check=True, stdin=subprocess.DEVNULL, env={**os.environ, **identity}
    )


def commit(dest: str, version: str) -> None:
    git(dest, "add", "--all")
    git(dest, "commit", "--quiet", "--message", "beacon %s" % version)
    git(dest, "tag", "--annotate", "--message", "beacon %s" % version, "v%s" % version)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", help="a directory that does not exist yet")
    parser.add_argument("--faults", action="store_true", help="bad versions too")
    parser.add_argument("--modules", type=int, default=0, help="extra modules of the application itself")
    parser.add_argument("--deps", type=int, default=0, help="extra dependencies (by path)")
    parser.add_argument("--dep-modules", type=int, default=30, help="modules in each of them (30)")
    parser.add_argument(
        "--module-bytes", type=int, default=16000, help="size of the table in each generated module (16000)"
    )
    args = parser.parse_args()
    if os.path.exists(args.dest):
        sys.exit("%s is there already: remove it or name another place" % args.dest)
    shutil.copytree(BEACON, args.dest, ignore=shutil.ignore_patterns("_build", "deps", "erl_crash.dump"))
    git(args.dest, "init", "--quiet", "--initial-branch=main")
    grow(args.dest, args.modules, args.deps, args.dep_modules, args.module_bytes)
    commit(args.dest, "0.1.0")
    for version, changes in CHANGES.items():
        for name, old, new in changes:
            edit(args.dest, name, old, new)
        commit(args.dest, version)
    for name, changes in FAULTS.items() if args.faults else ():
        git(args.dest, "checkout", "--quiet", "v0.2.0")
        for file, old, new in [("mix.exs", 'version: "0.2.0"', 'version: "1.0.0-%s"' % name), *changes]:
            edit(args.dest, file, old, new)
        commit(args.dest, "1.0.0-" + name)
    git(args.dest, "checkout", "--quiet", "v0.1.0")
    print(args.dest)


if __name__ == "__main__":
    main()
