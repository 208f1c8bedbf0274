"""Implements one member's Raft: a state machine without I/O, clock or tasks.

The inputs are `tick`, `step`, `propose`, `read_index` and the reports of the transport. `ready()`
returns everything that must be persisted, sent and applied as a result
(`splitbrain.node.raft.ready` defines the order of this work). `advance` reports that the work was
done. Between `ready` and `advance`, further inputs may arrive.

The modules `follower`, `candidate` and `leader` handle the messages of each role. The table
`HANDLERS` selects the handler. `election` handles votes and terms, `replication` handles appends,
`commit` determines the commit index, `forwarding` sends proposals on to the leader, and
`raft_state` contains the fields that all of them change.

Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"; Ongaro's
thesis; etcd-io/raft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from splitbrain.node.raft import (
    apply_confchange,
    candidate,
    commit,
    confchange,
    election,
    follower,
    forwarding,
    leader,
    replication,
)
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.config import Config
from splitbrain.node.raft.errors import StateInvalid
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
)
from splitbrain.node.raft.message_check import is_well_formed
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Ready, Role, SoftState
from splitbrain.node.raft.status import Status, progress_status

Handler = Callable[[RaftState, Message], None]

_CAMPAIGNING: dict[MessageType, Handler] = {
    MessageType.APP: candidate.on_append,
    MessageType.HEARTBEAT: candidate.on_heartbeat,
    MessageType.SNAP: candidate.on_snapshot,
}

# A role ignores the message types that its table does not contain. Vote requests are not in the
# tables, because `election` handles them in the same way for each role.
HANDLERS: dict[Role, dict[MessageType, Handler]] = {
    Role.FOLLOWER: {
        MessageType.PROP: forwarding.on_proposal,
        MessageType.APP: follower.on_append,
        MessageType.HEARTBEAT: follower.on_heartbeat,
        MessageType.SNAP: follower.on_snapshot,
        MessageType.READ_INDEX: forwarding.on_read_index,
        MessageType.READ_INDEX_RESP: follower.on_read_index_response,
        MessageType.TIMEOUT_NOW: election.on_timeout_now,
        MessageType.TRANSFER_LEADER: follower.on_transfer,
    },
    Role.PRE_CANDIDATE: {**_CAMPAIGNING, MessageType.PRE_VOTE_RESP: candidate.on_pre_vote_response},
    Role.CANDIDATE: {**_CAMPAIGNING, MessageType.VOTE_RESP: candidate.on_vote_response},
    Role.LEADER: {
        MessageType.PROP: leader.on_proposal,
        MessageType.APP_RESP: leader.on_append_response,
        MessageType.HEARTBEAT_RESP: leader.on_heartbeat_response,
        MessageType.READ_INDEX: leader.on_read_index,
        MessageType.TRANSFER_LEADER: leader.on_transfer,
    },
}

# A constant of the module is faster than an attribute of an enum class.
_LEADER, _CANDIDATE = Role.LEADER, Role.CANDIDATE
_VOTE = MessageType.VOTE
_PRE_VOTE = MessageType.PRE_VOTE
_OWN = frozenset({MessageType.APP_RESP, MessageType.VOTE_RESP, MessageType.PRE_VOTE_RESP})
"""The types of messages that a member sends to itself if it does not merge messages."""


class Raft(RaftState):
    """The Raft state machine of one member.

    A member of a new cluster starts with `config.voters` and no other state. At a restart, the
    caller passes the durable state: the hard state, the metadata of the newest snapshot, the
    entries after it, and `applied`, the index up to which the state machine has applied entries.
    Raft hands out the committed entries after `applied` again.

    A member whose disk has lost a part of its log starts with the rest, and gets the lost entries
    from the leader. Its hard state must then have a higher term than all messages that it can have
    sent. `floor` is the position of the last entry that it may have acknowledged. If the log is
    complete, `floor` is START.

    `conf_state` is the configuration at `applied`. If it is None, no entry between the snapshot and
    `applied` has changed the configuration.

    Raises StateInvalid if the arguments contradict each other.
    """

    def __init__(
        self,
        config: Config,
        random: Random,
        *,
        hard_state: HardState = HardState(),  # noqa: B008  (frozen)
        snapshot: SnapshotMetadata = SnapshotMetadata(),  # noqa: B008  (frozen)
        entries: Sequence[Entry] = (),
        applied: Index = 0,
        floor: Position = START,
        conf_state: ConfState | None = None,
    ) -> None:
        super().__init__(
            config,
            random,
            hard_state=hard_state,
            snapshot=snapshot,
            entries=entries,
            applied=applied,
            floor=floor,
            conf_state=conf_state,
        )
        election.draw_election_timeout(self)
        self._in_flight: Ready | None = None
        """The last Ready, if `advance` was not called for it yet."""
        self._handed_hard_state = hard_state
        self._handed_leader: MemberId = NONE
        self._handed_role = Role.FOLLOWER
        self._own_messages: tuple[Message, ...] = ()
        """The messages to this member itself. They are handled when the last Ready is durable."""

    # Inputs

    def tick(self) -> None:
        """Advance the member's clock by one tick. This can start an election or send heartbeats."""
        if self.role is _LEADER:
            leader.tick(self)
            return
        self.election_elapsed += 1
        if self.election_elapsed >= self.election_timeout and election.is_promotable(self):
            self.election_elapsed = 0
            election.campaign(self)

    def campaign(self) -> None:
        """Campaign now, as if the election timeout had passed."""
        election.campaign(self)

    def step(self, message: Message) -> None:
        """Process one message from a peer. The results are in the next `ready()`.

        Never blocks, and never raises because of a peer's message. A message that is stale,
        malformed or addressed to another member is dropped.

        Source: Raft paper, figure 2; terms as in etcd-io/raft.
        """
        if message.to != self.id or not is_well_formed(message):
            return
        if message.from_ == self.id and (self.merging or message.type not in _OWN):
            return
        term = message.term
        if term > self.term:
            if not election.accept_higher_term(self, message):
                return
        elif 0 < term < self.term:
            election.answer_lower_term(self, message)
            return
        kind = message.type
        if kind is _VOTE or kind is _PRE_VOTE:
            election.on_vote_request(self, message)
            return
        handler = HANDLERS[self.role].get(kind)
        if handler is not None:
            handler(self, message)

    def propose(self, data: bytes) -> None:
        """Append `data` to the log if this member is leader. Otherwise forward it to the leader.

        Only the committed entry itself confirms the proposal, and this entry may never appear. A
        caller that proposes the data again must expect that the data is committed twice. Raises
        ProposalDropped if the proposal is certainly not in a log and was not forwarded.
        """
        if self.role is _LEADER:
            leader.propose(self, data)
        else:
            self._forward(Entry(0, 0, data=data))

    def propose_conf_change(self, change: ConfChange, *, simple: bool = False) -> None:
        """Propose a change of the configuration, in the same way as `propose` proposes data.

        With `simple`, the entry is of etcd-io/raft's older kind, which contains exactly one change.
        The leader accepts a change only if it has applied all earlier ones; otherwise it appends an
        empty entry instead. Raises ProposalDropped.
        """
        kind = EntryType.CONF_CHANGE if simple else EntryType.CONF_CHANGE_V2
        data = confchange.encode(change)
        if self.role is _LEADER:
            leader.propose_conf_change(self, kind, data)
        else:
            self._forward(Entry(0, 0, kind, data))

    def _forward(self, entry: Entry) -> None:
        forwarding.forward_to_leader(self, entry)
        if not self.merging:
            self._flush_due()

    def apply_conf_change(self, change: ConfChange, index: Index) -> ConfState:
        """Put a committed change into effect, and return the new configuration.

        The owner calls this method when it applies the entry `index`, which contains `change`.
        Raises ConfChangeInvalid if the change is not possible. The configuration is then unchanged.
        """
        return apply_confchange.apply(self, change, index)

    def conf_change_refusal(self, change: ConfChange) -> str:
        """Return the reason why this member, as leader, would refuse `change` now, or ""."""
        return apply_confchange.refusal(self, change)

    def transfer_leadership(self, to: MemberId) -> None:
        """Ask the leader to transfer its leadership to the voter `to`.

        The transfer can fail without a report. The caller finds out by watching who is leader.
        """
        if self.role is _LEADER:
            leader.transfer(self, to)
        elif self.role is Role.FOLLOWER:
            follower.transfer(self, to)

    def forget_leader(self) -> None:
        """Make a follower forget its leader until a leader contacts it again.

        In the meantime, the follower grants votes that it would otherwise refuse because of
        check-quorum.
        """
        if self.role is Role.FOLLOWER:
            follower.forget_leader(self)

    def read_index(self, context: bytes) -> None:
        """Request the index that must be applied before a read is linearizable.

        A later Ready contains a ReadState with the same `context`. No ReadState follows if there is
        no leader, if a message is lost, or if the leader steps down. The caller must then ask again
        after a timeout.
        """
        if self.role is _LEADER:
            leader.read_index(self, self.id, context)
        elif self.leader != NONE:
            self.send(Message(MessageType.READ_INDEX, self.leader, self.id, context=context))

    def report_unreachable(self, member: MemberId) -> None:
        """Report that the transport lost its connection to a peer, or dropped a message to it."""
        if self.role is _LEADER:
            leader.on_unreachable(self, member)

    def report_snapshot(self, member: MemberId, ok: bool) -> None:
        """Report that a SNAP to a peer was delivered (`ok`) or failed.

        The leader sends no appends to this peer until one of three events: this report, the peer's
        acknowledgement of the snapshot, or the end of `snapshot_ticks_max` ticks.
        """
        if self.role is _LEADER:
            leader.on_snapshot_status(self, member, delivered=ok)

    # Outputs

    def has_ready(self) -> bool:
        """Return whether `ready()` would contain anything new."""
        log, hard = self.log, self._handed_hard_state
        return bool(
            self.messages
            or self.messages_after_sync
            or log.persisting < log.last_index
            or log.committed != hard.commit
            or self.sends_due
            or self.read_states
            or self.reads.round_due
            or (log.applying < log.committed and log.has_unapplied)
            or self.forwards
            or self.term != hard.term
            or self.vote != hard.vote
            or self.role is not self._handed_role
            or self.leader != self._handed_leader
            or (log.pending_snapshot is not None and log.has_unpersisted_snapshot)
        )

    def ready(self) -> Ready:
        """Return everything that must be done now.

        Before the next call, `advance` must be called.
        """
        assert self._in_flight is None, "ready() was called twice without advance()"
        self._flush_due()
        if not self.merging:
            self._keep_own_messages()
        return self._take_ready(self.config.committed_bytes_max)

    def _take_ready(self, committed_bytes_max: int) -> Ready:
        log = self.log
        hard_state = self._new_hard_state()
        snapshot = log.take_snapshot()
        entries = log.take_unpersisted()
        ready = Ready(
            self._new_soft_state(),
            hard_state,
            entries,
            snapshot,
            log.take_unapplied(committed_bytes_max),
            tuple(self.messages),
            tuple(self.messages_after_sync),
            tuple(self.read_states),
            must_sync(self._handed_hard_state, hard_state, entries) or snapshot is not None,
        )
        if hard_state is not None:
            self._handed_hard_state = hard_state
        self.messages.clear()
        self.messages_after_sync.clear()
        self.read_states.clear()
        self._in_flight = ready
        return ready

    def advance(self, ready: Ready) -> None:
        """Report that the work in `ready` is done: it was persisted, sent and applied.

        Before this call, Raft does not treat the entries of `ready` as durable or applied.
        """
        assert ready is self._in_flight, "advance() got a Ready that is not the last one"
        self._in_flight = None
        for message in self._own_messages:
            self.step(message)
        if ready.hard_state is not None:
            self.durable_hard_state = ready.hard_state
        if ready.snapshot is not None:
            self.log.snapshot_persisted(ready.snapshot)
        if ready.entries:
            self.log.persisted_to(ready.entries[-1].index)
        if ready.committed_entries:
            self._applied(ready.committed_entries)
        if self.recovering and self.log.durable_end >= self.floor:
            self.floor = START
        if self.role is _LEADER:
            if self.merging:
                commit.acknowledge_own_entries(self)
            leader.release_postponed_reads(self)
        elif self.role is _CANDIDATE and self.merging:
            election.acknowledge_own_vote(self)

    def _applied(self, entries: tuple[Entry, ...]) -> None:
        self.log.applied_to(entries[-1].index)
        if self.uncommitted_bytes:
            size = sum([len(entry.data) for entry in entries])
            # Entries of earlier terms are not counted in `uncommitted_bytes`.
            self.uncommitted_bytes = max(0, self.uncommitted_bytes - size)
        self._leave_joint_when_due()

    def _leave_joint_when_due(self) -> None:
        if self.conf_state.auto_leave and self.role is _LEADER:
            leader.leave_joint_when_due(self)

    def _keep_own_messages(self) -> None:
        messages = self.messages_after_sync
        self._own_messages = tuple(one for one in messages if one.to == self.id)
        self.messages_after_sync = [one for one in messages if one.to != self.id]

    def _flush_due(self) -> None:
        """Create the messages that have become due since the last Ready."""
        if self.forwards:
            entries, self.forwards = self.forwards, []
            forwarding.send_forwards(self, entries)
        if self.role is _LEADER:
            if self.reads.round_due:
                replication.broadcast_heartbeat(self)
            if self.sends_due:
                replication.send_due(self)

    def _new_soft_state(self) -> SoftState | None:
        if self.role is self._handed_role and self.leader == self._handed_leader:
            return None
        self._handed_role = self.role
        self._handed_leader = self.leader
        return SoftState(self.leader, self.role)

    def _new_hard_state(self) -> HardState | None:
        last = self._handed_hard_state
        commit = self.log.committed
        if commit == last.commit and self.term == last.term and self.vote == last.vote:
            return None
        assert commit >= last.commit, f"commit falls from {last.commit} to {commit}"
        return HardState(self.term, self.vote, commit)

    # Snapshots and compaction

    def create_snapshot(self, index: Index) -> SnapshotMetadata:
        """Record that the state machine was saved at `index`, which must be an applied index.

        Returns the metadata to store with the snapshot. Raises StateInvalid if no snapshot is
        possible at `index`.
        """
        metadata = self.describe_snapshot(index)
        self.log.remember_snapshot(metadata)
        self.forget_configurations(metadata.index)
        return metadata

    def describe_snapshot(self, index: Index) -> SnapshotMetadata:
        """Return the metadata of a snapshot at `index` without recording the snapshot.

        A SNAP from Raft contains the metadata of the newest recorded snapshot, and no data. The
        caller adds the present data, which may be newer than this snapshot. In this case, the
        caller also replaces the metadata in the SNAP by the result of this method.

        Raises StateInvalid if `index` is before the newest snapshot or after the commit index.
        """
        log = self.log
        if index == log.snapshot.index:
            return log.snapshot
        term = log.term_at(index)
        if not log.snapshot.index < index <= log.committed or term is None:
            raise StateInvalid(
                f"no snapshot is possible at index {index}: expected an index after the newest"
                f" snapshot ({log.snapshot.index}) and at most the commit index ({log.committed})"
            )
        return SnapshotMetadata(index, term, self.configuration_at(index))

    def compact(self, index: Index) -> None:
        """Discard the log up to `index`. Followers that need the discarded entries get a snapshot.

        Raises StateInvalid if the newest snapshot or the applied index is before `index`.
        """
        self.log.compact(index)

    # State

    def status(self) -> Status:
        """Return a copy of the state for metrics, logs and tests."""
        log = self.log
        return Status(
            id=self.id,
            role=self.role,
            leader=self.leader,
            term=self.term,
            vote=self.vote,
            commit=log.committed,
            applied=log.applied,
            first_index=log.first_index,
            last_index=log.last_index,
            last_term=log.last_term,
            durable_index=log.durable,
            snapshot_index=log.snapshot.index,
            voters=self.voters,
            conf_state=self.conf_state,
            transferee=self.transferee,
            progress=tuple(progress_status(progress) for progress in self.progress.values()),
            contradiction=self.contradiction,
        )


def must_sync(before: HardState, hard_state: HardState | None, entries: tuple[Entry, ...]) -> bool:
    """Return whether a Ready needs a sync: it does for new entries, a new term or a new vote.

    A new commit index alone needs no sync, because a member can learn it again. Source: Raft paper,
    figure 2.
    """
    if entries:
        return True
    return hard_state is not None and (hard_state.term, hard_state.vote) != (
        before.term,
        before.vote,
    )
