"""A workload of leases with keys. The leases are kept alive, revoked, or left to expire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseKeepAlive,
    LeaseKeepAlives,
    LeaseRevoke,
    LeaseTimeToLive,
)

IDS_PER_CLIENT = 1_000_000
NEVER_GRANTED = IDS_PER_CLIENT // 2
"""This number plus the id of a client's lease gives the id of a lease that never exists."""
EARLIER_MAX = 4
"""The number of a client's most recent leases that the client still uses."""
SHARED_ID = IDS_PER_CLIENT * IDS_PER_CLIENT
"""The id of a lease that all clients ask for and none uses. Most of these grants must be refused,
because the lease already exists."""
SHARED_TTL_S = 600
SHARED_SHARE = 0.02
"""The share of operations that ask for this shared lease."""
SELDOM_RENEWED = IDS_PER_CLIENT // 4
"""This number plus the id of a client's lease gives the id of a lease that is seldom kept alive."""
SELDOM_APART = IDS_PER_CLIENT // 20
"""The difference between the ids of two such leases of a client at the same time."""
SELDOM_EVERY = 3
"""For each group of this number of other leases, a client grants such leases once."""
SELDOM_LONGER_S = (4, 5, 7)
SELDOM_SHARES = (0.06, 0.02, 0.007)
"""The shares of operations on each of these leases. The shares differ so much that, at any rate of
operations, one of the leases is kept alive every few seconds. Leaders then record its remaining
time between two keep-alives."""
OWN_KEY_SHARE = 0.05
"""The share of operations on a key that only this client uses, so that the key stays attached to
its lease for longer."""

STREAM_SHARE = 0.3
"""The share of keep-alives that are sent with others, for two or three leases on one stream."""


