# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a project to its inventory: what is set, what is blank, where secrets come from; and files that a person has changed."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._project import init
from ansible_collections.alchemist.beam.plugins.module_utils._project.inventory import (
    ENV,
    INVENTORY,
    MAIN,
    is_secret,
    pages,
)
from ansible_collections.alchemist.beam.plugins.module_utils._project.reading import Reading, read_project
from ansible_collections.alchemist.beam.plugins.module_utils._project.repository import Files, Source, public

MIX = """
defmodule Shop.MixProject do
  use Mix.Project
  def project, do: [app: :shop, version: "0.1.0", elixir: "~> 1.15", deps: deps(), aliases: aliases()]
  def application, do: [mod: {Shop.Application, []}, extra_applications: [:logger, :runtime_tools, :os_mon]]
  defp deps, do: [{:phoenix, "~> 1.7"}, {:ecto_sql, "~> 3.0"}, {:bcrypt_elixir, "~> 3.0"}, {:bandit, "~> 1.0"}, {:credo, "~> 1.0", only: :dev}]
  defp aliases, do: ["assets.deploy": ["tailwind shop --minify", "esbuild shop --minify", "phx.digest"]]
end
"""
LOCK = """%{
  "bandit": {:hex, :bandit, "1.0.0", "x", [:mix], [], "hexpm", "x"},
  "bcrypt_elixir": {:hex, :bcrypt_elixir, "3.0.1", "x", [:make, :mix], [{:elixir_make, "~> 0.6", [hex: :elixir_make, optional: false]}], "hexpm", "x"},
  "ecto_sql": {:hex, :ecto_sql, "3.0.0", "x", [:mix], [{:telemetry, "~> 1.0", [hex: :telemetry, repo: "hexpm", optional: false]}], "hexpm", "x"},
  "phoenix": {:hex, :phoenix, "1.7.0", "x", [:mix], [], "hexpm", "x"},
  "telemetry": {:hex, :telemetry, "1.2.1", "x", [:rebar3], [], "hexpm", "x"},
  "wallaby": {:hex, :wallaby, "0.30.0", "x", [:mix], [], "hexpm", "x"},
}
"""
RUNTIME = """
import Config
if System.get_env("PHX_SERVER"), do: config(:shop, ShopWeb.Endpoint, server: true)
if config_env() == :prod do
  database_url = System.get_env("DATABASE_URL") || raise "environment variable DATABASE_URL is missing."
  config :shop, Shop.Repo, url: database_url, pool_size: String.to_integer(System.get_env("POOL_SIZE") || "10")
  host = System.get_env("PHX_HOST") || "example.com"
  config :shop, ShopWeb.Endpoint,
    url: [host: host, port: 443, scheme: "https"], http: [ip: {0, 0, 0, 0}, port: String.to_integer(System.get_env("PORT") || "4000")],
    secret_key_base: System.fetch_env!("SECRET_KEY_BASE")
  config :shop, region: System.fetch_env!("REGION"), greeting: System.get_env("GREETING", "{{ hello }}"), key: System.get_env("STRIPE_API_KEY", "sk_live_1")
end
"""
ROUTER = """
defmodule ShopWeb.Router do
  use ShopWeb, :router
  scope "/", ShopWeb do
    pipe_through :browser
    get "/", PageController, :home
  end
  scope "/admin" do
    get "/health", AdminController, :health
  end
end
"""
RELEASE = "defmodule Shop.Release do\n  def migrate do\n    Ecto.Migrator.with_repo(Shop.Repo, & &1)\n  end\nend\n"
PHOENIX = {
    "mix.exs": MIX,
    "mix.lock": LOCK,
    "config/config.exs": "import Config",
    "config/runtime.exs": RUNTIME,
    "lib/shop_web/router.ex": ROUTER,
    "lib/shop/release.ex": RELEASE,
    "priv/repo/migrations/1_x.exs": "",
    ".tool-versions": "erlang 27.1\nelixir 1.18.0-otp-27\n",
}


