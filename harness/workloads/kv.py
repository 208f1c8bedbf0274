"""All operations of the key-value service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import ClassVar, Literal

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn

LONG = (600, 3000)
"""The length of long values in characters (least, most). They are longer than a sector of a
disk, so that a single write can be torn."""

Order = Literal["", "key", "value"]
Target = Literal["value", "version", "create", "mod"]


class KV:
    """Put, get, delete, ranges, reads of past revisions and transactions over `keys` keys.

    `long_percent` of the values are long. Some ranges are sorted by key or value. Most reads
    are linearizable, some are serializable, and some read a revision shortly before the last
    one that the client has seen.

    A transaction has one or two comparisons, each of a key or of all keys of an interval. A
    comparison tests the value, mod_revision, version or create_revision that the client last
    read, or tests by version or create_revision whether the key exists. Both branches put,
    delete and read, and some contain a nested transaction.
    """

    name: ClassVar[str] = "kv"
    description: ClassVar[str] = (
        "put, get, delete, intervals, reads of the past and multi-key transactions"
    )
    checkers: ClassVar[Sequence[str]] = ALWAYS

    def __init__(self, keys: int = 12, long_percent: int = 2) -> None:
        if not 2 <= keys <= 1000:
            raise BadArguments(f"the workload kv with keys={keys}: expected 2 to 1000")
        if not 0 <= long_percent <= 100:
            raise BadArguments(
                f"the workload kv with long_percent={long_percent}: expected 0 to 100"
            )
        self.keys = keys
        self.long_percent = long_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        kinds: list[Callable[[Random, UniqueValues], Draft]] = [
            self._put,
            self._get,
            self._delete,
            self._interval,
            self._past,
            self._txn,
        ]
        weights = [25, 22, 8, 15, 6, 24]
        while True:
            yield random.choices(kinds, weights)[0](random, values)

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("k", "l")),)

    def _key(self, random: Random) -> str:
        return f"k{random.randrange(self.keys):03d}"

    def _bounds(self, random: Random) -> tuple[str, str]:
        first = random.randrange(self.keys)
        last = min(self.keys, first + 1 + random.randrange(4))
        return f"k{first:03d}", f"k{last:03d}"

    def _put(self, random: Random, values: UniqueValues) -> Draft:
        value = self._value(random, values)
        return Draft("put", Put(self._key(random), value, prev_kv=random.random() < 0.3))

    def _value(self, random: Random, values: UniqueValues) -> str:
        long = random.random() * 100 < self.long_percent
        return values.take(random.randrange(*LONG) if long else 0)

    def _get(self, random: Random, values: UniqueValues) -> Draft:
        return Draft("get", Range(self._key(random), serializable=random.random() < 0.2))

    def _delete(self, random: Random, values: UniqueValues) -> Draft:
        prev_kv = random.random() < 0.5
        if random.random() < 0.7:
            return Draft("delete", Delete(self._key(random), prev_kv=prev_kv))
        key, end = self._bounds(random)
        return Draft("delete", Delete(key, end, prev_kv=prev_kv))

    def _interval(self, random: Random, values: UniqueValues) -> Draft:
        key, end = self._bounds(random)
        wide = random.random()
        if wide < 0.2:
            key, end = "k", "l"
        elif wide < 0.3:
            end = "\0"  # all keys from `key`
        draw = random.random()
        sort_by: Order = random.choice(("", "", "", "key", "value"))
        return Draft(
            "range",
            Range(
                key,
                end,
                limit=random.randrange(1, 4) if draw < 0.3 else 0,
                sort_by=sort_by,
                descend=bool(sort_by) and random.random() < 0.6,
                serializable=0.3 <= draw < 0.45,
                keys_only=0.45 <= draw < 0.55,
                count_only=0.55 <= draw < 0.65,
            ),
        )

    def _past(self, random: Random, values: UniqueValues) -> Draft:
        key, end = self._bounds(random)
        serializable = random.random() < 0.5
        # Mostly recent revisions, which a member that lags has not applied yet.
        back = 1 + int(30 * random.random() ** 3)
        return Draft("range", Range(key, end, serializable=serializable), revision_back=back)

    def _txn(self, random: Random, values: UniqueValues) -> Draft:
        comparisons = [self._compare(random) for _ in range(random.choice((1, 1, 2)))]
        seen = tuple(
            place
            for place, one in enumerate(comparisons)
            if one.target in ("value", "mod") or random.random() < 0.4
        )
        request = Txn(
            tuple(comparisons),
            success=self._branch(random, values),
            failure=self._branch(random, values, reads=0.6),
        )
        return Draft("txn", request, expect_last_seen=seen)

    def _compare(self, random: Random) -> Compare:
        key, end = self._key(random), ""
        if random.random() < 0.1:
            key, end = self._bounds(random)
        draw = random.random()
        if draw < 0.35:
            return Compare(
                key=key, target="value", result=random.choice(("=", "=", "!=", "<", ">")),
                operand="", range_end=end,
            )
        if draw < 0.7:
            return Compare(
                key=key, target="mod", result=random.choice(("=", "=", ">", "<")), operand=0,
                range_end=end,
            )
        target: Target = random.choice(("version", "create"))
        return Compare(
            key=key, target=target, result=random.choice(("=", "=", ">", ">", "<", "!=")),
            operand=0, range_end=end,
        )

    def _branch(
        self, random: Random, values: UniqueValues, reads: float = 0.3
    ) -> tuple[Put | Range | Delete | Txn, ...]:
        """One to three operations on different keys, because a store refuses two writes of one key.

        In some branches all operations but the first are in a nested transaction.
        """
        count = min(self.keys, random.choice((1, 1, 2, 3)))
        numbers = random.sample(range(self.keys), count)
        branch = self._writes_and_reads(random, values, numbers, reads)
        if count > 1 and random.random() < 0.2:
            inner = Txn((self._compare(random),), branch[1:], (Range(branch[1].key),))
            return (branch[0], inner)
        return branch

    def _writes_and_reads(
        self, random: Random, values: UniqueValues, numbers: Sequence[int], reads: float
    ) -> tuple[Put | Range | Delete, ...]:
        branch: list[Put | Range | Delete] = []
        for number in numbers:
            key = f"k{number:03d}"
            draw = random.random()
            if draw < reads:
                branch.append(Range(key))
            elif draw < 0.9:
                branch.append(Put(key, self._value(random, values), prev_kv=random.random() < 0.2))
            else:
                branch.append(Delete(key, prev_kv=random.random() < 0.5))
        return tuple(branch)
