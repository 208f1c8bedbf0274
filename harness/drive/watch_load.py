"""The watchers of a run, beside its load: streams at one member after the other, all recorded."""

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

SETTLE_TIMEOUT_S = 15.0
"""How long after all members agreed the last events may take to reach every watcher."""
POLL_S = 0.05
BACK_OFF_S = 0.1
"""Before a stream is opened again where the one before got nothing."""


@runtime_checkable
class WatchingClient(Protocol):
    def watch(self, url: str, request: WatchRequest) -> AsyncGenerator[WatchAnswer, None]:
        """Raises OSError when the stream breaks off, or cannot be had."""
        ...


class WatchLoad:
    """`run` until cancelled; `finish` near the end, to give what is on its way its time."""

    def __init__(
        self,
        watchers: Sequence[ScheduledWatcher],
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
    ) -> None:
        self._recorder = recorder
        self._watchers = [
            _Watcher(number, scheduled, members, system, client, recorder)
            for number, scheduled in enumerate(watchers)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(watcher.run(), name=f"watcher {watcher.number}")
            for watcher in self._watchers
        ]

    async def finish(self, states: Sequence[MemberState], settled: int | None) -> None:
        """Wait until each watcher was sent all that `states` say it should, or long enough;
        then close the streams. `settled`: the revision that all members agreed on."""
        for watcher in self._watchers:
            watcher.stay()
        known = reference(states)
        if settled is not None and known is not None:
            deadline = asyncio.get_running_loop().time() + SETTLE_TIMEOUT_S
            while not all(one.has_all(known.changes) for one in self._watchers):
                if asyncio.get_running_loop().time() >= deadline:
                    break
                await asyncio.sleep(POLL_S)
            for watcher in self._watchers:
                watcher.settled = settled
        await self.close()

    async def close(self) -> None:
        """Ends every stream. Safe to call twice; raises what a watcher failed with."""
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
    """One watcher, and what it knows of revisions from its answers alone."""

    def __init__(
        self,
        number: int,
        schedule: ScheduledWatcher,
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
    ) -> None:
        self.number = number
        self.settled = 0
        self._schedule = schedule
        self._members = members
        self._system = system
        self._client = client
        self._recorder = recorder
        self._highest = 0
        self._next = 0
        """Where to resume; 0: nothing was seen yet."""
        self._start = 0
        """The first revision that the present stream is for; 0 while there is none."""
        self._delivered = 0
        self._staying = False
        self._hold: asyncio.Timeout | None = None

    async def run(self) -> None:
        count = 0
        while True:
            planned = self._schedule.streams[count % len(self._schedule.streams)]
            count += 1
            if not await self._follow(planned):
                await asyncio.sleep(BACK_OFF_S)

    def stay(self) -> None:
        """Give up no stream any more; one that breaks off is resumed."""
        self._staying = True
        if self._hold is not None and not self._hold.expired():
            self._hold.reschedule(None)

    def has_all(self, changes: Sequence[Change]) -> bool:
        """Whether a stream is open that was sent all of `changes` that it is for."""
        if not self._start:
            return False
        request = self._schedule.request
        for change in reversed(changes):
            if change.revision < self._start or change.revision <= self._delivered:
                return True
            if in_interval(change.key, request.key, request.range_end) and passes(request, change):
                return False
        return True

    async def _follow(self, planned: ScheduledStream) -> bool:
        """One stream from its opening to its end; whether anything was answered."""
        member = self._members[planned.member % len(self._members)]
        request = msgspec.structs.replace(
            self._schedule.request,
            start_revision=self._start_of(planned),
            ask_progress=planned.ask_progress and not self._staying,
        )
        number = self._recorder.open_stream(self.number, member, request)
        answers = self._client.watch(self._system.address(member).client_url, request)
        why = "ended by the member"
        answered = False
        try:
            async with asyncio.timeout(None if self._staying else planned.hold_us / 1e6) as hold:
                self._hold = hold
                async for answer in answers:
                    answered = True
                    self._take(number, request, answer)
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
            settled = self.settled if why == "end" else 0
            self._recorder.write(Closed(self._recorder.now(), number, why, settled))
        return answered

    def _start_of(self, planned: ScheduledStream) -> int:
        start = "resume" if self._staying else planned.start
        match start:
            case "resume":
                return self._next
            case "past":
                return max(1, self._highest - planned.distance)
            case "future":
                return self._highest + planned.distance
            case "first":
                return 1
        return 0

    def _take(self, number: int, request: WatchRequest, answer: WatchAnswer) -> None:
        now = self._recorder.now()
        self._highest = max(self._highest, answer.revision)
        if answer.created and not answer.cancelled:
            self._recorder.write(Created(now, number, answer.revision))
            self._start = request.start_revision or answer.revision + 1
            self._delivered = 0
            self._next = self._next or self._start
        elif answer.cancelled:
            self._recorder.write(Cancelled(now, number, answer.compact_revision, answer.reason))
            # The oldest revision that can still be watched.
            self._next = answer.compact_revision or self._next
        elif answer.changes:
            self._recorder.write(Events(
                now, number, answer.revision, answer.changes, answer.previous, answer.fragment
            ))
            last = answer.changes[-1].revision
            self._delivered = last - 1 if answer.fragment else last
            self._next = self._delivered + 1
        else:
            self._recorder.write(Progress(now, number, answer.revision))
            self._delivered = max(self._delivered, answer.revision)
            self._next = max(self._next, answer.revision + 1)
