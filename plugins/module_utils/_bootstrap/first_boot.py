# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""The first minute of a bare server: take the bundle out of the bucket, unpack it, and hand over to it.

The text of this file is the user data, so it stands alone: the standard library of Python 3.9, and nothing secret in it.
"""

from __future__ import annotations

import datetime
import email.utils
import hashlib
import hmac
import http.client
import io
import json
import os
import random
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
import typing as t
import urllib.parse
import zipfile

ROOT = "/usr/local/lib/beam-bootstrap"


class Failed(Exception):
    pass


class Again(Failed):
    """Worth another try until the deadline."""


class Web:
    """Requests that end in time, whatever a server sends meanwhile: in a thread, which is left to itself then."""

    end = float("inf")  # of all of them

    def ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes = b"",
        timeout: float = 5,
        context: t.Any = None,
    ) -> tuple[int, t.Any, bytes]:
        found: list[t.Any] = []
        seconds = max(0.5, min(timeout, self.end - time.monotonic()))

        def work() -> None:
            try:
                found.append(ask(method, url, headers, body, seconds, context))
            except Exception as exc:
                found.append(exc)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(seconds)
        if not found:
            raise Again("%s://%s did not answer within %.3g s" % (*urllib.parse.urlsplit(url)[:2], seconds))
        if isinstance(found[0], Exception):
            raise found[0]
        return t.cast("tuple[int, t.Any, bytes]", found[0])


def ask(
    method: str, url: str, headers: dict[str, str], body: bytes, timeout: float, context: t.Any
) -> tuple[int, t.Any, bytes]:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    link = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    if parts.scheme == "https":
        link = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    try:
        link.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
        answer = link.getresponse()
        return answer.status, answer.headers, answer.read(1 << 26)  # of whatever length it says
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as exc:
        raise Again(
            "%s://%s did not answer: %s" % (parts.scheme, parts.netloc, str(exc) or type(exc).__name__)
        ) from None
    finally:
        link.close()


class Metadata:
    """The instance metadata service, version 2."""

    def __init__(self, url: str, web: Web) -> None:
        self.url, self.token, self.ask = url.rstrip("/") + "/latest/", "", web.ask

    def get(self, path: str) -> str | None:
        if not self.token:
            hint = "check the metadata options of the launch template (HttpEndpoint: enabled, HttpPutResponseHopLimit)"
            try:
                status, _headers, body = self.ask(
                    "PUT", self.url + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
                )
            except Again as exc:
                raise Again("no token from the instance metadata service: %s; %s" % (exc, hint)) from None
            if status != 200:
                raise Again("no token from the instance metadata service: it answered %d; %s" % (status, hint))
            self.token = body.decode("latin-1")
        status, _headers, body = self.ask(
            "GET", self.url + urllib.parse.quote(path), {"X-aws-ec2-metadata-token": self.token}
        )
        if status == 404:
            return None
        if status != 200:
            self.token = ""
            raise Again("the instance metadata service answered %d to %s" % (status, path))
        return body.decode("utf-8", "replace").strip()

    def credentials(self) -> dict[str, str]:
        role = self.get("meta-data/iam/security-credentials/")
        text = self.get("meta-data/iam/security-credentials/" + role.split()[0]) if role else None
        try:
            found = json.loads(text or "{}")
            if found.get("Code", "Success") == "Success":
                return {
                    "key": found["AccessKeyId"],
                    "secret": found["SecretAccessKey"],
                    "token": found.get("Token") or "",
                }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise Again("this instance has no credentials: give the launch template an instance profile with a role")


def sign(
    method: str,
    url: str,
    service: str,
    region: str,
    credentials: dict[str, str],
    now: float,
    body: bytes = b"",
    more: dict[str, str] | None = None,
) -> dict[str, str]:
    """Headers with a signature of version 4."""
    parts = urllib.parse.urlsplit(url)
    at = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = "%s/%s/%s/aws4_request" % (at[:8], region, service)
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": at, **(more or {})}
    if credentials["token"]:
        headers["x-amz-security-token"] = credentials["token"]
    names = ";".join(sorted(headers))
    lines = [
        method,
        parts.path or "/",
        parts.query,
        *("%s:%s" % (key, headers[key]) for key in sorted(headers)),
        "",
        names,
        digest,
    ]
    text = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()))
    key = ("AWS4" + credentials["secret"]).encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        credentials["key"],
        scope,
        names,
        key.hex(),
    )
    return headers


class Boot:
    def __init__(self, settings: dict[str, t.Any]) -> None:
        self.settings = settings
        self.web = Web()
        self.metadata = Metadata(settings["metadata_url"], self.web)
        # The bucket may be elsewhere, the group is where this instance is.
        self.regions: dict[str, str] = {
            "s3": settings.get("region") or "",
            "autoscaling": settings.get("aws_region") or "",
        }
        self.shift = 0.0  # how far this server's clock is behind the store's
        self.context = ssl.create_default_context(cafile=settings.get("ca") or None)
        if settings.get("insecure"):
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def keep_trying(self, work: t.Callable[[], t.Any], seconds: float) -> t.Any:
        end, wait, told = time.monotonic() + seconds, 0.5, ""
        self.web.end = end
        while True:
            try:
                return work()
            except Again as exc:  # noqa: PERF203
                if time.monotonic() + wait > end:
                    raise Failed("%s (given up after %d s)" % (exc, seconds)) from None
                if str(exc) != told:
                    say("%s; trying again" % exc)
                    told = str(exc)
                time.sleep(wait * random.uniform(0.5, 1.5))
                wait = min(wait * 2, 10)

    def region(self, service: str) -> str:
        self.regions[service] = self.regions[service] or self.metadata.get("meta-data/placement/region") or ""
        if not self.regions[service]:
            raise Again("the instance metadata service does not tell the region")
        return self.regions[service]

    def domain(self, service: str) -> str:
        region = self.region(service)
        return region + (".amazonaws.com.cn" if region.startswith("cn-") else ".amazonaws.com")

    def signed(
        self, method: str, url: str, service: str, body: bytes = b"", more: dict[str, str] | None = None
    ) -> tuple[int, t.Any, bytes]:
        headers = sign(
            method,
            url,
            service,
            self.region(service),
            self.metadata.credentials(),
            time.time() + self.shift,
            body,
            more,
        )
        status, answer, data = self.web.ask(method, url, headers, body, 120, self.context)
        try:
            told = email.utils.parsedate_to_datetime(answer["date"]).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):  # it has none
            told = time.time()
        if status in (400, 403) and abs(told - time.time() - self.shift) > 60:
            self.shift = told - time.time()
            raise Again("the clock of this server is wrong by %d s" % self.shift)
        return status, answer, data

    def fetch(self) -> bytes:
        given = self.settings
        key = urllib.parse.quote(given["key"], safe="/-_.~")
        if given.get("endpoint"):
            url = "%s/%s/%s" % (given["endpoint"].rstrip("/"), given["bucket"], key)
        elif "." in given["bucket"]:
            url = "https://s3.%s/%s/%s" % (self.domain("s3"), given["bucket"], key)
        else:
            url = "https://%s.s3.%s/%s" % (given["bucket"], self.domain("s3"), key)
        status, headers, data = self.signed("GET", url, "s3")
        what = "s3://%s/%s" % (given["bucket"], given["key"])
        if status != 200:
            theirs = headers["x-amz-bucket-region"] or ""
            if theirs and theirs != self.regions["s3"] and not given.get("endpoint"):
                self.regions["s3"] = theirs
                raise Again("the bucket is in %s" % theirs)
            code = re.search(rb"<Code>(\w+)</Code>", data)
            reason = "%s can't be read: %d %s" % (what, status, code.group(1).decode() if code else "")
            raise (Failed if status in (301, 400, 404) else Again)(reason)
        if hashlib.sha256(data).hexdigest() != given["sha256"]:
            raise Failed("%s is not what this user data names: it has another sha256" % what)
        return data

    def abandon(self) -> None:
        """Tell the group, where this is one of its launches, so that it need not wait for its hook's timeout."""
        if (
            self.settings.get("silent")
            or (self.metadata.get("meta-data/autoscaling/target-lifecycle-state") or "") != "InService"
        ):
            return
        instance = self.metadata.get("meta-data/instance-id") or ""
        lifecycle = self.settings.get("lifecycle") or {}
        group = lifecycle.get("group") or self.metadata.get("meta-data/tags/instance/aws:autoscaling:groupName")
        if not group:
            found = self.autoscaling("DescribeAutoScalingInstances", **{"InstanceIds.member.1": instance})
            group = (re.findall("<AutoScalingGroupName>([^<]*)<", found) or [""])[0]
        hooks = [lifecycle["launching"]] if lifecycle.get("launching") else []
        if group and not hooks:
            found = self.autoscaling("DescribeLifecycleHooks", AutoScalingGroupName=group)
            members = [one for one in found.split("<member>") if "EC2_INSTANCE_LAUNCHING" in one]
            hooks = [name for one in members for name in re.findall("<LifecycleHookName>([^<]*)<", one)]
        for hook in hooks:
            self.autoscaling(
                "CompleteLifecycleAction",
                AutoScalingGroupName=group,
                LifecycleHookName=hook,
                InstanceId=instance,
                LifecycleActionResult="ABANDON",
            )
            say("The group %s was told to abandon this instance" % group)

    def autoscaling(self, action: str, **parameters: str) -> str:
        url = (self.settings.get("autoscaling") or "https://autoscaling." + self.domain("autoscaling")).rstrip(
            "/"
        ) + "/"
        body = urllib.parse.urlencode({"Action": action, "Version": "2011-01-01", **parameters}).encode()
        status, _headers, data = self.signed(
            "POST", url, "autoscaling", body, {"content-type": "application/x-www-form-urlencoded"}
        )
        if status != 200:
            code = re.search(rb"<Code>(\w+)</Code>", data)
            raise (Again if status >= 500 else Failed)(
                "%s: %d %s" % (action, status, code.group(1).decode() if code else "")
            )
        return data.decode("utf-8", "replace")


