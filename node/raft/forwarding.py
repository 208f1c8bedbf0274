"""Lets a member forward proposals and read requests to the leader.

Proposals are collected and sent with the next Ready, several in one message. There is no
confirmation: the message, or the answer to a read request, can get lost.

Source: etcd-io/raft, where a follower also forwards MsgProp and MsgReadIndex.
"""

from __future__ import annotations

from splitbrain.node.raft import leader
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.raft.message import NONE, Entry, MemberId, Message, MessageType
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

_PROP = MessageType.PROP
_LEADER = Role.LEADER


def forward_to_leader(raft: RaftState, entry: Entry) -> None:
    """Forward the proposal `entry` of this member's client to the leader with the next Ready.

    Raises ProposalDropped if no leader is known.
    """
    if raft.leader == NONE:
        raise ProposalDropped(DropReason.NO_LEADER)
    raft.forward((entry,))


def on_proposal(raft: RaftState, message: Message) -> None:
    """Handle PROP, which another member sent because it considers this member the leader."""
    if can_forward(raft, message.from_):
        raft.forward(message.entries)


def on_read_index(raft: RaftState, message: Message) -> None:
    """Handle READ_INDEX: forward it to the leader.

    The leader's answer goes directly to the member that made the request, not to this member.
    """
    if can_forward(raft, message.from_):
        raft.send(
            Message(MessageType.READ_INDEX, raft.leader, message.from_, context=message.context)
        )


def can_forward(raft: RaftState, origin: MemberId) -> bool:
    """Return whether this member knows a leader to which it can forward a message from `origin`.

    A message is not sent back to the member from which it came. Otherwise two members that consider
    each other the leader would forward a message to each other forever.
    """
    return raft.leader not in (NONE, origin)


def send_forwards(raft: RaftState, entries: list[Entry]) -> None:
    """Send the proposals to the current leader, in PROPs of at most `message_bytes_max`.

    If no leader is known, the proposals are lost.
    """
    if raft.leader == NONE:
        return
    if raft.role is _LEADER:  # This member was elected in the meantime.
        leader.append_proposals(raft, entries)
        return
    first, size = 0, 0
    for at, entry in enumerate(entries):
        if at > first and size + len(entry.data) > raft.config.message_bytes_max:
            _send_proposals(raft, entries[first:at])
            first, size = at, 0
        size += len(entry.data)
    _send_proposals(raft, entries[first:])


def _send_proposals(raft: RaftState, entries: list[Entry]) -> None:
    raft.send(Message(_PROP, raft.leader, raft.id, entries=tuple(entries)))
