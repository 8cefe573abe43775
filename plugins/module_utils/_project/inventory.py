# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The inventory of a project: it works as it is, except for values that only a person knows."""

from __future__ import annotations

import re
import typing as t

from .._build.git import hide
from .findings import DEFAULT, GUESSED, REQUIRED, Setting
from .page import Page, blank, secret, signed, text
from .reading import CHILDREN, Reading
from .values import get, is_keywords, unset

SECRETS = ("vault", "env", "ssm")
MAIN, ENV, INVENTORY, CONFIG = "group_vars/all/beam.yml", "group_vars/all/env.yml", "inventory.yml", "ansible.cfg"
VAULT = "group_vars/all/vault.yml"
_SECRET = re.compile(
    r"SECRET|PASSW|_PASS$|^PASS$|_PWD$|TOKENS?$|API_?KEY|PRIVATE_?KEY|CREDENTIAL|KEY_BASE|SALT|DSN$|ENCRYPTION|SIGNING|COOKIE|LICENSE_KEY|_PEM$|ACCESS_KEY$|"
    r"(?:DATABASE|DB|POSTGRES\w*|PG|REDIS|REDIS_TLS|RABBIT\w*|AMQP|CLOUDAMQP|MONGO\w*|MYSQL|ECTO|CLICKHOUSE\w*|NEO4J|KAFKA|SMTP|SENTRY)_?(?:URL|URI|DSN)$|_KEY$"
)
_OPEN = re.compile(
    r"PUBLIC_KEY|PUBLISHABLE|SITE_?KEY|_ID$|_PATH$|_FILE$|_DIR$|_NAME$|_HOST$|_PORT$|EXPIR|TTL|LENGTH|_ENABLED$|_TIMEOUT|BLOCKLIST|_USER$"
)
_SETS = re.compile(r"RELEASE_\w+|MIX_ENV|HOME|PATH|USER|LANG")
_NO_HOST = ("example.com", "www.example.com", "localhost", "")


def is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _OPEN.search(name)


def pages(reading: Reading, secrets: str) -> dict[str, str]:
    """The files of the inventory, by their path in its directory."""
    made = {INVENTORY: _inventory(reading), MAIN: _main(reading, secrets), ENV: _env(reading, secrets)}
    found = {path: signed("\n".join(["---", *page.lines, ""])) for path, page in made.items()}
    found[CONFIG] = signed(
        "\n".join(
            [
                "[defaults]",
                "inventory = inventory.yml",
                "# The Python of each host is what is there; no warning about it.",
                "interpreter_python = auto_silent",
                "# One line for each step of a rollout, and a report.",
                "callbacks_enabled = alchemist.beam.rollout",
                "# Where the password of ansible-vault is, or each command needs --ask-vault-pass: a file that only you read, in no repository.",
                "# vault_password_file = ~/.%s-vault" % reading.name,
                "",
            ]
        )
    )
    return found


def _inventory(reading: Reading) -> Page:
    page = Page([])
    page.say(
        "The machines of %s. The variables are in group_vars. Blank: `build` and `beam` have no host yet."
        % reading.name,
        "",
    )
    page.lines += ["all:", "  vars:"]
    page.indent = 4
    page.put("ansible_user", "root", "who logs in; or another user, with ansible_become: true")
    page.indent = 0
    page.lines += ["build:", "  hosts:"]
    page.indent = 4
    page.say(
        "The machine that builds: of the same operating system as the servers, or an older one. One that is named localhost (with",
        "ansible_connection: local) builds here. In front of a bucket it needs boto3, which setup puts into this Python:",
        "  build1.example.com:",
        "    ansible_python_interpreter: /opt/beam/bin/python",
    )
    page.indent = 0
    page.lines += ["beam:", "  hosts:"]
    page.indent = 4
    page.say("The servers. They need Python 3.9 or later and systemd.", "  app1.example.com:", "  app2.example.com:")
    return page


def _main(reading: Reading, secrets: str) -> Page:
    page = Page([])
    page.say(
        "%s: what is built, where it goes, and when a server counts as healthy. Every variable: docs of alchemist.beam, roles build, service and rollout."
        % reading.name,
        "",
    )
    _build(page, reading)
    page.lines.append("")
    _store(page, reading)
    page.lines.append("")
    _rollout(page, reading)
    _service(page, reading, secrets)
    page.lines.append("")
    _toolchain(page, reading)
    if reading.notes:
        page.lines.append("")
        page.say("What a person should know:")
        page.say(*("- %s." % note for note in reading.notes))
    return page


