# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What bootstrap_bundle does: from options to results."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t

from .._errors import BeamError
from .._store.base import Store
from .._store.check import prove_conditions
from .._store.keys import bundle_key
from .._store.location import open_store
from .bundle import MAX_BYTES, Bundle, install_bundle, make_bundle
from .first_boot import ROOT, Failed
from .user_data import render

Params = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


def run_bundle(params: Params, check_mode: bool) -> Result:
    return _install(params, check_mode) if params["state"] == "installed" else _pack(params, check_mode)


def _pack(params: Params, check_mode: bool) -> Result:
    bundle = make_bundle(params["kit"], params["aws"])
    user_data = render(bundle, params["identity"])
    name = bundle.kit.name
    result: Result = {
        "name": name,
        "sha256": bundle.sha256,
        "size": len(bundle.data),
        "python": "%d.%d" % bundle.python,
        "user_data": user_data,
        "user_data_bytes": len(user_data.encode()) if user_data else None,
        "key": bundle_key(name, bundle.sha256),
        "path": params["path"],
        "changed": False,
    }
    if params["store"]:
        store = open_store(params)
        result["changed"] = _publish(store, bundle, check_mode)
    if params["path"] and _differs(params["path"], bundle.data):
        result["changed"] = True
        if not check_mode:
            _write(params["path"], bundle.data)
    return result


def _publish(store: Store, bundle: Bundle, check_mode: bool) -> bool:
    key = bundle_key(bundle.kit.name, bundle.sha256)
    if store.stat(key) is not None:
        # What is there under its own hash is compared: a server that finds other bytes refuses them, and by then it is late.
        if store.get(key, MAX_BYTES).data != bundle.data:
            raise BeamError(
                "bundle_tampered",
                "the bundle %s in the store %s is not the one of this name" % (bundle.sha256[:12], store.location),
                "its bytes have another sha256",
                "Remove it, and find out who wrote it",
            )
        return False
    if not check_mode:
        prove_conditions(store)
        store.put_if_absent(key, bundle.data, len(bundle.data))
    return True


def _differs(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(data) + 1) != data
    except FileNotFoundError:
        return True
    except OSError as exc:
        raise _unwritable(path, exc) from None


def _write(path: str, data: bytes) -> None:
    fresh = "%s.%s.new" % (path, secrets.token_hex(8))
    try:
        with open(fresh, "xb") as stream:
            stream.write(data)
        os.replace(fresh, path)
    except OSError as exc:
        raise _unwritable(path, exc) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)


def _unwritable(path: str, exc: OSError) -> BeamError:
    return BeamError(
        "dest_unwritable",
        "%s can't be written" % path,
        exc.strerror or str(exc),
        "Name another path, or make room and give the rights",
    )


def _install(params: Params, check_mode: bool) -> Result:
    try:
        with open(params["path"], "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise BeamError(
            "bundle_missing",
            "%s can't be read" % params["path"],
            exc.strerror or str(exc),
            "Copy the bundle to this host first",
        ) from None
    try:
        done = install_bundle(data, params["root"] or ROOT, check_mode)
    except Failed as exc:
        raise BeamError("bundle_invalid", "the bundle can't be used", str(exc), "Make it again") from None
    return {"changed": done.changed, "changes": list(done.changes), "path": params["path"]}
