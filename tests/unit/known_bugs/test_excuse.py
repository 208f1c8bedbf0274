"""Anomalies with exactly the signature of a known bug are listed separately, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from splitbrain.checkers.coordination.election import check_election
from splitbrain.checkers.coordination.lease import check_lease
from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.judging.crash_verdict import crash_verdict
from splitbrain.harness.judging.judge import judge_evidence
from splitbrain.harness.known_bugs.catalogue import excused_bugs
from splitbrain.harness.known_bugs.excuse import excused
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.systems.processes.crash import Crash
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact, CompactResult, Header, KeyValue
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock_and_election import Campaign, CampaignResult
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.watch import (
    Closed,
    Created,
    Events,
    Line,
    Opened,
    Progress,
    WatchRequest,
    collect,
)
from tests.unit.checkers.scripted_history import ScriptedHistory, members
from tests.unit.checkers.service_history import told

A2 = Change(2, "put", "a", "1", 2, 1)
A3 = Change(3, "delete", "a")
A4 = Change(4, "put", "a", "2", 4, 1)
A5 = Change(5, "delete", "a")
LOG = [A2, A3, A4, A5]
FROM_1 = WatchRequest("a", start_revision=1)
FROM_NOW = WatchRequest("a")
FUTURE = WatchRequest("a", start_revision=4)


def judged(
    version: str, evidence: Evidence, checker: Checker = check_watch, name: str = "watch"
) -> Verdict:
    bugs = excused_bugs(["all"], {"etcd": version})
    (verdict,) = judge_evidence(evidence, {name: checker}, bugs=bugs)
    return verdict


def watched(
    *lines: Line, request: WatchRequest = FROM_1, created: int = 5, compact: Sequence[int] = ()
) -> Evidence:
    script = ScriptedHistory()
    for revision in compact:
        script.did(Compact(revision), CompactResult(), 5)
    opened: list[Line] = [Opened(0, 0, 0, "n1", request), Created(1, 0, created)]
    states = members(LOG, compact_revision=max(compact, default=0))
    return Evidence(script.history(), states, watches=collect([*opened, *lines]))


def sent(*changes: Change, previous: tuple[KeyValue | None, ...] = ()) -> Events:
    return Events(5, 0, 5, changes, previous)


END = Closed(9, 0, "end", settled=5)
ALL = sent(*LOG)
ASKED = Progress(4, 0, 3, whole=True)
UNASKED = Progress(4, 0, 3)


@pytest.mark.parametrize(
    ("bug", "version", "fixed", "evidence", "another"),
    [
        ("etcd-15220", "3.5.1", "3.5.8", watched(ASKED, ALL), watched(UNASKED, ALL)),
        ("etcd-18089", "3.5.1", "3.5.30",
         watched(sent(A2, A4, A5), compact=[3]), watched(sent(A2, A4, A5))),
        ("etcd-18089", "3.5.1", "3.5.30",
         watched(sent(A2, A3, A4), END, compact=[5]), watched(sent(A2, A3), END, compact=[5])),
        ("etcd-19179", "3.5.16", "3.5.18",
         watched(sent(A4, A5), request=WatchRequest("a", start_revision=3), compact=[3]),
         watched(sent(A2, A4, A5), request=WatchRequest("a", start_revision=2), compact=[3])),
        ("etcd-20221", "3.5.16", "3.5.22",
         watched(Progress(4, 0, 2), sent(A4, A5), request=FUTURE, created=2),
         watched(Progress(4, 0, 3), sent(A5), request=FUTURE, created=2)),
        ("etcd-20221-events", "3.5.16", "3.5.22",
         watched(sent(A3, A4, A5), request=FUTURE, created=2),
         watched(sent(A3, A4, A5), request=FUTURE, created=5)),
        ("etcd-20243", "3.5.30", "3.5.16",
         watched(sent(A3, A4, A5), request=FROM_NOW, created=3),
         watched(sent(A3, A4, A5), request=FUTURE, created=2)),
        ("etcd-prev-kv-late", "3.5.30", "3.3.0",
         watched(ALL, request=WatchRequest("a", start_revision=1, prev_kv=True)),
         watched(
             sent(*LOG, previous=(None, KeyValue("a", "1", 2, 2, 1), None, None)),
             request=WatchRequest("a", start_revision=1, prev_kv=True),
         )),
    ],
)
def test_exactly_the_signature_is_excused_and_only_on_releases_with_the_bug(
    bug: str, version: str, fixed: str, evidence: Evidence, another: Evidence
) -> None:
    plain = check_watch(evidence)
    assert plain.valid is False
    verdict = judged(version, evidence)
    assert verdict.valid is True, verdict
    assert {one.known for one in verdict.known} >= {bug}
    assert not verdict.anomalies
    assert sum(verdict.counts["known bugs"].values()) == len(plain.anomalies)
    assert judged(fixed, evidence).anomalies == plain.anomalies
    assert judged(version, another).valid is False


def test_an_anomaly_beside_a_known_one_keeps_the_verdict_invalid() -> None:
    verdict = judged("3.5.1", watched(ASKED, sent(A2, A3, A5)))
    assert verdict.valid is False
    assert [one.kind for one in verdict.anomalies] == ["lost event"]
    assert [(one.kind, one.known) for one in verdict.known] == [("false progress", "etcd-15220")]


def test_without_the_option_nothing_is_excused() -> None:
    evidence = watched(ASKED, ALL)
    (verdict,) = judge_evidence(evidence, {"watch": check_watch})
    assert (verdict.valid, verdict.known) == (False, ())


def test_anomalies_that_were_not_kept_leave_the_verdict_unknown() -> None:
    bugs = excused_bugs(["all"], {"etcd": "3.5.1"})
    kept = Anomaly("early progress", "x")
    counted = Verdict("watch", False, (kept,), kinds={"early progress": 3})
    verdict = excused(counted, bugs)
    assert verdict.valid is None
    assert "there are 3, of which 1 are kept" in verdict.why
    undecided = Verdict("watch", False, (kept,), {"anomalies": 1}, why="a log is missing")
    assert excused(undecided, bugs).valid is None


def test_at_most_fifty_anomalies_of_a_kind_are_kept_and_all_are_counted() -> None:
    lines = [Progress(4, 0, 2, whole=True)] * 60
    evidence = watched(*lines, sent(A4, A5), request=FUTURE, created=2)
    verdict = judged("3.5.1", evidence)
    assert (verdict.valid, len(verdict.known)) == (True, 50)
    assert verdict.counts["known bugs"] == {"etcd-20221": 60}
    (plain,) = judge_evidence(evidence, {"watch": check_watch})
    assert (len(plain.anomalies), plain.kinds) == (50, {"early progress": 60})


def test_the_absurd_time_to_live_is_excused_and_a_wrong_one_is_not() -> None:
    def lease(ttl: int) -> Evidence:
        header = Header(1, raft_term=2)
        asked = told(
            (0, 1, LeaseGrant(7, 5), LeaseGrantResult(header, 7, 5)),
            (2, 2.1, LeaseTimeToLive(7, True), LeaseTimeToLiveResult(header, 7, ttl, 5)),
        )
        return Evidence(asked, (MemberState("n1", revision=1),))

    verdict = judged("3.5.1", lease(9223372036), check_lease, "lease")
    assert [one.known for one in verdict.known] == ["etcd-17642"]
    assert verdict.valid is True
    assert judged("3.5.1", lease(6), check_lease, "lease").valid is False
    assert judged("3.5.14", lease(9223372036), check_lease, "lease").valid is False


def test_a_campaign_that_outlived_its_lease_is_excused() -> None:
    rival, own = "election/0/1", "election/0/2"
    changes = [
        Change(2, "put", rival, "x", 2, 1, 1), Change(3, "put", own, "y", 3, 1, 2),
        Change(4, "delete", own),
    ]
    campaign = Campaign("election/0", 2, "y")
    asked = told((0, 1, campaign, CampaignResult(Header(4), own, 3)))
    evidence = Evidence(asked, members(changes))
    verdict = judged("3.5.30", evidence, check_election, "election")
    assert [one.known for one in verdict.known] == ["etcd-19597"]
    waiting = Evidence(asked, members(changes[:2]))
    assert judged("3.5.30", waiting, check_election, "election").valid is False


@pytest.mark.parametrize(
    ("panic", "version", "known"),
    [
        ("panic: unexpected error during txn", "3.5.1", True),
        ("panic: unexpected error during txn", "3.5.5", False),
        ("panic: index out of range", "3.5.1", False),
    ],
)
def test_the_panic_of_a_read_only_transaction_is_excused(
    panic: str, version: str, known: bool
) -> None:
    crash = Crash("n2", "exit code 2", panic=(panic, "goroutine 1"), log=str(Path("n2/log")))
    record = RunRecord("t", 1, Options(known=("all",)), "", crashes=(crash,))
    verdict = crash_verdict(record, ())
    assert verdict is not None
    found = excused(verdict, excused_bugs(["all"], {"etcd": version}))
    assert found.valid is known
    assert [one.known for one in found.known] == (["etcd-14110"] if known else [])
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found


def test_a_verdict_of_an_empty_history_is_left_as_it_is() -> None:
    evidence = Evidence(History.of(()))
    verdict = judged("3.5.1", evidence)
    assert not verdict.applies
