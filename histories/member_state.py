"""Defines the state of one member at the end of a run: its status and its change log.

The harness reads the state when all faults are healed and the load has ended. It stores the state
in the run's folder as `<member>/state.json`. Checkers compare the state with the history.
"""

from __future__ import annotations

from typing import Generic, Literal

import msgspec

from splitbrain.histories.kv import KeyT


class Change(msgspec.Struct, Generic[KeyT], frozen=True, gc=False, omit_defaults=True):
    """A change of one key at one revision, as a watch from revision 1 reports it.

    Changes of one transaction have the same `revision`, and are in the order of their
    sub-revisions.
    """

    revision: int
    kind: Literal["put", "delete"]
    key: KeyT
    value: str = ""
    create_revision: int = 0
    version: int = 0
    lease: int = 0


class ListedMember(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An entry of a member list."""

    id: int
    peer_urls: tuple[str, ...] = ()
    is_learner: bool = False


class MemberState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The status of a member and its changes.

    `changes` is complete from `first_revision` (1, or the compacted revision + 1) to `revision`.
    `hash` is HashKV at `hash_revision` after a compaction at `compact_revision`; the hashes of two
    members are comparable only if the members agree in both of these revisions. If the member did
    not answer, `error` is the reason and the other fields have no meaning. `members` is the list of
    all members, as this member knows it; empty if the store has no such list.
    """

    member: str
    revision: int = 0
    first_revision: int = 1
    compact_revision: int = 0
    hash: int = 0
    hash_revision: int = 0
    member_id: int = 0
    leader_id: int = 0
    raft_term: int = 0
    raft_index: int = 0
    raft_applied_index: int = 0
    version: str = ""
    changes: tuple[Change, ...] = ()
    members: tuple[ListedMember, ...] = ()
    error: str | None = None
