# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a server knows about itself before it asks anybody: /etc/beam-bootstrap/NAME.json, without secrets.

Everything is checked before anything is done: an unknown key or a wrong type is refused by its name.
"""

from __future__ import annotations

import copy
import re
import typing as t
from dataclasses import dataclass, replace

from .._errors import BeamError
from .._json import parse_json
from .._node.health import Health
from .._node.spec import HEALTH_SPEC, health_of
from .._release.names import check_channel, check_name
from .._store.spec import STORE_SPEC

SCHEMA = 1
DIRECTORY = "/etc/beam-bootstrap"
MAX_BYTES = 256 * 1024
SOURCES = ("file", "user_data", "tags")
# What may be told per instance, from user data.
IDENTIFIED = ("channel", "lifecycle", "brake", "deadline", "jitter")
_SECRET_OPTIONS = ("store", "access_key", "secret_key", "session_token")
_SOURCE = re.compile(r"(?:ssm:/?[A-Za-z0-9_.\-/]+|secretsmanager:[A-Za-z0-9/_+=.@:\-]+(?:#[^\s#]+)?|file:/.+)")
_NODE = re.compile(r"[A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

BRAKE_SPEC: dict[str, t.Any] = {
    "type": "dict",
    "default": {},
    "options": {
        "failures": {"type": "int", "default": 3, "least": 1},
        "within": {"type": "float", "default": 3600.0, "least": 1},
        "longest": {"type": "float", "default": 1800.0, "least": 0},
    },
}
CLUSTER_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "listen": {"type": "str", "default": "0.0.0.0"},
    "file": {"type": "path", "required": True},
}
HOOKS_SPEC: dict[str, t.Any] = {
    "group": {"type": "str", "required": True},
    "launching": {"type": "str"},
    "terminating": {"type": "str"},
}
# As Ansible's argument specs, which the health checks and the store have already; `least` is ours.
SPEC: dict[str, dict[str, t.Any]] = {
    "schema": {"type": "int", "required": True},
    "name": {"type": "str", "required": True},
    "base": {"type": "path", "required": True},
    "store": {"type": "str", "required": True},
    "store_options": {
        "type": "dict",
        "default": {},
        "options": {key: spec for key, spec in STORE_SPEC.items() if key not in _SECRET_OPTIONS},
    },
    "channel": {"type": "str", "default": "production"},
    "manager": {"type": "str", "choices": ["systemd", "daemon"], "default": "systemd"},
    "unit": {"type": "str"},
    "env_file": {"type": "path"},
    "health": {**HEALTH_SPEC, "default": None},
    "keep": {"type": "int", "default": 5, "least": 1},
    "min_free_mb": {"type": "int", "default": 100, "least": 0},
    "abi_ignore": {"type": "list", "elements": "str", "default": []},
    "stop_timeout": {"type": "float", "default": 30.0, "least": 0},
    "boot_timeout": {"type": "float", "default": 90.0, "least": 1},
    "deadline": {"type": "float", "default": 600.0, "least": 1},
    "jitter": {"type": "float", "default": 2.0, "least": 0},
    "rounds": {"type": "int", "default": 5, "least": 1},
    "offline": {"type": "str", "choices": ["refuse", "current"], "default": "refuse"},
    "brake": BRAKE_SPEC,
    "lifecycle": {"type": "raw", "default": "auto"},
    "heartbeat": {"type": "float", "default": 30.0, "least": 1},
    "drain": {"type": "float", "default": 30.0, "least": 0},
    "cluster": {"type": "dict", "default": None, "options": CLUSTER_SPEC},
    "cookie": {"type": "str"},
    "cookie_file": {"type": "path"},
    "secrets": {"type": "dict", "default": {}},
    "secrets_file": {"type": "path"},
    "owner": {"type": "str"},
    "aws": {
        "type": "dict",
        "default": {},
        "options": {
            "region": {"type": "str"},
            "endpoint_url": {"type": "str"},
            "metadata_url": {"type": "str", "default": "http://169.254.169.254"},
        },
    },
    "identify": {"type": "list", "elements": "str", "default": list(SOURCES)},
}


@dataclass(frozen=True)
class Brake:
    failures: int = 3
    within: float = 3600.0
    longest: float = 1800.0


@dataclass(frozen=True)
class Hooks:
    """Named by hand; the group's own are found where they are not."""

    group: str
    launching: str | None = None
    terminating: str | None = None


