"""Draws the requests of clients in generated histories, for each workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from splitbrain.histories.kv import Compact, Compare, Delete, Put, Range, Request, Txn

Draw = Callable[[Random, int, int], Request]
"""A function that draws the next request. Its arguments are a random stream, the number of the
operation, and the revision of the store."""


@dataclass(frozen=True, slots=True)
class SyntheticWorkload:
    """A workload of a generated history. `draw` draws the requests of its clients.

    With `adds`, writes are recorded with the function `add`, which the checkers of sets require.
    With `leases`, leases end from time to time, which deletes their keys.
    """

    description: str
    draw: Draw
    adds: bool = False
    leases: bool = False


def draw_kv(random: Random, number: int, revision: int, keys: int = 12) -> Request:
    """Draw a request as the workload `kv` does. Compactions are never drawn."""
    key = f"k{random.randrange(keys):03d}"
    first = random.randrange(keys)
    low, high = f"k{first:03d}", f"k{first + 1 + random.randrange(4):03d}"
    kind = random.random()
    if kind < 0.25:
        return Put(key, f"v{number}", prev_kv=random.random() < 0.3)
    if kind < 0.47:
        return Range(key, serializable=random.random() < 0.2)
    if kind < 0.55:
        wide = random.random() < 0.3
        return Delete(low if wide else key, high if wide else "", prev_kv=random.random() < 0.5)
    if kind < 0.70:
        return Range(
            low, high,
            limit=random.choice((0, 0, 1, 2)),
            keys_only=random.random() < 0.1,
            count_only=random.random() < 0.1,
            serializable=random.random() < 0.2,
        )
    if kind < 0.76:
        return Range(low, high, revision=max(1, revision - random.randrange(30)))
    return _draw_txn(random, number, key, low, high)


def _draw_txn(random: Random, number: int, key: str, low: str, high: str) -> Txn:
    compare = random.choice(
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
    failure = random.choice(((Range(key),), (Delete(low, high),), (Put(low, f"f{number}"), nested)))
    return Txn((compare,), success, failure)


def draw_aged(random: Random, number: int, revision: int) -> Request:
    """Draw a request as `draw_kv` does, or one of three further kinds.

    These are compactions, reads of revisions that may be compacted, and puts with leases.
    """
    kind = random.random()
    if kind < 0.005:
        return Compact(max(1, revision - random.randrange(10, 60)))
    if kind < 0.03:
        return Range("k", "l", revision=max(1, revision - random.randrange(120)))
    if kind < 0.09:
        return Put(f"k{random.randrange(12):03d}", f"v{number}", lease=1 + random.randrange(4))
    return draw_kv(random, number, revision)


def draw_mixed(random: Random, number: int, revision: int, keys: int = 12) -> Request:
    """Draw a request as the workload `kv` does, or one that clients rarely send.

    The rare requests are:
    - several compactions one after another;
    - a transaction that puts and also reads at a past revision;
    - a transaction that only reads;
    - a transaction that puts many keys, or a large value;
    - a transaction that the store refuses.
    """
    key, other = f"k{random.randrange(keys):03d}", f"k{random.randrange(keys):03d}n"
    if number % 400 < 3:
        return Compact(max(1, revision - random.choice((0, 0, 1, random.randrange(60)))))
    kind = random.random()
    at = max(1, revision - int(30 * random.random() ** 3))
    if kind < 0.03:
        refused = random.choice((revision + random.randint(1, 30), 1))
        branch: list[Put | Range] = [Put(key, f"v{number}"), Put(other, f"w{number}")]
        branch.insert(random.randrange(1, 3), Range(key, revision=refused))
        return Txn((), tuple(branch))
    if kind < 0.06:
        return Txn((), (Put(key, f"v{number}"), Range("k", "l", limit=3, revision=at)))
    if kind < 0.10:
        reads = (
            Range(key, serializable=random.random() < 0.5),
            Range("k", "l", limit=4, serializable=random.random() < 0.5),
            Range(other, revision=random.choice((0, at))),
        )
        return Txn((), reads[: random.randint(1, 3)])
    if kind < 0.11:
        return Txn((), tuple(Put(f"many/{n:02d}", f"v{number}.{n}") for n in range(60)))
    if kind < 0.12:
        large = f"v{number}".ljust(20_000, "~")
        return Txn((), (Put(key, f"v{number}"), Put("large", large), Put(other, f"w{number}")))
    return draw_kv(random, number, revision, keys)


def draw_register(random: Random, number: int, revision: int) -> Request:
    """Draw a request as the workload `register` does: put, get or compare-and-swap of a few keys.

    The keys are replaced after every 2,000 operations.
    """
    key = f"r{number // 2000}.{random.randrange(5)}"
    kind = random.random()
    if kind < 0.35:
        return Range(key)
    if kind < 0.65:
        return Put(key, f"v{number}")
    compare = Compare(key, "value", "=", f"v{number - random.randrange(60)}")
    return Txn((compare,), (Put(key, f"v{number}"),), (Range(key),))


def draw_set(random: Random, number: int, revision: int) -> Request:
    """Draw a request as the workload `set` does: adds of unique elements, and a few reads."""
    client = number % 10
    if random.random() < 0.15:
        return Range(f"set/{client}/", f"set/{client}0", limit=10)
    put = Put(f"set/{client}/{number}", f"{number}")
    if random.random() < 0.5:
        return put
    return Txn((Compare(put.key, "version", "=", 0),), (put,), (Range(put.key),))


WORKLOADS: Mapping[str, SyntheticWorkload] = {
    "kv": SyntheticWorkload(
        "put, get, delete, intervals, reads of past revisions, transactions", draw_kv,
    ),
    "kv-aged": SyntheticWorkload(
        "kv with compactions, and leases that end", draw_aged, leases=True,
    ),
    "kv-mixed": SyntheticWorkload(
        "kv with transactions of other kinds, many and large values, and bursts of compactions",
        draw_mixed,
    ),
    "register": SyntheticWorkload(
        "put, get and compare-and-swap of a few keys at a time", draw_register,
    ),
    "set": SyntheticWorkload("adds of unique elements, and a few reads", draw_set, adds=True),
}
"""Maps the value of `splitbrain generate --workload` to the workload."""
