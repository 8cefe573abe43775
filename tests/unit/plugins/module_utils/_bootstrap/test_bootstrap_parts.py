# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration, secrets, records of failed boots, the brake, and trying again."""

from __future__ import annotations

import datetime
import io
import json
import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap import boots, retry, secrets
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.config import (
    Brake,
    Hooks,
    config_of,
    load_config,
    parse_config,
)
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.launch_backoff import hold_back
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node import envfile
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore

LEAST = {"schema": 1, "name": "shop", "base": "/srv/shop", "store": "s3://bucket/prefix"}


# The configuration.


def test_the_least_configuration_has_the_defaults() -> None:
    config = config_of(LEAST, "it")
    assert (config.channel, config.lifecycle, config.deadline, config.offline) == (
        "production",
        "auto",
        600.0,
        "refuse",
    )
    assert config.brake == Brake(3, 3600.0, 1800.0) and config.identify == ("file", "user_data", "tags")
    assert config.node() == {
        "name": "shop",
        "base": "/srv/shop",
        "manager": "systemd",
        "unit": None,
        "env_file": None,
        "pointer": "current",
    }
    assert config.health is None


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"chanel": "x"}, "chanel"),
        ({"store_options": {"secret_key": "x"}}, "store_options.secret_key"),
        ({"store_options": {"access_key": "x"}}, "store_options.access_key"),
        ({"brake": {"failures": "3"}}, "brake.failures"),
        ({"brake": {"failures": 0}}, "brake.failures"),
        ({"keep": True}, "keep"),
        ({"schema": 2}, "schema"),
        ({"name": "Shop"}, "name"),
        ({"base": "srv"}, "base"),
        ({"channel": "../x"}, "channel"),
        ({"store": None}, "store"),
        ({"offline": "maybe"}, "offline"),
        ({"lifecycle": "perhaps"}, "lifecycle"),
        ({"lifecycle": {"launching": "hook"}}, "lifecycle.group"),
        ({"identify": ["file", "dns"]}, "identify"),
        ({"identify": [1]}, "identify[0]"),
        ({"cookie": "s3cr3t-cookie", "cookie_file": "/c"}, "cookie"),
        ({"cookie": "ssm:/shop/cookie"}, "cookie_file"),
        ({"secrets": {"A B": "ssm:/x"}, "secrets_file": "/s"}, "secrets"),
        ({"secrets": {"A": "the secret itself"}, "secrets_file": "/s"}, "secrets.A"),
        ({"secrets": {"A": "ssm:/x"}}, "secrets_file"),
        ({"manager": "daemon", "secrets": {"A": "ssm:/x"}, "secrets_file": "/etc/shop/secrets"}, "secrets_file"),
        ({"manager": "daemon", "cookie": "ssm:/x", "cookie_file": "/c"}, "cookie"),
        ({"health": {"http": {}}}, "health.http.url"),
        ({"health": {"passes": 0}}, "health"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(changes: dict[str, t.Any], key: str) -> None:
    with pytest.raises(BeamError) as caught:
        config_of({**LEAST, **changes}, "/etc/beam-bootstrap/shop.json")
    assert caught.value.code == "config_invalid" and caught.value.details["key"] == key
    assert "s3cr3t" not in caught.value.message and "the secret itself" not in caught.value.message


def test_all_of_the_environment_of_a_daemon_may_be_secret() -> None:
    changes = {
        "manager": "daemon",
        "secrets": {"RELEASE_COOKIE": "file:/c"},
        "secrets_file": "/srv/shop/shared/shop.env",
    }
    assert config_of({**LEAST, **changes}, "it").secrets == {"RELEASE_COOKIE": "file:/c"}


def test_a_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(BeamError, match="can't be read"):
        load_config(str(tmp_path / "missing.json"))
    for data in (b"{", b"[]", b"x" * 300000):
        with pytest.raises(BeamError):
            parse_config(data, "it")


def test_the_version_to_be_proven_is_put_into_the_health_checks() -> None:
    config = config_of(
        {**LEAST, "health": {"http": {"url": "http://x/{version}", "json": {"version": "{version}", "n": 1}}}}, "it"
    )
    http = config.health_of("1.2.3").http
    assert http is not None and (http.url, http.json) == ("http://x/1.2.3", {"version": "1.2.3", "n": 1})
    again = config.health_of("2").http
    assert again is not None and again.url == "http://x/2"


def test_what_an_instance_may_be_told() -> None:
    config = config_of(LEAST, "it").with_identified(
        {"channel": "canary", "brake": {"failures": 1}, "lifecycle": {"group": "g"}, "deadline": 9}, "user data"
    )
    assert (config.channel, config.brake.failures, config.lifecycle, config.deadline) == ("canary", 1, Hooks("g"), 9.0)
    with pytest.raises(BeamError, match="store"):
        config.with_identified({"store": "s3://evil"}, "user data")


# Secrets.


class FakeAws:
    def __init__(self, values: dict[str, str]) -> None:
        self.values, self.asked = values, []  # type: ignore[var-annotated]

    def __call__(self, _service: str) -> t.Any:
        return self

    def call(self, operation: str, what: str, **words: t.Any) -> t.Any:
        name = words.get("Name") or words["SecretId"]
        self.asked.append(name)
        if name not in self.values:
            raise BeamError("aws_refused", what, "no", aws="ParameterNotFound")
        value = self.values[name]
        return {"Parameter": {"Value": value}} if operation == "get_parameter" else {"SecretString": value}


def with_secrets(tmp_path: Path, **changes: t.Any) -> t.Any:
    return config_of(
        {
            **LEAST,
            "cookie": "ssm:/shop/cookie",
            "cookie_file": str(tmp_path / "cookie"),
            "secrets_file": str(tmp_path / "secrets"),
            "secrets": {
                "KEY": "secretsmanager:shop#key",
                "URL": "secretsmanager:shop#url",
                "PLAIN": "file:" + str(tmp_path / "plain"),
            },
            **changes,
        },
        "it",
    )


def test_secrets_are_written_once_and_read_by_the_node(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text('it\'s $HOME \\ "x"\n')
    (tmp_path / "plain").chmod(0o600)
    aws = FakeAws({"/shop/cookie": "COOKIE", "shop": json.dumps({"key": "k1", "url": "postgres://a b"})})
    config = with_secrets(tmp_path)
    assert secrets.refresh(config, secrets.Sources(config, None, aws)) == [
        str(tmp_path / "cookie"),
        str(tmp_path / "secrets"),
    ]
    assert sorted(aws.asked) == ["/shop/cookie", "shop"]  # one request for both keys
    assert envfile.load(str(tmp_path / "secrets")) == {
        "KEY": "k1",
        "URL": "postgres://a b",
        "PLAIN": 'it\'s $HOME \\ "x"',
    }
    assert (tmp_path / "cookie").read_text() == "COOKIE"
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("cookie", "secrets")]
    assert modes == [0o400, 0o600]
    before = {name: (tmp_path / name).stat().st_ino for name in ("cookie", "secrets")}
    assert secrets.refresh(config, secrets.Sources(config, None, aws)) == []
    assert before == {name: (tmp_path / name).stat().st_ino for name in ("cookie", "secrets")}
    # Rotation changes what changed, and nothing else.
    aws.values["shop"] = json.dumps({"key": "k2", "url": "postgres://a b"})
    assert secrets.refresh(config, secrets.Sources(config, None, aws)) == [str(tmp_path / "secrets")]
    assert sorted(os.listdir(tmp_path)) == ["cookie", "plain", "secrets"]


@pytest.mark.parametrize(
    "value", ["-----BEGIN KEY-----\nMIIEit's\n\n-----END KEY-----\n", "a\r\nb", "\n", "x\\\n'y\"$z`"]
)
def test_a_secret_of_several_lines_arrives_as_it_is(tmp_path: Path, value: str) -> None:
    (tmp_path / "plain").write_text("p")
    (tmp_path / "plain").chmod(0o600)
    config, aws = with_secrets(tmp_path), FakeAws({"/shop/cookie": "C", "shop": json.dumps({"key": value, "url": "u"})})
    sources = secrets.Sources(config, None, aws)
    secrets.refresh(config, sources)
    assert (
        envfile.load(str(tmp_path / "secrets"))["KEY"] == value
        and envfile.parse_of_unit((tmp_path / "secrets").read_bytes().decode())["KEY"] == value
    )
    # A log shows it line by line, and a brace that was masked would spoil every message.
    for known in (sources.read, secrets.known_secrets(config)):
        said = io.StringIO()
        report = Report("shop", said)
        report.hide(known)
        report.say("it began\n%s\nas { or a" % value)
        assert value in known and "MIIE" not in said.getvalue() and said.getvalue().endswith(" as { or a\n")


def test_a_file_that_others_may_read_is_put_right(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    (tmp_path / "s").chmod(0o644)
    assert secrets.put(str(tmp_path / "s"), "x", 0o600, None)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert not secrets.put(str(tmp_path / "s"), "x", 0o600, None)


def test_a_planted_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "s").symlink_to(tmp_path / "target")
    with pytest.raises(BeamError, match="can't be written"):
        secrets.put(str(tmp_path / "s"), "secret", 0o600, None)
    assert (tmp_path / "target").read_text() == "mine"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"/shop/cookie": "C"}, "secret_missing"),
        ({"/shop/cookie": "C", "shop": "no json: TOPSECRET"}, "secret_invalid"),
        ({"/shop/cookie": "C", "shop": json.dumps({"key": "TOPSECRET\0line", "url": "u"})}, "secret_invalid"),
        ({"/shop/cookie": "with space TOPSECRET", "shop": json.dumps({"key": "k", "url": "u"})}, "cookie_invalid"),
    ],
)
def test_nothing_is_written_when_one_of_them_is_bad(tmp_path: Path, values: dict[str, str], code: str) -> None:
    (tmp_path / "plain").write_text("p")
    (tmp_path / "plain").chmod(0o600)
    config = with_secrets(tmp_path)
    with pytest.raises(BeamError) as caught:
        secrets.refresh(config, secrets.Sources(config, None, FakeAws(values)))
    assert caught.value.code == code and "TOPSECRET" not in caught.value.message
    assert sorted(os.listdir(tmp_path)) == ["plain"]


