"""The Raft log: appending, replacing, handing out and compacting entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry, Snapshot, SnapshotMetadata

EMPTY = SnapshotMetadata()


def log_of(*terms: int, committed: int = 0, applied: int = 0) -> Log:
    return Log(EMPTY, entries_of(*terms), committed, applied)


def entries_of(*terms: int, after: int = 0) -> list[Entry]:
    return [Entry(term, after + at, data=b"x" * term) for at, term in enumerate(terms, start=1)]


def terms_of(log: Log) -> list[int]:
    return [entry.term for entry in log.between(log.first_index, log.last_index)]


@pytest.mark.parametrize(
    ("ours", "index", "term", "hint"),
    [
        ((1, 1, 2, 2), 4, 3, (4, 2)),  # our last term is older: the leader may have all entries
        ((1, 1, 5, 5), 4, 3, (2, 1)),  # the whole term 5 is skipped
        ((5, 5), 2, 3, (0, 0)),  # nothing can match
        ((1, 2), 9, 1, (9, 0)),  # the index is after the end of the log
        ((), 0, 0, (0, 0)),
    ],
)
def test_the_likely_match_is_the_last_entry_whose_term_is_not_newer(
    ours: tuple[int, ...], index: int, term: int, hint: tuple[int, int]
) -> None:
    assert log_of(*ours).likely_match(index, term) == hint


def test_entries_that_replace_a_tail_are_not_durable_yet() -> None:
    log = log_of(1, 1, 2, 2, 2)
    log.append(entries_of(3, 3, after=3))
    assert terms_of(log) == [1, 1, 2, 3, 3]
    assert (log.durable, log.persisting) == (3, 3)
    assert [entry.index for entry in log.take_unpersisted()] == [4, 5]
    assert log.take_unpersisted() == ()


def test_entries_that_are_replaced_while_they_are_written_do_not_become_durable() -> None:
    log = log_of(1)
    log.append(entries_of(1, 1, after=1))
    log.take_unpersisted()
    log.append(entries_of(2, 2, after=2))
    log.persisted_to(3)
    assert log.durable == 2


def test_a_committed_entry_is_never_replaced() -> None:
    log = log_of(1, 1, committed=2)
    with pytest.raises(AssertionError):
        log.append(entries_of(2, after=1))


def test_a_commit_index_after_the_end_fails_an_assertion() -> None:
    with pytest.raises(AssertionError):
        log_of(1).commit_to(2)


def test_committed_entries_are_returned_once_and_within_the_size_limit() -> None:
    log = log_of(3, 3, 3, 3)
    log.commit_to(4)
    assert [entry.index for entry in log.take_unapplied(7)] == [1, 2]
    assert [entry.index for entry in log.take_unapplied(1)] == [3]
    assert [entry.index for entry in log.take_unapplied(7)] == [4]
    assert log.take_unapplied(7) == ()


def test_a_snapshot_replaces_the_log_and_is_persisted_before_later_entries_are_applied() -> None:
    log = log_of(1, 1, committed=1)
    snapshot = Snapshot(SnapshotMetadata(10, 3))
    log.restore(snapshot)
    log.append(entries_of(3, after=10))
    log.commit_to(11)
    assert (log.first_index, log.last_index, log.last_term) == (11, 11, 3)
    assert log.take_snapshot() is snapshot
    assert log.take_snapshot() is None
    assert log.take_unapplied(100) == ()
    log.snapshot_persisted(snapshot)
    assert [entry.index for entry in log.take_unapplied(100)] == [11]


def test_compaction_needs_a_snapshot_and_keeps_the_term_before_the_first_entry() -> None:
    log = log_of(1, 2, 3, 4, committed=3, applied=3)
    with pytest.raises(StateInvalid, match="newest snapshot is at 0"):
        log.compact(2)
    log.remember_snapshot(SnapshotMetadata(3, 3))
    log.compact(2)
    log.compact(1)
    assert terms_of(log) == [3, 4]
    assert (log.term_at(1), log.term_at(2), log.term_at(5)) == (None, 2, None)


def test_a_log_that_lost_entries_is_refused() -> None:
    with pytest.raises(StateInvalid, match="has lost entries"):
        log_of(1, 1, committed=3)
    with pytest.raises(StateInvalid, match="has lost entries"):
        log_of(1, 1, applied=3)
    with pytest.raises(StateInvalid, match="entry 3 of term 1 follows 1"):
        Log(EMPTY, [Entry(1, 1), Entry(1, 3)], 0, 0)


def test_applied_entries_are_committed_after_a_restart() -> None:
    log = log_of(1, 1, 1, committed=1, applied=2)
    assert (log.committed, log.applied) == (2, 2)


@given(st.lists(st.integers(1, 4), max_size=8).map(sorted), st.integers(1, 4), st.integers(0, 12))
def test_last_within_takes_at_least_one_entry_and_as_many_as_fit(
    terms: list[int], first: int, room: int
) -> None:
    log = log_of(*terms)
    if first > log.last_index:
        return
    last = log.last_within(first, log.last_index, room)
    taken = sum(len(entry.data) for entry in log.between(first, last))
    assert taken <= room or last == first
    if last < log.last_index:
        assert taken + len(log.between(last + 1, last + 1)[0].data) > room
