# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Which package of Debian and Ubuntu brings what a build may lack, and how a user says so."""

from __future__ import annotations

import re

# Applications of Erlang/OTP that are packages of their own there. (kernel, stdlib, compiler and sasl are in erlang-base.)
OTP_APPLICATIONS = frozenset(
    "asn1 common_test crypto debugger dialyzer diameter edoc eldap erl_docgen et eunit ftp inets jinterface megaco mnesia observer odbc"
    " os_mon parsetools public_key reltool runtime_tools snmp ssh ssl syntax_tools tftp tools wx xmerl".split()
)
# Modules that a build asks for, by application.
_MODULES = {
    **dict.fromkeys(("yecc", "leex", "yeccparser", "yeccscan"), "parsetools"), **dict.fromkeys(("cpu_sup", "memsup", "disksup"), "os_mon"),
    **dict.fromkeys(("httpc", "httpd", "mod_esi"), "inets"), **dict.fromkeys(("erl_syntax", "erl_tidy", "merl", "epp_dodger"), "syntax_tools"),
    **dict.fromkeys(("cover", "xref", "fprof", "eprof"), "tools"), **dict.fromkeys(("dbg", "msacc", "scheduler"), "runtime_tools"),
    **dict.fromkeys(("ct", "ct_run", "ct_slave"), "common_test"), **dict.fromkeys(("asn1ct", "asn1rt_nif"), "asn1"), "eunit_autoexport": "eunit",
}
_MODULE_PREFIXES = ("xmerl", "mnesia", "ssh", "snmp", "snmpa", "snmpm", "diameter", "megaco", "wx", "odbc", "eldap")
PROGRAMS = {
    **dict.fromkeys(("make", "gmake", "cc", "gcc", "g++", "c++", "ld", "ar"), "build-essential"), "clang": "clang", "cmake": "cmake",
    "autoconf": "autoconf", "automake": "automake", "autoreconf": "autoconf", "libtool": "libtool", "libtoolize": "libtool", "pkg-config": "pkg-config",
    "cargo": "cargo", "rustc": "rustc", "go": "golang-go", "npm": "npm", "node": "nodejs", "yarn": "yarnpkg", "python3": "python3", "perl": "perl",
    "git": "git", "curl": "curl", "wget": "wget", "unzip": "unzip", "patch": "patch", "erlc": "erlang-base", "escript": "erlang-base",
}
_HEADERS = (
    (r"erl_nif\.h|erl_driver\.h|erl_drv_nif\.h|ei\.h|erl_interface\.h|ei_connect\.h", "erlang-dev"), (r"openssl/.*", "libssl-dev"),
    (r"sqlite3\.h", "libsqlite3-dev"), (r"zlib\.h", "zlib1g-dev"), (r"sodium\.h|sodium/.*", "libsodium-dev"), (r"libpq-fe\.h", "libpq-dev"),
    (r"expat\.h", "libexpat1-dev"), (r"yaml\.h", "libyaml-dev"), (r"magic\.h", "libmagic-dev"), (r"sys/capability\.h", "libcap-dev"),
    (r"security/pam_appl\.h", "libpam0g-dev"), (r"ncurses\.h|curses\.h", "libncurses-dev"), (r"vips/.*", "libvips-dev"), (r"gmp\.h", "libgmp-dev"),
    (r"(?:std\w+|string|errno|limits|unistd|math|assert|ctype|time|signal|sys/\w+)\.h", "libc6-dev"), (r"linux/.*", "linux-libc-dev"),
)


def otp_package(application: str) -> str:
    return "erlang-" + application.replace("_", "-")


def otp_application(module: str) -> str:
    """The application that a module of Erlang/OTP belongs to; "" where it is not one that could be missing."""
    if module in _MODULES or module in OTP_APPLICATIONS:
        return _MODULES.get(module, module)
    prefix = re.match(r"[a-z]+", module)
    name = prefix.group() if prefix and re.match(r"_|[A-Z]|$", module[prefix.end():]) else ""
    return "" if name not in _MODULE_PREFIXES else "snmp" if name.startswith("snmp") else name


def header_package(header: str) -> str:
    """The package that has a C header; "" if unknown."""
    return next((package for pattern, package in _HEADERS if re.fullmatch(pattern, header)), "")


def bring(*packages: str) -> str:
    """How packages of the distribution come to the build server."""
    return "Put %s into toolchain_extra_packages and run the playbook setup (it applies the role toolchain)" % ", ".join(packages)


def bring_otp(*applications: str) -> str:
    packages = [otp_package(name) for name in applications]
    return "%s; with toolchain_method: prebuilt, take an Erlang that was built with %s" % (bring(*packages), ", ".join(applications))


BRING_HEX = (
    "Say toolchain_hex: true and run the playbook setup, or run `mix local.hex --force` on the build server as the user of the build;"
    " without a way to hex.pm, toolchain_archives installs a Hex that you bring"
)
BRING_REBAR = (
    "Say toolchain_rebar: true and run the playbook setup (the package rebar3 of Debian and Ubuntu). A rebar3 in PATH, in ~/.mix"
    " (`mix local.rebar --force`) or named by MIX_REBAR3 will do too"
)
BRING_COMPILER = "Say toolchain_compiler: true and run the playbook setup (the package build-essential), or install make and a C compiler"
BRING_ELIXIR = (
    "The distribution's Elixir gets no newer. Put one that fits on the build server (elixir-lang.org/install tells how), then say"
    " toolchain_method: prebuilt and elixir_path (in an inventory beam_toolchain_method: prebuilt, and beam_elixir_path: its directory);"
    " or build on a newer distribution"
)
