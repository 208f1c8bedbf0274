"""What clients of a generated history ask, by workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from splitbrain.histories.kv import Compact, Compare, Delete, Put, Range, Request, Txn

Draw = Callable[[Random, int, int], Request]
"""(chance, a number no one else has, the store's revision) -> the next request."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A workload. `adds`: its writes are named `add`, for the checkers of sets.
    `leases`: leases end now and then."""

    describe: str
    draw: Draw
    adds: bool = False
    leases: bool = False


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


def draw_aged(chance: Random, number: int, revision: int) -> Request:
    """Like `kv`, with compactions, reads of what may be compacted, and puts with leases."""
    kind = chance.random()
    if kind < 0.005:
        return Compact(max(1, revision - chance.randrange(10, 60)))
    if kind < 0.03:
        return Range("k", "l", revision=max(1, revision - chance.randrange(120)))
    if kind < 0.09:
        return Put(f"k{chance.randrange(12):03d}", f"v{number}", lease=1 + chance.randrange(4))
    return draw_kv(chance, number, revision)


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


DRAWS: Mapping[str, Drawn] = {
    "kv": Drawn("put, get, delete, intervals, reads of the past, transactions", draw_kv),
    "kv-aged": Drawn("kv with compactions, and leases that end", draw_aged, leases=True),
    "register": Drawn("put, get and compare-and-swap over a few keys at a time", draw_register),
    "set": Drawn("adds of unique elements, and a few reads", draw_set, adds=True),
}
"""By the name that `splitbrain generate --workload` knows."""
