"""Implements leader election: terms, votes, and the changes between the four roles.

Source: Raft paper, 5.2 and 5.4.1; thesis, 9.6 (pre-vote) and 6.2 (check-quorum and the leader lease
that results from it). The handling of terms follows etcd-io/raft.
"""

from __future__ import annotations

from splitbrain.node.raft import quorum
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import (
    NONE,
    EntryType,
    Index,
    MemberId,
    Message,
    MessageType,
    Term,
)
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

TRANSFER = b"transfer"
"""The context of a VOTE of a member that campaigns at the leader's request.

The leader lease does not block such a VOTE.
"""

_FROM_A_LEADER = frozenset({MessageType.APP, MessageType.HEARTBEAT, MessageType.SNAP})
_VOTE_REQUESTS = frozenset({MessageType.VOTE, MessageType.PRE_VOTE})


# Terms


def accept_higher_term(raft: RaftState, message: Message) -> bool:
    """Adopt the higher term of a message. Return False if the message must be ignored.

    A vote request is ignored while this member follows a leader (the leader lease). A PRE_VOTE, and
    a granted pre-vote, do not change the term.
    """
    if message.type in _VOTE_REQUESTS:
        if in_leader_lease(raft) and not is_transfer(message):
            return False
        if message.type is MessageType.PRE_VOTE:
            return True  # a pre-vote request does not change a term
    if message.type is MessageType.PRE_VOTE_RESP and not message.reject:
        return True  # the grant contains the term that this pre-candidate would enter
    leader = message.from_ if message.type in _FROM_A_LEADER else NONE
    become_follower(raft, message.term, leader)
    return True


def answer_lower_term(raft: RaftState, message: Message) -> None:
    """Answer a message of a lower term if a member could otherwise wait forever.

    There are four such cases:

    - This member returns from a partition with a higher term than the leader. It ignores the
      leader's messages, and the leader ignores its vote requests while the leader has a lease. A
      response with the higher term makes the leader step down.
    - The sender is a pre-candidate with a lower term, which would repeat its requests forever. It
      gets a rejection with the current term.
    - This member has lost entries that it had acknowledged to the leader, so the leader does not
      send them again. A response with the higher term makes the leader step down. The next leader
      finds out which entries this member lacks.
    - This member has a higher term but cannot campaign, so the leader never gets a vote request
      with this term. Example: a new member does not have the entry yet that adds it. It receives
      the vote request of a removed member, and adopts the higher term. A response with the higher
      term makes the leader step down.

    All other messages of a lower term are ignored.
    """
    guarded = raft.config.check_quorum or raft.config.pre_vote
    waits = guarded or not is_promotable(raft)
    if waits and message.type in (MessageType.APP, MessageType.HEARTBEAT):
        raft.send_after_sync(Message(MessageType.APP_RESP, message.from_, raft.id, raft.term))
    elif message.type is MessageType.PRE_VOTE:
        _answer_vote(raft, message, raft.term, granted=False)


def in_leader_lease(raft: RaftState) -> bool:
    """Return whether this member heard from a leader so recently that it refuses vote requests."""
    return (
        raft.config.check_quorum
        and raft.leader != NONE
        and raft.election_elapsed < raft.config.election_ticks
    )


def is_transfer(message: Message) -> bool:
    """Return whether `message` is a VOTE that the leader requested by TIMEOUT_NOW."""
    return message.context == TRANSFER


# Voting


def on_vote_request(raft: RaftState, message: Message) -> None:
    """Answer a VOTE of the current term, or a PRE_VOTE of the current or a later term."""
    if not can_grant_vote(raft, message):
        _answer_vote(raft, message, raft.term, granted=False)
        return
    # The response contains the requested term. A pre-candidate whose term is higher than this
    # member's would drop a response with this member's lower term.
    _answer_vote(raft, message, message.term, granted=True)
    if message.type is MessageType.VOTE:
        raft.election_elapsed = 0
        raft.vote = message.from_


def can_grant_vote(raft: RaftState, message: Message) -> bool:
    """Return whether this member may vote for the candidate that sent `message`.

    Its vote must be free, and the candidate's log must be complete enough.
    """
    return (
        vote_is_free(raft, message)
        and log_is_up_to_date(raft.log, message.index, message.log_term)
        and reaches_floor(raft, message.index, message.log_term)
    )


