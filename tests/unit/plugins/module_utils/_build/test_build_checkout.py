# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real git, and repositories of this machine."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._build import checkout
from ansible_collections.alchemist.beam.plugins.module_utils._build import git as own_git
from ansible_collections.alchemist.beam.plugins.module_utils._build.products import Products
from ansible_collections.alchemist.beam.plugins.module_utils._build.sources import read_sources
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


def git(root: Path, *arguments: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(argv, check=True, env=env, capture_output=True, text=True).stdout.strip()


def commit(root: Path, text: str) -> str:
    (root / "lib").mkdir(exist_ok=True)
    (root / "lib" / "a.ex").write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", text)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    root = tmp_path / "origin"
    root.mkdir()
    (root / "mix.exs").write_text("mix")
    (root / ".gitignore").write_text("/_build/\n/deps/\n/priv/static/\n*.secret.exs\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "first")
    return root


class Place:
    def __init__(self, origin: Path, directory: Path) -> None:
        self.origin, self.directory = origin, directory
        self.build_dir = str(directory / "_build" / "alchemist")

    def bring(self, ref: str = "", allow_dirty: bool = False) -> tuple[checkout.Wanted, tuple[str, ...], tuple[str, ...]]:
        self.directory.mkdir(exist_ok=True)
        wanted = checkout.resolve(str(self.origin), ref, 60)
        wanted, moved = checkout.fetch(wanted, str(self.directory), self.build_dir, 60, ())
        said = checkout.check_out(wanted, str(self.directory), self.build_dir, allow_dirty, 60, ())
        assert git(self.directory, "rev-parse", "HEAD") == wanted.commit
        return wanted, moved, said

    def refused(self, ref: str = "") -> BeamError:
        with pytest.raises(BeamError) as caught:
            self.bring(ref)
        return caught.value


@pytest.fixture
def place(origin: Path, tmp_path: Path) -> Place:
    return Place(origin, tmp_path / "checkout")


def test_every_kind_of_ref(origin: Path, place: Place) -> None:
    first = git(origin, "rev-parse", "HEAD")
    git(origin, "tag", "v1.0.0")
    git(origin, "tag", "--annotate", "--message", "x", "v1.0.0-rc1")
    second = commit(origin, "second")
    git(origin, "branch", "feature/x")
    cases = {
        "": (second, "main, the default branch"), "HEAD": (second, "main, the default branch"), "main": (second, "the branch main"),
        "feature/x": (second, "the branch feature/x"), "origin/main": (second, "the branch main"), "v1.0.0": (first, "the tag v1.0.0"),
        "v1.0.0-rc1": (first, "the tag v1.0.0-rc1"), "refs/tags/v1.0.0": (first, "refs/tags/v1.0.0"), first: (first, "the commit %s" % first[:12]),
        first[:8]: (first, "the commit %s" % first[:12]),
    }
    for ref, expected in cases.items():
        wanted = place.bring(ref)[0]
        assert (wanted.commit, wanted.said) == expected and wanted.tag == (ref.replace("refs/tags/", "") if "v1" in ref else ""), ref
        assert wanted.tags == (("v1.0.0", "v1.0.0-rc1") if wanted.commit == first else ()), ref


def test_the_default_branch_as_it_is_now(origin: Path, place: Place) -> None:
    """A clone remembers what HEAD was when it was made. The remote is asked."""
    assert place.bring()[0].said == "main, the default branch"
    git(origin, "checkout", "--quiet", "-b", "trunk")
    new = commit(origin, "on trunk")
    wanted = place.bring()[0]
    assert (wanted.commit, wanted.said) == (new, "trunk, the default branch")


def test_a_tag_that_moved_blocks_nothing_and_is_told(origin: Path, place: Place) -> None:
    git(origin, "tag", "latest")
    first = place.bring("latest")[0].commit
    second = commit(origin, "second")
    git(origin, "tag", "--force", "latest")
    wanted, moved, _said = place.bring("main")
    assert wanted.commit == second and moved == ("latest: %s, was %s" % (second[:12], first[:12]),)
    assert place.bring("latest")[0].commit == second
    git(origin, "tag", "--delete", "latest")
    place.bring()
    assert git(place.directory, "tag") == ""


def test_a_branch_that_was_rewritten(origin: Path, place: Place) -> None:
    place.bring("main")
    git(origin, "commit", "--quiet", "--amend", "--message", "other")
    assert place.bring("main")[0].commit == git(origin, "rev-parse", "HEAD")


def test_what_is_not_there(origin: Path, place: Place, tmp_path: Path) -> None:
    git(origin, "tag", "v1.17.0")
    missing = place.refused("v1.71.0")
    assert missing.code == "git_no_ref" and "v1.71.0 is not in" in missing.message and "Did you mean v1.17.0" in missing.message
    assert place.refused("f" * 40).code == place.refused("abcdef12").code == "git_no_ref"
    empty = tmp_path / "empty"
    git(tmp_path, "init", "--quiet", "--bare", str(empty))
    assert "it has no commit yet" in Place(empty, tmp_path / "x").refused().message
    nothing = Place(tmp_path / "nothing", tmp_path / "x").refused()
    assert nothing.code == "git_no_repository" and "beam_repo" in nothing.message


def test_ambiguous(origin: Path, place: Place) -> None:
    git(origin, "tag", "release")
    commit(origin, "second")
    git(origin, "branch", "release")
    error = place.refused("release")
    assert error.code == "git_ambiguous" and "Say refs/tags/release or refs/heads/release" in error.message
    git(origin, "tag", "--force", "release")
    place.bring("release")  # both name the same commit


def test_an_abbreviated_commit_of_several(origin: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven digits that two commits share are rare, so here it is one."""
    commits = [commit(origin, str(number)) for number in range(17)]
    short = next(a[:1] for index, a in enumerate(commits) for b in commits[index + 1 :] if a[:1] == b[:1])
    monkeypatch.setattr(checkout, "_SHORT", checkout.re.compile(r"[0-9a-f]{1,64}"))
    # git takes no less than four digits, so the answer is given in its place.
    shared = [one for one in commits if one.startswith(short)]
    real = checkout.git.ask

    def ask(root: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] == "rev-parse" and arguments[1].startswith("--disambiguate="):
            return subprocess.CompletedProcess(arguments, 0, "\n".join(shared), "")
        return real(root, *arguments)

    monkeypatch.setattr(checkout.git, "ask", ask)
    error = place.refused(short)
    assert error.code == "git_ambiguous" and "%d commits begin with it" % len(shared) in error.message


def test_changes_of_somebody_are_refused_and_those_of_a_killed_build_are_not(origin: Path, place: Place) -> None:
    place.bring()
    (place.directory / "lib" / "a.ex").write_text("by hand")
    error = place.refused()
    assert error.code == "git_dirty" and "lib/a.ex" in error.message
    git(place.directory, "checkout", "--quiet", ".")
    os.makedirs(place.build_dir, exist_ok=True)
    Products([read_sources(str(place.directory), place.build_dir)], place.build_dir, place.build_dir + "/scratch")
    (place.directory / "lib" / "a.ex").write_text("by npm")
    (place.directory / "priv-123.gz").write_text("digested")
    said = place.bring()[2]
    assert len(said) == 1 and "priv-123.gz" in said[0] and git(place.directory, "status", "--porcelain") == ""


def test_what_git_ignores_is_no_part_of_the_commit(place: Place) -> None:
    place.bring()
    for path in ("priv/static/app-old.js", "config/prod.secret.exs", "deps/jason/mix.exs"):
        (place.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (place.directory / path).write_text("x")
    said = place.bring()[2]
    assert len(said) == 1 and "priv/static/app-old.js" in said[0] and not (place.directory / "priv/static/app-old.js").exists()
    assert (place.directory / "config/prod.secret.exs").exists() and (place.directory / "deps/jason/mix.exs").exists()
    (moved,) = Path(place.build_dir).glob("set-aside-*/priv/static/app-old.js")
    assert moved.read_text() == "x"


def test_a_directory_of_somebody_else(place: Place) -> None:
    place.directory.mkdir()
    (place.directory / "thesis.txt").write_text("x")
    error = place.refused()
    assert error.code == "checkout_foreign" and "thesis.txt" in error.message and (place.directory / "thesis.txt").exists()


def test_a_checkout_of_another_user(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.bring()
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], check=True, capture_output=True, text=True).stdout.strip()
    # What git does itself when the owner of the directory is not who asks. The repository that is fetched from is another matter.
    wrapper.write_text('#!/bin/sh\n[ "$2" = "%s" ] && export GIT_TEST_ASSUME_DIFFERENT_OWNER=1\nexec %s "$@"\n' % (place.directory, real))
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (wrapper.parent, os.environ["PATH"]))
    error = place.refused()
    assert error.code == "git_unknown" and "become_user" in error.message


def test_submodules_come_along(origin: Path, place: Place, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[protocol \"file\"]\nallow = always\n")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    commit(other, "of the submodule")
    git(origin, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor/other")
    commit(origin, "submodule")
    place.bring()
    assert (place.directory / "vendor/other/lib/a.ex").read_text() == "of the submodule"
    subprocess.run(["rm", "-r", str(other)], check=True)
    (place.directory / "again").mkdir()
    gone = Place(origin, tmp_path / "elsewhere").refused()
    assert gone.code == "git_no_repository" and "a submodule of" in gone.message


def test_a_shallow_clone_is_completed(origin: Path, place: Place, tmp_path: Path) -> None:
    commit(origin, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", "file://%s" % origin, str(place.directory))
    place.bring(git(origin, "rev-parse", "HEAD^"))


def test_check_mode_writes_nothing_where_it_builds(origin: Path, place: Place) -> None:
    with checkout.rehearse(checkout.resolve(str(origin), "", 60), str(place.directory), place.build_dir, False, 60) as (wanted, there):
        assert Path(there, "mix.exs").exists() and wanted.commit == git(origin, "rev-parse", "HEAD")
    assert not Path(there).exists() and not place.directory.exists()
    place.bring()
    second = commit(origin, "second")
    before = {path: path.lstat().st_mtime_ns for path in place.directory.rglob("*")}
    with checkout.rehearse(checkout.resolve(str(origin), "", 60), str(place.directory), place.build_dir, False, 60) as (_wanted, there):
        assert git(Path(there), "rev-parse", "HEAD") == second
    assert {path: path.lstat().st_mtime_ns for path in place.directory.rglob("*")} == before


class Asks(http.server.BaseHTTPRequestHandler):
    """A server that wants a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: t.Any) -> None:
        return


def test_what_the_servers_of_repositories_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        error = Place(Path("x"), tmp_path)
        error.origin = t.cast(Path, "http://127.0.0.1:%d/shop.git" % server.server_port)
        denied = error.refused()
        assert denied.code == "git_denied" and "a build can't answer" in denied.message
    finally:
        server.shutdown()
        server.server_close()
    error.origin = t.cast(Path, "http://me:hunter22@127.0.0.1:%d/shop.git" % server.server_port)
    away = error.refused()
    assert away.code == "git_unreachable" and "hunter22" not in away.message and "********" in away.message
    ssh = tmp_path / "ssh.sh"
    ssh.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    error.origin = t.cast(Path, "git@127.0.0.1:shop.git")
    assert "known_hosts" in error.refused().message
    ssh.write_text("#!/bin/sh\necho 'git@127.0.0.1: Permission denied (publickey).' >&2\nexit 255\n")
    assert error.refused().code == "git_denied"
    ssh.write_text("#!/bin/sh\nsleep 30\n")
    with pytest.raises(BeamError) as caught:
        checkout.resolve("git@127.0.0.1:shop.git", "", 0.5)
    assert caught.value.code == "git_unreachable" and "it did not answer within" in caught.value.message


@pytest.mark.parametrize(
    ("repo", "bare"),
    [
        ("https://user:tok-en@127.0.0.1:%d/x.git", "https://127.0.0.1:%d/x.git"), ("http://tok-en@127.0.0.1:%d/x", "http://127.0.0.1:%d/x"),
        ("ssh://git:tok-en@127.0.0.1:%d/x", "ssh://git@127.0.0.1:%d/x"),
    ],
)
def test_no_credentials_in_a_command_line(repo: str, bare: str) -> None:
    with own_git.without_credentials(repo % 1) as said:
        assert said == bare % 1 and not any("tok-en" in word for word in own_git.command())
    assert own_git.command() == ["git"] and "ALCHEMIST_GIT_PASSWORD" not in own_git.environment()


@pytest.mark.parametrize("repo", ["https://u:pass/word@h/x.git", "ssh://git:pass/word@h/x", "https://h/x.git?token=pass-word", "https://u:pass word@h/x"])
def test_a_secret_that_can_t_be_taken_out_is_refused(repo: str) -> None:
    with pytest.raises(BeamError) as caught, own_git.without_credentials(repo):
        pass
    assert caught.value.code == "git_url" and "word" not in caught.value.what + caught.value.why


@pytest.mark.parametrize("repo", ["ssh://git@example.org/x", "git@example.org:x", "/srv/x", "https://example.org/x@y", "file:///a:b@c", "file:///a b@c"])
def test_repositories_without_credentials_are_as_they_were(repo: str) -> None:
    with own_git.without_credentials(repo) as said:
        assert said == repo and own_git.command() == ["git"]


def test_credentials_of_a_repository_reach_its_server_and_no_other(tmp_path: Path) -> None:
    asked: list[str] = []

    class Guarded(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # as the library names it
            asked.append(self.headers.get("Authorization") or "")
            self.send_response(401 if not asked[-1] else 403)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: t.Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = "http://user:to%%6Ben@127.0.0.1:%d/x.git" % server.server_port
        with own_git.without_credentials(url) as bare, pytest.raises(BeamError) as caught:
            checkout.resolve(bare, "main", 20)
        assert asked[0] == "" and base64.b64decode(asked[1].partition(" ")[2]) == b"user:token" and "token" not in str(caught.value)
        asked.clear()
        with own_git.without_credentials("http://user:token@127.0.0.1:1/x.git"), pytest.raises(BeamError):
            checkout.resolve("http://127.0.0.1:%d/x.git" % server.server_port, "main", 20)
        assert set(asked) <= {"", "Basic Og=="}  # an empty user and an empty password
    finally:
        server.shutdown()
        server.server_close()
