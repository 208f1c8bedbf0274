"""Draws the watchers of a schedule: which streams each of them opens, at which member and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from splitbrain.harness.drawing.member_drawing import draw_bound
from splitbrain.harness.schedule.watchers import ScheduledStream, ScheduledWatcher, Start
from splitbrain.histories.random_stream import stream
from splitbrain.histories.watch import WatchRequest

HOLD_MEAN_S = 1.5
"""The mean time in s for which a watcher keeps a stream open before it opens the next one. A
workload can change it by a method `hold_mean_s`."""
STREAMS_MIN = 8
DISTANCE_MAX = 300
FUTURE_STEPS = 50
FUTURE_GROWTH = 1.15
"""A stream in the future starts at this number of revisions ahead to the power of 1 to
`FUTURE_STEPS` - 1, rounded. Half of the distances are less than 35, and the longest is 942, so that
some streams still wait after their member was cut off for a time."""
ASK_PROGRESS_SHARE = 0.5
ASK_FROM_NOW_SHARE = 0.25
"""The share of streams that ask for progress and start at the present revision. The checker `watch`
requires an answer only on such a stream."""
ASK_AGAIN_SHARE = 0.4
"""The share of streams that ask for progress again and again, while events are on the way."""
ASK_EVERY_US = (2_000, 10_000, 40_000, 150_000)
"""The times between two such requests, in µs."""
PAUSES_US = (2_000, 20_000, 200_000)
"""The lengths of the pause after each answer, for a watcher that reads slowly."""
OTHER_STARTS: tuple[Start, ...] = ("future", "future", "past", "now")
OTHER_START_SHARE = 0.4
"""The share of connections on which every second of the other watches has a start of its own."""
SLOW_HOLD = 3
"""A watcher that reads slowly keeps a stream open for this many times as long, so that it still
receives the events that have waited for it."""

STARTS: tuple[tuple[Start, int], ...] = (
    ("resume", 50), ("now", 10), ("past", 20), ("future", 12), ("first", 8), ("compacted", 12)
)
"""The possible starts of a stream, with the weight of each."""


@runtime_checkable
class WatchingWorkload(Protocol):
    """A workload that has watchers in addition to its clients."""

    checkers: ClassVar[Sequence[str]]
    watchers: int
    """The number of watchers."""

    def watch(self, random: Random, watcher: int) -> WatchRequest:
        """Draw the watch request of watcher number `watcher`, with `start_revision` 0.

        If the request has `ask_progress`, some of the streams of the watcher ask for progress.
        """
        ...


@runtime_checkable
class SharingWorkload(WatchingWorkload, Protocol):
    """A workload with watchers that have several watches on one connection."""

    def other_watches(self, random: Random, watcher: int) -> Sequence[WatchRequest]:
        """Draw the further requests of watcher number `watcher`, in addition to that of `watch`.

        They have the same form as the request of `watch`.
        """
        ...


@runtime_checkable
class SlowWorkload(WatchingWorkload, Protocol):
    """A workload with watchers that read their answers slowly."""

    slow_percent: int
    """The percentage of watchers that read slowly."""


@runtime_checkable
class HoldingWorkload(WatchingWorkload, Protocol):
    """A workload that decides how long its watchers keep their streams."""

    def hold_mean_s(self, watcher: int) -> float:
        """Return the mean time in s for which watcher number `watcher` keeps a stream open."""
        ...


@runtime_checkable
class ListingWorkload(WatchingWorkload, Protocol):
    """A workload whose watchers list their keys in pages, and watch from the list's revision."""

    list_percent: int
    """The percentage of streams that begin with such a list. The first stream always begins with
    one."""

    def list_page(self, random: Random) -> int:
        """The number of keys of a page."""
        ...


