"""What a `Raft` hands out: all that must be persisted, sent and applied.

The owner of a `Raft` handles one `Ready` at a time, in this order:

1. A leader's `messages` that are marked as safe (APP, HEARTBEAT, SNAP …: all in
   `messages`) may leave at once, in parallel with its own disk write (Ongaro's
   thesis, 10.2.1).
2. Persist `snapshot`, `entries` and `hard_state`; sync if `must_sync`.
3. Send `messages_after_sync`: votes, append responses, anything that promises what
   was just persisted.
4. Hand `committed_entries` to the state machine; answer `read_states` once it has
   applied up to their index.
5. `raft.advance(ready)`. Only this makes the member count its own log as durable.

Source: etcd-io/raft, `Ready` and `Advance`.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from splitbrain.node.raft.message import Entry, HardState, Index, MemberId, Message, Snapshot


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class SoftState(msgspec.Struct, frozen=True, gc=False):
    """Volatile: who leads, and what this member is."""

    leader: MemberId
    role: Role


class ReadState(msgspec.Struct, frozen=True, gc=False):
    """A read asked for by `read_index(context)` may be served once `index` is applied."""

    index: Index
    context: bytes


class Ready(msgspec.Struct, frozen=True, gc=False):
    """None and empty mean "nothing new"."""

    soft_state: SoftState | None
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    committed_entries: tuple[Entry, ...]
    messages: tuple[Message, ...]
    messages_after_sync: tuple[Message, ...]
    read_states: tuple[ReadState, ...]
    must_sync: bool
