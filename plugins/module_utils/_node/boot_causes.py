# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which of the reasons why a node does not come up are its server's settings, and which the release itself. Pure.

The table is what docs/rollout.md tells of it. A setting is at fault only by evidence in the text: a variable that is named, an error of the system, a step of
systemd. Whatever else is raised speaks against the release.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

SETUP = "run the playbook alchemist.beam.setup, and deploy again"
SETUP_JIT = "Set service_jit: true, %s" % SETUP


@dataclass(frozen=True)
class Cause:
    kind: str
    setting: bool
    hint: str
    text: str = ""  # where the reason itself is better told in other words


_VARIABLE = r"[\"'`\u201c]?\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT|HOST|DSN|POOL)\b[\"'`\u201d]?"
_LACKS = r"(?:is |was |are )?(?:missing|not set|unset|not present|not defined|not found|not given|not provided|undefined|empty|blank|required|mandatory|nil)"
_ENV = r"environment variable|env\.? ?var(?:iable)?"
_MUST = r"must be (?:set|present|given|defined|configured)|has to be set"
_ANY = r"[\"'`\u201c]?\b([A-Z][A-Z0-9_]+)\b[\"'`\u201d]?"
_MISSING = (
    re.compile(r"could not fetch environment variable \"?(\w+)\"? because it is not set"),
    re.compile(r"(?i:\b(?:environment variable|env\.? ?var(?:iable)?|env)):? %s,? ?(?:%s|%s)" % (_ANY, _LACKS, _MUST)),
    re.compile(
        r"(?i:missing|required|unset|undefined|expected|set|no)\b[\w ]{0,40}\b(?i:%s)s?\W{1,3}(?:named )?%s"
        % (_ENV, _ANY)
    ),
    re.compile(r"(?i:expected)\b[\w ]{0,20}(?i:environment variable|env) %s to be" % _ANY),
    re.compile(r"%s (?i:%s) (?:%s|%s)" % (_ANY, _ENV, _LACKS, _MUST)),
    re.compile(r"%s (?:%s|%s)(?! in\b)" % (_VARIABLE, _LACKS, _MUST)),
    re.compile(r"(?i:missing|not set|required|please set|you must set|must set|need to set)\W{1,3}%s" % _VARIABLE),
)
# Wherever it is raised, it is about a value that the host was given.
_MALFORMED = re.compile(
    r"(?i:environment variable|env var)\W{1,3}%s\W.*(?:cast|parse|convert|invalid|must|not a|integer|expected)"
    r"|Ecto\.InvalidURLError|secret_key_base to be at least" % _ANY
)
_NAMED = re.compile(_VARIABLE)
_SECRET = re.compile(r"SECRET|KEY|TOKEN|PASS|DATABASE_URL|DSN|CREDENTIAL|COOKIE")
_PATH = re.compile(r"[\"'](/[^\"']*)[\"']")
_OF_A_RELEASE = re.compile(r"/(?:releases|layers)/[^/]+/|/lib/[a-z][a-z0-9_]*-\d[^/]*/|/(?:current|blue|green)/")
_PORT = re.compile(r"\bport:? (\d+)\b")

_EACCES = r":?\beacces\b|(?i:permission denied)"
_LISTENING = r"listen|Ranch|Bandit|Cowboy|ThousandIsland|Thousand_Island|[Ee]ndpoint|\bport\b"
_MEMORY = (
    r"(?i:mprotect|mmap|executable memory|writable segment|memory executable|restore segment prot|executable stack|segment writable|failed to map segment)"
    r".*(?i:EPERM|operation not permitted|permission denied)|(?i:could not allocate executable memory|SIGTRAP)|status=5/TRAP|exit(?:ed with)? status 133\b"
    r"|Check failed: .*errno_location"
)
_READ_ONLY = r":?\berofs\b|(?i:read-only file system|attempt to write a readonly database|unable to open database file)"
_OF_A_FILE = r"File\.\w*Error|:(?:ca)?certfile|:keyfile"
_SANDBOX = r"No usable sandbox|Failed to move to new namespace"
_ERRORS_OF_A_SETTING = (
    r"not a textual representation of|given arguments.* in :erlang\.(?:binary|list)_to_"
    r"|not an already existing atom|not a binary|(?i:can ?not parse|could not parse|invalid (?:url|value|port|integer|boolean))"
    r"|right hand side value: (?:nil|:error)\b|no function clause matching in (?:String|Integer|Float|URI|Base|Enum)\."
    r"|no (?:case|cond|with) clause matching: (?:nil|\")"
    r"|not implemented for nil|non-alphabet character|incorrect padding"
)


