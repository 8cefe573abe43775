# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each place that shows what an application, a build or a user's own task said. What they say holds secrets, in several forms; what is shown holds none.

A file that begins to show such output fails the last test until it is in the table.
"""

from __future__ import annotations

import base64
import io
import json
import re
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("ansible")
from ansible.plugins.action import ActionBase
from ansible_collections.alchemist.beam.plugins.action import settings_check
from ansible_collections.alchemist.beam.plugins.filter import rollout_html
from ansible_collections.alchemist.beam.plugins.module_utils._bootstrap.report import Report
from ansible_collections.alchemist.beam.plugins.module_utils._build import git
from ansible_collections.alchemist.beam.plugins.module_utils._build.command import Finished
from ansible_collections.alchemist.beam.plugins.module_utils._build.project import ask_project
from ansible_collections.alchemist.beam.plugins.module_utils._build.request import Request
from ansible_collections.alchemist.beam.plugins.module_utils._build.steps import Steps
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._gates.findings import Finding
from ansible_collections.alchemist.beam.plugins.module_utils._gates.place import There
from ansible_collections.alchemist.beam.plugins.module_utils._gates.reports import junit
from ansible_collections.alchemist.beam.plugins.module_utils._gates.results import Case
from ansible_collections.alchemist.beam.plugins.module_utils._gates.session import Session
from ansible_collections.alchemist.beam.plugins.module_utils._image.skopeo import explain as explain_image
from ansible_collections.alchemist.beam.plugins.module_utils._mask import HIDDEN, Mask
from ansible_collections.alchemist.beam.plugins.module_utils._modules import logs
from ansible_collections.alchemist.beam.plugins.module_utils._modules.node import Node as NodeOf
from ansible_collections.alchemist.beam.plugins.module_utils._node import explain, health, info, probes, restart
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.expression import Answer, Expression, in_release
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot import config, rehearsal
from ansible_collections.alchemist.beam.plugins.module_utils._node.manager import Started, Status
from ansible_collections.alchemist.beam.plugins.module_utils._node.migrate import Request as Migration
from ansible_collections.alchemist.beam.plugins.module_utils._node.migrate import migrate
from ansible_collections.alchemist.beam.plugins.module_utils._node.process import NodeProcess
from ansible_collections.alchemist.beam.plugins.module_utils._node.surroundings import surroundings_of
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target
from ansible_collections.alchemist.beam.plugins.module_utils._rollout.history import write_report
from ansible_collections.alchemist.beam.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.alchemist.beam.plugins.plugin_utils import _outcome
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_files import render_files
from ansible_collections.alchemist.beam.plugins.plugin_utils._report_progress import Progress
from ansible_collections.alchemist.beam.plugins.plugin_utils._screen import Screen
from ansible_collections.alchemist.beam.plugins.plugin_utils._settings import asked

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
TOKEN, PASSWORD, COOKIE = "Zq9kfw27ab", "Pz7mq3xx9", "monster-cookie"
GIVEN = {"SHOP_TOKEN": TOKEN, "DATABASE_URL": "ecto://shop:%s@db/shop" % PASSWORD, "RELEASE_COOKIE": COOKIE}
# Known by its shape alone: on the controller nobody knows the settings of a server.
SHAPED = "GET https://shop:%s@db/shop?token=%s fails" % (PASSWORD, TOKEN)
SAID = "** (RuntimeError) %s %s %s <<%s>> of %s, %s" % (
    TOKEN,
    base64.b64encode(TOKEN.encode()).decode(),
    PASSWORD,
    ",".join(str(byte) for byte in PASSWORD.encode()),
    GIVEN["DATABASE_URL"],
    SHAPED,
)
NEVER = (
    TOKEN,
    PASSWORD,
    COOKIE,
    base64.b64encode(TOKEN.encode()).decode(),
    ",".join(str(byte) for byte in PASSWORD.encode()),
)
ROOT = "/srv/shop/releases/1.0.0"
TARGET = Target("shop", ROOT, "1.0.0")
NODE = NodeProcess(10, 1, True, ROOT, "1.0.0", "shop@h", "sname", argv_cookie=COOKIE)
REPORT = {
    "name": "shop",
    "channel": "production",
    "id": "1",
    "begun": "2026-01-01T00:00:00Z",
    "rows": [{"host": "h1", "error": SHAPED, "log": [SHAPED]}],
    "error": SHAPED,
}
HOOK = {"failed": True, "msg": SHAPED}


class Node:
    """A manager of a node that says all that it has, and then does not start, or is not well."""

    name = "fake"

    def __init__(self, directory: Path, starts: bool = True) -> None:
        self.dump = directory / "erl_crash.dump"
        self.dump.write_text("=erl_crash_dump:0.5\nSlogan: %s\n" % SAID)
        self.starts = starts

    def status(self) -> Status:
        return Status(NODE, "active") if self.starts else Status(None, "failed")

    def preflight(self, target: Target) -> None:
        pass

    def start(self, target: Target, timeout: float) -> Started:
        if not self.starts:
            raise BeamError("boot_failed", "shop does not start", SAID, "Read its log", said=[SAID])
        return Started(NODE, 0.5)

    def ended(self) -> str:
        return ""

    def log(self, lines: int) -> list[str]:
        return [SAID, "cookie " + COOKIE][:lines]

    def last_boots(self) -> list[list[str]]:
        return [self.log(9)]

    def fate(self) -> tuple[str, str]:
        return "", ""

    def crash_dump(self) -> str:
        return str(self.dump)

    def mask(self) -> Mask:
        return Mask(GIVEN)


def failing(work: t.Callable[[], t.Any]) -> dict[str, t.Any]:
    with pytest.raises(BeamError) as caught:
        work()
    return {"msg": caught.value.message, **caught.value.as_result()}


def answers(monkeypatch: pytest.MonkeyPatch) -> health.Health:
    monkeypatch.setattr(health, "ask_http", lambda check: health.Answer(500, SAID.encode()))
    return health.Health(http=health.HttpCheck("http://127.0.0.1:4000/health"), passes=1, interval=0.01, within=0.05)


def start(at: Path, monkeypatch: pytest.MonkeyPatch, starts: bool) -> t.Any:
    what = restart.plan("started", Status(None, "failed"), TARGET)
    return failing(lambda: restart.apply(what, t.cast(t.Any, Node(at, starts)), answers(monkeypatch), 1, 1))


def script(at: Path, name: str) -> Path:
    path = at / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\ncat <<'END'\n%s\nEND\nexit 2\n" % SAID)
    path.chmod(0o755)
    return path


def migration(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    release(at)
    shown = failing(
        lambda: migrate(Migration(str(at), "shop", "1.0.0", "Shop.Release.migrate()"), Daemon(str(at), "shop"))
    )
    return shown, Path(shown["log_file"]).read_text()


def build(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    request = Request(str(at), str(at), elixir_path=str(script(at, "mix").parent), compile_env=GIVEN)
    return failing(lambda: Steps(request, "shop", str(at / "compiled"), (), 1).mix("compile", "compile"))


def gate(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    """What a tool says goes to the result, to files beside the build, and to reports in the store."""
    session = Session.__new__(Session)
    session.there = There(Request(str(at), str(at), compile_env=GIVEN))
    case = Case("shop", "ShopTest", "a", "failed", 0.1, "a.exs", 1, SAID)
    found = session.masked(Finding("failed", SAID, named=(SAID,), cases=(case,), sarif={"runs": [SAID]}, output=SAID))
    return found.reason, found.named, found.sarif, found.output, junit(found.cases).decode()


def release(at: Path) -> Target:
    """Installed, with settings; its launcher says all that it has, and fails."""
    root = at / "releases" / "1.0.0"
    (root / "releases").mkdir(parents=True)
    (root / "releases" / "start_erl.data").write_text("13.1 1.0.0")
    script(root, "shop")
    (at / "shared" / "run" / "shop").mkdir(parents=True)
    (at / "shared" / "shop.env").write_text("".join("%s=%s\n" % pair for pair in GIVEN.items()))
    (at / "shared" / "shop.env").chmod(0o600)
    return Target("shop", str(root), "1.0.0")


def logs_of_a_daemon(at: Path, patch: pytest.MonkeyPatch) -> t.Any:
    release(at)
    daemon = Daemon(str(at), "shop")
    Path(daemon.log_file).parent.mkdir()
    Path(daemon.log_file).write_text(SAID + "\n")
    patch.setattr(logs.node, "node_of", lambda _options: NodeOf("shop", "current", daemon, Status(None, "failed")))
    return logs.work({"lines": 10, "since": "", "follow": "0"})


def expression(_at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    asked_for = Expression("Shop.x()", 1, Mask(GIVEN), "node shop@h")
    raised = failing(lambda: asked_for.result(Answer("error", SAID, SAID, SAID)))
    return raised, asked_for.result(Answer("ok", SAID, SAID, SAID))


def expression_of_a_release(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    target = release(at)
    asked_for = Expression("Shop.x()", 1, Mask(GIVEN), "shop 1.0.0")
    return failing(lambda: in_release(target, surroundings_of(Daemon(str(at), "shop")), asked_for))


def configuration(at: Path, patch: pytest.MonkeyPatch) -> t.Any:
    """What the process that runs was given is secret, too, where its file was changed since."""
    target = release(at)
    (at / "shared" / "shop.env").write_text("LANG=C\n")
    patch.setattr(config, "environment_of", lambda _pid: {"PATH": "/usr/bin:/bin", **GIVEN})
    return failing(lambda: config.evaluate(NODE, Daemon(str(at), "shop"), [target], 30))


def rehearsed(at: Path, patch: pytest.MonkeyPatch) -> t.Any:
    """Neither of the two nodes boots: the first one ends the rehearsal, the second one the upgrade."""
    target = release(at)
    (at / "shared" / "shop.env").write_text("LANG=C\n")
    patch.setattr(config, "environment_of", lambda _pid: {"PATH": "/usr/bin:/bin", **GIVEN})
    session = t.cast("t.Any", SimpleNamespace(process=NODE, manager=Daemon(str(at), "shop")))
    box = rehearsal.Sandbox(session, {"PORT": "0"}, 30)

    def boot() -> None:
        with box.booted(target):
            pass

    with pytest.raises(rehearsal.Unfit) as unfit:
        boot()
    found = failing(boot)
    box.close()
    return str(unfit.value), found


def project(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    return failing(lambda: ask_project(str(at), {"PATH": "/usr/bin:/bin"}, str(script(at, "elixir")), 10, Mask(GIVEN)))


def bootstrap(_at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    said = io.StringIO()
    report = Report("shop", said)
    report.hide(GIVEN.values())
    error = BeamError("boot_failed", "shop does not start", SAID, "", log=[SAID], crash=SAID)
    report.tell(error)
    return said.getvalue(), report.masked(error).as_result()


def history(at: Path, _patch: pytest.MonkeyPatch) -> t.Any:
    store = DirectoryStore(str(at))
    write_report(store, "shop", "production", 1, "20260301T120000Z-0a1b2c3d", REPORT, "<html>%s</html>" % SHAPED)
    return [path.read_text() for path in sorted(at.rglob("*")) if path.is_file() and "history" in str(path)]


def settings(_at: Path, patch: pytest.MonkeyPatch) -> t.Any:
    """No application's output; but what the module refuses before the others see it is not masked by them."""
    patch.setattr(ActionBase, "run", lambda *_given: {})
    action = settings_check.ActionModule.__new__(settings_check.ActionModule)
    action._task = SimpleNamespace(
        args={"of_rollout": True},
    )
    action._templar = SimpleNamespace(template=lambda value: value)
    wrong = {"rollout_health": {"http": {"url": "http://shop:%s/@127.0.0.1/h" % PASSWORD}}}
    said = action.run(None, {**{"rollout_" + name: "" for name in asked()}, **wrong})
    assert said["failed"]
    return said


