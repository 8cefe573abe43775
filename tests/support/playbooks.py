# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook and ansible for tests that run many of them: start(), run(), as subprocess does it.

Half of what a short play takes is that Python loads Ansible. So a process loads it once for the tests of a target, and forks for each run. A run is a
process of its own, with its own session, directory, environment and local temporary directory, and it can be killed. What Ansible reads when it is loaded
(settings from the environment and from ansible.cfg) belongs to the process that forks: for other settings there is another one.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing.util
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import typing as t
from pathlib import Path

# What Ansible reads of the environment when it is loaded, and what decides where it looks.
_SETTINGS = ("ANSIBLE_", "PYTHON", "BEAM_CODE_", "LC_", "LANG", "HOME", "NO_COLOR", "XDG_")
# Where a run keeps its temporary files is asked again in each.
_EACH = ("ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP", "PYTEST_CURRENT_TEST")
_ROOM = 64000  # bytes for the command line of a run
_HEAD = 4  # bytes that say how long a message is


class Process:
    """One run. Its output goes where start() was told, and returncode is that of subprocess."""

    def __init__(self, argv: t.Sequence[str], channel: socket.socket) -> None:
        self.args = list(argv)
        self._channel = channel
        self.pid = int.from_bytes(_exactly(channel, _HEAD), "little")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int.from_bytes(_exactly(self._channel, _HEAD), "little", signed=True)
            self._channel.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Parent:
    """The process that forks, as the tests see it."""

    def __init__(self, env: t.Mapping[str, str], cwd: str) -> None:
        self.place = tempfile.mkdtemp()
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), self.place, " " * _ROOM],
                env={**env, "ANSIBLE_LOCAL_TEMP": self.place},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def start(self, message: t.Mapping[str, t.Any], files: t.Sequence[int]) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            data = json.dumps(message).encode()
            fds = array.array("i", [theirs.fileno(), *files])
            # The length goes with the files, so that they are taken with it.
            self.control.sendmsg(
                [len(data).to_bytes(_HEAD, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())]
            )
            self.control.sendall(data)
        return ours

    def close(self) -> None:
        self.control.close()
        self.process.wait()
        shutil.rmtree(self.place, ignore_errors=True)


_parents: dict[str, _Parent] = {}


def start(
    argv: t.Sequence[str],
    stdout: int,
    env: t.Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    start_new_session: bool = False,
    stderr: int | None = None,
) -> Process:
    """argv[0]: ansible-playbook or ansible, of the environment of this Python. stdout, stderr: numbers of files; without stderr, both go to the one."""
    env, cwd = dict(os.environ if env is None else env), os.path.abspath(cwd or os.getcwd())
    own = Path(cwd) / "ansible.cfg"
    key = json.dumps(
        [
            sorted(item for item in env.items() if item[0].startswith(_SETTINGS) and item[0] not in _EACH),
            [cwd, own.read_text()] if own.exists() else [],
        ]
    )
    if key not in _parents:
        _parents[key] = _Parent(env, cwd)
    words = [str(word) for word in argv]
    message = {"argv": words, "env": env, "cwd": cwd, "session": start_new_session}
    return Process(words, _parents[key].start(message, [stdout, stdout if stderr is None else stderr]))


