"""The checker `mvcc` finds each anomaly in a short history, and passes a similar valid history."""

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
from tests.unit.checkers.judged_script import A1, A2, KV1, KV2, judge, kinds, read
from tests.unit.checkers.scripted_history import ScriptedHistory, members


def test_two_puts_and_a_get_are_valid() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2", prev_kv=True), PutResult(prev_kv=KV1), 3)
    script.did(Range("a"), read(KV2), 3)
    verdict = judge(script, [A1, A2])
    assert verdict.valid is True
    assert verdict.counts["revisions in the change log"] == 3


def test_a_read_behind_an_acknowledged_write_is_stale() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3, "n1")
    script.did(Range("a"), read(KV1), 2, "n3")
    verdict = judge(script, [A1, A2])
    assert kinds(verdict) == {"stale read"}
    (anomaly,) = verdict.anomalies
    assert anomaly.events == (2, 3, 4, 5)
    assert "n3 answered revision 2 at 0.005 s" in anomaly.because
    assert "although revision 3 was acknowledged by n1 at 0.003 s" in anomaly.because


def test_a_serializable_read_may_be_stale_but_not_wrong() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    script.did(Range("a", serializable=True), read(KV1), 2)
    assert judge(script, [A1, A2]).valid is True
    script.did(Range("a", serializable=True), read(KV2), 2)
    assert kinds(judge(script, [A1, A2])) == {"wrong answer"}


def test_no_answer_shows_a_revision_before_its_write_was_invoked() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Range("a", serializable=True), read(KV2), 3)
    script.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(script, [A1, A2])) == {"revision order"}


def test_an_uncertain_write_may_have_happened_or_not() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.info(script.invoke(Put("a", "2")))
    assert judge(script, [A1]).valid is True
    assert judge(script, [A1, A2]).counts["uncertain writes that happened"] == 1


def test_an_uncertain_write_is_not_seen_before_it_was_invoked() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Range("a"), read(KV2), 3)
    script.info(script.invoke(Put("a", "2")))
    assert kinds(judge(script, [A1, A2])) == {"write before its invocation"}


def test_an_uncertain_write_happens_once() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(Put("a", "1")))
    twice = [A1, Change(3, "put", "a", "1", 2, 2)]
    assert kinds(judge(script, twice)) == {"applied twice"}


def test_an_acknowledged_write_happens_once() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    twice = [A1, Change(3, "put", "a", "1", 2, 2)]
    assert kinds(judge(script, twice)) == {"applied twice"}


def test_a_failed_write_is_not_in_the_change_log() -> None:
    script = ScriptedHistory()
    script.fail(script.invoke(Put("a", "1")))
    assert judge(script, []).valid is True
    assert kinds(judge(script, [A1])) == {"failed write present"}


def test_a_change_without_a_writer_is_a_phantom() -> None:
    assert kinds(judge(ScriptedHistory(), [A1])) == {"phantom write"}
    assert kinds(judge(ScriptedHistory(), [A1, Change(3, "delete", "a")])) == {"phantom write"}


def test_an_acknowledged_write_that_is_not_in_the_change_log_is_lost() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(script, [A1])) == {"lost write"}
    other = [A1, Change(3, "put", "a", "9", 2, 2)]
    assert kinds(judge(script, other)) == {"lost write", "phantom write"}


@pytest.mark.parametrize(
    "wrong",
    [
        Change(3, "put", "a", "2", 2, 3),
        Change(3, "put", "a", "2", 3, 2),
        Change(3, "put", "a", "2", 2, 2, lease=7),
    ],
)
def test_a_write_with_another_version_creation_or_lease_had_the_wrong_effect(wrong: Change) -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    assert kinds(judge(script, [A1, wrong])) == {"wrong effect"}


def test_two_writes_at_one_revision_are_a_duplicate() -> None:
    script = ScriptedHistory()
    one, two = script.invoke(Put("a", "1")), script.invoke(Put("a", "2"))
    script.ok(one, PutResult(), 2)
    script.ok(two, PutResult(), 2)
    assert "duplicate revision" in kinds(judge(script, [A1]))


def test_if_two_writes_claim_one_revision_the_one_without_its_change_is_lost() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    first, second = script.invoke(Put("b", "x")), script.invoke(Delete("a"))
    script.ok(first, PutResult(), 3)
    script.ok(second, DeleteResult(deleted=1), 3)
    verdict = judge(script, [A1, Change(3, "delete", "a")])
    assert kinds(verdict) == {"duplicate revision", "lost write"}


