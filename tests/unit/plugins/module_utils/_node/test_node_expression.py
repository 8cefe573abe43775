# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An expression of a person: what is asked of a node or of a launcher, what comes back, and what nobody gets to see."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._mask import Mask
from ansible_collections.alchemist.beam.plugins.module_utils._modules import expression as modules
from ansible_collections.alchemist.beam.plugins.module_utils._node import expression as expressions
from ansible_collections.alchemist.beam.plugins.module_utils._node.daemon import Daemon
from ansible_collections.alchemist.beam.plugins.module_utils._node.expression import (
    Answer,
    Expression,
    in_node,
    in_release,
    literals,
    read_term,
)
from ansible_collections.alchemist.beam.plugins.module_utils._node.surroundings import surroundings_of
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import staged

SECRET = "correct-horse-battery"
MASK = Mask({"TOKEN": SECRET})
# Does what the evaluator does, as far as the shell can: says with what it was called, and leaves the answer that the expression is.
LAUNCHER = """#!/bin/sh
[ "$1" = eval ] || exit 99
echo "called with: $2"
. "$RELEASE_TMP/expression"
"""


def asked(text: str = "1", timeout: float = 5, where: str = "node shop@h1") -> Expression:
    return Expression(text, timeout, MASK, where)


class Answers:
    """A connection whose node answers this."""

    def __init__(self, answer: t.Any) -> None:
        self.answer = answer
        self.calls: list[tuple[t.Any, ...]] = []

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def call(self, *words: t.Any, timeout: float) -> t.Any:
        self.calls.append((*words, timeout))
        return self.answer


def test_the_node_gets_the_expression_as_data_and_its_value_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Answers((("ok", b"%{a: 1}", b"", ("hi\ntoken %s\n" % SECRET).encode()), []))
    monkeypatch.setattr(expressions, "connect", lambda _process, _timeout: node)
    found = in_node(t.cast("t.Any", None), asked("é", 2.5))
    assert found["value"] == "%{a: 1}" and found["printed"] == ["hi", "token ********"]
    [(module, function, text, binding, timeout)] = node.calls
    assert (module, function, timeout) == ("Elixir.Code", "eval_string", 7.5)
    assert "é".encode() not in text and dict(binding) == {"expression": "é".encode(), "limit": 2500}


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        (Answer("error", "** (RuntimeError) no %s\n    (shop) f/1" % SECRET), "expression_raised", "no ********"),
        (Answer("refused", "** (SyntaxError) line 1: before: hunter2"), "expression_invalid", "before: ********"),
        (Answer("late", ""), "expression_late", "it ran for 5 s"),
    ],
)
def test_what_went_wrong_is_told_as_the_node_says_it(answer: Answer, code: str, why: str) -> None:
    with pytest.raises(BeamError) as raised:
        asked('f("hunter2")').result(answer)
    assert raised.value.code == code and why in raised.value.why and raised.value.hint
    if code == "expression_raised":
        assert raised.value.details["output"] == ["    (shop) f/1"]


def test_what_it_raises_itself_may_be_a_text_of_it() -> None:
    with pytest.raises(BeamError, match="no such thing"):
        asked('raise "no such thing"').result(Answer("error", "** (RuntimeError) no such thing"))


def test_texts_of_an_expression() -> None:
    assert literals('f("hunter2", \'charlist\', "abc", "a\\"bcd")') == ["hunter2", "charlist", 'a\\"bcd']


@pytest.mark.parametrize("said", [None, (), ((1, 2), []), ("ok", []), (("ok", 7, b"", b""), [])])
def test_a_strange_answer_is_no_value(said: t.Any) -> None:
    with pytest.raises(BeamError) as raised:
        read_term(said)
    assert raised.value.code == "expression_answer_strange"


