"""Workloads of locks and elections: clients compete for a lock, or for leadership."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Put, Range, Txn
from splitbrain.histories.lease import LeaseGrant, LeaseKeepAlive, LeaseRevoke
from splitbrain.histories.lock_and_election import (
    Campaign,
    Leader,
    Lock,
    Observe,
    Proclaim,
    Resign,
    Unlock,
)

IDS_PER_CLIENT = 1_000_000
OBSERVED_MS = (200, 1_000, 1_000, 4_000)
"""How long a client receives the leaders of an election, in ms. The longest time is twice as long
as the checker `election` allows a stream to be late."""
OBSERVER = 1
"""The client that mostly observes elections."""
OBSERVER_SHARE = 0.9
"""The share of operations of this client that observe an election."""
COORDINATION_CHECKERS = ("availability", "statistics", "lease")


class Locks:
    """Lets each client repeatedly acquire one of `locks` locks, write under it, and release it.

    A lock depends on a lease of `ttl` seconds, as in etcd's client library.

    With `fencing` 1, a write under the lock is a transaction that succeeds only while the key of
    the lock exists. The checker `fencing` judges these writes.

    With `fencing` 0, a write under the lock is a plain put. The checker `mutual_exclusion` decides
    whether two clients ever held the lock at once. A run of etcd can then be invalid, because a
    lease can expire while the client still considers itself the holder of the lock.
    """

    name: ClassVar[str] = "lock"
    description: ClassVar[str] = "locks with leases, and writes under them, fenced or not"
    checkers: ClassVar[Sequence[str]] = (*COORDINATION_CHECKERS, "fencing")
    may_always_fail: ClassVar[Sequence[str]] = ("revoke",)
    """A run is valid even if these functions never succeed: each lease may have expired before it
    is revoked."""

    def __init__(self, locks: int = 3, ttl: int = 2, fencing: int = 1) -> None:
        if not 1 <= locks <= 100 or not 1 <= ttl <= 3600 or fencing not in (0, 1):
            raise BadArguments(
                f"the workload lock with locks={locks}, ttl={ttl}, fencing={fencing}: expected "
                "1 to 100 locks, 1 to 3600 seconds, fencing 0 or 1"
            )
        self.locks = locks
        self.ttl = ttl
        self.fencing = fencing
        if not fencing:
            self.checkers = (*COORDINATION_CHECKERS, "mutual_exclusion")  # type: ignore[misc]

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        lease = client * IDS_PER_CLIENT
        while True:
            lease += 1
            name = f"lock/{random.randrange(self.locks)}"
            key = f"{name}/{lease:x}"
            protected = f"protected/{name}"
            yield Draft("grant", LeaseGrant(lease, self.ttl))
            yield Draft("lock", Lock(name, lease), after_ok=True)
            for _ in range(random.randrange(1, 4)):
                if random.random() < 0.3:
                    yield Draft("get", Range(protected), after_ok=True)
                put = Put(protected, f"{key} {values.take()}")
                if self.fencing:
                    exists = Compare(key, "version", ">", 0)
                    write = Txn((exists,), (put,), (Range(key),))
                    yield Draft("write", write, after_ok=True)
                else:
                    yield Draft("write", put, after_ok=True)
            yield Draft("unlock", Unlock(key), after_ok=True)
            yield Draft("revoke", LeaseRevoke(lease))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("protected/", "protected0")),)


class Election:
    """Lets each client repeatedly take part in one of `elections` elections.

    The client campaigns with a new lease of `ttl` seconds. After it is elected, it proclaims values
    and keeps the lease alive. Then it mostly resigns and revokes the lease; sometimes it leaves the
    lease to expire. If `ttl` is not longer than the timeout of a request, the lease can also expire
    while the client still campaigns. Between its campaigns, the client queries the leader of an
    election, receives the stream of its leaders for a while, and reads the keys of the elections.
    """

    name: ClassVar[str] = "election"
    description: ClassVar[str] = "campaigns, proclamations, queries of the leader, resignations"
    checkers: ClassVar[Sequence[str]] = (*COORDINATION_CHECKERS, "election")
    may_always_fail: ClassVar[Sequence[str]] = ("leader", "revoke")
    """A run is valid even if these functions never succeed: an election may have no leader, and
    each lease may have expired before it is revoked."""

    def __init__(self, elections: int = 2, ttl: int = 5) -> None:
        if not 1 <= elections <= 100 or not 1 <= ttl <= 3600:
            raise BadArguments(
                f"the workload election with elections={elections}, ttl={ttl}: expected 1 to 100 "
                "elections and 1 to 3600 seconds"
            )
        self.elections = elections
        self.ttl = ttl

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        lease = client * IDS_PER_CLIENT
        while True:
            kind = random.random()
            if kind < (OBSERVER_SHARE if client == OBSERVER else 0.1):
                yield Draft("observe", Observe(self._name(random), random.choice(OBSERVED_MS)))
                continue
            if kind < 0.4:
                yield Draft("leader", Leader(self._name(random)))
                continue
            if kind < 0.6:
                yield Draft("get", Range("election/", "election0"))
                continue
            lease += 1
            name = self._name(random)
            key = f"{name}/{lease:x}"
            yield Draft("grant", LeaseGrant(lease, self.ttl))
            yield Draft("campaign", Campaign(name, lease, values.take()), after_ok=True)
            for _ in range(random.randrange(6)):
                if random.random() < 0.6:
                    value = values.take()
                    yield Draft(
                        "proclaim", Proclaim(name, key, lease, value=value), after_ok=True
                    )
                else:
                    yield Draft("keep_alive", LeaseKeepAlive(lease), after_ok=True)
            if random.random() < 0.7:
                yield Draft("resign", Resign(name, key, lease), after_ok=True)
            if random.random() < 0.95:
                yield Draft("revoke", LeaseRevoke(lease))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("election/", "election0")),)

    def _name(self, random: Random) -> str:
        return f"election/{random.randrange(self.elections)}"
