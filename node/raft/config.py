"""Defines the settings of a member's Raft. They are checked once and then frozen."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.node.raft.errors import ConfigInvalid
from splitbrain.node.raft.message import NONE, MemberId

MEMBER_ID_MAX: MemberId = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one member's Raft.

    `voters` is used for a new cluster. A restart from a snapshot uses the voters in the snapshot
    instead. A member that joins a cluster starts without voters, and gets the configuration from
    the leader. Times are in ticks. The owner of the `Raft` decides how long a tick is.

    Raises ConfigInvalid.
    """

    id: MemberId
    voters: tuple[MemberId, ...]
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    pre_vote: bool = True
    check_quorum: bool = True
    message_bytes_max: int = 512 * 1024
    """The maximal payload of one APP or PROP, in bytes. A larger entry gets its own message."""
    inflight_messages_max: int = 512
    """The maximal number of APPs that were sent to one follower and are not acknowledged yet."""
    inflight_bytes_max: int = 16 * 1024 * 1024
    uncommitted_bytes_max: int = 64 * 1024 * 1024
    """The maximal payload of the proposals of a leader that are not applied yet, in bytes."""
    committed_bytes_max: int = 4 * 1024 * 1024
    """The maximal payload of the committed entries in one Ready, in bytes."""
    pending_reads_max: int = 16 * 1024
    """The maximal number of reads that wait for a round of heartbeats. The leader drops further
    reads."""
    snapshot_ticks_max: int = 100
    """How many ticks the leader waits for the result of a snapshot.

    The snapshot is treated as lost if, within this time, the live follower does not acknowledge it
    and the transport does not report its result. The leader then probes the follower and can send
    another snapshot.
    """
    lease_based_reads: bool = False
    """Whether a leader answers reads at once, because check-quorum gives it a lease, as in
    etcd-io/raft.

    Such reads are not always linearizable. A leader notices the loss of its majority only at its
    next check, while other members may elect a leader after one election timeout. The clocks of all
    members must also run at nearly the same rate (thesis, 6.4.1). The member does not use this
    option.
    """
    step_down_on_removal: bool = True
    """Whether a leader steps down when it applies a change that removes or demotes it.

    A demoted leader is a learner afterwards.
    """
    validate_conf_changes: bool = True
    """Whether a leader refuses a change of the configuration that is not possible now.

    If this is False, the application must ensure that each change in the log is possible.
    """
    merge_messages: bool = True
    """Whether the messages of several inputs between two Readies are merged.

    Then one APP contains all new entries, one acknowledgement confirms all appends, and one round
    of heartbeats confirms all reads. Otherwise each input creates its messages immediately, as in
    etcd-io/raft.
    """
    snapshots_first: bool = False
    """For tests: makes snapshots frequent.

    A probed follower that lacks entries of the newest snapshot gets the snapshot, even if the
    leader's log still contains those entries.
    """

    def __post_init__(self) -> None:
        _check_members(self.id, self.voters)
        if self.heartbeat_ticks < 1:
            raise ConfigInvalid(f"heartbeat_ticks is {self.heartbeat_ticks}; expected at least 1")
        if self.election_ticks <= self.heartbeat_ticks:
            raise ConfigInvalid(
                f"election_ticks is {self.election_ticks}; expected more than heartbeat_ticks"
                f" ({self.heartbeat_ticks}), better ten times as much"
            )
        if self.lease_based_reads and not self.check_quorum:
            raise ConfigInvalid("lease_based_reads is True; expected check_quorum to be True, too")
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
    if len(set(voters)) != len(voters):
        raise ConfigInvalid(f"voters names a member twice: {voters}")
    for member in (own, *voters):
        if not NONE < member <= MEMBER_ID_MAX:
            raise ConfigInvalid(f"member id {member}; expected 1 to {MEMBER_ID_MAX}")
