# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one mask: what is secret, in which forms it is found, and what must stay readable."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
import typing as t
from urllib.parse import quote, quote_plus

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError, Conflict
from ansible_collections.alchemist.beam.plugins.module_utils._mask import HIDDEN, NOTHING_NAMED, Mask
from ansible_collections.alchemist.beam.plugins.module_utils._mask_forms import says_secret
from ansible_collections.alchemist.beam.plugins.module_utils._mask_shapes import bare, credentials_of
from ansible_collections.alchemist.beam.plugins.module_utils._release.manifest import Layer
from ansible_collections.alchemist.beam.plugins.module_utils._release.unpack import ArchiveRefused

KEY = "q8Hx+zz/0193jd'k\"s#{la}&JK\\DLé<SJkdls93Kd0"
DATABASE = "ecto://shop:Zk9x%40y4@db.example.com:5432/shop_prod?ssl=true"
PEM = "-----BEGIN CERTIFICATE-----\nMIIEabcdef0123\nab=\n-----END CERTIFICATE-----"
MASK = Mask(
    {
        "SECRET_KEY_BASE": KEY,
        "DATABASE_URL": DATABASE,
        "MIX_ENV": "prod",
        "PORT": "4000",
        "API_TOKEN": "swordf",
        "PEM": PEM,
    }
)


def numbers(value: str, comma: str = ",") -> str:
    return comma.join(map(str, value.encode()))


def base64_within(value: str, before: int) -> str:
    return base64.b64encode(b"x" * before + value.encode() + b" and more").decode()


@pytest.mark.parametrize(
    ("values", "hidden"),
    [
        ({"SECRET_KEY_BASE": "abcdefgh", "PORT": "4000", "HOST": "127.0.0.1"}, ["abcdefgh"]),
        ({"DB_PASS": "abcd", "PIN_TOKEN": "123", "FLAG": "true"}, ["abcd"]),
        ({"RELEASE_NODE": "shop@127.0.0.1", "RELEASE_COOKIE": "monster"}, ["monster"]),
        ({"RELEASE_COOKIE": "unused", "DIR": "/var/lib/shop", "WHAT": "looks like text"}, ["looks like text"]),
        ({"A_KEY": "12345678", "B_KEY": "1234567890"}, ["1234567890", "12345678"]),
        ({"X": "-----BEGIN-----\nMIIEabcd\nab=\n"}, ["-----BEGIN-----\nMIIEabcd\nab=\n", "MIIEabcd"]),
        # The parts of an URL.
        ({"DATABASE_URL": DATABASE}, [DATABASE, "Zk9x%40y4", "Zk9x@y4"]),
        ({"WHATEVER": "redis://:hunter@cache/0"}, ["redis://:hunter@cache/0", "hunter"]),
        ({"REPO": "https://ghtoken1@github.com/a/b"}, ["https://ghtoken1@github.com/a/b", "ghtoken1"]),
        (
            {"DATABASE_URL": "postgres://postgres:postgres@localhost/postgres"},
            ["postgres://postgres:postgres@localhost/postgres"],
        ),
        ({"DATABASE_URL": "ecto://u:pa/ss1@db/x"}, ["ecto://u:pa/ss1@db/x", "pa/ss1"]),
        ({"SENTRY_DSN": "host=db password=hunter22 user=x"}, ["host=db password=hunter22 user=x", "hunter22"]),
        ({"BASIC_AUTH": "admin:hunter22"}, ["admin:hunter22", "hunter22"]),
        (
            {"GOOGLE_CREDENTIALS": '{"type": "account", "key": "abcdefgh1"}'},
            ['{"type": "account", "key": "abcdefgh1"}', "abcdefgh1", "account"],
        ),
        ({"SOME_KEYS": "first-key-1,second-key-2"}, ["first-key-1,second-key-2", "second-key-2", "first-key-1"]),
    ],
)
def test_what_is_secret(values: dict[str, str], hidden: list[str]) -> None:
    assert Mask(values).values == hidden


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIX_ENV", "production"),
        ("APP_ENV", "staging"),
        ("SESSION_COOKIE_SECURE", "true"),
        ("PASSWORD", "4000"),
        ("TOKEN_TTL", "86400000"),
        ("PHX_HOST", "shop.example.com"),
        ("PUBLIC_URL", "https://shop.example.com/start"),
        ("AWS_REGION", "eu-central-1"),
        ("SSL_KEY_PATH", "/etc/ssl/a.pem"),
        ("SSL_KEY", "/etc/ssl/a.pem"),
        ("REPO_MODULE", "Shop.Repo"),
        ("VERSION", "1.20.300-rc.1"),
        ("TZ", "Europe/Berlin"),
        ("LANG", "C.UTF-8"),
        ("HOSTS", "a.example.com,b.example.com"),
        ("NODE", "shop@10.0.0.1"),
        ("BIND", "0.0.0.0:4000"),
        ("LOG_LEVEL", "debug"),
        ("ERL_ZFLAGS", "-start_epmd false -x y"),
        ("ERLANG_COOKIE", "unused"),
    ],
)
def test_what_stays_readable(name: str, value: str) -> None:
    text = "%s of http://127.0.0.1:4000/health in /srv/shop is %s now" % (value, value)
    assert Mask({name: value}).text(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("SECRET_KEY_BASE", True),
        ("PGPASSWORD", True),
        ("dbPassword", True),
        ("SMTP_PASS", True),
        ("STRIPE_KEY", True),
        ("SLACK_WEBHOOK_URL", True),
        ("HTTP_BASIC_AUTH", True),
        ("DATABASE_URL", True),
        ("PASSENGER_COUNT", False),
        ("AUTHOR", False),
        ("PUBLIC_KEY", False),
        ("TOKEN_TTL", False),
        ("PHX_HOST", False),
        ("PWD", False),
        ("KEY_ID", False),
    ],
)
def test_names_that_say_it(name: str, secret: bool) -> None:
    assert says_secret(name) is secret


