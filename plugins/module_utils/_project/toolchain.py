# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a project needs of the machine that builds it: packages, Hex, rebar3, a compiler, an Elixir that is new enough."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from .._build import needs, packages
from .._build.lockfile import Locked, parse_lock, used
from .._json import parse_json
from .mix_exs import MixProject, least
from .repository import Files, joined

_RUST = frozenset(("rustler",))
_DOWNLOADS = frozenset(("rustler_precompiled", "cc_precompiler", "elixir_make_precompiled"))
# They come with the packages that the role toolchain installs anyway.
_THERE = frozenset(
    "compiler crypto kernel logger mix parsetools public_key runtime_tools sasl ssl stdlib syntax_tools tools asn1 inets eex iex ex_unit elixir".split()
)
# What packages have in their extra_applications: mix.lock does not tell. mix phx.new brings swoosh along.
_OF_PACKAGES = {"swoosh": "xmerl"}
_DISTRIBUTIONS = (("1.14", "25", "Debian 12, Ubuntu 24.04"), ("1.18", "27", "Debian 13"))
_NODE = re.compile(r"\b(npm|npx|node|yarn|pnpm|bun)\b(?!\.)")
_MANAGERS = (
    ("package-lock.json", "npm ci", "npm"),
    ("yarn.lock", "yarn install --frozen-lockfile", "yarnpkg"),
    ("pnpm-lock.yaml", "", ""),
    ("bun.lock", "", ""),
)


@dataclass(frozen=True)
class Reason:
    """A value, and why."""

    value: t.Any
    why: str


@dataclass(frozen=True)
class Toolchain:
    hex: Reason | None
    rebar: Reason | None
    compiler: Reason | None
    extra: tuple[Reason, ...]  # packages of the distribution
    elixir: Reason | None  # the oldest version that is accepted
    prebuilt: Reason | None  # where no distribution has one that is new enough
    asked: tuple[Reason, ...]  # versions that files of the project name
    before: tuple[Reason, ...]  # tasks
    after_compile: tuple[Reason, ...]
    packages: frozenset[str]  # all that are in the release or are needed to build it
    notes: tuple[str, ...]


def read_lock(files: Files, project: MixProject) -> dict[str, Locked]:
    return parse_lock(files.read(project.lockfile))


def read_toolchain(files: Files, project: MixProject, applications: t.Sequence[str]) -> Toolchain:
    lock = read_lock(files, project)
    roots = [one.name for each in project.all for one in each.dependencies if one.production and not one.in_umbrella]
    names = used(lock, roots) if roots else sorted(lock)
    from_hex = [name for name in names if name in lock and lock[name].source == "hex"]
    if not lock:
        from_hex = [
            one.name
            for each in project.all
            for one in each.dependencies
            if one.production and not one.in_umbrella and not one.elsewhere
        ]
    from_git = [name for name in names if name in lock and lock[name].source == "git"]
    notes = []
    if from_hex and not lock:
        notes.append(
            "there is no %s in the repository: commit it, or say beam_deps: get, and each build may take other versions"
            % project.lockfile
        )
    erlang = needs.built_with_rebar(lock, names)
    c_code = needs.compiled(lock, names)
    needed = {application: name for name, application in _OF_PACKAGES.items() if name in names or name in roots}
    extra = [*_otp(applications), *_otp(tuple(needed), needed), *_rust(lock, names)]
    downloads = sorted(name for name in names if name in lock and _DOWNLOADS & set(lock[name].needs))
    if downloads:
        notes.append(
            "%s: code that is compiled already is fetched when they are built, so the build server needs a way to where it is"
            % _some(downloads)
        )
    before, after, more, said = _assets(files, project)
    asked = tuple(_asked(files, project.directory))
    oldest = max((least(one.elixir) for one in project.all if least(one.elixir)), key=_numbers, default="")
    elixir = Reason(oldest, "elixir: %s in mix.exs%s" % (json.dumps(project.elixir), _has(oldest))) if oldest else None
    return Toolchain(
        Reason(True, "%s come%s from hex.pm" % (_some(from_hex), "" if len(from_hex) > 1 else "s"))
        if from_hex
        else Reason(True, "Mix asks for Hex where a package from git (%s) names one of hex.pm" % _some(from_git))
        if from_git
        else None,
        Reason(True, "%s %s written in Erlang" % (_some(erlang), "are" if len(erlang) > 1 else "is"))
        if erlang
        else None,
        Reason(True, "%s %s C code" % (_some(c_code), "have" if len(c_code) > 1 else "has")) if c_code else None,
        tuple(dict((one.value, one) for one in [*extra, *more]).values()),
        elixir,
        Reason(True, "no distribution that was tried has Elixir %s: bring your own" % oldest)
        if _numbers(oldest) > _numbers(_DISTRIBUTIONS[-1][0])
        else None,
        asked,
        tuple(before),
        tuple(after),
        frozenset((*names, *roots)),
        tuple([*notes, *said]),
    )


