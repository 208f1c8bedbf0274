"""Checks the ids of the watches on one connection, and that cancelled watches end.

A member gives each watch of a connection an id that no other open watch has, or the id that the
client chose. It confirms the cancellation of a watch before it creates a watch that the client
requested afterwards.

Source: etcd's server/etcdserver/api/v3rpc/watch.go (`recvLoop`), mvcc/watcher.go (`Watch`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from splitbrain.histories.watch import Cancelled, Created, WatchStream

UNKNOWN_ID = -1

Report = Callable[[WatchStream, str, str], None]


def check_ids(streams: Sequence[WatchStream], report: Report) -> None:
    """Report watches that have a wrong id, or that were not cancelled.

    `report` is called with the stream, the kind of the anomaly and a sentence.
    """
    for together in _connections(streams):
        _check_connection(together, report)


def with_shared_ids(streams: Sequence[WatchStream]) -> frozenset[int]:
    """Return the numbers of the streams whose id another watch of the same connection also had.

    The second watch gets the id after the first watch has ended. etcd may send events of the second
    watch before the answer that the first one has ended.
    """
    found: set[int] = set()
    for together in _connections(streams):
        named = [(one.created.watch_id, one.number) for one in together if one.created is not None]
        ids = Counter(watch_id for watch_id, _ in named if watch_id != UNKNOWN_ID)
        found.update(number for watch_id, number in named if ids[watch_id] > 1)
    return frozenset(found)


def _connections(streams: Sequence[WatchStream]) -> Collection[Sequence[WatchStream]]:
    """Return the streams of each connection."""
    connections: dict[int, list[WatchStream]] = defaultdict(list)
    for stream in streams:
        connections[stream.connection if stream.connection >= 0 else stream.number].append(stream)
    return connections.values()


def _check_connection(together: Sequence[WatchStream], report: Report) -> None:
    confirmed = [(one.created, one) for one in together if one.created is not None]
    for number, (created, stream) in enumerate(confirmed):
        chosen = stream.request.watch_id
        if created.watch_id == UNKNOWN_ID:
            continue
        if chosen and created.watch_id != chosen:
            report(
                stream, "wrong watch id",
                f"{_named(stream)} was created with the id {created.watch_id}; the client chose "
                f"the id {chosen}",
            )
        for _, other in _open_before(created, confirmed[:number]):
            report(
                stream, "wrong watch id",
                f"{_named(stream)} was created with the id {created.watch_id}, which stream "
                f"{other.number} of the same connection still had",
            )
    later = [one for one in together if one.request.later_us and one.created is not None]
    for stream in together:
        if stream.request.cancel and later and stream.created is not None and not _ended(stream):
            report(
                stream, "not cancelled",
                f"{_named(stream)} was cancelled by its client, and the member did not confirm "
                f"that before it created stream {later[0].number}, which the client requested "
                "afterwards",
            )


def _open_before(
    created: Created, earlier: Sequence[tuple[Created, WatchStream]]
) -> Iterator[tuple[Created, WatchStream]]:
    """Yield the open watches that already had the id of the watch `created` at its creation.

    `earlier` are the watches that were created before, each with its stream. A watch that had ended
    is left out.
    """
    for before, stream in earlier:
        ends = [one.time for one in stream.answers if isinstance(one, Cancelled)]
        if before.watch_id == created.watch_id and not (ends and ends[0] <= created.time):
            yield before, stream


def _ended(stream: WatchStream) -> bool:
    return any(isinstance(answer, Cancelled) for answer in stream.answers)


def _named(stream: WatchStream) -> str:
    return f"watcher {stream.watcher} on {stream.node} (stream {stream.number})"