@pytest.mark.parametrize("value", [KEY, "hunter22", "swordf", "Zk9x@y4", "pässwörd-1", "a'b$c`d\"e\\f"])
@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda v: quote(v, safe=""),
        lambda v: quote(v, safe="").lower() if v.isdigit() else quote(v, safe=""),
        quote_plus,
        quote,
        json.dumps,
        lambda v: json.dumps(json.dumps({"a": v})),
        lambda v: json.dumps(v, ensure_ascii=False),
        repr,
        lambda v: "%r" % [v],
        html.escape,
        shlex.quote,
        lambda v: "ab" + v.encode().hex() + "cd",
        lambda v: v.encode().hex().upper(),
        lambda v: base64_within(v, 0),
        lambda v: base64_within(v, 1),
        lambda v: base64_within(v, 2),
        lambda v: base64.urlsafe_b64encode(b"user:" + v.encode()).decode().rstrip("="),
        lambda v: "<<%s>>" % numbers(v),
        lambda v: "[%s]" % numbers(v, ", "),
        lambda v: "[%s]" % numbers(v, ",\n   "),
        lambda v: "{badarg,[{a,b,[<<%s,...>>" % numbers(v[:-1] if len(v) > 8 else v),
        lambda v: '** (Postgrex.Error) [password: "%s", user: "x"]' % v.replace("\\", "\\\\").replace('"', '\\"'),
    ],
)
def test_forms(value: str, write: t.Callable[[str], str]) -> None:
    text = "before %s after" % write(value)
    shown = Mask({"A_SECRET": value}).text(text)
    assert HIDDEN in shown and shown.startswith("before ") and shown.endswith(" after")
    for part in (value, write(value).strip("\"'[]<>"), value.encode().hex(), numbers(value)):
        assert part not in shown


def test_a_short_one_counts_only_where_it_stands_alone() -> None:
    shown = MASK.text("swordf swordfish x-swordf, (swordf) 'swordf' \\nswordf of passwordf u:swordf@")
    assert shown == "******** swordfish x-********, (********) '********' \\n******** of passwordf u:********@"


def test_parts_of_an_url() -> None:
    text = (
        'FATAL password authentication failed: "Zk9x@y4" or Zk9x%40y4 at db.example.com:5432/shop_prod, url: '
        + DATABASE
    )
    assert (
        MASK.text(text)
        == 'FATAL password authentication failed: "********" or ******** at db.example.com:5432/shop_prod, url: ********'
    )


