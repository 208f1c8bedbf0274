"""The watchers of a schedule: which watches they open, at which members, and when."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.watch import WatchRequest

Start = Literal["resume", "now", "past", "future", "first", "compacted", "list"]


class ScheduledStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stream of a watcher, at the member with index `member` in the schedule's members.

    The watcher keeps the stream for `hold_us` µs unless the stream breaks. `start` determines the
    revision at which the stream starts:

    - `resume`: where the watcher's previous stream stopped;
    - `now`: the next revision;
    - `past`, `future`: `distance` revisions before or after the highest revision that the watcher
      has seen;
    - `first`: revision 1;
    - `compacted`: the highest revision to which a compaction was sent, plus `distance`;
    - `list`: after the revision at which the watcher first reads all keys of its interval, in pages
      of `page` keys.

    If `other_start` is set, the watches on the connection do not all start at the same revision.
    The first, third, fifth and so on use `start` and `distance`. The second, fourth, sixth and so
    on use `other_start` and `other_distance` instead.

    With `ask_every_us`, the watcher also asks for its progress in the middle of the stream, at this
    interval.

    A watcher that reads slowly waits for `pause_us` µs after each answer, in the first half of the
    time that it keeps the stream. Then it reads without pauses.
    """

    member: int
    start: Start
    hold_us: int
    distance: int = 0
    ask_progress: bool = False
    pause_us: int = 0
    page: int = 0
    other_start: Start | None = None
    other_distance: int = 0
    ask_every_us: int = 0


class ScheduledWatcher(msgspec.Struct, frozen=True, omit_defaults=True):
    """One watcher: its request without the start revision, and its streams.

    After the last stream the watcher begins again with the first stream. The watcher opens the
    watches `others` on the same connection as that of `request`. Each of them starts at its own
    revision.
    """

    request: WatchRequest
    streams: tuple[ScheduledStream, ...]
    others: tuple[WatchRequest, ...] = ()
