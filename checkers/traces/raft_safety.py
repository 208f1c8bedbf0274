"""`raft_safety`: checks Raft's election safety, and that votes survive a restart.

- Each term has at most one leader (Raft paper, figure 3: election safety).
- A member votes for one candidate in each term, also across restarts.
- A vote survives a restart. When a member starts, its log contains the term of its last vote, or
  a later term. If it is the same term, the log also contains the vote.
- The terms of a member's votes never decrease.

A member that was removed and added again has another id, so it is another member.

A member writes the trace event `vote` when the vote is on its disk, and before it sends the vote. A
kill therefore hides no vote that was sent. At each `start` the member traces the term and the vote
that it finds in its log. Times in the verdict are relative to the first line of all traces.

Cost: linear in the traces.

Source: Raft paper, figure 2: currentTerm and votedFor are persistent.
"""

from __future__ import annotations

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.traces.write_path import no_traces
from splitbrain.checkers.verdict import Verdict, with_evidence
from splitbrain.checkers.wording import seconds
from splitbrain.histories.trace import TraceEvent

NAME = "raft_safety"


def check_raft_safety(evidence: Evidence) -> Verdict:
    """Each term has one leader, each member votes once per term, and votes survive restarts.

    The checker judges the members' traces. It applies only to systems with traces.
    """
    if not evidence.traces:
        return no_traces(NAME, evidence)
    findings = Findings()
    leaders: dict[int, TraceEvent] = {}
    counts = {"starts": 0, "votes": 0, "terms led": 0}
    origin_ns = min((trace[0].ns for trace in evidence.traces.values() if trace), default=0)
    for member, trace in evidence.traces.items():
        last_vote: TraceEvent | None = None
        member_id = 0
        for line in trace:
            if line.step not in ("vote", "start", "lead"):
                continue
            event = msgspec.structs.replace(line, ns=line.ns - origin_ns)
            if event.step == "vote":
                counts["votes"] += 1
                last_vote = _check_vote(member, event, last_vote, findings)
            elif event.step == "start":
                counts["starts"] += 1
                if event.member_id != member_id:
                    member_id, last_vote = event.member_id, None
                _check_start(member, event, last_vote, findings)
            elif event.step == "lead":
                _check_leader(event, leaders, findings)
    counts["terms led"] = len(leaders)
    verdict = Verdict(
        NAME, not findings.count, tuple(findings.anomalies), counts, kinds=findings.by_kind
    )
    found = counts["votes"] or counts["terms led"]
    return with_evidence(verdict, found, "the traces contain no vote and no leader")


def _check_vote(
    member: str, vote: TraceEvent, before: TraceEvent | None, findings: Findings
) -> TraceEvent:
    if before is None or vote.term > before.term:
        return vote
    if vote.term < before.term:
        findings.add(
            "term went back",
            f"{member} voted for {vote.peer} in term {vote.term} at {seconds(vote.ns)} "
            f"after it had voted in term {before.term} at {seconds(before.ns)}",
            members=(member,),
        )
    elif _candidate(vote) != _candidate(before):
        findings.add(
            "voted twice",
            f"{member} voted in term {vote.term} for {before.peer or before.vote} at "
            f"{seconds(before.ns)} and for {vote.peer or vote.vote} at {seconds(vote.ns)}",
            members=(member, before.peer, vote.peer),
        )
    return before


def _check_start(
    member: str, start: TraceEvent, vote: TraceEvent | None, findings: Findings
) -> None:
    if vote is None:
        return
    because = (
        f"{member} voted for {vote.peer} in term {vote.term} at {seconds(vote.ns)}; when it "
        f"started at {seconds(start.ns)}, its log "
    )
    if start.term < vote.term:
        because += f"was at term {start.term}"
        findings.add("vote forgotten", because, members=(member,))
    elif start.term == vote.term and _candidate(start) != _candidate(vote):
        because += f"contained {f'a vote for {start.peer}' if start.peer else 'no vote'}"
        findings.add("vote forgotten", f"{because} in that term", members=(member,))


def _candidate(event: TraceEvent) -> int | str:
    """Return the member that got the vote `event`: its id, or its name in a trace without ids."""
    return event.vote or event.peer


def _check_leader(event: TraceEvent, leaders: dict[int, TraceEvent], findings: Findings) -> None:
    first = leaders.setdefault(event.term, event)
    if first.member != event.member:
        findings.add(
            "two leaders in one term",
            f"term {event.term} was led by {first.member} from {seconds(first.ns)} and by "
            f"{event.member} from {seconds(event.ns)}",
            members=(first.member, event.member),
        )
