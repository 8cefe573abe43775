# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of two real versions of the example in a real registry: bytes, digests, what skopeo and a registry refuse, and a container that answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._image.image import run_image
from ansible_collections.alchemist.beam.plugins.module_utils._image.look import run_image_info
from ansible_collections.alchemist.beam.plugins.module_utils._store.artifact import run_artifact
from base_image import write_layout
from registry import NEEDS, Container, Registry
from releases import lay_out

VERSIONS = ("0.1.0", "0.2.0")
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
Run = t.Callable[..., dict[str, t.Any]]


def test_this_machine_has_what_it_takes() -> None:
    """Said loudly: without these there is no witness at all."""
    assert not [name for name in (*NEEDS, "runc") if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def registry(place: Path) -> t.Iterator[Registry]:
    found = Registry(place / "registry")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def bases(place: Path, registry: Registry) -> dict[str, str]:
    kinds: dict[str, set[str]] = {
        "whole": set(),
        "without_openssl": {"libcrypto.so.3", "libssl.so.3"},
        "without_shell": {"sh"},
    }
    found = {}
    for kind, without in kinds.items():
        write_layout(place / kind, without)
        found[kind] = registry.push_base(place / kind, kind)
    return found


@pytest.fixture(scope="module")
def store(place: Path) -> str:
    """Two versions, published by their trees."""
    (place / "store").mkdir()
    location = "file://%s" % (place / "store")
    for version, tree in lay_out(place / "releases", VERSIONS).items():
        run_artifact(
            {"store": location, "state": "present", "path": str(tree), "name": "beacon", "version": version}, False
        )
    return location


@pytest.fixture(scope="module")
def image(place: Path, registry: Registry, bases: dict[str, str], store: str) -> Run:
    def work(version: str, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        params = {
            "state": "present",
            "store": store,
            "name": "beacon",
            "version": version,
            "image": registry.address + "/beacon",
            "base": bases["whole"],
            "layers": 20,
            "user": "65532:65532",
            "distribution_port": 9100,
            "validate_registry": False,
            "timeout": 60,
            "cache": str(place / "cache"),
        }
        return run_image({**params, **changes}, check)

    return work


@pytest.fixture(scope="module")
def pushed(image: Run, registry: Registry) -> dict[str, t.Any]:
    """Both versions, and the bytes that the registry's own log says were sent for each."""
    found: dict[str, t.Any] = {}
    for version in VERSIONS:
        before = len(registry.uploads())
        rehearsed = image(version, check=True)
        assert len(registry.uploads()) == before, "check mode sends nothing"
        done = image(version)
        assert done["changed"] and done["digest"] == rehearsed["digest"]
        found[version] = {**done, "sent": registry.sent(before), "rehearsed": rehearsed["bytes"]["missing"]}
    return found


def test_the_second_version_sends_little(pushed: dict[str, t.Any], image: Run, registry: Registry) -> None:
    first, second = (pushed[version] for version in VERSIONS)
    assert second["sent"] < 0.02 * first["bytes"]["release"], (second["sent"], first["bytes"])
    # What check mode told is what was sent, but for the manifest, which the log does not count.
    assert 0 <= second["rehearsed"] - second["sent"] < 10_000
    uploads = len(registry.uploads())
    again = image(VERSIONS[1])
    assert not again["changed"] and again["bytes"]["missing"] == 0 and again["writes"] == 0
    assert len(registry.uploads()) == uploads


def test_the_digest_is_the_same_from_empty_caches(
    pushed: dict[str, t.Any], image: Run, registry: Registry, place: Path, store: str
) -> None:
    """Another store of the same releases, no cache, and a repository that has nothing; nothing was remembered there."""
    shutil.copytree(place / "store", place / "store2", ignore=shutil.ignore_patterns("images"))
    other = image(VERSIONS[1], store=store + "2", cache=str(place / "cache2"), image=registry.address + "/other")
    assert other["digest"] == pushed[VERSIONS[1]]["digest"] and other["layers"]["packed"] == other["layers"]["release"]


@pytest.mark.skipif("S3_ENDPOINT" not in os.environ, reason="no S3 server: make integration starts one")
def test_a_store_in_s3_makes_the_same(pushed: dict[str, t.Any], image: Run, registry: Registry, place: Path) -> None:
    there = {
        "store": "s3://%s/release-image-%d" % (os.environ["S3_BUCKET"], os.getpid()),
        "endpoint_url": os.environ["S3_ENDPOINT"],
        "region": "us-east-1",
        "access_key": os.environ["S3_ACCESS_KEY"],
        "secret_key": os.environ["S3_SECRET_KEY"],
        "store_timeout": 60,
    }
    tree = {"state": "present", "path": str(place / "releases" / VERSIONS[1]), "name": "beacon", "version": VERSIONS[1]}
    run_artifact({**there, **tree}, False)
    first = image(VERSIONS[1], image=registry.address + "/of-s3", **there)
    assert first["digest"] == pushed[VERSIONS[1]]["digest"] and first["layers"]["packed"] > 0
    # An empty repository takes the bytes that the bucket remembers.
    again = image(VERSIONS[1], image=registry.address + "/of-s3-again", **there)
    assert again["changed"] and again["digest"] == first["digest"] and again["layers"]["packed"] == again["writes"] == 0


def test_an_image_names_its_release(pushed: dict[str, t.Any], registry: Registry) -> None:
    done = pushed[VERSIONS[1]]
    found = run_image_info(
        {"image": "%s/beacon:%s" % (registry.address, VERSIONS[1]), "validate_registry": False, "timeout": 60}
    )
    (one,) = found["images"]
    assert found["digest"] == done["digest"] == one["digest"] and not found["index"]
    assert [one[key] for key in ("name", "version", "release_digest")] == [
        "beacon",
        VERSIONS[1],
        done["release_digest"],
    ]
    assert len(one["layers"]) == done["layers"]["base"] + done["layers"]["release"]
    none = run_image_info({"image": registry.address + "/beacon:nothing", "validate_registry": False, "timeout": 60})
    assert none == {"changed": False, "exists": False, "images": []}


def test_an_index_joins_what_was_pushed(pushed: dict[str, t.Any], registry: Registry) -> None:
    """Of one architecture, as there is no second one here: the document and its way to the registry are the same."""
    params = {
        "state": "joined",
        "image": registry.address + "/beacon",
        "tag": "all",
        "members": [pushed[VERSIONS[1]]["image"]],
        "validate_registry": False,
        "timeout": 60,
    }
    first, again = run_image(params, False), run_image(params, False)
    assert first["changed"] and not again["changed"] and first["digest"] == again["digest"]
    found = run_image_info({"image": registry.address + "/beacon:all", "validate_registry": False, "timeout": 60})
    assert found["index"] and [one["version"] for one in found["images"]] == [VERSIONS[1]]


def refused(code: str, work: t.Callable[[], t.Any]) -> BeamError:
    with pytest.raises(BeamError) as caught:
        work()
    assert caught.value.code == code, caught.value.message
    return caught.value


def test_bases_that_do_not_fit(image: Run, bases: dict[str, str], registry: Registry) -> None:
    uploads = len(registry.uploads())
    assert (
        "libcrypto.so.3 is not installed"
        in refused("image_abi_mismatch", lambda: image("0.1.0", base=bases["without_openssl"])).why
    )
    assert "it has no sh" in refused("image_abi_mismatch", lambda: image("0.1.0", base=bases["without_shell"])).why
    tag = bases["whole"].partition("@")[0] + ":1"
    assert bases["whole"] in refused("image_base_not_pinned", lambda: image("0.1.0", base=tag)).hint
    refused("image_missing", lambda: image("0.1.0", base=bases["whole"][:-64] + "0" * 64))
    assert len(registry.uploads()) == uploads


def test_a_tag_stays_where_it_is(pushed: dict[str, t.Any], image: Run) -> None:
    error = refused("image_tag_taken", lambda: image(VERSIONS[0], tag=VERSIONS[1]))
    assert error.details["there"] == pushed[VERSIONS[1]]["digest"]


def test_registries_that_refuse(image: Run, registry: Registry, place: Path, bases: dict[str, str]) -> None:
    """Away, https with an unknown certificate, and a password: with the right files both work."""
    refused("registry_unreachable", lambda: image("0.1.0", image="127.0.0.1:1/beacon"))
    refused("registry_tls", lambda: image("0.1.0", validate_registry=True))
    certs = place / "certs"
    certs.mkdir()
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=registry",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(certs / "ca.key.pem"),
            "-out",
            str(certs / "ca.crt"),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
        timeout=30,
    )
    # The password "geheim99" as htpasswd -B writes it.
    (place / "htpasswd").write_text("shop:$2b$05$abcdefghijklmnopqrstuulEAdOxlXSuxbYP3.kOP7sukcgtqQYyS\n")
    secure = Registry(place / "secure", (str(certs / "ca.crt"), str(certs / "ca.key.pem")), str(place / "htpasswd"))
    try:
        there = {"image": secure.address + "/beacon", "validate_registry": True}
        (place / "only-ca").mkdir()
        shutil.copy(certs / "ca.crt", place / "only-ca" / "ca.crt")
        refused("registry_tls", lambda: image("0.1.0", **there))
        refused("registry_unauthorized", lambda: image("0.1.0", cert_dir=str(place / "only-ca"), **there))
        auth = place / "auth.json"
        auth.write_text(json.dumps({"auths": {secure.address: {"auth": "c2hvcDpnZWhlaW05OQ=="}}}))
        auth.chmod(0o600)
        # The base is kept in the cache, and its blobs are copied from a registry without https: one that skopeo is told to trust by its settings.
        rehearsed = image("0.1.0", check=True, cert_dir=str(place / "only-ca"), authfile=str(auth), **there)
        assert rehearsed["changed"] and rehearsed["bytes"]["missing"] > 0
    finally:
        secure.stop()


@pytest.fixture(scope="module")
def container(pushed: dict[str, t.Any], place: Path) -> t.Iterator[Container]:
    (place / "pod").mkdir()
    found = Container(pushed[VERSIONS[1]]["image"], place / "pod", {"RELEASE_COOKIE": "cookie", "PORT": "4000"})
    found.start()
    yield found
    found.remove()


def test_it_runs(container: Container, pushed: dict[str, t.Any]) -> None:
    """As nobody, with a root that is read-only: the VM is the first process, rpc works beside it, and SIGTERM ends it well."""
    version = container.ask("/app/bin/beacon", "version")
    assert version.stdout.strip() == "beacon " + VERSIONS[1], version.stdout
    question = 'IO.puts(Enum.join([Application.spec(:beacon, :vsn), :code.lib_dir(:beacon), System.pid(), File.read!("/app/.beam.json")], " "))'
    deadline = time.monotonic() + 20
    answer = container.ask("/app/bin/beacon", "rpc", question)
    while answer.returncode != 0 and time.monotonic() < deadline:
        time.sleep(0.2)
        answer = container.ask("/app/bin/beacon", "rpc", question)
    said = answer.stdout.split(None, 3)
    assert said[:3] == [VERSIONS[1], "/app/lib/beacon-" + VERSIONS[1], "1"], answer.stdout
    assert json.loads(said[3]) == {
        "name": "beacon",
        "version": VERSIONS[1],
        "digest": pushed[VERSIONS[1]]["release_digest"],
    }
    assert container.stop() == 0, (container.directory / "log").read_text()


def test_the_role(place: Path, registry: Registry, bases: dict[str, str], store: str, pushed: dict[str, t.Any]) -> None:
    """Check mode, a push, and a second run that changes nothing."""
    play = [
        {
            "name": "Push",
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "beam_name": "beacon",
                "beam_store": store,
                "beam_version": VERSIONS[1],
                "beam_image": registry.address + "/by-role",
                "beam_image_base": bases["whole"],
                "oci_validate_registry": False,
            },
            "tasks": [
                task
                for check in (True, False, False)
                for task in (  # the role is release_image with the variables of an inventory
                    {
                        "name": "Push",
                        "ansible.builtin.include_role": {"name": "alchemist.beam.oci", "apply": {"check_mode": check}},
                    },
                    {
                        "name": "Tell",
                        "ansible.builtin.debug": {"msg": "TOLD {{ oci_result.image }} {{ oci_result.changed }}."},
                    },
                )
            ]
            + [
                {
                    "name": "Look",
                    "alchemist.beam.release_image_info": {
                        "image": "%s/by-role:%s" % (registry.address, VERSIONS[1]),
                        "validate_registry": False,
                    },
                    "register": "found",
                },
                {"name": "Tell", "ansible.builtin.debug": {"msg": "SEEN {{ found.images[0].release_digest }}."}},
            ],
        }
    ]
    (place / "play.yml").write_text(json.dumps(play))
    done = subprocess.run(
        [str(ANSIBLE), "-i", "localhost,", str(place / "play.yml")],
        env={**os.environ, "XDG_CACHE_HOME": str(place / "home"), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    told = re.findall(r"TOLD (\S+ \w+)", done.stdout)
    assert re.findall(r"SEEN (\w+)", done.stdout) == [pushed[VERSIONS[1]]["release_digest"]]
    name = "%s/by-role@%s" % (registry.address, pushed[VERSIONS[1]]["digest"])
    assert told == [name + " True", name + " True", name + " False"]
