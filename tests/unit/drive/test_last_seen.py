"""A client of a run remembers what it has seen, so that its next comparisons can succeed."""

from typing import Literal

from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.histories.kv import (
    Compact,
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)

Target = Literal["value", "version", "create", "mod"]


def cas(target: Target) -> ScheduledOperation:
    request = Txn((Compare("a", target, "=", ""),), success=(Put("a", "9"),), failure=(Range("a"),))
    return ScheduledOperation(0, "cas", request, 0, expect_last_seen=(0,))


def expected(seen: LastSeen, target: Target) -> Compare:
    request = seen.request(cas(target))
    assert isinstance(request, Txn)
    return request.compare[0]


def test_a_key_that_was_never_seen_is_expected_to_be_absent() -> None:
    assert expected(LastSeen(), "value") == Compare("a", "mod", "=", 0)
    assert expected(LastSeen(), "mod") == Compare("a", "mod", "=", 0)


def test_the_value_that_was_written_is_expected_next() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    assert expected(seen, "value") == Compare("a", "value", "=", "4")
    assert expected(seen, "mod") == Compare("a", "mod", "=", 12)


def test_version_and_create_revision_continue_from_the_values_that_were_seen() -> None:
    seen = LastSeen()
    assert expected(seen, "version") == Compare("a", "version", "=", 0)
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    assert expected(seen, "version") == Compare("a", "version", "=", 1)
    assert expected(seen, "create") == Compare("a", "create", "=", 12)
    seen.observe(Range("a"), RangeResult(Header(20), (KeyValue("a", "5", 3, 9, 2),), 1))
    seen.observe(Put("a", "6"), PutResult(Header(21)))
    assert expected(seen, "version") == Compare("a", "version", "=", 3)
    assert expected(seen, "create") == Compare("a", "create", "=", 3)


def test_the_value_that_was_read_is_expected_next() -> None:
    seen = LastSeen()
    found = RangeResult(Header(20), (KeyValue("a", "5", 3, 9, 2),), 1)
    seen.observe(Range("a"), found)
    assert expected(seen, "value") == Compare("a", "value", "=", "5")
    assert expected(seen, "mod") == Compare("a", "mod", "=", 9)
    seen.observe(Range("a"), RangeResult(Header(21)))
    assert expected(seen, "value") == Compare("a", "mod", "=", 0)


def test_the_branch_of_a_transaction_that_was_executed_is_learned() -> None:
    seen = LastSeen()
    request = cas("mod").request
    found = RangeResult(Header(8), (KeyValue("a", "7", 2, 6, 1),), 1)
    seen.observe(request, TxnResult(Header(8), False, (found,)))
    assert expected(seen, "value") == Compare("a", "value", "=", "7")
    seen.observe(request, TxnResult(Header(9), True, (PutResult(Header(9)),)))
    assert expected(seen, "mod") == Compare("a", "mod", "=", 9)


def test_nothing_is_learned_from_stale_reads() -> None:
    seen = LastSeen()
    stale = RangeResult(Header(20), (KeyValue("a", "5", 3, 9, 2),), 1)
    for option in ({"serializable": True}, {"revision": 3}, {"keys_only": True}):
        request = Range("a", **option)
        seen.observe(request, stale)
    assert expected(seen, "mod") == Compare("a", "mod", "=", 0)


def test_a_delete_forgets_the_key() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    seen.observe(Delete("a"), DeleteResult(Header(13), 1))
    assert expected(seen, "mod") == Compare("a", "mod", "=", 0)


def test_a_read_of_the_past_is_sent_at_a_revision_that_was_seen_to_exist() -> None:
    seen = LastSeen()
    scheduled = ScheduledOperation(0, "range", Range("a", "z"), 0, revision_back=5)

    def revision() -> int:
        request = seen.request(scheduled)
        assert isinstance(request, Range)
        return request.revision

    assert revision() == 1
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    assert revision() == 7


def test_the_bounds_of_a_range_are_near_the_newest_revision_seen() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    bounded = Range("a", "z", max_mod=1, min_create=1)
    scheduled = ScheduledOperation(0, "range", bounded, 0, revision_back=5)
    assert seen.request(scheduled) == Range("a", "z", max_mod=7, min_create=7)


def test_an_answer_with_bounds_does_not_show_that_a_key_is_absent() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    seen.observe(Range("a", max_mod=11), RangeResult(Header(12), (), 1))
    assert expected(seen, "mod") == Compare("a", "mod", "=", 12)


def test_a_compaction_can_be_at_the_newest_revision_and_a_read_after_it() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    for back, revision in ((0, 12), (-3, 15), (12, 1), (1_000, 1)):
        compact = ScheduledOperation(0, "compact", Compact(0), 0, revision_back=back)
        assert seen.request(compact) == Compact(revision)
        read = ScheduledOperation(0, "range", Range("a"), 0, revision_back=back)
        assert seen.request(read) == Range("a", revision=revision)


def test_the_ranges_of_a_transaction_are_sent_at_revisions_by_their_position() -> None:
    seen = LastSeen()
    seen.observe(Put("a", "4"), PutResult(Header(12)))
    inner = Txn((), (Range("c"),), (Range("d"),))
    request = Txn((), (Put("x"), Range("a"), inner), (Range("e"), Range("f")))
    scheduled = ScheduledOperation(0, "txn", request, 0, ranges_back=((1, 4), (2, -1), (4, 0)))
    sent = Txn((), (Range("c", revision=8),), (Range("d", revision=13),))
    assert seen.request(scheduled) == Txn(
        (), (Put("x"), Range("a"), sent), (Range("e"), Range("f", revision=12))
    )
