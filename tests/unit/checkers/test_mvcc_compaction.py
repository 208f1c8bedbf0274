"""`mvcc` judges histories with compactions, and change logs that begin late or are missing."""

from __future__ import annotations

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Delete,
    KeyValue,
    Put,
    PutResult,
    Range,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change
from tests.unit.checkers.judged_script import A1, A2, KV1, KV2, judge, kinds, read
from tests.unit.checkers.scripted_history import ScriptedHistory, members

REFUSED = "etcdserver: mvcc: required revision has been compacted"
A3 = Change(4, "put", "a", "3", 2, 3)


def test_after_a_compaction_uncertain_writes_fill_the_gaps_if_they_can() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.info(script.invoke(Put("b", "x")))
    script.did(Put("a", "2"), PutResult(), 4)
    last = Change(4, "put", "a", "2", 2, 2)
    late = members([last], first_revision=4, compact_revision=3)
    verdict = check_mvcc(Evidence(script.history(), late))
    assert verdict.valid is True
    assert verdict.counts["uncertain writes that happened"] == 1
    script.did(Range("b"), read(KeyValue("b", "x", 3, 3, 1)), 4)
    assert check_mvcc(Evidence(script.history(), late)).valid is True
    # Nothing else can have made revision 3.
    script.did(Range("b"), read(), 4)
    assert kinds(check_mvcc(Evidence(script.history(), late))) == {"wrong answer"}


def test_after_a_compaction_the_acknowledged_writes_still_show_the_state() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    script.did(Range("a"), read(KV1), 3)
    late = members([A2], first_revision=3, compact_revision=2)
    assert kinds(check_mvcc(Evidence(script.history(), late))) == {"wrong answer"}


def test_too_many_revisions_are_found_without_a_log() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(Put("a", "1")))
    script.did(Range("b"), read(), 2)
    assert check_mvcc(Evidence(script.history())).valid is True
    script.did(Range("b"), read(), 3)
    assert kinds(check_mvcc(Evidence(script.history()))) == {"phantom write"}


def test_before_a_compacted_log_uncertain_writes_that_no_answer_shows_fill_revisions() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(Put("a", "1")))
    script.info(script.invoke(Delete("a")))
    late = members([Change(3, "delete", "a")], first_revision=3, compact_revision=2)
    verdict = check_mvcc(Evidence(script.history(), late))
    assert verdict.valid is True
    assert verdict.counts["uncertain writes that happened"] == 2


def test_a_compacted_revision_that_no_answer_shows_needs_a_writer_too() -> None:
    script = ScriptedHistory()
    script.fail(script.invoke(Put("a", "1")))
    late = members([], revision=2, first_revision=3, compact_revision=2)
    assert kinds(check_mvcc(Evidence(script.history(), late))) == {"phantom write"}


def test_a_transaction_reads_nothing_of_the_future_nor_of_what_is_compacted() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    script.did(Compact(3), CompactResult(), 3)
    for revision, kind in ((3, ""), (2, "compacted read"), (4, "wrong answer")):
        kvs = read(KV1 if revision == 2 else KV2)
        txn = Txn((), (Range("a", revision=revision),), (Range("a", revision=1),))
        script.did(txn, TxnResult(succeeded=True, responses=(kvs,)), 3)
        assert kinds(judge(script, [A1, A2], compact_revision=3)) == {kind} - {""}
        script.events = script.events[:-2]


def test_an_uncertain_transaction_that_would_be_refused_changes_nothing() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(Txn((), (Put("a", "1"), Range("a", revision=3)))))
    script.did(Range("b"), read(), 2)
    assert kinds(check_mvcc(Evidence(script.history()))) == {"phantom write"}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_an_uncertain_transaction_that_reads_a_compacted_revision_changes_nothing(
    known: bool, before: bool
) -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    if before:
        script.did(Compact(3), CompactResult(), 3)
    script.info(script.invoke(Txn((), (Put("b", "1"), Range("a", revision=2)))))
    b1 = Change(4, "put", "b", "1", 4, 1)
    script.did(Range("b"), read(KeyValue("b", "1", 4, 4, 1)), 4)
    if not before:
        script.did(Compact(3), CompactResult(), 4)
    states = members([A1, A2, b1], compact_revision=3) if known else ()
    verdict = check_mvcc(Evidence(script.history(), states))
    assert kinds(verdict) == ({"wrong effect"} if before else set())


