"""Generates valid histories of transactions over lists or registers, of any size.

The generator simulates clients in virtual time against one serializable store. Each transaction
takes effect at one moment between its invocation and its answer. A transaction with the outcome
`info` takes effect at a moment after its invocation, or never. A failed transaction never takes
effect. A few keys are in use at a time. Each key is replaced by a new key after
`WRITES_PER_KEY_MAX` writes, so that lists stay short. The same arguments give the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Literal

from splitbrain.histories.random_stream import stream
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

KEYS = 10
WRITES_PER_KEY_MAX = 32
OPERATIONS_MAX = 4

TRANSACTIONS: Mapping[str, str] = {
    "append": "transactions that read lists and append to them",
    "wr": "transactions that read and write registers",
}
"""Maps the value of `splitbrain generate --workload` to the description of the workload."""

Fate = Literal["ok", "fail", "info"]


def generate_append(
    transactions: int = 1000,
    clients: int = 32,
    uncertain: float = 0.01,
    failing: float = 0.01,
    seed: int = 0,
    registers: bool = False,
) -> list[Transaction]:
    """Generate a strictly serializable history of transactions over lists, or over registers.

    Returns the transactions in the order of their invocations. `transactions` is the number of
    transactions, and `clients` the number of clients that execute them. With `registers`, the
    transactions use registers in place of lists. `uncertain` is the share of transactions that end
    in `info`, and `failing` the share of those that end in `fail`.
    """
    simulation = _Simulation(
        clients=clients, uncertain=uncertain, failing=failing, seed=seed, registers=registers
    )
    simulation.run(transactions)
    return simulation.finish()


class _Call:
    __slots__ = (
        "client", "ended", "ended_ns", "fate", "invoked", "ns", "operations", "process", "shape",
    )

    def __init__(self, client: int, process: int) -> None:
        self.client = client
        self.process = process
        self.fate: Fate = "ok"
        self.shape: list[tuple[int, int]] = []
        """For each micro-operation: its key, and the element that it writes, or 0 for a read."""
        self.operations: tuple[MicroOperation, ...] | None = None
        self.invoked = self.ns = 0
        self.ended: int | None = None
        self.ended_ns: int | None = None


class _Simulation:
    def __init__(
        self, *, clients: int, uncertain: float, failing: float, seed: int, registers: bool
    ) -> None:
        self._random = stream(seed, "synthetic", "append")
        self._uncertain, self._failing = uncertain, failing
        self._registers = registers
        self._values: dict[int, Any] = {}
        self._keys = list(range(KEYS))
        self._written = [0] * KEYS
        self._next_key = KEYS
        self._calls: list[_Call] = []
        self._queue: list[tuple[int, int, str, _Call]] = []
        self._scheduled = 0
        self._processes = clients
        self._events = 0
        for client in range(clients):
            self._schedule(client, "invoke", _Call(client, client))

    def _schedule(self, at: int, step: str, call: _Call) -> None:
        self._scheduled += 1
        heapq.heappush(self._queue, (at, self._scheduled, step, call))

    def run(self, transactions: int) -> None:
        while self._queue:
            now, _, step, call = heapq.heappop(self._queue)
            if step == "invoke":
                if len(self._calls) < transactions:
                    self._invoke(now, call)
            elif step == "effect":
                self._take_effect(call)
            else:
                self._return(now, call)

    def _draw(self) -> list[tuple[int, int]]:
        random, shape = self._random, []
        for _ in range(1 + int(random.random() * OPERATIONS_MAX)):
            # The first keys are used more often than the last ones.
            place = int(random.random() ** 2 * KEYS)
            if random.random() < 0.5:
                shape.append((self._keys[place], 0))
                continue
            self._written[place] += 1
            shape.append((self._keys[place], self._written[place]))
            if self._written[place] == WRITES_PER_KEY_MAX:
                self._keys[place], self._written[place] = self._next_key, 0
                self._next_key += 1
        return shape

    def _invoke(self, now: int, call: _Call) -> None:
        random = self._random
        call.shape, call.ns, call.invoked = self._draw(), now, self._events
        self._events += 1
        self._calls.append(call)
        draw = random.random()
        if draw < self._uncertain:
            call.fate = "info"
        elif draw < self._uncertain + self._failing:
            call.fate = "fail"
        effect = now + int(random.expovariate(1e-6)) + 1
        if call.fate == "ok":
            self._schedule(effect, "effect", call)
        elif call.fate == "info" and random.random() < 0.5:
            self._schedule(effect + random.randrange(0, 40_000_000), "effect", call)
        self._schedule(effect + int(random.expovariate(2e-6)) + 1, "return", call)

    def _take_effect(self, call: _Call) -> None:
        values = self._values
        operations: list[MicroOperation] = []
        for key, element in call.shape:
            if element == 0:
                operations.append(Read(key, values.get(key, None if self._registers else ())))
            elif self._registers:
                values[key] = element
                operations.append(Write(key, element))
            else:
                values[key] = (*values.get(key, ()), element)
                operations.append(Append(key, element))
        call.operations = tuple(operations)

    def _return(self, now: int, call: _Call) -> None:
        call.ended, call.ended_ns = self._events, now
        self._events += 1
        process = call.process
        if call.fate == "info":
            process, self._processes = self._processes, self._processes + 1
        think = self._random.randrange(1, 2_000_000)
        self._schedule(now + think, "invoke", _Call(call.client, process))

    def finish(self) -> list[Transaction]:
        transactions = []
        for call in self._calls:
            operations = call.operations
            if operations is None or call.fate != "ok":
                operations = tuple(
                    Read(key) if element == 0
                    else Write(key, element) if self._registers else Append(key, element)
                    for key, element in call.shape
                )
            ended = None if call.fate == "info" else call.ended
            transactions.append(Transaction(
                process=call.process, outcome=call.fate, operations=operations,
                invoked=call.invoked, returned=ended, call_ns=call.ns, ended_ns=call.ended_ns,
            ))
        return transactions
