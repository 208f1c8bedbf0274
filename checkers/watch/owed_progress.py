"""When a member owes a watcher a progress notification.

A notification tells the watcher that it has received all events up to a revision. It is owed in two
cases. Both require that the stream is open and created, and that no fault hits the member. A
partition and slow links do not matter, because a member notifies of its own state.

*Periodically*, if the watch request asks for it. Each stream has a ticker with the interval of the
member, which etcd lengthens at random by up to a tenth. At a tick, a watcher that has received no
events since the tick before is notified. So a stream that was silent for two intervals owes a
notification. etcd does not notify a watcher whose start is in the future. So the silence counts
only from the time on when the watcher has certainly reached its start. A watcher that reads slowly
records answers long after they were sent, if other watches share its connection. So either the
whole connection was silent, or the silence ended with an event whose write was invoked when the
notification was already late.

*On request*, if the watch begins at its creation and is alone on its connection. The client sends
the progress request right after the watch request. A member drops it if a watcher of the
connection is not synced, which is so for a watch that begins in the past, and in newer releases of
etcd for one that begins in the future. A watch that begins at its creation is synced from the
start. A watcher may read slowly. So a notification is missing only if the watcher waited for it in
vain, or if an event arrived instead whose write was invoked later.

Source: etcd's server/etcdserver/api/v3rpc/watch.go (`sendLoop`, `GetProgressReportInterval`) and
server/storage/mvcc/watchable_store.go (`progressIfSync`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from splitbrain.checkers.watch.compactions import Times
from splitbrain.histories.fault_window import FaultWindow
from splitbrain.histories.watch import Answer, Cancelled, Events, Progress, WatchStream

MS = 1_000_000
LATE_NS = 5_000 * MS
"""The time that a notification may take in addition: in a member on a busy machine, and on its
way."""
LATE_IN_SIMULATION_NS = 1_000 * MS
"""The same in virtual time, in which no machine is busy. A lost frame is sent again after 800 ms at
the latest."""
PAUSE_NS = 1_000 * MS
"""If nothing at all was recorded for this time, the harness itself may have been busy."""
INTERVALS = 2
JITTER = 1.1
HARMLESS = frozenset(("partition", "latency"))
"""Faults of links between members."""

Report = Callable[[str, str, int], None]


class OwedProgress:
    """Judges the progress notifications of streams, one stream after the other.

    `interval_ms` is the members' interval, or 0 if it is unknown. Then only the answers to progress
    requests are judged. `times` are the times of the revisions. `moments` are the times of
    everything that was recorded, ascending, or None in virtual time. `streams` are all streams of
    the run. `owed` counts the notifications that were owed for certain.
    """

    def __init__(
        self,
        interval_ms: int,
        faults: Sequence[FaultWindow],
        times: Times,
        moments: Sequence[int] | None,
        streams: Sequence[WatchStream] = (),
    ) -> None:
        self._times = times
        self._on_connection = _answer_times(streams)
        self._moments = moments
        self._late_ns = LATE_IN_SIMULATION_NS if moments is None else LATE_NS
        self._silence_ns = round(INTERVALS * JITTER * interval_ms) * MS + self._late_ns
        self._interval_ms = interval_ms
        self._faults = [fault for fault in faults if fault.f not in HARMLESS]
        self.owed = 0

    def check(self, stream: WatchStream, name: str, report: Report) -> None:
        """Report notifications of `stream` that are missing. `name` describes the stream."""
        if stream.created is None or any(isinstance(one, Cancelled) for one in stream.answers):
            return
        if stream.request.progress_notify and self._interval_ms:
            self._check_periodic(stream, name, report)
        alone = stream.connection < 0
        if stream.request.ask_progress and alone and not stream.request.start_revision:
            self._check_requested(stream, name, report)

    def _check_periodic(self, stream: WatchStream, name: str, report: Report) -> None:
        self.owed += sum(isinstance(one, Progress) for one in stream.answers)
        for (begin, _), (end, ended_by) in pairwise(_times(stream)):
            due = begin + self._silence_ns
            if end <= due or not self._undisturbed(stream.node, begin, due):
                continue
            if not self._silent(stream.connection, begin, due) and not (
                ended_by is not None and self._later(ended_by, due)
            ):
                continue
            self.owed += 1
            report(
                "missing progress",
                f"{name} received nothing from {_seconds(begin)} to {_seconds(end)}; expected a "
                f"progress notification every {self._interval_ms} ms, at the latest after "
                f"{self._silence_ns / 1e9:.2f} s of silence", 0,
            )
            return

    def _silent(self, connection: int, begin: int, end: int) -> bool:
        """Whether no stream of the connection received an answer after `begin` and before `end`."""
        times = self._on_connection.get(connection, ())
        return bisect_right(times, begin) == bisect_left(times, end)

    def _check_requested(self, stream: WatchStream, name: str, report: Report) -> None:
        assert stream.created is not None
        created = stream.created.time
        due = created + self._late_ns
        if not self._undisturbed(stream.node, stream.opened, due):
            return
        last, waited = created, ""
        for answer in stream.answers:
            waited = waited or self._waited(stream, last, answer.time) or self._later(answer, due)
            if isinstance(answer, Progress) and answer.whole:
                break
            last = answer.time
        else:
            end = stream.closed.time if stream.closed is not None else last
            waited = waited or self._waited(stream, last, end)
            if not waited:
                return
        self.owed += 1
        if waited:
            report(
                "missing progress",
                f"{name} was created at {_seconds(created)} and asked for its progress; expected a "
                f"notification within {self._late_ns / 1e9:g} s, but {waited} before one", 0,
            )

    def _waited(self, stream: WatchStream, begin: int, end: int) -> str:
        due = begin + self._late_ns
        if end <= due or not self._undisturbed(stream.node, begin, due):
            return ""
        return f"nothing arrived from {_seconds(begin)} to {_seconds(end)}"

    def _later(self, answer: Answer, due: int) -> str:
        """Describe a later event. The answers of a stream arrive in the order in which a member
        sent them, also if the watcher reads slowly."""
        if not isinstance(answer, Events) or not answer.changes:
            return ""
        earliest = self._times.earliest(answer.changes[-1].revision)
        if earliest is None or earliest[0] <= due:
            return ""
        return (
            f"an event of revision {answer.changes[-1].revision} arrived, whose write was invoked "
            f"at {_seconds(earliest[0])},"
        )

    def _undisturbed(self, node: str, begin: int, end: int) -> bool:
        """Whether no fault of the member was in force, and the harness recorded all the time."""
        hit = any(
            fault.begin <= end and (fault.end is None or fault.end >= begin)
            and (not fault.members or node in fault.members)
            for fault in self._faults
        )
        return not hit and self._recorded(begin, end)

    def _recorded(self, begin: int, end: int) -> bool:
        """Whether something was recorded again and again from `begin` to `end`.

        While the harness itself is busy, it records answers late.
        """
        if self._moments is None:
            return True
        first, last = bisect_left(self._moments, begin), bisect_right(self._moments, end)
        inside = [begin, *self._moments[first:last], end]
        return max(later - time for time, later in pairwise(inside)) < PAUSE_NS


def _times(stream: WatchStream) -> Iterator[tuple[int, Answer | None]]:
    """The answers from which on the watcher has certainly reached its start, with their times.

    The answer is None for the creation and for the end of the stream.
    """
    created = stream.created
    assert created is not None
    start = stream.request.start_revision
    reached = start <= created.revision
    if reached:
        yield created.time, None
    for answer in stream.answers:
        reached = reached or (isinstance(answer, Events | Progress) and answer.revision >= start)
        if reached:
            yield answer.time, answer
    if reached and stream.closed is not None:
        yield stream.closed.time, None


def _answer_times(streams: Sequence[WatchStream]) -> dict[int, list[int]]:
    """The times of all answers on each connection with several streams, ascending."""
    times: dict[int, list[int]] = defaultdict(list)
    for stream in streams:
        if stream.connection >= 0:
            times[stream.connection] += [answer.time for answer in stream.answers]
    return {connection: sorted(found) for connection, found in times.items()}


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.3f} s"
