"""A workload of the operations with which Kubernetes uses etcd as its storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.operations_outside_load import QUIET
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compact, Compare, Delete, Put, Range, Txn
from splitbrain.histories.lease import LeaseGrant
from splitbrain.histories.watch import WatchRequest

KINDS = ("configmaps", "pods")
NAMESPACES = ("default", "system")
EVENTS = "/registry/events/"
ALL, ALL_END = "/registry/", "/registry0"
LEASES_PER_CLIENT = 1_000_000
EVENTS_PER_LEASE = (5, 20)
"""The smallest and the largest number of event objects that share a lease."""
PAGES_MAX = 3
COMPACT_PERCENT = 2
COMPACT_BACK = (10, 80)
HOLD_MEAN_S = 3.0


class Kubernetes:
    """Stores objects as Kubernetes does, while `watchers` watchers watch them.

    Each write is a transaction with a condition. An object is created only if it does not exist. It
    is updated or deleted only if its mod_revision is the one that the client last read. If the
    condition is false, the transaction reads the object instead.

    A list is read in pages of up to `page` objects: all later pages are at the revision of the
    first page. Objects that describe events expire with a lease that many of them share. One client
    compacts.

    A watcher first lists the objects of one kind or of one namespace, in pages. Then it watches
    these objects from the revision of the list on, and asks for previous values. A later stream of
    the watcher resumes where the stream before it ended, or begins with a new list.
    """

    name: ClassVar[str] = "kubernetes"
    description: ClassVar[str] = "objects guarded by revisions, lists in pages, watches and events"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "watch", "lease")
    list_percent: ClassVar[int] = 35
    may_always_fail: ClassVar[Sequence[str]] = ("list_more", "compact")
    """A run is valid even if these functions never succeed: the revision of a list may be compacted
    before its next page is read."""

    def __init__(
        self, *, objects: int = 8, page: int = 3, watchers: int = 4, ttl: int = 2
    ) -> None:
        if min(objects, page, watchers, ttl) < 1 or max(objects, page, watchers, ttl) > 1000:
            raise BadArguments(
                f"the workload kubernetes with objects={objects}, page={page}, "
                f"watchers={watchers}, ttl={ttl}: expected 1 to 1000 each"
            )
        self.objects = objects
        self.page = page
        self.watchers = watchers
        self.ttl = ttl

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values, lease = UniqueValues(client), client * LEASES_PER_CLIENT
        while True:
            lease += 1
            yield Draft("grant", LeaseGrant(lease, self.ttl + random.randrange(3)))
            for event in range(random.randrange(*EVENTS_PER_LEASE)):
                if event:
                    yield self._event(random, values, lease)
                for _ in range(random.randrange(2, 6)):
                    yield from self._use(random, client, values)

    def quiet_operations(self) -> Sequence[Draft]:
        """Return a request that deletes all objects that describe events.

        Otherwise the leases could delete these objects while the members are read.
        """
        return (Draft(QUIET, Delete(EVENTS, _end(EVENTS))),)

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range(ALL, ALL_END)),)

    def watch(self, random: Random, watcher: int) -> WatchRequest:
        kind = random.choice(KINDS)
        prefix = f"/registry/{kind}/"
        if random.random() < 0.3:
            prefix = f"{prefix}{random.choice(NAMESPACES)}/"
        if watcher % 4 == 3:
            prefix = EVENTS
        return WatchRequest(prefix, _end(prefix), prev_kv=True, progress_notify=True)

    def list_page(self, random: Random) -> int:
        """The number of keys of a page of a watcher's list."""
        return 1 + random.randrange(2 * self.page)

    def hold_mean_s(self, watcher: int) -> float:
        """Return the mean time in s for which a watcher keeps a stream."""
        return HOLD_MEAN_S

    def _use(self, random: Random, client: int, values: UniqueValues) -> Iterator[Draft]:
        if client == 0 and random.random() * 100 < COMPACT_PERCENT:
            back = random.randrange(*COMPACT_BACK)
            yield Draft("compact", Compact(0), revision_back=back)
        draw, key = random.random(), self._key(random)
        if draw < 0.2:
            yield Draft("create", create(key, values.take()))
        elif draw < 0.5:
            yield Draft("update", update(key, values.take()), expect_last_seen=(0,))
        elif draw < 0.6:
            yield Draft("remove", remove(key), expect_last_seen=(0,))
        elif draw < 0.8:
            yield Draft("get", Range(key))
        elif draw < 0.85:
            prefix = f"/registry/{random.choice(KINDS)}/"
            yield Draft("count", Range(prefix, _end(prefix), count_only=True))
        else:
            yield from self._list(random)

    def _list(self, random: Random) -> Iterator[Draft]:
        """Draw the first page of a list, and some of the further pages."""
        prefix = f"/registry/{random.choice(KINDS)}/"
        page = Range(prefix, _end(prefix), limit=1 + random.randrange(self.page))
        yield Draft("list", page)
        for _ in range(random.randrange(PAGES_MAX + 1)):
            yield Draft("list_more", page, after_ok=True, continue_list=True)

    def _event(self, random: Random, values: UniqueValues, lease: int) -> Draft:
        value = values.take()
        return Draft("event", create(f"{EVENTS}{random.choice(NAMESPACES)}/{value}", value, lease))

    def _key(self, random: Random) -> str:
        namespace, number = random.choice(NAMESPACES), random.randrange(self.objects)
        return f"/registry/{random.choice(KINDS)}/{namespace}/o{number:03d}"


def create(key: str, value: str, lease: int = 0) -> Txn:
    return Txn((Compare(key, "mod", "=", 0),), (Put(key, value, lease=lease),))


def update(key: str, value: str) -> Txn:
    return Txn((Compare(key, "mod", "=", 0),), (Put(key, value),), (Range(key),))


def remove(key: str) -> Txn:
    return Txn((Compare(key, "mod", "=", 0),), (Delete(key),), (Range(key),))


def _end(prefix: str) -> str:
    """Return the end of the interval of all keys that begin with `prefix`, which ends with "/"."""
    return prefix[:-1] + "0"
