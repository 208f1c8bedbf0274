"""One watcher of a run, which records the answers on one connection at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.watch.expected_events import passes
from splitbrain.harness.clients.watch_codec import NO_WATCH, WatchAnswer, WatchPlaces
from splitbrain.harness.drive.sent_compactions import SentCompactions
from splitbrain.harness.drive.watch_list import KeyList, ReadingClient, read_list
from splitbrain.harness.schedule.watchers import ScheduledStream, ScheduledWatcher, Start
from splitbrain.harness.systems.system import System
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Created,
    Events,
    Listed,
    Progress,
    Stray,
    WatchRecorder,
    WatchRequest,
)

BACK_OFF_S = 0.1
"""The pause before the next connection if the last connection received no answer."""


@runtime_checkable
class WatchingClient(ReadingClient, Protocol):
    """A client that can open watches."""

    def watch(
        self, url: str, requests: Sequence[WatchRequest], *, small_buffers: bool = False
    ) -> AsyncGenerator[WatchAnswer, None]:
        """Open the watches `requests` on a new connection, and yield their answers.

        With `small_buffers`, few answers wait between the member and the client. Raises OSError if
        the connection breaks or cannot be opened.
        """
        ...


class _Watch:
    """One watch of a watcher, over all connections on which it was opened."""

    def __init__(self, request: WatchRequest) -> None:
        self.request = request
        self.number = 0
        """The number of the watch's present stream."""
        self._next = 0
        """The revision from which the next stream resumes; 0 if nothing was received yet."""
        self._start = 0
        """The first revision of the present stream; 0 if the member has not created one."""
        self._delivered = 0
        """The highest revision up to which the present stream has delivered all events."""
        self._sent = request

    def resumed(
        self, start: int | None, *, ask_progress: bool, ask_every_us: int, keeping: bool
    ) -> WatchRequest:
        """Return the request that opens this watch on the next stream.

        It begins at revision `start` or, if that is None, after the last event received. A request
        may ask to open the watch later, or to cancel it. If `keeping` is True, the watch is opened
        at once and never cancelled by the client.
        """
        self._start = 0
        request = self.request
        if keeping:
            request = msgspec.structs.replace(request, cancel=False, later_us=0)
        self._sent = msgspec.structs.replace(
            request, start_revision=self._next if start is None else start,
            ask_progress=ask_progress, ask_every_us=ask_every_us,
        )
        return self._sent

    def end(self) -> None:
        self._start = 0

    def received(self, changes: Sequence[Change]) -> bool:
        """Return whether the stream is open and has delivered all of `changes` that match.

        A change matches if the watch's request selects it.
        """
        if not self._start:
            return False
        request = self.request
        for change in reversed(changes):
            if change.revision < self._start or change.revision <= self._delivered:
                return True
            if in_interval(change.key, request.key, request.range_end) and passes(request, change):
                return False
        return True

    def record(self, answer: WatchAnswer, recorder: WatchRecorder, *, whole: bool) -> None:
        """Record `answer`, which belongs to this watch.

        If `whole` is True, the answer belongs to all watches of the connection.
        """
        now, number = recorder.now(), self.number
        if answer.created and not answer.cancelled:
            recorder.write(Created(now, number, answer.revision, answer.watch_id))
            self._start = self._sent.start_revision or answer.revision + 1
            self._delivered = 0
            self._next = self._next or self._start
        elif answer.cancelled:
            recorder.write(Cancelled(now, number, answer.compact_revision, answer.reason))
            # After a compaction, this is the oldest revision at which a watch can start.
            self._next = answer.compact_revision or self._next
            self._start = 0
        elif answer.changes:
            recorder.write(Events(
                time=now, stream=number, revision=answer.revision, changes=answer.changes,
                previous=answer.previous, fragment=answer.fragment,
            ))
            last = answer.changes[-1].revision
            self._delivered = last - 1 if answer.fragment else last
            self._next = self._delivered + 1
        else:
            recorder.write(Progress(now, number, answer.revision, whole))
            self._delivered = max(self._delivered, answer.revision)
            self._next = max(self._next, answer.revision + 1)