PLACES: dict[str, t.Callable[[Path, pytest.MonkeyPatch], t.Any]] = {
    "beam_restart: a node that does not start": lambda at, patch: start(at, patch, False),
    "beam_restart: a health check that fails": lambda at, patch: start(at, patch, True),
    "beam_info: why it is down": lambda at, patch: explain.why_down(
        t.cast(t.Any, Node(at, False)), Status(None, "failed")
    ),
    "beam_info: crash dumps": lambda at, patch: info.gather(
        str(at), "shop", Status(None, "failed"), [str(Node(at).dump)], mask=Mask(GIVEN)
    )["crash_dumps"],
    "beam_info: health": lambda at, patch: probes.ask_once(answers(patch), NODE, Mask(GIVEN)),
    "beam_migrate: the result and the log": migration,
    "beam_logs: lines of a log": logs_of_a_daemon,
    "beam_rpc: a value, and what was raised": expression,
    "beam_eval: a command that fails": expression_of_a_release,
    "beam_upgrade: a configuration that fails": configuration,
    "beam_upgrade: a second node that does not boot": rehearsed,
    "mix_release: a step that fails": build,
    "mix_gate: a gate that fails": gate,
    "mix_release: mix.exs that fails": project,
    "mix_release: git": lambda at, patch: failing(
        lambda: git.refuse("https://shop:%s@h/r" % PASSWORD, "it fails", Finished(1, SHAPED, SHAPED))
    ),
    "beam-bootstrap: its journal and its records": bootstrap,
    "rollout: a hook that fails": lambda at, patch: [
        one.text
        for one in _outcome.record({_outcome.RECORD: {"hook": {"failed": True, "msg": SHAPED}, "leave": HOOK}}).results
    ],
    "rollout: why it was refused": lambda at, patch: _outcome.error(HOOK),
    "rollout: report and page": lambda at, patch: [data.decode() for data in render_files(REPORT).values()],
    "rollout: page of a report that was kept": lambda at, patch: rollout_html.rollout_html(REPORT),
    "rollout: history": history,
    "settings_check: a URL that is refused": settings,
    "callback rollout: progress": lambda at, patch: Progress().failed("h1", "restart", HOOK),
    "release_image: what skopeo said": lambda at, patch: explain_image("it fails", SHAPED).as_failure(),
    "callback quiet: a task that fails": lambda at, patch: Screen().failed("h1", "A hook", HOOK),
}
# Files that read or hand on such output, and show it through a place above.
BEHIND = {
    "_modules/logs.py",
    "_bootstrap/report.py",
    "_build/command.py",
    "_build/git.py",
    "_build/project.py",
    "_build/steps.py",
    "_gates/findings.py",
    "_gates/runner.py",
    "_gates/session.py",
    "_gates/table.py",
    "_image/skopeo.py",
    "_node/crash.py",
    "_node/daemon.py",
    "_node/explain.py",
    "_node/expression.py",
    "_node/health.py",
    "_node/hot/config.py",
    "_node/hot/rehearsal.py",
    "_node/journal.py",
    "_node/logs.py",
    "_node/manager.py",
    "_node/migrate.py",
    "_node/restart.py",
    "_node/systemd.py",
}
READS = re.compile(
    r"\boutput=|(?<!math)\.log\(|\bslogan\(|\"journalctl\"|\bexcerpt\(|\blast_boots\(|\.full\b|mask\.lines\("
)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_shown_holds_no_secret(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = PLACES[place](tmp_path, monkeypatch)
    text = json.dumps(shown, default=str)
    assert HIDDEN in text, "nothing was shown: %s" % text
    assert [secret for secret in NEVER if secret in text] == [], text


def test_no_other_file_shows_such_output() -> None:
    found = {
        str(path.relative_to(PLUGINS))
        for path in PLUGINS.rglob("*.py")
        if READS.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"module_utils/" + name for name in BEHIND}