def test_a_transaction_with_a_missing_change_had_the_wrong_effect() -> None:
    script = ScriptedHistory()
    both = Txn((), (Put("a", "1"), Put("b", "1")))
    script.did(both, TxnResult(succeeded=True, responses=(PutResult(), PutResult())), 2)
    script.did(Txn((), (Delete("a", "c"),)),
             TxnResult(succeeded=True, responses=(DeleteResult(deleted=2),)), 3)
    verdict = judge(script, [A1, Change(2, "put", "b", "1", 2, 1), Change(3, "delete", "b")])
    assert kinds(verdict) == {"wrong effect"}
    (anomaly,) = verdict.anomalies
    because = "should have made delete a, delete b; the change log contains delete b"
    assert because in anomaly.because


def test_a_delete_with_several_possible_writers_names_no_writer() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.fail(script.invoke(Delete("a")))
    script.did(Delete("a"), DeleteResult(deleted=1), 4)
    verdict = judge(script, [A1, Change(3, "delete", "a"), Change(4, "delete", "a")])
    assert "phantom write" in kinds(verdict)
    assert "failed write present" not in kinds(verdict)


def test_revisions_of_writes_grow_along_real_time() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "2"), PutResult(), 3)
    script.did(Put("a", "1"), PutResult(), 2)
    assert kinds(judge(script, [A1, A2])) == {"revision order"}


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
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    script.did(request_, wrong, 3)
    found = kinds(judge(script, [A1, A2]))
    assert found <= {"wrong answer", "duplicate revision"}
    assert found


def test_a_transaction_whose_write_is_lost_missed_its_effect() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    swap = Txn((Compare("a", "value", "=", "1"),), (Put("a", "2"),), (Range("a"),))
    script.did(swap, TxnResult(succeeded=False, responses=(read(KV1),)), 2)
    assert kinds(judge(script, [A1])) == {"missed effect"}


def test_comparisons_of_nested_transactions_are_made_before_anything_is_written() -> None:
    inner = Txn((Compare("a", "version", "=", 0),), (Put("b", "in"),), (Put("c", "in"),))
    script = ScriptedHistory()
    nested = TxnResult(succeeded=True, responses=(PutResult(),))
    script.did(
        Txn((), (Put("a", "1"), inner), ()),
        TxnResult(succeeded=True, responses=(PutResult(), nested)),
        2,
    )
    changes = [A1, Change(2, "put", "b", "in", 2, 1)]
    assert judge(script, changes).valid is True


def test_deletes_without_values_are_matched_to_uncertain_operations() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.info(script.invoke(Delete("a")))
    script.info(script.invoke(Delete("a", "c")))
    gone = [A1, Change(3, "delete", "a")]
    assert judge(script, gone).valid is True
    again = [*gone, Change(4, "put", "a", "9", 4, 1), Change(5, "delete", "a")]
    script.did(Put("a", "9"), PutResult(), 4)
    assert judge(script, again).valid is True
    thrice = [*again, Change(6, "put", "a", "8", 6, 1), Change(7, "delete", "a")]
    script.did(Put("a", "8"), PutResult(), 6)
    assert judge(script, thrice).valid is False


def test_keys_of_a_lease_may_vanish_together() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1", lease=7), PutResult(), 2)
    put = Change(2, "put", "a", "1", 2, 1, lease=7)
    assert judge(script, [put, Change(3, "delete", "a")]).valid is True


def test_a_revision_that_no_member_has_is_impossible() -> None:
    script = ScriptedHistory()
    script.did(Range("a"), read(), 9)
    assert kinds(judge(script, [])) == {"impossible revision"}
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 1)
    assert kinds(judge(script, [])) == {"impossible revision"}


def test_a_missing_revision_in_the_change_log_is_reported() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    assert "missing revision" in kinds(judge(script, [A2], revision=3))


def test_members_with_different_change_logs_diverged() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    other = Change(3, "put", "a", "x", 2, 2)
    states = (*members([A1, A2], names=("n1", "n2")), *members([A1, other], names=("n3",)))
    verdict = check_mvcc(Evidence(script.history(), states))
    assert kinds(verdict) == {"diverged"}
    assert verdict.anomalies[0].members == ("n1", "n3")
    assert verdict.anomalies[0].detail["revision"] == 3


def test_members_with_different_hashes_differ() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    states = [
        MemberState(f"n{n}", revision=2, changes=(A1,), hash=n // 2, hash_revision=2)
        for n in range(3)
    ]
    assert kinds(check_mvcc(Evidence(script.history(), tuple(states)))) == {"hash mismatch"}


def test_a_member_behind_is_unknown_unless_it_has_applied_as_much() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)

    def judged(applied: int) -> Verdict:
        status = {"raft_index": 9, "leader_id": 1}
        ahead = members([A1, A2], names=("n1", "n2"), raft_applied_index=9, **status)
        behind = members([A1], names=("n3",), raft_applied_index=applied, **status)
        return check_mvcc(Evidence(script.history(), (*ahead, *behind)))

    assert judged(8).valid is None
    assert "n3 was behind" in judged(8).why
    assert kinds(judged(9)) == {"diverged"}


