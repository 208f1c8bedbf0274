"""Selects the member whose change log is the reference for a run."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.histories.member_state import MemberState


def readable(members: Sequence[MemberState]) -> list[MemberState]:
    """Return the members whose state could be read at the end of the run."""
    return [member for member in members if member.error is None]


def reference(members: Sequence[MemberState]) -> MemberState | None:
    """Return the member with the highest revision, or None if no member's state is known.

    Of several such members, returns the one with the longest change log.
    """
    known = readable(members)
    return min(known, key=lambda m: (-m.revision, m.first_revision)) if known else None
