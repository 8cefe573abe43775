# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the output of a failed step tells: the kind of failure, what to do, and the lines that are worth showing."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from . import packages

_LINES = 40
_LINE = 400  # characters of one line
_TOTAL = 4000  # characters of all
_NEAR = 3  # lines from the end within which a cause is not overlooked

_ADVISORIES = 8  # lines that a message repeats
_ADVISORY = re.compile(
    r"RETIRED|VULNERABLE|\b(?:retired|advisor(?:y|ies)|vulnerab\w+|cooldown|deprecated by its owner)\b|\bpolicy hid\b|\bpolicy\b.*\bblock"
    r"|\b(?:CVE|GHSA|EEF-CVE)-\w", re.IGNORECASE,
)
_OFFLINE = "deps: offline (in an inventory beam_deps: offline)"


@dataclass(frozen=True)
class Explained:
    code: str
    hint: str
    cause: str = ""  # the line that tells it


def _program(match: re.Match[str]) -> str:
    name = match.group(1)
    package = packages.PROGRAMS.get(name, "")
    if package == "build-essential":
        return "%s is missing. %s" % (name, packages.BRING_COMPILER)
    return packages.bring(package) if package else "Install %s on the build server: toolchain_extra_packages takes the name of its package" % name


def _header(match: re.Match[str]) -> str:
    package = packages.header_package(match.group(1))
    return packages.bring(package) if package else (
        "Put the package that has %s (its name ends with -dev; `apt-file search` finds it) into toolchain_extra_packages and run the playbook setup"
        % match.group(1)
    )


def _otp(match: re.Match[str]) -> str:
    """Nothing where it is not what Erlang/OTP could bring: another row may know."""
    return packages.bring_otp(match.group(1)) if match.group(1) in packages.OTP_APPLICATIONS else ""


def _otp_module(match: re.Match[str]) -> str:
    application = packages.otp_application(match.group(1))
    return packages.bring_otp(application) if application else ""


