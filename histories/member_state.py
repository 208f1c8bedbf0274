"""What one member held at the end of a run: its status and its change log.

Gathered by the harness when all is healed and quiet, kept as `<member>/state.json`
in the run's folder, and judged against the history.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Change(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One key changed at one revision, as a watch from revision 1 tells it.

    Changes of one transaction share `revision` and stand in the order of their
    sub-revisions.
    """

    revision: int
    kind: Literal["put", "delete"]
    key: str
    value: str = ""
    create_revision: int = 0
    version: int = 0
    lease: int = 0


class MemberState(msgspec.Struct, frozen=True, omit_defaults=True):
    """`changes` is complete from `first_revision` (1, or the compacted revision + 1) to `revision`.

    `hash` is HashKV at `hash_revision`, taken after the given `compact_revision`:
    comparable only between members with the same two. `error` says why the member
    could not be asked; then the rest means nothing.
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
    error: str | None = None