class Loader(yaml.SafeLoader):
    """That of Ansible's !unsafe."""


Loader.add_constructor("!unsafe", lambda _loader, node: "unsafe " + node.value)


def parsed(text: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = Loader(text).get_single_data()
    return found


def read(
    files: t.Mapping[str, str], url: str = "git@example.com:shop.git", release: str = "", tags: tuple[str, ...] = ()
) -> Reading:
    tree = Files("", "c0ffee", {path: len(text) for path, text in files.items()}, [], dict(files))
    return read_project(Source(tree, "main", url, tags), release, "", "prod")


def load(reading: Reading, secrets: str = "vault") -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    made = pages(reading, secrets)
    assert parsed(made[INVENTORY])["beam"] == {"hosts": None}
    return parsed(made[MAIN]), parsed(made[ENV])["beam_env"]


def changed(**files: str) -> dict[str, str]:
    return {**PHOENIX, **{name.replace("__", "/"): text for name, text in files.items()}}


def test_a_phoenix_application_as_mix_phx_new_makes_it() -> None:
    main, env = load(read(PHOENIX))
    assert (main["beam_name"], main["beam_repo"], main["beam_build_version"]) == (
        "shop",
        "git@example.com:shop.git",
        "git",
    )
    assert main["beam_build_after_compile"] == ["assets.deploy"] and main["beam_migrate"] == "Shop.Release.migrate()"
    assert main["beam_health"] == {
        "http": {"url": "http://127.0.0.1:4000/", "status": [200, 301, 302]},
        "node": {"applications": ["shop"]},
    }
    assert (
        main["toolchain_hex"],
        main["toolchain_rebar"],
        main["toolchain_compiler"],
        main["toolchain_elixir_minimum"],
    ) == (True, True, True, "1.15")
    assert (
        main["toolchain_extra_packages"] == ["erlang-os-mon"]
        and "service_distribution" not in main
        and "beam_toolchain_method" not in main
    )
    assert (env["PHX_SERVER"], env["PORT"]) == ("true", "4000")
    assert "undef(hint='beam_env.PHX_HOST: " in env["PHX_HOST"] and "undef(hint='beam_env.REGION: " in env["REGION"]
    assert (
        "vault_database_url | default(undef(hint='Put vault_database_url into group_vars/all/vault.yml"
        in env["DATABASE_URL"]
    )
    assert "mix phx.gen" not in env["SECRET_KEY_BASE"] and "openssl rand" in env["SECRET_KEY_BASE"]
    assert set(env) == {"PHX_SERVER", "PORT", "PHX_HOST", "DATABASE_URL", "SECRET_KEY_BASE", "REGION"}


def test_what_only_a_package_knows() -> None:
    """mix phx.new brings swoosh along, and that needs xmerl. A package from git may name packages of hex.pm."""
    locked = '%%{"phoenix": {:git, "https://example.com/phoenix.git", "%s", [tag: "v1.8.9"]}, "swoosh": {:git, "https://example.com/swoosh.git", "%s", []}}'
    mix = MIX.replace(
        "deps: deps()",
        'deps: [{:phoenix, git: "https://example.com/phoenix.git"}, {:swoosh, git: "https://example.com/swoosh.git"}]',
    )
    assert mix != MIX
    made = pages(read({**PHOENIX, "mix.exs": mix, "mix.lock": locked % ("a" * 40, "b" * 40)}), "vault")[MAIN]
    assert "extra_applications of swoosh has :xmerl" in made and "erlang-xmerl" in made
    assert parsed(made)[
        "toolchain_hex"
    ] is True and "a package from git (phoenix, swoosh) names one of hex.pm" in made.replace("\n# ", " ")


def test_each_value_has_its_reason() -> None:
    made = pages(read(PHOENIX), "vault")
    assert '  # POOL_SIZE: "10" ' in made[ENV] and "# config/runtime.exs:6\n" in made[ENV]
    assert (
        "bcrypt_elixir has C code" in made[MAIN]
        and "elixir 1.18.0-otp-27" in made[MAIN]
        and "telemetry is written in Erlang" in made[MAIN]
    )
    assert "\n# vault_password_file = ~/.shop-vault\n" in made["ansible.cfg"]
    assert '# GREETING: !unsafe "{{ hello }}"' in made[ENV] and "sk_live_1" not in made[ENV]


def test_where_secrets_come_from() -> None:
    _main, env = load(read(PHOENIX), "env")
    assert "lookup('ansible.builtin.env', 'DATABASE_URL') | default(undef(hint='" in env["DATABASE_URL"]
    _main, env = load(read(PHOENIX), "ssm")
    assert env["DATABASE_URL"] == "{{ lookup('amazon.aws.ssm_parameter', '/shop/database_url') }}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SECRET_KEY_BASE", True),
        ("DATABASE_URL", True),
        ("SMTP_PASSWORD", True),
        ("DB_PASS", True),
        ("STRIPE_API_KEY", True),
        ("SENTRY_DSN", True),
        ("LIVE_VIEW_SIGNING_SALT", True),
        ("GITHUB_TOKEN", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("REDIS_URL", True),
        ("RELEASE_COOKIE", True),
        ("GITHUB_CLIENT_ID", False),
        ("STRIPE_PUBLISHABLE_KEY", False),
        ("SSL_KEY_PATH", False),
        ("PHX_HOST", False),
        ("POOL_SIZE", False),
        ("CDN_URL", False),
        ("RECAPTCHA_SITE_KEY", False),
        ("TOKEN_TTL", False),
        ("PASSWORD_MIN_LENGTH", False),
        ("PRIVATE_DOCS_URL", False),
        ("BYPASS", False),
        ("MONKEY", False),
    ],
)
def test_what_looks_secret(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


def test_health_of_a_route_and_of_forced_tls() -> None:
    router = ROUTER.replace('get "/",', 'get "/healthz",')
    assert load(read(changed(lib__shop_web__router_ex="", **{"lib/shop_web/router.ex": router})))[0]["beam_health"][
        "http"
    ]["url"].endswith(":4000/healthz")
    prod = {
        "config/config.exs": "import Config\nconfig :shop, ShopWeb.Endpoint, force_ssl: [rewrite_on: [:x_forwarded_proto]]"
    }
    http = load(read(changed(**prod)))[0]["beam_health"]["http"]
    assert http["headers"] == {"x-forwarded-proto": "https"}
    prod = {"config/config.exs": "import Config\nconfig :shop, ShopWeb.Endpoint, force_ssl: [hsts: true]"}
    assert load(read(changed(**prod)))[0]["beam_health"]["http"]["url"] == "http://localhost:4000/"
    nothing = load(read(changed(**{"lib/shop_web/router.ex": ROUTER.replace('get "/",', 'get "/x",')})))[0][
        "beam_health"
    ]
    assert nothing["tcp"] == {"port": 4000} and "http" not in nothing


def test_libcluster_is_a_cluster_with_a_cookie() -> None:
    main, _env = load(read(changed(**{"mix.exs": MIX.replace("{:bandit", '{:libcluster, "~> 3.0"}, {:bandit')})))
    assert main["service_distribution"] == "cluster" and "vault_beam_cookie" in main["beam_cookie"]


def test_programs_that_the_unit_would_forbid() -> None:
    main, _env = load(read(changed(**{"mix.exs": MIX.replace("{:bandit", '{:chromic_pdf, "~> 1.0"}, {:bandit')})))
    assert main["service_jit"] is True and main["service_namespaces"] is True
    main, _env = load(read(changed(**{"mix.exs": MIX.replace("{:bandit", '{:nodejs, "~> 2.0"}, {:bandit')})))
    assert main["service_jit"] is True and "service_namespaces" not in main


def test_an_elixir_that_no_distribution_has() -> None:
    main, _env = load(read(changed(**{"mix.exs": MIX.replace("~> 1.15", "~> 1.19")})))
    assert main["beam_toolchain_method"] == "prebuilt" and "undef(" in main["beam_elixir_path"]


def test_rust_npm_and_what_is_missing() -> None:
    nif = '"mynif": {:hex, :mynif, "1.0.0", "x", [:mix], [{:rustler, "~> 0.3", [hex: :rustler, optional: false]}], "hexpm", "x"},\n'
    lock = LOCK.replace('"phoenix": ', nif + '  "phoenix": ')
    mix = MIX.replace("{:bandit", '{:mynif, "~> 1.0"}, {:bandit').replace(
        '"phx.digest"', '"cmd --cd assets npm run build", "phx.digest"'
    )
    files = {
        "mix.exs": mix,
        "mix.lock": lock,
        "assets/package.json": '{"dependencies": {"topbar": "1"}}',
        "assets/package-lock.json": "{}",
    }
    reading = read(changed(**files))
    main, _env = load(reading)
    assert main["toolchain_extra_packages"] == ["erlang-os-mon", "cargo", "nodejs", "npm"] and main[
        "beam_build_before"
    ] == ["cmd --cd assets npm ci"]
    notes = read(
        {
            path: text
            for path, text in PHOENIX.items()
            if path not in ("mix.lock", "lib/shop/release.ex", "config/runtime.exs")
        }
    ).notes
    assert [
        word
        for word in ("mix.lock", "config/runtime.exs", "listen", "migrate/0")
        if not any(word in note for note in notes)
    ] in ([], ["listen"])


def test_what_is_read_when_it_is_built() -> None:
    config = 'import Config\nconfig :shop, cdn: System.get_env("CDN_HOST", "cdn.example.com"), key: System.fetch_env!("LICENSE_KEY")'
    main, env = load(read(changed(**{"config/config.exs": config})))
    assert list(main["beam_build_env"]) == ["LICENSE_KEY"] and "CDN_HOST" not in env


UMBRELLA = 'defmodule R do\n  def project, do: [apps_path: "apps", version: "0.1.0"%s]\nend'
CHILD = 'defmodule %s do\n  def project, do: [app: :%s, aliases: ["assets.deploy": ["phx.digest"]]]\n  def application, do: [mod: {A, []}]\nend'


def test_umbrella_with_several_releases() -> None:
    files = {
        "mix.exs": UMBRELLA % ", releases: [web: [applications: [shop_web: :permanent]], jobs: []]",
        "apps/shop_web/mix.exs": CHILD % ("W", "shop_web"),
        "apps/jobs/mix.exs": CHILD % ("J", "jobs"),
    }
    with pytest.raises(BeamError) as error:
        read(files)
    assert error.value.code == "release_ambiguous" and "-e beam_name=web" in error.value.message
    main, _env = load(read(files, release="web"))
    assert main["beam_name"] == "web" and main["beam_health"]["node"] == {"applications": ["shop_web"]}
    assert main["beam_build_after_compile"] == ["do --app jobs assets.deploy", "do --app shop_web assets.deploy"]
    with pytest.raises(BeamError, match="there is no release shop: mix.exs has web, jobs"):
        read(files, release="shop")


def test_umbrella_without_a_release() -> None:
    with pytest.raises(
        BeamError, match=re.escape("Add to project/0 of mix.exs: releases: [shop: [applications: [web: :permanent]]]")
    ):
        read({"mix.exs": UMBRELLA % "", "apps/web/mix.exs": CHILD % ("W", "web")})


def test_env_sh_and_vm_args_are_read() -> None:
    files = {
        "rel/env.sh.eex": '# export RELEASE_NODE=no\nexport RELEASE_NODE=shop@${POD_IP}\nexport ERL_AFLAGS="-proto_dist inet6_tcp"\n',
        "rel/vm.args.eex": "## -heart\n-sname shop\n+P 100\n",
    }
    made = pages(read(changed(**files)), "vault")
    assert (
        "rel/env.sh.eex sets ERL_AFLAGS, RELEASE_NODE" in made[MAIN]
        and "`-sname shop`" in made[MAIN]
        and "-heart" not in made[MAIN]
    )
    assert "# POD_IP:" in made[ENV]


def test_no_secret_of_the_repository_is_written() -> None:
    files = {
        "rel/vm.args.eex": "-setcookie hush-cookie\n",
        "config/config.exs": 'import Config\nconfig :shop, at: System.get_env("AT", "https://me:hush-built@h/")',
        "config/runtime.exs": 'import Config\nconfig :shop, at: System.get_env("PROXY", "https://me:hush-run@h/"), t: System.get_env("MY_TOKEN", "hush-token")',
    }
    reading = read(changed(**files))
    assert "hush" not in "".join(pages(reading, "vault").values()) and "`-setcookie ...`" in "".join(reading.notes)
    assert public("https://x-access-token:hush@example.com/shop.git") == "https://example.com/shop.git"
    assert (
        public("ssh://git@example.com/shop.git") == "ssh://git@example.com/shop.git"
        and public("git@example.com:shop.git") == "git@example.com:shop.git"
    )


def test_texts_of_a_project_stay_texts() -> None:
    """A default is nobody's template, and no comment ends early."""
    mix = MIX.replace("~> 1.15", "~> 1.15 # '\\\" {{ lookup('pipe', 'id') }}")
    runtime = (
        'import Config\nconfig :shop, x: System.get_env("X", "a\\nb: c {% raw %}"), y: System.fetch_env!("Y\\n{{ z }}")'
    )
    main, env = load(read(changed(**{"mix.exs": mix, "config/runtime.exs": runtime})))
    assert (
        main["beam_name"] == "shop"
        and "lookup" not in str(main.get("toolchain_elixir_minimum"))
        and not any("{{ z" in str(key) for key in env)
    )


# Files.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    for name, text in PHOENIX.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(
            ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@example.com", *words],
            check=True,
            capture_output=True,
        )
    return path


