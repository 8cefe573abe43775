# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A channel that requires gates: each kind of attempt to get past it is refused, changes nothing, and says why."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import typing as t

import pytest
from ansible_collections.alchemist.beam.plugins.module_utils._errors import BeamError
from ansible_collections.alchemist.beam.plugins.module_utils._release.channel import parse_channel
from ansible_collections.alchemist.beam.plugins.module_utils._release.gates import Statement, stamp
from ansible_collections.alchemist.beam.plugins.module_utils._store.base import Store
from ansible_collections.alchemist.beam.plugins.module_utils._store.documents import Version, read_channel
from ansible_collections.alchemist.beam.plugins.module_utils._store.gates import write_statement
from ansible_collections.alchemist.beam.plugins.module_utils._store.keys import channel_key, gate_key, version_key

Call = t.Callable[..., dict[str, t.Any]]
COMMIT, OTHER = "b" * 40, "c" * 40
REQUIRES = {"gates": ["test", "credo"], "coverage": 80, "max_age": "30d"}


def ago(**time: float) -> str:
    return stamp(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**time))


def stated(gate: str, verdict: str = "passed", **changes: t.Any) -> Statement:
    reason = "" if verdict == "passed" else "because"
    coverage = 81.5 if gate == "coverage" else None
    made = Statement("shop", gate, verdict, (COMMIT,), "1" * 64, "2" * 64, ago(minutes=5), 3.5, "ci@build1", reason)
    return dataclasses.replace(made, **{"coverage": coverage, **changes})


class Attempt:
    """A store with a stable 1.0.0, and 1.1.0 of COMMIT, whose gates all passed unless an attempt says otherwise."""

    def __init__(self, store: Store, channel: Call, artifact: Call, tree: t.Any) -> None:
        self.store, self.channel, self.artifact, self.tree = store, channel, artifact, tree
        first = Version("shop", "1.0.0", "3" * 64).to_bytes()
        store.put_if_absent(version_key("shop", "1.0.0"), first, len(first))
        channel(version="1.0.0")
        channel(state="required", requires=REQUIRES)

    def publish(self, **options: t.Any) -> None:
        self.artifact(path=self.tree("1.1.0", **{"sha": COMMIT, "changed": (1,), **options}))

    def state(self, *statements: Statement) -> None:
        for one in statements:
            write_statement(self.store, one, {})

    def passed(self, *but: str) -> None:
        self.state(*(stated(gate) for gate in ("test", "credo", "coverage") if gate not in but))

    def place(self, data: bytes, gate: str = "test", commit: str = COMMIT, digest: str = "") -> None:
        """As somebody with a key to the bucket does."""
        key = gate_key("shop", commit, gate, digest or hashlib.sha256(data).hexdigest())
        self.store.put_if_absent(key, data, len(data))

    def junk(self) -> None:
        key = "shop/gates/%s/test-passed.json" % COMMIT
        self.store.put_if_absent(key, b"{}", 2)


def nothing(site: Attempt) -> None:
    site.publish()


def one_is_missing(site: Attempt) -> None:
    site.publish()
    site.passed("credo")


