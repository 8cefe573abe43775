# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Talks to registries by skopeo: it knows their authentication, mirrors and certificates."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import typing as t
from dataclasses import dataclass

from .._errors import BeamError, NotFound
from .._json import parse_json
from .._mask import NOTHING_NAMED

MAX_DOCUMENT = 4 * 1024 * 1024
_LINES = 8
# What registries and skopeo say, in lower case -> code, why, what to do. The first that fits.
_SAID: tuple[tuple[str, str, str, str], ...] = (
    (
        r"x509:|certificate signed by unknown|tls: failed to verify|server gave http response to https client|first record does not look like a tls",
        "registry_tls",
        "its certificate is not trusted, or it speaks http only",
        "Give cert_dir with the authority's certificate, or validate_registry=false (of the role oci_validate_registry) on a network that you trust",
    ),
    (
        r"unauthorized|authentication required|\b401\b|invalid username/password|no basic auth",
        "registry_unauthorized",
        "it asks for credentials, or refuses those that were given",
        "Log in on this host (skopeo login --authfile FILE REGISTRY), and name that file as authfile (in an inventory beam_image_authfile)",
    ),
    (
        r"denied|forbidden|\b403\b|\b405\b|read.?only",
        "registry_denied",
        "these credentials may not do that, or the registry takes no writes",
        "Give the account the right to push to this repository, or use another one",
    ),
    (
        r"no space left|quota|insufficient.storage|\b507\b|toomanyrequests|too many requests|\b429\b",
        "registry_full",
        "it has no room left, or a limit is reached",
        "Make room in the registry (delete images, collect garbage), or raise the limit",
    ),
    (
        r"does not match|digest mismatch|digest_invalid|digest did not match|unexpected digest",
        "registry_lies",
        "it gave bytes that do not have the digest that they are named by",
        "Find out what answers under this name: a proxy, a mirror or a damaged registry",
    ),
    (
        r"immutable|tag_invalid|cannot be overwritten|already exists in the .* repository",
        "image_tag_immutable",
        "this registry never moves a tag, and this one names another image",
        "Give another tag",
    ),
    (
        r"connection refused|no such host|no route to host|i/o timeout|timeout|connection reset|network is unreachable|eof|\b50[0234]\b|server misbehaving",
        "registry_unreachable",
        "it does not answer",
        "Check the name of the registry, the network, and that it runs",
    ),
)
_UNKNOWN = re.compile(
    r"manifest unknown|name unknown|name_unknown|manifest_unknown|repository name not known|not found|\b404\b",
    re.IGNORECASE,
)
_NO_REPOSITORY = re.compile(r"name unknown|name_unknown|repository name not known", re.IGNORECASE)
_LACKING = re.compile(r"open [^ ]*/blobs/sha256/[0-9a-f]{64}: no such file", re.IGNORECASE)


def _has_policy() -> bool:
    """Whether this host says which signatures it wants. Without a file that says so, skopeo copies nothing at all."""
    own = os.path.join(os.path.expanduser("~"), ".config", "containers", "policy.json")
    return any(os.path.exists(path) for path in (own, "/etc/containers/policy.json"))


class Lacking(Exception):
    """The registry wants a blob that the layout does not have."""


