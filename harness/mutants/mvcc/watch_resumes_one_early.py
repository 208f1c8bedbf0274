"""Bug: a resumed watch starts one revision before the requested revision."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import Watcher, WatchHub

MUTANT = Mutant(
    what="a watcher that reconnects receives an event twice",
    source="etcd's API guarantees for watch: \"unique\" and \"resumable\"; etcd's rpc.proto:"
    " start_revision is inclusive",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.create

    def create(
        self: WatchHub,
        key: bytes,
        range_end: bytes = b"",
        *,
        start_revision: int = 0,
        **options: Any,
    ) -> Watcher:
        early = start_revision - 1 if start_revision > 1 else start_revision
        return original(self, key, range_end, start_revision=early, **options)

    WatchHub.create = create  # type: ignore[method-assign]
