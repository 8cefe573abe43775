# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What release_artifact and release_artifact_info do: from options to results."""

from __future__ import annotations

import datetime
import os
import re
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._release.abi import Abi
from .._release.abi_scan import scan_tree as scan_abi
from .._release.difference import difference
from .._release.manifest import Manifest, Provenance
from .._release.names import check_digest, check_name, check_version
from .._release.record import load_record
from .._release.tree import require_tree, scan_tree
from .base import Store
from .builds import inputs_of, note_build
from .channels import make_stamp
from .documents import Pin, Version, need_version, read_manifest, read_pin, resolve
from .export import export, exported_already, verify
from .keys import channel_key, layer_key, manifest_key, pin_key, version_key
from .location import open_store
from .parallel import parallel
from .publish import Published, apply_publish, plan_publish
from .retention import RemovalPlan, apply_remove, list_versions, plan_prune, plan_remove, roots

HOUR = 3600
BAD_PIN = ("pin_invalid", "store_object_too_large")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
Params = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


@dataclass(frozen=True)
class Source:
    """A tree and what is known of it."""

    path: str
    name: str
    version: str
    abi: Abi
    provenance: Provenance
    own_apps: tuple[str, ...]


def run_artifact(params: Params, check_mode: bool) -> Result:
    begun = time.monotonic()
    store = open_store(params)
    result = _STATES[params["state"]](store, params, check_mode)
    return {**result, "writes": store.writes, "seconds": round(time.monotonic() - begun, 3)}


def find_source(path: str, name: str | None, version: str | None) -> Source:
    """What the build record says of the tree at path; without one, what the tree says itself."""
    path = os.path.abspath(path)
    require_tree(path)
    record = load_record(path)
    if record is None:
        inside = _version_inside(path)
        if not name:
            raise BeamError(
                "name_missing",
                "the tree %s can't be published" % path,
                "it has no build record, and no name is given",
                "Give name",
            )
        source = Source(
            path, check_name(name), inside or check_version(version or ""), scan_abi(path), Provenance(), (name,)
        )
    else:
        source = Source(
            path, record.name, record.version, record.abi, record.provenance, record.own_apps or (record.name,)
        )
    for what, given, found in (("name", name, source.name), ("version", version, source.version)):
        if given and given != found:
            raise BeamError(
                "tree_is_other",
                "the tree %s can't be published as %s %s" % (path, what, given),
                "it is of %s %s" % (what, found),
                "Leave %s out, or give the path of the other tree" % what,
            )
    return source


def _version_inside(path: str) -> str:
    """The second word of releases/start_erl.data: what the release starts by itself."""
    try:
        with open(os.path.join(path, "releases", "start_erl.data"), encoding="ascii") as stream:
            return check_version(stream.read(1024).split()[1])
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, IndexError, BeamError) as exc:
        raise BeamError(
            "tree_not_a_release",
            "the tree %s can't be published" % path,
            "its releases/start_erl.data can't be read: %s" % exc,
            "Build it again",
        ) from exc


def _present(store: Store, params: Params, check_mode: bool) -> Result:
    if params.get("path"):
        result, version = _publish(store, params, check_mode)
    else:
        version = need_version(store, _need(params, "name"), _need(params, "version"))
        result = _release_result(read_manifest(store, version.name, version.digest), version)
        result["changed"] = False
    if params.get("pinned") is not None:
        changed = _pin(store, version, params["pinned"], check_mode)
        result["changed"] = result["changed"] or changed
        result["pinned"] = params["pinned"]
    return result


def _publish(store: Store, params: Params, check_mode: bool) -> tuple[Result, Version]:
    source = find_source(params["path"], params.get("name"), params.get("version"))
    _require_commit(source, params.get("commit"))
    inputs = inputs_of(params["inputs"], params.get("exclude") or ()) if params.get("inputs") else ""
    plan = plan_publish(
        store,
        source.name,
        source.version,
        lambda: scan_tree(source.path, params.get("exclude") or ()),
        source.abi,
        source.provenance,
        source.own_apps,
        bool(params.get("verify")),
    )
    where = "%s/%s" % (store.location, version_key(plan.name, plan.version))
    diff = {"before_header": where, "after_header": where, "before": "", "after": plan.describe()}
    if not plan.changed:
        diff["before"] = diff["after"] = ""
    if check_mode and plan.changed and plan.published is not None and plan.manifest is not None:
        version = plan.published
        result: Result = {**_release_result(plan.manifest, version), "changed": True}
        result["layers"].update(sent=len(plan.damaged), repaired=len(plan.damaged))
    elif check_mode and plan.changed:
        # The digest and the packed size are not known before the layers are packed.
        version = Version(plan.name, plan.version, "")
        result = {
            "changed": True,
            "name": plan.name,
            "version": plan.version,
            "digest": None,
            "files": len(plan.tree.files),
            "layers": {"total": len(plan.groups), "sent": len(plan.missing)},
            "bytes": {"release": None, "sent": None, "unpacked": plan.tree.size},
        }
    else:
        done: Published = apply_publish(store, plan)
        version = done.version
        result = _release_result(done.manifest, version)
        result["changed"] = done.changed
        result["layers"].update(sent=done.layers_sent, repaired=done.repaired)
        result["bytes"]["sent"] = done.bytes_sent
        # Last of all, and of what was published before, too. It moves no release, so it is no change.
        warning = _note(store, source, version, inputs) if inputs else ""
        warnings = [*done.notes, *([warning] if warning else [])]
        if warnings:
            result["warnings"] = warnings
    return {**result, "left_out": list(plan.tree.left_out), "diff": diff}, version


