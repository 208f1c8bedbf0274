"""Who leads: terms, votes, and the four roles.

Source: Raft paper, 5.2 and 5.4.1; thesis, 9.6 (pre-vote) and 6.2 (check-quorum and
the lease that it gives); details of terms as in etcd-io/raft.
"""

from __future__ import annotations

from splitbrain.node.raft import quorum
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import NONE, Index, MemberId, Message, MessageType, Term
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft.state import RaftState

TRANSFER = b"transfer"
"""Context of a VOTE that the leader itself asked for: its lease does not hold it up."""

_FROM_A_LEADER = frozenset({MessageType.APP, MessageType.HEARTBEAT, MessageType.SNAP})
_VOTE_REQUESTS = frozenset({MessageType.VOTE, MessageType.PRE_VOTE})


# Terms


def accept_higher_term(raft: RaftState, message: Message) -> bool:
    """Follow a message into its higher term; False if the message is to be ignored."""
    if message.type in _VOTE_REQUESTS:
        if in_leader_lease(raft) and not is_transfer(message):
            return False
        if message.type is MessageType.PRE_VOTE:
            return True  # an intention only: nobody's term changes yet
    if message.type is MessageType.PRE_VOTE_RESP and not message.reject:
        return True  # granted for the term that we would enter
    leader = message.from_ if message.type in _FROM_A_LEADER else NONE
    become_follower(raft, message.term, leader)
    return True


def answer_lower_term(raft: RaftState, message: Message) -> None:
    """Let a laggard know of our term where silence could keep it, or us, out for good.

    A member that came back with a higher term from a partition ignores the old
    leader, which ignores its votes while it has a lease: telling the leader our
    term makes it step down. A pre-candidate in an older term, from before pre-vote
    was on, would ask for ever. Anything else old is dropped.
    """
    guarded = raft.config.check_quorum or raft.config.pre_vote
    if guarded and message.type in (MessageType.APP, MessageType.HEARTBEAT):
        raft.send_after_sync(Message(MessageType.APP_RESP, message.from_, raft.id, raft.term))
    elif message.type is MessageType.PRE_VOTE:
        _answer_vote(raft, message, raft.term, granted=False)


def in_leader_lease(raft: RaftState) -> bool:
    """Whether a leader was heard of so lately that nobody else can have a reason to run."""
    return (
        raft.config.check_quorum
        and raft.leader != NONE
        and raft.election_elapsed < raft.config.election_ticks
    )


def is_transfer(message: Message) -> bool:
    return message.context == TRANSFER


# Voting


def on_vote_request(raft: RaftState, message: Message) -> None:
    """VOTE or PRE_VOTE, of our term or a later one."""
    if not can_grant_vote(raft, message):
        _answer_vote(raft, message, raft.term, granted=False)
        return
    # With the term that was asked for: a pre-candidate behind us in nothing but a
    # partition would drop an answer of our own, older term.
    _answer_vote(raft, message, message.term, granted=True)
    if message.type is MessageType.VOTE:
        raft.election_elapsed = 0
        raft.vote = message.from_


def can_grant_vote(raft: RaftState, message: Message) -> bool:
    """One vote a term, to a candidate whose log has all that may be committed."""
    return vote_is_free(raft, message) and log_is_up_to_date(
        raft.log, message.index, message.log_term
    )


def vote_is_free(raft: RaftState, message: Message) -> bool:
    if message.type is MessageType.PRE_VOTE and message.term > raft.term:
        return True
    return raft.vote == message.from_ or (raft.vote == NONE and raft.leader == NONE)


def log_is_up_to_date(log: Log, last_index: Index, last_term: Term) -> bool:
    """Whether a log that ends so is at least as far as `log`. Source: Raft paper, 5.4.1."""
    return (last_term, last_index) >= (log.last_term, log.last_index)


def _answer_vote(raft: RaftState, request: Message, term: Term, *, granted: bool) -> None:
    answer = (
        MessageType.VOTE_RESP if request.type is MessageType.VOTE else MessageType.PRE_VOTE_RESP
    )
    raft.send_after_sync(Message(answer, request.from_, raft.id, term, reject=not granted))


