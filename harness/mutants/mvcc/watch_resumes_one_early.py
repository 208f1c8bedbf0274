"""A watch that resumes begins with the revision before the one asked for."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import Watcher, WatchHub

MUTANT = Mutant(
    what="a watcher that reconnects is sent an event twice",
    source="etcd's API guarantees: unique and resumable; etcd's rpc.proto: start_revision is"
    " where to watch from, inclusive",
    found_by=("watch",),
)


def plant() -> None:
    honest = WatchHub.create

    def create(
        self: WatchHub, key: bytes, range_end: bytes = b"", *, start_revision: int = 0, **named: Any
    ) -> Watcher:
        early = start_revision - 1 if start_revision > 1 else start_revision
        return honest(self, key, range_end, start_revision=early, **named)

    WatchHub.create = create  # type: ignore[method-assign]