def test_it_writes_once_and_keeps_what_a_person_changed(project: Path, tmp_path: Path) -> None:
    dest = tmp_path / "deploy"
    asked = init.Asked(str(project), str(dest))
    assert init.run(asked, True)["changed"] and not dest.exists()
    first = init.run(asked, False)
    assert (
        first["changed"]
        and first["files"]["created"] == ["inventory.yml", MAIN, ENV, "ansible.cfg"]
        and len(first["blanks"]) == 6
    )
    assert not init.run(asked, False)["changed"]
    (dest / ENV).write_text(
        (dest / ENV).read_text() + "  API_TOKEN: hush\n  PEM_PRIVATE_KEY: |\n    line one\n    line two\n  NEW: shown\n"
    )
    other = init.Asked(str(project), str(dest), secrets="env")
    second = init.run(other, False)
    assert second["files"]["kept"] == [ENV] and not second["files"]["updated"] and "hush" in (dest / ENV).read_text()
    text = "\n".join(second["difference"])
    assert "-  NEW: shown" in text and "hush" not in text and "line one" not in text
    assert init.run(init.Asked(str(project), str(dest), force=True), False)["files"]["updated"] == [ENV]


def test_a_new_variable_is_missing_in_what_is_kept(project: Path, tmp_path: Path) -> None:
    dest = tmp_path / "deploy"
    init.run(init.Asked(str(project), str(dest)), False)
    (dest / ENV).write_text("beam_env:\n  DATABASE_URL: x\n  SECRET_KEY_BASE: y\n")
    got = init.run(init.Asked(str(project), str(dest)), False)
    assert got["missing"] == ["REGION"] and "REGION" in got["warnings"][0]


def test_what_can_not_be_written(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeamError) as error:
        init.run(init.Asked(str(project), str(tmp_path / "file")), False)
    assert error.value.code in ("init_unwritable", "init_unreadable") and "beam_init_dest" in error.value.message
