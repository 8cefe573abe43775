# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""Names of images, validated before anything uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._errors import BeamError

_REPOSITORY = re.compile(
    r"(?:(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    repository: str  # with its registry: registry.example.com/shop
    tag: str = ""
    digest: str = ""  # with sha256:

    def __str__(self) -> str:
        return self.repository + (":" + self.tag if self.tag else "") + ("@" + self.digest if self.digest else "")

    def at(self, digest: str) -> Reference:
        return Reference(self.repository, "", digest)

    def tagged(self, tag: str) -> Reference:
        return Reference(self.repository, tag)


def _refuse(option: str, text: str, why: str) -> BeamError:
    return BeamError(
        "image_reference",
        "%s: %r is no name of an image" % (option, text),
        why,
        "Write it as registry.example.com/shop, with :tag or @sha256:... where one is asked for",
    )


def parse_reference(option: str, text: str) -> Reference:
    """option: what the text was given as, for the message."""
    rest = text[len("docker://") :] if text.startswith("docker://") else text
    if "://" in rest or rest.count("@") > 1 or (rest.count("@") == 1 and "sha256:" not in rest):
        shown = rest.rpartition("@")[2]
        raise _refuse(option, shown, "it is a URL, or it holds a name or a password")
    rest, _at, digest = rest.partition("@")
    if _at and not _DIGEST.fullmatch(digest):
        raise _refuse(option, text, "its digest is not sha256: and 64 lower-case hexadecimal digits")
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    elif not _TAG.fullmatch(tag):
        raise _refuse(option, text, "%r is not a tag" % tag)
    if not _REPOSITORY.fullmatch(head) or len(head) > 255:
        raise _refuse(option, text, "%r is not a registry and a repository, which is in lower case" % head)
    return Reference(head, tag, digest)


def tag_of(version: str) -> str:
    """A version as a tag, which knows no + and no ~."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", version)[:128]


def check_tag(tag: str) -> str:
    if not _TAG.fullmatch(tag):
        raise BeamError(
            "image_tag",
            "tag: %r is not a tag" % tag,
            "it must start with a letter, digit or _, go on with letters, digits and . _ - (128 at most)",
            "Give another tag",
        )
    return tag
