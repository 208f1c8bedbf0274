"""Handles the messages of a candidate or pre-candidate."""

from __future__ import annotations

from splitbrain.node.raft import election, follower, replication
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role


def on_pre_vote_response(raft: RaftState, message: Message) -> None:
    """Handle PRE_VOTE_RESP: count the pre-vote, if it answers this member's newest request."""
    # A granted pre-vote contains the term that was requested. It does not count if the term is that
    # of an earlier request.
    if message.reject:
        election.learn_commit(raft, message)
    if raft.role is Role.PRE_CANDIDATE and (message.reject or message.term == raft.term + 1):
        election.record_vote(raft, message.from_, granted=not message.reject)


def on_vote_response(raft: RaftState, message: Message) -> None:
    """Handle VOTE_RESP: count the vote."""
    if message.reject:
        election.learn_commit(raft, message)
    if raft.role is Role.CANDIDATE:
        election.record_vote(raft, message.from_, granted=not message.reject)
    if raft.role is Role.LEADER and not raft.merging:
        replication.append_to_all(raft)


def on_append(raft: RaftState, message: Message) -> None:
    """Handle APP from the leader that was elected in this term: become its follower, and append."""
    election.become_follower(raft, message.term, message.from_)
    follower.on_append(raft, message)


def on_heartbeat(raft: RaftState, message: Message) -> None:
    """Handle HEARTBEAT from the leader that was elected in this term: become its follower."""
    election.become_follower(raft, message.term, message.from_)
    follower.on_heartbeat(raft, message)


def on_snapshot(raft: RaftState, message: Message) -> None:
    """Handle SNAP from the leader that was elected in this term: become its follower."""
    election.become_follower(raft, message.term, message.from_)
    follower.on_snapshot(raft, message)
