"""The watchers of a schedule."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.watch import WatchRequest

Start = Literal["resume", "now", "past", "future", "first"]


class ScheduledStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stream of a watcher, at the member with index `member` in the schedule's members.

    The watcher keeps the stream for `hold_us` µs unless the stream breaks. `start` determines the
    revision at which the stream starts:

    - `resume`: where the watcher's previous stream stopped;
    - `now`: the next revision;
    - `past`, `future`: `distance` revisions before or after the highest revision that the watcher
      has seen;
    - `first`: revision 1.
    """

    member: int
    start: Start
    hold_us: int
    distance: int = 0
    ask_progress: bool = False


class ScheduledWatcher(msgspec.Struct, frozen=True):
    """One watcher: its request without the start revision, and its streams.

    After the last stream the watcher begins again with the first one.
    """

    request: WatchRequest
    streams: tuple[ScheduledStream, ...]