def _build(page: Page, reading: Reading) -> None:
    project, needed = reading.project, reading.toolchain
    releases = (
        "the release in %s" % project.file
        if project.releases
        else "%s names no release, so it has the name of the application" % project.file
    )
    if len(project.releases) > 1:
        releases += "; there are %s" % ", ".join(project.releases)
    page.put("beam_name", text(reading.name), releases)
    url = reading.source.url
    page.put(
        "beam_repo",
        text(url) if url else blank("beam_repo: the URL of the repository, as the build server reads it (%s)" % MAIN),
        "read by the build server: with a key of its own, and the host in its known_hosts",
    )
    if reading.directory:
        page.put("beam_build_subdir", text(reading.directory), "mix.exs is there")
    tags = [tag for tag in reading.source.tags if re.match(r"v?\d+\.\d+", tag)]
    why = "a version for each commit: %s where no tag leads to it" % ("%s+g1a2b3c4d" % (project.version or "0.1.0"))
    why += "" if not tags else "; a commit with a tag such as %s has that" % tags[-1]
    page.put("beam_build_version", "git", why)
    if needed.before:
        page.put(
            "beam_build_before",
            "[%s]" % ", ".join(text(one.value) for one in needed.before),
            "; ".join(one.why for one in needed.before),
        )
    if needed.after_compile:
        page.put(
            "beam_build_after_compile",
            "[%s]" % ", ".join(text(one.value) for one in needed.after_compile),
            needed.after_compile[0].why,
        )
    _build_env(page, reading)


def _build_env(page: Page, reading: Reading) -> None:
    found = [one for one in reading.configuration.build if not _SETS.fullmatch(one.name)]
    if not found:
        return
    required = [one for one in found if one.kind == REQUIRED]
    page.say(
        "",
        "Read when the release is built, and part of it then, in the store and on each server. A secret belongs into config/runtime.exs instead.",
    )
    page.put("beam_build_env" if required else "# beam_build_env", "")
    page.indent = 2
    for one in [*required, *(each for each in found if each not in required)]:
        where = "%s:%d" % (one.file, one.line)
        if one in required:
            page.put(
                one.name,
                blank("beam_build_env.%s: the build ends without it, %s (%s)" % (one.name, where, MAIN)),
                where,
            )
        else:
            hidden = is_secret(one.name)
            page.put(
                one.name,
                text("" if hidden else hide(one.default)),
                where + (", a secret by its name" if hidden else ""),
                off=True,
            )
    page.indent = 0


def _store(page: Page, reading: Reading) -> None:
    page.put(
        "beam_store",
        blank("beam_store: where releases live, s3://bucket/prefix or file:///srv/releases (%s)" % MAIN),
        "a bucket; or a directory of one machine, with beam_fetch: push",
    )
    page.put("beam_channel", "production", "the pointer that these servers follow")


def _rollout(page: Page, reading: Reading) -> None:
    runs = reading.running
    page.put("beam_batches", '[1, "25%"]', "one server first, then a quarter at a time")
    page.say("A server is healthy when all of this holds:")
    page.lines.append("beam_health:")
    page.indent = 2
    checked = _http(page, reading) if runs.port is not None and runs.web else False
    if not checked and runs.port is not None:
        page.put(
            "tcp",
            "{port: %d}" % runs.port[0],
            "where it listens (%s)%s" % (runs.port[2], "; nothing is known to answer at /" if runs.web else ""),
        )
    if runs.port is None and runs.web:
        page.say("Where it listens could not be told: add http or tcp, or nothing here asks what its users ask.")
    apps = [one.app for one in reading.project.all if one.app and one.starts]
    chosen = _started(reading, apps)
    page.put(
        "node",
        "{applications: [%s]}" % ", ".join(chosen),
        "the node has started %s" % ("it" if len(chosen) == 1 else "them"),
    )
    page.indent = 0
    if runs.migrate:
        page.put("beam_migrate", text(runs.migrate[0]), "%s; once, before the first server restarts" % runs.migrate[1])
    elif runs.migrations:
        module = "".join(part.capitalize() for part in (reading.project.app or reading.name).split("_"))
        page.put(
            "beam_migrate",
            '"%s.Release.migrate()"' % module,
            "%s: no module with migrate/0 was found" % runs.migrations,
            off=True,
        )
    page.say("What is in front of the servers, if anything; it calls them as the inventory does:")
    page.put(
        "beam_balancers", '[{kind: haproxy, address: "lb1.example.com:9999", backends: [%s]}]' % reading.name, off=True
    )


