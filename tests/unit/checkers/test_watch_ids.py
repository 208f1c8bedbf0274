"""The ids of watches on one connection."""

from __future__ import annotations

from splitbrain.checkers.watch.watch_ids import with_shared_ids
from splitbrain.histories.watch import Created, WatchRequest, WatchStream


def stream(number: int, watch_id: int, connection: int = 0) -> WatchStream:
    created = Created(5, number, 1, watch_id)
    return WatchStream(number, 0, "n1", WatchRequest("a"), 1, created, connection=connection)


def test_watches_of_one_connection_with_the_same_id_are_found() -> None:
    cancelled, later = stream(0, 3), stream(1, 3)
    alone, elsewhere = stream(2, 4), stream(5, 3, connection=5)
    unconfirmed = WatchStream(3, 0, "n1", WatchRequest("a"), 1, connection=0)
    assert with_shared_ids([cancelled, later, alone, unconfirmed, elsewhere]) == {0, 1}
    assert with_shared_ids([stream(0, -1), stream(1, -1)]) == frozenset()
