# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a build needs of the toolchain, told before anything is fetched or compiled, each with the package that brings it.

Only what is certain is refused here. The rest is said by Mix or a compiler, and hints.py knows their words.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from . import packages
from .lockfile import Locked
from .project import Project, Toolchain
from .wanted import Wanted, named_in, wanted

if t.TYPE_CHECKING:
    from .plan import BuildPlan
    from .steps import Steps

_SOURCES_OF_CODE = ("rebar.config", "rebar.config.script", "rebar.lock")
_ALONE = {"no_hex": "local.hex", "no_rebar": "local.rebar"}  # what a newer Mix installs, and by which task
_NAMED = 5  # packages that a message names


@dataclass(frozen=True)
class Lack:
    code: str
    why: str
    hint: str


# What is there.


def _installs_by_itself(toolchain: Toolchain) -> bool:
    """Since 1.15, Mix installs Hex and rebar3 without being asked."""
    return [int(part) for part in re.findall(r"\d+", toolchain.elixir)[:2]] >= [1, 15]


def _mix_home(env: t.Mapping[str, str]) -> str:
    if env.get("MIX_HOME"):
        return env["MIX_HOME"]
    if env.get("MIX_XDG") in ("1", "true"):
        return os.path.join(env.get("XDG_DATA_HOME") or os.path.join(env["HOME"], ".local", "share"), "mix")
    return os.path.join(env["HOME"], ".mix")


def has_hex(project: Project, env: t.Mapping[str, str]) -> bool:
    archives = glob.escape(env.get("MIX_ARCHIVES") or os.path.join(_mix_home(env), "archives"))
    return bool(project.needs.get("hex") or glob.glob(os.path.join(archives, "hex")) or glob.glob(os.path.join(archives, "hex[-.]*")))