@dataclass(frozen=True)
class Cluster:
    """Of a node that others have to reach: its name is made of its server's address, at each boot."""

    name: str  # before the @
    listen: str  # what the distribution listens on, of which IPv4 or IPv6 is taken
    file: str  # the environment file that gets the name


@dataclass(frozen=True)
class Aws:
    region: str | None = None
    endpoint_url: str | None = None
    metadata_url: str = "http://169.254.169.254"


@dataclass(frozen=True)
class Config:
    name: str
    base: str
    store: str
    store_options: t.Mapping[str, t.Any]
    channel: str
    manager: str
    unit: str | None
    env_file: str | None
    health: t.Mapping[str, t.Any] | None  # as the option of the modules, "{version}" not yet replaced
    keep: int
    min_free_mb: int
    abi_ignore: t.Sequence[str]
    stop_timeout: float
    boot_timeout: float
    deadline: float
    jitter: float
    rounds: int
    offline: str
    brake: Brake
    lifecycle: str | Hooks  # none, auto, or what was named
    heartbeat: float
    drain: float
    cluster: Cluster | None
    cookie: str | None
    cookie_file: str | None
    secrets: t.Mapping[str, str]
    secrets_file: str | None
    owner: str | None
    aws: Aws
    identify: tuple[str, ...]

    def health_of(self, version: str) -> Health:
        return health_of(_with_version(self.health, version))

    def node(self) -> dict[str, t.Any]:
        """As the options of the modules that look at a node."""
        return {
            "name": self.name,
            "base": self.base,
            "manager": self.manager,
            "unit": self.unit,
            "env_file": self.env_file,
            "pointer": "current",
        }

    def with_identified(self, found: t.Mapping[str, t.Any], where: str) -> Config:
        """found: some of IDENTIFIED, as somebody wrote them for this instance."""
        unknown = sorted(set(found) - set(IDENTIFIED))
        if unknown:
            raise _refuse(where, unknown[0], "it is not one of %s" % ", ".join(IDENTIFIED))
        values = _fill({key: SPEC[key] for key in found}, found, where)
        return replace(self, **_typed(values, where))


def load_config(path: str) -> Config:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise BeamError(
            "config_missing",
            "%s can't be read" % path,
            exc.strerror or str(exc),
            "Run setup with the kit of this server first",
        ) from None
    return parse_config(data, path)


def parse_config(data: bytes, where: str) -> Config:
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_BYTES)
        document = parse_json(data)
    except ValueError as exc:
        raise BeamError("config_invalid", "%s can't be read" % where, str(exc), "Render it again") from None
    return config_of(document, where)


def config_of(document: t.Any, where: str) -> Config:
    """document: as in the file."""
    values = _fill(SPEC, document, where)
    if values.pop("schema") != SCHEMA:
        raise _refuse(where, "schema", "this collection reads %d" % SCHEMA)
    values = _typed(values, where)
    config = Config(**values)
    _check(config, where)
    return config


def _typed(values: dict[str, t.Any], where: str) -> dict[str, t.Any]:
    """What has a type of its own."""
    done = dict(values)
    if "brake" in done:
        done["brake"] = Brake(**done["brake"])
    if "aws" in done:
        done["aws"] = Aws(**done["aws"])
    if done.get("cluster"):
        done["cluster"] = Cluster(**done["cluster"])
    if "identify" in done:
        done["identify"] = tuple(done["identify"])
    if "lifecycle" in done:
        done["lifecycle"] = _lifecycle(done["lifecycle"], where)
    if "channel" in done:
        _named(where, "channel", check_channel, done["channel"])
    return done


def _lifecycle(value: t.Any, where: str) -> str | Hooks:
    if isinstance(value, dict):
        return Hooks(**_fill(HOOKS_SPEC, value, where, "lifecycle."))
    if value not in ("none", "auto"):
        raise _refuse(where, "lifecycle", "it must be none, auto, or the names of a group and its hooks")
    return str(value)