def test_lines_of_a_value() -> None:
    assert MASK.lines(["a", *PEM.split("\n"), "z"]) == ["a", HIDDEN, "z"]
    assert MASK.text("it reads MIIEabcdef0123.") == "it reads ********."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("says q8Hx+zz/0193jd", "says ********"),
        ("says q8Hx+zz/0193jd…", "says ********…"),
        ('says "q8Hx+zz/0193jd..." and', 'says "********..." and'),
        ("says q8Hx+zz/0193jd\nand more", "says ********\nand more"),
        ("says q8Hx+zz/0193jd and more", "says q8Hx+zz/0193jd and more"),
        ("é<SJkdls93Kd0 was the end", "******** was the end"),
        ("the word q8Hx is none", "the word q8Hx is none"),
        ("an ecto…", "an ecto…"),
    ],
)
def test_cut_texts(text: str, shown: str) -> None:
    assert MASK.text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://k:p@bucket/x https://u:p@h/x", "s3://********@bucket/x https://********@h/x"),
        ("https://ghp_token@github.com/a/b.git", "https://********@github.com/a/b.git"),
        (
            "ecto://u:p@h/x postgres://u:a@b@h amqp://u:a/b1@h/x",
            "ecto://u:********@h/x postgres://u:********@h amqp://u:********@h/x",
        ),
        (
            "ssh://git@host/x git@host:x http://a:4000/b@c file:///a:b@c mailto:a@b",
            "ssh://git@host/x git@host:x http://a:4000/b@c file:///a:b@c mailto:a@b",
        ),
        (
            "https://b/x?X-Amz-Signature=abc&X-Amz-Date=1&X-Amz-Security-Token=FQ%2B",
            "https://b/x?X-Amz-Signature=********&X-Amz-Date=1&X-Amz-Security-Token=********",
        ),
        ("http://127.0.0.1/h?token=abc&page=2", "http://127.0.0.1/h?token=********&page=2"),
        ('"Authorization": "Bearer abc.def"', '"Authorization": "Bearer ********"'),
        ("authorization: Basic dXNlcjpwdw==", "authorization: Basic ********"),
        ("Basic authentication is Bearer of news", "Basic authentication is Bearer of news"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY----- x", "******** x"),
        ('{"k": "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n"}', '{"k": "********\\n"}'),
        ("https://hooks.slack.com/services/T0/B0/abcdef now", "https://hooks.slack.com/******** now"),
        ("https://x.example.com/api/webhooks/123/abcdef", "https://x.example.com/api/webhooks/********"),
        (
            "RELEASE_COOKIE=monster PORT=4000 A_TOKEN=$B KEY_FILE=/a/b",
            "RELEASE_COOKIE=******** PORT=4000 A_TOKEN=$B KEY_FILE=/a/b",
        ),
        ('Give headers: {Authorization: "Basic ..."}', 'Give headers: {Authorization: "Basic ..."}'),
        ("ERL_ZFLAGS=-setcookie unused -start_epmd false", "ERL_ZFLAGS=-setcookie unused -start_epmd false"),
        ("erl -setcookie monster -name a@b", "erl -setcookie ******** -name a@b"),
        ('[password: "hunter2", hostname: "db"]', '[password: "********", hostname: "db"]'),
        ("invalid password, secret_key_base: missing", "invalid password, secret_key_base: missing"),
        ("environment variable SECRET_KEY_BASE is missing", "environment variable SECRET_KEY_BASE is missing"),
        ("glpat-abcdefghijklmnopqrst", HIDDEN),
    ],
)
def test_what_nobody_named(text: str, shown: str) -> None:
    assert NOTHING_NAMED.text(text) == shown


def test_masking_twice_is_masking_once() -> None:
    text = "%s %s https://u:p@h/?token=abc Authorization: Bearer abcdef" % (KEY, DATABASE)
    once = MASK.text(text)
    assert MASK.text(once) == once and KEY not in once


def test_values_of_results() -> None:
    assert MASK.data({"a": ["x swordf", {"swordf": 1}], "b": (None, True, 4000)}) == {
        "a": ["x ********", {"swordf": 1}],
        "b": [None, True, 4000],
    }
    deep: t.Any = "swordf"
    for _level in range(5000):
        deep = [deep]
    assert "swordf" not in str(MASK.data(deep))


def test_errors_keep_their_kind() -> None:
    shown = MASK.error(Conflict("a_code", "what swordf", "why " + KEY, "hint", output=["swordf"], rc=1))
    assert isinstance(shown, Conflict) and shown.code == "a_code" and shown.details == {"output": [HIDDEN], "rc": 1}
    assert shown.message == "what ********: why ********. hint.\n********"
    assert not isinstance(MASK.error(BeamError("x", "y")), Conflict)
    refused = MASK.error(ArchiveRefused(Layer("0" * 64, 1, "", ()), "symlink", "of swordf"))
    assert isinstance(refused, ArchiveRefused) and "swordf" not in refused.message