# Running for leader


def is_promotable(raft: RaftState) -> bool:
    """A voter whose log is not waiting for a snapshot to be durable."""
    return raft.id in raft.voters and raft.log.pending_snapshot is None


def campaign(raft: RaftState) -> None:
    """Ask to be leader, first without consequences if pre-vote is on."""
    if raft.role is Role.LEADER or not is_promotable(raft):
        return
    if raft.config.pre_vote:
        run_for_pre_vote(raft)
    else:
        run_for_vote(raft)


def run_for_pre_vote(raft: RaftState) -> None:
    become_pre_candidate(raft)
    for member in raft.voters:
        if member != raft.id:
            raft.send(_vote_request(raft, MessageType.PRE_VOTE, member, raft.term + 1))
    record_vote(raft, raft.id, granted=True)  # promises nothing: needs no disk


def run_for_vote(raft: RaftState) -> None:
    """The own vote counts once it is durable, in `acknowledge_own_vote`."""
    become_candidate(raft)
    for member in raft.voters:
        if member != raft.id:
            raft.send_after_sync(_vote_request(raft, MessageType.VOTE, member, raft.term))


def _vote_request(raft: RaftState, kind: MessageType, to: MemberId, term: Term) -> Message:
    return Message(kind, to, raft.id, term, raft.log.last_term, raft.log.last_index)


def acknowledge_own_vote(raft: RaftState) -> None:
    """Count a candidate's vote for itself, if it is durable."""
    durable = raft.durable_hard_state
    if durable.term == raft.term and durable.vote == raft.id and raft.id not in raft.votes:
        record_vote(raft, raft.id, granted=True)


def record_vote(raft: RaftState, member: MemberId, *, granted: bool) -> None:
    """Note a vote, the first of each member, and act on the outcome."""
    raft.votes.setdefault(member, granted)
    outcome = quorum.tally(raft.voters, raft.votes)
    if outcome is quorum.VoteResult.WON:
        if raft.role is Role.PRE_CANDIDATE:
            run_for_vote(raft)
        else:
            become_leader(raft)
    elif outcome is quorum.VoteResult.LOST:
        # Of a lost pre-vote the term is still the old one.
        become_follower(raft, raft.term, NONE)


# Roles


def become_follower(raft: RaftState, term: Term, leader: MemberId) -> None:
    _enter_term(raft, term)
    raft.role = Role.FOLLOWER
    raft.leader = leader


def become_pre_candidate(raft: RaftState) -> None:
    """Neither term nor vote change: if nobody listens, nothing has happened."""
    assert raft.role is not Role.LEADER, "a leader does not run"
    raft.role = Role.PRE_CANDIDATE
    raft.leader = NONE
    raft.votes = {}
    raft.draw_election_timeout()


def become_candidate(raft: RaftState) -> None:
    assert raft.role is not Role.LEADER, "a leader does not run"
    _enter_term(raft, raft.term + 1)
    raft.role = Role.CANDIDATE
    raft.vote = raft.id


def become_leader(raft: RaftState) -> None:
    """Begin the term with an empty entry: once it commits, so does all before it."""
    assert raft.role is Role.CANDIDATE, "only a candidate is elected"
    _enter_term(raft, raft.term)
    raft.role = Role.LEADER
    raft.leader = raft.id
    raft.reset_progress()
    raft.append_own(b"")


def _enter_term(raft: RaftState, term: Term) -> None:
    """Forget what belonged to the role so far; the vote too, if the term is new."""
    assert term >= raft.term, f"term falls from {raft.term} to {term}"
    if term != raft.term:
        raft.term = term
        raft.vote = NONE
    raft.leader = NONE
    raft.votes = {}
    raft.election_elapsed = 0
    raft.heartbeat_elapsed = 0
    raft.draw_election_timeout()
    raft.forget_leadership()
