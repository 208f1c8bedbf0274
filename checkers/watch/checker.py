"""`watch`: each watcher was sent all that it asked for, in order, once, and nothing else.

Against the members' change log as the truth, of each stream (one watch at one member):

    ordered       events in the order of revisions, within one as the members hold them
    unique        none twice
    reliable      none left out before one that was sent, before a progress notification,
                  or, of a stream open to the end, before the end
    atomic        no answer ends within a revision, unless it is a fragment
    resumable     from `start_revision` on, at whichever member: each stream is held to its
                  own start, so that a watcher that reconnects has missed nothing
    bookmarkable  a progress notification speaks the truth, and of no revision to come
    filtered      only the keys and kinds asked for, with the prev_kv that was there;
                  nothing before a start in the future
    compaction    a start that the member has compacted is cancelled with the compacted
                  revision; none is cancelled for one that it does not need

and against the rest of the history: no event before its write was asked for, and what a
watcher was sent is committed, so that a read invoked later sees at least that revision.

Exact for the events received, as far as members' logs reach; of revisions that all
compacted, watchers are only held against one another, and the verdict is not above
undecided. That a stream with nothing to say was stuck shows at the end of a run alone.

Cost: linear in the events (one comparison of lists a stream), n log n in the operations.

Source: etcd's API guarantees on watch, and the properties that etcd's robustness tests
validate.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.checkers.watch.compactions import Compaction, Compactions, Times
from splitbrain.checkers.watch.expected_events import find_truth
from splitbrain.checkers.watch.stream import StreamCheck
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import Cancelled, Events, WatchStream

NAME = "watch"


def check_watch(evidence: Evidence) -> Verdict:
    """Each watch was sent all that it asked for: ordered, unique, reliable, atomic, resumable.

    Judges runs with watchers; to others it does not apply.
    """
    streams = evidence.watches
    if not streams:
        return not_applicable(NAME, "nothing was watched")
    operations = evidence.history.operations
    truth = find_truth(evidence.members, streams)
    writers = _writers(operations)
    compactions = _compactions(operations, evidence.members)
    times = _times(writers)
    findings = Findings()
    events = progress = untold = 0
    for stream in streams:

        def report(kind: str, because: str, revision: int, node: str = stream.node) -> None:
            ops = (writers[revision],) if revision in writers else ()
            findings.add(kind, because, *ops, members=(node,), revision=revision)

        check = StreamCheck(stream, truth, compactions, times, report)
        check.run()
        events, progress = events + check.events, progress + check.progress
        untold += check.untold
    _check_reads(streams, operations, findings)
    if untold:
        findings.unknown.append(
            f"{untold} events are of revisions that no member's change log reaches back to: they "
            "were held against other watchers' alone"
        )
    if not events and not any(stream.created for stream in streams):
        findings.unknown.append(f"none of {len(streams)} watches was ever created")
    counts = {
        "watchers": len({stream.watcher for stream in streams}),
        "streams": len(streams),
        "events": events,
        "progress notifications": progress,
        "cancelled by compaction": _cancelled(streams),
        "anomalies": findings.count,
    }
    anomalies = sorted(findings.anomalies, key=lambda one: one.detail.get("revision", 0))
    return Verdict(
        NAME, findings.valid, tuple(anomalies), counts, why="; ".join(findings.unknown)
    )


def _writers(operations: Sequence[Operation]) -> dict[int, Operation]:
    """Acknowledged writes by the revision that each made."""
    return {
        op.result.header.revision: op
        for op in operations
        if op.result is not None and made_revision(op.result)
    }


def _compactions(operations: Sequence[Operation], members: Sequence[MemberState]) -> Compactions:
    asked = [
        Compaction(
            op.request.revision, op.call,
            op.result.header.revision if op.result is not None else None, op,
        )
        for op in operations
        if isinstance(op.request, Compact) and op.outcome != "fail"
    ]
    done = {member.compact_revision for member in members if member.compact_revision > 0}
    return Compactions(asked, others=not done.issubset(one.revision for one in asked))


def _times(writers: dict[int, Operation]) -> Times:
    """Revisions at which the earliest possible time moves on."""
    revisions: list[int] = []
    calls: list[int] = []
    named: list[Operation] = []
    for revision in sorted(writers):
        writer = writers[revision]
        if not calls or writer.call > calls[-1]:
            revisions.append(revision)
            calls.append(writer.call)
            named.append(writer)
    return Times(revisions, calls, named)


def _check_reads(
    streams: Sequence[WatchStream], operations: Sequence[Operation], findings: Findings
) -> None:
    """What a watcher was sent is committed: answers that must be recent are not behind it."""
    arrivals = sorted(
        (answer.time, answer.changes[-1].revision, stream.number)
        for stream in streams
        for answer in stream.answers
        if isinstance(answer, Events) and answer.changes
    )
    recent = sorted(
        (
            op for op in operations
            if op.result is not None and op.result.header.revision > 0
            and must_be_recent(op.request)
        ),
        key=lambda op: op.call,
    )
    place, highest, whose, when = 0, 0, 0, 0
    for op in recent:
        while place < len(arrivals) and arrivals[place][0] < op.call:
            when_one, revision, stream = arrivals[place]
            if revision > highest:
                highest, whose, when = revision, stream, when_one
            place += 1
        assert op.result is not None
        if op.result.header.revision < highest:
            sent = next(one for one in streams if one.number == whose)
            findings.add(
                "stale answer",
                f"{wording.answered(op)} to {wording.request(op.request)}, asked at "
                f"{wording.seconds(op.call)}, although watcher {sent.watcher} on {sent.node} had "
                f"been sent revision {highest} at {wording.seconds(when)}",
                op, members=(sent.node, wording.node(op)), revision=highest,
            )


def _cancelled(streams: Sequence[WatchStream]) -> int:
    return sum(
        isinstance(answer, Cancelled) and answer.compact_revision > 0
        for stream in streams
        for answer in stream.answers
    )
