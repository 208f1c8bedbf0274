"""`watch`: each watcher receives all the events that it asked for, in order, once, and no others.

The reference is the members' change log. Each stream (one watch on one member) must be

    ordered       Events arrive in the order of revisions and, within a revision, in the order of
                  the change log.
    unique        No event arrives twice.
    reliable      If a later event or a progress notification arrives, no earlier event is missing.
                  If the stream was open to the end of the run, no event at all is missing.
    atomic        An answer contains all events of a revision, unless the answer is a fragment.
    resumable     The events from `start_revision` on arrive, from any member. A watcher that
                  reconnects therefore misses no event.
    bookmarkable  When a progress notification arrives, all events up to its revision have arrived,
                  and this revision is not in the future. A watch that starts at a future revision
                  is not notified of an earlier revision. A notification arrives when it is
                  owed (`watch/missing_progress.py`).
    filtered      Only events of the requested keys and kinds arrive, with the right prev_kv. If
                  the start is in the future, no event of an earlier revision arrives.
    fragmented    Only a watch that asked for fragments receives them, and each is continued
                  (`watch/fragments.py`).
    identified    The open watches of a connection have different ids. A watch has the id that its
                  client chose. If the client cancels a watch, it ends (`watch/watch_ids.py`).
    listed        If the watcher first reads a list of the keys, the list and the events after it
                  agree with the change log (`watch/lists.py`).
    compaction    If the member has compacted the start of a watch, the watch is cancelled with the
                  compacted revision. A watch that needs no compacted revision is not cancelled.

Two more rules compare the events with the rest of the history. First, no event arrives before the
invocation of its write. Second, an event that a watcher received is committed. So each later
linearizable operation sees the revision of the event or a later one.

The check is exact for the events that were received, as far as the members' change logs reach.
Where all members have compacted a revision, the events of the watchers are compared only with each
other. If they agree, the verdict is unknown. If a stream falls silent, its lost events are found
only if the stream was open to the end of the run.

Cost: linear in the events (one comparison of lists for each stream), n log n in the operations.

Source: etcd's API guarantees on watch, and the properties that etcd's robustness tests validate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.checkers.watch.compactions import Compaction, Compactions, Times
from splitbrain.checkers.watch.expected_events import find_truth
from splitbrain.checkers.watch.lists import ListCheck
from splitbrain.checkers.watch.missing_progress import OwedProgress
from splitbrain.checkers.watch.stream_check import StreamCheck
from splitbrain.checkers.watch.watch_ids import check_ids, with_shared_ids
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import Cancelled, Events, WatchStream

NAME = "watch"
SIMULATED = "simulated"
"""The name of the system that runs in virtual time."""


def check_watch(evidence: Evidence) -> Verdict:
    """Each watch receives its events: ordered, unique, reliable, atomic and resumable.

    The checker applies only to runs with watchers. The verdict is unknown if watchers received
    events of revisions that all members have compacted, or if no watch was created.
    """
    streams = evidence.watches
    if not streams:
        return not_applicable(NAME, "the run has no watchers")
    operations = evidence.history.operations
    truth = find_truth(evidence.members, streams)
    writers = _writers(operations)
    compactions = _compactions(operations, evidence.members)
    times = _times(writers)
    findings = Findings()
    moments = None if evidence.system == SIMULATED else _moments(operations, streams)
    owed = OwedProgress(
        interval_ms=evidence.watch_progress_ms, faults=evidence.history.faults, times=times,
        moments=moments, streams=streams,
    )
    lists = ListCheck(truth, writers)
    shared = with_shared_ids(streams)
    events = progress = unlogged = 0
    for stream in streams:

        def report(
            kind: str, because: str, revision: int, node: str = stream.node,
            shared_id: bool = stream.number in shared, **facts: Any,
        ) -> None:
            ops = (writers[revision],) if revision in writers else ()
            findings.add(
                kind, because, *ops, members=(node,), revision=revision,
                facts={**facts, "shared_id": True} if shared_id else facts,
            )

        check = StreamCheck(
            stream=stream, truth=truth, compactions=compactions, times=times, report=report
        )
        check.run()
        lists.check(stream, check.name, report)
        owed.check(stream, check.name, report)
        events, progress = events + check.events, progress + check.progress
        unlogged += check.unlogged
    check_ids(streams, lambda stream, kind, because: findings.add(
        kind, because, members=(stream.node,), facts={"stream": stream.number},
    ))
    _check_reads(streams, operations, findings)
    if unlogged:
        findings.unknown.append(
            f"{unlogged} events are of revisions that are in no member's change log, so they were "
            "compared with the events of other watchers only"
        )
    if not events and not any(stream.created for stream in streams):
        findings.unknown.append(f"none of the {len(streams)} watches was created")
    counts = {
        "watchers": len({stream.watcher for stream in streams}),
        "streams": len(streams),
        "events": events,
        "progress notifications": progress,
        "progress notifications owed": owed.owed,
        "cancelled by compaction": _cancelled(streams),
        "lists": lists.count,
        "anomalies": findings.count,
    }
    anomalies = sorted(findings.anomalies, key=lambda one: one.detail.get("revision", 0))
    verdict = Verdict(
        NAME, findings.valid, tuple(anomalies), counts, why="; ".join(findings.unknown),
        kinds=findings.by_kind,
    )
    return with_evidence(verdict, events or progress, "no watcher received an event")


def _moments(operations: Sequence[Operation], streams: Sequence[WatchStream]) -> list[int]:
    """Return the times of everything that the clients and watchers recorded, ascending."""
    moments = [op.call for op in operations]
    moments += [op.ended for op in operations if op.ended is not None]
    moments += [answer.time for stream in streams for answer in stream.answers]
    return sorted(moments)


def _writers(operations: Sequence[Operation]) -> dict[int, Operation]:
    """Return the acknowledged write of each revision."""
    return {
        op.result.header.revision: op
        for op in operations
        if op.result is not None and made_revision(op.result)
    }


def _compactions(operations: Sequence[Operation], members: Sequence[MemberState]) -> Compactions:
    compactions = [
        Compaction(
            op.request.revision, op.call,
            op.result.header.revision if op.result is not None else None, op,
        )
        for op in operations
        if isinstance(op.request, Compact) and op.outcome != "fail"
    ]
    done = {member.compact_revision for member in members if member.compact_revision > 0}
    return Compactions(
        compactions, others=not done.issubset(one.revision for one in compactions)
    )


def _times(writers: dict[int, Operation]) -> Times:
    """Return the earliest time at which each revision can exist.

    `writers` contains the acknowledged write of each revision. A revision exists only after all
    earlier writes were invoked.
    """
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
    """Report linearizable answers that are older than an event that a watcher had received.

    An answer is older if its revision is lower, although its request was invoked after the event
    arrived.
    """
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
                f"{wording.answered(op)} to {wording.request(op.request)}, invoked at "
                f"{wording.seconds(op.call)}, although watcher {sent.watcher} on {sent.node} had "
                f"received revision {highest} at {wording.seconds(when)}",
                op, members=(sent.node, wording.node(op)), revision=highest,
            )


def _cancelled(streams: Sequence[WatchStream]) -> int:
    return sum(
        isinstance(answer, Cancelled) and answer.compact_revision > 0
        for stream in streams
        for answer in stream.answers
    )