def run(
    argv: t.Sequence[str],
    env: t.Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    check: bool = False,
    apart: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Until it has ended; stdout has both outputs, unless they are wanted apart."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
    ):
        process = start(argv, file.fileno(), env, cwd, True, errors.fileno() if apart else None)
        try:
            code = process.wait(timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        for each in (file, errors):
            each.seek(0)
        done = subprocess.CompletedProcess(process.args, code, file.read(), errors.read())
    if check and code != 0:
        print(done.stdout + done.stderr)
        raise subprocess.CalledProcessError(code, process.args, done.stdout)
    return done


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError("the process that forks has ended")
        data += more
    return data


# -- the process that forks ------------------------------------------------------------------------------------------------------------------


class _Forks:
    def __init__(self, control: socket.socket, place: Path) -> None:
        self.control = control
        self.running: dict[int, tuple[int, socket.socket]] = {}  # by the number of the file that says that it has ended
        self.learned = place / "modules.json"
        (place / "packed").mkdir()

    def serve(self) -> None:
        while True:
            waited: list[t.Any] = [self.control, *self.running]
            ready, _writes, _errors = select.select(waited, [], [])
            for one in ready:
                if isinstance(one, int):
                    self.ended(one)
            if self.control in ready and not self.begin():
                return

    def ended(self, pidfd: int) -> None:
        pid, channel = self.running.pop(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with channel, contextlib.suppress(OSError):
            channel.sendall(code.to_bytes(_HEAD, "little", signed=True))
        if self.learned.exists():
            load(json.loads(self.learned.read_text()))
            self.learned.unlink()

    def begin(self) -> bool:
        files = array.array("i")
        head, ancillary, _flags, _address = self.control.recvmsg(_HEAD, socket.CMSG_SPACE(3 * files.itemsize))
        if not head:
            return False
        for _level, _kind, data in ancillary:
            files.frombytes(data)
        message = json.loads(_exactly(self.control, int.from_bytes(head, "little")))
        channel, outputs = socket.socket(fileno=files[0]), files[1:]
        pid = os.fork()
        if pid == 0:
            # Numbers that are closed below must not be closed again by who had them, when they are other files.
            for sock in (self.control, channel, *(other for _pid, other in self.running.values())):
                sock.detach()
            become(message, outputs, self.learned)
        for number in outputs:
            os.close(number)
        with contextlib.suppress(OSError):
            channel.sendall(pid.to_bytes(_HEAD, "little"))
        self.running[os.pidfd_open(pid)] = pid, channel
        return True


_tried: set[str] = set()


def load(names: t.Iterable[str]) -> None:
    """What a run has loaded, the next ones need not."""
    for name in names:
        _tried.add(name)
        with contextlib.suppress(Exception):  # a plugin that Ansible loads from a file
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collector that goes through all of this in each run would copy it, too


def become(message: t.Mapping[str, t.Any], outputs: t.Sequence[int], learned: Path) -> t.NoReturn:
    """In the new process: what a new interpreter would have found, and then what the command does."""
    code = 250
    try:
        if message["session"]:
            os.setsid()
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        os.closerange(3, 1024)
        program = os.path.join(os.path.dirname(sys.executable), os.path.basename(message["argv"][0]))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        call_itself([sys.executable, program, *message["argv"][1:]])
        os.chdir(message["cwd"])
        os.environ.clear()
        os.environ.update(message["env"])
        sys.argv[:] = message["argv"]
        tempfile.tempdir = None
        atexit._clear()
        atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]
        code = command(message["argv"], learned.parent / "packed")
        loaded = {name for name in sys.modules if name.startswith(("ansible.", "ansible_collections."))}
        new = sorted(loaded - _tried)
        if new:
            made = learned.with_name(str(os.getpid()))
            made.write_text(json.dumps(new))
            made.replace(learned)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def call_itself(words: t.Sequence[str]) -> None:
    """The command line, as everybody sees it: by it the collection finds out which process runs the play."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    first, size = (
        int(fields[45]),
        int(fields[46]) - int(fields[45]),
    )  # see proc_pid_stat(5); a state is the first of these
    line = b"".join(os.fsencode(word) + b"\0" for word in words)
    memory = os.open("/proc/self/mem", os.O_WRONLY)
    os.pwrite(memory, line[: size - 1].ljust(size, b"\0"), first)
    os.close(memory)


def command(argv: list[str], packed: Path) -> int:
    from ansible import constants
    from ansible.cli.adhoc import AdHocCLI
    from ansible.cli.playbook import PlaybookCLI
    from ansible.plugins import loader

    # Each run has a temporary directory of its own, and removes it.
    own = constants.config.get_config_value("DEFAULT_LOCAL_TMP")
    constants.DEFAULT_LOCAL_TMP = own
    # A module is packed once, as in one run: in all of these its source is the same.
    os.symlink(packed, os.path.join(own, "ansiballz_cache"))
    loader._configure_collection_loader = lambda _paths: None  # serve() has done it
    commands = {"ansible-playbook": PlaybookCLI, "ansible": AdHocCLI}
    try:
        commands[os.path.basename(argv[0])].cli_executor(argv)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    return 0


def serve(number: int, place: Path) -> None:
    sys.path[0] = os.path.dirname(sys.executable)  # where the commands are, and not what lies beside this file
    from ansible.cli import adhoc, playbook
    from ansible.plugins import loader

    loader.init_plugin_loader()
    load([adhoc.__name__, playbook.__name__])
    # After Ctrl-C the tests take down what they set up, and run plays for it: this ends when they have ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Forks(socket.socket(fileno=number), place).serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
