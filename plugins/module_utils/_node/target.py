# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The release that should run: the one that <base>/current points at."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._release.names import check_name, check_pointer, check_version


@dataclass(frozen=True)
class Target:
    name: str
    root: str  # real path of the release directory
    version: str

    @property
    def launcher(self) -> str:
        return os.path.join(self.root, "bin", self.name)

    @property
    def env_script(self) -> str:
        return os.path.join(self.root, "releases", self.version, "env.sh")

    def own_cookie(self) -> str:
        """The cookie that came with the tree; stripped trees have none."""
        try:
            with open(os.path.join(self.root, "releases", "COOKIE"), encoding="utf-8") as handle:
                return handle.read(4096).strip()
        except OSError:
            return ""

    def sets_cookie(self) -> bool:
        """Whether the release's own env.sh decides about the cookie."""
        try:
            with open(self.env_script, encoding="utf-8", errors="replace") as handle:
                return any("RELEASE_COOKIE=" in line and not line.lstrip().startswith("#") for line in handle)
        except OSError:
            return False


def instance_of(name: str, pointer: str) -> str:
    """What distinguishes the files and the unit of a node from those of another one on the same server."""
    return name if pointer == "current" else "%s-%s" % (name, check_pointer(pointer))


def current_root(base: str, pointer: str = "current") -> t.Optional[str]:
    """Where <base>/current or another pointer points, whatever is there; None without a link."""
    link = os.path.join(base, pointer)
    return os.path.realpath(link) if os.path.islink(link) else None


def rehearse(base: str, name: str, expect_version: str) -> Target:
    """The release that would run, once it is installed and activated: for check mode, where neither has happened."""
    return Target(
        check_name(name),
        os.path.join(os.path.realpath(base), "releases", check_version(expect_version)),
        expect_version,
    )


def staged(base: str, name: str, version: str) -> Target:
    """A release on this server, whether or not `current` points at it."""
    target = rehearse(base, name, version)
    what = "Cannot use %s %s" % (name, version)
    if not os.path.isdir(target.root):
        raise BeamError(
            "release_not_staged",
            what,
            "there is no %s" % target.root,
            "Stage it first (playbook alchemist.beam.deploy or rollout; the module is release_install)",
        )
    found = _release(name, target.root, what)
    if found.version != version:
        raise BeamError(
            "release_broken", what, "%s is version %s" % (target.root, found.version), "Install the release again"
        )
    return found


def _release(name: str, root: str, what: str) -> Target:
    try:
        with open(os.path.join(root, "releases", "start_erl.data"), encoding="utf-8") as handle:
            version = check_version(handle.read(1024).split()[1])
    except (OSError, IndexError, ValueError):
        raise BeamError(
            "release_broken", what, "%s has no usable releases/start_erl.data" % root, "Install the release again"
        ) from None
    target = Target(name, root, version)
    if not os.access(target.launcher, os.X_OK):
        raise BeamError(
            "release_without_launcher",
            what,
            "%s is no executable file" % target.launcher,
            "Check the name of the release",
        )
    return target


def resolve(base: str, name: str, expect_version: t.Optional[str] = None, pointer: str = "current") -> Target:
    """The release to run, or the reason why there is none. Nothing has been stopped when this fails."""
    check_name(name)
    link = os.path.join(base, check_pointer(pointer))
    what = "Cannot tell which release of %s ought to run" % name
    if not os.path.islink(link):
        if not os.path.lexists(link):
            raise BeamError(
                "current_missing",
                what,
                "%s does not exist" % link,
                "Roll out a release first (playbook alchemist.beam.deploy or rollout; the module is release_install)",
            )
        raise BeamError(
            "current_not_a_link",
            what,
            "%s is no symbolic link" % link,
            "Move it away, and roll out a release (playbook alchemist.beam.deploy or rollout; the module is release_install)",
        )
    releases = os.path.join(os.path.realpath(base), "releases")
    root = os.path.realpath(link)
    if os.path.dirname(root) != releases:
        raise BeamError(
            "current_outside",
            what,
            "%s points to %s, which is no directory of %s" % (link, root, releases),
            "Roll out a release (playbook alchemist.beam.deploy or rollout; the module is release_install)",
        )
    if not os.path.isdir(root):
        raise BeamError(
            "current_dangling",
            what,
            "%s points to %s, which is not there" % (link, root),
            "Roll out a release (playbook alchemist.beam.deploy or rollout; the module is release_install)",
        )
    target = _release(name, root, what)
    version = target.version
    if expect_version is not None and expect_version != version:
        raise BeamError(
            "version_on_disk",
            "%s is version %s, not %s" % (link, version, expect_version),
            "what is on disk is not what is expected to run",
            "Roll out version %s first (playbook alchemist.beam.deploy or rollout; the module is release_install)"
            % expect_version,
        )
    return target
