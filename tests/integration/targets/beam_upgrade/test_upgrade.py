# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With real nodes: the code of a node that runs is replaced, its state stays, and whatever fails leaves the version before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._modules import info, install, restart, upgrade
from ansible_collections.alchemist.beam.plugins.module_utils._node.ask import connect
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.remote import Remote
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from node_site import NAME, Site

import playbooks

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or str(Path(__file__).resolve().parents[7])
COUNTER = "lib/beacon/counter.ex"

# What an application does that makes an upgrade hard: version -> what it is made of, and what becomes of which text.
VARIANTS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    # A process that stays in a function of the changed module.
    "0.1.1": (
        "0.1.0",
        [
            ("mix.exs", 'version: "0.1.0"', 'version: "0.1.1"'),
            (
                COUNTER,
                "  def increment,",
                "  def hold, do: spawn(fn -> receive do: (:stop -> :ok) end)\n\n  def increment,",
            ),
        ],
    ),
    "0.2.1": (
        "0.2.0",
        [
            ("mix.exs", 'version: "0.2.0"', 'version: "0.2.1"'),
            (
                COUNTER,
                "when is_integer(count), do: {:ok, migrate(count)}",
                'when is_integer(count), do: raise("never")',
            ),
        ],
    ),
    # Its application has a new callback, which refuses; and its configuration has a key more, and may not be evaluated.
    "0.2.2": (
        "0.2.0",
        [
            ("mix.exs", 'version: "0.2.0"', 'version: "0.2.2"'),
            (
                "lib/beacon/application.ex",
                "  # Called before",
                "  @impl true\n  def config_change(_changed, _new, _removed), do: {:error, :not_now}\n\n  # Called before",
            ),
            (
                "config/runtime.exs",
                "config :beacon,\n",
                'if System.get_env("BEACON_RAISES"), do: raise("not with this setting")\n\nconfig :beacon,\n  colour: "green",\n',
            ),
        ],
    ),
    # What no plan can see: its application starts a process more; and it boots only where a setting lets it.
    "0.2.3": (
        "0.2.0",
        [
            ("mix.exs", 'version: "0.2.0"', 'version: "0.2.3"'),
            (
                "lib/beacon/application.ex",
                "      [Beacon.Counter,",
                '      [{Agent, fn -> "no" = System.get_env("BEACON_REFUSES", "no") end}, Beacon.Counter,',
            ),
        ],
    ),
}

# The counter does something until it is told to go on; and who tells it, once an upgrade waits for it.
BUSY = """
spawn(fun() -> sys:replace_state('Elixir.Beacon.Counter', fun(S) -> receive go -> S after 60000 -> S end end, 60000) end), ok.
"""
FREE = """
spawn(fun() ->
  Watch = fun Again() ->
    case whereis(alchemist_beam_upgrade) of
      undefined -> timer:sleep(5), Again();
      _ -> timer:sleep(900), whereis('Elixir.Beacon.Counter') ! go
    end
  end,
  Watch()
end), ok.
"""
HEALTH = {
    "http": None,
    "tcp": None,
    "node": {"applications": [], "timeout": 2.0, "connected": 0, "rejoin": True},
    "passes": 1,
    "interval": 0.05,
    "within": 10.0,
    "stable": 0.0,
}


