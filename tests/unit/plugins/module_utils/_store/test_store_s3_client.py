# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without boto3, or with one that can't write under a condition, is told for which Python to install it."""

from __future__ import annotations

import sys
import types
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._store.s3_client import S3Options, make_client

OPTIONS = S3Options(bucket="releases", prefix="", location="s3://releases")


def refused() -> BeamError:
    with pytest.raises(BeamError) as caught:
        make_client(OPTIONS)
    assert sys.executable in caught.value.message
    assert "boto3 1.36 or newer" in caught.value.message
    return caught.value


def test_no_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert refused().code == "boto3_missing"


@pytest.mark.parametrize("version", ["1.29.27", "1.35.99", "0.99.0"])
def test_old_boto3(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    parts: dict[str, dict[str, t.Any]] = {
        "botocore": {"__version__": version},
        "botocore.session": {},
        "botocore.config": {"Config": dict},
        "botocore.exceptions": {"BotoCoreError": OSError},
    }
    for name, content in parts.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    found = refused()
    assert found.code == "boto3_too_old"
    assert version in found.message
