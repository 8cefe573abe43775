# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build.project import Toolchain
from ansible_collections.alchemist.beam.plugins.module_utils._build.toolchain import check_elixir_path, identity, is_there, locate, otp_version
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(tmp_path: Path) -> Toolchain:
    elixir, otp = tmp_path / "elixir", tmp_path / "otp"
    program(elixir / "bin/elixir")
    program(otp / "bin/erl")
    program(otp / "erts-13.1.5/bin/beam.smp", "beam")
    for path in (elixir / "lib/elixir/ebin/elixir.app", otp / "lib/kernel-8.5/ebin/kernel.beam", otp / "lib/crypto-5.1/priv/lib/crypto.so"):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    (otp / "releases/25").mkdir(parents=True)
    (otp / "releases/25/OTP_VERSION").write_text("25.2.3\n")
    return Toolchain("1.14.0", "25", "13.1.5", str(elixir), str(otp))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("otp/erts-13.1.5/bin/beam.smp", "maeb"),
        ("otp/erts-13.1.5/bin/dialyzer", "another package's"),
        ("otp/lib/kernel-8.5/ebin/kernel.beam", "longer"),
        ("otp/lib/crypto-5.1/priv/lib/crypto.so", "longer"),
        ("otp/lib/ssl-10.8/ebin/ssl.beam", "x"),
        ("otp/releases/25/OTP_VERSION", "25.2.4"),
        ("elixir/lib/elixir/ebin/elixir.app", "longer"),
    ],
)
def test_what_a_release_copies_is_part_of_the_identity(installed: Toolchain, tmp_path: Path, name: str, text: str) -> None:
    before = identity(installed)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert identity(installed) != before


def test_identity_is_not_of_a_place_or_time(installed: Toolchain, tmp_path: Path) -> None:
    before = identity(installed)
    (tmp_path / "otp").rename(tmp_path / "moved")
    moved = Toolchain("1.14.0", "25", "13.1.5", installed.elixir_root, str(tmp_path / "moved"))
    os.utime(tmp_path / "moved/erts-13.1.5/bin/beam.smp", (1, 1))
    assert identity(moved) == before
    assert is_there(moved) and not is_there(installed)
    assert otp_version(moved) == "25.2.3" and otp_version(installed) == "25"


def test_located_without_running_it(installed: Toolchain) -> None:
    env = {"PATH": "%s/bin:%s/bin" % (installed.elixir_root, installed.otp_root)}
    elixir, key = locate(env)
    assert elixir == installed.elixir_root + "/bin/elixir" and key
    program(Path(elixir), "#!/bin/sh\n# upgraded\n")
    assert locate(env)[1] not in (None, key)


def test_a_shim_can_only_be_asked(installed: Toolchain, tmp_path: Path) -> None:
    shim = program(tmp_path / "shims/elixir")
    assert locate({"PATH": "%s:%s/bin" % (shim.parent, installed.otp_root)}) == (str(shim), None)


def test_missing(tmp_path: Path, installed: Toolchain) -> None:
    for env, name in (({"PATH": str(tmp_path)}, "elixir"), ({"PATH": installed.elixir_root + "/bin"}, "erl")):
        with pytest.raises(BeamError, match="%s is not installed" % name) as caught:
            locate(env)
        assert caught.value.code == "no_elixir" and "toolchain" in caught.value.hint


def test_elixir_path(installed: Toolchain, tmp_path: Path) -> None:
    root = installed.elixir_root
    assert check_elixir_path(None) is None
    assert check_elixir_path(root) == check_elixir_path(root + "/bin") == root + "/bin"
    with pytest.raises(BeamError):
        check_elixir_path(str(tmp_path))
