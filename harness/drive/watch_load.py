"""The watchers of a run. Each keeps one stream at a time, at changing members, and records it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.watch.expected_events import passes
from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.harness.schedule.watchers import ScheduledStream, ScheduledWatcher
from splitbrain.harness.systems.system import System
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Created,
    Events,
    Progress,
    WatchRecorder,
    WatchRequest,
)

LAST_EVENTS_TIMEOUT_S = 15.0
"""How long the watchers may take to receive the last events after the members agreed."""
POLL_S = 0.05
BACK_OFF_S = 0.1
"""The pause before the next stream if the last one received no answer."""


@runtime_checkable
class WatchingClient(Protocol):
    """A client that can watch."""

    def watch(self, url: str, request: WatchRequest) -> AsyncGenerator[WatchAnswer, None]:
        """The answers of a new stream. Raises OSError if the stream breaks or cannot be opened."""
        ...


class WatchLoad:
    """Runs all watchers of a run, each as a task.

    `finish` waits for the last events and then closes the streams; `close` does not wait.
    """

    def __init__(
        self,
        *,
        watchers: Sequence[ScheduledWatcher],
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
    ) -> None:
        self._recorder = recorder
        self._watchers = [
            _Watcher(
                number=number, schedule=scheduled, members=members, system=system,
                client=client, recorder=recorder,
            )
            for number, scheduled in enumerate(watchers)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(watcher.run(), name=f"watcher {watcher.number}")
            for watcher in self._watchers
        ]

    async def finish(self, states: Sequence[MemberState], agreed_revision: int | None) -> None:
        """Wait until each watcher has received its last events, then close the streams.

        A watcher must receive all changes in `states`, the members' final states, that match its
        request. The wait ends after `LAST_EVENTS_TIMEOUT_S`. If `agreed_revision` is None, because
        the members did not agree on a revision, the streams are closed at once.
        """
        for watcher in self._watchers:
            watcher.keep_streams()
        known = reference(states)
        if agreed_revision is not None and known is not None:
            deadline = asyncio.get_running_loop().time() + LAST_EVENTS_TIMEOUT_S
            while not all(one.received(known.changes) for one in self._watchers):
                if asyncio.get_running_loop().time() >= deadline:
                    break
                await asyncio.sleep(POLL_S)
            for watcher in self._watchers:
                watcher.agreed_revision = agreed_revision
        await self.close()

    async def close(self) -> None:
        """End every stream, and raise the first error of a watcher. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            while not task.done():
                await asyncio.wait([task])
        self._recorder.close()
        for task in tasks:
            if not task.cancelled() and (problem := task.exception()) is not None:
                raise problem


class _Watcher:
    """One watcher. It learns revisions only from the answers that it receives."""

    def __init__(
        self,
        *,
        number: int,
        schedule: ScheduledWatcher,
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
    ) -> None:
        self.number = number
        self.agreed_revision = 0
        self._schedule = schedule
        self._members = members
        self._system = system
        self._client = client
        self._recorder = recorder
        self._highest = 0
        self._next = 0
        """The revision from which the next stream resumes; 0 if nothing was received yet."""
        self._start = 0
        """The first revision of the present stream; 0 if no stream was created."""
        self._delivered = 0
        """The present stream has delivered all events up to this revision."""
        self._keeping = False
        self._hold: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Open the scheduled streams in turn, until cancelled."""
        count = 0
        while True:
            scheduled = self._schedule.streams[count % len(self._schedule.streams)]
            count += 1
            if not await self._run_stream(scheduled):
                await asyncio.sleep(BACK_OFF_S)

    def keep_streams(self) -> None:
        """From now on, keep the present stream. If it breaks, resume it."""
        self._keeping = True
        if self._hold is not None and not self._hold.expired():
            self._hold.reschedule(None)

    def received(self, changes: Sequence[Change]) -> bool:
        """Whether a stream is open and has received all of `changes` that match its request."""
        if not self._start:
            return False
        request = self._schedule.request
        for change in reversed(changes):
            if change.revision < self._start or change.revision <= self._delivered:
                return True
            if in_interval(change.key, request.key, request.range_end) and passes(request, change):
                return False
        return True

    async def _run_stream(self, scheduled: ScheduledStream) -> bool:
        """Run one stream until it ends. Returns whether it received an answer."""
        member = self._members[scheduled.member % len(self._members)]
        request = msgspec.structs.replace(
            self._schedule.request,
            start_revision=self._start_of(scheduled),
            ask_progress=scheduled.ask_progress and not self._keeping,
        )
        number = self._recorder.open_stream(self.number, member, request)
        answers = self._client.watch(self._system.address(member).client_url, request)
        why = "ended by the member"
        answered = False
        try:
            async with asyncio.timeout(None if self._keeping else scheduled.hold_us / 1e6) as hold:
                self._hold = hold
                async for answer in answers:
                    answered = True
                    self._record_answer(number, request, answer)
                    if answer.cancelled:
                        why = "cancelled"
                        break
        except TimeoutError:
            why = "reconnects"
        except OSError as problem:
            why = str(problem) or type(problem).__name__
        except asyncio.CancelledError:
            why = "end"
            raise
        finally:
            self._hold = None
            self._start = 0
            await answers.aclose()
            agreed_revision = self.agreed_revision if why == "end" else 0
            self._recorder.write(Closed(self._recorder.now(), number, why, agreed_revision))
        return answered

    def _start_of(self, scheduled: ScheduledStream) -> int:
        start = "resume" if self._keeping else scheduled.start
        match start:
            case "resume":
                return self._next
            case "past":
                return max(1, self._highest - scheduled.distance)
            case "future":
                return self._highest + scheduled.distance
            case "first":
                return 1
        return 0

    def _record_answer(self, number: int, request: WatchRequest, answer: WatchAnswer) -> None:
        now = self._recorder.now()
        self._highest = max(self._highest, answer.revision)
        if answer.created and not answer.cancelled:
            self._recorder.write(Created(now, number, answer.revision))
            self._start = request.start_revision or answer.revision + 1
            self._delivered = 0
            self._next = self._next or self._start
        elif answer.cancelled:
            self._recorder.write(Cancelled(now, number, answer.compact_revision, answer.reason))
            # After a compaction, this is the oldest revision from which a watch can start.
            self._next = answer.compact_revision or self._next
        elif answer.changes:
            self._recorder.write(Events(
                time=now, stream=number, revision=answer.revision, changes=answer.changes,
                previous=answer.previous, fragment=answer.fragment,
            ))
            last = answer.changes[-1].revision
            self._delivered = last - 1 if answer.fragment else last
            self._next = self._delivered + 1
        else:
            self._recorder.write(Progress(now, number, answer.revision))
            self._delivered = max(self._delivered, answer.revision)
            self._next = max(self._next, answer.revision + 1)
