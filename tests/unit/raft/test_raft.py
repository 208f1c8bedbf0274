"""`Raft` has the properties that its caller relies on and that the texts in `testdata` omit."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.errors import ConfigInvalid, DropReason, ProposalDropped, StateInvalid
from splitbrain.node.raft.message import (
    ConfState,
    Entry,
    HardState,
    Message,
    MessageType,
    Snapshot,
    SnapshotMetadata,
)
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role, SoftState
from tests.unit.raft.cluster import Cluster

CONFIG = Config(id=1, voters=(1, 2, 3))


def follower(**state: object) -> Raft:
    return Raft(CONFIG, Random(1), **state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lease_based_reads": True, "check_quorum": False}, "expected check_quorum to be True"),
        ({"voters": (1, 1)}, "names a member twice"),
        ({"id": 0}, "member id 0"),
        ({"voters": (1, 2**64)}, "member id"),
        ({"heartbeat_ticks": 0}, "heartbeat_ticks is 0"),
        ({"election_ticks": 1}, "more than heartbeat_ticks"),
        ({"message_bytes_max": 0}, "message_bytes_max is 0"),
        ({"inflight_bytes_max": 1}, "at least message_bytes_max"),
    ],
)
def test_an_invalid_config_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        replace(CONFIG, **change)  # type: ignore[arg-type]


def test_a_new_member_has_nothing_to_do() -> None:
    raft = follower()
    assert not raft.has_ready()
    assert raft.status().role is Role.FOLLOWER


def test_an_election_starts_within_one_to_two_election_timeouts() -> None:
    election_ticks = set()
    for seed in range(200):
        raft = Raft(CONFIG, Random(seed))
        ticks = 0
        while raft.role is Role.FOLLOWER:
            raft.tick()
            ticks += 1
        election_ticks.add(ticks)
    assert election_ticks == set(range(10, 20))


def test_a_vote_is_sent_only_after_its_hard_state_is_synced() -> None:
    raft = follower()
    raft.step(Message(MessageType.VOTE, to=1, from_=2, term=1))
    ready = raft.ready()
    assert ready.hard_state == HardState(1, 2, 0)
    assert ready.must_sync
    assert [m.type for m in ready.messages_after_sync] == [MessageType.VOTE_RESP]
    assert ready.messages == ()


def test_an_acknowledgement_is_sent_only_after_its_entries_are_synced() -> None:
    raft = follower()
    entries = (Entry(1, 1), Entry(1, 2, data=b"a"))
    raft.step(Message(MessageType.APP, to=1, from_=2, term=1, commit=1, entries=entries))
    ready = raft.ready()
    assert ready.entries == entries
    assert ready.committed_entries == entries[:1]
    assert ready.must_sync
    assert [(m.type, m.index) for m in ready.messages_after_sync] == [(MessageType.APP_RESP, 2)]


def test_a_commit_index_alone_needs_no_sync() -> None:
    raft = follower(hard_state=HardState(1, 2, 0), entries=[Entry(1, 1)])
    raft.step(Message(MessageType.HEARTBEAT, to=1, from_=2, term=1, commit=1))
    ready = raft.ready()
    assert ready.hard_state == HardState(1, 2, 1)
    assert not ready.must_sync
    assert [m.type for m in ready.messages] == [MessageType.HEARTBEAT_RESP]


def test_acknowledgements_of_one_sync_are_merged() -> None:
    raft = follower()
    raft.step(Message(MessageType.APP, 1, 2, 1, entries=(Entry(1, 1),)))
    raft.step(Message(MessageType.APP, 1, 2, 1, log_term=1, index=1, entries=(Entry(1, 2),)))
    assert [m.index for m in raft.ready().messages_after_sync] == [2]


def test_a_candidate_counts_its_own_vote_only_when_it_is_durable() -> None:
    raft = Raft(replace(CONFIG, voters=(1,)), Random(1))
    raft.campaign()
    ready = raft.ready()
    assert ready.soft_state == SoftState(0, Role.CANDIDATE)
    raft.advance(ready)
    assert raft.ready().soft_state == SoftState(1, Role.LEADER)


def test_a_single_member_commits_its_entry_only_when_it_is_durable() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    raft = cluster[1].up
    raft.propose(b"a")
    ready = raft.ready()
    assert raft.log.committed == 1
    cluster[1].persist(ready)
    raft.advance(ready)
    assert raft.log.committed == 2
    assert [e.data for e in raft.ready().committed_entries] == [b"a"]


def test_a_proposal_without_a_leader_is_dropped_with_the_reason() -> None:
    with pytest.raises(ProposalDropped) as dropped:
        follower().propose(b"a")
    assert dropped.value.why is DropReason.NO_LEADER


def test_one_append_contains_all_proposals_since_the_last_ready() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    raft = cluster[1].up
    for number in range(50):
        raft.propose(b"%d" % number)
    appends = [m for m in raft.ready().messages if m.type is MessageType.APP]
    assert [(m.to, len(m.entries)) for m in appends] == [(2, 50), (3, 50)]
    assert appends[0].entries is appends[1].entries


def test_forwarded_proposals_are_divided_by_the_size_limit_of_a_message() -> None:
    raft = Raft(replace(CONFIG, message_bytes_max=4), Random(1))
    raft.step(Message(MessageType.HEARTBEAT, to=1, from_=2, term=1))
    for data in (b"aa", b"bb", b"c", b"much too long", b"d"):
        raft.propose(data)
    forwards = [m for m in raft.ready().messages if m.type is MessageType.PROP]
    assert [[e.data for e in m.entries] for m in forwards] == [
        [b"aa", b"bb"], [b"c"], [b"much too long"], [b"d"],
    ]  # fmt: skip


def test_a_proposal_is_not_forwarded_to_the_member_that_forwarded_it() -> None:
    raft = follower()
    raft.step(Message(MessageType.HEARTBEAT, to=1, from_=2, term=1))
    for origin in (2, 3):
        raft.step(Message(MessageType.PROP, to=1, from_=origin, entries=(Entry(0, 0, data=b"p"),)))
    forwards = [m for m in raft.ready().messages if m.type is MessageType.PROP]
    assert [(m.to, len(m.entries)) for m in forwards] == [(2, 1)]


def test_a_restart_returns_entries_that_are_committed_and_not_applied() -> None:
    entries = [Entry(1, index) for index in (4, 5, 6)]
    raft = follower(
        hard_state=HardState(1, 2, 6),
        snapshot=SnapshotMetadata(3, 1, ConfState((1, 2, 3, 4))),
        entries=entries,
        applied=4,
    )
    assert raft.status().voters == (1, 2, 3, 4)
    ready = raft.ready()
    assert [e.index for e in ready.committed_entries] == [5, 6]
    assert ready.entries == ()
    raft.advance(ready)
    assert not raft.has_ready()
    assert raft.log.applied == 6


def test_a_newer_term_in_the_log_is_adopted_without_a_vote() -> None:
    raft = follower(hard_state=HardState(1, 2, 0), entries=[Entry(3, 1)])
    assert raft.ready().hard_state == HardState(3, 0, 0)


def test_a_snapshot_is_acknowledged_only_after_it_is_persisted() -> None:
    raft = follower()
    metadata = SnapshotMetadata(10, 2, ConfState((1, 2, 3)))
    snapshot = Snapshot(metadata, b"all")
    raft.step(Message(MessageType.SNAP, to=1, from_=2, term=2, snapshot=snapshot))
    raft.step(
        Message(MessageType.APP, 1, 2, 2, log_term=2, index=10, commit=11, entries=(Entry(2, 11),))
    )
    ready = raft.ready()
    assert ready.snapshot is snapshot
    assert ready.must_sync
    assert [e.index for e in ready.entries] == [11]
    assert ready.committed_entries == ()
    assert [m.index for m in ready.messages_after_sync] == [11]
    raft.campaign()
    assert raft.role is Role.FOLLOWER  # no campaign while the snapshot is not applied
    raft.advance(ready)
    assert [e.index for e in raft.ready().committed_entries] == [11]
    assert raft.status().applied == 10


def test_a_snapshot_can_be_taken_only_at_an_applied_index() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    raft = cluster[1].up
    with pytest.raises(StateInvalid, match="no snapshot is possible at index 2"):
        raft.create_snapshot(2)
    with pytest.raises(StateInvalid, match="newest snapshot is at 0"):
        raft.compact(1)
    assert raft.create_snapshot(1) == SnapshotMetadata(1, 1, ConfState((1,)))
    raft.compact(1)
    assert raft.status().first_index == 2


def test_a_message_that_contradicts_committed_entries_is_refused_and_recorded() -> None:
    raft = follower(hard_state=HardState(2, 0, 1), entries=[Entry(1, 1)])
    raft.step(Message(MessageType.APP, 1, 2, 2, log_term=2, index=1, entries=(Entry(2, 2),)))
    assert raft.log.last_index == 1
    contradiction = raft.status().contradiction
    assert contradiction is not None
    assert "this member's entry has term 1" in contradiction
    raft.step(Message(MessageType.HEARTBEAT, to=1, from_=2, term=2, commit=9))
    assert raft.log.committed == 1
    assert raft.status().contradiction == contradiction


numbers = st.integers(-1, 6)
entry = st.builds(Entry, numbers, numbers, data=st.binary(max_size=2))
metadata = st.builds(
    SnapshotMetadata, numbers, numbers, st.just(ConfState((1, 2, 3))) | st.just(ConfState((2, 3)))
)
messages = st.builds(
    Message,
    type=st.sampled_from(MessageType),
    to=st.just(1),
    from_=st.integers(0, 4),
    term=numbers,
    log_term=numbers,
    index=numbers,
    commit=numbers,
    entries=st.lists(entry, max_size=3).map(tuple)
    | st.builds(
        lambda term, first, count: tuple(Entry(term, first + n) for n in range(count)),
        numbers,
        numbers,
        st.integers(1, 3),
    ),
    reject=st.booleans(),
    reject_hint=numbers,
    context=st.binary(max_size=2) | st.integers(0, 9).map(lambda n: n.to_bytes(8, "big")),
    snapshot=st.none() | st.builds(Snapshot, metadata),
)
steps = st.lists(messages | st.sampled_from(["tick", "campaign", "ready", "propose", "read"]))


@given(steps)
@settings(max_examples=300, deadline=None)
def test_no_sequence_of_messages_makes_a_member_fail(inputs: list[object]) -> None:
    raft = Raft(replace(CONFIG, pre_vote=len(inputs) % 2 == 0), Random(1))
    for given_input in inputs:
        if isinstance(given_input, Message):
            raft.step(given_input)
        elif given_input == "tick":
            for _ in range(5):
                raft.tick()
        elif given_input == "campaign":
            raft.campaign()
        elif given_input == "read":
            raft.read_index(b"read")
        elif given_input == "ready":
            raft.advance(raft.ready())
        elif raft.role is Role.LEADER:
            raft.propose(b"p")
        assert raft.log.applied <= raft.log.committed <= raft.log.last_index
    raft.advance(raft.ready())


@pytest.mark.parametrize(("member", "answers"), [(2, 0), (4, 1)])
def test_a_member_that_cannot_campaign_answers_a_leader_of_a_lower_term(
    member: int, answers: int
) -> None:
    """Otherwise the leader could never reach it: without check-quorum, nothing else is answered."""
    config = replace(CONFIG, id=member, check_quorum=False, pre_vote=False)
    raft = Raft(config, Random(1), hard_state=HardState(7))
    raft.step(Message(MessageType.HEARTBEAT, member, 1, 4))
    sent = raft.ready().messages_after_sync if raft.has_ready() else ()
    assert [(one.type, one.to, one.term) for one in sent] == (
        [(MessageType.APP_RESP, 1, 7)] * answers
    )
