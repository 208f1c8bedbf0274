"""The state of a member after it has applied an entry, so that members can be compared.

All members that have applied the same entry must have the same state, because the state depends
only on the entries of the log. If the states of two members differ, the members can answer the next
request differently.
"""

from __future__ import annotations

from typing import NamedTuple

from splitbrain.node.server import Server


class AppliedState(NamedTuple):
    """The parts of a member's state that can be compared quickly. Keys and values are left out."""

    revision: int
    compacted: int
    changes: int
    """The number of changes that are not compacted."""
    keys: int
    """The number of keys that exist."""
    leases: tuple[tuple[int, int, int, int], ...]
    """For each lease: its id, its time to live and its recorded remaining time (both in seconds),
    and its number of keys."""
    alarms: tuple[tuple[int, int], ...]
    auth: tuple[bool, int]
    """Whether authentication is enabled, and the auth revision."""
    members: tuple[tuple[int, bool], ...]
    """For each member of the cluster: its id, and whether it is a learner."""


def applied_state(server: Server) -> AppliedState:
    """Return the present state of the member `server`."""
    store, state = server.store, server._state
    leases = tuple(
        sorted((one.id, one.ttl_s, one.remaining_s, len(one.keys)) for one in store.leases.all())
    )
    record = state.membership.record_of_members
    return AppliedState(
        revision=store.revision,
        compacted=store.compacted_revision,
        changes=store.changes_count,
        keys=store.keys_count,
        leases=leases,
        alarms=tuple((one.member_id, one.alarm) for one in state.alarms.raised()),
        auth=(state.auth.enabled, state.auth.revision),
        members=tuple((one.id, one.id in record.conf_state.learners) for one in record.members),
    )


def difference(one: AppliedState, other: AppliedState) -> str:
    """Describe the first field that differs: `revision 7, and another member had 8`.

    Returns "" if the two states are equal.
    """
    for name, mine, its in zip(AppliedState._fields, one, other, strict=True):
        if mine != its:
            return f"{name} {_shown(mine, its)}, and another member had {_shown(its, mine)}"
    return ""


def _shown(part: object, other: object) -> str:
    """Return `part` as text. A tuple is reduced to the elements that `other` lacks."""
    if not isinstance(part, tuple) or not isinstance(other, tuple):
        return str(part)
    return str([element for element in part if element not in other])
