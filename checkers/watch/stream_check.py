"""Compares one stream of a watch with the events that it should contain.

Normally the received events are a contiguous part of the expected events, and one comparison of
lists shows this. Otherwise `Explained` examines each event.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.watch import descriptions
from splitbrain.checkers.watch.compactions import Compactions, Times
from splitbrain.checkers.watch.expected_events import UNKNOWN, Selection, Truth, passes
from splitbrain.checkers.watch.fragments import check_fragments
from splitbrain.checkers.watch.refusal import was_not_permitted
from splitbrain.checkers.watch.report import Report
from splitbrain.checkers.watch.wrong_prev_kv import facts_of
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import Cancelled, Events, Progress, WatchStream


def start_of(stream: WatchStream) -> int:
    """Return the first revision whose events the stream should contain, or 0 if it is unknown.

    It is unknown if the watch was not created and the request names no revision.
    """
    if stream.request.start_revision > 0:
        return stream.request.start_revision
    return stream.created.revision + 1 if stream.created is not None else 0


class StreamCheck:
    """Judges one stream of a watch. `run` passes each anomaly to `report`."""

    def __init__(
        self,
        *,
        stream: WatchStream,
        truth: Truth,
        compactions: Compactions,
        times: Times,
        report: Report,
    ) -> None:
        self._stream = stream
        self._truth = truth
        self._compactions = compactions
        self._times = times
        self._report = report
        self._request = stream.request
        self._start = start_of(stream)
        self.name = (
            f"watcher {stream.watcher} on {stream.node} (stream {stream.number}, "
            f"{descriptions.request(stream.request)})"
        )
        self.events = 0
        self.progress = 0
        self._false_progress = False
        """True if a progress notification was false. If so, no notification is relied on."""
        self.unlogged = 0
        """The number of events of revisions that are in no member's change log."""

    def run(self) -> None:
        """Judge the stream, and report its anomalies."""
        stream = self._stream
        for stray in stream.strays:
            self._report(
                "stray answer",
                f"the connection of {self.name} carried, at {wording.seconds(stray.time)}, an "
                f"answer of revision {stray.revision} for watch id {stray.watch_id}, which no "
                "watch of the connection has", stray.revision,
            )
        if stream.created is None:
            if stream.answers and not was_not_permitted(stream):
                self._report(
                    "answer before creation",
                    f"{self.name} received an answer at {wording.seconds(stream.answers[0].time)} "
                    "before the creation of the watch was confirmed", 0,
                )
            return
        selection = self._truth.selection(self._request)
        low = bisect_left(selection.revisions, self._start)
        batches = [answer for answer in stream.answers if isinstance(answer, Events)]
        received = [change for batch in batches for change in batch.changes]
        self.events = len(received)
        if received and not self._truth.logged(received[0].revision):
            self.unlogged = sum(not self._truth.logged(one.revision) for one in received)
        if received == selection.changes[low : low + len(received)]:
            self._walk(selection, low)
        else:
            Explained(self, selection, low).run()
        self._check_times(batches)
        check_fragments(self._stream, self.name, self._report)
        self._check_compaction()

    # --- received as expected

    def _walk(self, selection: Selection, place: int) -> None:
        """Check each answer of a stream that received exactly the expected events.

        `place` is the index in `selection` of the first event of the stream.
        """
        revisions = selection.revisions
        ended: Cancelled | None = None
        for answer in self._stream.answers:
            if isinstance(answer, Events):
                self.check_batch(answer, ended)
                end = place + len(answer.changes)
                if self._request.prev_kv or answer.previous:
                    self._check_previous(answer, selection.places[place:end])
                place = end
                if (
                    0 < place < len(revisions)
                    and revisions[place] == revisions[place - 1]
                    and not answer.fragment
                    and self._truth.logged(revisions[place])
                ):
                    self._split(answer)
            elif isinstance(answer, Progress):
                self.progress += 1
                next_one = revisions[place] if place < len(revisions) else None
                self.check_progress(answer, next_one, selection.changes[place : place + 1])
            else:
                ended = answer
                self.check_cancel(answer)
        if ended is None:
            self.check_end(selection, place)

    def _split(self, batch: Events) -> None:
        revision = batch.changes[-1].revision
        self._report(
            "split transaction",
            f"{self.name} received, at {wording.seconds(batch.time)}, an answer that ends within "
            f"revision {revision}, after {wording.change(batch.changes[-1])}, "
            "and is not a fragment",
            revision,
        )

    def check_batch(self, batch: Events, ended: Cancelled | None) -> None:
        """Check that the revision in an answer's header is at least that of its last event.

        `ended` is the cancellation of the watch before this answer, or None. Events after a
        cancellation are reported.
        """
        last = batch.changes[-1].revision if batch.changes else 0
        if batch.revision and batch.revision < last:
            self._report(
                "wrong header",
                f"{self.name} received events up to revision {last} at "
                f"{wording.seconds(batch.time)} in an answer whose header has revision "
                f"{batch.revision}", last,
            )
        if ended is not None:
            self._report(
                "event after cancel",
                f"{self.name} received revision {last} at {wording.seconds(batch.time)}, after "
                f"the watch was cancelled at {wording.seconds(ended.time)}", last,
            )

    def _check_previous(self, batch: Events, places: Sequence[int]) -> None:
        previous = self._truth.previous
        expected = tuple([previous[place] for place in places])
        if self._request.prev_kv and batch.previous == expected:
            return
        for number, held in enumerate(expected):
            self.check_previous_of(batch, number, held)

    def check_previous_of(
        self, batch: Events, number: int, expected: KeyValue | None
    ) -> None:
        """Report a wrong previous key-value of the event `number` of the answer `batch`.

        `expected` is the right previous key-value, or None if the key was absent.
        """
        given = batch.previous[number] if batch.previous else None
        change = batch.changes[number]
        if not self._request.prev_kv:
            expected = None
        if expected is UNKNOWN or given == expected:
            return
        if given is None and self._compactions.may_have_reached(change.revision, batch.time):
            return  # the revision before may be compacted; then a member leaves prev_kv out
        self._report(
            "wrong prev_kv",
            f"{self.name} received {wording.change(change)} of revision {change.revision} at "
            f"{wording.seconds(batch.time)} with prev_kv {descriptions.pair(given)}, expected "
            f"{descriptions.pair(expected)}", change.revision,
            **facts_of(self._stream, batch, given),
        )

    def lost(self, changes: Sequence[Change], how: str) -> None:
        """Report that the stream did not receive `changes`. `how` is the end of the sentence."""
        first = changes[0].revision
        deletes = all(
            one.kind == "delete" and self._compactions.requested(one.revision) for one in changes
        )
        self._report(
            "lost event",
            f"{self.name} never received {descriptions.events(changes)}, {how}", first,
            only_deletes_compacted_at=deletes, from_lost_revision=self._start == first,
        )

    # --- answers between events

    def check_progress(
        self, progress: Progress, missing: int | None, changes: Sequence[Change]
    ) -> None:
        """Report a progress notification that was sent too early, or for a future revision.

        A notification is too early if an event up to the notified revision had not been sent. It is
        also too early if the notified revision is before the start of the watch. `changes` contains
        the next event that had not been sent, and `missing` is the revision of this event (None:
        all were sent).
        """
        if missing is not None and missing <= progress.revision and missing >= self._start:
            self._false_progress = True
            self._report(
                "false progress",
                f"{self.name} was notified at {wording.seconds(progress.time)} of progress up "
                f"to revision {progress.revision}, but {wording.changes(changes)} of revision "
                f"{missing} had not been sent", missing, whole=progress.whole, beyond_end=False,
            )
        start = self._request.start_revision
        # The request that a notification of the whole connection answers may have been sent before
        # this watch was requested.
        earlier = progress.whole and self._request.later_us
        if progress.revision < start - 1 and not earlier:
            self._report(
                "early progress",
                f"{self.name} was notified at {wording.seconds(progress.time)} of progress up "
                f"to revision {progress.revision}, but it starts at revision {start}; a client "
                "that resumed after the notification would receive earlier events",
                progress.revision,
            )
        if self._truth.final and progress.revision > self._truth.last:
            self._report(
                "false progress",
                f"{self.name} was notified at {wording.seconds(progress.time)} of progress up "
                f"to revision {progress.revision}; the members end at {self._truth.last}",
                progress.revision, whole=progress.whole, beyond_end=True,
            )

    def check_cancel(self, cancelled: Cancelled) -> None:
        """Report a cancellation of the watch that no compaction explains.

        A compaction explains the cancellation if it removed events that the watch had not received
        yet.
        """
        revision = cancelled.compact_revision
        if not revision:
            return  # the member ended the watch for another reason, as if the connection broke
        how = f"at {wording.seconds(cancelled.time)} with compact_revision {revision}"
        if not self._compactions.invoked(revision, cancelled.time):
            self._report(
                "false cancel",
                f"{self.name} was cancelled {how}, but no such compaction had been invoked",
                revision,
            )
            return
        reached = self._start
        for answer in self._stream.answers:
            if isinstance(answer, Events) and answer.changes:
                reached = max(reached, answer.changes[-1].revision + 1)
            elif isinstance(answer, Progress) and not self._false_progress:
                reached = max(reached, answer.revision + 1)
        if reached >= revision:
            self._report(
                "false cancel",
                f"{self.name} was cancelled {how}, but all events that it had not received "
                f"are of revision {reached} or later", revision,
            )

    def check_end(self, selection: Selection, place: int) -> None:
        """Check that a stream that was open to the end of the run has received all events.

        The events are those in `selection`. `place` is the index of the first one that was not
        received.
        """
        closed = self._stream.closed
        if closed is None or not closed.settled:
            return
        lost = selection.changes[place : bisect_right(selection.revisions, closed.settled)]
        if lost:
            self.lost(
                lost,
                f"although it was open until {wording.seconds(closed.time)}, long after all "
                f"members were at revision {closed.settled}",
            )

    # --- compared with the rest of the run

    def _check_times(self, batches: Sequence[Events]) -> None:
        """Report an event that arrived before the invocation of its write."""
        for batch in batches:
            if not batch.changes:
                continue
            revision = batch.changes[-1].revision
            earliest = self._times.earliest(revision)
            if earliest is not None and batch.time < earliest[0]:
                call, writer = earliest
                self._report(
                    "event from the future",
                    f"{self.name} received revision {revision} at {wording.seconds(batch.time)}; "
                    f"{wording.operation(writer)} made this revision or an earlier one, but was "
                    f"invoked at {wording.seconds(call)}", revision,
                )
                return

    def _check_compaction(self) -> None:
        """Report a watch that was not cancelled, although its start revision was compacted."""
        created = self._stream.created
        assert created is not None
        compaction = self._compactions.done_before(created.revision)
        if compaction is None or not self._request.start_revision:
            return
        if self._start >= compaction.revision:
            return
        answers = self._stream.answers
        if not answers:
            closed = self._stream.closed
            if closed is None or not closed.settled:
                return  # the stream ended before the member had to answer
            answer = "it received no answer to the end of the run"
        elif isinstance(answers[0], Cancelled):
            return
        elif isinstance(answers[0], Progress):
            return  # if events are missing, the false progress is reported
        else:
            answer = f"it received events at {wording.seconds(answers[0].time)}"
        self._report(
            "missed compaction",
            f"{self.name} starts before revision {compaction.revision}, to which "
            f"{wording.operation(compaction.operation)} had compacted at revision "
            f"{compaction.answered}; {self._stream.node} was at {created.revision} and did not "
            f"cancel the watch: {answer}", compaction.revision,
        )


