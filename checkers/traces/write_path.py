"""`write_path`: each write takes the eleven steps in order, on enough members.

The checker reads the traces of the members, in one sweep over all events in the order of time. All
members use the same clock. A trace line is in the page cache before the effect of its step can
leave the member. The rules are true of every run of a correct cluster:

- *Synced before committed.* When a member is the first that marks (index, term) committed, a
  majority of the voters that this member knows must have synced it. In a joint configuration, this
  is a majority of each of the two groups. A follower traces `follower_wal` before it acknowledges,
  and a leader traces `leader_wal` before it includes itself in the majority. Only the first commit
  of an entry is judged, because a committed entry stays committed through later leaders, restarts
  and snapshots. The checker follows the log of each member, including overwrites: a new entry at an
  index drops all later entries.
- *A leader commits first.* The member that commits an entry first is leader, or was leader since
  its last start. (It may lose leadership in the same event-loop turn in which it commits.)
- *Committed before applied.* Before a member applies an entry, some member has marked the entry
  committed, and the member itself has done so since its last start.
- *Applied in order, once.* Between two starts a member applies increasing indexes, above the
  index that its backend contained at the start. Gaps are allowed: empty entries change nothing,
  and a snapshot skips many entries. At each index, all members apply the same entry (term and
  request) and make the same revision, also after restarts.
- *Proposed once.* A request id is unique in the life of a cluster, and no member proposes a
  request again. If a request is at two indexes, it was proposed twice.
- *Answered after its own apply.* A member answers a request only if it has applied the request
  since its last start.
- *The chain is complete.* A request that was answered had been accepted by the member, received by
  a leader, and committed at its index. Each acknowledged write in the history was answered by the
  member that the client called, at the revision that the client received. The term of the answer is
  at least that of the entry.

A member can be killed after it has written an entry to its log and before it has written the trace
line. After a restart, the checker therefore assumes that the member has synced two kinds of
entries: entries that were in some member's trace before the restart, and entries with an older
term than that of the leader that commits them.

Cost: n log n in the trace events.

Source: Raft paper, figures 2 and 3; etcd's v3_server.go and raft.go for the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.history import History
from splitbrain.histories.trace import STEPS, TraceEvent

NAME = "write_path"
TRACING_SYSTEMS = ("python_node", "simulated")
"""The systems that always write traces. If their traces are missing, the verdict is unknown."""
_ORDER = {step: place for place, step in enumerate(STEPS, start=1)}


@dataclass(slots=True)
class _Member:
    """The state of one member, as the lines of its trace show it up to the present event."""

    name: str
    id: int = 0
    """The id of the member. 0 if the trace does not contain it."""
    voters: tuple[tuple[int, ...], ...] = ()
    """The configuration that the member has applied. Empty if the trace does not contain it."""
    voters_before: tuple[tuple[int, ...], ...] = ()
    changed_ns: int = 0
    """When the configuration changed from `voters_before` to `voters`."""
    lives: int = 0
    """The number of times that the member has started."""
    backend_index: int = 0
    """The applied index of the backend at the last start."""
    started_ns: int = 0
    started_term: int = 0
    led_term: int = 0
    """The last term in which the member was leader since its last start. 0: none."""
    log: dict[int, int] = field(default_factory=dict)
    """The synced entries: term by index."""
    log_end: int = 0
    committed: int = 0
    """The highest index that the member marked committed since its last start."""
    applied: int = 0
    applied_requests: dict[int, int] = field(default_factory=dict)
    """The applied index of each request, since the last start."""
    requests: set[int] = field(default_factory=set)

    def sync(self, index: int, term: int) -> None:
        if index <= self.log_end and self.log.get(index, term) != term:
            for dropped in range(index + 1, self.log_end + 1):
                self.log.pop(dropped, None)
            self.log_end = index
        self.log[index] = term
        self.log_end = max(self.log_end, index)

    def restart(self, event: TraceEvent) -> None:
        if event.member_id != self.id:
            self.id, self.lives = event.member_id, 0
            self.log.clear()
            self.log_end = 0
        self.voters = self.voters_before = event.voters
        self.lives += 1
        self.backend_index = self.applied = event.index
        self.started_ns, self.started_term = event.ns, event.term
        self.led_term = self.committed = 0
        self.applied_requests.clear()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A trace event `respond`: a member's answer to a client. It is compared with the history."""

    member: str
    request: int
    index: int
    ns: int


