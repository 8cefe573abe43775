# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node is given to evaluate, what its answers mean, and what of a process's environment another release may see."""

from __future__ import annotations

import os
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot import run, scripts
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.config import _own_file, own_environment
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.facts import Application, Changed, Look
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.plan import Place, Wish, make
from ansible_collections.alchemist.beam.plugins.module_utils._node.hot.remote import Remote, chars, names
from ansible_collections.alchemist.beam.plugins.module_utils._node.target import Target

OLD, NEW = Place("/srv/shop/releases/1.0.0", "1.0.0"), Place("/srv/shop/releases/1.1.0", "1.1.0")
CART = Changed("Elixir.Shop.Cart", "shop", "/new", b"n", b"o", "/old", True, [1], [2], migrates_to=True, migrates=True)
APP = (Application("shop", "1.0.0"),)


class Thrown:
    def __init__(self, term: t.Any) -> None:
        self.term = term


class Node:
    """Answers like a node, as it is told."""

    node = "shop@here"

    def __init__(self, *values: t.Any) -> None:
        self.values = list(values)
        self.given: list[dict[str, t.Any]] = []

    def call(self, module: str, function: str, *args: t.Any, timeout: float | None = None) -> t.Any:
        if (module, function) == ("erl_scan", "string"):
            return ("ok", ["tokens"], 1)
        if (module, function) == ("erl_parse", "parse_exprs"):
            return ("ok", ["parsed"])
        assert (module, function) == ("erl_eval", "exprs") and args[0] == ["parsed"] and timeout
        bound = dict(args[1])
        assert isinstance(bound["Text"], bytes)
        self.given.append({"Text": bound["Text"].decode(), **dict(bound["Bound"])})
        value = self.values.pop(0)
        return value.term if isinstance(value, Thrown) else ("value", value, [])


def session(node: Node, down: bool = False) -> run.Session:
    start, target = (NEW, OLD) if down else (OLD, NEW)
    plan = make(Wish(target.version, downgrade=True), start, target, Look("1", "1", APP, APP, APP, (CART,)))
    request = run.Request("/srv/shop", "shop", Wish(target.version), suspend_timeout=1.5)
    return run.Session(
        request,
        t.cast("t.Any", None),
        None,
        Target("shop", target.root, target.version),
        plan,
        Remote(t.cast("t.Any", node)),
    )


def test_names_are_in_the_order_in_which_erl_eval_looks_for_them() -> None:
    assert names({"to_vsn": 1, "from": 2, "to": 3}) == [("From", 2), ("To", 3), ("ToVsn", 1)]
    assert chars("aé") == [97, 233]


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("nonsense", "upgrade_answer", "nonsense"),
        (("unreadable", b"/srv/x.beam", b"permission denied"), "upgrade_unreadable", "x.beam"),
    ],
)
def test_an_answer_that_is_none_is_an_error(said: t.Any, code: str, words: str) -> None:
    with pytest.raises(BeamError) as caught:
        Remote(t.cast("t.Any", Node(Thrown(said)))).run("ok.", 1)
    assert caught.value.code == code and words in caught.value.message


def test_nothing_is_compiled_or_loaded_for_a_text() -> None:
    texts = [scripts.BOOT, scripts.LOOK, scripts.SWAP, scripts.KEYS, scripts.SETTLE]
    called = {name for text in texts for name in re.findall(r"\b([a-z_]+):[a-z_]\w*\(", text)}
    # Of kernel and stdlib alone: whatever else is part of a release, these are.
    assert called == {
        "application",
        "application_controller",
        "beam_lib",
        "binary",
        "code",
        "erl_eval",
        "erl_parse",
        "erl_scan",
        "erlang",
        "ets",
        "file",
        "filename",
        "io_lib",
        "lists",
        "maps",
        "os",
        "persistent_term",
        "proc_lib",
        "proplists",
        "string",
        "sys",
        "timer",
        "unicode",
    }
    assert not any("load_binary" in text or "ensure_loaded" in text for text in texts)
    assert all(text.rstrip().endswith(".") for text in texts)


def test_code_change_is_told_the_true_version_of_the_older_code() -> None:
    assert run.change_arguments(CART, down=False) == (1, ("down", 1))
    assert run.change_arguments(CART, down=True) == (("down", 2), 2)