@dataclass(frozen=True)
class Skopeo:
    program: str = "skopeo"
    authfile: str = ""
    verify: bool = True
    cert_dir: str = ""
    timeout: float = 600.0

    def _options(self, side: str = "") -> list[str]:
        """side: src- or dest- of a copy, "" for a command about one image."""
        found = ["--%stls-verify=%s" % (side, "true" if self.verify else "false")]
        if self.authfile:
            found.append("--%sauthfile=%s" % (side, self.authfile))
        if self.cert_dir:
            found.append("--%scert-dir=%s" % (side, self.cert_dir))
        return found

    def _run(self, words: t.Sequence[str], what: str) -> subprocess.CompletedProcess[bytes]:
        argv = [self.program, *([] if _has_policy() else ["--insecure-policy"]), *words]
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        try:
            # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
            process = subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as exc:
            raise BeamError(
                "skopeo_missing",
                "%s can't be run" % self.program,
                exc.strerror or str(exc),
                "Install the package skopeo on this host (the role oci does it), or say where it is with skopeo",
            ) from exc
        try:
            out, err = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise BeamError(
                "registry_timeout",
                what,
                "it took more than %d s" % self.timeout,
                "Check the network to the registry, or raise timeout",
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=10)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def _fail(self, what: str, done: subprocess.CompletedProcess[bytes]) -> t.NoReturn:
        said = done.stderr.decode("utf-8", "replace")
        raise explain(what, said)

    def raw(self, image: str) -> bytes | None:
        """The manifest (or the index) as the registry keeps it; None where it has none."""
        what = "the image %s can't be read" % image
        done = self._run(["inspect", *self._options(), "--raw", "docker://" + image], what)
        if done.returncode != 0:
            if _UNKNOWN.search(done.stderr.decode("utf-8", "replace")):
                return None
            self._fail(what, done)
        if len(done.stdout) > MAX_DOCUMENT:
            raise explain(what, "its manifest has more than %d bytes" % MAX_DOCUMENT)
        return done.stdout

    def need(self, image: str, digest: str = "") -> bytes:
        """The same, which must be there, with the sha256 that it is asked for by."""
        data = self.raw(image)
        if data is None:
            raise NotFound(
                "image_missing",
                "the image %s can't be read" % image,
                "the registry has no such image",
                "Check its name, and whether it was removed",
            )
        found = "sha256:" + hashlib.sha256(data).hexdigest()
        if digest and found != digest:
            raise explain("the image %s can't be used" % image, "digest did not match: it is %s" % found)
        return data

    def config(self, image: str, digest: str) -> bytes:
        """The configuration of an image of one architecture, with the digest that its manifest names."""
        what = "the configuration of the image %s can't be read" % image
        done = self._run(["inspect", *self._options(), "--config", "--raw", "docker://" + image], what)
        if done.returncode != 0:
            self._fail(what, done)
        if "sha256:" + hashlib.sha256(done.stdout).hexdigest() != digest:
            raise explain(what, "digest did not match")
        return done.stdout

    def tags(self, repository: str) -> list[str]:
        """None of a repository that does not exist yet."""
        what = "the tags of %s can't be read" % repository
        done = self._run(["list-tags", *self._options(), "docker://" + repository], what)
        if done.returncode != 0:
            if _UNKNOWN.search(done.stderr.decode("utf-8", "replace")):
                return []
            self._fail(what, done)
        try:
            doc = parse_json(done.stdout)
            return [tag for tag in doc.get("Tags") or [] if isinstance(tag, str)]
        except (ValueError, AttributeError):
            return []

    def copy(self, source: str, target: str, everything: bool = False) -> None:
        """Digests stay as they are. Lacking where the source is a layout that lacks a blob which the target wants."""
        what = "the image can't be copied to %s" % (target if target.startswith("docker://") else "this host")
        sides = [
            *(self._options("src-") if source.startswith("docker://") else []),
            *(self._options("dest-") if target.startswith("docker://") else []),
        ]
        words = [
            "copy",
            "--quiet",
            "--preserve-digests",
            "--remove-signatures",
            *(["--all"] if everything else []),
            *sides,
        ]
        done = self._run([*words, source, target], what)
        if done.returncode != 0:
            if _LACKING.search(done.stderr.decode("utf-8", "replace")):
                raise Lacking
            self._fail(what, done)


def explain(what: str, said: str) -> BeamError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    output = [NOTHING_NAMED.text(_message(line)) for line in lines[-_LINES:]]
    for pattern, code, why, hint in _SAID:
        if re.search(pattern, said, re.IGNORECASE):
            return BeamError(code, what, why, hint, output=output)
    return BeamError(
        "registry_failed",
        what,
        "skopeo failed",
        "Look at what it said, and run the same command by hand",
        output=output,
    )


def _message(line: str) -> str:
    """What skopeo logs, without time and level."""
    found = re.search(r'level=\w+ msg="(.*)"$', line)
    return found.group(1).replace('\\"', '"') if found else line
