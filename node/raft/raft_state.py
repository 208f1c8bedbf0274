"""Contains the mutable state of one member's Raft, and the basic functions that change it.

`Raft` in `raft.py` adds the inputs and the outputs. The modules of the roles (`follower`,
`candidate`, `leader`) and of the protocol (`election`, `replication`) contain functions of a
`RaftState`. `raft.py` imports these modules, so they cannot import `Raft`.
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
    EntryType,
    HardState,
    Index,
    MemberId,
    Message,
    MessageType,
    Position,
    SnapshotMetadata,
    Term,
)
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.read_index import ReadIndex
from splitbrain.node.raft.ready import ReadState, Role


class RaftState:
    """One member's term, vote, role and log.

    On a leader, it also contains all members' progress. Raises StateInvalid if hard state,
    snapshot, entries and `applied` contradict each other.
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
        conf_state: ConfState | None,
    ) -> None:
        self.config = config
        self.merging = config.merge_messages
        self.id: MemberId = config.id
        self.random = random
        self.log = Log(snapshot, entries, hard_state.commit, applied)

        self.term: Term = hard_state.term
        self.vote: MemberId = hard_state.vote
        if self.log.last_term > self.term:
            # A crash between the two writes can leave entries of a term durable without the term
            # itself. This member cannot have voted in that term, because the vote would be durable
            # together with the term.
            self.term = self.log.last_term
            self.vote = NONE
        self.durable_hard_state = hard_state
        self.floor = floor
        """The position of the last entry that this member may have acknowledged and then lost, or
        START if its log is complete. Until the log has reached this position again, this member
        does not campaign, and votes only for members whose logs have reached it."""
        self.role = Role.FOLLOWER
        self.leader: MemberId = NONE
        self.votes: dict[MemberId, bool] = {}
        """The votes for this candidate or pre-candidate: whether each member granted it."""
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = 0
        """The election timeout in ticks. `election.draw_election_timeout` draws it at the start,
        and again when the role or the term changes."""

        self.configurations: list[tuple[Index, ConfState]] = []
        """The configurations since the newest snapshot. Each has the index of the entry from which
        on it is valid."""
        self.conf_state = ConfState()
        self.voters: tuple[MemberId, ...] = ()
        """The voters. In a joint configuration, the incoming voters."""
        self.voters_outgoing: tuple[MemberId, ...] = ()
        self.learners: tuple[MemberId, ...] = ()
        if conf_state is None:
            stored = snapshot.conf_state
            conf_state = stored if stored.voters else ConfState(tuple(sorted(config.voters)))
        self.adopt_configuration(conf_state, max(applied, snapshot.index))

        self._create_leader_fields()
        self._begin_outputs()

    def _create_leader_fields(self) -> None:
        """Create the fields that are used only while this member is leader."""
        self.progress: dict[MemberId, Progress] = {}
        self.peers: tuple[Progress, ...] = ()
        """The progress of all other members, in the order of their ids."""
        self.reads = ReadIndex(self.id)
        self.postponed_reads: list[tuple[MemberId, bytes]] = []
        """The origin and context of the reads that wait for the first commit of this term."""
        self.uncommitted_bytes = 0
        """The payload in bytes of the proposals of this term that are not applied yet."""
        self.sends_due = False
        """Whether an append is due for at least one follower."""

        self.transferee: MemberId = NONE
        """The member to which this leader is transferring the leadership, or NONE."""
        self.pending_conf_index: Index = 0
        """The index of an entry at or after the latest change of the configuration in the log. This
        leader accepts no further change until it has applied the entry."""

    def _begin_outputs(self) -> None:
        """Create the empty lists of outputs for the next Ready."""
        self.messages: list[Message] = []
        self.messages_after_sync: list[Message] = []
        self.forwards: list[Entry] = []
        """Proposals to forward to the leader."""
        self.read_states: list[ReadState] = []
        self.proposals_dropped = 0
        """The number of forwarded proposals that this leader has dropped."""
        self.contradiction: str | None = None
        """A description of the first message that contradicted this member's committed entries."""

    @property
    def recovering(self) -> bool:
        """Whether the log lacks entries that this member may have acknowledged."""
        return self.floor > START

    # Output

    def send(self, message: Message) -> None:
        """Send a message that does not depend on unsynced state."""
        self.messages.append(message)

    def send_after_sync(self, message: Message) -> None:
        """Send a message that depends on the current state, when this state is durable."""
        self.messages_after_sync.append(message)

    def forward(self, entries: tuple[Entry, ...]) -> None:
        """Forward proposals to the leader with the next Ready."""
        self.forwards.extend(entries)

    def note_contradiction(self, description: str) -> None:
        """Record that a peer's message contradicts this member's log.

        Only the first one is recorded.
        """
        if self.contradiction is None:
            self.contradiction = description

    # Log

    def append_own(self, data: bytes, kind: EntryType = EntryType.NORMAL) -> None:
        """Append one entry of this leader to its log."""
        index = self.log.last_index + 1
        self.log.append((Entry(self.term, index, kind, data),))
        self.sends_due = self.merging
        if not self.merging:
            acknowledgement = Message(
                MessageType.APP_RESP, self.id, self.id, self.term, index=index
            )
            self.send_to_self(acknowledgement)

    def send_to_self(self, message: Message) -> None:
        """Send a message to this member itself. It is handled when the current state is durable."""
        self.messages_after_sync.append(message)

    # Leadership and configuration

    def reset_progress(self) -> None:
        """Reset the progress of all members when this member becomes leader.

        The followers' logs are unknown. The `match` of this member is its durable index.
        """
        next_index = self.log.last_index + 1
        self.set_progress({m: self.new_progress(m, next_index) for m in self.conf_state.members})
        own = self.progress.get(self.id)
        if own is not None:
            own.state = ProgressState.REPLICATE
            own.recent_active = True
            own.acknowledge(self.log.durable if self.merging else self.log.last_index)

    def new_progress(self, member: MemberId, next_index: Index) -> Progress:
        """Return the progress of a member about whose log nothing is known.

        `next_index` is the index of the first entry to send.
        """
        config = self.config
        return Progress(
            member,
            next_index,
            Inflights(config.inflight_messages_max, config.inflight_bytes_max),
            is_learner=member in self.learners,
        )

    def set_progress(self, progress: dict[MemberId, Progress]) -> None:
        """Replace the progress of all members. `progress` is in the order of their ids."""
        self.progress = progress
        self.peers = tuple(one for member, one in progress.items() if member != self.id)

    def forget_leadership(self) -> None:
        """Clear the fields that only a leader uses.

        Reads that wait at this leader get no answer, and their callers ask again.
        """
        self.progress = {}
        self.peers = ()
        self.sends_due = False
        self.uncommitted_bytes = 0
        self.reads = ReadIndex(self.id)
        self.postponed_reads = []
        self.transferee = NONE
        self.pending_conf_index = 0

    def adopt_configuration(self, conf_state: ConfState, index: Index) -> None:
        """Use the configuration `conf_state`, which is valid from the applied entry `index` on."""
        self.conf_state = conf_state
        self.voters = conf_state.voters
        self.voters_outgoing = conf_state.voters_outgoing
        self.learners = conf_state.learners
        self.configurations.append((index, conf_state))

    def forget_configurations(self, index: Index) -> None:
        """Forget all configurations before the one that is valid after the entry `index`."""
        known = self.configurations
        while len(known) > 1 and known[1][0] <= index:
            del known[0]

    def configuration_at(self, index: Index) -> ConfState:
        """Return the configuration that is valid after the entry `index` is applied.

        `index` is not before the newest recorded snapshot.
        """
        for since, conf_state in reversed(self.configurations):
            if since <= index:
                return conf_state
        return self.configurations[0][1]
