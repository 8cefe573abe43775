# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.


"""The instance metadata service, version 2 only: a token first, then what this instance may know of itself. Standard library alone."""

from __future__ import annotations

import http.client
import re
import time
import typing as t
from urllib.parse import quote, urlsplit

from .._deadline import TIMEOUTS, Limit, http_connection
from .._errors import BeamError

TOKEN_SECONDS = 21600
MAX_BYTES = 1024 * 1024
TIMEOUT = 2.0
_INSTANCE = re.compile(r"m?i-[0-9a-f]{8,17}")
_REGION = re.compile(r"[a-z]{2,12}(-[a-z0-9]{1,12}){1,4}")


class Metadata:
    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._token = ""
        self._expires = 0.0

    def get(self, path: str) -> bytes | None:
        """None where there is no such thing. path: below /latest/."""
        for again in (True, False):
            status, body = self._ask(
                "GET", "/latest/" + quote(path, safe="/:"), {"X-aws-ec2-metadata-token": self._current_token()}
            )
            if status == 200:
                return body
            if status == 404:
                return None
            self._token = ""
            if status != 401 or not again:
                raise self._error(
                    "metadata_unreachable", "it answered %d" % status, "Look at the instance's metadata options"
                )
        return None

    def text(self, path: str) -> str:
        """'' where there is no such thing."""
        return (self.get(path) or b"").decode("utf-8", "replace").strip()

    def instance(self) -> str:
        """The id of this instance."""
        return self._known("meta-data/instance-id", _INSTANCE, "the id of an instance")

    def region(self) -> str:
        """'' if the service returns none."""
        return self._known("meta-data/placement/region", _REGION, "a region")

    def _known(self, path: str, form: re.Pattern[str], what: str) -> str:
        """Whatever answers there may be no metadata service, or only half of one."""
        text = self.text(path)
        if not form.fullmatch(text) and (text or form is _INSTANCE):
            raise self.nonsense(path, text, what)
        return text

    def nonsense(self, path: str, text: str, what: str) -> BeamError:
        return self._error(
            "metadata_answer",
            "it says %r for %s, which is not %s" % (text[:100], path, what),
            "Check metadata_url (bootstrap_aws): it must be the service of the cloud",
        )

    def _current_token(self) -> str:
        if self._token and time.monotonic() < self._expires:
            return self._token
        status, body = self._ask(
            "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}, token=True
        )
        if status == 403:
            raise self._error(
                "metadata_absent",
                "it is switched off for this instance",
                "Set HttpEndpoint: enabled in the launch template",
            )
        if status != 200:
            raise self._error(
                "metadata_absent",
                "it gives no token, it answered %d" % status,
                "Check metadata_url: version 2 of the service is asked",
            )
        self._token, self._expires = body.decode("ascii", "replace").strip(), time.monotonic() + TOKEN_SECONDS / 2
        return self._token

    def _ask(self, method: str, path: str, headers: t.Mapping[str, str], token: bool = False) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        # No proxy, whatever the environment says: it is a matter of this machine alone.
        connection = http_connection("http", parts.hostname or "", parts.port or 80, None, None)
        connected = False
        limit = Limit(self.timeout)
        try:
            with limit:
                connection.connect()
                connected = True
                connection.request(
                    method,
                    parts.path.rstrip("/") + path,
                    headers={**headers, "Content-Length": "0"} if method == "PUT" else dict(headers),
                )
                answer = connection.getresponse()
                body = answer.read(MAX_BYTES + 1)
                if len(body) > MAX_BYTES:
                    raise ValueError("its answer has more than %d bytes" % MAX_BYTES)
                if answer.length:
                    raise ValueError("its answer ends %d bytes before its end" % answer.length)
                return answer.status, body
        except TIMEOUTS as exc:
            if token and connected:
                hint = "Raise HttpPutResponseHopLimit of the launch template to 2, or run on the instance itself and not in a container"
                raise self._error(
                    "metadata_absent",
                    "the answer with the token never came: it ends at the hop limit, or the service is slow",
                    hint,
                ) from exc
            why = "it did not answer within %g s: %s" % (self.timeout, limit.state)
            raise self._error("metadata_unreachable" if connected else "metadata_absent", why, _ABSENT) from exc
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise self._error("metadata_absent", str(exc) or type(exc).__name__, _ABSENT) from exc
        finally:
            connection.close()

    def _error(self, code: str, why: str, hint: str) -> BeamError:
        return BeamError(code, "the instance metadata service at %s can't be used" % self.url, why, hint)


_ABSENT = "Outside of a cloud, set identify: [file] and lifecycle: none"
