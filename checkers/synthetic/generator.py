"""Valid histories of any size: clients in virtual time against one sequential store.

Each operation takes effect at an instant between its invocation and its answer; an
uncertain one at an instant after its invocation, or never. Serializable reads see the
store as it was a while ago. The same arguments give the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec

from checkers.evaluation import Evaluation, answer_range
from checkers.sequential_store import SequentialStore
from histories.chance import stream
from histories.event import Event
from histories.kv import (
    Compare,
    Delete,
    Header,
    Put,
    Range,
    Request,
    Result,
    Txn,
)
from histories.member_state import Change, MemberState

Draw = Callable[[Random, int, int], Request]
"""(chance, a number no one else has, the store's revision) -> the next request."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Events in order, and what the members hold at the end."""

    events: tuple[Event, ...]
    members: tuple[MemberState, ...]


def draw_kv(chance: Random, number: int, revision: int, keys: int = 12) -> Request:
    """Like the workload `kv`: every request of the key-value service but compaction."""
    key = f"k{chance.randrange(keys):03d}"
    first = chance.randrange(keys)
    low, high = f"k{first:03d}", f"k{first + 1 + chance.randrange(4):03d}"
    kind = chance.random()
    if kind < 0.25:
        return Put(key, f"v{number}", prev_kv=chance.random() < 0.3)
    if kind < 0.47:
        return Range(key, serializable=chance.random() < 0.2)
    if kind < 0.55:
        wide = chance.random() < 0.3
        return Delete(low if wide else key, high if wide else "", prev_kv=chance.random() < 0.5)
    if kind < 0.70:
        return Range(
            low, high,
            limit=chance.choice((0, 0, 1, 2)),
            keys_only=chance.random() < 0.1,
            count_only=chance.random() < 0.1,
            serializable=chance.random() < 0.2,
        )
    if kind < 0.76:
        return Range(low, high, revision=max(1, revision - chance.randrange(30)))
    return _draw_txn(chance, number, key, low, high)


def _draw_txn(chance: Random, number: int, key: str, low: str, high: str) -> Txn:
    compare = chance.choice(
        (
            Compare(key, "version", "=", 0),
            Compare(key, "version", ">", 2),
            Compare(key, "value", "!=", f"v{number - 5}"),
            Compare(low, "create", ">", 0, range_end=high),
            Compare(key, "mod", "<", number // 2),
        )
    )
    nested = Txn(
        (Compare(low, "version", ">", 1),), (Put(f"{low}n", f"w{number}"),), (Range(low),)
    )
    success: tuple[Put | Range | Delete | Txn, ...] = (Put(key, f"v{number}"), Range(low, high))
    failure = chance.choice(((Range(key),), (Delete(low, high),), (Put(low, f"f{number}"), nested)))
    return Txn((compare,), success, failure)


def draw_register(chance: Random, number: int, revision: int) -> Request:
    """Like the workload `register`: put, get and compare-and-swap over a few keys that
    change as the history goes on."""
    key = f"r{number // 2000}.{chance.randrange(5)}"
    kind = chance.random()
    if kind < 0.35:
        return Range(key)
    if kind < 0.65:
        return Put(key, f"v{number}")
    compare = Compare(key, "value", "=", f"v{number - chance.randrange(60)}")
    return Txn((compare,), (Put(key, f"v{number}"),), (Range(key),))


def draw_set(chance: Random, number: int, revision: int) -> Request:
    """Like the workload `set`: adds of unique elements, and a few reads."""
    client = number % 10
    if chance.random() < 0.15:
        return Range(f"set/{client}/", f"set/{client}0", limit=10)
    put = Put(f"set/{client}/{number}", f"{number}")
    if chance.random() < 0.5:
        return put
    return Txn((Compare(put.key, "version", "=", 0),), (put,), (Range(put.key),))


DRAWS: dict[str, Draw] = {"kv": draw_kv, "register": draw_register, "set": draw_set}


@dataclass(slots=True)
class _Call:
    process: int
    client: int
    request: Request
    f: str
    fate: str
    result: Result | None = None


class _Simulation:
    """A heap of instants: invoke, take effect, return."""

    def __init__(self, draw: Draw, clients: int, uncertain: float, failing: float, seed: int):
        self._chance = stream(seed, "synthetic")
        self._draw = draw
        self._uncertain, self._failing = uncertain, failing
        self.store = SequentialStore()
        self.changes: list[Change] = []
        self.events: list[Event] = []
        self._queue: list[tuple[int, int, str, _Call]] = []
        self._numbers = 0
        self._processes = clients
        self._places = 0
        self._now = 0
        for client in range(clients):
            self._later(client, "invoke", _Call(client, client, Range(""), "", ""))

    def _later(self, at: int, what: str, call: _Call) -> None:
        self._places += 1
        heapq.heappush(self._queue, (at, self._places, what, call))

    def run(self, operations: int) -> None:
        begun = 0
        while self._queue:
            now, _, what, call = heapq.heappop(self._queue)
            if what == "invoke" and begun < operations:
                begun += 1
                self._invoke(now, call)
            elif what == "effect":
                self._effect(call)
            elif what == "return":
                self._return(now, call)
            self._now = now
        for client in range(3):
            self._read_all(client)

    def _read_all(self, client: int) -> None:
        """The reads at the end of a run, of each member."""
        call = _Call(self._processes + client, client, Range("\0", "\0"), "final_read", "ok")
        self._record(self._now, call, "invoke", msgspec.json.encode(call.request))
        self._effect(call)
        self._record(self._now, call, "ok", msgspec.json.encode(call.result))

    def _invoke(self, now: int, idle: _Call) -> None:
        self._numbers += 1
        request = self._draw(self._chance, self._numbers, self.store.revision)
        draw = self._chance.random()
        fate = "ok"
        if draw < self._uncertain:
            fate = "info"
        elif draw < self._uncertain + self._failing:
            fate = "fail"
        call = _Call(idle.process, idle.client, request, self._function(request), fate)
        self._record(now, call, "invoke", msgspec.json.encode(request))
        wait = int(self._chance.expovariate(1 / 1_000_000)) + 1
        effect = now + wait
        ended = effect + int(self._chance.expovariate(1 / 500_000)) + 1
        if fate == "ok":
            self._later(effect, "effect", call)
        elif fate == "info" and self._chance.random() < 0.5:
            self._later(effect + self._chance.randrange(0, 40_000_000), "effect", call)
        self._later(ended, "return", call)

    def _function(self, request: Request) -> str:
        if self._draw is draw_set and not isinstance(request, Range):
            return "add"
        return type(request).__name__.lower()

    def _effect(self, call: _Call) -> None:
        request = call.request
        evaluation = Evaluation(self.store, request)
        if evaluation.changes:
            self.store.apply(self.store.revision + 1, evaluation.changes)
            self.changes.extend(evaluation.changes)
        revision = self.store.revision
        result = evaluation.result
        if isinstance(request, Range) and request.serializable and not request.revision:
            revision = max(1, revision - self._chance.randrange(4))
            held = self.store.past(request.key, request.range_end, revision)
            result = answer_range(request, held, len(held))
        call.result = _with_header(result, Header(revision=revision, member_id=call.client % 3 + 1))

    def _return(self, now: int, call: _Call) -> None:
        if call.fate == "info":
            self._record(now, call, "info", b"null", "timed out")
            process, self._processes = self._processes, self._processes + 1
        else:
            process = call.process
            if call.fate == "fail":
                self._record(now, call, "fail", b"null", "etcdserver: too many requests")
            else:
                self._record(now, call, "ok", msgspec.json.encode(call.result))
        think = self._chance.randrange(1, 2_000_000)
        self._later(now + think, "invoke", _Call(process, call.client, Range(""), "", ""))

    def _record(
        self, now: int, call: _Call, kind: str, value: bytes, error: str | None = None
    ) -> None:
        self.events.append(
            Event(
                index=len(self.events),
                time=now,
                process=call.process,
                type=kind,  # type: ignore[arg-type]
                f=call.f,
                value=msgspec.Raw(value),
                node=f"n{call.client % 3 + 1}",
                error=error,
            )
        )


def _with_header(result: Result, header: Header) -> Result:
    return msgspec.structs.replace(result, header=header)


def generate(
    workload: str = "kv",
    operations: int = 1000,
    clients: int = 32,
    uncertain: float = 0.01,
    failing: float = 0.01,
    seed: int = 0,
    members: int = 3,
) -> Synthetic:
    """A valid history of about `operations` operations, and the members' equal states."""
    simulation = _Simulation(DRAWS[workload], clients, uncertain, failing, seed)
    simulation.run(operations)
    revision = simulation.store.revision
    states = tuple(
        MemberState(
            member=f"n{number}",
            revision=revision,
            hash=revision * 2654435761 % 2**32,
            hash_revision=revision,
            member_id=number,
            leader_id=1,
            raft_term=2,
            raft_index=revision + 3,
            raft_applied_index=revision + 3,
            changes=tuple(simulation.changes),
        )
        for number in range(1, members + 1)
    )
    return Synthetic(tuple(simulation.events), states)