def _started(reading: Reading, apps: list[str]) -> list[str]:
    """Of an umbrella: those that the release starts."""
    named = unset(get(reading.project.releases.get(reading.name), "applications")) if reading.project.releases else None
    if reading.project.apps_path and is_keywords(named):
        return [item[0].name for item in named or () if item[0].name in apps] or apps
    return apps or [reading.name]


def _http(page: Page, reading: Reading) -> bool:
    runs = reading.running
    if runs.port is None:
        raise AssertionError("the caller has seen a port")
    endpoint = runs.endpoints[0] if runs.endpoints else None
    path, place = runs.health or ("/", "a route for /")
    if not runs.health and not (runs.root and runs.port[2].startswith(tuple(one.module for one in runs.endpoints))):
        return False
    ssl = endpoint.force_ssl if endpoint else ""
    parts = ['url: "http://%s:%d%s"' % ("localhost" if ssl == "redirects" else "127.0.0.1", runs.port[0], path)]
    if not runs.health:
        parts.append("status: [200, 301, 302]")  # a page, or the way to the one for logging in
    if ssl == "rewrites":
        parts.append("headers: {x-forwarded-proto: https}")
    why = "%s; it listens there: %s" % (place, runs.port[2])
    page.put(
        "http",
        "{%s}" % ", ".join(parts),
        why + ("; force_ssl takes the header for a balancer with TLS" if ssl == "rewrites" else ""),
    )
    return True


def _service(page: Page, reading: Reading, secrets: str) -> None:
    if reading.cluster:
        page.lines.append("")
        page.put("service_distribution", "cluster", reading.cluster)
        page.put(
            "service_node",
            '"{{ service_unit }}@{{ ansible_host | default(inventory_hostname) }}"',
            "the others have to reach it by this name or address",
        )
        page.put(
            "beam_cookie",
            secret(
                "BEAM_COOKIE", secrets, reading.name, "The same for all nodes: `openssl rand -hex 32` makes one", VAULT
            ),
            "or each server would make up its own, and none would find another",
        )
    children = {name: what for name, what in CHILDREN.items() if name in reading.toolchain.packages}
    if children:
        page.lines.append("")
        said = ", ".join("%s (%s)" % one for one in sorted(children.items()))
        page.put(
            "service_jit",
            "true",
            "%s: such programs make memory that is executable, and die at their first use without" % said,
        )
        if "Chrome" in children.values():
            page.put("service_namespaces", "true", "for Chrome's sandbox")
    if reading.env_sh is not None and reading.env_sh[1]:
        page.say(
            "",
            "%s sets %s when it starts: see the role service for which of the two counts."
            % (reading.env_sh[0], ", ".join(sorted(reading.env_sh[1]))),
        )


def _toolchain(page: Page, reading: Reading) -> None:
    needed = reading.toolchain
    page.say(
        "What setup installs on the build server.%s"
        % (
            ""
            if not needed.asked
            else " The project is developed with %s."
            % "; ".join("%s (%s)" % (one.value, one.why) for one in needed.asked)
        )
    )
    if needed.elixir is not None:
        page.put("toolchain_elixir_minimum", '"%s"' % needed.elixir.value, needed.elixir.why)
    if needed.prebuilt is not None:
        page.put("beam_toolchain_method", "prebuilt", needed.prebuilt.why)
        page.put(
            "beam_elixir_path",
            blank("beam_elixir_path: the directory of the programs elixir and mix on the build server (%s)" % MAIN),
            "an Elixir %s or later with its Erlang, that you put there"
            % (needed.elixir.value if needed.elixir else ""),
        )
    for key, one in (
        ("toolchain_hex", needed.hex),
        ("toolchain_rebar", needed.rebar),
        ("toolchain_compiler", needed.compiler),
    ):
        if one is not None:
            page.put(key, "true", one.why)
    if needed.extra:
        page.lines.append("toolchain_extra_packages:")
        for one in needed.extra:
            page.lines.append("%s # %s" % (("  - %s" % one.value).ljust(44), one.why))


# The environment of the node.


def _env(reading: Reading, secrets: str) -> Page:
    page = Page([])
    source = {
        "vault": "Secrets come from %s: `ansible-vault create %s`." % (VAULT, VAULT),
        "env": "Secrets come from the environment of whoever runs a playbook.",
        "ssm": "Secrets come from the parameter store of AWS (the collection amazon.aws, and boto3 here).",
    }[secrets]
    file = reading.configuration.runtime_file
    page.say(
        "The environment of the node, as %s reads it at each boot. %s None is written here."
        % (file or "its code", source),
        "",
    )
    page.lines.append("beam_env:")
    page.indent = 2
    given = _given(page, reading)
    found = [one for one in reading.configuration.runtime if one.name not in given and not _SETS.fullmatch(one.name)]
    required: list[Setting] = []
    for one in found:
        there = given | {each.name for each in required}
        if one.kind == REQUIRED and not there & set(one.others):  # one of several is enough
            required.append(one)
    if required:
        page.say("", "Without these it does not boot:")
        for one in required:
            page.put(one.name, *_required(one, reading, secrets))
    if not given and not required:
        page.lines[-1] = "beam_env: {}"
    _optional(page, [one for one in found if one not in required], reading, secrets)
    return page