def _check(config: Config, where: str) -> None:
    _named(where, "name", check_name, config.name)
    for key in ("base", "env_file", "cookie_file", "secrets_file"):
        path = getattr(config, key)
        if path is not None and not path.startswith("/"):
            raise _refuse(where, key, "it must be an absolute path")
    if config.cluster is not None:
        if not _NODE.fullmatch(config.cluster.name):
            raise _refuse(where, "cluster.name", "%r is no name of a node without its host" % config.cluster.name)
        if not config.cluster.file.startswith("/"):
            raise _refuse(where, "cluster.file", "it must be an absolute path")
        if config.manager != "systemd":
            raise _refuse(
                where,
                "cluster",
                "with the manager %s the node reads its own file, in which RELEASE_NODE names it" % config.manager,
            )
    for key in config.identify:
        if key not in SOURCES:
            raise _refuse(where, "identify", "%r is not one of %s" % (key, ", ".join(SOURCES)))
    for key, source in config.secrets.items():
        if not _VARIABLE.fullmatch(key):
            raise _refuse(where, "secrets", "%r is not the name of an environment variable" % key)
        _source(where, "secrets.%s" % key, source)
    if config.secrets and config.secrets_file is None:
        raise _refuse(where, "secrets_file", "secrets are named, and no file to put them in")
    if config.manager == "daemon":
        # It reads one file, and the cookie is in it.
        env_file = config.env_file or "%s/shared/%s.env" % (config.base.rstrip("/"), config.name)
        if config.secrets and config.secrets_file != env_file:
            raise _refuse(
                where, "secrets_file", "with the manager daemon the node reads %s and no other file" % env_file
            )
        if config.cookie is not None:
            raise _refuse(where, "cookie", "with the manager daemon it is one of the secrets, RELEASE_COOKIE")
    if config.cookie is not None:
        _source(where, "cookie", config.cookie)
        if config.cookie_file is None:
            raise _refuse(where, "cookie_file", "a cookie is named, and no file to put it in")
    try:
        config.health_of("0")
    except BeamError as exc:
        raise _refuse(where, "health", exc.message) from exc


def _source(where: str, key: str, source: t.Any) -> None:
    # What is wrong may be a secret that was written where its source belongs.
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        raise _refuse(where, key, "it must be ssm:NAME, secretsmanager:ID, secretsmanager:ID#KEY or file:/PATH")


def _named(where: str, key: str, check: t.Callable[[str], str], value: str) -> None:
    try:
        check(value)
    except BeamError as exc:
        raise _refuse(where, key, exc.message) from None


def _with_version(value: t.Any, version: str) -> t.Any:
    if isinstance(value, str):
        return value.replace("{version}", version)
    if isinstance(value, t.Mapping):
        return {key: _with_version(item, version) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_version(item, version) for item in value]
    return value


def _refuse(where: str, key: str, why: str) -> BeamError:
    return BeamError(
        "config_invalid", "%s can't be used" % where, "%s: %s" % (key, why), "Correct it where it comes from", key=key
    )


def _fill(spec: t.Mapping[str, t.Mapping[str, t.Any]], given: t.Any, where: str, under: str = "") -> dict[str, t.Any]:
    """given, checked against an argument spec, with its defaults."""
    if not isinstance(given, dict):
        raise _refuse(where, under.rstrip(".") or "it", "it is no JSON object")
    names = {alias: key for key, one in spec.items() for alias in (key, *one.get("aliases", ()))}
    values: dict[str, t.Any] = {}
    for key, value in given.items():
        if key not in names:
            raise _refuse(where, under + str(key), "there is no such key")
        values[names[key]] = value
    done = {}
    for key, one in spec.items():
        value = values.get(key)
        if value is None:
            if one.get("required"):
                raise _refuse(where, under + key, "it is missing")
            value = copy.deepcopy(one.get("default"))
        done[key] = None if value is None else _value(one, value, where, under + key)
    return done


_TYPES: dict[str, t.Any] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def _value(spec: t.Mapping[str, t.Any], value: t.Any, where: str, key: str) -> t.Any:
    kind = spec.get("type", "str")
    if kind == "raw":
        return value
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise _refuse(where, key, "it must be of type %s" % kind)
    if "choices" in spec and value not in spec["choices"]:
        raise _refuse(where, key, "it must be one of %s" % ", ".join(spec["choices"]))
    if "least" in spec and not value >= spec["least"]:
        raise _refuse(where, key, "it must be at least %s" % spec["least"])
    if kind == "dict" and "options" in spec:
        return _fill(spec["options"], value, where, key + ".")
    if kind == "list":
        element = {"type": spec.get("elements", "str")}
        return [_value(element, item, where, "%s[%d]" % (key, number)) for number, item in enumerate(value)]
    return float(value) if kind == "float" else value