def vote_is_free(raft: RaftState, message: Message) -> bool:
    """Return whether this member can still vote for the sender in the message's term."""
    if message.type is MessageType.PRE_VOTE and message.term > raft.term:
        return True
    return raft.vote == message.from_ or (raft.vote == NONE and raft.leader == NONE)


def log_is_up_to_date(log: Log, last_index: Index, last_term: Term) -> bool:
    """Return whether a log with the given last entry is at least as up to date as `log`.

    Source: Raft paper, 5.4.1.
    """
    return (last_term, last_index) >= (log.last_term, log.last_index)


def reaches_floor(raft: RaftState, last_index: Index, last_term: Term) -> bool:
    """Return whether a log with the given last entry reaches this member's `RaftState.floor`.

    The floor is the last entry that this member may have acknowledged and then lost. This entry may
    be committed, so a candidate without it must not get this member's vote.
    """
    return (last_term, last_index) >= raft.floor


def _answer_vote(raft: RaftState, request: Message, term: Term, *, granted: bool) -> None:
    answer = (
        MessageType.VOTE_RESP if request.type is MessageType.VOTE else MessageType.PRE_VOTE_RESP
    )
    if granted or not raft.merging:
        raft.send_after_sync(Message(answer, request.from_, raft.id, term, reject=not granted))
        return
    committed = raft.log.committed
    raft.send_after_sync(
        Message(
            answer, request.from_, raft.id, term, log_term=raft.log.term_at(committed) or 0,
            commit=committed, reject=True,
        )
    )


def learn_commit(raft: RaftState, message: Message) -> None:
    """Commit up to the commit index in a vote rejection, if this log contains the entry there.

    Suppose that a leader is removed, or becomes a learner, and the other voters do not know yet
    that this change is committed. A candidate among them still needs votes of the members that the
    change removes from the voters. These members may reject the candidate forever, because their
    logs are longer.

    Their rejections contain the commit index. The candidate can therefore apply the change, and
    campaign in the new configuration.

    Source: raft-rs, `maybe_commit_by_vote`.
    """
    log = raft.log
    if message.commit <= log.committed or not log.matches(message.commit, message.log_term):
        return
    log.commit_to(message.commit)
    if has_unapplied_conf_change(log):
        become_follower(raft, raft.term, NONE)


# Campaigning


def is_promotable(raft: RaftState) -> bool:
    """Return whether this member may campaign: it is a voter with a complete and durable log."""
    return (
        (raft.id in raft.voters or raft.id in raft.voters_outgoing)
        and raft.log.pending_snapshot is None
        and not raft.recovering
    )


def campaign(raft: RaftState, *, transfer: bool = False) -> None:
    """Start an election. If pre-vote is on, the election begins with a pre-vote.

    With `transfer`, the leader asked this member to campaign, and there is no pre-vote. A member
    does not campaign while a committed change of the configuration is not applied, because it does
    not know yet whose votes count.
    """
    if raft.role is Role.LEADER or not is_promotable(raft) or has_unapplied_conf_change(raft.log):
        return
    if raft.config.pre_vote and not transfer:
        run_for_pre_vote(raft)
    else:
        run_for_vote(raft, TRANSFER if transfer else b"")


def on_timeout_now(raft: RaftState, message: Message) -> None:
    """Campaign at once, because the leader transfers its leadership to this member."""
    campaign(raft, transfer=True)


def has_unapplied_conf_change(log: Log) -> bool:
    """Return whether a committed change of the configuration is not applied yet."""
    if log.applied >= log.committed:
        return False
    unapplied = log.between(log.applied + 1, log.committed)
    return any(entry.type is not EntryType.NORMAL for entry in unapplied)


def run_for_pre_vote(raft: RaftState) -> None:
    """Ask all voters for a pre-vote for the next term."""
    become_pre_candidate(raft)
    for member in raft.conf_state.all_voters:
        if member != raft.id:
            raft.send(_vote_request(raft, MessageType.PRE_VOTE, member, raft.term + 1))
        elif not raft.merging:
            raft.send_to_self(Message(MessageType.PRE_VOTE_RESP, raft.id, raft.id, raft.term + 1))
    if raft.merging:
        record_vote(raft, raft.id, granted=True)  # the own pre-vote need not be durable


