# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The last words of a VM, which are an Erlang term: what was raised, read from it, for where the VM ended before it had told it in words. Pure."""

from __future__ import annotations

import re
import typing as t

_STRUCT = re.compile(r"'Elixir\.((?:\w+\.)*(?:\w*Error|\w*Exception))'")
_FIELD = r"%s\s*=>\s*\\?\"((?:[^\"\\]|\\[^\"])*)"
_AT = r"\[\{'?(?:Elixir\.)?([\w.]+)'?,'?([\w!?/-]+)'?,"
_BADARG = re.compile(r"\{badarg,%s\[(.*?)\],\[" % _AT)
_UNDEF = re.compile(r"\{undef,%s" % _AT)
_CLAUSE = re.compile(r"\{function_clause,%s" % _AT)
_VALUE = re.compile(r"\{(badmatch|case_clause|badkey),(.{1,200}?)\},\[")
_VALUES = {
    "badmatch": "** (MatchError) no match of right hand side value",
    "case_clause": "** (CaseClauseError) no case clause matching",
    "badkey": "** (KeyError) no key",
}
_REFUSED = {
    "binary_to_integer": "not a textual representation of an integer",
    "binary_to_float": "not a textual representation of a float",
    "binary_to_existing_atom": "not an already existing atom",
}
_SAID = {
    "eacces": "permission denied",
    "enoent": "no such file or directory",
    "erofs": "read-only file system",
    "enospc": "no space left on device",
}
_ERRNO = re.compile(
    r"\b(eaddrinuse|eaddrnotavail|eacces|eperm|erofs|enoent|econnrefused|nxdomain|ehostunreach|etimedout|enospc|emfile|enotsup|eafnosupport)\b"
)


def raised(line: str) -> str:
    """As Elixir would have told it; '' where the term holds nothing of the kind. line: readable, binaries as texts."""
    name = _STRUCT.search(line)
    if name:
        text = _of_struct(line)
        if text:
            return "** (%s) %s" % (name.group(1), text.strip())
    if re.search(r"\(\{,\[\{'?Elixir\.System'?,'?fetch_env!", line):
        return "** (System.EnvError) could not fetch an environment variable because it is not set"
    refused = _BADARG.search(line)
    if refused:
        module, function, given = refused.groups()
        words = "not a binary" if given.startswith("nil") else _REFUSED.get(function, "")
        return "** (ArgumentError) errors were found at the given arguments%s in :%s.%s(%s)" % (
            ": 1st argument: %s" % words if words else "",
            module,
            function,
            given,
        )
    undefined, clause, value = _UNDEF.search(line), _CLAUSE.search(line), _VALUE.search(line)
    if undefined:
        return "** (UndefinedFunctionError) function %s.%s is undefined" % undefined.groups()
    if clause:
        return "** (FunctionClauseError) no function clause matching in %s.%s" % clause.groups()
    if value:
        return "%s: %s" % (_VALUES[value.group(1)], value.group(2))
    library = re.search(r"Failed to load NIF library: [^\"]*", line)
    return library.group(0).strip("'\\ ") if library else ""


def _of_struct(line: str) -> str:
    message, env, path, action = (re.search(_FIELD % key, line) for key in ("message", "env", "path", "action"))
    reason = re.search(r"reason\s*=>\s*(\w+)", line)
    if env:
        return 'could not fetch environment variable "%s" because it is not set' % env.group(1)
    if path:
        why = reason.group(1) if reason else ""
        return 'could not %s "%s": %s' % (action.group(1) if action else "use", path.group(1), _SAID.get(why, why))
    return message.group(1) if message else ""


def configuring(line: str) -> bool:
    """Whether it was raised while the configuration was read, such as config/runtime.exs: what else of Elixir is called before the VM has booted?"""
    return (
        "init terminating in do_boot" in line
        or "terminating during boot" in line
        or "Elixir.Config.Reader" in line
        or "Elixir.Config.Provider" in line
    )


def errno(line: str) -> t.Optional[str]:
    """An error of the system that it holds, with who had it."""
    found = _ERRNO.search(line)
    if found is None:
        return None
    application = re.search(r"application_start_failure,(\w+)", line)
    child = re.findall(r"failed_to_start_child,\{*'?(?:Elixir\.)?([\w.]+)", line)
    if application is None:
        return ""
    return "%s did not start: %s%s" % (application.group(1), "%s: " % child[-1] if child else "", found.group(1))
