"""Generates runs with leases, locks and elections, which are valid or show one planted bug.

The generator simulates clients in virtual time against the model of a store in
`splitbrain.harness.synthetic.coordination_store`. A client may pause for longer than the time to
live of its lease. The same arguments give the same run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.harness.synthetic.coordination_store import CoordinationStore, RefusedError, S
from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compare, Put, Range, Txn
from splitbrain.histories.lease import LeaseGrant, LeaseKeepAlive, LeaseRevoke, LeaseTimeToLive
from splitbrain.histories.lock_and_election import (
    Campaign,
    CampaignResult,
    Leader,
    Lock,
    LockResult,
    Proclaim,
    Resign,
    Unlock,
)
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.random_stream import stream
from splitbrain.histories.service_operation import AnyRequest, AnyResult

MS = 1_000_000
EXPIRY_CHECK_NS = 500 * MS
NEVER_GRANTED = 500_000
"""The sum of this number and the id of any lease of a client is an id that no lease has."""

Client = Generator[tuple[int, AnyRequest], AnyResult | None, None]
"""A generator that simulates a client. It yields pairs (time to wait in ns, request), and receives
the answer, or None if the request failed."""


# --- clients ----------------------------------------------------------------------------


def _lease_client(random: Random, client: int, ttl: int) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        lease += 1
        kept_alive = random.random() < 0.7
        yield _think(random), LeaseGrant(lease, ttl + random.randrange(3))
        for _ in range(random.randrange(3, 25)):
            count += 1
            key, kind = f"l{random.randrange(12):03d}", random.random()
            if random.random() < 0.05:
                # This key is rarely written, so it is attached to its lease for a long time.
                key = f"l1{client:02d}{random.randrange(3)}"
            used = lease if kind < 0.9 or lease % 1_000_000 == 1 else lease - 1
            if random.random() < 0.02:
                used = lease + NEVER_GRANTED
            request: AnyRequest
            if kind < 0.3 or kind > 0.97:
                request = Put(key, f"{client}.{count}", used if random.random() < 0.85 else 0)
            elif kind < 0.55:
                request = Range(key) if random.random() < 0.5 else Range("l", "m")
            elif kept_alive and (kind < 0.8 or kind > 0.93):
                request = LeaseKeepAlive(used)
            else:
                request = LeaseTimeToLive(used, keys=True)
            yield _think(random) * max(1, ttl // 4) * (1 if kept_alive else 4), request
        if random.random() < 0.5:
            yield _think(random), LeaseRevoke(lease)


def _lock_client(random: Random, client: int, pauses: float) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        lease += 1
        name = f"lock/{random.randrange(2)}"
        key = f"{name}/{lease:x}"
        yield _think(random), LeaseGrant(lease, 2)
        if (yield 0, Lock(name, lease)) is not None:
            for _ in range(random.randrange(1, 4)):
                count += 1
                wait = 3 * S if random.random() < pauses else _think(random)
                put = Put(f"protected/{name}", f"{client}.{count}")
                fence = Compare(key, "version", ">", 0)
                yield wait, Txn((fence,), (put,), (Range(key),))
            yield _think(random), Unlock(key)
        yield 0, LeaseRevoke(lease)


def _election_client(random: Random, client: int, pauses: float) -> Client:
    lease = client * 1_000_000
    count = 0
    while True:
        kind = random.random()
        name = f"election/{random.randrange(2)}"
        if kind < 0.6:
            yield _think(random), (Leader(name) if kind < 0.4 else Range("election/", "election0"))
            continue
        lease += 1
        count += 1
        yield _think(random), LeaseGrant(lease, 2 + random.randrange(4))
        elected = yield 0, Campaign(name, lease, f"{client}.{count}")
        if isinstance(elected, CampaignResult):
            for _ in range(random.randrange(3)):
                count += 1
                wait = 3 * S if random.random() < pauses else _think(random)
                yield wait, Proclaim(
                    name=name, key=elected.key, lease=lease, revision=elected.revision,
                    value=f"{client}.{count}",
                )
            if random.random() < 0.7:
                yield _think(random), Resign(name, elected.key, lease, elected.revision)
        yield 0, LeaseRevoke(lease)


def _think(random: Random) -> int:
    return int(random.expovariate(1 / (40 * MS))) + 1


CLIENTS: Mapping[str, Callable[[Random, int, float, int], Client]] = {
    "lease": lambda random, client, pauses, ttl: _lease_client(random, client, ttl),
    "lock": lambda random, client, pauses, ttl: _lock_client(random, client, pauses),
    "election": lambda random, client, pauses, ttl: _election_client(random, client, pauses),
}
"""For each workload, the function that makes a client. Its arguments are a random stream, the
number of the client, the share of pauses, and the time to live of a lease in s."""


# --- the run ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """A generated run: the queue of steps in virtual time, and the events recorded so far."""

    store: CoordinationStore
    random: Random
    clients: list[Client]
    events: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    queue: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    queued: list[tuple[int, Lock | Campaign, AnyResult]] = field(default_factory=list)
    steps: int = 0
    """The number of steps and events so far. Steps and events of the same time are in the order of
    this number."""
    until: int = 0
    leader_change_s: int = 0
    """The mean time in s between two changes of the leader; 0: the leader never changes."""

    def schedule(self, at: int, step: Callable[[], None]) -> None:
        self.steps += 1
        heapq.heappush(self.queue, (at, self.steps, step))

    def execute(self, until: int) -> None:
        self.until = until
        for number in range(len(self.clients)):
            self._resume(number, None)
        self.schedule(EXPIRY_CHECK_NS, self._expire)
        self._plan_leader_change()
        while self.queue:
            at, _, step = heapq.heappop(self.queue)
            self.store.now = at
            step()
            self._grant()

    def _plan_leader_change(self) -> None:
        if self.leader_change_s and self.store.now < self.until:
            wait = int(self.random.expovariate(1 / (self.leader_change_s * S)))
            self.schedule(self.store.now + wait, self._change_leader)

    def _change_leader(self) -> None:
        self.store.change_leader()
        self._plan_leader_change()

    def _expire(self) -> None:
        self.store.expire()
        if self.store.now < self.until + 10 * S:
            self.schedule(self.store.now + EXPIRY_CHECK_NS, self._expire)
        # A read of all keys shows to the checkers when revisions were written.
        if self.store.now % S == 0:
            self._send(len(self.clients), Range("\0", "\x7f"))

    def _resume(self, client: int, answer: AnyResult | None) -> None:
        """Pass `answer` to the client, and schedule its next request.

        `answer` is None if the request failed. The first call, which starts the client, also passes
        None.
        """
        wait, request = self.clients[client].send(answer)
        if self.store.now + wait < self.until:
            self.schedule(self.store.now + wait, lambda: self._send(client, request))

    def _send(self, client: int, request: AnyRequest) -> None:
        self._record(client, "invoke", request, request)
        delay = int(self.random.expovariate(1 / MS)) + 1
        self.schedule(self.store.now + delay, lambda: self._receive(client, request))

    def _receive(self, client: int, request: AnyRequest) -> None:
        try:
            result = self.store.answer(request)
        except RefusedError as refusal:
            self._answer(client, request, None, str(refusal))
            return
        if isinstance(request, Lock | Campaign):
            self.queued.append((client, request, result))
        else:
            self._answer(client, request, result, "")

    def _grant(self) -> None:
        for one in list(self.queued):
            client, request, result = one
            try:
                if not self.store.is_granted(request):
                    continue
                if isinstance(result, LockResult):
                    result = msgspec.structs.replace(result, header=self.store.header())
                self._answer(client, request, result, "")
            except RefusedError as refusal:
                self._answer(client, request, None, str(refusal))
            self.queued.remove(one)

    def _answer(
        self, client: int, request: AnyRequest, result: AnyResult | None, error: str
    ) -> None:
        delay = int(self.random.expovariate(1 / MS)) + 1

        def deliver() -> None:
            self._record(client, "ok" if result is not None else "fail", request, result, error)
            if client < len(self.clients):
                self._resume(client, result)

        self.schedule(self.store.now + delay, deliver)

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
    corrupt: str = "", leader_change_s: int = 0, checkpoint_s: int = 0, ttl: int = 2,
) -> Evidence | None:
    """Generate a run of the workload `lease`, `lock` or `election`.

    Returns None if the planted bug never had an occasion to show.

    - `seconds`: the length of the run in virtual time.
    - `pauses`: the probability that a client pauses before an operation in which it relies on a
      lock or on being leader. Such a pause is longer than the time to live of the client's lease.
    - `corrupt`: the name of a planted bug in `COORDINATION_CORRUPTIONS`, or "" for none.
    - `leader_change_s`: the mean time between changes of the leader (0: none).
    - `checkpoint_s`: the interval at which the leader records the remaining time of leases (0:
      never).
    - `ttl`: the leases of the workload `lease` have a time to live of `ttl` to `ttl` + 2 seconds.
    """
    random = stream(seed, "synthetic", workload)
    store = CoordinationStore(
        bug=corrupt, bug_from_ns=seconds * S // 3, checkpoint_s=checkpoint_s
    )
    simulated = [
        CLIENTS[workload](stream(seed, "synthetic", workload, client), client, pauses, ttl)
        for client in range(clients)
    ]
    run = _Run(store, random, simulated, leader_change_s=leader_change_s)
    run.execute(seconds * S)
    if corrupt and not store.bug_done:
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
    return Evidence(
        History.of(events), states, workload=workload, lease_checkpoint_s=checkpoint_s
    )
