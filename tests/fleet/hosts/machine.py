# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: systemd as PID 1 in systemd-nspawn, on an overlay and a network namespace of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import cgroups
from common import CACHE, CONTROL_ADDRESS, PATIENCE, ROOT, Fleet, FleetError, address, run, under, wait_for, write

NSPAWN = Path("/run/systemd/nspawn")
CODE_CACHE = ROOT / "tests" / "support" / "code_cache.py"
CODE = "/usr/lib/beam-code"  # what it keeps, on each host
LOAD_CODE_CACHE = (
    "import os; os.environ['BEAM_CODE_CACHE'] = '%s'; import beam_code_cache; del os.environ['BEAM_CODE_CACHE']\n"
    % CODE
)

# The shell puts itself into the host's cgroups first (all that it starts is born there), then keeps the machine
# switched on: with --keep-unit a reboot from inside ends nspawn with 133, and only somebody outside can start it again.
SUPERVISOR = """for group in $GROUPS_OF_HOST; do echo $$ > "$group/cgroup.procs" || exit 1; done
unset GROUPS_OF_HOST
while :; do "$@"; code=$?; [ $code = 133 ] || exit $code; done"""


def create(fleet: Fleet, host: str, lower: list[Path]) -> None:
    """Its disk: what it writes stays in `up`, over a restart and a power cut. lower: what it was made from, the uppermost first."""
    base = lower[-1]
    top = fleet.host_directory(host)
    for name in ("up", "work", "m"):
        (top / name).mkdir(parents=True, exist_ok=True)
    upper = top / "up"
    write(upper / "etc/hostname", host + "\n")
    names = "".join("%s %s\n" % (address(other), other) for other in fleet.hosts)
    write(upper / "etc/hosts", "127.0.0.1 localhost\n%s control\n%s" % (CONTROL_ADDRESS, names))
    for home, owner in (("root", 0), ("home/deploy", 1000)):
        (upper / home).mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copystat(base / home, upper / home)
        keys = upper / home / ".ssh" / "authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        write(keys, (fleet.directory / "ssh" / "id_ed25519.pub").read_text(encoding="utf-8"), 0o600)
        for path in (upper / home, keys.parent, keys):
            os.chown(path, owner, owner)
    # Python of the hosts compiles once what comes in archives: Ansible's modules and the bootstrap.
    packages = upper / "usr/lib/python3/dist-packages"
    write(packages / "beam_code_cache.py", CODE_CACHE.read_text(encoding="utf-8"))
    write(packages / "beam_code_cache.pth", LOAD_CODE_CACHE)
    if not os.path.ismount(top / "m"):
        options = "lowerdir=%s,upperdir=%s,workdir=%s" % (":".join(map(str, lower)), upper, top / "work")
        run("mount", "-t", "overlay", "beam-fleet-%s-%s" % (fleet.name, host), "-o", options, top / "m")


def start(fleet: Fleet, host: str) -> None:
    if cgroups.init_pid(fleet, host):
        return
    if not os.path.ismount(fleet.mount(host)):
        raise FleetError(
            "%s has no disk: this fleet was made before the machine's last start; `fleet down`, then `fleet up`" % host
        )
    cgroups.remove(fleet, host)
    groups = cgroups.make(fleet, host)
    argv = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--directory=%s" % fleet.mount(host),
        "--machine=%s-%s" % (fleet.name, host),
    ]
    argv += [
        "--hostname=" + host,
        "--network-namespace-path=/run/netns/" + fleet.netns(host),
        "--link-journal=no",
        "--resolv-conf=off",
    ]
    # An instance has a console that units write to, and that is read after its end; the others have none.
    argv += ["--timezone=off", "--console=%s" % ("read-only" if host in fleet.images else "pipe"), "--boot"]
    code = CACHE.parent / "code"
    code.mkdir(exist_ok=True)
    argv.append("--bind=%s:%s" % (code, CODE))
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "GROUPS_OF_HOST": " ".join(map(str, groups)),
    }
    with (fleet.host_directory(host) / "console.log").open("ab") as console:
        words = ["sh", "-c", SUPERVISOR, "beam-fleet-" + fleet.name, *argv]
        subprocess.Popen(
            words, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )


