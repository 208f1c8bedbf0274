"""The member whose change log is the reference for a run."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.histories.member_state import MemberState


def readable(members: Sequence[MemberState]) -> list[MemberState]:
    return [member for member in members if member.error is None]


def reference(members: Sequence[MemberState]) -> MemberState | None:
    """The member that knows most: the highest revision, then the longest change log."""
    asked = readable(members)
    return min(asked, key=lambda m: (-m.revision, m.first_revision)) if asked else None
