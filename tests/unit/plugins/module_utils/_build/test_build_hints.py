# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.hints import advisories, explain, shown

DEP = '\ncould not compile dependency :x, "mix compile" failed. You can recompile this dependency with "mix deps.compile x --force"'


@pytest.mark.parametrize(
    ("step", "said", "code", "hint"),
    [
        ("deps", "** (Mix) httpc request failed with: :nxdomain\n\nCould not install Hex because Mix could not download metadata at https://b/hex-1.x.csv.",
         "no_hex", "toolchain_hex: true"),
        ("deps", "Could not install Hex/Rebar because Mix could not download metadata at https://b/rebar3-1.x.csv", "no_rebar", "toolchain_rebar: true"),
        ("compile", "Could not install Rebar because Mix could not download metadata at https://b/rebar3-1.x.csv", "no_rebar", "MIX_REBAR3"),
        ("compile", "** (Mix) Could not find an SCM for dependency :jason from Demo.MixProject", "no_hex", "toolchain_archives"),
        ("compile", "** (Mix) You're trying to run :demo on Elixir v1.14.0 but it has declared in its mix.exs file it supports only Elixir ~> 1.15",
         "elixir_version", "toolchain_method: prebuilt"),
        ("compile", 'warning: the dependency :x requires Elixir "~> 1.15" but you are running on v1.14.0\n== error ==' + DEP, "elixir_version",
         "beam_elixir_path"),
        ("compile", 'warning: the dependency :x requires Elixir "~> 1.15" but you are running on v1.14.0\nlib/own.ex:1: error', "build_failed", "Correct what"),
        ("compile", "sh: 1: make: not found" + DEP, "no_program", "make is missing. Say toolchain_compiler: true"),
        ("compile", "make: cc: No such file or directory\nmake: *** [Makefile:3: x.so] Error 127" + DEP, "no_program", "build-essential"),
        ("compile", "make[1]: gcc: Command not found", "no_program", "gcc is missing"),
        ("compile", "/bin/sh: 1: cmake: not found", "no_program", "Put cmake into toolchain_extra_packages"),
        ("compile", '** (Mix) "make" not found in the path. If you have set the MAKE environment variable', "no_program", "toolchain_compiler"),
        ("compile", '** (ErlangError) Erlang error: :enoent\n    (elixir 1.14.0) lib/system.ex:1060: System.cmd("cargo", ["metadata"], [])', "no_program",
         "Put cargo"),
        ("before", "/usr/bin/env: 'node': No such file or directory", "no_program", "Put nodejs into"),
        ("compile", "c_src/x.c:1:10: fatal error: erl_nif.h: No such file or directory" + DEP, "no_header", "Put erlang-dev into toolchain_extra_packages"),
        ("compile", "x.c:2:10: fatal error: openssl/evp.h: No such file or directory", "no_header", "libssl-dev"),
        ("compile", "x.c:2:10: fatal error: 'weird.h' file not found", "no_header", "the package that has weird.h"),
        ("compile", "src/x.erl:3: can't find include lib \"xmerl/include/xmerl.hrl\"" + DEP, "no_otp_application", "erlang-xmerl"),
        ("compile", '** (ArgumentError) lib file xmerl/include/xmerl.hrl could not be found', "no_otp_application",
         "Put erlang-xmerl into toolchain_extra_packages"),
        ("compile", "xmerl.hrl not found", "no_otp_application", "erlang-xmerl"),
        ("compile", "could not read file /usr/lib/erlang/lib/public_key-1.13/include/public_key.hrl: no such file", "no_otp_application", "erlang-public-key"),
        ("compile", "** (UndefinedFunctionError) function :yecc.file/2 is undefined (module :yecc is not available)", "no_otp_application",
         "erlang-parsetools"),
        ("compile", "** (UndefinedFunctionError) function :xmerl_scan.string/1 is undefined (module :xmerl_scan is not available)", "no_otp_application",
         "erlang-xmerl"),
        ("compile", "** (UndefinedFunctionError) function :ssl_verify_hostname.x/1 is undefined (module :ssl_verify_hostname is not available)",
         "build_failed", "Correct"),
        ("release", "** (Mix) Could not find application :os_mon", "no_otp_application", "Put erlang-os-mon into toolchain_extra_packages"),
        ("release", "** (Mix) Could not find application :ssl_verify_fun", "build_failed", "Correct"),
        ("compile", "** (Mix) Could not start application x: could not find application file: eldap.app", "no_otp_application", "erlang-eldap"),
        ("compile", "** (CompileError) lib/x.ex:1: undefined" + DEP, "build_failed", "The dependency x does not compile with this toolchain"),
        ("deps", "git@example.org: Permission denied (publickey).", "deps_denied", "beam_deps_env"),
        ("deps", "fatal: unable to access 'https://e/': The requested URL returned error: 403", "deps_denied", "a key"),
        ("deps", "fatal: unable to access 'https://e/': server certificate verification failed. CAfile: none certificate verify failed", "deps_unreachable",
         "ca-certificates"),
        ("deps", "fatal: unable to access 'https://e/': Could not resolve host: e", "deps_unreachable", "beam_deps: offline"),
        ("deps", "** (Mix) No package with name nonesuch (from: mix.exs) in registry", "build_failed", "Correct what it names"),
        ("deps", "Registry checksum mismatch against lock (jason 1.4.1)", "build_failed", "Correct what it names"),
        ("compile", "warning: unable to access the timeout of the registry\n** (CompileError) x", "build_failed", "Correct"),
        ("compile", "a test says \"Connection refused\"", "build_failed", "Correct"),
    ],
)
def test_what_is_said(step: str, said: str, code: str, hint: str) -> None:
    told = explain(step, "before it\n%s\nafter it" % said)
    assert told.code == code and hint in told.hint
    assert ("registry can be reached" in told.hint) == ("Could not resolve host" in said)
    assert told.cause in said.splitlines() or not told.cause


def test_the_cause_is_last_and_the_rest_short() -> None:
    cause = "** (Mix) Could not install Rebar because Mix could not download metadata at https://b/rebar3-1.x.csv"
    output = "\n".join([cause, *("line %d %s" % (number, "x" * 300) for number in range(60))])
    lines = shown(output, explain("deps", output).cause)
    assert lines[-1] == cause and lines[-2].startswith("line 59") and sum(map(len, lines)) < 4600 and len(lines) < 42
    assert shown("one\n" + cause, cause) == ["one", cause]
    assert shown("y" * 100000)[0].endswith("[...]") and shown("") == []


def test_lines_of_an_advisory() -> None:
    said = """Resolving Hex dependencies...
Resolution completed in 0.08s
Unchanged:
  decimal 2.1.1
Upgraded:
  plug 1.14.0 => 1.15.3 RETIRED! VULNERABLE!
    (security) Header injection
    CVE-2026-1234 (HIGH): Header injection in Plug.Conn
      https://example.org/advisory
  jason 1.4.1
* Getting plug (Hex package)
Found packages with security advisories, see above for details
"""
    assert advisories(said) == [
        "plug 1.14.0 => 1.15.3 RETIRED! VULNERABLE!", "(security) Header injection", "CVE-2026-1234 (HIGH): Header injection in Plug.Conn",
        "https://example.org/advisory", "Found packages with security advisories, see above for details",
    ]
    assert advisories("* Getting plug (Hex package)\nadvisor is an application") == []
    assert advisories("\n".join("a%d was retired" % n for n in range(30)))[-1] == "and 22 more lines"