def settled(fleet: Fleet, host: str, seconds: float = PATIENCE) -> None:
    """Returns when its boot is over, and with success."""
    wait_for("PID 1 of %s" % host, functools.partial(cgroups.init_pid, fleet, host), seconds, every=0.02)
    # The bus appears some moments after PID 1.
    state = wait_for("the boot of %s" % host, functools.partial(_state, fleet, host, seconds), seconds)
    if state != "running":
        failed = inside(fleet, host, "systemctl", "--failed", "--no-legend", "--plain")[1]
        raise FleetError(
            "%s came up %s: %s" % (host, state, failed.strip() or (fleet.host_directory(host) / "console.log"))
        )


def _state(fleet: Fleet, host: str, seconds: float) -> str:
    return inside(fleet, host, "systemctl", "is-system-running", "--wait", timeout=seconds)[1].strip()


def inside(fleet: Fleet, host: str, *argv: str, timeout: float = PATIENCE) -> tuple[int, str]:
    """A command on the host, not by its network: also a host that is cut off can be asked."""
    pid = cgroups.init_pid(fleet, host)
    if pid is None:
        return 255, ""
    words = [
        "nsenter",
        "--target",
        str(pid),
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--root",
        "--wd",
        "--",
        *argv,
    ]
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout


def power_off(fleet: Fleet, host: str, seconds: float = PATIENCE) -> None:
    """The button: services are stopped in order."""
    pid = cgroups.init_pid(fleet, host)
    if pid is not None:
        os.kill(pid, signal.SIGRTMIN + 4)
        events = cgroups.unified(fleet, host) / "cgroup.events"
        wait_for("the end of %s" % host, lambda: "populated 0" in events.read_text(), seconds)
    cgroups.remove(fleet, host)


def power_cut(fleet: Fleet, host: str) -> None:
    cgroups.kill(fleet, host)
    cgroups.remove(fleet, host)


def reboot(fleet: Fleet, host: str) -> None:
    before = cgroups.init_pid(fleet, host)
    if before is None:
        raise FleetError("%s is off: `fleet start %s`" % (host, host))
    inside(fleet, host, "systemctl", "reboot")
    wait_for("a new PID 1 of %s" % host, lambda: cgroups.init_pid(fleet, host) not in (None, before))
    settled(fleet, host)


def remove(fleet: Fleet, host: str) -> None:
    top = fleet.host_directory(host)
    if os.path.ismount(top / "m"):
        # nspawn removes these itself, but not when it was killed.
        place = os.stat(top / "m")
        (NSPAWN / "locks" / ("inode-%d:%d" % (place.st_dev, place.st_ino))).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (NSPAWN / "propagate" / ("%s-%s" % (fleet.name, host))).rmdir()
        wait_for("umount of %s" % (top / "m"), functools.partial(_unmounted, top / "m"), every=0.1)
    left = under(top)
    if left:
        raise FleetError("still mounted, so nothing is removed: %s" % " ".join(left))
    run("rm", "-rf", "--one-file-system", top)


def _unmounted(place: Path) -> bool:
    return subprocess.run(["umount", str(place)], stderr=subprocess.DEVNULL, check=False).returncode == 0


def base_host_key(base: Path) -> str:
    return " ".join((base / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()[:2])


def orphans(fleet: Fleet) -> list[str]:
    """Hosts with a directory, whatever the state file says."""
    hosts = fleet.directory / "hosts"
    return sorted(path.name for path in hosts.iterdir()) if hosts.exists() else []


def fleets() -> list[str]:
    return sorted(path.name for path in CACHE.glob("*") if (path / "state.json").exists())