def _some(names: t.Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" and %d more" % (len(names) - 4) if len(names) > 4 else "")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def _has(oldest: str) -> str:
    there = [name for elixir, _otp, name in _DISTRIBUTIONS if _numbers(elixir) >= _numbers(oldest)]
    return "; it is in " + ", ".join(there) if there else ""


def _otp(applications: t.Sequence[str], of: t.Mapping[str, str] | None = None) -> t.Iterator[Reason]:
    """of: which package has it, where the project has not."""
    for name in applications:
        if name in packages.OTP_APPLICATIONS and name not in _THERE:
            yield Reason(
                packages.otp_package(name), "extra_applications %shas :%s" % ("of %s " % of[name] if of else "", name)
            )


def _rust(lock: t.Mapping[str, Locked], names: t.Sequence[str]) -> t.Iterator[Reason]:
    found = [
        name
        for name in names
        if name in lock and _RUST & set(lock[name].needs) and "rustler_precompiled" not in lock[name].needs
    ]
    if (
        "rustler" in names
        and "rustler" in lock
        and not any("rustler_precompiled" in one.needs for one in lock.values())
    ):
        found.append("the project itself")
    if found:
        yield Reason("cargo", "%s: Rust that is compiled when it is built (rustler)" % _some(found))


def _asked(files: Files, directory: str) -> t.Iterator[Reason]:
    """Versions in files for other tools. They are only reported."""
    for file, pattern in (
        (".tool-versions", r"(?m)^(elixir|erlang)\s+(\S+)"),
        ("mise.toml", r'(?m)^"?(elixir|erlang)"?\s*=\s*"([^"]+)"'),
        (".mise.toml", r'(?m)^"?(elixir|erlang)"?\s*=\s*"([^"]+)"'),
        ("Dockerfile", r'(?m)^ARG\s+(ELIXIR|OTP|ERLANG)_VERSION\s*=\s*"?([^\s"]+)'),
        ("elixir_buildpack.config", r"(?m)^(elixir|erlang)_version=v?(\S+)"),
    ):
        for place in dict.fromkeys((joined(directory, file), file)):
            found = re.findall(pattern, files.read(place))
            if found:
                yield Reason(
                    ", ".join("%s %s" % (name.lower().replace("otp", "erlang"), version) for name, version in found),
                    place,
                )
                break
    image = re.search(r"(?m)^FROM\s+(?:\S+/)?elixir:(\d[\w.-]*)", files.read(joined(directory, "Dockerfile")))
    if image:
        yield Reason("elixir %s" % image.group(1), joined(directory, "Dockerfile"))


def _assets(files: Files, project: MixProject) -> tuple[list[Reason], list[Reason], list[Reason], list[str]]:
    before: list[Reason] = []
    after: list[Reason] = []
    extra: list[Reason] = []
    notes: list[str] = []
    for one in project.all:
        start = "do --app %s " % one.app if one is not project else ""
        where = joined(one.directory, "assets")
        everything = " ".join(task for tasks in one.aliases.values() for task in tasks)
        package = joined(where, "package.json")
        deploy = " ".join(_expanded(one.aliases, "assets.deploy"))
        if "assets.deploy" in one.aliases:
            after.append(Reason(start + "assets.deploy", "its assets; it is an alias in %s" % one.file))
        elif package in files:
            notes.append(
                "%s is there, and no alias assets.deploy: if the release needs assets, say in beam_build_after_compile how they are made"
                % package
            )
        if "assets.deploy" not in one.aliases:
            continue
        if (
            package in files
            and _has_packages(files.read(package))
            and not re.search(r"\b(install|ci)\b", deploy)
            and "bun.install" not in everything
        ):
            lockfile, command, brings = next(
                ((a, b, c) for a, b, c in _MANAGERS if joined(where, a) in files), ("", "npm install", "npm")
            )
            if command:
                before.append(Reason(start + "cmd --cd assets %s" % command, "%s has packages of npm" % package))
                extra += [
                    Reason("nodejs", "%s" % package),
                    Reason(brings, "%s" % (joined(where, lockfile) if lockfile else package)),
                ]
            else:
                notes.append(
                    "%s is of a package manager that Debian does not have: bring it to the build server, and call it in beam_build_before"
                    % joined(where, lockfile)
                )
        elif _NODE.search(deploy) and package in files:
            extra += [Reason("nodejs", "the alias assets.deploy"), Reason("npm", "the alias assets.deploy")]
    return before, after, extra, notes


def _expanded(aliases: t.Mapping[str, t.Sequence[str]], name: str, seen: frozenset[str] = frozenset()) -> list[str]:
    found = []
    for task in aliases.get(name, ()):
        first = task.split(" ")[0]
        found += _expanded(aliases, first, seen | {name}) if first in aliases and first not in seen | {name} else [task]
    return found


def _has_packages(text: str) -> bool:
    try:
        document = parse_json(text)
    except ValueError:
        return True
    return isinstance(document, dict) and any(
        not str(version).startswith("file:")
        for key in ("dependencies", "devDependencies")
        for version in (document.get(key) or {}).values()
    )