def draw_watchers(
    seed: int, workload: object, members: int, time_limit_ms: int, bound_share: float = 0.0
) -> tuple[ScheduledWatcher, ...]:
    """Draw the watchers of `workload`: their streams, with the member and the start of each.

    Returns () for a workload without watchers. A share `bound_share` of the watchers open all their
    streams at one member.
    """
    if not isinstance(workload, WatchingWorkload):
        return ()
    count = max(STREAMS_MIN, round(2 * time_limit_ms / 1000 / HOLD_MEAN_S))
    watchers = []
    for watcher in range(workload.watchers):
        random = stream(seed, "watcher", watcher)
        request = workload.watch(random, watcher)
        hold_mean_s = HOLD_MEAN_S
        if isinstance(workload, HoldingWorkload):
            hold_mean_s = workload.hold_mean_s(watcher)
        streams = [
            _draw_stream(random, members, hold_mean_s, ask_progress=request.ask_progress)
            for _ in range(count)
        ]
        bound_to = draw_bound(stream(seed, "bound watcher", watcher), members, bound_share)
        if bound_to is not None:
            streams = [msgspec.structs.replace(one, member=bound_to) for one in streams]
        if request.ask_progress:
            asks = stream(seed, "progress requests", watcher)
            streams = [_with_progress_requests(asks, one) for one in streams]
        if isinstance(workload, SlowWorkload):
            pauses = stream(seed, "slow watcher", watcher)
            streams = list(_with_pauses(pauses, streams, workload.slow_percent))
        if isinstance(workload, ListingWorkload):
            streams = list(_with_lists(stream(seed, "listing watcher", watcher), streams, workload))
        others: Sequence[WatchRequest] = ()
        if isinstance(workload, SharingWorkload):
            others = workload.other_watches(stream(seed, "other watches", watcher), watcher)
        if others:
            starts = stream(seed, "starts of other watches", watcher)
            streams = [_with_other_start(starts, one) for one in streams]
        watchers.append(ScheduledWatcher(
            _plain(request), tuple(streams), tuple(map(_plain, others))
        ))
    return tuple(watchers)


def _plain(request: WatchRequest) -> WatchRequest:
    return msgspec.structs.replace(request, ask_progress=False)


def _with_pauses(
    random: Random, streams: Sequence[ScheduledStream], slow_percent: int
) -> Iterator[ScheduledStream]:
    """Yield the streams of a watcher, with pauses if the watcher reads slowly.

    It reads slowly with a probability of `slow_percent`.
    """
    slow = random.random() * 100 < slow_percent
    for one in streams:
        pause_us = random.choice(PAUSES_US)
        yield msgspec.structs.replace(
            one, pause_us=pause_us, hold_us=one.hold_us * SLOW_HOLD
        ) if slow else one


def _with_progress_requests(random: Random, scheduled: ScheduledStream) -> ScheduledStream:
    """Draw whether the watcher asks for progress in the middle of a stream, and how often."""
    share, every_us = random.random(), random.choice(ASK_EVERY_US)
    if share >= ASK_AGAIN_SHARE:
        return scheduled
    return msgspec.structs.replace(scheduled, ask_every_us=every_us)


def _with_other_start(random: Random, scheduled: ScheduledStream) -> ScheduledStream:
    """Draw another start for every second watch of `scheduled`, or return it unchanged.

    With another start, the watches of one connection begin at two different revisions. For example,
    some read old events while the others receive the newest events.
    """
    drawn, start = random.random(), random.choice(OTHER_STARTS)
    distance = round(FUTURE_GROWTH ** random.randrange(1, FUTURE_STEPS))
    if drawn >= OTHER_START_SHARE or scheduled.start == "list":
        return scheduled
    return msgspec.structs.replace(scheduled, other_start=start, other_distance=distance)


def _with_lists(
    random: Random, streams: Sequence[ScheduledStream], workload: ListingWorkload
) -> Iterator[ScheduledStream]:
    """Yield the streams of a watcher, and let the first and some others begin with a list."""
    for number, one in enumerate(streams):
        lists = random.random() * 100 < workload.list_percent or not number
        page = workload.list_page(random)
        yield msgspec.structs.replace(one, start="list", distance=0, page=page) if lists else one


def _draw_stream(
    random: Random, members: int, hold_mean_s: float, *, ask_progress: bool
) -> ScheduledStream:
    start = random.choices([name for name, _ in STARTS], [weight for _, weight in STARTS])[0]
    distance = 0
    if start == "past":
        distance = random.randrange(1, DISTANCE_MAX)
    elif start == "future":
        distance = round(FUTURE_GROWTH ** random.randrange(1, FUTURE_STEPS))
    elif start == "compacted":
        distance = random.choice((0, 0, 0, -1, 1))
    member = random.randrange(members)
    hold_us = round(random.expovariate(1 / hold_mean_s) * 1e6)
    asks = random.random() if ask_progress else 1.0
    if asks < ASK_FROM_NOW_SHARE:
        start, distance = "now", 0
    return ScheduledStream(
        member=member, start=start, hold_us=hold_us, distance=distance,
        ask_progress=asks < ASK_PROGRESS_SHARE,
    )
