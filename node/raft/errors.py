"""The errors that `Raft` raises to its owner. Messages of peers never cause them."""

from __future__ import annotations

from enum import Enum


class RaftError(Exception):
    """The base class of this package's errors."""


class ConfigInvalid(RaftError, ValueError):
    """A `Config` is invalid. The message contains the given and the expected value."""


class StateInvalid(RaftError, ValueError):
    """The state passed to `Raft(...)`, or a request to its log, is inconsistent.

    For example, the log has lost entries, or a snapshot is ahead of the applied index.
    """


class ConfChangeInvalid(RaftError, ValueError):
    """A change cannot be applied to a configuration. The message contains both."""


class DropReason(Enum):
    """The reason why a proposal was dropped."""

    NO_LEADER = "no leader"
    TOO_MUCH_UNCOMMITTED = "too much uncommitted"
    TRANSFERRING = "leadership is being transferred"
    REMOVED = "this member is not in the configuration"


class ProposalDropped(RaftError):
    """The proposal did not enter a log and never will, so it may be proposed again."""

    def __init__(self, why: DropReason) -> None:
        super().__init__(f"proposal dropped: {why.value}")
        self.why = why
