"""Defines the errors that `Raft` raises to its owner. Messages of peers never cause them."""

from __future__ import annotations

from enum import Enum


class RaftError(Exception):
    """The base class of this package's errors."""


class ConfigInvalid(RaftError, ValueError):
    """A `Config` is invalid. The message contains the given value and what is expected."""


class StateInvalid(RaftError, ValueError):
    """The state that was passed to `Raft(...)`, or a request about its log, is inconsistent.

    For example, the log has lost entries, or a snapshot is ahead of the applied index.
    """


class ConfChangeInvalid(RaftError, ValueError):
    """A change cannot be applied to a configuration.

    The message contains the change and the configuration.
    """


class DropReason(Enum):
    """The reason why a proposal was dropped."""

    NO_LEADER = "no leader"
    TOO_MUCH_UNCOMMITTED = "too much uncommitted"
    TRANSFERRING = "leadership is being transferred"
    REMOVED = "this member is not in the configuration"


class ProposalDropped(RaftError):
    """The proposal is not in any log and never will be, so it may be proposed again."""

    def __init__(self, why: DropReason) -> None:
        super().__init__(f"proposal dropped: {why.value}")
        self.why = why
