# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What is different between two releases, told by their manifests. Pure.

The directory of an application has its version in it. A file that only moved along with that is the same file.
"""

from __future__ import annotations

import re
import typing as t

from .manifest import File, Manifest

MOST = 1000  # names of files of one kind
_APPLICATION = re.compile(r"lib/([a-z][A-Za-z0-9_]*)-([^/]+)/(.+)")
_ERTS = re.compile(r"erts-([^/]+)/(.+)")
_TOOLS = ("elixir", "otp", "mix_env", "lock_sha256")


def difference(old: Manifest, new: Manifest) -> dict[str, t.Any]:
    before, after = _files(old), _files(new)
    had, has = applications(old), applications(new)
    there = {layer.sha256 for layer in old.layers}
    changed = [path for path in after if path in before and _content(before[path]) != _content(after[path])]
    names = {
        "added": sorted(set(after) - set(before)),
        "removed": sorted(set(before) - set(after)),
        "changed": sorted(changed),
    }
    touched = {path.split("/")[1] for paths in names.values() for path in paths if path.startswith("lib/")}
    return {
        "applications": {
            "added": {app: has[app] for app in sorted(set(has) - set(had))},
            "removed": {app: had[app] for app in sorted(set(had) - set(has))},
            "moved": {app: [had[app], has[app]] for app in sorted(set(had) & set(has)) if had[app] != has[app]},
            "same_version": sorted(app for app in touched if had.get(app) == has.get(app) and app in has),
        },
        "erts": [_erts(old), _erts(new)],
        "files": {
            **{kind: paths[:MOST] for kind, paths in names.items()},
            "counts": {kind: len(paths) for kind, paths in names.items()},
        },
        "fetched": sum(
            layer.size for layer in {one.sha256: one for one in new.layers}.values() if layer.sha256 not in there
        ),
        "commits": [old.provenance.git_sha, new.provenance.git_sha],
        "built_with": {
            tool: [getattr(old.provenance, tool), getattr(new.provenance, tool)]
            for tool in _TOOLS
            if getattr(old.provenance, tool) != getattr(new.provenance, tool)
        },
    }


def applications(manifest: Manifest) -> dict[str, str]:
    """The OTP applications of a release, with their versions."""
    found = (_APPLICATION.match(path) for path in manifest.files())
    return {match.group(1): match.group(2) for match in found if match}


def _erts(manifest: Manifest) -> str:
    """Empty where the release has none of its own."""
    return next((match.group(1) for match in map(_ERTS.match, manifest.files()) if match), "")


def _files(manifest: Manifest) -> dict[str, File]:
    """By what they are called whatever the version of what they belong to."""
    return {_plain(path, manifest.version): file for path, file in manifest.files().items()}


def _plain(path: str, version: str) -> str:
    of_app, of_erts = _APPLICATION.match(path), _ERTS.match(path)
    if of_app:
        return "lib/%s/%s" % (of_app.group(1), of_app.group(3))
    if of_erts:
        return "erts/%s" % of_erts.group(2)
    own = "releases/%s/" % version
    return "releases/VERSION/" + path[len(own) :] if path.startswith(own) else path


def _content(file: File) -> tuple[str, int]:
    return file.sha256, file.mode