def test_a_member_whose_state_is_unknown_leaves_the_verdict_undecided() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    states = (*members([A1], names=("n1", "n2")), MemberState("n3", error="connection refused"))
    verdict = check_mvcc(Evidence(script.history(), states))
    assert verdict.valid is None
    assert "the state of n3 could not be read: connection refused" in verdict.why


def test_a_minority_of_the_members_proves_no_lost_write() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    gone = [MemberState(name, error="down") for name in ("n2", "n3")]
    verdict = check_mvcc(Evidence(script.history(), (*members([], names=("n1",)), *gone)))
    assert verdict.valid is None


def test_a_delete_with_a_keys_only_read_distinguishes_uncertain_puts() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(Put("a", "1")))
    script.info(script.invoke(Put("a", "2")))
    txn = Txn((), (Range("b", "c", keys_only=True), Delete("a", prev_kv=True)))
    for value in ("1", "2"):
        gone = DeleteResult(deleted=1, prev_kvs=(KeyValue("a", value, 2, 3, 2),))
        script.did(txn, TxnResult(succeeded=True, responses=(RangeResult(), gone)), 4)
        assert check_mvcc(Evidence(script.history())).valid is True
        script.events = script.events[:-2]


def test_the_ranges_of_a_read_only_transaction_are_of_one_revision() -> None:
    b1 = Change(3, "put", "b", "1", 3, 1)
    kb1 = KeyValue("b", "1", 3, 3, 1)
    for serializable, stale in ((False, {"stale read"}), (True, set[str]())):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        script.did(Put("b", "1"), PutResult(), 3)
        txn = Txn((), (Range("a", serializable=True), Range("b", serializable=serializable)))
        script.did(txn, TxnResult(succeeded=True, responses=(read(KV1), read(kb1))), 3)
        assert judge(script, [A1, b1]).valid is True
        script.did(txn, TxnResult(succeeded=True, responses=(read(KV1), read())), 2)
        assert kinds(judge(script, [A1, b1])) == stale
        script.events = script.events[:-2]
        script.did(txn, TxnResult(succeeded=True, responses=(read(), read(kb1))), 3)
        assert kinds(judge(script, [A1, b1])) == {"wrong answer"}


def test_histories_with_keys_of_locks_are_judged_by_the_members_only() -> None:
    evidence = generate_coordination("lock", 5, seed=1)
    assert evidence is not None
    verdict = check_mvcc(evidence)
    assert not verdict.applies
    one, *others = evidence.members
    corrupted = (one, *(msgspec.structs.replace(m, hash=1, hash_revision=2) for m in others[:1]),
              *(msgspec.structs.replace(m, hash=2, hash_revision=2) for m in others[1:]))
    verdict = check_mvcc(dataclasses.replace(evidence, members=corrupted))
    assert kinds(verdict) == {"hash mismatch"}


def test_answers_without_revisions_are_not_judged() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 0)
    verdict = check_mvcc(Evidence(script.history()))
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


def test_a_put_that_keeps_the_lease_of_its_key_is_evaluated_with_that_lease() -> None:
    changes = [Change(2, "put", "a", "1", 2, 1, 7), Change(3, "put", "a", "2", 2, 2, 7)]
    script = ScriptedHistory()
    script.did(Put("a", "1", lease=7), PutResult(), 2)
    script.did(Put("a", "2", ignore_lease=True), PutResult(), 3)
    script.did(Range("a"), read(KeyValue("a", "2", 2, 3, 2, 7)), 3)
    assert judge(script, changes).valid is True
    detached = [changes[0], Change(3, "put", "a", "2", 2, 2)]
    assert judge(script, detached).valid is False


def test_a_put_that_keeps_the_value_of_its_key_is_evaluated_with_that_value() -> None:
    changes = [Change(2, "put", "a", "1", 2, 1), Change(3, "put", "a", "1", 2, 2, 7)]
    for outcome in ("ok", "info"):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        if outcome == "ok":
            script.did(Put("a", lease=7, ignore_value=True), PutResult(), 3)
        else:
            script.info(script.invoke(Put("a", lease=7, ignore_value=True)))
        script.did(Range("a"), read(KeyValue("a", "1", 2, 3, 2, 7)), 3)
        assert judge(script, changes).valid is True
        lost = [changes[0], Change(3, "put", "a", "", 2, 2, 7)]
        assert judge(script, lost).valid is False


def test_a_put_that_keeps_the_lease_of_an_absent_key_is_invalid() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "2", ignore_lease=True), PutResult(), 2)
    verdict = judge(script, [Change(2, "put", "a", "2", 2, 1)])
    assert verdict.valid is False
    assert any("the key did not exist" in one.because for one in verdict.anomalies)
