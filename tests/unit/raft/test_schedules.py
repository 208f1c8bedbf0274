"""Random schedules of crashes, losses and delays break no invariant of Raft.

The same schedules find each of several planted bugs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitbrain.node.raft import commit, election, follower, leader, quorum
from splitbrain.node.raft import raft as raft_module
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import EntryType, MemberId
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.read_index import PendingRead
from tests.unit.raft.cluster import MemoryDisk
from tests.unit.raft.interpreter import rewritten
from tests.unit.raft.schedule import ACTIONS, WEIGHTS, WITH_LOSSES, ScheduledCluster, draw

TESTDATA = Path(__file__).parent / "testdata"

actions = st.tuples(
    st.sampled_from([name for name in ACTIONS for _ in range(WITH_LOSSES[name])]),
    st.integers(0, 1023),
)
options = st.fixed_dictionaries(
    {
        "pre_vote": st.booleans(),
        "check_quorum": st.booleans(),
        "inflight_messages_max": st.sampled_from([1, 2, 8]),
        "message_bytes_max": st.sampled_from([4, 100]),
        "committed_bytes_max": st.sampled_from([4, 100]),
    }
)


@given(size=st.sampled_from([1, 3, 5]), options=options, schedule=st.lists(actions, max_size=150))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_schedule_keeps_every_invariant_and_the_healed_cluster_commits(
    size: int, options: dict[str, int | bool], schedule: list[tuple[str, int]]
) -> None:
    cluster = ScheduledCluster(size, **options)
    cluster.run(schedule)
    cluster.heal()


def run_seed(seed: int, weights: Mapping[str, int], length: int = 300) -> None:
    generator = Random(seed)
    cluster = ScheduledCluster(
        generator.choice([1, 3, 3, 3, 5]),
        seed,
        pre_vote=generator.random() < 0.6,
        check_quorum=generator.random() < 0.6,
        inflight_messages_max=generator.choice([1, 2, 8]),
        message_bytes_max=generator.choice([4, 100]),
    )
    cluster.run(draw(generator, length, weights))
    cluster.heal()


def run_seeds(seeds: int, weights: Mapping[str, int] = WEIGHTS) -> None:
    for seed in range(seeds):
        run_seed(seed, weights)


def test_long_random_schedules_keep_every_invariant() -> None:
    run_seeds(150)


def test_a_minority_that_loses_its_logs_recovers_from_the_leader() -> None:
    run_seeds(100, WITH_LOSSES)


def _own_entries_count_at_once(
    raft: RaftState, data: bytes, kind: EntryType = EntryType.NORMAL
) -> None:
    append_own(raft, data, kind)
    own = raft.progress.get(raft.id)
    if own is not None and own.acknowledge(raft.log.last_index):
        commit.maybe_commit(raft)


def _read_without_a_round(raft: RaftState) -> list[PendingRead]:
    for voter in raft.voters:
        raft.reads.acknowledge(voter, raft.reads.heartbeat_context())
    return raft.reads.take_confirmed(raft.voters)


def _one_less_than_a_majority(voters: Sequence[MemberId]) -> int:
    return max(1, len(voters) // 2)


append_own = Raft.append_own

PLANTED_BUGS: dict[str, tuple[object, str, object]] = {
    "a majority is one member too small": (quorum, "majority", _one_less_than_a_majority),
    "a vote for an older log": (election, "log_is_up_to_date", lambda *_: True),
    "two votes in one term": (election, "vote_is_free", lambda *_: True),
    "a vote that is not synced": (raft_module, "must_sync", lambda *_: False),
    "own entries are counted before they are durable": (
        Raft,
        "append_own",
        _own_entries_count_at_once,
    ),
    "the previous term is not checked": (
        follower,
        "log_matches",
        lambda log, index, term: index <= log.last_index,
    ),
    "a stale append truncates": (
        Log,
        "find_conflict",
        lambda log, entries: entries[0].index if entries else 0,
    ),
    "a follower commits entries that may differ from the leader's": (
        follower,
        "committable_index",
        lambda leader_commit, matching: leader_commit,
    ),
    "a read without a round of heartbeats": (leader, "confirmed_reads", _read_without_a_round),
    "a read before the first commit of the term": (
        commit,
        "committed_in_own_term",
        lambda raft: True,
    ),
}


def _start_in_the_term_of_the_last_vote(disk: MemoryDisk, *, keep_backend: bool) -> None:
    lose_log(disk, keep_backend=keep_backend)
    disk.hard_state = msgspec.structs.replace(disk.hard_state, term=disk.hard_state.term - 1)


def _seal_without_floor(disk: MemoryDisk) -> None:
    disk.promised = (disk.hard_state.term, disk.end)


lose_log = MemoryDisk.lose_log

BUGS_OF_RECOVERY: dict[str, tuple[object, str, object]] = {
    "a recovering member votes for logs without the lost entries": (
        election, "reaches_floor", lambda *_: True,
    ),
    "a recovering member campaigns": (
        election,
        "is_promotable",
        lambda raft: raft.id in raft.voters and raft.log.pending_snapshot is None,
    ),
    "a recovering member starts in a term in which it has sent messages": (
        MemoryDisk, "lose_log", _start_in_the_term_of_the_last_vote,
    ),
    "a second loss forgets the floor of the first": (
        MemoryDisk, "seal", _seal_without_floor,
    ),
}


@pytest.mark.parametrize("name", BUGS_OF_RECOVERY)
def test_a_planted_bug_in_the_recovery_of_a_lost_log_is_found(name: str) -> None:
    target, attribute, replacement = BUGS_OF_RECOVERY[name]
    with patch.object(target, attribute, replacement), pytest.raises(AssertionError):
        run_seeds(1500, WITH_LOSSES)


@pytest.mark.parametrize("name", PLANTED_BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    target, attribute, replacement = PLANTED_BUGS[name]
    with patch.object(target, attribute, replacement), pytest.raises(AssertionError):
        run_seeds(500)


def test_a_commit_by_counting_in_an_old_term_is_found_by_figure_8() -> None:
    text = TESTDATA / "figure_8.txt"
    correct = rewritten(text)
    with patch.object(commit, "may_commit", lambda *_: True):
        assert rewritten(text) != correct
