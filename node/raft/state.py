"""The mutable state of one member's Raft, and the primitives that change it.

`Raft` in `raft.py` adds the inputs and the outputs. The modules of the roles (`follower`,
`candidate`, `leader`) and of the protocol (`election`, `replication`) take a `RaftState`. They do
not import `Raft`, which imports them.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import (
    NONE,
    START,
    ConfState,
    Entry,
    HardState,
    Index,
    MemberId,
    Message,
    Position,
    SnapshotMetadata,
    Term,
)
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.read_index import ReadIndex
from splitbrain.node.raft.ready import ReadState, Role


class RaftState:
    """One member's term, vote, role and log. A leader also has the progress of all members.

    Raises StateInvalid if hard state, snapshot, entries and `applied` contradict each other.
    """

    def __init__(
        self,
        config: Config,
        random: Random,
        *,
        hard_state: HardState,
        snapshot: SnapshotMetadata,
        entries: Sequence[Entry],
        applied: Index,
        floor: Position,
    ) -> None:
        self.config = config
        self.id: MemberId = config.id
        self.random = random
        self.log = Log(snapshot, entries, hard_state.commit, applied)

        self.term: Term = hard_state.term
        self.vote: MemberId = hard_state.vote
        if self.log.last_term > self.term:
            # A crash between the two writes can leave entries of a term durable, but not
            # the term itself. This member cast no vote in that term: the vote would be
            # durable together with the term.
            self.term = self.log.last_term
            self.vote = NONE
        self.durable_hard_state = hard_state
        self.floor = floor
        """The position of the last entry that this member may have acknowledged and whose loss it
        has noticed; START if its log is complete. Until the log has reached this position again,
        this member does not campaign, and votes only for members whose logs have reached it."""
        self.role = Role.FOLLOWER
        self.leader: MemberId = NONE
        self.votes: dict[MemberId, bool] = {}
        """The votes that this candidate or pre-candidate received, by member."""
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = 0
        """In ticks. `election.draw_election_timeout` draws it at the start, and again when the
        role or the term changes."""

        # The fields of this group are used only while this member is leader.
        self.progress: dict[MemberId, Progress] = {}
        self.peers: tuple[Progress, ...] = ()
        """The progress of all members except this one, in the order of their ids."""
        self.reads = ReadIndex(self.id)
        self.postponed_reads: list[tuple[MemberId, bytes]] = []
        """Origin and context of the reads that wait for the first commit of this term."""
        self.uncommitted_bytes = 0
        """Payload of the proposals of this term that are not applied yet."""
        self.sends_due = False
        """Whether an append is due for at least one follower."""

        self.voters: tuple[MemberId, ...] = ()
        self.learners: tuple[MemberId, ...] = ()
        self.adopt_configuration(
            snapshot.conf_state if snapshot.conf_state.voters else ConfState(config.voters)
        )

        # The outputs that the next Ready contains.
        self.messages: list[Message] = []
        self.messages_after_sync: list[Message] = []
        self.forwards: list[Entry] = []
        """Proposals to forward to the leader."""
        self.read_states: list[ReadState] = []
        self.contradiction: str | None = None
        """A description of the first message that contradicted this member's committed entries."""

    @property
    def recovering(self) -> bool:
        """Whether the log lacks entries that this member may have acknowledged."""
        return self.floor > START

    # Output

    def send(self, message: Message) -> None:
        """Send a message that does not depend on state that is not durable yet."""
        self.messages.append(message)

    def send_after_sync(self, message: Message) -> None:
        """Send a message that depends on the current state, after this state is durable."""
        self.messages_after_sync.append(message)

    def forward(self, entries: tuple[Entry, ...]) -> None:
        """Forward proposals to the leader with the next Ready."""
        self.forwards.extend(entries)

    def note_contradiction(self, description: str) -> None:
        """Record that a peer's message contradicts this member. Only the first one is kept."""
        if self.contradiction is None:
            self.contradiction = description

    # Log

    def append_own(self, data: bytes) -> None:
        """Append the next entry of this leader to its log."""
        self.log.append((Entry(self.term, self.log.last_index + 1, data=data),))
        self.sends_due = True

    # Leadership and configuration

    def reset_progress(self) -> None:
        """Reset the progress of all members at the start of a leadership.

        The followers' logs are unknown. The `match` of this member is its durable index.
        """
        config = self.config
        self.progress = {
            member: Progress(
                member,
                self.log.last_index + 1,
                Inflights(config.inflight_messages_max, config.inflight_bytes_max),
                is_learner=member in self.learners,
            )
            for member in sorted(self.voters + self.learners)
        }
        self.peers = tuple(p for member, p in self.progress.items() if member != self.id)
        own = self.progress.get(self.id)
        if own is not None:
            own.state = ProgressState.REPLICATE
            own.recent_active = True
            own.acknowledge(self.log.durable)

    def forget_leadership(self) -> None:
        """Clear the leader's fields.

        Reads that wait at this leader get no answer, and their callers ask again.
        """
        self.progress = {}
        self.peers = ()
        self.sends_due = False
        self.uncommitted_bytes = 0
        self.reads = ReadIndex(self.id)
        self.postponed_reads = []

    def adopt_configuration(self, conf_state: ConfState) -> None:
        """Use the voters and learners of `conf_state`.

        Membership change is not implemented. The configuration is therefore adopted only at the
        start of the member, and when the member restores a snapshot from a leader.
        """
        if conf_state.voters:
            self.voters = tuple(sorted(conf_state.voters))
            self.learners = tuple(sorted(conf_state.learners))
