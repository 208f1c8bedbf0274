"""Bug: a watcher that meets an error ends silently: its stream stays open without an answer."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import Watcher, WatchHub

MUTANT = Mutant(
    what="a watcher fails silently at an event whose previous value is compacted",
    source="etcd-io/etcd issue 8401 (a watch hangs, and its client gets no error); etcd's API"
    " guarantees for watch: \"reliable\"",
    found_by=("watch",),
)


def plant() -> None:
    def _with_previous(self: WatchHub, watcher: Watcher, event: Event) -> Event:
        before = event.kv.mod_revision - 1
        if not watcher.prev_kv or before < 1:
            return event
        return Event(event.type, event.kv, self._history.get_at(event.kv.key, before))

    async def _or_fail(self: WatchStream, part: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(Exception):
            await part()

    WatchHub._with_previous = _with_previous  # type: ignore[method-assign]
    WatchStream._or_fail = _or_fail  # type: ignore[method-assign]
