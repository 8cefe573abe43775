# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What a gate found of a commit, as a document: an in-toto Statement v1 with the predicate test-result v0.1. Pure.

The subject is the commit. A release names its commit in its manifest, so a statement belongs to every release of that commit, and to no other one.
The name of a statement in a store is the sha256 of its bytes: one that was changed there is no statement any more.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from .._errors import BeamError
from .._json import parse_json
from .names import check_digest, check_name, is_whole

SCHEMA = 1
MAX_STATEMENT_BYTES = 256 * 1024
MAX_NAMED = 200  # tests or findings that a statement names
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
# Ours -> the three results that the predicate knows. What was skipped leaves no statement.
RESULTS = {"passed": "PASSED", "unstable": "WARNED", "failed": "FAILED"}
REPORTS = {"junit": "junit.xml", "lcov": "lcov.info", "sarif": "sarif.json"}

_GATE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Statement:
    name: str  # of the release
    gate: str
    verdict: str  # a key of RESULTS
    commits: tuple[str, ...]  # one, or several with the very same files
    sources: str  # sha256 of the files that the gate read
    inputs: str  # sha256 of all that decides what it finds
    finished: str  # ISO 8601, UTC
    seconds: float
    by: str
    reason: str = ""  # why it did not pass, or passed only when it was repeated
    counts: t.Mapping[str, int] = field(default_factory=dict)
    coverage: float | None = None  # percent
    named: tuple[str, ...] = ()  # tests or findings that did not pass
    reports: t.Mapping[str, str] = field(default_factory=dict)  # kind of report -> its sha256

    def to_bytes(self) -> bytes:
        warned, failed = (self.named, ()) if self.verdict == "unstable" else ((), self.named)
        own = {
            "schema": SCHEMA,
            "name": self.name,
            "gate": self.gate,
            "verdict": self.verdict,
            "finished": self.finished,
            "seconds": self.seconds,
            "by": self.by,
            "reason": self.reason,
            "counts": dict(self.counts),
            "coverage": self.coverage,
            "reports": dict(self.reports),
        }
        document = {
            "_type": STATEMENT_TYPE,
            "subject": [
                *({"name": self.name, "digest": {"gitCommit": commit}} for commit in self.commits),
                {"name": "sources", "digest": {"sha256": self.sources}},
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "result": RESULTS[self.verdict],
                "configuration": [{"name": "inputs", "digest": {"sha256": self.inputs}}],
                "warnedTests": list(warned),
                "failedTests": list(failed),
                "alchemist_beam": own,
            },
        }
        return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")

    @property
    def id(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def time(self) -> datetime.datetime:
        return _time(self.finished)


def check_gate(value: t.Any) -> str:
    if not isinstance(value, str) or not _GATE.fullmatch(value):
        raise BeamError(
            "invalid_gate",
            "%.60r is not the name of a gate" % (value,),
            "it must be a lower-case letter, then up to 31 letters, digits or underscores",
            "Give another name",
        )
    return value


def check_commit(value: t.Any) -> str:
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise BeamError(
            "invalid_commit",
            "%.80r is not a commit" % (value,),
            "it must be all hexadecimal digits of its name",
            "Give the whole name, as git rev-parse shows it",
        )
    return value


def stamp(now: datetime.datetime | None = None) -> str:
    return (now or datetime.datetime.now(datetime.timezone.utc)).strftime(_TIME)


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.timezone.utc)


def parse_statement(data: bytes, name: str, gate: str, commit: str, digest: str | None = None) -> Statement:
    """The statement of this gate of this commit. digest: the sha256 that its name in the store says."""
    label = "the statement of the gate %s of %s %s" % (gate, name, commit[:12])
    try:
        if len(data) > MAX_STATEMENT_BYTES:
            raise ValueError("it has more than %d bytes" % MAX_STATEMENT_BYTES)
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("its content is not what its name says: it was changed after it was written")
        found = _parsed(parse_json(data))
        if (found.name, found.gate) != (name, gate):
            raise ValueError("it is of the gate %s of %s" % (found.gate, found.name))
        if commit not in found.commits:
            raise ValueError("it is of the commit %s" % found.commits[0][:12])
        if found.to_bytes() != data:
            raise ValueError("it was not written by this collection, or holds more than it knows")
        return found
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, BeamError) as exc:
        raise BeamError(
            "statement_invalid",
            "%s can't be used" % label,
            str(exc) or type(exc).__name__,
            "Find out who wrote it, remove it, and run the gate again (playbook alchemist.beam.gate)",
        ) from exc


def _parsed(doc: t.Any) -> Statement:
    if doc["_type"] != STATEMENT_TYPE or doc["predicateType"] != PREDICATE_TYPE:
        raise ValueError("it is no in-toto Statement of a test result")
    predicate = doc["predicate"]
    own = predicate["alchemist_beam"]
    if own["schema"] != SCHEMA:
        raise ValueError("its schema is %.40r, this collection reads %d" % (own["schema"], SCHEMA))
    if own["verdict"] not in RESULTS:
        raise ValueError("its verdict is %.40r" % (own["verdict"],))
    _time(own["finished"])
    coverage = own["coverage"]
    if coverage is not None and not _is_number(coverage, 100):
        raise ValueError("its coverage is %.40r" % (coverage,))
    if not _is_number(own["seconds"], 1e9):
        raise ValueError("its seconds are %.40r" % (own["seconds"],))
    if not all(is_whole(count) and count >= 0 for count in own["counts"].values()):
        raise ValueError("its counts are no numbers")
    named = [*predicate["warnedTests"], *predicate["failedTests"]]
    texts = [own["finished"], own["by"], own["reason"], *own["counts"], *named]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text of it is none")
    if not set(own["reports"]) <= set(REPORTS):
        raise ValueError("it names a report that is unknown")
    return Statement(
        check_name(own["name"]),
        check_gate(own["gate"]),
        own["verdict"],
        tuple(check_commit(subject["digest"]["gitCommit"]) for subject in doc["subject"][:-1]),
        check_digest(doc["subject"][-1]["digest"]["sha256"]),
        check_digest(predicate["configuration"][0]["digest"]["sha256"]),
        own["finished"],
        own["seconds"],
        own["by"],
        own["reason"],
        own["counts"],
        coverage,
        tuple(named),
        {kind: check_digest(digest) for kind, digest in own["reports"].items()},
    )


def _is_number(value: t.Any, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