def test_a_cookie_is_made_up_once(tmp_path: Path) -> None:
    config = config_of({**LEAST, "cookie_file": str(tmp_path / "cookie")}, "it")
    assert secrets.refresh(config, secrets.Sources(config, None)) == [str(tmp_path / "cookie")]
    cookie = (tmp_path / "cookie").read_text()
    assert len(cookie) == 64 and cookie.isalnum()
    assert secrets.refresh(config, secrets.Sources(config, None)) == [] and (tmp_path / "cookie").read_text() == cookie


def test_a_secret_in_a_file_for_everybody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("p")
    (tmp_path / "plain").chmod(0o644)
    with pytest.raises(BeamError, match="everybody"):
        secrets.Sources(config_of(LEAST, "it"), None).get("file:" + str(tmp_path / "plain"))


# Records and the brake.


def boot(number: int, digest: str, code: str = "unhealthy") -> boots.Boot:
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)  # a clock that is wrong
    error = BeamError(code, "it is sick", "503", "look", log=["line"] * 80)
    return boots.make_boot("demo", "production", "i-%03d" % number, error, "1.0.0", digest, 12.3456, now)


NOW = datetime.datetime.now(datetime.timezone.utc)
DIGEST = "a" * 64


def failed(store: DirectoryStore, digest: str = DIGEST) -> list[str]:
    return boots.failed_on(store, "demo", "production", digest, 7200, NOW)