_NAMES = "|".join(sorted((re.escape(name) for name in packages.PROGRAMS), key=len, reverse=True))
_MISSING = r"(?m)^(?=[^\n]*(?:can't find|[Cc]ould not|not found|[Nn]o such))[^\n]*?"
_Hint = t.Union[str, t.Callable[["re.Match[str]"], str]]
# In which steps ("" is any), what Mix or a compiler says, the code, what the user can do. The first one that fits counts: causes before consequences.
_HINTS: tuple[tuple[str, str, str, _Hint], ...] = (
    ("", r"no space left on device|\benospc\b", "disk_full", "Make room, then run it again: what was half built is removed"),
    ("", r"[Cc]ould not install [^\n]*[Rr]ebar|[Cc]ould not find \"?rebar3?\"?|\brebar3?\b[^\n]{0,40}\bnot (?:found|available|installed)",
     "no_rebar", packages.BRING_REBAR),
    ("", r"[Cc]ould not (?:find|install) Hex|Could not find an SCM for dependency|requires the Hex package manager", "no_hex", packages.BRING_HEX),
    ("", r"You're trying to run .* on Elixir v", "elixir_version", packages.BRING_ELIXIR),
    # A warning; a cause only where a dependency did not compile then.
    ("", r"the dependency :?\S+ requires Elixir .* but you are running on[\s\S]*[Cc]ould not compile dependency", "elixir_version", packages.BRING_ELIXIR),
    ("", r"(?m)(?:^|[\s/\"'`])(%s)\"?: (?:[Cc]ommand )?not found" % _NAMES, "no_program", _program),
    ("", r"(?m)^(?:make(?:\[\d+\])?|env|/usr/bin/env|sh|exec): \W?(?:/usr/bin/)?(%s)\W?: No such file or directory" % _NAMES, "no_program", _program),
    ("", r"\"(%s)\" not found in the path" % _NAMES, "no_program", _program),
    ("", r":enoent[\s\S]{0,400}?System\.cmd\(\"(%s)\"" % _NAMES, "no_program", _program),
    ("", r"(?:fatal )?error: '?([\w./+-]+\.h(?:pp)?)'?(?:: No such file| file not found)", "no_header", _header),
    ("", r"[Cc]ould not find application:? :?\"?([a-z]\w*)\b", "no_otp_application", _otp),
    ("", r"(?:could not find application file: |cannot find application |[nN]o such file or directory\W{0,10})([a-z]\w*)\.app\b", "no_otp_application", _otp),
    ("", _MISSING + r"\b([a-z]\w*?)(?:-[\d.]+)?/include/\w[\w-]*\.hrl", "no_otp_application", _otp),
    ("", _MISSING + r"\b([a-z]\w*)\.hrl\b", "no_otp_application", _otp),
    ("", r"function :([a-z]\w*)\.\S+/\d+ is undefined \(module :\w+ is not available\)", "no_otp_application", _otp_module),
    ("", r"offline mode", "deps_offline",
     "Run once with deps: locked (in an inventory beam_deps: locked) while the registry can be reached"),
    ("", r"mix deps\.get", "deps_missing",
     "Use deps: locked or get (in an inventory beam_deps); with %s they have to be in deps/ already" % _OFFLINE),
    ("deps", r"Authentication failed|could not read (?:Username|Password)|Permission denied \(publickey|Host key verification failed|terminal prompts disabled"
             r"|No authenticated organization|error: 40[13]\b|\bHTTP\D{0,12}40[13]\b", "deps_denied",
     "Give the user of the build what the other side asks for: a token with deps_env (in an inventory beam_deps_env), a key, or the host in known_hosts"),
    ("deps", r":unknown_ca|no_cacerts_found|certificate verify failed|bad_certificate|CA trust store", "deps_unreachable",
     "The certificate of the other side is not trusted: " + packages.bring("ca-certificates") + ", or name your own by HEX_CACERTS_PATH and SSL_CERT_FILE"),
    ("deps", r"Failed to fetch record for .* from registry|:nxdomain|:econnrefused|:ehostunreach|:enetunreach|:timeout|[Cc]ould not resolve host"
             r"|unable to access|Connection (?:refused|timed out|reset)|Network is unreachable|could not download metadata", "deps_unreachable",
     "Run it again when the registry can be reached; %s uses what is there" % _OFFLINE),
    ("", r"[Cc]ould not compile dependency :?\"?(\w+)", "build_failed", lambda match: (
        "The dependency %s does not compile with this toolchain: what is said above that line names what it lacks (toolchain_extra_packages brings"
        " packages), or it wants another Elixir or Erlang" % match.group(1))),
)


def explain(step: str, output: str) -> Explained:
    for where, pattern, code, hint in _HINTS:
        if where in ("", step):
            for match in re.finditer(pattern, output):
                text = hint if isinstance(hint, str) else hint(match)
                if text:
                    begin = match.end() - len(match.group().lstrip())
                    start = output.rfind("\n", 0, begin) + 1
                    return Explained(code, text, output[start:].partition("\n")[0].strip())
    return Explained("build_failed", "Correct what it names, then run it again")


def advisories(output: str) -> list[str]:
    """The lines by which Hex tells why it does not take what is locked: advisories, retired packages, policies, and what belongs to them."""
    found: list[str] = []
    depth = -1
    for line in output.splitlines():
        indent = len(line) - len(line.lstrip())
        if _ADVISORY.search(line):
            depth = indent
        elif not line.strip() or depth < 0 or indent <= depth:
            depth = -1
            continue
        if line.strip() not in found:
            found.append(line.strip()[:_LINE])
    return found[:_ADVISORIES] + ["and %d more lines" % (len(found) - _ADVISORIES)] * (len(found) > _ADVISORIES)


def shown(output: str, cause: str = "") -> list[str]:
    """The end of the output, short enough to read, with the cause in a place where nobody overlooks it."""
    lines = [line if len(line) <= _LINE else line[:_LINE] + " [...]" for line in output.splitlines()[-_LINES:]]
    while len(lines) > 1 and sum(map(len, lines)) > _TOTAL:
        del lines[0]
    if cause and not any(cause[:_LINE] in line for line in lines[-_NEAR:]):
        lines.append(cause[:_LINE])
    return lines
