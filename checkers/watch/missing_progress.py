"""Finds progress notifications that a member owed a watcher and did not send.

A notification means that the watcher has received all events up to a revision. A member owes a
notification in the two cases below. In both cases the watch must have been created, no fault may
hit the member, and its process must not have been restarted since the watch was opened. Partitions
and slow links are permitted, because a member notifies watchers of its own state.

*Periodically*, if the watch request has `progress_notify`. A member has a ticker for each stream,
whose interval etcd lengthens at random by up to a tenth. At each tick, the member notifies a
watcher that has received no events since the previous tick. So a notification is owed after a
silence of two intervals. The silence begins only after the watcher has certainly reached its start,
because etcd does not notify a watcher whose start is in the future.

A watcher that shares its connection may read slowly, and then records answers long after they were
sent. A silence on such a connection is an anomaly only if the whole connection was silent, or if
the silence ended with an event whose write was invoked after the notification was due.

*On request*, if the watch request has `ask_progress`, begins at its creation, and is alone on its
connection. The client sends the progress request right after the watch request. A member answers it
only if all watchers of the connection are synced. A watch that begins at its creation is synced
from the start. A watch that begins in the past is not synced at first. In newer releases of etcd, a
watch that begins in the future is not synced either, so both are not judged.

A watcher may read slowly. So a missing answer is an anomaly only in two cases:

- The watcher has read all answers, and has waited for the notification.
- The watcher received an event whose write was invoked after the notification was due.

Source: etcd's server/etcdserver/api/v3rpc/watch.go (`sendLoop`, `GetProgressReportInterval`) and
server/storage/mvcc/watchable_store.go (`progressIfSync`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from splitbrain.checkers.watch.compactions import Times
from splitbrain.checkers.watch.report import Report
from splitbrain.histories.fault_window import FaultWindow
from splitbrain.histories.watch import Answer, Cancelled, Events, Progress, WatchStream

MS = 1_000_000
LATE_NS = 5_000 * MS
"""How late a notification may be, because the machine is busy."""
LATE_IN_SIMULATION_NS = 1_000 * MS
"""How late a notification may be in virtual time. No machine is busy there, but a lost frame is
sent again after up to 800 ms."""
PAUSE_NS = 1_000 * MS
"""If nothing at all was recorded for this time, the harness itself may have been busy."""
INTERVALS = 2
JITTER = 1.1
HARMLESS = frozenset(("partition", "latency"))
"""Faults of links between members."""
WITHOUT_RESTART = HARMLESS | {"pause"}
"""Faults after which a member goes on to serve its connections."""


class OwedProgress:
    """Finds the progress notifications that members should have sent to watchers, and did not.

    `interval_ms` is the interval at which members notify watchers. If it is 0, the interval is
    unknown, and only answers to progress requests are judged. `times` are the times of the
    revisions. `moments` are the times of everything that was recorded, ascending, or None in
    virtual time. `streams` are all streams of the run. `owed` counts the notifications that were
    certainly due, whether they arrived or not.
    """

    def __init__(
        self,
        *,
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
        self._restarts = [fault for fault in faults if fault.f not in WITHOUT_RESTART]
        self.owed = 0

    def check(self, stream: WatchStream, name: str, report: Report) -> None:
        """Report progress notifications that `stream` should have received and did not receive.

        `name` describes the stream in messages.
        """
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
            if end <= due or not self._undisturbed(stream, begin, due):
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
        """Return whether nothing arrived on `connection` after `begin` and before `end`, in ns."""
        times = self._on_connection.get(connection, ())
        return bisect_right(times, begin) == bisect_left(times, end)

    def _check_requested(self, stream: WatchStream, name: str, report: Report) -> None:
        assert stream.created is not None
        created = stream.created.time
        due = created + self._late_ns
        if not self._undisturbed(stream, stream.opened, due):
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
        if end <= due or not self._undisturbed(stream, begin, due):
            return ""
        return f"nothing arrived from {_seconds(begin)} to {_seconds(end)}"

    def _later(self, answer: Answer, due: int) -> str:
        """Describe the event in `answer` if its write was invoked after `due`; otherwise return "".

        The answers of a stream arrive in the order in which the member sent them. If such an event
        arrives before a notification that was due at `due`, the member sent the notification too
        late.
        """
        if not isinstance(answer, Events) or not answer.changes:
            return ""
        earliest = self._times.earliest(answer.changes[-1].revision)
        if earliest is None or earliest[0] <= due:
            return ""
        return (
            f"an event of revision {answer.changes[-1].revision} arrived, whose write was invoked "
            f"at {_seconds(earliest[0])},"
        )

    def _undisturbed(self, stream: WatchStream, begin: int, end: int) -> bool:
        """Return whether no fault is an excuse for a silence of `stream` from `begin` to `end`.

        An excuse is a fault that hit the member meanwhile. Another excuse is a fault since the
        stream was opened that may have ended the member's process, because the stream ends with it.
        A client that reads slowly may notice this late. The harness must not have been busy. The
        times are in ns.
        """
        hit = _hit(self._faults, stream.node, begin, end) or _hit(
            self._restarts, stream.node, stream.opened, end
        )
        return not hit and self._recorded(begin, end)

    def _recorded(self, begin: int, end: int) -> bool:
        """Return whether something was recorded at short intervals from `begin` to `end`, in ns.

        If nothing was recorded for a while, the harness itself may have been busy, and may have
        recorded answers late.
        """
        if self._moments is None:
            return True
        first, last = bisect_left(self._moments, begin), bisect_right(self._moments, end)
        inside = [begin, *self._moments[first:last], end]
        return max(later - time for time, later in pairwise(inside)) < PAUSE_NS


def _hit(faults: Sequence[FaultWindow], node: str, begin: int, end: int) -> bool:
    return any(
        fault.overlaps(begin, end) and (not fault.members or node in fault.members)
        for fault in faults
    )


def _times(stream: WatchStream) -> Iterator[tuple[int, Answer | None]]:
    """Yield the times at which the stream was created, an answer arrived, and the stream ended.

    Each is a pair (time in ns, answer). The answer is None for the creation and for the end of the
    stream. Times before the watcher has certainly reached its start revision are left out.
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
    """Return the times in ns of all answers on each connection, ascending.

    The answer that confirms the creation of a watch is one of them. Connections with a single watch
    are left out.
    """
    times: dict[int, list[int]] = defaultdict(list)
    for stream in streams:
        if stream.connection >= 0:
            created = [stream.created] if stream.created is not None else []
            times[stream.connection] += [answer.time for answer in (*created, *stream.answers)]
    return {connection: sorted(found) for connection, found in times.items()}


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.3f} s"
