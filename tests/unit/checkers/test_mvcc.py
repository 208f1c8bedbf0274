"""Each anomaly that `mvcc` knows, in the shortest history that shows it, and its valid twin."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.coordination import generate_coordination
from splitbrain.harness.synthetic.generator import generate
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change, MemberState
from tests.unit.checkers.told import Told, members

A1 = Change(2, "put", "a", "1", 2, 1)
A2 = Change(3, "put", "a", "2", 2, 2)
KV1 = KeyValue("a", "1", 2, 2, 1)
KV2 = KeyValue("a", "2", 2, 3, 2)


def read(*kvs: KeyValue) -> RangeResult:
    return RangeResult(kvs=kvs, count=len(kvs))


def judge(told: Told, changes: list[Change], **fields: Any) -> Verdict:
    return check_mvcc(Evidence(told.history(), members(changes, **fields)))


def kinds(verdict: Verdict) -> set[str]:
    assert (verdict.valid is False) == bool(verdict.anomalies)
    return {anomaly.kind for anomaly in verdict.anomalies}


def test_two_puts_and_a_get_are_valid() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2", prev_kv=True), PutResult(prev_kv=KV1), 3)
    told.did(Range("a"), read(KV2), 3)
    verdict = judge(told, [A1, A2])
    assert verdict.valid is True
    assert verdict.counts["revisions in the change log"] == 3


def test_a_read_behind_an_acknowledged_write_is_stale_and_says_so() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3, "n1")
    told.did(Range("a"), read(KV1), 2, "n3")
    verdict = judge(told, [A1, A2])
    assert kinds(verdict) == {"stale read"}
    (anomaly,) = verdict.anomalies
    assert anomaly.events == (2, 3, 4, 5)
    assert "n3 answered revision 2 at 0.005 s" in anomaly.because
    assert "although revision 3 was acknowledged by n1 at 0.003 s" in anomaly.because


def test_a_serializable_read_may_be_stale_but_not_wrong() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    told.did(Range("a", serializable=True), read(KV1), 2)
    assert judge(told, [A1, A2]).valid is True
    told.did(Range("a", serializable=True), read(KV2), 2)
    assert kinds(judge(told, [A1, A2])) == {"wrong answer"}


def test_nobody_sees_a_revision_before_its_write_was_invoked() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Range("a", serializable=True), read(KV2), 3)
    told.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(told, [A1, A2])) == {"revision order"}


def test_an_uncertain_write_may_be_there_or_not() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.info(told.ask(Put("a", "2")))
    assert judge(told, [A1]).valid is True
    assert judge(told, [A1, A2]).counts["uncertain writes that happened"] == 1


def test_an_uncertain_write_is_not_seen_before_it_was_invoked() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Range("a"), read(KV2), 3)
    told.info(told.ask(Put("a", "2")))
    assert kinds(judge(told, [A1, A2])) == {"write before its invocation"}


def test_an_uncertain_write_happens_once() -> None:
    told = Told()
    told.info(told.ask(Put("a", "1")))
    twice = [A1, Change(3, "put", "a", "1", 2, 2)]
    assert kinds(judge(told, twice)) == {"applied twice"}


def test_an_acknowledged_write_happens_once() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    twice = [A1, Change(3, "put", "a", "1", 2, 2)]
    assert kinds(judge(told, twice)) == {"applied twice"}


def test_a_failed_write_is_nowhere() -> None:
    told = Told()
    told.fail(told.ask(Put("a", "1")))
    assert judge(told, []).valid is True
    assert kinds(judge(told, [A1])) == {"failed write present"}


def test_what_nobody_wrote_is_a_phantom() -> None:
    assert kinds(judge(Told(), [A1])) == {"phantom write"}
    assert kinds(judge(Told(), [A1, Change(3, "delete", "a")])) == {"phantom write"}


def test_an_acknowledged_write_that_is_gone_is_lost() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(told, [A1])) == {"lost write"}
    other = [A1, Change(3, "put", "a", "9", 2, 2)]
    assert kinds(judge(told, other)) == {"lost write", "phantom write"}


@pytest.mark.parametrize(
    "wrong",
    [
        Change(3, "put", "a", "2", 2, 3),
        Change(3, "put", "a", "2", 3, 2),
        Change(3, "put", "a", "2", 2, 2, lease=7),
    ],
)
def test_a_write_with_another_version_creation_or_lease_had_the_wrong_effect(wrong: Change) -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(told, [A1, wrong])) == {"wrong effect"}


def test_two_writes_at_one_revision_are_a_duplicate() -> None:
    told = Told()
    one, two = told.ask(Put("a", "1")), told.ask(Put("a", "2"))
    told.ok(one, PutResult(), 2)
    told.ok(two, PutResult(), 2)
    assert "duplicate revision" in kinds(judge(told, [A1]))


def test_of_two_that_claim_a_revision_the_one_that_did_not_make_it_is_lost() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    first, second = told.ask(Put("b", "x")), told.ask(Delete("a"))
    told.ok(first, PutResult(), 3)
    told.ok(second, DeleteResult(deleted=1), 3)
    verdict = judge(told, [A1, Change(3, "delete", "a")])
    assert kinds(verdict) == {"duplicate revision", "lost write"}


def test_a_transaction_of_which_a_part_is_there_had_the_wrong_effect() -> None:
    told = Told()
    both = Txn((), (Put("a", "1"), Put("b", "1")))
    told.did(both, TxnResult(succeeded=True, responses=(PutResult(), PutResult())), 2)
    told.did(Txn((), (Delete("a", "c"),)),
             TxnResult(succeeded=True, responses=(DeleteResult(deleted=2),)), 3)
    verdict = judge(told, [A1, Change(2, "put", "b", "1", 2, 1), Change(3, "delete", "b")])
    assert kinds(verdict) == {"wrong effect"}
    (anomaly,) = verdict.anomalies
    because = "should have made delete a, delete b; the change log contains delete b"
    assert because in anomaly.because


def test_a_deletion_is_not_laid_to_any_one_of_several_that_delete_the_key() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.fail(told.ask(Delete("a")))
    told.did(Delete("a"), DeleteResult(deleted=1), 4)
    verdict = judge(told, [A1, Change(3, "delete", "a"), Change(4, "delete", "a")])
    assert "phantom write" in kinds(verdict)
    assert "failed write present" not in kinds(verdict)


def test_revisions_of_writes_grow_along_real_time() -> None:
    told = Told()
    told.did(Put("a", "2"), PutResult(), 3)
    told.did(Put("a", "1"), PutResult(), 2)
    assert kinds(judge(told, [A1, A2])) == {"revision order"}


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        (Range("a"), read()),
        (Range("a"), read(KV1)),
        (Range("a"), read(msgspec.structs.replace(KV2, version=9))),
        (Range("a"), RangeResult(kvs=(KV2,), count=2)),
        (Range("a", "b", limit=1), RangeResult(kvs=(KV2,), count=1, more=True)),
        (Range("a", keys_only=True), read(KV2)),
        (Range("a", count_only=True), read(KV2)),
        (Range("a", revision=2), read(KV2)),
        (Range("a", revision=9), read(KV2)),
        (Delete("x"), DeleteResult(prev_kvs=(KV2,))),
        (
            Txn((Compare("a", "value", "=", "1"),), (), (Range("a"),)),
            TxnResult(succeeded=False, responses=(read(KV1),)),
        ),
        (Txn((Compare("a", "value", "=", "2"),), (), ()), TxnResult(succeeded=False)),
        (Range("a"), PutResult()),
    ],
)
def test_an_answer_that_the_store_cannot_give_is_wrong(request_: Any, wrong: Any) -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    told.did(request_, wrong, 3)
    found = kinds(judge(told, [A1, A2]))
    assert found <= {"wrong answer", "duplicate revision"}
    assert found


def test_a_transaction_whose_write_is_lost_missed_its_effect() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    swap = Txn((Compare("a", "value", "=", "1"),), (Put("a", "2"),), (Range("a"),))
    told.did(swap, TxnResult(succeeded=False, responses=(read(KV1),)), 2)
    assert kinds(judge(told, [A1])) == {"missed effect"}


def test_comparisons_of_nested_transactions_are_made_before_anything_is_written() -> None:
    inner = Txn((Compare("a", "version", "=", 0),), (Put("b", "in"),), (Put("c", "in"),))
    told = Told()
    nested = TxnResult(succeeded=True, responses=(PutResult(),))
    told.did(
        Txn((), (Put("a", "1"), inner), ()),
        TxnResult(succeeded=True, responses=(PutResult(), nested)),
        2,
    )
    changes = [A1, Change(2, "put", "b", "in", 2, 1)]
    assert judge(told, changes).valid is True


def test_deletes_without_values_are_matched_to_uncertain_operations() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.info(told.ask(Delete("a")))
    told.info(told.ask(Delete("a", "c")))
    gone = [A1, Change(3, "delete", "a")]
    assert judge(told, gone).valid is True
    again = [*gone, Change(4, "put", "a", "9", 4, 1), Change(5, "delete", "a")]
    told.did(Put("a", "9"), PutResult(), 4)
    assert judge(told, again).valid is True
    thrice = [*again, Change(6, "put", "a", "8", 6, 1), Change(7, "delete", "a")]
    told.did(Put("a", "8"), PutResult(), 6)
    assert judge(told, thrice).valid is False


def test_keys_of_a_lease_may_vanish_together() -> None:
    told = Told()
    told.did(Put("a", "1", lease=7), PutResult(), 2)
    put = Change(2, "put", "a", "1", 2, 1, lease=7)
    assert judge(told, [put, Change(3, "delete", "a")]).valid is True


def test_a_revision_that_no_member_has_is_impossible() -> None:
    told = Told()
    told.did(Range("a"), read(), 9)
    assert kinds(judge(told, [])) == {"impossible revision"}
    told = Told()
    told.did(Put("a", "1"), PutResult(), 1)
    assert kinds(judge(told, [])) == {"impossible revision"}


def test_a_change_log_with_a_hole_is_told() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    assert "missing revision" in kinds(judge(told, [A2], revision=3))


def test_members_that_hold_different_things_diverged() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    other = Change(3, "put", "a", "x", 2, 2)
    states = (*members([A1, A2], names=("n1", "n2")), *members([A1, other], names=("n3",)))
    verdict = check_mvcc(Evidence(told.history(), states))
    assert kinds(verdict) == {"diverged"}
    assert verdict.anomalies[0].members == ("n1", "n3")
    assert verdict.anomalies[0].detail["revision"] == 3


def test_members_with_different_hashes_differ() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    states = [
        MemberState(f"n{n}", revision=2, changes=(A1,), hash=n // 2, hash_revision=2)
        for n in range(3)
    ]
    assert kinds(check_mvcc(Evidence(told.history(), tuple(states)))) == {"hash mismatch"}


def test_a_member_behind_is_unknown_unless_it_has_applied_as_much() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)

    def judged(applied: int) -> Verdict:
        status = {"raft_index": 9, "leader_id": 1}
        ahead = members([A1, A2], names=("n1", "n2"), raft_applied_index=9, **status)
        behind = members([A1], names=("n3",), raft_applied_index=applied, **status)
        return check_mvcc(Evidence(told.history(), (*ahead, *behind)))

    assert judged(8).valid is None
    assert "n3 was behind" in judged(8).why
    assert kinds(judged(9)) == {"diverged"}


def test_a_member_that_could_not_be_asked_leaves_it_undecided() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    states = (*members([A1], names=("n1", "n2")), MemberState("n3", error="connection refused"))
    verdict = check_mvcc(Evidence(told.history(), states))
    assert verdict.valid is None
    assert "the state of n3 could not be read: connection refused" in verdict.why


def test_a_lost_write_is_not_claimed_of_a_minority() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    gone = [MemberState(name, error="down") for name in ("n2", "n3")]
    verdict = check_mvcc(Evidence(told.history(), (*members([], names=("n1",)), *gone)))
    assert verdict.valid is None


def test_after_a_compaction_uncertain_writes_fill_the_gaps_if_they_can() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.info(told.ask(Put("b", "x")))
    told.did(Put("a", "2"), PutResult(), 4)
    last = Change(4, "put", "a", "2", 2, 2)
    late = members([last], first_revision=4, compact_revision=3)
    verdict = check_mvcc(Evidence(told.history(), late))
    assert verdict.valid is True
    assert verdict.counts["uncertain writes that happened"] == 1
    told.did(Range("b"), read(KeyValue("b", "x", 3, 3, 1)), 4)
    assert check_mvcc(Evidence(told.history(), late)).valid is True
    # Nothing else can have made revision 3.
    told.did(Range("b"), read(), 4)
    assert kinds(check_mvcc(Evidence(told.history(), late))) == {"wrong answer"}


def test_after_a_compaction_the_acknowledged_writes_still_tell_the_state() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    told.did(Range("a"), read(KV1), 3)
    late = members([A2], first_revision=3, compact_revision=2)
    assert kinds(check_mvcc(Evidence(told.history(), late))) == {"wrong answer"}


def test_more_revisions_than_anybody_can_have_made_are_seen_without_a_log() -> None:
    told = Told()
    told.info(told.ask(Put("a", "1")))
    told.did(Range("b"), read(), 2)
    assert check_mvcc(Evidence(told.history())).valid is True
    told.did(Range("b"), read(), 3)
    assert kinds(check_mvcc(Evidence(told.history()))) == {"phantom write"}


def test_before_a_compacted_log_uncertain_writes_that_no_answer_shows_fill_revisions() -> None:
    told = Told()
    told.info(told.ask(Put("a", "1")))
    told.info(told.ask(Delete("a")))
    late = members([Change(3, "delete", "a")], first_revision=3, compact_revision=2)
    verdict = check_mvcc(Evidence(told.history(), late))
    assert verdict.valid is True
    assert verdict.counts["uncertain writes that happened"] == 2


def test_a_compacted_revision_that_no_answer_shows_needs_a_writer_too() -> None:
    told = Told()
    told.fail(told.ask(Put("a", "1")))
    late = members([], revision=2, first_revision=3, compact_revision=2)
    assert kinds(check_mvcc(Evidence(told.history(), late))) == {"phantom write"}


def test_what_a_delete_beside_a_read_of_keys_alone_found_tells_uncertain_puts_apart() -> None:
    told = Told()
    told.info(told.ask(Put("a", "1")))
    told.info(told.ask(Put("a", "2")))
    txn = Txn((), (Range("b", "c", keys_only=True), Delete("a", prev_kv=True)))
    for value in ("1", "2"):
        gone = DeleteResult(deleted=1, prev_kvs=(KeyValue("a", value, 2, 3, 2),))
        told.did(txn, TxnResult(succeeded=True, responses=(RangeResult(), gone)), 4)
        assert check_mvcc(Evidence(told.history())).valid is True
        told.events = told.events[:-2]


def test_a_transaction_reads_nothing_of_the_future_nor_of_what_is_compacted() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    told.did(Compact(3), CompactResult(), 3)
    for revision, kind in ((3, ""), (2, "compacted read"), (4, "wrong answer")):
        kvs = read(KV1 if revision == 2 else KV2)
        txn = Txn((), (Range("a", revision=revision),), (Range("a", revision=1),))
        told.did(txn, TxnResult(succeeded=True, responses=(kvs,)), 3)
        assert kinds(judge(told, [A1, A2], compact_revision=3)) == {kind} - {""}
        told.events = told.events[:-2]


def test_an_uncertain_transaction_that_would_be_refused_changes_nothing() -> None:
    told = Told()
    told.info(told.ask(Txn((), (Put("a", "1"), Range("a", revision=3)))))
    told.did(Range("b"), read(), 2)
    assert kinds(check_mvcc(Evidence(told.history()))) == {"phantom write"}


def test_nobody_is_refused_for_a_compaction_that_cannot_have_been() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.info(told.ask(Compact(4)))
    told.fail(told.ask(Range("a", revision=1)), "etcdserver: mvcc: required revision has been "
                                                 "compacted")
    assert kinds(judge(told, [A1])) == {"wrong refusal"}


def test_after_a_refusal_nobody_compacts_to_what_was_compacted_then() -> None:
    refused = "etcdserver: mvcc: required revision has been compacted"
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2"), PutResult(), 3)
    told.fail(told.ask(Range("a", revision=1)), refused)
    told.did(Compact(3), CompactResult(), 3)
    assert check_mvcc(Evidence(told.history())).valid is True
    told.events = told.events[:-2]
    told.did(Compact(2), CompactResult(), 3)
    assert kinds(check_mvcc(Evidence(told.history()))) == {"wrong answer"}
    told.events = told.events[:-4]
    told.fail(told.ask(Compact(3)), refused)
    told.did(Range("a", revision=2), read(KV1), 3)
    assert kinds(check_mvcc(Evidence(told.history()))) == {"compacted read"}


def test_keys_that_a_lock_makes_are_nobodys_writes() -> None:
    evidence = generate_coordination("lock", 5, seed=1)
    assert evidence is not None
    verdict = check_mvcc(evidence)
    assert not verdict.applies
    one, *others = evidence.members
    spoilt = (one, *(msgspec.structs.replace(m, hash=1, hash_revision=2) for m in others[:1]),
              *(msgspec.structs.replace(m, hash=2, hash_revision=2) for m in others[1:]))
    verdict = check_mvcc(dataclasses.replace(evidence, members=spoilt))
    assert kinds(verdict) == {"hash mismatch"}


def test_answers_without_revisions_are_not_judged() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 0)
    verdict = check_mvcc(Evidence(told.history()))
    assert verdict.valid is None
    assert "have no revision" in verdict.why


def test_keys_and_values_that_are_not_text_are_ordered_by_their_bytes() -> None:
    raw, high = "\udcff", "\U0001f600"
    store = SequentialStore()
    store.apply(2, [Change(2, "put", raw, "1", 2, 1), Change(2, "put", high, "1", 2, 1)])
    # 0xf0… sorts before 0xff; as code points it would be the other way round.
    assert list(store.keys("a", "\0")) == [high, raw]


@pytest.mark.parametrize("workload", ["kv", "register", "set"])
def test_generated_histories_are_valid(workload: str) -> None:
    made = generate(workload, 2000, clients=16, uncertain=0.05, seed=3)
    assert check_mvcc(Evidence(History.of(made.events), made.members)).valid is True
