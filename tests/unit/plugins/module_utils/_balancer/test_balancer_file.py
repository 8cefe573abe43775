# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import socket
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.base import Unavailable
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.file import ReadinessFile
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.move import Mover, Timing
from ansible_collections.alchemist.beam.plugins.module_utils._balancer.plan import plan_drain, plan_join
from ansible_collections.alchemist.beam.plugins.module_utils._deadline import Limit
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError


class Ready(http.server.BaseHTTPRequestHandler):
    """An application that answers 200 as long as its file is there."""

    file: Path
    deaf = False

    def do_GET(self) -> None:
        self.send_response(200 if self.deaf or self.file.exists() else 503)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def app(tmp_path: Path) -> t.Iterator[t.Any]:
    handler = type("Handler", (Ready,), {"file": tmp_path / "ready", "deaf": False})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    handler.url = "http://127.0.0.1:%d/ready" % server.server_address[1]  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def moved(place: ReadinessFile, joining: bool, timeout: float = 2.0) -> t.Any:
    mover = Mover([place], Timing(timeout, 0.2, 0.05, undo=0.5))
    looks = mover.look()
    return (
        mover.join(plan_join([place], looks, {"me"})) if joining else mover.drain(plan_drain([place], looks, {"me"}))
    )["me"]


def test_file_is_removed_and_made(tmp_path: Path) -> None:
    place = ReadinessFile(str(tmp_path / "ready"), None, "me")
    row = moved(place, True)
    assert (row.before, row.after) == ("out", "in") and (tmp_path / "ready").is_file()
    row = moved(place, False)
    assert (row.before, row.after) == ("in", "out") and not (tmp_path / "ready").exists()


def test_url_says_what_became_of_it(tmp_path: Path, app: t.Any) -> None:
    place = ReadinessFile(str(tmp_path / "ready"), app.url, "me")
    assert moved(place, True).after == "in" and moved(place, False).after == "out"


def test_an_application_that_does_not_read_its_file_has_not_left(tmp_path: Path, app: t.Any) -> None:
    app.deaf = True
    place = ReadinessFile(str(tmp_path / "ready"), app.url, "me")
    row = moved(place, True)  # it answers 200 already, and the file is made all the same
    assert row.after == "in" and row.taken == (place.label,) and (tmp_path / "ready").exists()
    with pytest.raises(BeamError) as caught:
        moved(place, False, 0.5)
    assert caught.value.code == "not_drained"
    assert (tmp_path / "ready").exists(), "put back"


def test_an_application_that_is_not_ready_has_not_joined(tmp_path: Path) -> None:
    place = ReadinessFile(str(tmp_path / "ready"), "http://127.0.0.1:9/ready", "me")
    with pytest.raises(BeamError) as caught:
        moved(place, True, 0.5)
    assert caught.value.code == "not_joined" and "does not answer" in caught.value.why


def test_something_else_at_its_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "ready").symlink_to(tmp_path / "other")
    for path in (tmp_path / "ready", tmp_path):
        with pytest.raises(BeamError) as caught:
            ReadinessFile(str(path), None, "me").look()
        assert caught.value.code == "balancer_file"
    with pytest.raises(BeamError):
        ReadinessFile(str(tmp_path / "no" / "ready"), None, "me").join("me")
    assert (tmp_path / "other").read_text() == "precious"


def test_a_server_that_was_given_less_time_than_it_may_take_is_not_called_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = ReadinessFile(str(tmp_path / "ready"), "http://127.0.0.1:%d/" % silent.getsockname()[1], "me")
        with Limit(0.05), pytest.raises(Unavailable, match="the 0.1 seconds are over"):
            place.look()