class Watcher:
    """One watcher, which opens the scheduled connections one after the other.

    It learns revisions only from the answers that it receives, and from the compactions that
    clients send.
    """

    def __init__(
        self,
        *,
        number: int,
        schedule: ScheduledWatcher,
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
        compactions: SentCompactions,
    ) -> None:
        self.number = number
        self.agreed_revision = 0
        self._schedule = schedule
        self._members = members
        self._system = system
        self._client = client
        self._recorder = recorder
        self._compactions = compactions
        self._watches = [_Watch(one) for one in (schedule.request, *schedule.others)]
        self._cancelled: set[int] = set()
        """The positions of the watches that the member has cancelled on this connection."""
        self._highest = 0
        self._keeping = False
        self._slow = False
        """Whether the watcher reads slowly from the present connection."""
        self._hold: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Open the scheduled connections one after the other, until the task is cancelled."""
        count = 0
        while True:
            scheduled = self._schedule.streams[count % len(self._schedule.streams)]
            count += 1
            if not await self._run_connection(scheduled):
                await asyncio.sleep(BACK_OFF_S)

    def keep_streams(self) -> None:
        """From now on, keep the connection, and read without pauses.

        All watches are resumed on another connection in three cases:
        - the present connection breaks;
        - the member has cancelled a watch;
        - the watcher has read slowly from the present connection.
        """
        self._keeping = True
        if self._hold is not None and not self._hold.expired():
            now_s = asyncio.get_running_loop().time()
            self._hold.reschedule(now_s if self._cancelled or self._slow else None)

    def received(self, changes: Sequence[Change]) -> bool:
        """Return whether each watch is open and has delivered all of `changes` that match it."""
        return all(watch.received(changes) for watch in self._watches)

    async def _run_connection(self, scheduled: ScheduledStream) -> bool:
        """Keep one connection until it ends.

        Returns whether the watcher received an answer on the connection.
        """
        member = self._members[scheduled.member % len(self._members)]
        url = self._system.address(member).client_url
        starts, listed, began = self._starts(scheduled), None, self._recorder.now()
        if scheduled.start == "list" and not self._keeping:
            request = self._watches[0].request
            listed = await read_list(self._client, url, request, scheduled.page)
            if listed is None:
                return False
            starts = [listed.revision + 1] * len(starts)
        ask_progress = scheduled.ask_progress and not self._keeping
        ask_every_us = 0 if self._keeping else scheduled.ask_every_us
        requests = [
            one.resumed(
                start, ask_progress=ask_progress, ask_every_us=ask_every_us, keeping=self._keeping
            )
            for one, start in zip(self._watches, starts, strict=True)
        ]
        numbers = self._recorder.open_streams(self.number, member, requests)
        for watch, number in zip(self._watches, numbers, strict=True):
            watch.number = number
        if listed is not None:
            self._record_list(numbers[0], began, listed)
        self._slow = bool(scheduled.pause_us) and not self._keeping
        answers = self._client.watch(url, requests, small_buffers=self._slow)
        why = "ended by the member"
        answered = False
        self._cancelled.clear()
        loop = asyncio.get_running_loop()
        slow_until_s = loop.time() + scheduled.hold_us / 2e6
        try:
            async with asyncio.timeout(None if self._keeping else scheduled.hold_us / 1e6) as hold:
                self._hold = hold
                places = WatchPlaces(len(requests))
                async for answer in answers:
                    answered = True
                    self._record_answer(places, answer)
                    if self._cancelled and (self._keeping or not self._open_watches):
                        why = "cancelled"
                        break
                    if self._slow and not self._keeping and loop.time() < slow_until_s:
                        await asyncio.sleep(scheduled.pause_us / 1e6)
        except TimeoutError:
            why = "reconnects"
        except OSError as problem:
            why = str(problem) or type(problem).__name__
        except asyncio.CancelledError:
            why = "end"
            raise
        finally:
            self._hold = None
            for watch in self._watches:
                watch.end()
            await answers.aclose()
            agreed_revision = self.agreed_revision if why == "end" else 0
            for number in numbers:
                self._recorder.write(Closed(self._recorder.now(), number, why, agreed_revision))
        return answered

    @property
    def _open_watches(self) -> int:
        return len(self._watches) - len(self._cancelled)

    def _starts(self, scheduled: ScheduledStream) -> list[int | None]:
        """Return the revision at which each watch of the next connection starts.

        None means that the watch continues after the last event that it received.
        """
        if self._keeping:
            return [None] * len(self._watches)
        usual = self._start_of(scheduled.start, scheduled.distance)
        if scheduled.other_start is None:
            return [usual] * len(self._watches)
        other = self._start_of(scheduled.other_start, scheduled.other_distance)
        return [other if place % 2 else usual for place in range(len(self._watches))]

    def _start_of(self, start: Start, distance: int) -> int | None:
        match start:
            case "resume":
                return None
            case "past":
                return max(1, self._highest - distance)
            case "future":
                return self._highest + distance
            case "compacted":
                return max(1, self._compactions.highest + distance)
            case "first":
                return 1
        return 0

    def _record_list(self, number: int, began: int, listed: KeyList) -> None:
        self._recorder.write(Listed(
            time=self._recorder.now(), stream=number, began=began, revision=listed.revision,
            kvs=listed.kvs,
        ))

    def _record_answer(self, places: WatchPlaces, answer: WatchAnswer) -> None:
        self._highest = max(self._highest, answer.revision)
        found = places.of(answer)
        # A member may report progress for the whole connection before it confirms a watch.
        progress = answer.watch_id == NO_WATCH and not (answer.created or answer.changes)
        if not found and not progress and not places.is_cancelled_again(answer):
            first = self._watches[0].number
            self._recorder.write(
                Stray(self._recorder.now(), first, answer.watch_id, answer.revision)
            )
        for place in found:
            self._watches[place].record(answer, self._recorder, whole=progress)
            if answer.cancelled:
                self._cancelled.add(place)
