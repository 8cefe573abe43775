# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""YAML with a reason at each line. What only a person knows is a blank that has a name: Ansible refuses it, and says where it belongs."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

WIDTH = 140
_MARK = re.compile(r"# As init wrote it: ([0-9a-f]{16})\n")
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[A-Za-z/][\w./:@+-]*(?<!:)", re.IGNORECASE)


def text(value: str) -> str:
    """A value of YAML that Ansible takes as it stands."""
    if "{{" in value or "{%" in value or "{#" in value:
        return "!unsafe " + json.dumps(value, ensure_ascii=False)
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _hint(words: str) -> str:
    return (
        words.replace("\\", "/")
        .replace("'", "`")
        .replace('"', "`")
        .replace("{", "(")
        .replace("}", ")")
        .replace("\n", " ")
    )


def blank(hint: str) -> str:
    return "\"{{ undef(hint='%s') }}\"" % _hint(hint)


def secret(name: str, source: str, application: str, hint: str, vault: str) -> str:
    """Where a secret comes from; never its value."""
    if source == "ssm":
        return "\"{{ lookup('amazon.aws.ssm_parameter', '/%s/%s') }}\"" % (application, name.lower())
    if source == "env":
        told = _hint("%s is not in the environment of whoever runs this. %s" % (name, hint))
        return "\"{{ lookup('ansible.builtin.env', '%s') | default(undef(hint='%s'), true) }}\"" % (name, told)
    told = _hint("Put vault_%s into %s (ansible-vault create, edit). %s" % (name.lower(), vault, hint))
    return "\"{{ vault_%s | default(undef(hint='%s')) }}\"" % (name.lower(), told)


@dataclass
class Page:
    """A file of YAML, line by line."""

    lines: list[str]
    indent: int = 0

    def say(self, *words: str) -> Page:
        for one in words:
            self.lines += (
                [("%s# %s" % (" " * self.indent, line)).rstrip() for line in _wrapped(one, WIDTH - self.indent)]
                if one
                else [""]
            )
        return self

    def put(self, key: str, value: str, why: str = "", off: bool = False) -> Page:
        """off: as a comment, for whoever wants it."""
        line = "%s%s%s: %s" % (" " * self.indent, "# " if off else "", key, value)
        if not why:
            self.lines.append(line.rstrip())
        elif len(line) + len(why) + 4 <= WIDTH and len(line) < 60:
            self.lines.append("%s # %s" % (line.ljust(44 + self.indent), why))
        else:
            self.lines += ["%s# %s" % (" " * self.indent, one) for one in _wrapped(why, WIDTH - self.indent)] + [line]
        return self


def _wrapped(words: str, width: int) -> list[str]:
    if words.startswith("  "):
        return [words[2:]]  # an example, as it stands
    words = re.sub(r"[^\S ]|[\x00-\x1f\x7f\x85\u2028\u2029]", " ", words)
    found, line = [], ""
    for word in words.split(" "):
        if line and len(line) + len(word) + 3 > width:
            found.append(line)
            line = word
        else:
            line = (line + " " + word).strip() if line else word
    return [*found, line]


def signed(content: str) -> str:
    """With a mark by which a later run sees whether a person has changed it."""
    return "# As init wrote it: %s\n%s" % (hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:16], content)


def untouched(content: str) -> bool:
    """Whether it is as init has written it."""
    found = _MARK.match(content)
    return found is not None and signed(content[found.end() :]) == content
