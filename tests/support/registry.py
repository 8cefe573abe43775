# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry of images on this machine, and a container of one of its images: docker-registry, skopeo and runc of the distribution."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from ports import free_port

CONFIG = """version: 0.1
log: {level: warn, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%d"%s}
"""
TLS = ', tls: {certificate: "%s", key: "%s"}'
AUTH = 'auth: {htpasswd: {realm: beam, path: "%s"}}\n'
NEEDS = ("skopeo", "docker-registry")


class Registry:
    def __init__(self, directory: Path, certificate: tuple[str, str] | None = None, htpasswd: str = "") -> None:
        self.directory = directory
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.log = directory / "log"
        directory.mkdir(parents=True)
        text = CONFIG % (directory / "data", self.port, TLS % certificate if certificate else "")
        (directory / "config.yml").write_text(text + (AUTH % htpasswd if htpasswd else ""))
        with self.log.open("wb") as out:
            argv = ["docker-registry", "serve", str(directory / "config.yml")]
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._wait("https" if certificate else "http")

    def _wait(self, scheme: str) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                try:
                    urllib.request.urlopen("%s://%s/v2/" % (scheme, self.address), timeout=2).close()
                except urllib.error.HTTPError:
                    return
                except urllib.error.URLError as exc:
                    if "CERTIFICATE" in str(exc):
                        return
                    raise
                return
            time.sleep(0.05)
        raise OSError("the registry does not start: %s" % self.log.read_text()[-2000:])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def uploads(self) -> list[str]:
        """The digests of all blobs that were sent, in order."""
        return re.findall(
            r'"PUT /v2/\S+/blobs/uploads/\S*digest=sha256%3A([0-9a-f]{64})\S* HTTP/1.1" 201', self.log.read_text()
        )

    def size(self, digest: str) -> int:
        return (self.directory / "data/docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data").stat().st_size

    def sent(self, since: int = 0) -> int:
        """Bytes of the blobs that were sent after the first ones."""
        return sum(self.size(digest) for digest in self.uploads()[since:])

    def push_base(self, layout: Path, repository: str = "base") -> str:
        """By its digest: what a user names as base."""
        target = "docker://%s/%s:1" % (self.address, repository)
        skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", "oci:%s:base" % layout, target)
        digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
        return "%s/%s@%s" % (self.address, repository, digest)


def skopeo(*words: str) -> str:
    return subprocess.run(
        ["skopeo", "--insecure-policy", *words],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    ).stdout


def unpack(image: str, directory: Path) -> dict[str, t.Any]:
    """The files of an image as a runtime sees them, below directory/rootfs; its configuration. One without whiteouts, as ours are."""
    layout = directory / "oci"
    skopeo("copy", "--src-tls-verify=false", "docker://" + image, "oci:%s:it" % layout)

    def blob(descriptor: dict[str, t.Any]) -> Path:
        return layout / "blobs" / "sha256" / descriptor["digest"].rpartition(":")[2]

    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]).read_bytes())
    root = directory / "rootfs"
    root.mkdir()
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as tar:
            tar.extractall(root, numeric_owner=True) if not hasattr(tarfile, "data_filter") else tar.extractall(
                root, numeric_owner=True, filter="fully_trusted"
            )
    return t.cast("dict[str, t.Any]", json.loads(blob(manifest["config"]).read_bytes()))


class Container:
    """By runc, as a pod has it: the image's user and environment, a root that nobody can write to, a /tmp, no capabilities."""

    def __init__(self, image: str, directory: Path, environment: dict[str, str], args: list[str] | None = None) -> None:
        self.directory = directory
        self.name = "beam-%d-%s" % (os.getpid(), directory.name)
        self.state = directory / "state"
        config = unpack(image, directory)["config"]
        subprocess.run(["runc", "spec"], cwd=directory, check=True, timeout=20)
        spec = json.loads((directory / "config.json").read_text())
        user, _colon, group = config["User"].partition(":")
        spec["process"].update(
            terminal=False,
            user={"uid": int(user), "gid": int(group)},
            args=args or config["Entrypoint"],
            env=[*config["Env"], *("%s=%s" % pair for pair in environment.items())],
            cwd=config["WorkingDir"],
            rlimits=[{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        )
        spec["process"]["capabilities"] = {kind: [] for kind in spec["process"]["capabilities"]}
        spec["root"] = {"path": "rootfs", "readonly": True}
        spec["hostname"] = "pod"
        kept = ("/proc", "/dev", "/dev/pts", "/dev/shm")
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] in kept]
        spec["mounts"].append(
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
        )
        spec["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]
        # This machine's cgroups are not ours to divide.
        spec["linux"]["resources"] = {}
        (directory / "config.json").write_text(json.dumps(spec))
        self.process: subprocess.Popen[bytes] | None = None

    def _runc(self, *words: str) -> list[str]:
        return ["runc", "--root", str(self.state), *words]

    def output(self) -> str:
        """Of a program that ends."""
        done = subprocess.run(
            self._runc("run", "--bundle", str(self.directory), self.name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self) -> None:
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self._runc("run", "--bundle", str(self.directory), self.name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        deadline = time.monotonic() + 20
        while (
            self.ask("/usr/bin/cat", "/etc/passwd").returncode != 0
            and self.process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._runc("exec", self.name, *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> int:
        """As a runtime does it: SIGTERM to the first process, and its exit status."""
        assert self.process is not None
        subprocess.run(self._runc("kill", self.name, "TERM"), check=False, timeout=20)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            subprocess.run(self._runc("kill", self.name, "KILL"), check=False, timeout=20)
            return self.process.wait(20)

    def remove(self) -> None:
        subprocess.run(self._runc("delete", "--force", self.name), check=False, timeout=20, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory / "rootfs", ignore_errors=True)