def test_more_of_them() -> None:
    more = MASK.also("monster-cookie", None, "")
    assert (
        more.text("monster-cookie") == HIDDEN
        and MASK.text("monster-cookie") == "monster-cookie"
        and MASK.also(None) is MASK
    )
    assert "monster" not in repr(more)


def test_a_line_is_not_longer_than_a_screen_needs() -> None:
    assert [len(line) for line in MASK.lines(["x" * 5000, "y"])] == [2000, 1] and MASK.lines([]) == []


def test_credentials_for_ansible() -> None:
    assert credentials_of("s3://k:p@bucket") == ["k:p"]
    assert credentials_of("https://tok-123@h/x?sig=abcdef&a=b") == ["tok-123", "abcdef"]
    assert (
        credentials_of("postgres://postgres:postgres@h") == ["postgres:postgres"]
        and credentials_of("http://h:1/x") == []
    )


@pytest.mark.parametrize(
    "unit",
    [
        "://",
        "http://a:",
        "1,",
        "? key=",
        "...",
        'password: "',
        "eyJaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "A_KEY=",
        "q8Hx+zz/0",
        "q8Hx+zz/0193\n",
        "a@b:",
    ],
)
def test_hostile_logs_take_no_time(unit: str) -> None:
    begun = time.process_time()
    MASK.text(unit * (200_000 // len(unit)))
    assert time.process_time() - begun < 3


def test_large_logs() -> None:
    many = Mask({"SECRET_%d" % number: "%x" % (7**40 + number) for number in range(60)})
    log = "".join(
        "12:00:%02d [info] GET /users/%d from http://localhost:4000 in %d ms\n" % (i % 60, i, i) for i in range(15_000)
    )
    begun = time.process_time()
    assert many.text(log) == log
    assert time.process_time() - begun < 5  # a megabyte; 0.5 s on the machine that this was written on


ESCAPES = [
    "\x1b[31m",
    "\x1b[0m\x1b[1;38;5;200m",
    "\x1b[K",
    "\x1b]8;;http://x/\x1b\\",
    "\x1b]0;a title\x07",
    "\x1b(B",
    "\x1b7",
    "\x1bPq\x1b\\",
    "\x9b1m",
    "\x07",
    "\x00",
    "\x0e",
    "\x7f",
    "\\e[31m",
    "\\u001b[1m",
    "\\x1B[0;1m",
    "\\x{1b}[1m",
    "\\033[22m",
]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize(
    "secret", [KEY, "Zk9x@y4", "swordf", base64.b64encode(KEY.encode()).decode(), quote(KEY, safe="")]
)
def test_a_secret_that_a_terminal_would_show_in_one_piece(secret: str, escape: str) -> None:
    for at in range(1, len(secret)):
        text = "said: %s%s%s and more" % (secret[:at], escape, secret[at:])
        assert MASK.text(text) == "said: ******** and more", text
        assert MASK.lines([text]) == ["said: ******** and more"] and MASK.text(MASK.text(text)) == MASK.text(text)
    every = escape.join(secret)
    assert MASK.text("said: %s" % every) == "said: ********", every


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:hunter|22@h/x", "postgres://u:********@h/x"),
        ("Authorization|: Bear|er abcdef123456", "Authorization: Bearer ********"),
        ("ghp_|0123456789abcdef01", "********"),
        ("MY_API_|TOKEN=abcd|efgh", "MY_API_TOKEN=********"),
    ],
)
def test_what_nobody_named_in_colours(text: str, shown: str, escape: str) -> None:
    assert bare(NOTHING_NAMED.text(text.replace("|", escape))) == shown


def test_a_secret_in_what_a_terminal_does_not_show() -> None:
    for text in ("\x1b]0;%s\x07title", "\x1b]8;;https://h/%s\x1b\\link\x1b]8;;\x1b\\", "\x1bP%s\x1b\\x"):
        assert KEY not in MASK.text(text % KEY) and "swordf" not in MASK.text(text % "swordf")


def test_colours_of_what_is_no_secret_stay() -> None:
    text = "\x1b[31merror\x1b[0m at %s\r\n\tport 4000"
    assert MASK.text(text % "once") == text % "once"
    assert MASK.text(text % ("\x1b[1m%s\x1b[0m" % KEY)) == text % ("\x1b[1m%s\x1b[0m" % HIDDEN)
    assert numbers("\x1b[1msecret-of-\x1b[0mnobody") in MASK.text(numbers("\x1b[1msecret-of-\x1b[0mnobody"))
    assert MASK.text(numbers(KEY[:20] + "\x1b[1m" + KEY[20:])) == HIDDEN