def _given(page: Page, reading: Reading) -> set[str]:
    """What is known: where it listens, that it does, under which name."""
    runs, given = reading.running, set()
    runtime = {one.name for one in reading.configuration.runtime}
    for endpoint in runs.endpoints:
        for name in endpoint.server_names:
            if name in runtime and name not in given and "PORT" not in name:
                given.add(name)
                page.put(name, '"true"', "or %s does not listen in a release" % endpoint.module)
    if runs.port is not None:
        for name in runs.port[1]:
            if name in runtime and name not in given:
                given.add(name)
                page.put(name, '"%d"' % runs.port[0], "where it listens: %s; beam_health asks there" % runs.port[2])
    for endpoint in runs.endpoints[:1]:
        for name in endpoint.host_names:
            setting = next((one for one in reading.configuration.runtime if one.name == name), None)
            if (
                setting is not None
                and name not in given
                and (setting.default or endpoint.host or "") in _NO_HOST
                and setting.kind != REQUIRED
            ):
                given.add(name)
                said = (
                    "its own default is %s, and then browsers' websockets are refused" % setting.default
                    if setting.default
                    else "%s reads it" % setting.file
                )
                page.put(
                    name,
                    blank(
                        "beam_env.%s: the host in the URLs of the application, such as shop.example.com (%s)"
                        % (name, ENV)
                    ),
                    said,
                )
    return given


def _required(one: Setting, reading: Reading, secrets: str) -> tuple[str, str]:
    where = "%s:%d" % (one.file, one.line) + (", or %s in its place" % ", ".join(one.others) if one.others else "")
    where += "; not where %s leads past it" % " or ".join(one.unless) if one.unless else ""
    if re.fullmatch(r"(?:DATABASE|DB|SQLITE)_(?:PATH|FILE)", one.name):
        return text("/var/lib/%s/%s.db" % (reading.name, reading.name)), "%s; the node may write there" % where
    if is_secret(one.name):
        made = "`openssl rand -base64 48` makes one. " if re.search(r"SECRET_KEY_BASE$|SALT$", one.name) else ""
        made = "Such as ecto://user:password@host/database. " if re.search(r"(?:DATABASE|DB)_URL$", one.name) else made
        return secret(one.name, secrets, reading.name, made + "Read at %s" % where, VAULT), where
    return blank("beam_env.%s: it does not boot without it, %s (%s)" % (one.name, where, ENV)), where


def _optional(page: Page, found: t.Sequence[Setting], reading: Reading, secrets: str) -> None:
    parts = (
        ("Required only under a condition:", [one for one in found if one.when]),
        ("Their defaults, in the project:", [one for one in found if not one.when and one.kind == DEFAULT]),
        ("Read, and not required:", [one for one in found if not one.when and one.kind not in (DEFAULT, GUESSED)]),
        (
            "Read by helpers that init does not follow, so these may be required:",
            [one for one in found if one.kind == GUESSED and not one.when],
        ),
        ("Read by the code:", list(reading.running.in_code)),
        (
            "Read by %s:" % (reading.env_sh[0] if reading.env_sh else ""),
            [
                Setting(name, "env.sh", reading.env_sh[0] if reading.env_sh else "", 0)
                for name in (reading.env_sh[2] if reading.env_sh else ())
                if name not in {one.name for one in reading.configuration.runtime}
            ],
        ),
    )
    for title, settings in parts:
        if not settings:
            continue
        page.say("", title)
        for one in settings:
            where = "%s:%d" % (one.file, one.line) if one.line else one.file
            why = (
                where
                + (", if %s" % one.when if one.when else "")
                + (", and ends there without it" if one.kind == "code!" else "")
            )
            hidden = is_secret(one.name)
            value = (
                secret(one.name, secrets, reading.name, "Read at %s" % where, VAULT)
                if hidden and secrets != "vault"
                else (
                    '"{{ vault_%s }}"' % one.name.lower() if hidden else text(hide(one.default)) if one.default else ""
                )
            )
            page.put(
                one.name,
                value,
                why + (", which has a default that everybody can read" if hidden and one.default else ""),
                off=True,
            )
