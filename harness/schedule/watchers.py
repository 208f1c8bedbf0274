"""What watchers will do in a run, drawn before it: part of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from splitbrain.histories.random_stream import stream
from splitbrain.histories.watch import WatchRequest

HOLD_MEAN_S = 1.5
"""How long a watcher keeps a stream before it goes to another member."""
STREAMS_MIN = 8
DISTANCE_MAX = 300
ASK_PROGRESS = 0.3

Start = Literal["resume", "now", "past", "future", "first"]
STARTS: tuple[tuple[Start, int], ...] = (
    ("resume", 50), ("now", 10), ("past", 20), ("future", 12), ("first", 8)
)


class PlannedStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next stream of a watcher, at member number `member`, kept for `hold_us` unless it
    breaks off.

    It starts where the one before stopped (`resume`), at the next revision (`now`),
    `distance` revisions before or behind the highest that the watcher knows of (`past`,
    `future`), or at revision 1.
    """

    member: int
    start: Start
    hold_us: int
    distance: int = 0
    ask_progress: bool = False


class WatcherPlan(msgspec.Struct, frozen=True):
    """`request` without its start; `streams` begin again when they run out."""

    request: WatchRequest
    streams: tuple[PlannedStream, ...]


@runtime_checkable
class WatchingWorkload(Protocol):
    """A workload that has watchers besides its clients."""

    checkers: ClassVar[Sequence[str]]
    watchers: int
    """How many."""

    def watch(self, chance: Random, watcher: int) -> WatchRequest:
        """What watcher number `watcher` watches, with `start_revision` 0. With `ask_progress`
        some of its streams ask for it."""
        ...


def draw_watchers(
    seed: int, workload: object, members: int, time_limit_ms: int
) -> tuple[WatcherPlan, ...]:
    """None for a workload without watchers."""
    if not isinstance(workload, WatchingWorkload):
        return ()
    count = max(STREAMS_MIN, round(2 * time_limit_ms / 1000 / HOLD_MEAN_S))
    plans = []
    for watcher in range(workload.watchers):
        chance = stream(seed, "watcher", watcher)
        request = workload.watch(chance, watcher)
        streams = tuple(
            _draw_stream(chance, request.ask_progress, members) for _ in range(count)
        )
        plans.append(WatcherPlan(msgspec.structs.replace(request, ask_progress=False), streams))
    return tuple(plans)


def _draw_stream(chance: Random, ask_progress: bool, members: int) -> PlannedStream:
    start = chance.choices([name for name, _ in STARTS], [weight for _, weight in STARTS])[0]
    distance = 0
    if start == "past":
        distance = chance.randrange(1, DISTANCE_MAX)
    elif start == "future":
        distance = chance.randrange(1, 50)
    return PlannedStream(
        member=chance.randrange(members),
        start=start,
        hold_us=round(chance.expovariate(1 / HOLD_MEAN_S) * 1e6),
        distance=distance,
        ask_progress=ask_progress and chance.random() < ASK_PROGRESS,
    )
