# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that is not there, and answers at once what a healthy one would: for tests/bench/scale.py. What it runs is a line in a file."""

from __future__ import annotations

DOCUMENTATION = """
name: beam_simulated
short_description: A server that is not there
description: Answers what the modules of a rollout would say of a healthy server.
options:
  pipelining:
    default: true
    type: bool
    description: As with any other connection.
    vars:
      - name: ansible_pipelining
  answers:
    description: A JSON file with an answer for each module, and a directory for what changes.
    type: str
    vars:
      - name: simulated_answers
"""

import json
import re
import typing as t
from pathlib import Path

from ansible.plugins.connection import ConnectionBase

MODULE = re.compile(rb"ansible_module='(?:[a-z_]+[.])*([a-z_]+)'")


class Connection(ConnectionBase):
    transport = "beam_simulated"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def close(self) -> None:
        self._connected = False

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        found = MODULE.search(in_data or b"")
        if found is None:
            return 1, b"", b"no module is in what came"
        place, module = Path(self.get_option("answers")), found.group(1).decode()
        answers: dict[str, t.Any] = json.loads(place.read_text(encoding="utf-8"))
        moved = place.parent / "moved" / str(self._play_context.remote_addr)
        answer = answers.get(module + " moved" if moved.exists() else module) or answers.get(module)
        if module == "rollout_host":
            moved.touch()
        with open(place.parent / "sent", "a", encoding="ascii") as sent:
            sent.write("%s %d\n" % (module, len(in_data or b"")))
        return 0, json.dumps(answer or {"changed": False}).encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        return

    def fetch_file(self, in_path: str, out_path: str) -> None:
        return
