"""Runs with leases, locks and elections, from a model of their services: valid, or with one
planted bug.

Clients in virtual time against one sequential store with leases that run out by its clock,
and with etcd's recipe for locks and elections (`splitbrain.checkers.coordination.wait_queue`). A
client may pause for
longer than its lease lives. The same arguments give the same run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Compare,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Lock,
    LockResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
    Unlock,
    UnlockResult,
)
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.random_stream import stream
from splitbrain.histories.service import AnyRequest, AnyResult

MS = 1_000_000
S = 1_000 * MS
EXPIRY_CHECK_NS = 500 * MS

Client = Generator[tuple[int, AnyRequest], AnyResult | None, None]
"""Yields (ns to wait, request), is sent the answer, None if it failed."""


class _Refused(Exception):
    """The store answers with an error."""


@dataclass(slots=True)
class _Lease:
    ttl: int
    until: int


@dataclass(slots=True)
class _Store:
    """One step at a time. `bug` happens at each occasion from `bug_from_ns` on."""

    bug: str = ""
    bug_from_ns: int = 0
    revision: int = 1
    now: int = 0
    held: dict[str, KeyValue] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    leases: dict[int, _Lease] = field(default_factory=dict)
    immortal: dict[int, None] = field(default_factory=dict)
    bug_done: bool = False

    def fails(self, bug: str) -> bool:
        """Whether the planted bug is this one, and happens now."""
        if self.bug != bug or self.now < self.bug_from_ns:
            return False
        self.bug_done = True
        return True

    def put(self, key: str, value: str, lease: int = 0) -> None:
        before = self.held.get(key)
        create = before.create_revision if before else self.revision
        version = before.version + 1 if before else 1
        self.held[key] = KeyValue(key, value, create, self.revision, version, lease)
        self.changes.append(Change(self.revision, "put", key, value, create, version, lease))

    def delete(self, keys: list[str]) -> None:
        if keys:
            self.revision += 1
        for key in keys:
            del self.held[key]
            self.changes.append(Change(self.revision, "delete", key))

    def on(self, lease: int) -> list[str]:
        return [key for key, kv in self.held.items() if kv.lease == lease]

    def expire(self) -> None:
        for number, lease in list(self.leases.items()):
            if number in self.immortal:
                continue
            early = (
                self.on(number) and lease.until - self.now > S
                and self.fails("lease-dies-early")
            )
            if early or lease.until <= self.now:
                if not early and self.on(number) and self.fails("lease-never-ends"):
                    self.immortal[number] = None
                    continue
                self.end(number)

    def end(self, number: int) -> None:
        del self.leases[number]
        self.delete(self.on(number))

    def first(self, name: str) -> KeyValue | None:
        queue = [kv for key, kv in self.held.items() if key.rpartition("/")[0] == name]
        return min(queue, key=lambda kv: kv.create_revision, default=None)

    def header(self) -> Header:
        return Header(self.revision, raft_term=2)

    # --- requests ---------------------------------------------------------------------

    def answer(self, request: AnyRequest) -> AnyResult:
        """Raises _Refused. Locks and campaigns only enter the queue here."""
        match request:
            case Put():
                if request.lease and request.lease not in self.leases:
                    raise _Refused("etcdserver: requested lease not found")
                self.revision += 1
                self.put(request.key, request.value, request.lease)
                return PutResult(self.header())
            case Range():
                found = self.held.get(request.key)
                kvs: tuple[KeyValue, ...] = (found,) if found else ()
                if request.range_end:
                    kvs = tuple(
                        kv for key, kv in sorted(self.held.items())
                        if request.key <= key < request.range_end
                    )
                return RangeResult(self.header(), kvs, len(kvs))
            case Txn():
                return self._txn(request)
        return self._lease(request)

    def _txn(self, request: Txn) -> TxnResult:
        holds = all(one.key in self.held for one in request.compare)
        if not holds and self.fails("fence-passes"):
            holds = True
        put = request.success[0]
        if holds and isinstance(put, Put):
            self.revision += 1
            self.put(put.key, put.value)
            return TxnResult(self.header(), True, (PutResult(self.header()),))
        return TxnResult(self.header(), False, (RangeResult(self.header()),))

    def _lease(self, request: AnyRequest) -> AnyResult:
        match request:
            case LeaseGrant():
                self.leases[request.id] = _Lease(request.ttl, self.now + request.ttl * S)
                return LeaseGrantResult(self.header(), request.id, request.ttl)
            case LeaseRevoke():
                return self._revoke(request)
            case LeaseKeepAlive():
                lease = self.leases.get(request.id)
                if lease is None:
                    wrong = self.fails("lease-renews-the-dead")
                    return LeaseKeepAliveResult(self.header(), request.id, 5 if wrong else 0)
                lease.until = self.now + lease.ttl * S
                return LeaseKeepAliveResult(self.header(), request.id, lease.ttl)
            case LeaseTimeToLive():
                return self._time_to_live(request)
        return self._queue(request)

    def _revoke(self, request: LeaseRevoke) -> LeaseRevokeResult:
        if request.id not in self.leases:
            raise _Refused("etcdserver: requested lease not found")
        keys = self.on(request.id)
        if keys and self.fails("lease-outlives-revocation"):
            del self.leases[request.id]
            self.delete(keys[1:])
        else:
            self.end(request.id)
        return LeaseRevokeResult(self.header())

    def _time_to_live(self, request: LeaseTimeToLive) -> LeaseTimeToLiveResult:
        lease = self.leases.get(request.id)
        if lease is None:
            return LeaseTimeToLiveResult(self.header(), request.id, -1)
        left = max(0, (lease.until - self.now) // S)
        if self.fails("lease-wrong-time"):
            left += 1000
        keys = self.on(request.id)
        ever = {change.key for change in self.changes if change.lease == request.id}
        foreign = [key for key in self.held if key not in ever]
        if foreign and self.fails("lease-foreign-key"):
            keys = [*keys, foreign[0]]
        return LeaseTimeToLiveResult(self.header(), request.id, left, lease.ttl, tuple(keys))

    def _queue(self, request: AnyRequest) -> AnyResult:
        match request:
            case Lock() | Campaign():
                if request.lease not in self.leases:
                    raise _Refused("etcdserver: requested lease not found")
                self.revision += 1
                value = request.value if isinstance(request, Campaign) else ""
                key = f"{request.name}/{request.lease:x}"
                self.put(key, value, request.lease)
                if isinstance(request, Lock):
                    return LockResult(self.header(), key)
                return CampaignResult(self.header(), key, self.revision, request.lease)
            case Unlock():
                if request.key in self.held:
                    self.delete([request.key])
                return UnlockResult(self.header())
            case Proclaim():
                if request.key not in self.held:
                    raise _Refused("election: not leader")
                self.revision += 1
                if not self.fails("election-lost-proclamation"):
                    self.put(request.key, request.value, request.lease)
                else:
                    self.put("other", request.value)
                return ProclaimResult(self.header())
            case Resign():
                if request.key in self.held and not self.fails("election-resigns-in-vain"):
                    self.delete([request.key])
                return ResignResult(self.header())
            case Leader():
                first = self.first(request.name)
                others = [kv for key, kv in self.held.items() if kv is not first
                          and key.rpartition("/")[0] == request.name]
                if others and self.fails("election-wrong-leader"):
                    first = others[0]
                if first is None:
                    raise _Refused("election: no leader")
                return LeaderResult(self.header(), first)
        raise AssertionError(request)

    def may_return(self, request: Lock | Campaign, made: AnyResult) -> bool:
        """Whether it is answered now; otherwise it waits on. Raises _Refused."""
        key = f"{request.name}/{request.lease:x}"
        kind = "lock" if isinstance(request, Lock) else "election"
        if key not in self.held:
            if self.fails(f"{kind}-granted-to-the-dead"):
                return True
            raise _Refused("mutex: session is expired")
        first = self.first(request.name)
        if first is not None and first.key == key:
            return True
        return self.fails(f"{kind}-granted-out-of-turn")


# --- clients ----------------------------------------------------------------------------


def _lease_client(chance: Random, client: int) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        lease += 1
        yield _think(chance), LeaseGrant(lease, 2 + chance.randrange(3))
        for _ in range(chance.randrange(3, 25)):
            count += 1
            key, kind = f"l{chance.randrange(12):03d}", chance.random()
            asked = lease if kind < 0.9 or lease % 1_000_000 == 1 else lease - 1
            request: AnyRequest
            if kind < 0.3 or kind > 0.97:
                request = Put(key, f"{client}.{count}", asked if chance.random() < 0.85 else 0)
            elif kind < 0.55:
                request = Range(key) if chance.random() < 0.5 else Range("l", "m")
            elif kind < 0.8 or kind > 0.93:
                request = LeaseKeepAlive(asked)
            else:
                request = LeaseTimeToLive(asked, keys=True)
            yield _think(chance), request
        if chance.random() < 0.5:
            yield _think(chance), LeaseRevoke(lease)


def _lock_client(chance: Random, client: int, pauses: float) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        lease += 1
        name = f"lock/{chance.randrange(2)}"
        key = f"{name}/{lease:x}"
        yield _think(chance), LeaseGrant(lease, 2)
        if (yield 0, Lock(name, lease)) is not None:
            for _ in range(chance.randrange(1, 4)):
                count += 1
                wait = 3 * S if chance.random() < pauses else _think(chance)
                put = Put(f"protected/{name}", f"{client}.{count}")
                held = Compare(key, "version", ">", 0)
                yield wait, Txn((held,), (put,), (Range(key),))
            yield _think(chance), Unlock(key)
        yield 0, LeaseRevoke(lease)


def _election_client(chance: Random, client: int, pauses: float) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        kind = chance.random()
        name = f"election/{chance.randrange(2)}"
        if kind < 0.6:
            yield _think(chance), (Leader(name) if kind < 0.4 else Range("election/", "election0"))
            continue
        lease += 1
        count += 1
        yield _think(chance), LeaseGrant(lease, 2 + chance.randrange(4))
        elected = yield 0, Campaign(name, lease, f"{client}.{count}")
        if isinstance(elected, CampaignResult):
            for _ in range(chance.randrange(3)):
                count += 1
                wait = 3 * S if chance.random() < pauses else _think(chance)
                yield wait, Proclaim(
                    name, elected.key, lease, elected.revision, f"{client}.{count}"
                )
            if chance.random() < 0.7:
                yield _think(chance), Resign(name, elected.key, lease, elected.revision)
        yield 0, LeaseRevoke(lease)


def _think(chance: Random) -> int:
    return int(chance.expovariate(1 / (40 * MS))) + 1


CLIENTS: Mapping[str, Callable[[Random, int, float], Client]] = {
    "lease": lambda chance, client, pauses: _lease_client(chance, client),
    "lock": _lock_client,
    "election": _election_client,
}

COORDINATION_SPOILS: Mapping[str, tuple[str, str, str]] = {
    "lease-outlives-revocation": (
        "lease", "a revocation leaves a key", "outlived its revocation"),
    "lease-dies-early": ("lease", "a lease ends before its time", "died early"),
    "lease-never-ends": ("lease", "a lease that ran out stays", "outlived its lease"),
    "lease-renews-the-dead": (
        "lease", "a lease that is gone is kept alive", "kept alive when dead"),
    "lease-wrong-time": ("lease", "a time to live is told too long", "wrong time to live"),
    "lease-foreign-key": ("lease", "a key is told that hangs on no such lease", "wrong keys"),
    "lock-granted-out-of-turn": ("lock", "a lock is granted twice", "granted out of turn"),
    "lock-granted-to-the-dead": (
        "lock", "a lock is granted whose key is gone", "granted without a key"),
    "fence-passes": ("lock", "a comparison holds of a key that is gone", "fence passed"),
    "election-granted-out-of-turn": (
        "election", "two are elected", "elected out of turn"),
    "election-granted-to-the-dead": (
        "election", "one is elected whose key is gone", "elected out of turn"),
    "election-wrong-leader": ("election", "another is named the leader", "wrong leader"),
    "election-lost-proclamation": (
        "election", "a proclamation is put elsewhere", "lost proclamation"),
    "election-resigns-in-vain": (
        "election", "a leader that resigned stays", "resigned in vain"),
}
"""Planted bugs: the workload, what goes wrong, and the anomaly that it must show as."""


# --- the run ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    store: _Store
    chance: Random
    clients: list[Client]
    events: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    queue: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    waiting: list[tuple[int, Lock | Campaign, AnyResult]] = field(default_factory=list)
    steps: int = 0
    until: int = 0

    def later(self, at: int, step: Callable[[], None]) -> None:
        self.steps += 1
        heapq.heappush(self.queue, (at, self.steps, step))

    def go(self, until: int) -> None:
        self.until = until
        for number in range(len(self.clients)):
            self._next(number, None)
        self.later(EXPIRY_CHECK_NS, self._expire)
        while self.queue:
            at, _, step = heapq.heappop(self.queue)
            self.store.now = at
            step()
            self._wake()

    def _expire(self) -> None:
        self.store.expire()
        if self.store.now < self.until + 10 * S:
            self.later(self.store.now + EXPIRY_CHECK_NS, self._expire)
        if self.store.now % S == 0:  # somebody looks, and shows when revisions were made
            self._ask(len(self.clients), Range("\0", "\x7f"))

    def _next(self, client: int, answer: AnyResult | None) -> None:
        """Send it the answer to its last request (None begins it, too); ask the next one."""
        wait, request = self.clients[client].send(answer)
        if self.store.now + wait < self.until:
            self.later(self.store.now + wait, lambda: self._ask(client, request))

    def _ask(self, client: int, request: AnyRequest) -> None:
        self._record(client, "invoke", request, request)
        delay = int(self.chance.expovariate(1 / MS)) + 1
        self.later(self.store.now + delay, lambda: self._take(client, request))

    def _take(self, client: int, request: AnyRequest) -> None:
        try:
            made = self.store.answer(request)
        except _Refused as refusal:
            self._tell(client, request, None, str(refusal))
            return
        if isinstance(request, Lock | Campaign):
            self.waiting.append((client, request, made))
        else:
            self._tell(client, request, made, "")

    def _wake(self) -> None:
        for one in list(self.waiting):
            client, request, made = one
            try:
                if not self.store.may_return(request, made):
                    continue
                if isinstance(made, LockResult):
                    made = msgspec.structs.replace(made, header=self.store.header())
                self._tell(client, request, made, "")
            except _Refused as refusal:
                self._tell(client, request, None, str(refusal))
            self.waiting.remove(one)

    def _tell(
        self, client: int, request: AnyRequest, result: AnyResult | None, error: str
    ) -> None:
        delay = int(self.chance.expovariate(1 / MS)) + 1

        def tell() -> None:
            self._record(client, "ok" if result is not None else "fail", request, result, error)
            if client < len(self.clients):
                self._next(client, result)

        self.later(self.store.now + delay, tell)

    def _record(
        self, client: int, kind: str, request: AnyRequest, value: AnyRequest | AnyResult | None,
        error: str = "",
    ) -> None:
        self.steps += 1
        self.events.append((self.store.now, self.steps, {
            "process": client, "type": kind, "f": type(request).__name__.lower(),
            "value": msgspec.Raw(msgspec.json.encode(value)), "node": f"n{client % 3 + 1}",
            "error": error or None,
        }))


def generate_coordination(
    workload: str, seconds: int = 30, clients: int = 6, seed: int = 0, pauses: float = 0.0,
    spoil: str = "",
) -> Evidence | None:
    """A run of `lease`, `lock` or `election` of so many seconds of virtual time. `pauses`:
    the share of steps under a lock, or as leader, before which the client sleeps for longer
    than its lease lives. None if there was no occasion to `spoil` it."""
    chance = stream(seed, "synthetic", workload)
    store = _Store(bug=spoil, bug_from_ns=seconds * S // 3)
    made = [
        CLIENTS[workload](stream(seed, "synthetic", workload, client), client, pauses)
        for client in range(clients)
    ]
    run = _Run(store, chance, made)
    run.go(seconds * S)
    if spoil and not store.bug_done:
        return None
    events = [
        Event(index, time, **fields) for index, (time, _, fields) in enumerate(sorted(
            run.events, key=lambda one: one[:2]
        ))
    ]
    states = tuple(
        MemberState(
            name, revision=store.revision, hash=7, hash_revision=store.revision, leader_id=1,
            changes=tuple(store.changes),
        )
        for name in ("n1", "n2", "n3")
    )
    return Evidence(History.of(events), states, workload=workload)