@pytest.mark.parametrize("down", [False, True])
def test_the_swap_is_one_call_that_knows_its_direction(down: bool) -> None:
    node, done = Node(("ok", 2500, 7, 1)), run.Done()
    seen = session(node, down)
    run._swap(seen, t.cast(Remote, seen.remote), seen.plan, done)
    [given] = node.given
    assert (
        given["Down"] is down
        and given["Limit"] == 1500
        and given["Mods"] == [("Elixir.Shop.Cart", b"/new", b"n", b"/old", b"o")]
    )
    assert given["Change"] == {"Elixir.Shop.Cart": run.change_arguments(CART, down)}
    assert (done.suspended, done.processes, done.attempts) == (0.0025, 7, 1)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (("kept", "busy", b"", []), "upgrade_busy", "another upgrade"),
        (("kept", "suspend", b"late", [b"<0.1.0> cart"]), "upgrade_failed", "suspended: late: <0.1.0> cart"),
        (("back", "code_change", b"raised", [b"<0.1.0>"], [], 9000), "upgrade_failed", "code_change failed: raised"),
        (("back", "code_change", b"raised", [], [b"<0.7.0> task"], 9000), "upgrade_failed", "<0.7.0> task"),
        (("kept", "lost", b"both", []), "upgrade_lost", "the way back failed"),
    ],
)
def test_what_went_wrong_in_the_node_is_said(answer: tuple[t.Any, ...], code: str, words: str) -> None:
    seen = session(Node(answer))
    with pytest.raises(BeamError) as caught:
        run._swap(seen, t.cast(Remote, seen.remote), seen.plan, run.Done())
    assert caught.value.code == code and words in caught.value.message
    assert caught.value.details["phase"] == answer[1] and caught.value.details["from"] == "1.0.0"


def look_answer(**changes: t.Any) -> dict[str, t.Any]:
    empty: dict[str, t.Any] = dict.fromkeys(
        ("changed", "added", "removed", "processes", "inside", "old_code", "held", "specs"), []
    )
    apps = [("shop", b"1.0.0", "permanent")]
    return {"erts": b"1", "erts_to": b"1", "from": apps, "to": apps, "loaded": apps, "total": 1, **empty, **changes}


def test_what_fails_after_the_swap_takes_the_same_way_back() -> None:
    settle = ("failed", "config_change", b"not now")
    node = Node(("ok", 2500, 1, 1), settle, look_answer(), ("ok", 1000, 1, 1), ("ok", []))
    seen = session(node)
    seen.configs = (b"old", b"new")
    pointed: list[bool] = []
    with pytest.raises(BeamError) as caught:
        run.apply(seen, t.cast("t.Any", None), lambda: pointed.append(True))
    assert caught.value.code == "upgrade_failed" and caught.value.details["phase"] == "config_change" and not pointed
    assert [given.get("Down") for given in node.given] == [False, None, None, True, None]
    last = node.given[-1]
    assert (last["ConfigFrom"], last["ConfigTo"]) == (b"new", b"old") and last["To"] == chars(OLD.root)


def test_a_way_back_that_fails_is_no_secret() -> None:
    node = Node(("ok", 2500, 1, 1), ("failed", "paths", b"gone"), look_answer(), ("kept", "load", b"gone, too", []))
    with pytest.raises(BeamError) as caught:
        run.apply(session(node), t.cast("t.Any", None), lambda: None)
    assert caught.value.code == "upgrade_lost" and "gone, too" in caught.value.why


def test_of_the_environment_goes_what_means_the_old_release() -> None:
    environ = {
        "RELEASE_ROOT": OLD.root,
        "RELEASE_VSN": "1.0.0",
        "RELEASE_SYS_CONFIG": OLD.root + "/releases/1.0.0/sys",
        "RELEASE_VM_ARGS": OLD.root + "/releases/1.0.0/vm.args",
        "RELEASE_NAME": "shop",
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "BINDIR": "/x",
        "DATABASE_URL": "ecto://secret",
    }
    assert own_environment(environ, OLD.root) == {"RELEASE_NAME": "shop", "DATABASE_URL": "ecto://secret"}
    # What the service gives of its own it gives to every release.
    assert own_environment({"RELEASE_VM_ARGS": "/etc/shop/vm.args"}, OLD.root) == {
        "RELEASE_VM_ARGS": "/etc/shop/vm.args"
    }


def test_an_answer_that_is_not_the_nodes_own_file_is_not_read(tmp_path: Path) -> None:
    good = tmp_path / "answer"
    good.write_bytes(b"x")
    assert _own_file(str(good), os.geteuid()) == b"x"
    assert _own_file(str(good), os.geteuid() + 1) is None
    (tmp_path / "link").symlink_to(good)
    assert _own_file(str(tmp_path / "link"), os.geteuid()) is None
    os.link(good, tmp_path / "second")
    assert _own_file(str(good), os.geteuid()) is None
    subprocess.run(["mkfifo", str(tmp_path / "pipe")], check=True)
    assert _own_file(str(tmp_path / "pipe"), os.geteuid()) is None
    assert _own_file(str(tmp_path / "missing"), os.geteuid()) is None
