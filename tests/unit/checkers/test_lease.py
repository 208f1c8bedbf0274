"""The rules of the checker `lease`, each with a history that violates it and one that does not."""

from __future__ import annotations

import pytest

from splitbrain.checkers.coordination.leader_changes import LeaderChange, leader_changes
from splitbrain.checkers.coordination.lease import check_lease
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.fault_window import FaultWindow
from splitbrain.histories.history import History
from splitbrain.histories.kv import Header, Put, PutResult, Range, RangeResult, Txn, TxnResult
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseKeepAlives,
    LeaseKeepAlivesResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.member_state import Change, MemberState
from tests.unit.checkers.service_history import Told, told

EMPTY = (MemberState("n1", revision=1),)
S = 1_000_000_000


def at(revision: int, term: int = 2) -> Header:
    return Header(revision, raft_term=term)


def grant(ttl: int = 5, number: int = 7) -> Told:
    return (0, 1, LeaseGrant(number, ttl), LeaseGrantResult(at(1), number, ttl))


def left(
    when: float, ttl: int, granted: int = 5, term: int = 2, keys: tuple[str, ...] = (),
    number: int = 7, ret: float | None = None,
) -> Told:
    """A request for the time to live, and the answer."""
    result = LeaseTimeToLiveResult(at(1, term), number, ttl, granted, keys)
    return (when, when + 0.01 if ret is None else ret, LeaseTimeToLive(number, True), result)


def get(when: float, revision: int, term: int = 2) -> Told:
    return (when, when + 0.01, Range("x"), RangeResult(at(revision, term)))


def put(when: float, revision: int, lease: int, key: str = "a") -> Told:
    return (when, when + 0.01, Put(key, "v", lease), PutResult(at(revision)))


REVOKED: Told = (2, 3, LeaseRevoke(7), LeaseRevokeResult(at(1)))
GONE = left(3, -1, 0)


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.anomalies]


def judge(
    *asked: Told, members: tuple[MemberState, ...] = EMPTY,
    faults: tuple[FaultWindow, ...] = (), checkpoint_s: int = 0, persist: bool = False,
) -> Verdict:
    history = told(*asked)
    history = History(history.events, history.operations, faults, history.services)
    return check_lease(Evidence(
        history, members, lease_checkpoint_s=checkpoint_s, lease_checkpoints_persist=persist
    ))


def test_a_lease_that_is_gone_before_its_time_ended_early() -> None:
    def gone_at(second: int) -> list[str]:
        gone = (second, second, LeaseKeepAlive(7), LeaseKeepAliveResult(Header(1), 7, 0))
        return kinds(judge(grant(), gone))

    assert gone_at(4) == ["ended early"]
    assert gone_at(5) == []


@pytest.mark.parametrize(("begin", "end", "expected"), [
    (1.0, 2.0, []),
    (3.5, 9.0, []),
    (6.0, 7.0, ["ended early"]),
])
def test_a_time_that_was_measured_with_a_drifting_clock_is_not_judged(
    begin: float, end: float, expected: list[str]
) -> None:
    drift = FaultWindow(1, "drift", ("n1",), round(begin * S), round(end * S))
    gone = (4, 4, LeaseKeepAlive(7), LeaseKeepAliveResult(Header(1), 7, 0))
    assert kinds(judge(grant(), gone, faults=(drift,))) == expected


def test_only_minus_one_without_a_granted_time_means_not_found() -> None:
    assert kinds(judge(grant(), left(4, -1, 0))) == ["ended early"]
    # Overdue, and still there.
    assert judge(grant(), left(6.5, -1, 5)).valid is True
    assert judge(grant(), left(7.5, -2, 5)).valid is True
    assert judge(grant(), left(9, -4, 5), (9, 9.1, LeaseKeepAlive(7),
                                           LeaseKeepAliveResult(at(1), 7, 5))).valid is True
    # It certainly remains for longer.
    assert kinds(judge(grant(), left(2, -2, 5))) == ["wrong time to live"]