def find_rebar(toolchain: Toolchain, env: t.Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """rebar3, and what has to be set so that Mix uses it: it does not look into PATH."""
    given = env.get("MIX_REBAR3")
    if given:
        return shutil.which(given, path=env["PATH"]) or shutil.which(given.split()[0], path=env["PATH"]) or "", {}
    short = "-".join(re.findall(r"\d+", toolchain.elixir)[:2])
    for name in (short, "%s-otp-%s" % (short, toolchain.otp_release)):
        path = os.path.join(_mix_home(env), "elixir", name, "rebar3")
        if os.path.isfile(path):
            return path, {}
    found = shutil.which("rebar3", path=env["PATH"])
    return (found, {"MIX_REBAR3": found}) if found else ("", {})


def _has_application(name: str, toolchain: Toolchain, env: t.Mapping[str, str]) -> bool:
    roots = [os.path.join(toolchain.otp_root, "lib"), *filter(None, env.get("ERL_LIBS", "").split(":"))]
    return any(
        glob.glob(os.path.join(glob.escape(root), pattern, "ebin", name + ".app")) for root in roots for pattern in (name, name + "-*")
    )


# What is not there.


def _elixir(want: Wanted) -> t.Iterator[Lack]:
    for one in want.projects:
        if not one["elixir_fits"]:
            why = "mix.exs of %s wants Elixir %s, and %s is installed" % (one["app"] or one["path"], one["elixir"], want.toolchain.elixir)
            yield Lack("elixir_version", why, packages.BRING_ELIXIR)


def _applications(want: Wanted, named: t.Mapping[str, t.Iterable[str]]) -> t.Iterator[Lack]:
    """named: who names which applications."""
    missing: dict[str, str] = {}
    for who, names in named.items():
        for name in names:
            # A package may have the name of an application of Erlang/OTP; then it is not what is meant here.
            if name in packages.OTP_APPLICATIONS and name not in want.packages and not _has_application(name, want.toolchain, want.env):
                missing.setdefault(name, who)
    if missing:
        why = "the Erlang in %s has no %s" % (
            want.toolchain.otp_root, ", no ".join("%s, which %s names" % (name, missing[name]) for name in sorted(missing)),
        )
        yield Lack("no_otp_application", why, packages.bring_otp(*sorted(missing)))


def _hex(want: Wanted, project: Project) -> t.Iterator[Lack]:
    names = sorted(
        {name for one in want.projects for name in one["hex"]} | {name for name in want.packages if name in want.lock and want.lock[name].source == "hex"},
    )
    if names and not has_hex(project, want.env):
        why = "Hex is not installed for the user of the build (%s), and %s" % (_mix_home(want.env), _come(names, "from a registry"))
        yield Lack("no_hex", why, packages.BRING_HEX)


def _rebar(want: Wanted) -> t.Iterator[Lack]:
    names = built_with_rebar(want.lock, want.packages)
    names += [name for name in want.packages if name not in names and _is_rebar(os.path.join(want.deps_path, name))]
    names += [name for one in want.projects for name, path in one["paths"].items() if _is_rebar(path)]
    if not names:
        return
    found, _set = find_rebar(want.toolchain, want.env)
    if not found:
        given = want.env.get("MIX_REBAR3")
        missing = "MIX_REBAR3 is %s, which is no program" % given if given else "rebar3 is not installed"
        yield Lack("no_rebar", "%s, and %s" % (missing, _are(names, "built with it")), packages.BRING_REBAR)


def _is_rebar(path: str) -> bool:
    return not os.path.exists(os.path.join(path, "mix.exs")) and any(os.path.isfile(os.path.join(path, name)) for name in _SOURCES_OF_CODE)


def compiled(lock: t.Mapping[str, Locked], names: t.Iterable[str]) -> list[str]:
    """The packages with C code that is compiled here."""
    needs = {name: set(lock[name].needs) for name in names if name in lock}
    fetched = {"cc_precompiler", "rustler_precompiled", "elixir_make_precompiled"}
    return [name for name, found in needs.items() if "elixir_make" in found and name not in fetched and not fetched & found]


def built_with_rebar(lock: t.Mapping[str, Locked], names: t.Iterable[str]) -> list[str]:
    return [name for name in names if name in lock and "rebar3" in lock[name].managers and "mix" not in lock[name].managers]


def _compiler(want: Wanted) -> t.Iterator[Lack]:
    """C code. Not of packages that bring what is compiled already (cc_precompiler): whether they need a compiler is seen when they are compiled."""
    names = [str(one["app"]) for one in want.projects if one["make"]] + compiled(want.lock, want.packages)
    if not names:
        return
    missing = []
    if not _program(want.env, want.env.get("MAKE") or "make"):
        missing.append(want.env.get("MAKE") or "make")
    compilers = [want.env["CC"]] if want.env.get("CC") else ["cc", "gcc", "clang"]
    if not any(_program(want.env, name) for name in compilers):
        missing.append("a C compiler (%s)" % compilers[0])
    if missing:
        yield Lack("no_compiler", "%s not installed, and %s" % (_is(missing), _have(names)), packages.BRING_COMPILER)


def _program(env: t.Mapping[str, str], command: str) -> bool:
    words = command.split()
    return bool(words) and shutil.which(words[0], path=env["PATH"]) is not None


def _some(names: t.Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" and %d more" % (len(names) - _NAMED) if len(names) > _NAMED else "")


def _come(names: t.Sequence[str], whence: str) -> str:
    return "%s %s %s" % (_some(names), "come" if len(names) > 1 else "comes", whence)


def _are(names: t.Sequence[str], how: str) -> str:
    return "%s %s %s" % (_some(names), "are" if len(names) > 1 else "is", how)


def _have(names: t.Sequence[str]) -> str:
    return "%s %s C code" % (_some(names), "have" if len(names) > 1 else "has")


def _is(names: t.Sequence[str]) -> str:
    return "%s %s" % (" and ".join(names), "are" if len(names) > 1 else "is")


def _of_project(plan: BuildPlan, want: Wanted) -> dict[str, list[str]]:
    named = {"mix.exs of %s" % (one["app"] or one["path"]): list(one["applications"]) for one in want.projects}
    named["the release %s in mix.exs" % plan.name] = list((plan.project.needs.get("releases") or {}).get(plan.name) or ())
    return named


def lacks(plan: BuildPlan, env: t.Mapping[str, str]) -> list[Lack]:
    """All that can be told before anything is fetched."""
    want = wanted(plan, env)
    return [*_elixir(want), *_applications(want, _of_project(plan, want)), *_hex(want, plan.project), *_rebar(want), *_compiler(want)]


def refuse(name: str, found: t.Sequence[Lack]) -> None:
    if found:
        raise BeamError(
            found[0].code, "the build of %s can't begin" % name, "; ".join(lack.why for lack in found),
            ". ".join(dict.fromkeys(lack.hint for lack in found)), step="toolchain", lacks=[lack.code for lack in found],
        )


def require(plan: BuildPlan, steps: Steps | None = None) -> None:
    """Before anything is fetched. With steps: Mix finds rebar3, and installs by itself what it would install later."""
    env = steps.env if steps else plan.request.environment()
    found = lacks(plan, env)
    alone = _ALONE if plan.request.deps != "offline" and _installs_by_itself(plan.project.toolchain) else {}
    refuse(plan.name, [lack for lack in found if lack.code not in alone])
    if steps is not None:
        for lack in found:
            steps.mix("deps", alone[lack.code], "--force", "--if-missing")
        steps.env.update(find_rebar(plan.project.toolchain, env)[1])


def require_of_fetched(plan: BuildPlan, steps: Steps) -> None:
    """After fetching, before anything is compiled: what only the packages themselves tell."""
    want = wanted(plan, steps.env)
    named = {"the package %s" % name: named_in(os.path.join(want.deps_path, name)) for name in want.runtime}
    found = list(_applications(want, named))
    if plan.request.deps == "offline" or not _installs_by_itself(plan.project.toolchain):
        found += _rebar(want)
    refuse(plan.name, found)
