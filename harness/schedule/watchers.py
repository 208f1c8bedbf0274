"""The watchers of a schedule."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.watch import WatchRequest

Start = Literal["resume", "now", "past", "future", "first"]


class ScheduledStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next stream of a watcher, at member number `member`.

    The watcher keeps the stream for `hold_us` µs unless it breaks. The stream starts where the
    previous one stopped (`resume`), at the next revision (`now`), `distance` revisions before
    or after the highest revision that the watcher knows of (`past`, `future`), or at revision
    1 (`first`).
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