def judge(text: str, config: bool = False, selinux: bool = False) -> Cause:
    """config: it was said of a provider of the configuration, which reads the settings of the host."""
    for find in (_missing, _network, _name, _files, _machine, _systemd):
        cause = find(text, config, selinux)
        if cause is not None:
            return cause
    return _rest(text, config)


def variable(text: str) -> str:
    """The name of an environment variable that a text says is missing."""
    return next((found.group(1) for found in (one.search(text) for one in _MISSING) if found), "")


def _missing(text: str, config: bool, _selinux: bool) -> t.Optional[Cause]:
    name = variable(text)
    if name:
        secret = " (it looks like a secret: keep it in a vault)" if _SECRET.search(name) else ""
        return Cause("setting_missing", True, "Give %s in beam_env%s, %s" % (name, secret, SETUP))
    if "could not fetch an environment variable" in text:
        return Cause("setting_missing", True, "The log of the node names it: give it in beam_env, %s" % SETUP)
    if _MALFORMED.search(text) or config and re.search(_ERRORS_OF_A_SETTING, text):
        hint = "It was given a value of beam_env that it can't use, or none: correct it, %s" % SETUP
        return Cause("setting_invalid", True, hint)
    named = _NAMED.search(text)
    if config and named and re.search(r"\*\* \((?:RuntimeError|ArgumentError)\)", text):
        return Cause("setting_invalid", True, "Correct %s in beam_env, %s" % (named.group(1), SETUP))
    return None


def _network(text: str, _config: bool, _selinux: bool) -> t.Optional[Cause]:
    port = _PORT.search(text)
    which = "port %s" % port.group(1) if port else "its port"
    if "register/listen error" in text or "seems to be in use by another Erlang node" in text:
        if re.search(r"eaddrinuse|in use", text):
            hint = (
                "Another node has its name, or the port of its distribution: give this one a service_dist_port of its own, %s"
                % SETUP
            )
            return Cause("port_in_use", True, hint)
        hint = "The flags of the distribution contradict each other: see -proto_dist and inet_dist_* in vm.args, env.sh and beam_env, and service_dist_listen"
        return Cause("cannot_listen", True, hint)
    if re.search(r":?\beaddrinuse\b|(?i:address already in use|port \d+ already in use)", text):
        look = "ss -ltnp 'sport = :%s'" % port.group(1) if port else "ss -ltnp"
        hint = (
            "Another process listens on %s; `%s` on the host says which. Stop it, or give another port in beam_env"
            % (which, look)
        )
        return Cause("port_in_use", True, hint)
    if re.search(r":?\beaddrnotavail\b|(?i:cannot assign requested address|can't assign requested address)", text):
        return Cause(
            "cannot_listen",
            True,
            "It listens on an address that this host does not have: correct the address in beam_env, %s" % SETUP,
        )
    if re.search(_EACCES, text) and re.search(_LISTENING, text) and not _PATH.search(text):
        return Cause(
            "cannot_listen",
            True,
            "It may not listen on %s. Below 1024 that takes service_low_ports: true; %s" % (which, SETUP),
        )
    if re.search(r":?\b(?:eafnosupport|eprotonosupport)\b|(?i:address family not supported)", text):
        hint = (
            "The unit forbids this kind of socket: add it with service_unit_options (RestrictAddressFamilies), %s"
            % SETUP
        )
        return Cause("denied", True, hint)
    if re.search(
        r":?\b(?:econnrefused|nxdomain|ehostunreach|enetunreach|etimedout)\b|(?i:connection refused|non-existing domain)",
        text,
    ):
        hint = "What it connects to does not answer from this host: see that it runs, and that its address in beam_env is right; then deploy again"
        return Cause("unreachable", True, hint)
    if re.search(
        r"28P01|28000|password authentication failed|invalid_password|3D000|invalid_catalog_name|Access denied for user",
        text,
    ):
        return Cause(
            "refused",
            True,
            "The database refuses what it was given: correct the user, password or database name in beam_env, %s"
            % SETUP,
        )
    return None


def _name(text: str, _config: bool, _selinux: bool) -> t.Optional[Cause]:
    if re.search(r"Can't set (?:long|short) node name|Hostname \S+ is illegal", text):
        hint = (
            "The name that it gets is no name of a node: see RELEASE_NODE in env.sh and beam_env, and service_node; then %s"
            % SETUP
        )
        return Cause("name_invalid", True, hint)
    if re.search(r"[Cc]ookie file ", text):
        return Cause("cookie", True, "Apply the role alchemist.beam.service, which sees to the cookie: %s" % SETUP)
    return None


