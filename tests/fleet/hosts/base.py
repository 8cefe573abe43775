# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tree that a host starts from, built once by mmdebstrap and kept: a Debian or Ubuntu like this machine, or a newer Debian where one is asked for.

What is built on this machine needs its libc on the hosts, or a newer one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from common import CACHE, METADATA_URL, FleetError, locked, os_release, run

# What a server has: an init, ssh, Python, and the libraries that a BEAM release is linked with.
SERVER_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "sudo",
    "iproute2",
    "procps",
    "ca-certificates",
    "curl",
    "libstdc++6",
    "libtinfo6",
    "libgcc-s1",
    "libsystemd0",
    "rsync",
)
# What makes it a build server (the packages of the role toolchain, and venv for boto3), because a host can't reach a mirror. Builds are made on hosts of
# this machine's own release only.
BUILD_PACKAGES = (
    "elixir",
    "erlang-dev",
    "erlang-runtime-tools",
    "erlang-ssl",
    "erlang-tools",
    "git",
    "python3-venv",
)
# What makes it an instance of a cloud: a tree of its own, made when the first fleet asks for it.
CLOUD_PACKAGES = ("cloud-init",)

# Nobody logs in at a console, nothing may start by the clock during a test, and the names come from /etc/hosts. The distribution's epmd would
# listen for everybody on hosts that have Erlang only so that one of them can build.
CUSTOMIZE = """set -e
cd "$1"
chroot . useradd --create-home --shell /bin/bash deploy
echo 'deploy ALL=(ALL) NOPASSWD: ALL' > etc/sudoers.d/deploy
chmod 0440 etc/sudoers.d/deploy
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer \
    motd-news.timer console-getty.service getty.target systemd-networkd-wait-online.service epmd.socket epmd.service; do
    ln -sf /dev/null etc/systemd/system/$unit
done
printf 'PermitRootLogin prohibit-password\\nPasswordAuthentication no\\nUseDNS no\\n' > etc/ssh/sshd_config.d/fleet.conf
printf 'nameserver 192.0.2.1\\noptions timeout:1 attempts:1\\n' > etc/resolv.conf.new
rm -f etc/resolv.conf etc/machine-id
mv etc/resolv.conf.new etc/resolv.conf
echo uninitialized > etc/machine-id
"""

# Two real names in datasource_list, and cloud-init would look for a BIOS, find none and not start. The names and keys of a host are the fleet's.
CUSTOMIZE_CLOUD = (
    """cat > etc/cloud/cloud.cfg.d/99-fleet.cfg <<'END'
datasource_list: [Ec2, None]
datasource: {Ec2: {metadata_urls: ["%s"], strict_id: false, max_wait: 60, timeout: 5}}
network: {config: disabled}
preserve_hostname: true
ssh_deletekeys: false
disable_root: false
users: []
locale: false
apt_preserve_sources_list: true
growpart: {mode: 'off'}
resize_rootfs: false
END
"""
    % METADATA_URL
)


def own_release() -> str:
    return os_release()["VERSION_CODENAME"]


def packages(codename: str, cloud: bool = False) -> tuple[str, ...]:
    return SERVER_PACKAGES + (BUILD_PACKAGES if codename == own_release() else ()) + (CLOUD_PACKAGES if cloud else ())


def customize(cloud: bool) -> str:
    return CUSTOMIZE + (CUSTOMIZE_CLOUD if cloud else "")


def key(codename: str, cloud: bool = False) -> str:
    text = "\n".join((os_release()["ID"], codename, *packages(codename, cloud), customize(cloud)))
    return "%s%s-%s" % (codename, "-cloud" if cloud else "", hashlib.sha256(text.encode()).hexdigest()[:12])


def _sources(codename: str) -> list[str]:
    """This machine's own package sources: they are reachable from here, another mirror may not be. Of another release only the first mirror is taken."""
    distribution = os_release()["ID"]
    if codename != own_release():
        lines = [
            line.split()
            for name in _sources(own_release())
            for line in Path(name).read_text(encoding="utf-8").splitlines()
        ]
        mirrors = [
            word for line in lines if line and line[0] in ("URIs:", "deb") for word in line if word.startswith("http")
        ]
        return ["deb %s %s main" % (mirrors[0], codename)] if mirrors else []
    for name in ("sources.list.d/%s.sources" % distribution, "sources.list"):
        path = Path("/etc/apt") / name
        if path.exists() and path.stat().st_size:
            return [str(path)]
    return []


def ready(codename: str, cloud: bool = False) -> Path:
    """The unpacked tree of a release; made when it is not there (one to two minutes), unpacked from the kept archive when only that is there."""
    tree = CACHE / ("base-" + key(codename, cloud))
    archive = CACHE / ("base-%s.tar.zst" % key(codename, cloud))
    with locked(CACHE / "base.lock"):
        if tree.exists():
            return tree
        if not archive.exists():
            _build(codename, archive, cloud)
        new = tree.with_name(tree.name + ".new")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(parents=True)
        run("tar", "--zstd", "--numeric-owner", "-xpf", archive, "-C", new, timeout=300)
        new.rename(tree)
    return tree


def _build(codename: str, archive: Path, cloud: bool) -> None:
    new = archive.with_name(archive.name.replace(".tar.zst", ".new.tar.zst"))
    hook = CACHE / "customize.sh"
    hook.write_text(customize(cloud), encoding="utf-8")
    print(
        "fleet: building the base tree of %s%s with mmdebstrap, once for this machine"
        % (codename, " with cloud-init" if cloud else ""),
        flush=True,
    )
    argv = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=apt",
        "--include=" + ",".join(packages(codename, cloud)),
        '--customize-hook=sh %s "$1"' % hook,
    ]
    argv += ["--dpkgopt=path-exclude=/usr/share/%s/*" % path for path in ("man", "doc", "info", "locale")]
    log = CACHE / "mmdebstrap.log"
    with log.open("w") as output:
        done = subprocess.run(
            [*argv, codename, str(new), *_sources(codename)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    if done.returncode != 0:
        new.unlink(missing_ok=True)
        raise FleetError(
            "mmdebstrap failed (%s):\n%s" % (log, log.read_text(encoding="utf-8", errors="replace")[-2000:])
        )
    new.rename(archive)