class WritePathSweep:
    """Checks the rules of the write path in one sweep over the trace events of all members.

    The events are in the order of time.
    """

    def __init__(self, traces: Mapping[str, Sequence[TraceEvent]], findings: Findings) -> None:
        self._findings = findings
        self._members = {name: _Member(name) for name in traces}
        self._majority = len(traces) // 2 + 1
        self._first_seen: dict[tuple[int, int], int] = {}
        self.committed: dict[int, int] = {}
        """The term of each index that any member marked committed."""
        self._revisions: dict[int, tuple[int, int, int, str]] = {}
        """For each index, the (term, request, revision, member) of the first apply."""
        self.makers: dict[int, tuple[int, int]] = {}
        """For each revision, the index and the term of the first entry after which the store has
        it. The following entries that change nothing leave the store at this revision."""
        self._places: dict[int, tuple[int, int]] = {}
        """The first (index, term) of each request."""
        self._received: dict[int, int] = {}
        self.answers: dict[tuple[str, int], _Answer] = {}
        """The answers by member and revision."""
        self.events = 0
        self._origin_ns = 0
        self._twice: set[int] = set()
        self._steps = {
            "start": self._start,
            "lead": self._lead,
            "configuration": self._configuration,
            "client_request": self._client_request,
            "leader_receive": self._leader_receive,
            "leader_wal": self._wal,
            "follower_wal": self._wal,
            "replicate": self._replicate,
            "leader_commit": self._leader_commit,
            "follower_commit": self._follower_commit,
            "apply_mvcc": self._apply,
            "respond": self._respond,
        }

    def run(self, traces: Mapping[str, Sequence[TraceEvent]]) -> None:
        """Check the events in the traces of all members, in the order of time."""
        events = [event for trace in traces.values() for event in trace]
        self.events = len(events)
        self._origin_ns = min((event.ns for event in events), default=0)
        # Events at the same time (simulated time is coarse) are in the order of their steps.
        order = _ORDER
        events.sort(key=lambda event: (event.ns, order.get(event.step, 0)))
        steps, members = self._steps, self._members
        for event in events:
            handle = steps.get(event.step)
            if handle is not None:
                handle(members[event.member], event)

    # --- one handler for each step

    def _start(self, member: _Member, event: TraceEvent) -> None:
        member.restart(event)

    def _lead(self, member: _Member, event: TraceEvent) -> None:
        member.led_term = event.term

    def _configuration(self, member: _Member, event: TraceEvent) -> None:
        if event.ns != member.changed_ns:
            member.voters_before, member.changed_ns = member.voters, event.ns
        member.voters = event.voters

    def _client_request(self, member: _Member, event: TraceEvent) -> None:
        member.requests.add(event.request)

    def _leader_receive(self, member: _Member, event: TraceEvent) -> None:
        self._received.setdefault(event.request, event.ns)

    def _replicate(self, member: _Member, event: TraceEvent) -> None:
        self._first_seen.setdefault((event.index, event.term), event.ns)

    def _wal(self, member: _Member, event: TraceEvent) -> None:
        member.sync(event.index, event.term)
        self._first_seen.setdefault((event.index, event.term), event.ns)
        if event.request:
            self._check_proposed_once(event)

    def _check_proposed_once(self, event: TraceEvent) -> None:
        place = self._places.setdefault(event.request, (event.index, event.term))
        if place != (event.index, event.term) and event.request not in self._twice:
            self._twice.add(event.request)
            self._add(
                "proposed twice",
                f"request {event.request:x} is in the log at index {place[0]} "
                f"(term {place[1]}) and, on {event.member} at {self._time(event.ns)}, at "
                f"index {event.index} (term {event.term})",
                event,
            )

    def _leader_commit(self, member: _Member, event: TraceEvent) -> None:
        self._commit(member, event)

    def _follower_commit(self, member: _Member, event: TraceEvent) -> None:
        if event.index not in self.committed and not member.led_term:
            self._add(
                "committed by a follower first",
                f"{event.member} marked index {event.index} committed at "
                f"{self._time(event.ns)} as a follower, before any leader did",
                event,
            )
        self._commit(member, event)

    def _commit(self, member: _Member, event: TraceEvent) -> None:
        index, term = event.index, event.term
        member.committed = max(member.committed, index)
        known = self.committed.get(index)
        if known is None:
            self.committed[index] = term
            self._check_majority(member, event)
        elif known != term:
            self._add(
                "two entries committed at one index",
                f"index {index} was committed with term {known}, and by {event.member} at "
                f"{self._time(event.ns)} with term {term}",
                event,
            )

    def _check_majority(self, leader: _Member, event: TraceEvent) -> None:
        holders = [m for m in self._members.values() if self._may_hold(m, leader, event)]
        if not self._are_majority(holders, leader, event):
            synced = " and ".join(one.name for one in holders) or "no member"
            self._add(
                "committed before a majority synced",
                f"{event.member} marked index {event.index} (term {event.term}) committed at "
                f"{self._time(event.ns)}, when {synced} of {len(self._members)} members had synced "
                "it",
                event,
            )

    def _are_majority(
        self, holders: Sequence[_Member], leader: _Member, event: TraceEvent
    ) -> bool:
        """Return whether `holders`, the members that synced an entry, are a majority.

        More than half of the voters in the configuration of `leader` must be holders. If the
        configuration changed at the time of `event`, the voters before the change are also
        accepted, because events at the same time have no order. A voter that was replaced is
        counted as a holder, because its trace is unknown.
        """
        if not leader.voters:
            return len(holders) >= self._majority
        absent = {m.id for m in self._members.values()} - {m.id for m in holders}
        possible = [leader.voters]
        if leader.changed_ns == event.ns:
            possible.append(leader.voters_before)
        return any(
            all(2 * len({*group} - absent) > len(group) for group in groups)
            for groups in possible
        )

    def _may_hold(self, member: _Member, leader: _Member, event: TraceEvent) -> bool:
        index, term = event.index, event.term
        if index <= member.log_end and member.log.get(index) == term:
            return True
        if member.lives < 2 or member.started_term < term:
            return False
        # The member may have synced the entry before its last start and been killed before it
        # could trace the sync.
        if term < leader.led_term:
            return True
        return self._first_seen.get((index, term), event.ns) <= member.started_ns

    def _apply(self, member: _Member, event: TraceEvent) -> None:
        index = event.index
        if index <= member.applied:
            before = (
                "its backend contained the entry at its start"
                if index <= member.backend_index
                else f"it had already applied index {member.applied}"
            )
            self._add(
                "applied twice" if index <= member.backend_index else "applied out of order",
                f"{event.member} applied index {index} at {self._time(event.ns)} although "
                f"{before} (the backend was at {member.backend_index} at the start)",
                event,
            )
        member.applied = max(member.applied, index)
        if index not in self.committed or index > member.committed:
            self._add(
                "applied before committed",
                f"{event.member} applied index {index} at {self._time(event.ns)}, which "
                + ("no member" if index not in self.committed else "it")
                + " had marked committed",
                event,
            )
        member.applied_requests[event.request] = index
        self._check_same_everywhere(event)

    def _check_same_everywhere(self, event: TraceEvent) -> None:
        applied = (event.term, event.request, event.revision, event.member)
        first = self._revisions.setdefault(event.index, applied)
        index, _ = self.makers.setdefault(event.revision, (event.index, event.term))
        if event.index < index:
            self.makers[event.revision] = (event.index, event.term)
        if first[:2] != applied[:2]:
            self._add(
                "two entries applied at one index",
                f"at index {event.index} {first[3]} applied request {first[1]:x} (term "
                f"{first[0]}), {event.member} request {event.request:x} (term {event.term})",
                event, first[3],
            )
        elif first[2] != event.revision:
            self._add(
                "one entry, two revisions",
                f"index {event.index} made revision {first[2]} on {first[3]} and revision "
                f"{event.revision} on {event.member}: they applied different entries before it",
                event, first[3],
            )

    def _respond(self, member: _Member, event: TraceEvent) -> None:
        answer = _Answer(event.member, event.request, event.index, event.ns)
        self.answers.setdefault((event.member, event.revision), answer)
        answered = (
            f"{event.member} answered request {event.request:x} at {self._time(event.ns)}, "
            f"revision {event.revision}, "
        )
        index = member.applied_requests.get(event.request)
        if index is None:
            self._add("answered before applied", f"{answered}but had not applied it", event)
            return
        if event.request not in member.requests:
            self._add("incomplete chain", f"{answered}but had never accepted it", event)
        place = self._places.get(event.request)
        if place is None:
            self._add("incomplete chain", f"{answered}but no log contains it", event)
        elif event.request not in self._received and not self._led(place[1]):
            self._add("incomplete chain", f"{answered}but no leader had received it", event)

    def _led(self, term: int) -> bool:
        """Return whether some member has, since it last started, led in `term` or in a later term.

        In this case a missing `leader_receive` is no anomaly. A follower may trace
        `follower_forward`, then become leader, and propose the request itself. It does not trace
        `leader_receive`.
        """
        return any(member.led_term >= term for member in self._members.values())

    def _time(self, ns: int) -> str:
        """Describe the time `ns` as seconds since the first line of all traces."""
        return f"{wording.seconds(ns - self._origin_ns)} of the trace"

    def _add(self, kind: str, because: str, event: TraceEvent, *others: str) -> None:
        members = tuple(dict.fromkeys((event.member, *others)))
        self._findings.add(kind, because, members=members, revision=event.revision)