def run_for_vote(raft: RaftState, context: bytes = b"") -> None:
    """Enter the next term, and ask all voters for their votes, with `context` in the requests.

    `acknowledge_own_vote` counts this member's own vote when it is durable.
    """
    become_candidate(raft)
    for member in raft.conf_state.all_voters:
        if member == raft.id:
            if not raft.merging:
                raft.send_to_self(Message(MessageType.VOTE_RESP, raft.id, raft.id, raft.term))
            continue
        request = _vote_request(raft, MessageType.VOTE, member, raft.term, context)
        if raft.merging:
            raft.send_after_sync(request)
        else:
            raft.send(request)


def _vote_request(
    raft: RaftState, kind: MessageType, to: MemberId, term: Term, context: bytes = b""
) -> Message:
    log = raft.log
    return Message(kind, to, raft.id, term, log.last_term, log.last_index, context=context)


def acknowledge_own_vote(raft: RaftState) -> None:
    """Count the vote of a candidate for itself, if this vote is durable."""
    durable = raft.durable_hard_state
    if durable.term == raft.term and durable.vote == raft.id and raft.id not in raft.votes:
        record_vote(raft, raft.id, granted=True)


def record_vote(raft: RaftState, member: MemberId, *, granted: bool) -> None:
    """Count a vote, unless `member` has voted before.

    If this decides the election, enter the next role.
    """
    raft.votes.setdefault(member, granted)
    outcome = quorum.joint_tally(raft.voters, raft.voters_outgoing, raft.votes)
    if outcome is quorum.VoteResult.WON:
        if raft.role is Role.PRE_CANDIDATE:
            run_for_vote(raft)
        else:
            become_leader(raft)
    elif outcome is quorum.VoteResult.LOST:
        # A lost pre-vote has not changed the term.
        become_follower(raft, raft.term, NONE)


# Roles


def become_follower(raft: RaftState, term: Term, leader: MemberId) -> None:
    """Follow `leader` (NONE: unknown) in `term`. The vote is kept if the term does not change."""
    _enter_term(raft, term)
    raft.role = Role.FOLLOWER
    raft.leader = leader


def become_pre_candidate(raft: RaftState) -> None:
    """Become a pre-candidate. Term and vote do not change, so a failed pre-vote has no effect."""
    assert raft.role is not Role.LEADER, "a leader does not campaign"
    raft.role = Role.PRE_CANDIDATE
    raft.leader = NONE
    raft.votes = {}
    draw_election_timeout(raft)


def become_candidate(raft: RaftState) -> None:
    """Enter the next term, and vote for this member itself."""
    assert raft.role is not Role.LEADER, "a leader does not campaign"
    _enter_term(raft, raft.term + 1)
    raft.role = Role.CANDIDATE
    raft.vote = raft.id


def become_leader(raft: RaftState) -> None:
    """Become leader, and append an empty entry to the log.

    When this entry is committed, all earlier entries are committed, too.
    """
    assert raft.role is Role.CANDIDATE, "only a candidate is elected"
    _enter_term(raft, raft.term)
    raft.role = Role.LEADER
    raft.leader = raft.id
    raft.reset_progress()
    # The log may contain a change of the configuration that is not applied yet.
    raft.pending_conf_index = raft.log.last_index
    raft.append_own(b"")


def draw_election_timeout(raft: RaftState) -> None:
    """Draw a timeout between one and two times `election_ticks`.

    Because the timeout is random, two members seldom campaign at the same time.
    """
    ticks = raft.config.election_ticks
    raft.election_timeout = ticks + raft.random.randrange(ticks)


def _enter_term(raft: RaftState, term: Term) -> None:
    """Reset the state of the previous role, and set the term. A new term also resets the vote."""
    assert term >= raft.term, f"the term decreases from {raft.term} to {term}"
    if term != raft.term:
        raft.term = term
        raft.vote = NONE
    raft.leader = NONE
    raft.votes = {}
    raft.election_elapsed = 0
    raft.heartbeat_elapsed = 0
    draw_election_timeout(raft)
    raft.forget_leadership()