class Lease:
    """Uses one lease after the other in each client, with a time to live of `ttl` to `ttl + 2` s.

    The client attaches keys to the lease, queries the lease's time to live, and reads keys. It
    sends keep-alives for four of five leases. At the end it revokes the lease or leaves it to
    expire. Clients share most keys, so keys move from lease to lease.

    Some puts detach a key from its lease. Some change only the value of a key, and keep the lease.
    Some change only the lease, and keep the value. A transaction contains one put of the last two
    kinds, and sometimes also puts or deletes another key.

    A few operations use an earlier lease of the client, which may have ended, or a lease that was
    never granted. Each client also has longer leases that it seldom keeps alive. All clients also
    ask for one shared lease, which already exists after the first grant. Some keep-alives are sent
    for two or three leases on one stream.
    """

    name: ClassVar[str] = "lease"
    description: ClassVar[str] = "leases kept alive, revoked or left to expire, with keys attached"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "lease")
    may_always_fail: ClassVar[Sequence[str]] = ("revoke", "grant_again")
    """A run is valid even if these functions never succeed: each lease may have expired before it
    is revoked, and the shared lease may exist already when it is granted."""

    def __init__(self, keys: int = 12, ttl: int = 2) -> None:
        if not 1 <= keys <= 1000 or not 1 <= ttl <= 3600:
            raise BadArguments(
                f"the workload lease with keys={keys}, ttl={ttl}: expected 1 to 1000 keys and "
                "1 to 3600 seconds"
            )
        self.keys = keys
        self.ttl = ttl

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        first = number = client * IDS_PER_CLIENT + 1
        while True:
            yield Draft("grant", LeaseGrant(number, self.ttl + random.randrange(3)))
            kept_alive = random.random() < 0.8
            seldom = number + SELDOM_RENEWED - (number - first) % SELDOM_EVERY
            if seldom == number + SELDOM_RENEWED:
                yield from self._grants_of_seldom_renewed(seldom)
            for _ in range(random.randrange(4, 40)):
                which = _seldom_renewed(random)
                if which is None:
                    yield self._use(random, number, number - first, kept_alive, values)
                else:
                    yield _use_of_seldom_renewed(random, seldom, which, client, values)
            if random.random() < 0.5:
                yield Draft("revoke", LeaseRevoke(number))
            number += 1

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("l", "m")),)

    def _grants_of_seldom_renewed(self, first: int) -> Iterator[Draft]:
        for which, longer_s in enumerate(SELDOM_LONGER_S):
            yield Draft("grant", LeaseGrant(first + which * SELDOM_APART, self.ttl + longer_s))

    def _use(
        self, random: Random, lease: int, earlier: int, kept_alive: bool, values: UniqueValues
    ) -> Draft:
        """Draw an operation that uses the client's present `lease`.

        `earlier` is the number of leases that the client has used before this one. `kept_alive`
        says whether the client sends keep-alives.
        """
        if random.random() < SHARED_SHARE:
            return Draft("grant_again", LeaseGrant(SHARED_ID, SHARED_TTL_S))
        key = f"l{random.randrange(self.keys):03d}"
        if random.random() < OWN_KEY_SHARE:
            key = f"lc{lease // IDS_PER_CLIENT}"
        other = lease + NEVER_GRANTED
        if earlier and random.random() < 0.9:
            other = lease - 1 - random.randrange(min(earlier, EARLIER_MAX))
        kind = random.random()
        if kind < 0.35:
            return Draft("put", Put(key, values.take(), lease=lease))
        if kind < 0.38:
            return Draft("put", Put(key, values.take(), lease=other))
        if kind < 0.42:
            return Draft("put", Put(key, values.take()))
        if kind < 0.46:
            if random.random() < 0.4:
                return self._txn(random, key, lease, other, values)
            if random.random() < 0.5:
                return Draft("put", Put(key, values.take(), prev_kv=True, ignore_lease=True))
            attached = lease if random.random() < 0.7 else 0
            return Draft("put", Put(key, lease=attached, prev_kv=True, ignore_value=True))
        if kind < 0.7:
            return Draft("get", Range(key) if random.random() < 0.5 else Range("l", "m"))
        queried = other if random.random() < 0.2 else lease
        if kind < 0.88 and kept_alive:
            if random.random() < STREAM_SHARE:
                ids = random.sample((queried, lease, other), k=random.choice((2, 3)))
                return Draft("keep_alives", LeaseKeepAlives(tuple(ids)))
            return Draft("keep_alive", LeaseKeepAlive(queried))
        return Draft("time_to_live", LeaseTimeToLive(queried, keys=True))

    def _txn(
        self, random: Random, key: str, lease: int, other: int, values: UniqueValues
    ) -> Draft:
        """Draw a transaction that puts `key`, and puts or deletes a second key.

        The transaction has one comparison: `key` exists, it has any lease, or it has `lease`. If
        the comparison fails, the transaction reads `key`.

        The put of `key` changes only the value of `key`, or only its lease. A put of the second key
        attaches it to `lease`, or sometimes to `other`.
        """
        second = f"l{random.randrange(self.keys):03d}"
        if random.random() < 0.5:
            first = Put(key, values.take(), ignore_lease=True)
        else:
            first = Put(key, lease=random.choice((lease, lease, 0)), ignore_value=True)
        puts: tuple[Put | Delete, ...] = (first,)
        if second != key:
            attached = other if random.random() < 0.1 else lease
            puts = random.choice((
                (first, Put(second, values.take(), lease=attached)),
                (Put(second, values.take(), lease=attached), first),
                (Delete(second), first),
            ))
        compare = random.choice((
            Compare(key, "version", ">", 0),
            Compare(key, "lease", "!=", 0),
            Compare(key, "lease", "=", lease),
        ))
        return Draft("txn", Txn((compare,), puts, (Range(key),)))


def _seldom_renewed(random: Random) -> int | None:
    """Draw which of the client's seldom renewed leases the next operation uses.

    Returns the index of the lease. Returns None if the operation uses none of them.
    """
    draw = random.random()
    for which, share in enumerate(SELDOM_SHARES):
        draw -= share
        if draw < 0:
            return which
    return None


def _use_of_seldom_renewed(
    random: Random, first: int, which: int, client: int, values: UniqueValues
) -> Draft:
    lease, kind = first + which * SELDOM_APART, random.random()
    if kind < 0.35:
        return Draft("keep_alive", LeaseKeepAlive(lease))
    if kind < 0.7:
        return Draft("put", Put(f"ls{client}n{which}", values.take(), lease=lease))
    return Draft("time_to_live", LeaseTimeToLive(lease, keys=True))
