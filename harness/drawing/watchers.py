"""Draws the watchers of a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from splitbrain.harness.schedule.watchers import ScheduledStream, ScheduledWatcher, Start
from splitbrain.histories.random_stream import stream
from splitbrain.histories.watch import WatchRequest

HOLD_MEAN_S = 1.5
"""The mean time for which a watcher keeps a stream before it opens the next one."""
STREAMS_MIN = 8
DISTANCE_MAX = 300
FUTURE_DISTANCE_MAX = 50
ASK_PROGRESS_SHARE = 0.3

STARTS: tuple[tuple[Start, int], ...] = (
    ("resume", 50), ("now", 10), ("past", 20), ("future", 12), ("first", 8)
)
"""The possible starts of a stream, with the weight of each."""


@runtime_checkable
class WatchingWorkload(Protocol):
    """A workload that has watchers besides its clients."""

    checkers: ClassVar[Sequence[str]]
    watchers: int
    """The number of watchers."""

    def watch(self, random: Random, watcher: int) -> WatchRequest:
        """The request of watcher number `watcher`, with `start_revision` 0.

        If the request has `ask_progress`, some of the watcher's streams ask for progress.
        """
        ...


def draw_watchers(
    seed: int, workload: object, members: int, time_limit_ms: int
) -> tuple[ScheduledWatcher, ...]:
    """The watchers of `workload`; () for a workload without watchers."""
    if not isinstance(workload, WatchingWorkload):
        return ()
    count = max(STREAMS_MIN, round(2 * time_limit_ms / 1000 / HOLD_MEAN_S))
    watchers = []
    for watcher in range(workload.watchers):
        random = stream(seed, "watcher", watcher)
        request = workload.watch(random, watcher)
        streams = tuple(
            _draw_stream(random, members, ask_progress=request.ask_progress)
            for _ in range(count)
        )
        plain = msgspec.structs.replace(request, ask_progress=False)
        watchers.append(ScheduledWatcher(plain, streams))
    return tuple(watchers)


def _draw_stream(random: Random, members: int, *, ask_progress: bool) -> ScheduledStream:
    start = random.choices([name for name, _ in STARTS], [weight for _, weight in STARTS])[0]
    distance = 0
    if start == "past":
        distance = random.randrange(1, DISTANCE_MAX)
    elif start == "future":
        distance = random.randrange(1, FUTURE_DISTANCE_MAX)
    return ScheduledStream(
        member=random.randrange(members),
        start=start,
        hold_us=round(random.expovariate(1 / HOLD_MEAN_S) * 1e6),
        distance=distance,
        ask_progress=ask_progress and random.random() < ASK_PROGRESS_SHARE,
    )
