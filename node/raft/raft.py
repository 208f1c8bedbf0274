"""One member's Raft: a state machine without I/O, clock or tasks.

`tick`, `step`, `propose` and `read_index` move it; what must be persisted, sent and
applied as a result waits in `ready()` (see `splitbrain.node.raft.ready` for the contract), and
`advance` tells it that this was done. It may go on moving between the two.

What each role does with a message is in `follower`, `candidate` and `leader`, found
by the table below; votes and terms in `election`; appends and commits in
`replication`.

Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm";
Ongaro's thesis; etcd-io/raft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from splitbrain.node.raft import candidate, election, follower, leader, replication
from splitbrain.node.raft.config import Config
from splitbrain.node.raft.errors import DropReason, ProposalDropped, StateInvalid
from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import (
    NONE,
    ConfState,
    Entry,
    HardState,
    Index,
    MemberId,
    Message,
    MessageType,
    SnapshotMetadata,
    Term,
)
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.read_index import ReadIndex
from splitbrain.node.raft.ready import ReadState, Ready, Role, SoftState
from splitbrain.node.raft.status import ProgressStatus, Status
from splitbrain.node.raft.wellformed import is_well_formed

Handler = Callable[["Raft", Message], None]

_RUNNING: dict[MessageType, Handler] = {
    MessageType.APP: candidate.on_append,
    MessageType.HEARTBEAT: candidate.on_heartbeat,
    MessageType.SNAP: candidate.on_snapshot,
}

# What is not here is ignored in that role. Votes are the same in each (`election`).
# TIMEOUT_NOW comes with leadership transfer.
HANDLERS: dict[Role, dict[MessageType, Handler]] = {
    Role.FOLLOWER: {
        MessageType.PROP: follower.on_proposal,
        MessageType.APP: follower.on_append,
        MessageType.HEARTBEAT: follower.on_heartbeat,
        MessageType.SNAP: follower.on_snapshot,
        MessageType.READ_INDEX: follower.on_read_index,
        MessageType.READ_INDEX_RESP: follower.on_read_index_response,
    },
    Role.PRE_CANDIDATE: {**_RUNNING, MessageType.PRE_VOTE_RESP: candidate.on_pre_vote_response},
    Role.CANDIDATE: {**_RUNNING, MessageType.VOTE_RESP: candidate.on_vote_response},
    Role.LEADER: {
        MessageType.PROP: leader.on_proposal,
        MessageType.APP_RESP: leader.on_append_response,
        MessageType.HEARTBEAT_RESP: leader.on_heartbeat_response,
        MessageType.READ_INDEX: leader.on_read_index,
    },
}

# Bound here because an attribute of an enum class costs a look-up through its metaclass.
_LEADER = Role.LEADER
_VOTE = MessageType.VOTE
_PRE_VOTE = MessageType.PRE_VOTE


class Raft:
    """One member.

    A new member of a new cluster starts with `config.voters` and nothing else. A
    restart hands in what is durable: the hard state, the newest snapshot's metadata,
    the entries after it, and `applied`, up to where the state machine already is;
    committed entries after that are handed out again.

    Raises StateInvalid if these contradict each other.
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
    ) -> None:
        self.config = config
        self.id: MemberId = config.id
        self._random = random
        self.log = Log(snapshot, entries, hard_state.commit, applied)

        self.term: Term = hard_state.term
        self.vote: MemberId = hard_state.vote
        if self.log.last_term > self.term:
            # Entries of a term can be durable before the term itself if the disk was
            # stopped between the two; no vote was cast in it, or it would be durable.
            self.term = self.log.last_term
            self.vote = NONE
        self.role = Role.FOLLOWER
        self.leader: MemberId = NONE
        self.votes: dict[MemberId, bool] = {}
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = 0
        """In ticks, redrawn whenever the role or the term changes."""
        self.draw_election_timeout()

        # A leader's, until it is none any more.
        self.progress: dict[MemberId, Progress] = {}
        self.peers: tuple[Progress, ...] = ()
        """Progress of all but this member, by id."""
        self.reads = ReadIndex(self.id)
        self.postponed_reads: list[tuple[MemberId, bytes]] = []
        self.uncommitted_bytes = 0
        self.sends_due = False
        """Some follower has an append coming."""

        self.voters: tuple[MemberId, ...] = ()
        self.learners: tuple[MemberId, ...] = ()
        self.adopt_configuration(
            snapshot.conf_state if snapshot.conf_state.voters else ConfState(config.voters)
        )

        self.read_states: list[ReadState] = []
        self.contradiction: str | None = None
        self._forwards: list[Entry] = []
        self._messages: list[Message] = []
        self.messages_after_sync: list[Message] = []
        self._in_flight: Ready | None = None
        self.durable_hard_state = hard_state
        self._handed_hard_state = hard_state
        self._handed_leader: MemberId = NONE
        self._handed_role = Role.FOLLOWER

    # Inputs

    def tick(self) -> None:
        """Let one tick of the member's clock pass."""
        if self.role is _LEADER:
            leader.tick(self)
            return
        self.election_elapsed += 1
        if self.election_elapsed >= self.election_timeout:
            self.election_elapsed = 0
            election.campaign(self)

    def campaign(self) -> None:
        """Run for leader now, as if the election timeout had passed."""
        election.campaign(self)

    def step(self, message: Message) -> None:
        """Advance by one message from a peer.

        Never blocks and never fails for what a peer may send: what is stale,
        malformed or meant for another is dropped. What must be persisted, sent or
        applied as a result waits in `ready()`.

        Source: Raft paper, figure 2; terms as in etcd-io/raft.
        """
        if message.to != self.id or message.from_ == self.id or not is_well_formed(message):
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
        """Ask for `data` to be put into the log: done by a leader, forwarded by a follower.

        No answer but the committed entry itself, which may never come; proposing
        again may then commit it twice. Raises ProposalDropped if it certainly did not
        go anywhere.
        """
        if self.role is _LEADER:
            leader.propose(self, data)
        elif self.leader == NONE:
            raise ProposalDropped(DropReason.NO_LEADER)
        else:
            self.forward((Entry(0, 0, data=data),))

    def read_index(self, context: bytes) -> None:
        """Ask for an index from which a read is linearizable, once that is applied.

        It comes as a ReadState with the same `context`, or never (no leader, a lost
        message, a leader that steps down): the caller asks again after a while.
        """
        if self.role is _LEADER:
            leader.read_index(self, self.id, context)
        elif self.leader != NONE:
            self.send(Message(MessageType.READ_INDEX, self.leader, self.id, context=context))

    def report_unreachable(self, member: MemberId) -> None:
        """The transport lost its connection to a peer, or dropped a message to it."""
        if self.role is _LEADER:
            leader.on_unreachable(self, member)

    def report_snapshot(self, member: MemberId, ok: bool) -> None:
        """A SNAP to a peer was delivered, or failed. Nothing else goes to that peer until
        then, or until it acknowledges, or `snapshot_ticks_max` have passed."""
        if self.role is _LEADER:
            leader.on_snapshot_status(self, member, delivered=ok)

    # Outputs

    def has_ready(self) -> bool:
        """Whether `ready()` has something to say."""
        log = self.log
        hard = self._handed_hard_state
        return bool(
            self._messages
            or self.messages_after_sync
            or log.persisting < log.last_index
            or log.committed != hard.commit
            or self.sends_due
            or self.read_states
            or self.reads.round_due
            or log.has_unapplied
            or self._forwards
            or self.term != hard.term
            or self.vote != hard.vote
            or self.role is not self._handed_role
            or self.leader != self._handed_leader
            or log.has_unpersisted_snapshot
        )

    def ready(self) -> Ready:
        """Take everything that is to be done; `advance` must follow before the next."""
        assert self._in_flight is None, "ready() again before advance()"
        self._flush_due()
        log = self.log
        hard_state = self._new_hard_state()
        snapshot = log.take_snapshot()
        entries = log.take_unpersisted()
        ready = Ready(
            self._new_soft_state(),
            hard_state,
            entries,
            snapshot,
            log.take_unapplied(self.config.committed_bytes_max),
            tuple(self._messages),
            tuple(self.messages_after_sync),
            tuple(self.read_states),
            must_sync(self._handed_hard_state, hard_state, entries) or snapshot is not None,
        )
        if hard_state is not None:
            self._handed_hard_state = hard_state
        self._messages.clear()
        self.messages_after_sync.clear()
        self.read_states.clear()
        self._in_flight = ready
        return ready

    def advance(self, ready: Ready) -> None:
        """`ready` was persisted, sent and applied: only now does it count here."""
        assert ready is self._in_flight, "advance() of another Ready than the last"
        self._in_flight = None
        if ready.hard_state is not None:
            self.durable_hard_state = ready.hard_state
        if ready.snapshot is not None:
            self.log.snapshot_persisted(ready.snapshot)
        if ready.entries:
            self.log.persisted_to(ready.entries[-1].index)
        if ready.committed_entries:
            self._applied(ready.committed_entries)
        if self.role is _LEADER:
            replication.acknowledge_own_entries(self)
            leader.release_postponed_reads(self)
        elif self.role is Role.CANDIDATE:
            election.acknowledge_own_vote(self)

    def _applied(self, entries: tuple[Entry, ...]) -> None:
        self.log.applied_to(entries[-1].index)
        if self.uncommitted_bytes:
            size = sum([len(entry.data) for entry in entries])
            # Entries of earlier terms were not counted in.
            self.uncommitted_bytes = max(0, self.uncommitted_bytes - size)

    def _flush_due(self) -> None:
        """Turn what has gathered since the last Ready into messages."""
        if self._forwards:
            entries, self._forwards = self._forwards, []
            self._send_forwards(entries)
        if self.role is _LEADER:
            if self.reads.round_due:
                replication.broadcast_heartbeat(self)
            if self.sends_due:
                replication.send_due(self)

    def _send_forwards(self, entries: list[Entry]) -> None:
        """PROPs to who leads now, within the size of a message; lost if nobody does."""
        if self.leader == NONE:
            return
        if self.role is _LEADER:  # elected since
            leader.append_proposals(self, entries)
            return
        first, size = 0, 0
        for at, entry in enumerate(entries):
            if at > first and size + len(entry.data) > self.config.message_bytes_max:
                self._send_proposals(entries[first:at])
                first, size = at, 0
            size += len(entry.data)
        self._send_proposals(entries[first:])

    def _send_proposals(self, entries: list[Entry]) -> None:
        self.send(Message(MessageType.PROP, self.leader, self.id, entries=tuple(entries)))

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
        """Remember that the state machine was saved at `index`, which it has applied.

        Returns the metadata to keep with it. Raises StateInvalid where there is no
        such snapshot to take.
        """
        metadata = self.describe_snapshot(index)
        self.log.remember_snapshot(metadata)
        return metadata

    def describe_snapshot(self, index: Index) -> SnapshotMetadata:
        """Metadata of the state machine as it was at `index`, without remembering it:
        for the data of a SNAP that is newer than announced. Raises StateInvalid."""
        log = self.log
        if index == log.snapshot.index:
            return log.snapshot
        term = log.term_at(index)
        if not log.snapshot.index < index <= log.committed or term is None:
            raise StateInvalid(
                f"no snapshot can be at {index}: expected an index after the newest one"
                f" ({log.snapshot.index}) and up to what is committed ({log.committed})"
            )
        return SnapshotMetadata(index, term, ConfState(self.voters, self.learners))

    def compact(self, index: Index) -> None:
        """Discard the log up to `index`; followers that need it get a snapshot instead.

        Raises StateInvalid if the newest snapshot does not reach that far.
        """
        self.log.compact(index)

    # State

    def status(self) -> Status:
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
            progress=tuple(_progress_status(progress) for progress in self.progress.values()),
            contradiction=self.contradiction,
        )

    # For the roles' handlers

    def send(self, message: Message) -> None:
        """Send at once: the message rests on nothing that must be durable first."""
        self._messages.append(message)

    def send_after_sync(self, message: Message) -> None:
        """Send once everything up to now is durable: the message promises that it is."""
        self.messages_after_sync.append(message)

    def forward(self, entries: tuple[Entry, ...]) -> None:
        """Send proposals on to the leader, with the next Ready."""
        self._forwards.extend(entries)

    def append_own(self, data: bytes) -> None:
        """A leader's next entry."""
        self.log.append((Entry(self.term, self.log.last_index + 1, data=data),))
        self.sends_due = True

    def draw_election_timeout(self) -> None:
        """Between one and two times `election_ticks`, so that rivals seldom coincide."""
        ticks = self.config.election_ticks
        self.election_timeout = ticks + self._random.randrange(ticks)

    def reset_progress(self) -> None:
        """A new leader knows nothing of the others, and of itself what is durable."""
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
        """Reads that wait here will not be answered; their callers ask again."""
        self.progress = {}
        self.peers = ()
        self.sends_due = False
        self.uncommitted_bytes = 0
        self.reads = ReadIndex(self.id)
        self.postponed_reads = []

    def adopt_configuration(self, conf_state: ConfState) -> None:
        """Who votes from now on. (A change of it under way is a feature to come.)"""
        if conf_state.voters:
            self.voters = tuple(sorted(conf_state.voters))
            self.learners = tuple(sorted(conf_state.learners))

    def note_contradiction(self, what: str) -> None:
        """Keep the first sign that a peer and this member cannot both be right."""
        if self.contradiction is None:
            self.contradiction = what


def must_sync(before: HardState, hard_state: HardState | None, entries: tuple[Entry, ...]) -> bool:
    """Whether something new must be durable: entries, a term or a vote.

    Not a commit index: it can be learnt again. Source: Raft paper, figure 2.
    """
    if entries:
        return True
    return hard_state is not None and (hard_state.term, hard_state.vote) != (
        before.term,
        before.vote,
    )


def _progress_status(progress: Progress) -> ProgressStatus:
    return ProgressStatus(
        id=progress.id,
        match=progress.match,
        next=progress.next,
        state=progress.state,
        paused=progress.is_paused(),
        recent_active=progress.recent_active,
        pending_snapshot=progress.pending_snapshot,
        inflight_messages=len(progress.inflights),
        is_learner=progress.is_learner,
    )