def test_leases_are_distinguished_by_their_ids() -> None:
    one = (0, 1, LeaseGrant(0, 5), LeaseGrantResult(Header(1), 7, 5))
    other = (2, 3, LeaseGrant(0, 50), LeaseGrantResult(Header(1), 8, 50))
    gone = (6, 7, LeaseKeepAlive(7), LeaseKeepAliveResult(Header(1), 7, 0))
    assert judge(one, other, gone).valid is True
    again = (20, 21, LeaseGrant(7, 5), LeaseGrantResult(Header(1), 7, 5))
    verdict = judge(one, gone, again)
    assert verdict.valid is None
    assert "granted more than once" in verdict.why


def granted(begin: float, end: float, ttl: int = 5) -> Told:
    return (begin, end, LeaseGrant(7, ttl), LeaseGrantResult(at(1), 7, ttl))


def test_a_lease_that_exists_cannot_be_granted() -> None:
    assert kinds(judge(granted(0, 1), granted(2, 3))) == ["granted again"]
    assert kinds(judge(granted(0, 1), granted(2, 3), granted(4, 4.1))) == ["granted again"]
    for again in (granted(0.5, 3), granted(4, 5), granted(8, 9)):
        assert kinds(judge(granted(0, 1), again)) == []
    assert kinds(judge(granted(0, 1), REVOKED, granted(2.5, 4))) == []
    drift = FaultWindow(1, "drift", ("n1",), S, 2 * S)
    assert kinds(judge(granted(0, 1), granted(2, 3), faults=(drift,))) == []


def test_a_lease_that_is_only_granted_again_and_again_leaves_nothing_unknown() -> None:
    assert judge(granted(0, 1), granted(8, 9)).why == ""


def test_a_lease_that_was_never_granted_has_no_time_to_live() -> None:
    assert kinds(judge(grant(number=8), left(2, 3))) == ["never granted"]
    assert judge(grant(number=8), left(2, -1, 0)).valid is True
    renewed = (2, 3, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 5))
    assert kinds(judge(grant(number=8), renewed)) == ["never granted"]
    assert kinds(judge(grant(number=8), REVOKED)) == ["never granted"]
    # A grant without an answer may have made a lease of any id.
    unknown: Told = (0, 1, LeaseGrant(0, 5), None)
    assert judge(unknown, left(2, 3)).valid is True
    late: Told = (4, 5, LeaseGrant(7, 5), LeaseGrantResult(at(1), 7, 5))
    assert "never granted" in kinds(judge(left(2, 3), late))


# --- puts


@pytest.mark.parametrize("members", [EMPTY, ()])
def test_a_put_needs_a_lease_that_was_granted(members: tuple[MemberState, ...]) -> None:
    verdict = judge(grant(), put(2, 2, lease=9), members=members)
    assert kinds(verdict) == ["put with an unknown lease"]
    assert "attached a to lease 9 at revision 2" in verdict.anomalies[0].because
    refused: Told = (2, 3, Put("a", "v", 9), "etcdserver: requested lease not found")
    assert kinds(judge(grant(), refused, members=members)) == []
    possibly: Told = (1, 9, LeaseGrant(9, 5), None)
    assert kinds(judge(grant(), possibly, put(2, 2, lease=9), members=members)) == []
    failed: Told = (1, 2, LeaseGrant(9, 5), "etcdserver: too many requests")
    assert kinds(judge(grant(), failed, put(2, 2, lease=9), members=members)) == [
        "put with an unknown lease"
    ]


@pytest.mark.parametrize("end", [
    REVOKED, left(6, -1, 0), (6, 7, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 0)),
])
def test_a_put_with_a_lease_that_ended_is_wrong(end: Told) -> None:
    assert kinds(judge(grant(), end, put(8, 2, lease=7))) == ["put with an ended lease"]
    within = Txn((), (Put("a", "v", 7),), ())
    answer = TxnResult(at(2), True, (PutResult(),))
    assert kinds(judge(grant(), end, (8, 9, within, answer))) == ["put with an ended lease"]
    # The other branch did not run.
    branches = Txn((), (), (Put("a", "v", 7),))
    assert kinds(judge(grant(), end, (8, 9, branches, TxnResult(at(1), True, ())))) == []


def test_the_order_of_a_put_and_a_revocation_is_that_of_their_revisions() -> None:
    during: Told = (2.5, 4, Put("a", "v", 7), PutResult(at(2)))
    assert kinds(judge(grant(), REVOKED, during)) == ["put with an ended lease"]
    revoked: Told = (2, 3, LeaseRevoke(7), LeaseRevokeResult(at(3)))
    assert kinds(judge(grant(), revoked, during)) == []


