"""Bug: each fragment of a watch response, except the first, lacks its first event."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api import watch
from splitbrain.node.mvcc.key_value import Event

MUTANT = Mutant(
    what="an event is lost where a large watch response is split into fragments",
    source="etcd's WatchCreateRequest.fragment; sendFragments in v3rpc/watch.go",
    found_by=("watch",),
)


def plant() -> None:
    original = watch.fragments

    def fragments(events: tuple[Event, ...], bytes_max: int) -> list[tuple[Event, ...]]:
        first, *others = original(events, bytes_max)
        return [first, *(piece[1:] for piece in others if len(piece) > 1)]

    watch.fragments = fragments
