"""What can go wrong between a `Raft` and its owner. Peers cannot cause any of these."""

from __future__ import annotations

from enum import Enum


class RaftError(Exception):
    """The root of this package's errors."""


class ConfigInvalid(RaftError, ValueError):
    """A `Config` that no member can run with: what was given, what was expected."""


class StateInvalid(RaftError, ValueError):
    """What was handed to `Raft(...)`, or asked of its log, contradicts itself: a log
    that lost entries, a snapshot ahead of what is applied."""


class DropReason(Enum):
    NO_LEADER = "no leader"
    TOO_MUCH_UNCOMMITTED = "too much uncommitted"
    TRANSFERRING = "leadership is being transferred"  # comes with leadership transfer


class ProposalDropped(RaftError):
    """The proposal did not enter any log, and never will: it may be proposed again."""

    def __init__(self, why: DropReason) -> None:
        super().__init__(f"proposal dropped: {why.value}")
        self.why = why