def _variants(where: Path, into: Path) -> None:
    source = where / "source"
    subprocess.run([sys.executable, str(EXAMPLES / "make_versions.py"), str(source)], check=True)
    for version, (base, edits) in VARIANTS.items():
        subprocess.run(["git", "-C", str(source), "checkout", "--quiet", "--force", "v" + base], check=True)
        for file, old, new in edits:
            text = (source / file).read_text()
            assert text.count(old) == 1, (version, file)
            (source / file).write_text(text.replace(old, new))
        env = {**os.environ, "MIX_ENV": "prod"}
        argv = ["mix", "release", "--quiet", "--path", str(into / version)]
        # The application's version is that of its first build.
        shutil.rmtree(source / "_build", ignore_errors=True)
        subprocess.run(argv, cwd=source, env=env, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def store(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("made")
    _variants(made, made / "trees")
    location = "file://%s" % tmp_path_factory.mktemp("store")
    for tree in [releases / "0.1.0", releases / "0.2.0", *(made / "trees" / version for version in VARIANTS)]:
        run_artifact({"store": location, "state": "present", "name": NAME, "path": str(tree)}, False)
    return location


class Server:
    """A server with releases that were installed, and a node that runs."""

    def __init__(self, site: Site, store: str, version: str = "0.1.0", *others: str, **env: str) -> None:
        self.site = site
        for one in ("0.2.0", *others, version):
            self.install(store, one, "active" if one == version else "staged")
        site.env(**env)
        site.run()

    def install(self, store: str, version: str, state: str) -> None:
        given = {
            "store": store,
            "name": NAME,
            "base": str(self.site.base),
            "version": version,
            "state": state,
            "min_free_mb": 1,
        }
        install.work({**{key: spec.get("default") for key, spec in install.OPTIONS.items()}, **given}, False)

    def upgrade(self, version: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        spec = {key: option.get("default") for key, option in upgrade.OPTIONS.items()}
        given = {
            "name": NAME,
            "base": str(self.site.base),
            "manager": "daemon",
            "version": version,
            "health": HEALTH,
            **options,
        }
        return upgrade.work({**spec, **given}, check_mode)

    def ask(self, module: t.Any, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """What another module says of it."""
        spec = {key: option.get("default") for key, option in module.OPTIONS.items()}
        given = {**spec, "name": NAME, "base": str(self.site.base), "manager": "daemon", **options}
        if module is info:
            return info.work(given)
        return t.cast("dict[str, t.Any]", module.work({**given, "health": HEALTH}, check_mode))

    def fails(self, code: str, version: str, **options: t.Any) -> BeamError:
        with pytest.raises(BeamError) as caught:
            self.upgrade(version, **options)
        assert caught.value.code == code, caught.value.message
        return caught.value

    def blocked(self, version: str, **options: t.Any) -> list[str]:
        """By which blockers; the plan and the refusal name the same ones."""
        plan = self.upgrade(version, check_mode=True, **options)
        codes = [one["code"] for one in plan["blockers"]]
        assert (plan["action"], plan["changed"]) == ("blocked", False)
        error = self.fails("upgrade_blocked", version, **options)
        assert [one["code"] for one in error.details["blockers"]] == codes
        return codes

    def process(self) -> NodeProcess:
        process = self.site.process()
        assert process is not None
        return process

    def current(self) -> str:
        return os.path.basename(os.path.realpath(self.site.base / "current"))

    def get(self, path: str) -> dict[str, t.Any]:
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.site.port, path), timeout=5) as answer:
            return dict(json.loads(answer.read()))

    def count(self) -> int:
        return int(self.get("/counter")["count"])

    def run(self, text: str, **bound: t.Any) -> t.Any:
        with connect(self.process(), 5) as node:
            return Remote(node).run(text, 10, **bound)

    def files(self) -> dict[str, float]:
        """All but directories: in one of them there was one for a while, for the configuration."""
        found = (path for path in self.site.base.rglob("*") if path.is_symlink() or not path.is_dir())
        return {str(path): path.lstat().st_mtime for path in found if "log" not in path.parts}


class Load(threading.Thread):
    """Requests one after the other, each on a connection of its own; what failed of them."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.counts: list[int] = []
        self.failed: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.ask()

    def ask(self) -> None:
        try:
            self.counts.append(self.server.count())
        except (OSError, ValueError, KeyError) as exc:
            self.failed.append(repr(exc))

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.over.set()
        self.join(10)


@pytest.fixture
def bare(tmp_path: Path, epmd_port: int) -> t.Iterator[Site]:
    (tmp_path / "none").mkdir()
    made = Site(tmp_path / "srv", tmp_path / "none", epmd_port)
    (made.base / "current").unlink()
    (made.base / "releases").rmdir()
    try:
        yield made
    finally:
        made.clean()


def test_up_and_down_under_load_with_state(bare: Site, store: str) -> None:
    server = Server(bare, store)
    before, files = server.process(), server.files()
    for _unused in range(3):
        server.count()

    plan = server.upgrade("0.2.0", check_mode=True)
    assert (plan["action"], plan["changed"], plan["from"], plan["to"], plan["blockers"]) == (
        "hot",
        True,
        "0.1.0",
        "0.2.0",
        [],
    )
    assert set(plan["modules"]["changed"]) >= {"Elixir.Beacon.Counter", "Elixir.Beacon.Greeting"}
    assert [(one["module"], one["count"]) for one in plan["processes"]] == [("Elixir.Beacon.Counter", 1)]
    assert plan["applications"] == {"beacon": {"from": "0.1.0", "to": "0.2.0"}}
    assert server.files() == files and server.current() == "0.1.0" and server.get("/health")["version"] == "0.1.0"

    with Load(server) as load:
        up = server.upgrade("0.2.0")
        assert (up["action"], up["changed"], up["old_code"]) == ("hot", True, [])
        assert 0 < up["suspended_ms"] < 5000 and up["suspended"] == 1
        assert server.get("/health")["version"] == "0.2.0" and server.current() == "0.2.0"
        again = server.upgrade("0.2.0")
        assert (again["action"], again["changed"]) == ("none", False)
        assert server.blocked("0.1.0") == ["not_newer"]
        down = server.upgrade("0.1.0", downgrade=True)
        assert (down["action"], down["direction"]) == ("hot", "down")
    assert server.get("/health")["version"] == "0.1.0" and server.current() == "0.1.0"
    assert load.failed == [] and load.counts == list(range(4, 4 + len(load.counts))), "the count was never lost"
    assert server.process().identity == before.identity
    # Nothing of ours is left, neither a module nor a name. Old code stays only where somebody may keep a function of it.
    whereis, old = server.run(
        "{erlang:whereis(alchemist_beam_upgrade), [M || {M, _} <- code:all_loaded(), erlang:check_old_code(M)]}."
    )
    assert whereis == "undefined" and set(map(str, old)) < set(plan["modules"]["changed"]), old
    print(
        "suspended %.1f ms up, %.1f ms down; %d requests" % (up["suspended_ms"], down["suspended_ms"], len(load.counts))
    )

    # What it runs is told by all who look, though it was booted from another release: there is no reason to restart it.
    done = server.upgrade("0.2.0")
    assert (done["before"]["version"], done["after"]["version"]) == ("0.1.0", "0.2.0")
    seen = server.ask(info, expect_version="0.2.0", modified=True)
    assert seen["modified"] == []
    assert (seen["version"], seen["upgraded_from"], seen["drift"]) == ("0.2.0", "0.1.0", False)
    assert seen["restart"]["action"] == "none" and seen["started"] == server.process().facts()["started"]
    kept = server.ask(restart)
    assert (kept["action"], kept["after"]["version"]) == ("none", "0.2.0")
    server.install(store, "0.1.0", "active")
    assert server.ask(info)["drift"] and server.ask(restart, check_mode=True)["action"] == "restart"
    server.install(store, "0.2.0", "active")
    # What somebody loads by hand is seen.
    beam = "%s/releases/0.1.0/lib/beacon-0.1.0/ebin/Elixir.Beacon.Greeting" % bare.base
    server.run("{module, _} = code:load_abs(Beam), ok.", beam=list(beam.encode()))
    seen = server.ask(info, modified=True)
    assert seen["modified"] == ["Elixir.Beacon.Greeting"] and seen["drift"]
    # What is current is what the next start boots.
    bare.run(force=True)
    assert server.ask(info)["upgraded_from"] is None
    assert server.get("/health")["version"] == "0.2.0" and server.process().identity != before.identity


def test_a_code_change_that_raises_leaves_the_version_before_with_its_state(bare: Site, store: str) -> None:
    server = Server(bare, store, "0.1.0", "0.2.1")
    before, count = server.process(), server.count()
    began = time.monotonic()
    error = server.fails("upgrade_failed", "0.2.1")
    assert time.monotonic() - began < 30
    assert error.details["phase"] == "code_change" and "never" in error.why and error.details["lost"] == []
    assert server.count() == count + 1 and server.current() == "0.1.0"
    assert server.get("/health")["version"] == "0.1.0" and server.process().identity == before.identity
    # And it is none the worse for it.
    assert server.upgrade("0.2.0")["action"] == "hot" and server.count() == count + 2


def test_busy_processes_are_named_and_left_alone(bare: Site, store: str) -> None:
    server = Server(bare, store)
    count = server.count()
    server.run(BUSY)
    error = server.fails("upgrade_failed", "0.2.0", suspend_timeout=0.6)
    assert error.details["phase"] == "suspend" and "Beacon.Counter" in error.why
    # It is free again after the swap has begun: it is asked more than once.
    server.run(FREE)
    done = server.upgrade("0.2.0", suspend_timeout=20.0)
    assert done["action"] == "hot" and done["attempts"] > 1 and server.count() == count + 1


def test_what_follows_the_swap_fails_and_all_of_it_goes_back(bare: Site, store: str) -> None:
    server = Server(bare, store, "0.1.0", "0.2.2")
    count = server.count()
    assert server.blocked("0.2.2") == ["application_changed"]
    accepted = {"accept": ["application_changed"]}
    plan = server.upgrade("0.2.2", check_mode=True, **accepted)
    assert plan["configuration"] == {"changed": [], "new": ["beacon.colour"], "gone": []}
    said = "{lists:sort(application:get_all_env(beacon)), application:get_key(beacon, vsn)}."
    before = server.run(said)
    error = server.fails("upgrade_failed", "0.2.2", **accepted)
    assert error.details["phase"] == "config_change" and "not_now" in error.why
    assert server.run(said) == before
    assert server.count() == count + 1 and server.current() == "0.1.0" and server.get("/health")["version"] == "0.1.0"
    assert server.upgrade("0.2.0")["action"] == "hot"

    # A check that does not hold, after the swap.
    http = {
        key: option.get("default") for key, option in upgrade.OPTIONS["health"]["options"]["http"]["options"].items()
    }
    health = {**HEALTH, "node": None, "http": {**http, "url": bare.url, "json": {"version": "9.9.9"}}, "within": 0.5}
    error = server.fails("upgrade_failed", "0.1.0", downgrade=True, health=health)
    assert (
        error.details["phase"] == "gate" and server.current() == "0.2.0" and server.get("/health")["version"] == "0.2.0"
    )
    assert server.count() == count + 2

    # What would refuse the switch is seen while nothing has been touched.
    (bare.base / "current").unlink()
    (bare.base / "current").mkdir()
    server.fails("current_not_a_link", "0.1.0", downgrade=True)
    assert server.get("/health")["version"] == "0.2.0"


def test_a_configuration_that_raises_touches_nothing_and_a_restart_in_its_place(bare: Site, store: str) -> None:
    server = Server(bare, store, "0.1.0", "0.2.2", BEACON_RAISES="yes")
    count = server.count()
    error = server.fails("upgrade_config_failed", "0.2.2", accept=["application_changed"])
    assert "not with this setting" in error.why and server.count() == count + 1
    assert str(bare.values["BEACON_SECRET"]) not in json.dumps(error.as_result())
    bare.env()
    before = server.process()
    plan = server.upgrade("0.2.2", check_mode=True, on_blocked="restart")
    assert (plan["action"], plan["changed"]) == ("restart", True) and server.process().identity == before.identity
    done = server.upgrade("0.2.2", on_blocked="restart")
    assert (done["action"], done["restart"]["action"], done["changed"]) == ("restart", "restart", True)
    assert server.get("/health")["version"] == "0.2.2" and server.current() == "0.2.2"


def test_old_code_is_named_and_the_next_upgrade_waits_for_it(bare: Site, store: str) -> None:
    server = Server(bare, store, "0.1.1", "0.2.1")
    server.run("register(holder, 'Elixir.Beacon.Counter':hold()), ok.")
    assert [one["module"] for one in server.upgrade("0.2.0", check_mode=True)["inside"]] == ["Elixir.Beacon.Counter"]
    done = server.upgrade("0.2.0")
    assert done["action"] == "hot"
    assert [one["module"] for one in done["old_code"]] == ["Elixir.Beacon.Counter"] and "holder" in str(
        done["old_code"]
    )
    assert server.blocked("0.2.1") == ["old_code_in_use"]
    server.run("holder ! stop, ok.")
    assert server.upgrade("0.2.1")["action"] == "hot"


def test_a_rehearsal_beside_the_node_says_hot_or_restart(bare: Site, store: str) -> None:
    server = Server(bare, store, "0.1.0", "0.2.3")
    before, count, files = server.process(), server.count(), server.files()
    alone = {"rehearse": True}
    assert server.upgrade("0.2.0", check_mode=True, **alone)["rehearsal"]["action"] == "skipped"
    given = {"rehearse": True, "rehearse_env": {"PORT": "0"}, "boot_timeout": 60.0}
    accepted = {**given, "accept": ["application_changed"]}

    # Accepted, because somebody believes that nothing is started that did not run before.
    plan = server.upgrade("0.2.3", check_mode=True, **accepted)
    assert plan["rehearsal"]["action"] == "restart" and [one["code"] for one in plan["blockers"]] == [
        "rehearsal_differs"
    ]
    assert plan["rehearsal"]["why"] == ["a cold boot starts beacon > Agent, and a hot upgrade does not"]
    assert "beacon > Agent" in server.fails("upgrade_blocked", "0.2.3", **accepted).why
    refused = {**accepted, "rehearse_env": {"PORT": "0", "BEACON_REFUSES": "yes"}}
    error = server.fails("rehearsal_failed", "0.2.3", **refused)
    assert "no match of right hand side" in error.why and server.files() == files
    assert server.count() == count + 1 and server.process().identity == before.identity

    done = server.upgrade("0.2.0", **given)
    assert (done["action"], done["rehearsal"]["action"], done["rehearsal"]["why"]) == ("hot", "hot", [])
    print("rehearsed in %.1f s" % done["rehearsal"]["seconds"])
    assert server.count() == count + 2 and server.process().identity == before.identity
    # Nothing of it is left: neither a process nor a file.
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"rehearsal-" in path.read_bytes()]
    assert not list(bare.base.rglob("migrate-*"))


def test_blockers_that_are_known_without_the_code(bare: Site, store: str) -> None:
    server = Server(bare, store)
    assert server.blocked("0.9.0") == ["release_missing"]
    assert server.blocked("0.2.0", expect_running="0.1.9", ghosts=["0.2.0"]) == ["ghost", "other_version"]
    # As if another upgrade were under way.
    server.run("P = spawn(fun() -> timer:sleep(60000) end), register(alchemist_beam_upgrade, P), ok.")
    assert server.fails("upgrade_busy", "0.2.0").details["phase"] == "busy"
    server.run("exit(whereis(alchemist_beam_upgrade), kill), ok.")
    bare.run(state="stopped")
    assert server.blocked("0.2.0") == ["not_running"]
    bare.env(RELEASE_DISTRIBUTION="none")
    bare.run()
    assert server.blocked("0.2.0") == ["distribution_off"]


def test_the_module_itself(bare: Site, store: str) -> None:
    server = Server(bare, store)
    given = {"name": NAME, "base": str(bare.base), "manager": "daemon", "version": "0.2.0"}
    argv = [str(Path(sys.executable).with_name("ansible")), "localhost", "-i", "localhost,", "-c", "local"]
    argv += ["-m", "alchemist.beam.beam_upgrade", "-a", json.dumps(given)]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = playbooks.run(argv, env, timeout=120)
    assert done.returncode == 0, done.stdout
    assert str(bare.values["BEACON_SECRET"]) not in done.stdout and bare.cookie not in done.stdout
    result = json.loads(done.stdout[done.stdout.index("=> {") + 3 : done.stdout.rindex("}") + 1])
    assert (result["action"], result["from"], result["to"]) == ("hot", "0.1.0", "0.2.0") and server.current() == "0.2.0"
