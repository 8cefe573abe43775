# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""git as the build runs it: without a terminal to ask at, bounded where a network is involved, and with errors in its user's words."""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
import subprocess
import typing as t
from urllib.parse import unquote

from .._errors import BeamError
from .._mask import NOTHING_NAMED
from .command import Finished, run_command

# What git or ssh says -> (code, reason, next step). The first that matches counts. {host} is replaced.
_REMOTE = (
    (r"host key verification failed|no .* host key is known", "git_host_key", "the host key of its server is not known here",
     "Put the key into known_hosts of the user who builds (ssh-keyscan shows it; compare it with what the server's owner publishes)"),
    (r"could not read (username|password)|authentication failed|permission denied|invalid username|terminal prompts disabled|access denied", "git_denied",
     "it asks for a user and a password, or refuses the key, and a build can't answer",
     "Give the user who builds a key that may read it (a deploy key), or a credential helper of git"),
    (r"could not resolve host|connection refused|connection timed out|network is unreachable|no route to host|unable to access|failed to connect"
     r"|connection reset|operation timed out|could not connect|early eof|the remote end hung up", "git_unreachable",
     "it can't be reached from here", "Look at the address and the network of the build server, then run it again"),
    (r"repository .*not found|does not appear to be a git repository|not a git repository|does not exist|no such file", "git_no_repository",
     "there is no git repository", "Correct repo (in an inventory beam_repo); where it is private, its server may say this to somebody without rights"),
    (r"no space left on device", "disk_full", "the disk is full", "Make room, then run it again"),
)
_PROGRESS = re.compile(r"^(remote: )?(Enumerating|Counting|Compressing|Receiving|Resolving|Updating|Filtering|Total|Unpacking)\b", re.IGNORECASE)


def environment() -> dict[str, str]:
    """Of git: what the user has, without the GIT_DIR and the like that whoever calls us from a git hook has, for another repository."""
    kept = ("GIT_CEILING_DIRECTORIES", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS")
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in kept}
    env.update({"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"})
    # A prompt that nobody answers would hang until the timeout.
    env.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    env.setdefault("GIT_ASKPASS", "true")
    env.update(_given.get().environment)
    return env


class _Credentials(t.NamedTuple):
    """Of the URL that a user gave: git gets them by its environment, since everybody may read a command line."""

    options: tuple[str, ...] = ()
    environment: t.Mapping[str, str] = {}


_given: contextvars.ContextVar[_Credentials] = contextvars.ContextVar("given", default=_Credentials())
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/@:]*)(?P<colon>:?)(?P<password>[^\s/@]*(?:@[^\s/@]*)*)@(?P<rest>[^\s/@]+(?:/.*)?)")
_BLANK = re.compile(r"://[^/@\s]*:[^@]*\s[^@]*@")
_HELPER = """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$ALCHEMIST_GIT_USER" "$ALCHEMIST_GIT_PASSWORD"; }; f"""


@contextlib.contextmanager
def without_credentials(repo: str) -> t.Iterator[str]:
    """The URL without the name, the token and the password in it. Within, git gives them to that server, and to no other one."""
    found = _URL.fullmatch(repo)
    if not found and (hide(repo) != repo or _BLANK.search(repo)):
        raise BeamError(
            "git_url", "The URL of the repository can't be used", "it holds a secret that can't be taken out, and git's arguments are for everybody to see",
            "Quote what is not a letter or a digit in the password (a / is %2F), or leave it out and give it to git by a credential helper",
        )
    if not found or not (found["colon"] or found["scheme"] in ("http", "https")):
        yield repo  # such as ssh://git@host: a user is no secret there
        return
    if found["scheme"] not in ("http", "https"):
        yield "%s://%s@%s" % (found["scheme"], found["user"], found["rest"])
        return
    place = "credential.%s://%s" % (found["scheme"], found["rest"].split("/", 1)[0])
    # The empty one ends those of the user's own configuration, which would be asked first.
    options = ("-c", place + ".helper=", "-c", "%s.helper=%s" % (place, _HELPER))
    environment = {"ALCHEMIST_GIT_USER": unquote(found["user"]), "ALCHEMIST_GIT_PASSWORD": unquote(found["password"])}
    token = _given.set(_Credentials(options, environment))
    try:
        yield "%s://%s" % (found["scheme"], found["rest"])
    finally:
        _given.reset(token)


def command() -> list[str]:
    """git, as it is to be run where it may speak to a server."""
    return ["git", *_given.get().options]


ASK_SECONDS = 300  # a repository may be large, and its disk slow; a partial clone fetches what it lacks


def ask(root: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A question to a repository on this machine. It writes nothing, not even an index that is newer (check mode)."""
    try:
        # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
        return subprocess.run(
            ["git", "-C", root, "-c", "core.fsmonitor=false", *arguments], check=False, env=environment(), stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="surrogateescape", timeout=ASK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, "", "git %s did not answer within %g s" % (arguments[0], ASK_SECONDS))
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")


def first_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["git ended with %d" % done.returncode])[0]


def change(root: str, *arguments: str, timeout: float, keep_open: t.Sequence[int] = ()) -> Finished:
    """A command that writes, or that asks a server. Returns the end of both of its outputs."""
    # What git would tidy up in the background would keep the lock of the build.
    quiet = ("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false")
    return run_command([*command(), "-C", root, *quiet, *arguments], root, environment(), timeout, keep_open)


def refuse(repo: str, what: str, done: Finished) -> t.NoReturn:
    """The failure of a command that speaks to a server, with what the user can do."""
    said = [line for line in done.output.splitlines() if line.strip() and not _PROGRESS.match(line)]
    text = "\n".join(said).lower()
    for pattern, code, why, hint in _REMOTE:
        if re.search(pattern, text):
            raise BeamError(code, what, why, hint, output=[hide(line) for line in said[-5:]])
    raise BeamError(
        "git_failed", what, "git ended with %d" % done.status, "Try the same as the user who builds: git ls-remote %s" % hide(repo),
        output=[hide(line) for line in said[-5:]],
    )


def hide(text: str) -> str:
    """The text without credentials in URLs."""
    return NOTHING_NAMED.text(text)