def unpack(data: bytes, name: str, sha256: str, root: str = ROOT) -> bool:
    """<root>/<name> is a link that moves at once to a directory which is complete. False where it is there already."""
    folder = "%s.%s" % (name, sha256[:16])
    link, place = os.path.join(root, name), os.path.join(root, folder)
    if os.path.islink(link) and os.readlink(link) == folder and os.path.isdir(place):
        return False
    os.makedirs(root, exist_ok=True)
    fresh = place + ".new"
    for old in (fresh, place):
        shutil.rmtree(old, ignore_errors=True)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        for info in bundle.infolist():
            if info.filename.startswith("/") or ".." in info.filename.split("/"):
                raise Failed("the bundle has a path that leads out of it: %s" % info.filename)
            path = os.path.join(fresh, info.filename)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(bundle.read(info))
    os.sync()
    os.rename(fresh, place)
    if os.path.isdir(link) and not os.path.islink(link):
        shutil.rmtree(link)
    os.symlink(folder, link + ".link")
    os.replace(link + ".link", link)
    for other in os.listdir(root):
        if other != folder and re.fullmatch(re.escape(name) + r"\.[0-9a-f]{16}(\.new)?", other):
            shutil.rmtree(os.path.join(root, other), ignore_errors=True)
    return True


def say(text: str) -> None:
    sys.stderr.write("beam-bootstrap: %s\n" % text)
    sys.stderr.flush()


