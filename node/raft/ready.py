"""Defines the output of a `Raft`: everything that must be persisted, sent and applied.

The owner of a `Raft` handles one `Ready` at a time, in this order:

1. Send `messages` (APP, HEARTBEAT, SNAP and others). They may be sent at once, in parallel
   with the member's own disk write (Ongaro's thesis, 10.2.1).
2. Persist `snapshot`, `entries` and `hard_state`. Sync if `must_sync`.
3. Send `messages_after_sync`: votes, append responses, and all other messages that claim something
   that step 2 made durable.
4. Pass `committed_entries` to the state machine. Answer each read state in `read_states` when the
   state machine has applied entries up to its index.
5. Call `raft.advance(ready)`. Before this call, the member does not treat the new part of its own
   log as durable.

Source: etcd-io/raft, `Ready` and `Advance`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from splitbrain.node.raft.message import Entry, HardState, Index, MemberId, Message, Snapshot


class Role(StrEnum):
    """The role of a member in its current term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class SoftState(msgspec.Struct, frozen=True, gc=False):
    """The state that is not stored: the known leader, and this member's role."""

    leader: MemberId
    role: Role


class ReadState(msgspec.Struct, frozen=True, gc=False):
    """The answer to `read_index(context)`: the read may be executed when `index` is applied."""

    index: Index
    context: bytes


class Ready(msgspec.Struct, frozen=True, gc=False):
    """The work that a `Raft` hands out to its owner. A field is None or empty if nothing is new."""

    soft_state: SoftState | None
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    committed_entries: tuple[Entry, ...]
    messages: tuple[Message, ...]
    messages_after_sync: tuple[Message, ...]
    read_states: tuple[ReadState, ...]
    must_sync: bool