@pytest.mark.parametrize(("text", "timeout"), [("", 5.0), ("  \n", 5.0), ("1", 0.0), ("1", -1.0)])
def test_nothing_and_no_time_are_refused(text: str, timeout: float) -> None:
    with pytest.raises(BeamError):
        asked(text, timeout).check()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    root = tmp_path / "releases" / "1.0.0"
    (root / "bin").mkdir(parents=True)
    (root / "releases").mkdir()
    (root / "releases" / "start_erl.data").write_text("13.1 1.0.0")
    (root / "bin" / "shop").write_text(LAUNCHER)
    (root / "bin" / "shop").chmod(0o755)
    (tmp_path / "current").symlink_to("releases/1.0.0")
    (tmp_path / "shared").mkdir()
    env = tmp_path / "shared" / "shop.env"
    env.write_text("TOKEN=%s\nRELEASE_COOKIE=cookie-of-the-node\n" % SECRET)
    env.chmod(0o600)
    return tmp_path


def beside(base: Path, script: str, timeout: float = 5) -> dict[str, t.Any]:
    manager = Daemon(str(base), "shop")
    manager.directories()
    return in_release(
        staged(str(base), "shop", "1.0.0"), surroundings_of(manager), asked(script, timeout, "shop 1.0.0")
    )


def left(base: Path) -> list[Path]:
    return list((base / "shared" / "run" / "shop").glob("migrate-*"))


def test_a_vm_of_its_own_answers_by_a_file(base: Path) -> None:
    # The value is 42, the output "hi".
    found = beside(base, """printf '["ok","NDI=","","aGk="]' > "$RELEASE_TMP/answer" """)
    assert found["value"] == "42" and found["printed"] == ["hi"] and not left(base)


def test_its_environment_is_that_of_the_node_without_its_cookie(base: Path) -> None:
    script = """printf '["ok","%s","",""]' "$(env | base64 -w 0)" > "$RELEASE_TMP/answer" """
    said = beside(base, script)["value"]
    assert "TOKEN=********" in said and "RELEASE_DISTRIBUTION=none" in said and "cookie-of-the-node" not in said


def test_what_can_t_answer_says_what_the_command_said(base: Path) -> None:
    with pytest.raises(BeamError) as raised:
        beside(base, "echo no config for %s; exit 3" % SECRET)
    assert raised.value.code == "expression_unanswered" and raised.value.why == "exit status 3"
    said = raised.value.details["output"]
    assert (
        said[-1] == "no config for ********" and said[0].startswith("called with: Code.eval_file(") and not left(base)
    )


@pytest.mark.parametrize("answer", ["ln -s /etc/hostname $A", "mkfifo $A", "echo '[\"ok\",1,2,3]' > $A", "echo x > $A"])
def test_an_answer_that_is_none(base: Path, answer: str) -> None:
    with pytest.raises(BeamError) as raised:
        beside(base, 'A="$RELEASE_TMP/answer"; ' + answer)
    assert raised.value.code == "expression_unanswered" and not left(base)


def test_what_does_not_end_is_killed(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "_BOOT", 0.2)
    begun = time.monotonic()
    with pytest.raises(BeamError, match="it did not end in time"):
        beside(base, "sleep 61 & echo $! > %s; wait" % (base / "pid"), timeout=0.3)
    assert time.monotonic() - begun < 12
    stat = Path("/proc", (base / "pid").read_text().strip(), "stat")
    assert not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("Z")


def test_check_mode_runs_nothing(base: Path) -> None:
    options = {
        "name": "shop",
        "base": str(base),
        "manager": "daemon",
        "unit": None,
        "pointer": "current",
        "env_file": None,
        "colors": [],
        "timeout": 5.0,
        "version": None,
    }
    found = modules.evaluate(options, "touch %s; # %s" % (base / "made", SECRET), True)
    assert found["changed"] and found["version"] == "1.0.0" and not (base / "made").exists()
    assert found["would_run"].endswith("# ********") and SECRET not in str(found["command"])
    with pytest.raises(BeamError) as raised:
        modules.rpc(options, "1", True)
    assert raised.value.code == "node_not_running"
