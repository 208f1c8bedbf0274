"""No election begins without a cause. Each rule has a member that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from splitbrain.node.raft import election, leader, replication
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role
from tests.simulation.simulated_members import SimulatedMembers


def vote_request(members: SimulatedMembers, kind: MessageType) -> tuple[RaftState, Message]:
    """A follower, and a request of the other follower for its vote in the next term."""
    one, other = (members.raft(name) for name in members.followers())
    log = other.log
    return one, Message(kind, one.id, other.id, one.term + 1, log.last_term, log.last_index)


@pytest.mark.parametrize("check_quorum", [True, False])
@pytest.mark.parametrize("pre_vote", [True, False])
def test_correct_members_break_no_rule_under_faults(pre_vote: bool, check_quorum: bool) -> None:
    members = SimulatedMembers(5, pre_vote=pre_vote, check_quorum=check_quorum)
    for _ in range(3):
        old = members.leader()
        members.isolate(old)
        members.wait(2.0)
        members.heal(old)
        members.wait(1.0)
        members.cluster.kill(members.leader())
        members.wait(1.0)
        paused = members.followers()[0]
        members.cluster.pause(paused)
        members.wait(1.0)
        members.cluster.resume(paused)
        for name in members.cluster.members:
            members.cluster.start(name)
        members.wait(2.0)
    assert members.violations == []


def test_the_lease_is_checked_only_with_a_vote_request_of_a_higher_term() -> None:
    members = SimulatedMembers()
    one, request = vote_request(members, MessageType.VOTE)
    one.step(request)  # type: ignore[attr-defined]
    one.step(replace(request, term=one.term))  # type: ignore[attr-defined]
    assert members.violations == []


def test_a_higher_term_ends_the_lease_of_the_leader_before() -> None:
    """Seed 40000384: a late response of another member made the follower leave its leader."""
    members = SimulatedMembers()
    one, request = vote_request(members, MessageType.VOTE)
    late = Message(MessageType.APP_RESP, one.id, request.from_, one.term + 5)
    one.step(late)  # type: ignore[attr-defined]
    one.step(replace(request, term=one.term + 1))  # type: ignore[attr-defined]
    assert members.violations == []


def test_a_member_whose_timer_is_not_reset_by_heartbeats_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()
    original = HANDLERS[Role.FOLLOWER][MessageType.HEARTBEAT]

    def on_heartbeat(raft: RaftState, message: Message) -> None:
        elapsed = raft.election_elapsed
        original(raft, message)
        raft.election_elapsed = elapsed

    monkeypatch.setitem(HANDLERS[Role.FOLLOWER], MessageType.HEARTBEAT, on_heartbeat)
    leading, term = members.leader(), members.raft("n1").term
    members.wait(1.0)
    first = members.violations[0]
    assert f"campaigns for term {term + 1}, " in first
    assert f"it has heard from the leader {leading} of term {term}" in first
    assert "its election timeout is at least 200.0 ms" in first


def test_a_leader_that_sends_a_follower_no_heartbeats_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()
    original, forgotten = replication.broadcast_heartbeat, members.raft(members.followers()[0]).id

    def broadcast_heartbeat(raft: RaftState) -> None:
        peers = raft.peers
        raft.peers = tuple(one for one in peers if one.id != forgotten)
        original(raft)
        raft.peers = peers

    monkeypatch.setattr(replication, "broadcast_heartbeat", broadcast_heartbeat)
    members.wait(2.0)
    assert f"although the leader {members.leader()} has led, and has been connected" in (
        members.violations[0]
    )


def test_a_candidate_without_pre_votes_of_a_majority_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()
    monkeypatch.setattr(election, "run_for_pre_vote", election.run_for_vote)
    isolated = members.followers()[0]
    members.isolate(isolated)
    members.wait(1.0)
    assert f"{isolated} became a candidate of term " in members.violations[0]
    assert f"with pre-votes of {isolated} only" in members.violations[0]


@pytest.mark.parametrize("kind", [MessageType.VOTE, MessageType.PRE_VOTE])
def test_a_member_that_votes_although_it_hears_its_leader_is_found(
    kind: MessageType, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = SimulatedMembers()
    leading = members.leader()
    one, request = vote_request(members, kind)
    monkeypatch.setattr(election, "in_leader_lease", lambda _: False)
    one.step(request)  # type: ignore[attr-defined]
    (first,) = members.violations
    assert f"({kind.name}), although it heard from the leader {leading} of term " in first


def test_a_leader_that_steps_down_although_a_majority_responds_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()
    leading = members.leader()
    monkeypatch.setattr(leader, "quorum_is_active", lambda _: False)
    members.wait(0.5)
    assert f"{leading} ceased to lead in term " in members.violations[0]
    assert "although a majority had responded: n" in members.violations[0]


def test_a_leader_without_a_majority_that_keeps_leading_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()
    leading, term = members.leader(), members.raft("n1").term
    monkeypatch.setattr(leader, "quorum_is_active", lambda _: True)
    members.isolate(leading)
    members.wait(2.0)
    assert members.violations[0].endswith(
        f"{leading} still leads in term {term}, although no other member has responded within two "
        "election timeouts, which is no majority of 3; check-quorum is on"
    )


def test_a_voter_that_was_just_added_counts_as_if_it_had_responded() -> None:
    """Seed 900008: with one follower cut off, the leader of three members adds a fourth."""
    members = SimulatedMembers()
    server = members.cluster.members[members.leader()].server
    assert server is not None
    leading = server.raft
    members.isolate(members.followers()[0])
    members.wait(0.5)
    members.loop.run_until_complete(server.cluster.add(["http://n9:2380"], learner=False))
    assert len(leading.voters) == 4
    members.wait(1.0)
    assert leading.role is not Role.LEADER
    assert members.violations == []


def test_the_leader_is_the_running_one_of_the_highest_term() -> None:
    members = SimulatedMembers()
    old = members.leader()
    members.cluster.pause(old)
    assert members.cluster.elections.leader() is None
    led_until: Any = members.cluster.elections.led_until_ns
    assert led_until == members.loop.now_ns
    members.wait(1.0)
    found = members.cluster.elections.leader()
    assert found is not None
    assert found[0] != old
    assert found[1] > led_until