def test_puts_without_an_answer_are_judged_by_the_change_log() -> None:
    log = (MemberState("n1", revision=2, changes=(Change(2, "put", "a", "v", 2, 1, 9),)),)
    lost: Told = (2, 3, Put("a", "v", 9), None)
    verdict = judge(grant(), lost, get(4, 2), members=log)
    assert kinds(verdict) == ["put with an unknown lease"]
    assert "a put of a with lease 9 made revision 2" in verdict.anomalies[0].because


# --- keys


@pytest.mark.parametrize("members", [EMPTY, ()])
def test_a_foreign_key_is_noticed_with_an_empty_change_log_and_without_one(
    members: tuple[MemberState, ...]
) -> None:
    verdict = judge(grant(), left(2, 3, keys=("b",)), members=members)
    assert kinds(verdict) == ["wrong keys"]
    assert "with the keys [b]; b was never attached" in verdict.anomalies[0].because


def test_without_a_change_log_a_key_may_be_attached_by_any_put() -> None:
    lost: Told = (1.5, 1.9, Put("b", "v", 7), None)
    assert kinds(judge(grant(), lost, left(2, 3, keys=("b",)), members=())) == []
    refused: Told = (1.5, 1.9, Put("b", "v", 7), "etcdserver: too many requests")
    assert kinds(judge(grant(), refused, left(2, 3, keys=("b",)), members=())) == ["wrong keys"]


def test_keys_that_are_attached_for_long_are_complete() -> None:
    log = (MemberState("n1", revision=3, changes=(
        Change(2, "put", "a", "v", 2, 1, 7), Change(3, "put", "b", "v", 3, 1, 7),
    )),)
    puts = (put(1, 2, 7, "a"), put(9, 3, 7, "b"), get(20, 3))

    def shown(*keys: str, faults: tuple[FaultWindow, ...] = ()) -> list[str]:
        return kinds(judge(
            grant(50), *puts, left(10, 40, 50, keys=keys), members=log, faults=faults
        ))

    assert shown("a", "b") == shown("a") == []
    assert shown() == shown("b") == ["wrong keys"]
    assert shown("b", faults=(FaultWindow(1, "pause", ("n1",), 7 * S, 9 * S),)) == []


# --- the time to live


def test_the_time_starts_again_only_at_a_leader_change() -> None:
    def shown(ttl: int, *others: Told, term: int = 2) -> list[str]:
        return kinds(judge(grant(10), *others, left(8, ttl, 10, term)))

    assert shown(3) == []
    assert shown(10) == ["time started again"]
    assert shown(10, term=3) == []
    assert shown(10, get(5, 1, term=3)) == []
    kept: Told = (7, 7.1, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 10))
    assert shown(9, kept) == []
    # Without terms nobody knows whether a leader changed.
    unknown = (0, 1, LeaseGrant(7, 10), LeaseGrantResult(Header(1), 7, 10))
    assert kinds(judge(unknown, left(8, 10, 10, term=0))) == []


def test_a_lease_that_answers_still_show_after_its_time_ended_late() -> None:
    assert kinds(judge(grant(), left(10.5, -4, 5))) == []
    assert kinds(judge(grant(), left(12, -6, 5))) == ["ended late"]
    assert kinds(judge(grant(), left(12, -6, 5, term=3))) == []
    paused = (FaultWindow(1, "pause", ("n1",), 4 * S, 11 * S),)
    assert kinds(judge(grant(), left(12, -6, 5), faults=paused)) == []


def test_the_granted_time_is_always_the_same() -> None:
    assert kinds(judge(grant(), left(2, 3, 6))) == ["wrong time to live"]
    renewed: Told = (2, 3, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 6))
    assert "wrong time to live" in kinds(judge(grant(), renewed))


# --- checkpoints: a lease of 100 s, recorded every 20 s; terms 2, 3 (from 50 s), 4 (from 80 s)

LONG = (grant(100), get(49, 1), get(50, 1, 3), get(79, 1, 3), get(80, 1, 4))
KILL = (FaultWindow(1, "kill", ("n1",), 30 * S, 40 * S),)