def test_a_transaction_that_was_refused_half_way_changes_nothing() -> None:
    refused = "etcdserver: mvcc: required revision is a future revision"
    for revision, error in ((9, refused), (0, "etcdserver: requested lease not found")):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        txn = Txn((), (Put("a", "2"), Range("a", revision=revision), Put("c", "1", lease=7)))
        script.fail(script.invoke(txn), error)
        assert judge(script, [A1]).valid is True
        assert kinds(judge(script, [A1, A2])) == {"failed write present"}


def test_a_refusal_without_a_possible_compaction_is_wrong() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.info(script.invoke(Compact(4)))
    process = script.invoke(Range("a", revision=1))
    script.fail(process, "etcdserver: mvcc: required revision has been "
                                                 "compacted")
    assert kinds(judge(script, [A1])) == {"wrong refusal"}


def test_the_answer_to_a_compaction_may_show_writes_that_came_after_it() -> None:
    """etcd reads the revision of the answer after a physical compaction has removed old versions.

    In between, it refuses other compactions to the same revision, and writes.
    """
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    compaction = script.invoke(Compact(3, physical=True))
    script.fail(script.invoke(Compact(3)), REFUSED)
    script.did(Put("a", "3"), PutResult(), 4)
    script.ok(compaction, CompactResult(), 4)
    assert check_mvcc(Evidence(script.history())).valid is True
    assert judge(script, [A1, A2, A3], compact_revision=3).valid is True


def test_of_two_concurrent_compactions_the_one_to_the_lower_revision_may_show_more() -> None:
    for apart, kind in ((False, ""), (True, "wrong answer")):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        script.did(Put("a", "2"), PutResult(), 3)
        lower = -1 if apart else script.invoke(Compact(2, physical=True))
        script.did(Compact(3), CompactResult(), 3)
        script.did(Put("a", "3"), PutResult(), 4)
        script.ok(script.invoke(Compact(2)) if apart else lower, CompactResult(), 4)
        assert kinds(check_mvcc(Evidence(script.history()))) == {kind} - {""}


def test_a_refused_request_has_seen_the_revision_of_each_read_before_the_compaction() -> None:
    """A write that began after the refusal has a higher revision than this read."""
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    past = script.invoke(Range("a", revision=2))
    third = script.invoke(Put("a", "3"))
    script.info(script.invoke(Compact(3)))
    script.fail(script.invoke(Range("a", revision=1)), REFUSED)
    fourth = script.invoke(Put("a", "4"))
    script.ok(past, read(KV1), 4)
    for values, kind in (("34", ""), ("43", "revision order")):
        script.ok(third, PutResult(), 4 + values.index("3"))
        script.ok(fourth, PutResult(), 4 + values.index("4"))
        later = [Change(4 + n, "put", "a", value, 2, 3 + n) for n, value in enumerate(values)]
        assert kinds(judge(script, [A1, A2, *later], compact_revision=3)) == {kind} - {""}
        script.events = script.events[:-2]


def test_after_a_refusal_no_compaction_to_that_revision_succeeds() -> None:
    refused = "etcdserver: mvcc: required revision has been compacted"
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2"), PutResult(), 3)
    script.fail(script.invoke(Range("a", revision=1)), refused)
    script.did(Compact(3), CompactResult(), 3)
    assert check_mvcc(Evidence(script.history())).valid is True
    script.events = script.events[:-2]
    script.did(Compact(2), CompactResult(), 3)
    assert kinds(check_mvcc(Evidence(script.history()))) == {"wrong answer"}
    script.events = script.events[:-4]
    script.fail(script.invoke(Compact(3)), refused)
    script.did(Range("a", revision=2), read(KV1), 3)
    assert kinds(check_mvcc(Evidence(script.history()))) == {"compacted read"}
