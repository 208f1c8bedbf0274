"""A client of a run reads the pages of a list one after the other, at one revision."""

from __future__ import annotations

from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.histories.kv import Header, KeyValue, Range, RangeResult

FIRST = Range("a", "z", limit=2)
MORE = ScheduledOperation(0, "list_more", FIRST, 0, continue_list=True)


def test_the_next_page_is_read_at_the_revision_of_the_first() -> None:
    seen = LastSeen()
    seen.observe(FIRST, RangeResult(Header(7), (KeyValue("a"), KeyValue("b")), count=5, more=True))
    second = seen.request(MORE)
    assert second == Range("b\0", "z", revision=7, limit=2)
    assert isinstance(second, Range)
    seen.observe(second, RangeResult(Header(9), (KeyValue("c"),), count=3, more=True))
    assert seen.request(MORE) == Range("c\0", "z", revision=7, limit=2)


def test_after_the_last_page_the_list_begins_again() -> None:
    seen = LastSeen()
    assert seen.request(MORE) == FIRST
    seen.observe(FIRST, RangeResult(Header(7), (KeyValue("a"),), count=1))
    assert seen.request(MORE) == FIRST