def _files(text: str, config: bool, _selinux: bool) -> t.Optional[Cause]:
    if "Failed at step" in text or "Failed to execute" in text or "/bin/" in text and "** (" not in text:
        return None
    path = ([""] + _PATH.findall(text))[-1]
    inside = bool(_OF_A_RELEASE.search(path))
    read = re.search(r"could not (?:read|open|list|stream)", text) is not None
    if re.search(_READ_ONLY, text) or (re.search(_EACCES, text) and inside and not read):
        if inside or not path:
            hint = (
                "What is below releases/ is read-only, since versions share it: let the application write below /var/lib/<unit>, "
                "its home directory, or add a directory to service_writable_paths; give the path in beam_env, and deploy again"
            )
        else:
            hint = (
                "The unit may write below its home directory /var/lib/<unit> only: add %s to service_writable_paths, or use another path; %s"
                % (path, SETUP)
            )
        return Cause("read_only", True, hint)
    if re.search(_MEMORY, text):
        return Cause("memory_exec", True, "The unit forbids memory that is writable and executable. %s" % SETUP_JIT)
    if re.search(_SANDBOX, text):
        hint = (
            'A browser wants a sandbox of its own, which the unit forbids: service_unit_options: {RestrictNamespaces: "false"}, %s'
            % SETUP
        )
        return Cause("denied", True, hint)
    if re.search(_EACCES, text):
        if path:
            hint = "Let the node's user %s %s, or give another path in beam_env, and deploy again" % (
                "read" if read else "write to",
                path,
            )
            return Cause("denied", True, hint)
        if not re.search(r":?\beacces\b", text) and config:
            return Cause(
                "denied",
                True,
                "What the configuration is read from refuses it: see what it may use, and beam_env; then deploy again",
            )
        hint = (
            "A file that its user may not use, or a port below 1024, which takes service_low_ports: true; then %s"
            % SETUP
        )
        return Cause("denied", True, hint)
    if re.search(r":?\benospc\b|(?i:no space left on device)", text):
        return Cause("disk_full", True, "Make room on the host, and deploy again")
    if re.search(r":?\bemfile\b|(?i:too many open files)", text):
        return Cause("too_many_files", True, "Raise service_nofile, %s" % SETUP)
    if re.search(r"\benoent\b|(?i:no such file or directory)", text) and (
        config and not inside or path and not inside and re.search(_OF_A_FILE, text)
    ):
        return Cause(
            "file_missing",
            True,
            "Put %s on the host, or give the right path in beam_env, and deploy again"
            % (path or "the file that it reads"),
        )
    return None


_STEPS: t.Mapping[str, tuple[str, str, str]] = {
    "CHDIR": ("denied", "systemd can't enter the working directory of the unit", SETUP),
    "USER": ("user_missing", "the user of the unit does not exist", "%s: it makes the user (service_user)" % SETUP),
    "GROUP": ("user_missing", "the group of the unit does not exist", "%s: it makes the group (service_group)" % SETUP),
    "NAMESPACE": (
        "namespace",
        "systemd can't prepare what the unit sees of the file system",
        "see that each of service_writable_paths exists, and whether this host allows namespaces "
        "(in some containers service_hardening: false); %s" % SETUP,
    ),
    "STATE_DIRECTORY": ("denied", "systemd can't prepare the directory below /var/lib", SETUP),
    "RUNTIME_DIRECTORY": ("denied", "systemd can't prepare the directory below /run", SETUP),
}


# What systemd exits with in place of the launcher, in systemd.exec(5).
STATUSES: t.Mapping[int, str] = {
    200: "CHDIR",
    203: "EXEC",
    216: "GROUP",
    217: "USER",
    218: "CAPABILITIES",
    226: "NAMESPACE",
    227: "NO_NEW_PRIVILEGES",
    228: "SECCOMP",
    233: "RUNTIME_DIRECTORY",
    238: "STATE_DIRECTORY",
}


