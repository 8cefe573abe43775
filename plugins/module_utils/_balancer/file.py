# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""A readiness file of the server itself: it is there, and the application, or the agent that a proxy asks, says "send me requests".

Removing it is leaving and making it is joining. Whether anybody reads it is only seen with a `url`, whose status is 200 as long as the server is ready.
Balancers notice after their own checks: `quiet` has to be as long as they take.
"""

from __future__ import annotations

import http.client
import os
import ssl
import stat
import typing as t

from .._deadline import Limit, http_connection, http_parts
from .._errors import BeamError
from .base import IN, OUT, MemberState, Unavailable, beam_option

SECONDS = 3.0


def status_of(url: str, timeout: float = SECONDS) -> tuple[int, str]:
    """0 and the reason where nothing answers. No redirects, no proxy."""
    parts = http_parts(url)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    conn = http_connection(parts.scheme, str(parts.hostname), parts.port, None, context)
    limit = Limit(timeout)
    own = limit.end
    try:
        with limit:
            conn.request(
                "GET", (parts.path or "/") + ("?" + parts.query if parts.query else ""), headers={"Connection": "close"}
            )
            return conn.getresponse().status, ""
    except (OSError, http.client.HTTPException, ValueError) as exc:
        if limit.cut and limit.end < own:  # it had less time than a server may take: that says nothing about the server
            raise Unavailable(
                "balancer_unreachable",
                "%s did not answer in time" % url,
                limit.why,
                "Look at the server, or raise timeout",
            ) from exc
        return 0, limit.why if limit.cut else getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    finally:
        conn.close()


class ReadinessFile:
    fails_open = False
    adds = False
    sees_all = False
    pace = 0.2

    def __init__(self, path: str, url: t.Optional[str], host: str) -> None:
        self.label = "file %s" % path
        self._path, self._url, self._host = path, url, host

    def _present(self) -> bool:
        try:
            mode = os.lstat(self._path).st_mode
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise self._refused(exc.strerror or str(exc)) from exc
        if not stat.S_ISREG(mode):
            raise self._refused("it is not a regular file")
        return True

    def _refused(self, why: str) -> BeamError:
        return BeamError(
            "balancer_file",
            "The readiness file %s can't be used" % self._path,
            why,
            "Correct path, or the rights of its directory",
        )

    def look(self) -> dict[str, MemberState]:
        present = self._present()
        if not self._url:
            return {
                self._host: MemberState(
                    IN if present else OUT, present, None, "is there" if present else "is not there"
                )
            }
        status, why = status_of(self._url)
        ready = status == 200
        note = "%s %s" % (self._url, "answers %d" % status if status else "does not answer (%s)" % why)
        # As long as it answers 200, requests come, whatever became of the file.
        return {self._host: MemberState(IN if present or ready else OUT, ready, None, note, half=ready and not present)}

    def leave(self, name: str) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise self._refused(exc.strerror or str(exc)) from exc

    def shut(self, name: str) -> None:
        """There is nothing beyond it."""

    def join(self, name: str, checked: bool = True) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    os.fchmod(handle, 0o644)  # whatever the umask: the application is to see it
            finally:
                os.close(handle)
        except OSError as exc:
            raise self._refused(exc.strerror or str(exc)) from exc

    def forecast(self) -> dict[str, float]:
        return {}


def places(options: t.Mapping[str, t.Any], hosts: t.Collection[str]) -> list[ReadinessFile]:
    path, url = options.get("path"), options.get("url")
    if not path or not os.path.isabs(path):
        raise beam_option("Cannot use a balancer of kind file", "it needs path, an absolute one", "Give it")
    if url:
        try:
            http_parts(url)
        except ValueError as exc:
            raise beam_option("Cannot use the url %s of a readiness file" % url, str(exc)) from None
    if len(hosts) != 1:
        raise beam_option(
            "Cannot use a balancer of kind file for %d members" % len(hosts),
            "the file is on the server where the task runs",
            "Run the task on each server, with that server as its only member",
        )
    return [ReadinessFile(path, url, next(iter(hosts)))]


def readiness(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Whether this server asks for requests, as `rotation`. options: path and url."""
    host = "localhost"
    return {"rotation": places(options, [host])[0].look()[host].rotation}
