# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""Who this server is: from its configuration, its instance's user data and its tags, in this order."""

from __future__ import annotations

import re
import socket
import zlib
from dataclasses import dataclass

from .._errors import BeamError
from .._json import parse_json
from .config import Config
from .metadata import Metadata

CHANNEL_TAG = "beam:channel"
MARK = b"#alchemist.beam:"
MAX_USER_DATA = 1024 * 1024


@dataclass(frozen=True)
class Identity:
    instance: str  # its id, or the host's name outside of a cloud
    region: str | None = None


def needs_metadata(config: Config) -> bool:
    return config.lifecycle != "none" or "user_data" in config.identify or "tags" in config.identify


def who(config: Config, metadata: Metadata) -> Identity:
    if not needs_metadata(config):
        return Identity(host_name(), config.aws.region)
    return Identity(metadata.instance(), config.aws.region or metadata.region() or None)


def for_this_instance(config: Config, metadata: Metadata) -> Config:
    """The configuration as it holds here. A source that can't be asked is an error: it might have said otherwise."""
    for source in config.identify:
        if source == "user_data":
            config = from_user_data(config, metadata.get("user-data") or b"")
        elif source == "tags":
            channel = metadata.text("meta-data/tags/instance/" + CHANNEL_TAG)
            if channel:
                config = config.with_identified({"channel": channel}, "the tag %s of this instance" % CHANNEL_TAG)
    return config


def from_user_data(config: Config, data: bytes) -> Config:
    """The last line that begins with the mark counts: of several parts, the later ones are the more particular."""
    for line in _plain(data).splitlines():
        line = line.strip()
        if line.startswith(MARK):
            where = "the line '%s' of the user data" % MARK.decode("ascii")
            try:
                found = parse_json(line[len(MARK) :])
            except ValueError as exc:
                raise BeamError(
                    "identity_invalid", "%s can't be read" % where, str(exc), "Write a JSON object after it"
                ) from None
            if not isinstance(found, dict):
                raise BeamError(
                    "identity_invalid",
                    "%s can't be read" % where,
                    "it is no JSON object",
                    "Write a JSON object after it",
                )
            config = config.with_identified(found, where)
    return config


def _plain(data: bytes) -> bytes:
    """cloud-init takes user data that is packed with gzip, too."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MAX_USER_DATA)
    except zlib.error:
        return data


def host_name() -> str:
    name = re.sub(r"[^0-9A-Za-z._-]+|\.\.+", "-", socket.gethostname())[:128]
    return name if re.match(r"[0-9A-Za-z]", name) else "host"