class Explained:
    """Compares the received events one by one with the expected events, if the lists differ."""

    def __init__(self, check: StreamCheck, selection: Selection, low: int) -> None:
        self._check = check
        self._stream = check._stream
        self._truth = check._truth
        self._request = check._request
        self._start = check._start
        self._name = check.name
        self._report = check._report
        self._selection = selection
        self._place = low
        """The index in the selection of the next expected event."""
        self._sent: set[int] = set()
        """The indexes of the expected events that were received."""
        self._skipped: dict[int, int] = {}
        """The indexes of the skipped expected events, with the time of the later event."""

    def run(self) -> None:
        """Compare each received event with the expected events, and report each difference."""
        ended: Cancelled | None = None
        for answer in self._stream.answers:
            if isinstance(answer, Events):
                self._check.check_batch(answer, ended)
                for number, change in enumerate(answer.changes):
                    self._compare(answer, number, change)
                self._look_for_split(answer)
            elif isinstance(answer, Progress):
                self._check.progress += 1
                revisions = self._selection.revisions
                place = self._place
                next_one = revisions[place] if place < len(revisions) else None
                changes = self._selection.changes[place : place + 1]
                self._check.check_progress(answer, next_one, changes)
            else:
                ended = answer
                self._check.check_cancel(answer)
        self._report_lost()
        if ended is None:
            self._check.check_end(self._selection, self._place)

    def _compare(self, batch: Events, number: int, change: Change) -> None:
        place = self._find(change)
        if place is None:
            self._unexpected(batch, change)
            return
        expected = self._selection.changes[place]
        if change != expected:
            self._report(
                "wrong event",
                f"{self._name} received {wording.change(change)} of revision {change.revision} at "
                f"{wording.seconds(batch.time)}; the change log has {wording.change(expected)}",
                change.revision,
            )
        elif self._request.prev_kv or batch.previous:
            previous = self._truth.previous[self._selection.places[place]]
            self._check.check_previous_of(batch, number, previous)
        if place in self._sent:
            self._report(
                "duplicated event",
                f"{self._name} received {wording.change(change)} of revision {change.revision} "
                f"again at {wording.seconds(batch.time)}", change.revision,
            )
        elif place < self._place:
            self._late(batch, place, change)
        else:
            for skipped in range(self._place, place):
                self._skipped[skipped] = batch.time
            self._place = place + 1
        self._sent.add(place)

    def _late(self, batch: Events, place: int, change: Change) -> None:
        self._skipped.pop(place, None)
        revisions = self._selection.revisions
        before = revisions[self._place - 1]
        if before == change.revision and not self._truth.logged(before):
            return  # the order within this revision is unknown
        self._report(
            "reordered event",
            f"{self._name} received {wording.change(change)} of revision {change.revision} at "
            f"{wording.seconds(batch.time)}, after {wording.change(self._previous_sent())} of "
            f"revision {before}", change.revision,
        )

    def _previous_sent(self) -> Change:
        return self._selection.changes[self._place - 1]

    def _find(self, change: Change) -> int | None:
        """Return the index of the expected event with the key and revision of `change`, or None."""
        selection = self._selection
        if change.revision < self._start:
            return None
        place = bisect_left(selection.revisions, change.revision)
        found = None
        while place < len(selection.revisions) and selection.revisions[place] == change.revision:
            one = selection.changes[place]
            if one.key == change.key:
                if one == change and place not in self._sent:
                    return place
                found = place if found is None or one == change else found
            place += 1
        return found

    def _unexpected(self, batch: Events, change: Change) -> None:
        what = f"{wording.change(change)} of revision {change.revision}"
        received = f"{self._name} received {what} at {wording.seconds(batch.time)}"
        request = self._request
        if change.revision < self._start:
            kind, why = "event before start", f"but started at revision {self._start}"
        elif not in_interval(change.key, request.key, request.range_end):
            kind, why = "foreign event", f"and {change.key} is not in its interval"
        elif not passes(request, change):
            kind, why = "filter leak", f"although it filters {change.kind}s"
        elif self._truth.logged(change.revision):
            kind, why = "phantom event", "which is not in the change log"
        else:
            return
        assert self._stream.created is not None
        start = request.start_revision
        self._report(
            kind, f"{received}, {why}", change.revision, from_now=not start,
            future=start > self._stream.created.revision,
        )

    def _look_for_split(self, batch: Events) -> None:
        """Report `batch` if the events of its last revision continue in a later answer."""
        if not batch.changes or batch.fragment:
            return
        place, revisions = self._place, self._selection.revisions
        last = batch.changes[-1].revision
        if not 0 < place < len(revisions) or not self._truth.logged(last):
            return
        if not revisions[place - 1] == revisions[place] == last:
            return
        rest = self._selection.changes[place]
        for answer in self._stream.answers:
            if (
                isinstance(answer, Events) and answer.time >= batch.time and answer is not batch
                and rest in answer.changes
            ):
                self._check._split(batch)
                return

    def _report_lost(self) -> None:
        lost = sorted(self._skipped)
        if not lost:
            return
        changes = [self._selection.changes[place] for place in lost]
        after = self._skipped[lost[0]]
        self._check.lost(changes, f"but received a later event at {wording.seconds(after)}")