def test_records_are_counted_by_the_clock_of_the_store(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    # A record's name has the time in it: each is made once.
    made, other = [boot(number, DIGEST) for number in range(4)], boot(9, "b" * 64)
    for one in made:
        assert boots.write_boot(store, one)
    assert not boots.write_boot(store, made[3])  # write-once
    boots.write_boot(store, other)
    boots.write_boot(store, boot(10, ""))
    assert failed(store) == ["i-000", "i-001", "i-002", "i-003"] and failed(store, "") == ["i-010"]
    # Old ones, by when the store got them.
    for one in made[:3]:
        path = tmp_path / one.key
        os.utime(path, (path.stat().st_mtime - 8000,) * 2)
    assert failed(store) == ["i-003"]
    found = boots.read_boot(store, other.key)
    assert (found.code, found.instance, len(found.log), found.seconds, found.ok) == (
        "unhealthy",
        "i-009",
        50,
        12.346,
        False,
    )


@pytest.mark.parametrize("code", ["instance_terminating", "host_stopping"])
def test_a_boot_that_was_cut_short_counts_for_nothing(tmp_path: Path, code: str) -> None:
    store = DirectoryStore(str(tmp_path))
    for number, why in enumerate(("unhealthy", code)):
        boots.write_boot(store, boot(number, DIGEST, why))
    assert failed(store) == ["i-000"]


def former(store: DirectoryStore, number: int, digest: str, code: str = "unhealthy") -> None:
    """As versions before this one wrote it."""
    one = boot(number, digest, code)
    key = "demo/boots/production/%s-%s.json" % (one.key.rpartition("/")[2][:16], one.instance)
    store.put_if_absent(key, one.to_bytes(), len(one.to_bytes()))


def test_records_of_former_versions_are_counted_too(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    for number, digest, code in (
        (1, DIGEST, "unhealthy"),
        (2, DIGEST, "host_stopping"),
        (3, "b" * 64, "unhealthy"),
        (4, DIGEST, "node_died"),
    ):
        former(store, number, digest, code)
    store.put_if_absent("demo/boots/production/20260101T000000Z-i-005.json", b"{", 1)
    boots.write_boot(store, boot(4, DIGEST))
    boots.write_boot(store, boot(6, DIGEST))
    assert failed(store) == ["i-001", "i-004", "i-006"]


def test_a_hostile_server_neither_hides_failures_nor_counts_twice(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    for number in range(5):
        boots.write_boot(store, boot(number, DIGEST))
    for number in range(
        100, 180
    ):  # what comes later, of another digest, of ends, in the form of former versions, in no form at all
        boots.write_boot(store, boot(number, "b" * 64))
        boots.write_boot(store, boot(number, DIGEST, "instance_terminating"))
        former(store, number, "c" * 64)
        day = boot(number, DIGEST).key.rpartition("/")[2][:9]
        store.put_if_absent("demo/boots/production/%s%06d_%s-.json" % (day, number, "a" * 12), b"x", 1)
        store.put_if_absent("demo/boots/production/%s%06dZ_%s-i-999.json" % (day, number, "a" * 12), b"x", 1)
    assert failed(store) == ["i-000", "i-001", "i-002", "i-003", "i-004", "i-999"]


def test_the_brake_grows_up_to_its_longest() -> None:
    brake = Brake(3, 3600, 200)
    assert [hold_back(failures, brake) for failures in (0, 1, 2, 3, 4, 5, 6, 10**6)] == [0, 0, 0, 30, 60, 120, 200, 200]


# Trying again.


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_store_that_is_away_for_60_seconds_is_waited_for() -> None:
    time, said = Time(), []

    def work() -> str:
        if time.now < 60:
            raise BeamError("store_unreachable", "no store")
        return "here"

    deadline = retry.Deadline(600, time.clock, time.sleep)
    assert deadline.keep_trying(work, said.append) == "here"
    assert 60 <= time.now < 60 + retry.LONGEST_PAUSE * 1.5 and len(said) == 2


@pytest.mark.parametrize(
    ("code", "least", "most"),
    [("store_unreachable", 560, 600), ("aws_denied", 25, 60), ("store_credentials", 25, 60), ("ghost", 0, 0)],
)
def test_for_ever_is_until_the_deadline(code: str, least: float, most: float) -> None:
    time, said = Time(), []

    def work() -> None:
        raise BeamError(code, "no")

    with pytest.raises(BeamError):
        retry.Deadline(600, time.clock, time.sleep).keep_trying(work, said.append)
    assert least <= time.now <= most and len(said) <= 1
