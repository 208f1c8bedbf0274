"""An answer in fragments lacks the first event of each piece but the first."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api import watch
from splitbrain.node.mvcc.key_value import Event

MUTANT = Mutant(
    what="where a large answer of a watch is cut, an event is lost",
    source="etcd's WatchCreateRequest.fragment; sendFragments in v3rpc/watch.go",
    found_by=("watch",),
)


def plant() -> None:
    honest = watch.fragments

    def fragments(events: tuple[Event, ...], bytes_max: int) -> list[tuple[Event, ...]]:
        first, *others = honest(events, bytes_max)
        return [first, *(piece[1:] for piece in others if len(piece) > 1)]

    watch.fragments = fragments