def _note(store: Store, source: Source, version: Version, inputs: str) -> str:
    if source.provenance.git_dirty:
        return (
            "%s %s was built from changes that were not committed, so no later run can know that it is published already."
            % (source.name, source.version)
        )
    return note_build(store, version, inputs)


def _require_commit(source: Source, commit: str | None) -> None:
    if not commit:
        return
    if not _COMMIT.fullmatch(commit):
        raise BeamError(
            "invalid_commit",
            "commit: %r can't be used" % commit,
            "it must be 7 to 64 hexadecimal digits",
            "Give what git rev-parse says, or leave it out",
        )
    found = source.provenance.git_sha
    if not found.startswith(commit.lower()):
        raise BeamError(
            "other_commit",
            "the tree %s can't be published as the commit %s" % (source.path, commit[:12].lower()),
            "it was built from the commit %s" % found[:12]
            if found
            else "it has no build record that says from which commit it was built",
            "Build that commit, and publish its tree; another run may have built in the same directory meanwhile",
            commit=found,
        )


def _release_result(manifest: Manifest, version: Version) -> Result:
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "files": sum(len(layer.files) for layer in manifest.layers),
        "layers": {"total": len(manifest.layers), "sent": 0},
        "bytes": {"release": manifest.packed_size, "sent": 0, "unpacked": manifest.unpacked_size},
    }


def _pin(store: Store, version: Version, pinned: bool, check_mode: bool) -> bool:
    key = pin_key(version.name, version.version)
    try:
        there = read_pin(store, version.name, version.version) is not None
    except BeamError as exc:  # unpinning is the way out
        if pinned or exc.code not in BAD_PIN:
            raise
        there = True
    if there == pinned:
        return False
    if check_mode:
        return True
    if not pinned:
        return store.delete(key)
    stamp = make_stamp()
    data = Pin(version.version, version.digest, stamp.by, stamp.at).to_bytes()
    return store.put_if_absent(key, data, len(data))


def _need(params: Params, option: str) -> str:
    value = params.get(option)
    if not value:
        raise BeamError(
            "option_missing",
            "%s is missing" % option,
            "state=%s without path needs it" % params["state"],
            "Give %s" % option,
        )
    return check_name(value) if option == "name" else check_version(value)


def _absent(store: Store, params: Params, check_mode: bool) -> Result:
    plan = plan_remove(store, _need(params, "name"), _need(params, "version"), params["min_layer_age"] * HOUR)
    return {**_removal(store, plan, check_mode), "version": params["version"]}


def _pruned(store: Store, params: Params, check_mode: bool) -> Result:
    if params["keep"] < 1:
        raise BeamError(
            "keep_too_small",
            "nothing is pruned",
            "keep is %d" % params["keep"],
            "Keep one version at least; remove single ones with alchemist.beam.release_artifact, state: absent",
        )
    plan = plan_prune(store, _need(params, "name"), params["keep"], params["keep_days"], params["min_layer_age"] * HOUR)
    return _removal(store, plan, check_mode)


def _removal(store: Store, plan: RemovalPlan, check_mode: bool) -> Result:
    if not check_mode:
        apply_remove(store, plan)
    where = "%s/%s" % (store.location, plan.name)
    before = "".join("present: %s %s\n" % (plan.name, v.version) for v in plan.remove)
    return {
        "changed": plan.changed,
        "name": plan.name,
        "removed": [v.version for v in plan.remove],
        "kept": dict(plan.kept),
        "layers": {"collected": len(plan.layers)},
        "bytes": {"collected": plan.bytes},
        **({"warnings": list(plan.notes)} if plan.notes else {}),
        "diff": {
            "before_header": where,
            "after_header": where,
            "before": before,
            "after": plan.describe() if plan.changed else before,
        },
    }


def _exported(store: Store, params: Params, check_mode: bool) -> Result:
    version = need_version(store, _need(params, "name"), _need(params, "version"))
    manifest = read_manifest(store, version.name, version.digest)
    dest = params.get("dest") or ""
    if not dest:
        raise BeamError("option_missing", "dest is missing", "state=exported needs it", "Give dest")
    if os.path.isdir(dest):
        dest = os.path.join(dest, "%s-%s.tar.gz" % (version.name, version.version))
    changed = not exported_already(dest, manifest)
    if changed and not check_mode:
        export(store, manifest, dest)
    size = os.path.getsize(dest) if os.path.exists(dest) else None
    after = "%s %s\n" % (version.name, version.version)
    return {
        **_release_result(manifest, version),
        "changed": changed,
        "dest": dest,
        "size": size,
        "diff": {"before_header": dest, "after_header": dest, "before": "" if changed else after, "after": after},
    }