def check_write_path(evidence: Evidence) -> Verdict:
    """Each write is synced by a majority, committed, applied once and in order, then answered.

    The checker compares the members' traces with each other and with the history. It applies only
    to systems with traces. The verdict is unknown if the trace of a member is missing or empty.
    """
    traces = evidence.traces
    if not traces:
        return no_traces(NAME, evidence)
    missing = [m.member for m in evidence.members if m.member not in traces]
    empty = [name for name, trace in traces.items() if not trace]
    if missing or empty:
        names = ", ".join([*missing, *empty])
        return Verdict(NAME, None, why=f"the traces of {names} are missing or empty")
    findings = Findings()
    sweep = WritePathSweep(traces, findings)
    sweep.run(traces)
    acknowledged = _check_acknowledged(evidence.history, sweep, findings)
    counts = {
        "trace events": sweep.events,
        "acknowledged writes": acknowledged,
        "answers traced": len(sweep.answers),
        "anomalies": findings.count,
    }
    verdict = Verdict(
        NAME, not findings.count, tuple(findings.anomalies), counts, kinds=findings.by_kind
    )
    found = sweep.committed or sweep.answers or acknowledged
    return with_evidence(verdict, found, "no entry was committed and no write was answered")


def no_traces(name: str, evidence: Evidence) -> Verdict:
    """Return the verdict of the checker `name` on a run that has no traces.

    The verdict is unknown if the system normally writes traces, and otherwise "not applicable".
    """
    if evidence.system in TRACING_SYSTEMS:
        return Verdict(name, None, why="the members' traces are missing")
    reason = f"{evidence.system or 'this history'} has no traces"
    return not_applicable(name, reason, {"trace events": 0})


def _check_acknowledged(history: History, sweep: WritePathSweep, findings: Findings) -> int:
    """Report each acknowledged write that is missing from the trace of the member that answered.

    Also reports a write that was answered in an earlier term than that of its entry. Returns the
    number of acknowledged writes.
    """
    count = 0
    for op in history.operations:
        if op.result is None or not made_revision(op.result) or op.node is None:
            continue
        count += 1
        revision = op.result.header.revision
        index, term = sweep.makers.get(revision, (0, 0))
        if 0 < op.result.header.raft_term < term:
            findings.add(
                "answer of an earlier term",
                f"{wording.operation(op)} was answered in term {op.result.header.raft_term}, but "
                f"index {index}, which made revision {revision}, is of term {term}",
                op, members=(op.node,), revision=revision,
            )
        if (op.node, revision) not in sweep.answers:
            findings.add(
                "incomplete chain",
                f"{wording.operation(op)} was acknowledged at revision {revision} at "
                f"{wording.seconds(op.ret or 0)}, but the trace of {op.node} has no such answer",
                op, members=(op.node,), revision=revision,
            )
    return count
