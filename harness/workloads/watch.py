"""A workload of watchers that reconnect to other members while clients write and compact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compact, Delete, Put, Range, Txn
from splitbrain.histories.watch import WatchRequest

LONG = (600, 3000)
"""The shortest and the longest length of long values, in characters."""
COMPACT_BACK = 60
IDLE_EVERY = 8
IDLE_PLACE = 6
"""In each group of `IDLE_EVERY` watchers, the one at this position, from 0, is idle: no client
writes the keys that it watches."""
TURN_SHARE = 0.6
"""Of the watchers with several watches, this share cancels some watches and then opens others."""
LATER_US = (1, 2_000, 50_000, 400_000)
"""The times after which a watcher cancels watches and opens others, in µs."""
IDLE_HOLD = 4
"""An idle watcher keeps its streams so many times as long, so that the member must send it progress
notifications."""


class Watch:
    """Watches a key, an interval or all keys with each of `watchers` watchers, while clients write.

    Some watches have filters, prev_kv, progress notifications or fragments. One of eight watchers
    is idle: no client writes its keys, so it receives only progress notifications. At random times,
    a watcher opens a new stream at another member. The stream may resume at the revision where the
    previous stream stopped. It may also begin at the present, a past or a future revision, or at
    the revision of the last compaction. A past revision may be compacted.

    Clients put and delete keys, change several of the `keys` keys at one revision, and read keys
    and ranges. Some reads are at past revisions, which may be compacted. Only the first client
    sends compactions, with `compact_percent` percent of its operations. Most compactions are at a
    revision that is less than `compact_back` revisions behind the newest one that this client has
    seen. Some are 0 to 7 revisions behind, whatever `compact_back` is. `clear_percent` percent of
    the operations delete all keys.

    Every fourth watcher has up to `watches` watches on one connection. For some of these watches
    the client chooses the id. On some connections, some watches start at a past or a future
    revision and others at the present one. Many of these watchers cancel some of their watches
    after a while, and then open others on the same connection. `slow_percent` percent of the
    watchers read slowly. `long_percent` percent of the values are long.

    With `progress_requests` 0 no watcher sends progress requests, which etcd before 3.5.8 answers
    wrongly (issue #15220). With `compactions` 0 no client compacts.

    A watcher keeps a stream for `hold_ms` on average, and an idle watcher four times as long.
    """

    name: ClassVar[str] = "watch"
    description: ClassVar[str] = (
        "watchers that reconnect to other members, under writes of several keys and compactions"
    )
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "watch")

    def __init__(
        self,
        *,
        keys: int = 12,
        watchers: int = 8,
        watches: int = 8,
        slow_percent: int = 20,
        long_percent: int = 5,
        progress_requests: int = 1,
        compactions: int = 1,
        compact_percent: int = 4,
        compact_back: int = COMPACT_BACK,
        clear_percent: int = 0,
        hold_ms: int = 1_500,
    ) -> None:
        if not 1 <= hold_ms <= 3_600_000:
            raise BadArguments(
                f"the workload watch with hold_ms={hold_ms}: expected 1 to 3600000"
            )
        if not 2 <= keys <= 1000:
            raise BadArguments(f"the workload watch with keys={keys}: expected 2 to 1000")
        if not 1 <= watchers <= 1000:
            raise BadArguments(f"the workload watch with watchers={watchers}: expected 1 to 1000")
        if not 1 <= watches <= 1000:
            raise BadArguments(f"the workload watch with watches={watches}: expected 1 to 1000")
        if not 1 <= compact_back <= 10_000:
            raise BadArguments(
                f"the workload watch with compact_back={compact_back}: expected 1 to 10000"
            )
        for name, given in (
            ("slow_percent", slow_percent), ("long_percent", long_percent),
            ("compact_percent", compact_percent), ("clear_percent", clear_percent),
        ):
            if not 0 <= given <= 100:
                raise BadArguments(f"the workload watch with {name}={given}: expected 0 to 100")
        for name, given in (("progress_requests", progress_requests), ("compactions", compactions)):
            if given not in (0, 1):
                raise BadArguments(f"the workload watch with {name}={given}: expected 0 or 1")
        self.keys = keys
        self.watchers = watchers
        self.watches = watches
        self.slow_percent = slow_percent
        self.long_percent = long_percent
        self.progress_requests = progress_requests
        self.compact_percent = compact_percent if compactions else 0
        self.compact_back = compact_back
        self.clear_percent = clear_percent
        self.hold_ms = hold_ms

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        while True:
            yield self._operation(random, client, values)

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("k", "l")),)

    def watch(self, random: Random, watcher: int) -> WatchRequest:
        kind = random.random()
        key, end = "k", "l"
        if kind < 0.2:
            key, end = f"k{random.randrange(self.keys):03d}", ""
        elif kind < 0.5:
            first = random.randrange(self.keys - 1)
            key, end = f"k{first:03d}", f"k{first + 2 + random.randrange(4):03d}"
        elif kind < 0.7:
            key, end = "\0", "\0"
        if self._is_idle(watcher):
            return WatchRequest("idle", progress_notify=True)
        filtered, previous = random.random(), random.random() < 0.5
        periodic, fragment = random.random(), random.random() < 0.2
        shares = self._shares_connection(watcher)
        asks = bool(self.progress_requests) and (random.random() < 0.5 or shares)
        return WatchRequest(
            key, end,
            prev_kv=previous,
            no_put=filtered < 0.15,
            no_delete=0.15 <= filtered < 0.3,
            # A periodic notification would hide that the answer to a progress request is missing.
            progress_notify=periodic < (0.25 if asks else 0.75),
            fragment=fragment,
            ask_progress=asks,
        )

    def other_watches(self, random: Random, watcher: int) -> Sequence[WatchRequest]:
        if not self._shares_connection(watcher):
            return ()
        count = random.randrange(self.watches)
        others = [self.watch(random, watcher) for _ in range(count)]
        return tuple(_with_turns(random, others))

    def hold_mean_s(self, watcher: int) -> float:
        """Return the mean time in s for which a watcher keeps a stream."""
        hold_s = self.hold_ms / 1000
        return hold_s * IDLE_HOLD if self._is_idle(watcher) else hold_s

    def _shares_connection(self, watcher: int) -> bool:
        return watcher % 4 == 3

    def _is_idle(self, watcher: int) -> bool:
        return watcher % IDLE_EVERY == IDLE_PLACE

    def _operation(self, random: Random, client: int, values: UniqueValues) -> Draft:
        if client == 0 and self.compact_percent and random.random() * 100 < self.compact_percent:
            older = random.randrange(self.compact_back)
            back = random.choice((0, 1, random.randrange(8), older, older))
            return Draft(
                "compact", Compact(0, physical=random.random() < 0.3), revision_back=back
            )
        if self.clear_percent and random.random() * 100 < self.clear_percent:
            return Draft("delete", Delete("k", "l"))
        kind = random.random()
        key = f"k{random.randrange(self.keys):03d}"
        if kind < 0.38:
            long = random.random() * 100 < self.long_percent
            return Draft("put", Put(key, values.take(random.randrange(*LONG) if long else 0)))
        if kind < 0.41:
            return Draft("get", Range(key))
        if kind < 0.44:
            return self._interval(random, key)
        if kind < 0.5:
            return self._past(random, key)
        if kind < 0.62:
            return Draft("delete", Delete(key))
        if kind < 0.68:
            first = random.randrange(self.keys)
            end = f"k{first + 1 + random.randrange(4):03d}"
            return Draft("delete", Delete(f"k{first:03d}", end))
        return self._several(random, values)

    def _interval(self, random: Random, key: str) -> Draft:
        """Draw a read of all keys from `key` on: with a limit, as a count, or complete."""
        draw = random.random()
        limit = 1 + random.randrange(3) if draw < 0.3 else 0
        return Draft("range", Range(key, "l", limit=limit, count_only=draw > 0.7))

    def _past(self, random: Random, key: str) -> Draft:
        """Draw a read of a past revision, about as old as the revisions that are compacted."""
        end = "l" if random.random() < 0.3 else ""
        return Draft(
            "get", Range(key, end, serializable=random.random() < 0.5),
            revision_back=1 + random.randrange(COMPACT_BACK),
        )

    def _several(self, random: Random, values: UniqueValues) -> Draft:
        """Draw a transaction that puts or deletes two to four keys at one revision."""
        numbers = random.sample(range(self.keys), min(self.keys, random.randrange(2, 5)))
        writes: list[Put | Delete] = []
        for number in numbers:
            key = f"k{number:03d}"
            writes.append(Put(key, values.take()) if random.random() < 0.75 else Delete(key))
        return Draft("txn", Txn((), tuple(writes)))


def _with_turns(random: Random, watches: Sequence[WatchRequest]) -> Iterator[WatchRequest]:
    """Yield `watches`; the client chooses the ids of some, and opens some of them later.

    Watches whose id the client chooses come first. Otherwise a member could already have chosen the
    same ids for other watches. Watches that are opened later come last. Some of the first watches
    are cancelled before the later ones are opened.
    """
    chosen = random.randrange(len(watches) + 1)
    turns = random.random() < TURN_SHARE and chosen < len(watches)
    first_later = random.randrange(chosen, len(watches)) if turns else len(watches)
    ids = random.sample(range(1, 2 * len(watches) + 2), chosen)
    later_us = random.choice(LATER_US)
    for number, one in enumerate(watches):
        if number < chosen:
            cancel = turns and random.random() < 0.7
            yield msgspec.structs.replace(one, watch_id=ids[number], cancel=cancel)
        else:
            later = number >= first_later
            yield msgspec.structs.replace(one, later_us=later_us if later else 0)