def command(words: list[str], what: str, seconds: float) -> None:
    # There is no AnsibleModule here, so there is no run_command. pylint: disable-next=ansible-bad-function
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("%s did not end within %d s" % (what, seconds)) from None
    if status:
        raise Failed("%s failed (exit status %d)" % (what, status))


def main(settings: dict[str, t.Any]) -> int:
    os.umask(0o022)
    boot = Boot(settings)
    root = settings.get("root") or ROOT
    try:
        needs = tuple(settings["python"])
        if sys.version_info[:2] < needs:
            raise Failed("this server's Python is %d.%d, and the bundle needs %d.%d" % (*sys.version_info[:2], *needs))
        data = boot.keep_trying(boot.fetch, settings["deadline"])
        unpack(data, settings["name"], settings["sha256"], root)
        place = os.path.join(root, settings["name"])
        command(
            [sys.executable, place + "/beam-bootstrap.pyz", "setup", place + "/kit.json"],
            "the setup of this server",
            settings["deadline"],
        )
        if settings["start"]:
            command(["systemctl", "start", "--no-block", *settings["start"]], "systemctl start", settings["deadline"])
        say("handed over to %s" % place)
        return 0
    except (Failed, OSError, zipfile.BadZipFile) as exc:
        say("FAILED: %s" % exc)
    try:
        boot.keep_trying(boot.abandon, 30)
    except (Failed, OSError) as exc:
        say("The auto scaling group could not be told: %s" % exc)
    return 1