@pytest.mark.parametrize(("ttl", "checkpoint_s", "faults", "persist", "expected"), [
    (50, 20, (), False, []),
    (60, 20, (), False, ["time started again"]),
    (95, 20, (), False, ["time started again"]),
    (95, 0, (), False, []),                             # the store records nothing
    (95, 20, KILL, False, []),                          # a restarted member has forgotten it
    (95, 20, KILL, True, ["time started again"]),
    (95, 20, (FaultWindow(1, "clock", ("n1",), 30 * S, 40 * S),), True, []),
    (95, 100, (), False, []),                           # not longer than the interval
])
def test_a_leader_change_continues_with_the_recorded_time(
    ttl: int, checkpoint_s: int, faults: tuple[FaultWindow, ...], persist: bool,
    expected: list[str],
) -> None:
    verdict = judge(
        *LONG, left(81, ttl, 100, term=4), checkpoint_s=checkpoint_s, faults=faults,
        persist=persist,
    )
    assert kinds(verdict) == expected
    if expected:
        assert "recorded every 20 s" in verdict.anomalies[0].because
        assert "after 2 leader changes" in verdict.anomalies[0].because


def test_a_lease_that_was_kept_alive_has_no_recorded_time() -> None:
    kept: Told = (2, 3, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 100))
    verdict = judge(*LONG, kept, left(81, 95, 100, term=4), checkpoint_s=20)
    assert verdict.valid is True


def test_an_election_is_between_an_answer_of_the_old_term_and_one_of_the_new() -> None:
    found = leader_changes(told(get(1, 1), get(2, 1), (1.5, 4, Range("x"), RangeResult(at(1, 5)))))
    assert found == (
        LeaderChange(2, 0, 1_010_000_000), LeaderChange(5, 2_000_000_000, 4_000_000_000),
    )


def kept_alive(*answered: tuple[int, int], ids: tuple[int, ...] = (7, 8)) -> Told:
    """Keep-alives of the leases `ids` on one stream, and the answers: (lease, time to live)."""
    answers = tuple(LeaseKeepAliveResult(at(1), number, ttl) for number, ttl in answered)
    return (2, 3, LeaseKeepAlives(ids), LeaseKeepAlivesResult(at(1), answers))


@pytest.mark.parametrize(("kind", "answered"), [
    ([], ((7, 5), (8, 5))),
    ([], ((7, 5), (8, 0))),
    (["answers out of order"], ((8, 5), (7, 5))),
    (["another lease"], ((7, 5), (7, 5))),
    (["another lease"], ((7, 5), (8, 5), (8, 5))),
    (["missing answer"], ((7, 5),)),
    (["missing answer"], ()),
    (["wrong time to live"], ((7, 4), (8, 5))),
])
def test_keep_alives_on_one_stream_are_answered_in_order(
    kind: list[str], answered: tuple[tuple[int, int], ...]
) -> None:
    granted = (grant(), grant(number=8)) if (8, 0) not in answered else (grant(),)
    assert kinds(judge(*granted, kept_alive(*answered))) == kind


def test_an_answer_names_the_lease_of_its_request() -> None:
    result = LeaseTimeToLiveResult(at(1), 8, 5, 5)
    assert kinds(judge(grant(), (1, 2, LeaseTimeToLive(7), result)))[0] == "another lease"
    alive = LeaseKeepAliveResult(at(1), 8, 5)
    assert kinds(judge(grant(), (1, 2, LeaseKeepAlive(7), alive))) == ["another lease"]


def test_a_keep_alive_on_a_stream_renews_its_lease() -> None:
    """Without an answer that names the lease, it may have renewed the lease."""
    def gone_at(when: float) -> Told:
        return (when, when + 0.1, LeaseKeepAlive(7), LeaseKeepAliveResult(at(1), 7, 0))

    alive = kept_alive((7, 5), ids=(7,))
    assert kinds(judge(grant(), alive, gone_at(6))) == ["ended early"]
    assert kinds(judge(grant(), alive, gone_at(8))) == []
    lost: Told = (2, 3, LeaseKeepAlives((7, 7)), None)
    assert kinds(judge(grant(), lost, gone_at(6))) == []
