"""Reads all keys of a watcher's interval at one revision, in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from splitbrain.harness.clients.completion import Completion
from splitbrain.histories.kv import KeyValue, Range, RangeResult
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.histories.watch import WatchRequest


class ReadingClient(Protocol):
    """A client that sends requests."""

    async def call(self, url: str, request: AnyRequest) -> Completion: ...


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys of an interval at `revision`."""

    revision: int
    kvs: tuple[KeyValue, ...]


async def read_list(
    client: ReadingClient, url: str, watched: WatchRequest, page: int
) -> KeyList | None:
    """Read the interval of `watched` in pages, all at the revision of the first page.

    Returns None if a page could not be read, for example because its revision was compacted.
    """
    found: list[KeyValue] = []
    revision, key = 0, watched.key
    while True:
        request = Range(key, watched.range_end, limit=page, revision=revision)
        result = (await client.call(url, request)).result
        if not isinstance(result, RangeResult):
            return None
        found += result.kvs
        revision = revision or result.header.revision
        if not result.more or not result.kvs:
            return KeyList(revision, tuple(found))
        key = result.kvs[-1].key + "\0"
