"""Leases that are granted, kept alive, revoked or left to expire, and keys attached to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Put, Range
from splitbrain.histories.lease import LeaseGrant, LeaseKeepAlive, LeaseRevoke, LeaseTimeToLive

IDS_PER_CLIENT = 1_000_000


class Lease:
    """Each client uses one lease after the other, with a time to live of `ttl` to `ttl + 2` s.

    The client attaches keys to the lease, keeps it alive, queries its time to live, and reads. At
    the end the client revokes the lease or leaves it to expire. Clients share the keys, so keys
    move from lease to lease. Some puts detach a key from its lease, and a few use the client's
    previous lease, which may have ended.
    """

    name: ClassVar[str] = "lease"
    description: ClassVar[str] = "leases kept alive, revoked or left to expire, with keys attached"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "lease")
    may_always_fail: ClassVar[Sequence[str]] = ("revoke",)
    """Each lease may have expired before it is revoked."""
    needs: ClassVar[Sequence[str]] = ("lease",)

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
        number, before = client * IDS_PER_CLIENT, 0
        while True:
            number += 1
            yield Draft("grant", LeaseGrant(number, self.ttl + random.randrange(3)))
            for _ in range(random.randrange(4, 40)):
                yield self._use(random, number, before, values)
            if random.random() < 0.5:
                yield Draft("revoke", LeaseRevoke(number))
            before = number

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("l", "m")),)

    def _use(self, random: Random, lease: int, before: int, values: UniqueValues) -> Draft:
        key = f"l{random.randrange(self.keys):03d}"
        kind = random.random()
        if kind < 0.35:
            return Draft("put", Put(key, values.take(), lease=lease))
        if kind < 0.38 and before:
            return Draft("put", Put(key, values.take(), lease=before))
        if kind < 0.45:
            return Draft("put", Put(key, values.take()))
        if kind < 0.7:
            return Draft("get", Range(key) if random.random() < 0.5 else Range("l", "m"))
        queried = before if before and random.random() < 0.2 else lease
        if kind < 0.88:
            return Draft("keep_alive", LeaseKeepAlive(queried))
        return Draft("time_to_live", LeaseTimeToLive(queried, keys=True))
