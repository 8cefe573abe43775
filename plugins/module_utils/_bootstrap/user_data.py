# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The user data of a bare server: first_boot.py, and what this bundle is. At most 16 KB, and no secret in it."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import urlsplit

from .._errors import BeamError
from .._store.keys import bundle_key
from .bundle import Bundle, source_of
from .config import Config, Hooks, parse_config
from .identify import MARK
from .server_setup import config_path

MAX_BYTES = 16384  # EC2 takes no more, before base64
_HEADER = """\
#!/usr/bin/python3
# Made by the collection alchemist.beam; whoever runs it takes the one bundle whose sha256 is below, and nothing else.
"""


def config_in(bundle: Bundle) -> Config:
    path = config_path(bundle.kit)
    return next(parse_config((file.content or "").encode(), path) for file in bundle.kit.files if file.path == path)


def render(bundle: Bundle, identity: t.Mapping[str, t.Any] | None = None) -> str | None:
    """None where the servers' store is no bucket: there is nothing that a bare server could take it from.

    identity: what differs from the configuration in instances that get this user data, such as their channel.
    """
    config = config_in(bundle)
    if not config.store.startswith("s3://"):
        return None
    if identity:
        config.with_identified(identity, "identity")  # refused here, not at the boot
    settings = _settings(bundle, config)
    lines = [_HEADER]
    if identity:
        lines.append("%s %s\n" % (MARK.decode(), json.dumps(dict(identity), sort_keys=True)))
    lines += [_code(), "\n\nsys.exit(main(json.loads(%r)))\n" % json.dumps(settings, sort_keys=True)]
    text = "".join(lines)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise BeamError(
            "user_data_too_long",
            "the user data of %s can't be used" % bundle.kit.name,
            "it has %d bytes, and EC2 takes %d" % (size, MAX_BYTES),
            "Say less in identity; a baked image needs no such user data",
        )
    return text


def _code() -> str:
    """Without the header of the file, which is for people who have the collection, and indented by one space: its width would be a fifth of the whole."""
    lines = source_of("_bootstrap.first_boot").decode().splitlines(keepends=True)
    while lines[0].startswith("#") or not lines[0].strip():
        lines.pop(0)
    return "".join(" " * ((len(line) - len(line.lstrip(" "))) // 4) + line.lstrip(" ") for line in lines)


def _settings(bundle: Bundle, config: Config) -> dict[str, t.Any]:
    url = urlsplit(config.store)
    options = config.store_options
    hooks = config.lifecycle if isinstance(config.lifecycle, Hooks) else None
    key = bundle_key(bundle.kit.name, bundle.sha256)
    settings = {
        "name": bundle.kit.name,
        "sha256": bundle.sha256,
        "bucket": url.netloc,
        "key": "/".join(filter(None, (url.path.strip("/"), key))),
        "endpoint": options.get("endpoint_url"),
        "region": options.get("region") or config.aws.region,
        "aws_region": config.aws.region,
        "ca": options.get("aws_ca_bundle"),
        "insecure": options.get("validate_certs") is False,
        "metadata_url": config.aws.metadata_url,
        "autoscaling": config.aws.endpoint_url,
        "lifecycle": {"group": hooks.group, "launching": hooks.launching} if hooks else None,
        "silent": config.lifecycle == "none",
        "python": list(bundle.python),
        "deadline": config.deadline,
        "start": list(bundle.kit.enable),
    }
    return {name: value for name, value in settings.items() if value not in (None, False)}
