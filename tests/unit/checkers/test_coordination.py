"""Leases, locks and elections: valid runs pass, and each planted bug is named."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.coordination.election import check_election
from splitbrain.checkers.coordination.lease import check_lease
from splitbrain.checkers.coordination.lock import check_fencing, check_mutual_exclusion
from splitbrain.checkers.coordination.wait_queue import Turns
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.coordination import generate_coordination
from splitbrain.harness.synthetic.coordination_store import COORDINATION_CORRUPTIONS
from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import Header
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
)
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service import AnyRequest, AnyResult

Check = Callable[[Evidence], Verdict]
CHECKS: dict[str, Check] = {
    "lease": check_lease, "lock": check_fencing, "election": check_election,
}


def made(workload: str, seed: int, corrupt: str = "", pauses: float = 0.2) -> Evidence | None:
    return generate_coordination(workload, 15, seed=seed, pauses=pauses, corrupt=corrupt)


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.anomalies]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(CHECKS)))
def test_valid_runs_pass(seed: int, workload: str) -> None:
    evidence = made(workload, seed)
    assert evidence is not None
    for check in (CHECKS[workload], check_lease):
        verdict = check(evidence)
        assert (verdict.valid, verdict.anomalies) == (True, ()), verdict


@pytest.mark.parametrize("corrupt", sorted(COORDINATION_CORRUPTIONS))
def test_each_planted_bug_is_named(corrupt: str) -> None:
    workload, _, shows_as = COORDINATION_CORRUPTIONS[corrupt]
    found = [made(workload, seed, corrupt) for seed in (1, 2)]
    occasions = [one for one in found if one is not None]
    assert occasions
    for evidence in occasions:
        verdict = CHECKS[workload](evidence)
        assert verdict.valid is False
        assert shows_as in kinds(verdict)


def test_a_lock_with_a_lease_has_two_holders_and_still_fences() -> None:
    patient, paused = made("lock", 1, pauses=0.0), made("lock", 1, pauses=0.2)
    assert patient is not None
    assert paused is not None
    assert check_mutual_exclusion(patient).valid is True
    unsafe, fenced = check_mutual_exclusion(paused), check_fencing(paused)
    assert unsafe.valid is False
    assert set(kinds(unsafe)) == {"held by two at once"}
    assert fenced.valid is True
    assert fenced.counts["held by two at once"] == unsafe.counts["held by two at once"] > 0


@pytest.mark.parametrize("check", [check_lease, check_fencing, check_mutual_exclusion,
                                   check_election])
def test_they_do_not_apply_to_other_runs(check: Check) -> None:
    verdict = check(Evidence(History.of(())))
    assert verdict.valid is True
    assert "not applicable" in verdict.why


@pytest.mark.parametrize("workload", sorted(CHECKS))
def test_without_a_change_log_there_is_no_verdict(workload: str) -> None:
    evidence = made(workload, 1)
    assert evidence is not None
    assert CHECKS[workload](Evidence(evidence.history)).valid is None


def test_the_key_created_first_has_its_turn_until_it_is_deleted() -> None:
    turns = Turns(["n"], [
        Change(2, "put", "n/a", "", 2, 1), Change(3, "put", "n/b", "", 3, 1),
        Change(4, "put", "n/c", "", 4, 1), Change(5, "delete", "n/b"),
        Change(6, "put", "n/a", "x", 2, 2), Change(7, "delete", "n/a"),
    ])
    told = [(one.key, one.created, one.began, one.ended) for one in turns.of_name["n"]]
    assert told == [("n/a", 2, 2, 7), ("n/b", 3, None, 5), ("n/c", 4, 7, None)]
    holders = [turns.holder("n", revision) for revision in range(1, 8)]
    assert [one.key if one else None for one in holders] == [None, *["n/a"] * 5, "n/c"]
    assert turns.of_name["n"][0].value_at(6) == "x"


def told(*asked: tuple[int, int, AnyRequest, AnyResult]) -> History:
    events = []
    for process, (call_s, ret_s, request, result) in enumerate(asked):
        for second, kind, value in ((call_s, "invoke", request), (ret_s, "ok", result)):
            events.append((second, Event(
                0, second * 10**9, process, kind, "any",  # type: ignore[arg-type]
                msgspec.Raw(msgspec.json.encode(value)), "n1",
            )))
    events.sort(key=lambda one: one[0])
    return History.of(
        msgspec.structs.replace(event, index=index) for index, (_, event) in enumerate(events)
    )


def test_a_lease_that_is_gone_before_its_time_died_early() -> None:
    grant = (0, 1, LeaseGrant(7, 5), LeaseGrantResult(Header(1), 7, 5))

    def gone_at(second: int) -> list[str]:
        gone = (second, second, LeaseKeepAlive(7), LeaseKeepAliveResult(Header(1), 7, 0))
        history = told(grant, gone)
        return kinds(check_lease(Evidence(history, (MemberState("n1", revision=1),))))

    assert gone_at(4) == ["died early"]
    assert gone_at(5) == []


def test_leases_are_distinguished_by_their_ids() -> None:
    one = (0, 1, LeaseGrant(0, 5), LeaseGrantResult(Header(1), 7, 5))
    other = (2, 3, LeaseGrant(0, 50), LeaseGrantResult(Header(1), 8, 50))
    gone = (6, 7, LeaseKeepAlive(7), LeaseKeepAliveResult(Header(1), 7, 0))
    state = (MemberState("n1", revision=1),)
    assert check_lease(Evidence(told(one, other, gone), state)).valid is True
    again = (20, 21, LeaseGrant(7, 5), LeaseGrantResult(Header(1), 7, 5))
    verdict = check_lease(Evidence(told(one, gone, again), state))
    assert verdict.valid is None
    assert "granted more than once" in verdict.why


def test_service_operations_are_separate_from_the_operations_of_a_history() -> None:
    evidence = made("lease", 3)
    assert evidence is not None
    history = evidence.history
    assert {type(op.request).__name__ for op in history.operations} == {"Put", "Range"}
    assert "LeaseGrant" in {type(op.request).__name__ for op in history.services}
    invoked = [op.invoked for op in history.operations]
    invoked += [op.invoked for op in history.services]
    assert len(invoked) == len(set(invoked))