def one_failed(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", "failed"))


def it_failed_after_it_passed(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", finished=ago(hours=1)), stated("test", "failed"))


def it_failed_and_passed_in_the_same_second(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    now = ago(minutes=1)
    site.state(stated("test", finished=now), stated("test", "failed", finished=now))


def it_is_unstable(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", "unstable"))


def it_is_old(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", finished=ago(days=31)))


def it_is_of_the_future(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", finished=ago(days=-400)))


def it_is_of_another_commit(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", commits=(OTHER,)))


def it_is_copied_from_another_commit(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.place(stated("test", commits=(OTHER,)).to_bytes())


def it_is_copied_from_another_gate(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.place(stated("credo").to_bytes())


def it_is_copied_from_another_application(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.place(stated("test", name="other").to_bytes())


def it_was_changed(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    failed = stated("test", "failed")
    site.place(stated("test").to_bytes(), digest=failed.id)


def its_result_and_its_verdict_differ(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.place(stated("test", "failed").to_bytes().replace(b'"verdict": "failed"', b'"verdict": "passed"'))


def it_is_no_statement(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.place(b'{"result": "PASSED"}')


def it_is_called_so(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.junk()


def it_covers_too_little(site: Attempt) -> None:
    site.publish()
    site.passed("coverage")
    site.state(stated("coverage", coverage=79.99))


def it_has_no_percentage(site: Attempt) -> None:
    site.publish()
    site.passed("coverage")
    site.state(stated("coverage", coverage=None))


def the_release_has_changes(site: Attempt) -> None:
    site.publish(dirty=True)
    site.passed()


def the_release_is_of_no_commit(site: Attempt) -> None:
    site.publish(sha="")
    site.passed()


def the_release_is_of_another_commit(site: Attempt) -> None:
    site.publish(sha=OTHER)
    site.passed()


ATTEMPTS: dict[t.Callable[[Attempt], None], str] = {
    nothing: "test is missing (its commit has no statement of this gate); credo is missing",
    one_is_missing: "credo is missing",
    one_failed: "test is failed (because)",
    it_failed_after_it_passed: "test is failed (because; an earlier run said passed)",
    it_failed_and_passed_in_the_same_second: "test is failed",
    it_is_unstable: "test is unstable",
    it_is_old: "may be 30d old",
    it_is_of_the_future: "in the future",
    it_is_of_another_commit: "test is missing",
    it_is_copied_from_another_commit: "it is of the commit cccccccccccc",
    it_is_copied_from_another_gate: "it is of the gate credo",
    it_is_copied_from_another_application: "it is of the gate test of other",
    it_was_changed: "changed after it was written",
    its_result_and_its_verdict_differ: "was not written by this collection",
    it_is_no_statement: "the statement of the gate test of shop bbbbbbbbbbbb can't be used",
    it_is_called_so: "test-passed.json",
    it_covers_too_little: "79.99 % of the lines ran, and the channel requires 80 %",
    it_has_no_percentage: "its statement has no percentage",
    the_release_has_changes: "was not built from a commit",
    the_release_is_of_no_commit: "was not built from a commit",
    the_release_is_of_another_commit: "test is missing",
}
WAYS: dict[str, dict[str, t.Any]] = {
    "proposed": {"state": "proposed"},
    "promoted": {"state": "promoted"},
    "by force": {"state": "promoted", "force": True},
    "rolled back": {"state": "rolled_back"},
    "with a blank reason": {"state": "proposed", "break_glass": "  "},
    "rehearsed": {"state": "proposed", "check": True},
}


@pytest.fixture
def site(store: Store, channel: Call, artifact: Call, tree: t.Any) -> Attempt:
    return Attempt(store, channel, artifact, tree)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
def test_no_way_past_the_gates(site: Attempt, attempt: t.Callable[[Attempt], None]) -> None:
    """Each way is tried on the same store, as none of them changes anything."""
    attempt(site)
    before = site.store.get(channel_key("shop", "production"), 10_000).data
    said = {}
    for way, options in WAYS.items():
        with pytest.raises(BeamError) as caught:
            site.channel(version="1.1.0", **options)
        assert caught.value.code == "gates_unmet", way
        said[way] = caught.value.message
        assert site.store.get(channel_key("shop", "production"), 10_000).data == before, way
    assert len(set(said.values())) == 1
    for part in (ATTEMPTS[attempt], "1.1.0", "alchemist.beam.gate"):
        assert part in said["proposed"]


def test_what_passed_becomes_candidate_and_stable(site: Attempt) -> None:
    site.publish()
    site.passed()
    made = site.channel(version="1.1.0", state="proposed")
    assert [(row["gate"], row["verdict"]) for row in made["gates"]] == [
        ("test", "passed"),
        ("credo", "passed"),
        ("coverage", "passed"),
    ]
    # The candidate was compared. A gate that fails now is one for the next release, and the rollout goes on.
    site.state(stated("test", "failed", finished=ago(minutes=1)))
    done = site.channel(version="1.1.0")
    assert done["channel"]["stable"]["version"] == "1.1.0" and done["channel"]["requires"]["max_age"] == "30d"
    assert "glass" not in done["channel"]
    # The way back to what was stable is always open.
    assert site.channel(state="rolled_back")["channel"]["stable"]["version"] == "1.0.0"


def test_one_statement_may_be_of_several_commits(site: Attempt) -> None:
    site.publish()
    site.state(*(stated(gate, commits=(OTHER, COMMIT)) for gate in ("test", "credo", "coverage")))
    assert site.channel(version="1.1.0")["changed"]


def test_glass_that_was_broken_stays_in_sight(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", "failed"))
    broken = site.channel(version="1.1.0", state="proposed", break_glass="the shop is down, INC-7")
    glass = broken["channel"]["glass"]
    assert (glass["version"], glass["reason"], glass["by"]) == ("1.1.0", "the shop is down, INC-7", "tester@here")
    assert "test is failed (because)" in glass["unmet"] and glass["at"] == broken["channel"]["at"]
    # Promoting the candidate needs no second reason, and does not forget the first one.
    assert site.channel(version="1.1.0")["channel"]["glass"] == glass
    # Of a release that fulfils all, the reason says nothing.
    site.channel(state="rolled_back", reason="x")
    site.channel(state="unghosted", version="1.1.0")
    site.artifact(path=site.tree("1.2.0", OTHER, changed=(2,)))
    site.state(*(stated(gate, commits=(OTHER,)) for gate in ("test", "credo", "coverage")))
    assert site.channel(version="1.2.0", break_glass="no need")["channel"]["glass"] == glass


def test_a_candidate_that_went_needs_its_gates_again(site: Attempt) -> None:
    site.publish()
    site.channel(version="1.1.0", state="proposed", break_glass="a try")
    site.channel(state="withdrawn")
    with pytest.raises(BeamError, match="test is missing"):
        site.channel(version="1.1.0", state="proposed")


@pytest.mark.parametrize(
    ("part", "by"), [(b'"serial": 2', b'"serial": 10000000000'), (b'"stable": {', b'"stable": "x", "was": {')]
)
def test_a_damaged_channel_that_is_written_anew_requires_the_same(site: Attempt, part: bytes, by: bytes) -> None:
    site.publish()
    key = channel_key("shop", "production")
    found = site.store.get(key, 10_000)
    assert part in found.data
    site.store.replace(key, found.data.replace(part, by), found.etag)
    with pytest.raises(BeamError, match="the channel requires gates: test is missing"):
        site.channel(version="1.1.0", force=True)
    site.passed()
    assert site.channel(version="1.1.0", force=True)["channel"]["requires"]["gates"] == ["test", "credo"]


def test_what_is_unstable_may_be_allowed(site: Attempt) -> None:
    site.publish()
    site.passed("test")
    site.state(stated("test", "unstable"))
    site.channel(state="required", requires={**REQUIRES, "unstable": "allow"})
    assert site.channel(version="1.1.0")["changed"]


def test_the_policy(site: Attempt, store: Store) -> None:
    assert not site.channel(state="required", requires=dict(REQUIRES))["changed"]
    data = store.get(channel_key("shop", "production"), 10_000).data
    assert parse_channel(data).to_bytes() == data
    none = site.channel(state="required", requires={})
    assert "requires" not in none["channel"], "as a channel of before"
    site.publish()
    assert site.channel(version="1.1.0")["changed"] and read_channel(store, "shop", "production")[0].requires is None
    # What moved the policy meanwhile wins: the write is a compare-and-swap.
    with pytest.raises(BeamError, match="serial"):
        site.channel(state="required", requires=REQUIRES, serial=1)


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ({"gate": ["test"]}, "it has no key gate"),
        ({"gates": "test"}, "no list"),
        ({"gates": ["Test!"]}, "is not the name of a gate"),
        ({"gates": ["test"] * 51}, "no list of at most 50"),
        ({"coverage": "80"}, "coverage is '80'"),
        ({"coverage": True}, "coverage is True"),
        ({"coverage": 101}, "coverage is 101"),
        ({"gates": ["test"], "max_age": "30"}, "max_age is '30'"),
        ({"gates": ["test"], "max_age": "0d"}, "max_age is '0d'"),
        ({"gates": ["test"], "unstable": "ok"}, "unstable is 'ok'"),
    ],
)
def test_a_policy_that_is_none(site: Attempt, requires: dict[str, t.Any], said: str) -> None:
    with pytest.raises(BeamError) as caught:
        site.channel(state="required", requires=requires)
    assert caught.value.code in ("invalid_requires", "invalid_gate") and said in caught.value.message
