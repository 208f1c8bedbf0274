"""The settings of a member's Raft, checked once and then frozen."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.node.raft.errors import ConfigInvalid
from splitbrain.node.raft.message import NONE, MemberId

MEMBER_ID_MAX: MemberId = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one member.

    `voters` is used for a new cluster. A restart from a snapshot uses the voters in the snapshot
    instead. Times are in ticks. The owner of the `Raft` decides how long a tick is.

    Raises ConfigInvalid.
    """

    id: MemberId
    voters: tuple[MemberId, ...]
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    pre_vote: bool = True
    check_quorum: bool = True
    message_bytes_max: int = 512 * 1024
    """Maximal payload of one APP or PROP. A larger entry is sent in a message by itself."""
    inflight_messages_max: int = 512
    """Maximal number of APPs that were sent to one follower and are not acknowledged yet."""
    inflight_bytes_max: int = 16 * 1024 * 1024
    uncommitted_bytes_max: int = 64 * 1024 * 1024
    """Maximal payload of the proposals that a leader has accepted and that are not yet applied."""
    committed_bytes_max: int = 4 * 1024 * 1024
    """Maximal payload of the committed entries in one Ready."""
    pending_reads_max: int = 16 * 1024
    """Maximal number of reads that wait for a round of heartbeats. The leader drops further
    reads."""
    snapshot_ticks_max: int = 100
    """A snapshot counts as lost if, for this time, a live follower does not acknowledge it and the
    transport does not report its result. The leader then probes the follower and can send another
    snapshot."""
    snapshots_first: bool = False
    """For tests, makes snapshots frequent: a probed follower that lacks entries of the newest
    snapshot gets the snapshot, even if the leader's log still contains those entries."""

    def __post_init__(self) -> None:
        _check_members(self.id, self.voters)
        if self.heartbeat_ticks < 1:
            raise ConfigInvalid(f"heartbeat_ticks is {self.heartbeat_ticks}; expected at least 1")
        if self.election_ticks <= self.heartbeat_ticks:
            raise ConfigInvalid(
                f"election_ticks is {self.election_ticks}; expected more than heartbeat_ticks"
                f" ({self.heartbeat_ticks}), better ten times as much"
            )
        for name in _LIMITS:
            if getattr(self, name) < 1:
                raise ConfigInvalid(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.inflight_bytes_max < self.message_bytes_max:
            raise ConfigInvalid(
                f"inflight_bytes_max is {self.inflight_bytes_max}; expected at least"
                f" message_bytes_max ({self.message_bytes_max})"
            )


_LIMITS = (
    "message_bytes_max",
    "inflight_messages_max",
    "inflight_bytes_max",
    "uncommitted_bytes_max",
    "committed_bytes_max",
    "pending_reads_max",
    "snapshot_ticks_max",
)


def _check_members(own: MemberId, voters: tuple[MemberId, ...]) -> None:
    if not voters:
        raise ConfigInvalid("voters is empty; expected at least one member")
    if len(set(voters)) != len(voters):
        raise ConfigInvalid(f"voters names a member twice: {voters}")
    for member in (own, *voters):
        if not NONE < member <= MEMBER_ID_MAX:
            raise ConfigInvalid(f"member id {member}; expected 1 to {MEMBER_ID_MAX}")