def _verified(store: Store, params: Params, _check_mode: bool) -> Result:
    name = _need(params, "name")
    wanted = [params["version"]] if params.get("version") else [row.version for row in list_versions(store, name)]
    versions = parallel(lambda version: need_version(store, name, check_version(version)), wanted)
    if not versions:
        raise NotFound(
            "release_missing",
            "%s is not in the store %s" % (name, store.location),
            "no version of it is published there",
            "Publish one",
        )
    found = verify(store, name, [v.digest for v in versions])
    return {
        "changed": False,
        "name": name,
        "verified": [v.version for v in versions],
        "files": found.files,
        "layers": {"total": found.layers},
        "bytes": {"release": found.bytes},
    }


_STATES: dict[str, t.Callable[[Store, Params, bool], Result]] = {
    "present": _present,
    "absent": _absent,
    "exported": _exported,
    "verified": _verified,
    "pruned": _pruned,
}


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def run_artifact_info(params: Params) -> Result:
    store = open_store(params)
    name = check_name(params["name"])
    one = any(params.get(key) for key in ("version", "digest", "channel"))
    published = {row.version: row.published for row in list_versions(store, name)}
    if one:
        if params.get("digest"):
            check_digest(params["digest"])
        try:
            versions = [resolve(store, name, params.get("channel"), params.get("version"), params.get("digest"))]
        except NotFound:
            if params.get("presign"):
                raise
            versions = []
    else:
        versions = parallel(lambda version: need_version(store, name, version), published)
    protected = roots(store, name)
    releases = parallel(lambda v: _describe(store, v, published.get(v.version), protected.get(v.version)), versions)
    result: Result = {"changed": False, "releases": releases}
    if one and versions:
        manifest = read_manifest(store, name, versions[0].digest)
        result["objects"] = _keys(manifest, versions[0])
        if params.get("compare_to"):
            older = need_version(store, name, check_version(params["compare_to"]))
            result["difference"] = difference(read_manifest(store, name, older.digest), manifest)
    if params.get("presign"):
        if not one:
            raise BeamError(
                "option_missing",
                "nothing can be presigned",
                "it has to be one release",
                "Give version, digest or channel",
            )
        result["presigned"] = presign(
            store, versions[0], params["presign"], params.get("channel"), params.get("layers")
        )
    return result


def _describe(store: Store, version: Version, published: float | None, protected: str | None) -> Result:
    manifest = read_manifest(store, version.name, version.digest)
    result = _release_result(manifest, version)
    del result["layers"], result["bytes"]
    return {
        **result,
        "published": None if published is None else _iso(published),
        "layers": len(manifest.layers),
        "size": manifest.packed_size,
        "unpacked_size": manifest.unpacked_size,
        "pinned": protected == "it is pinned" or _pinned(store, version),
        "protected": protected or "",
        "abi": manifest.abi.to_dict(),
        "provenance": dict(vars(manifest.provenance)),
    }


def _pinned(store: Store, version: Version) -> bool:
    try:
        return read_pin(store, version.name, version.version) is not None
    except BeamError as exc:
        if exc.code not in BAD_PIN:
            raise
        return True  # one that can't be read protects, too


def _keys(manifest: Manifest, version: Version) -> list[str]:
    """All parts of a release, in the order in which they are written. If they are copied in this order, nobody sees an incomplete release."""
    layers = [layer_key(version.name, sha256) for sha256 in sorted({layer.sha256 for layer in manifest.layers})]
    return [*layers, manifest_key(version.name, version.digest), version_key(version.name, version.version)]


def presign(
    store: Store, version: Version, seconds: int, channel: str | None, layers: t.Collection[str] | None = None
) -> dict[str, str]:
    """key -> URL, for everything that a host reads to install the release; of its layers only those that are named, if any are."""
    name = version.name
    manifest = read_manifest(store, name, version.digest)
    keys = [manifest_key(name, version.digest), version_key(name, version.version)]
    own = {layer.sha256 for layer in manifest.layers}
    strange = sorted(set(layers or ()) - own)
    if strange:
        raise BeamError(
            "layer_unknown",
            "the layer %s can't be presigned" % check_digest(strange[0])[:12],
            "%s %s has no such layer" % (name, version.version),
            "Give what alchemist.beam.release_install returned under lacks for this release",
            layers=strange,
        )
    keys += [layer_key(name, sha256) for sha256 in sorted(own if layers is None else set(layers))]
    if channel:
        keys.append(channel_key(name, channel))
    return {key: store.presign(key, seconds) for key in keys}