def exec_denied(text: str, selinux: bool) -> Cause:
    if re.search(r"(?i:permission denied)", text):
        if selinux:
            why = "SELinux is enforcing, and systemd may not execute what is below the base directory"
            hint = "Label it: semanage fcontext -a -t bin_t '<beam_base>/(releases|layers)/.*/(bin|erts-[^/]*/bin)(/.*)?', then restorecon -R <beam_base>"
            return Cause("exec_denied", True, hint, "%s (%s)" % (text, why) if text else why)
        hint = "See whether the file system of beam_base is mounted noexec, and whether the user of the unit may enter each directory above it (namei -l)"
        return Cause("exec_denied", True, hint)
    return Cause(
        "exec_denied",
        True,
        "See that the release is complete on the host: deploy again, which installs what is missing",
    )


def of_step(step: str, text: str, selinux: bool = False) -> Cause:
    """A step of systemd before the launcher runs, such as EXEC, which is also the status 203."""
    if step == "EXEC":
        return exec_denied(text, selinux)
    kind, why, hint = _STEPS.get(
        step,
        (
            "unit_refused",
            "systemd can't do what the unit asks for (step %s)" % step,
            "see service_unit_options; %s" % SETUP,
        ),
    )
    return Cause(kind, True, hint[:1].upper() + hint[1:], "%s: %s" % (why, text) if text else why)


def _systemd(text: str, _config: bool, selinux: bool) -> t.Optional[Cause]:
    step = re.search(r"Failed at step ([A-Z_]+) spawning", text)
    if step:
        return of_step(step.group(1), text, selinux)
    status = re.search(r"code=exited, status=(\d+)/", text)
    if status and int(status.group(1)) in STATUSES:
        return of_step(STATUSES[int(status.group(1))], text, selinux)
    if re.search(
        r"Unable to locate executable|Failed to execute |/bin/\S+: .*(?:Permission denied|not found|No such file)|^exec\b.*: ",
        text,
    ):
        return exec_denied(text, selinux)
    if "Failed to load environment files" in text:
        return Cause("env_file", True, "The environment file is not as systemd wants it, or not there: %s" % SETUP)
    if "Start request repeated too quickly" in text:
        hint = (
            "Read why it ended before: `journalctl -u` of the unit. A deploy or alchemist.beam.restart starts it anew"
        )
        return Cause(
            "start_limit",
            False,
            hint,
            "systemd has given it up, since it was started too often (service_start_limit_burst)",
        )
    if re.search(r"status=31/SYS", text):
        hint = (
            "It was ended for a system call that the unit forbids: permit it with service_unit_options (SystemCallFilter), %s"
            % SETUP
        )
        return Cause("denied", True, hint)
    if "Watchdog timeout" in text:
        return Cause("watchdog", False, "The node did not answer its watchdog in time (service_watchdog): read its log")
    return None


def _machine(text: str, _config: bool, _selinux: bool) -> t.Optional[Cause]:
    if re.search(_MEMORY, text):
        return Cause("memory_exec", True, "The unit forbids memory that is writable and executable. %s" % SETUP_JIT)
    if re.search(r"OOM killer|oom-kill", text):
        hint = "The host ran out of memory, or the unit reached its limit (MemoryMax): give it more, or find out what took it"
        return Cause("out_of_memory", False, hint, "a process of it was killed for want of memory (OOM)")
    if re.search(r"_alloc: Cannot (?:re)?allocate", text):
        return Cause(
            "out_of_memory",
            False,
            "The VM got no more memory: see what takes it, and the limits of the host and of the unit (MemoryMax)",
        )
    library = re.search(r"(lib[\w+.-]+\.so[\w.]*): cannot open shared object file", text)
    if library:
        return Cause(
            "library_missing", True, "Install the package that has %s on the host, and deploy again" % library.group(1)
        )
    missing = re.search(r"version `([\w.]+)' not found", text)
    if missing:
        return Cause(
            "library_too_old", False, "Build the release on a system as old as the host: it wants %s" % missing.group(1)
        )
    if "Failed to load NIF library" in text or "cannot open shared object file" in text:
        return Cause("nif", False, "The release lacks a library of its own, or it does not fit: see how it is built")
    if re.search(r"bad -\w+ option|vm\.args|syntax error before|cannot get bootfile", text):
        return Cause("vm_flags", False, "See vm.args and env.sh of the release, and ERL_*FLAGS in beam_env")
    return None


def _rest(text: str, config: bool) -> Cause:
    if config:
        return Cause(
            "config_failed",
            False,
            "Correct the configuration that the release reads when it boots (config/runtime.exs and its providers)",
        )
    if re.match(r"\*\* \((?:EXIT|stop)\)|the application \S+ ended", text) or "** (" not in text:
        return Cause("ended", False, "Read the lines of its log")
    return Cause("raised", False, "Correct the release: this is raised in its code")
