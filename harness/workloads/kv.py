"""A workload of all operations of the key-value service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import ClassVar, Literal

from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.ranges_at_revisions import (
    RECENT_BACK_MAX,
    draw_back,
    draw_refused_back,
    with_ranges_back,
)
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compact, Compare, Delete, Put, Range, Txn

LONG = (600, 3000)
"""The shortest and the longest length of long values, in characters. They are longer than a sector
of a disk, so that a single write can be torn."""
LARGE = (4_000, 12_000, 40_000, 130_000)
"""The lengths of large values, in characters. The longest value is longer than the smallest segment
of a write-ahead log, and much shorter than the largest request that etcd accepts (1.5 MiB)."""
LARGE_KEYS = 3
MANY = (60, 100)
"""The smallest and the largest number of puts in a transaction of many puts. etcd accepts 128."""
BURST_PERCENT = 0.4
"""The percentage of a client's operations that begin a burst of compactions."""
BURST = (1, 1, 2, 3, 5)
"""The number of compactions in a burst."""
FUTURE_COMPACTIONS = 0.15
"""The share of compactions to a future revision."""
FUTURE_AHEAD = (2_000, 100_000)
"""The smallest and the largest number of revisions by which such a compaction is ahead of the
newest revision that the client has seen. The revision does not exist when the request arrives."""
KEPT_VALUE_SHARE = 0.06
"""The share of puts in transactions that keep the previous value of the key."""
KEPT_LEASE_SHARE = 0.03
"""The share of puts in transactions that keep the previous lease of the key."""
NEVER_GRANTED = 7
"""The id of a lease that does not exist."""

Order = Literal["", "key", "value", "version", "create", "mod"]
Bound = Literal["min_mod", "max_mod", "min_create", "max_create"]
Target = Literal["value", "version", "create", "mod"]
Operation = Put | Range | Delete | Txn


class KV:
    """Draws puts, gets, deletes, ranges, reads of past revisions, transactions and compactions.

    Most operations are on `keys` keys, and `long_percent` percent of the written values are long.
    Some ranges are sorted, by any target of the API. Some return only keys whose revisions are
    within a bound. Most reads are linearizable, some are serializable, and some read at a revision
    near the last one that the client has seen. Such a revision can already be compacted, or be in
    the future.

    There are three kinds of transactions:

    - Most have one or two comparisons, each of one key or of an interval of keys. A comparison uses
      the value, mod_revision, version or create_revision that the client last read, or tests
      whether the key exists. Both branches put, delete and read. Some puts keep the previous value
      or lease of their key. Some reads are at a past revision. Some branches contain a nested
      transaction.
    - Some only read, and mix serializable and linearizable ranges.
    - A few contain an operation that the store refuses, so that the whole transaction must have no
      effect.

    `many_percent` percent of the operations put 60 to 100 keys in one transaction, or read or
    delete these keys. `large_percent` percent put, read or delete large values.

    With `compactions` 0, no client compacts. Transactions that write and also read at a revision
    make the members of etcd diverge (etcd issue 18667). With `txn_revisions` 0, no such
    transactions are sent. With `keep_after_delete` 1, some transactions delete a key and then keep
    its value. etcd 3.5.1 panics when it applies such a transaction.
    """

    name: ClassVar[str] = "kv"
    description: ClassVar[str] = (
        "put, get, delete, intervals, reads of the past, multi-key transactions and compactions"
    )
    checkers: ClassVar[Sequence[str]] = ALWAYS
    may_always_fail: ClassVar[Sequence[str]] = ("compact",)
    """A run is valid even if this function never succeeds: no compaction is sent to a system whose
    change logs cannot be read."""

    def __init__(
        self,
        *,
        keys: int = 12,
        long_percent: int = 2,
        many_percent: int = 1,
        large_percent: int = 1,
        compactions: int = 1,
        txn_revisions: int = 1,
        keep_after_delete: int = 0,
    ) -> None:
        if not 2 <= keys <= 1000:
            raise BadArguments(f"the workload kv with keys={keys}: expected 2 to 1000")
        for name, given, most in (
            ("long_percent", long_percent, 100), ("many_percent", many_percent, 50),
            ("large_percent", large_percent, 50), ("compactions", compactions, 1),
            ("txn_revisions", txn_revisions, 1), ("keep_after_delete", keep_after_delete, 1),
        ):
            if not 0 <= given <= most:
                raise BadArguments(f"the workload kv with {name}={given}: expected 0 to {most}")
        self.keys = keys
        self.long_percent = long_percent
        self.many_percent = many_percent
        self.large_percent = large_percent
        self.compactions = compactions
        self.txn_revisions = txn_revisions
        self.keep_after_delete = keep_after_delete

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        kinds: list[Callable[[Random, UniqueValues], Draft]] = [
            self._put,
            self._get,
            self._delete,
            self._interval,
            self._past,
            self._txn,
            self._read_txn,
            self._refused_txn,
        ]
        weights = [25, 22, 8, 15, 6, 24, 4, 1]
        while True:
            kind = random.random() * 100
            if self.compactions and kind < BURST_PERCENT:
                for _ in range(random.choice(BURST)):
                    yield self._compact(random)
            elif 1 <= kind < 1 + self.many_percent:
                yield self._many(random, values)
            elif 99 >= kind > 99 - self.large_percent:
                yield self._large(random, values)
            else:
                yield random.choices(kinds, weights)[0](random, values)

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return tuple(
            Draft(FINAL_READ, Range(key, end))
            for key, end, percent in (
                ("k", "l", 100),
                ("large/", "large0", self.large_percent),
                ("many/", "many0", self.many_percent),
            )
            if percent
        )

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

    # --- reads and deletes

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
        sort_by: Order = random.choice(("", "", "", "", "key", "value", "version", "create", "mod"))
        request = Range(
            key,
            end,
            limit=random.randrange(1, 4) if draw < 0.3 else 0,
            sort_by=sort_by,
            descend=bool(sort_by) and random.random() < 0.6,
            serializable=0.3 <= draw < 0.45,
            keys_only=0.45 <= draw < 0.55,
            count_only=0.55 <= draw < 0.65,
        )
        if random.random() < 0.8:
            return Draft("range", request)
        return self._bounded(random, request)

    def _bounded(self, random: Random, request: Range) -> Draft:
        """Return a copy of the range `request` with a bound of the revisions of the keys.

        The range then returns only keys whose mod or create revisions are within the bound. The
        bound is slightly lower than the newest revision that the client has seen.
        """
        bound: Bound = random.choice(("min_mod", "max_mod", "min_create", "max_create"))
        back = int(2 * RECENT_BACK_MAX * random.random() ** 2)
        return Draft("range", replace(request, **{bound: 1}), revision_back=back)

    def _past(self, random: Random, values: UniqueValues) -> Draft:
        key, end = self._bounds(random)
        serializable = random.random() < 0.5
        return Draft(
            "range", Range(key, end, serializable=serializable), revision_back=draw_back(random)
        )

    def _compact(self, random: Random) -> Draft:
        """Draw a compaction to the newest revision that the client has seen, or slightly below it.

        A few compactions are to a future revision, which the store must refuse.
        """
        back = random.choice((0, 0, 1, random.randrange(10), random.randrange(60)))
        if random.random() < FUTURE_COMPACTIONS:
            back = -random.randint(*FUTURE_AHEAD)
        return Draft("compact", Compact(0, physical=random.random() < 0.3), revision_back=back)

    # --- transactions

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
        draft = Draft("txn", request, expect_last_seen=seen)
        if not self.txn_revisions:
            return draft
        return with_ranges_back(
            draft, lambda one: draw_back(random) if random.random() < 0.15 else None
        )

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
    ) -> tuple[Operation, ...]:
        """Draw one to three operations on different keys, for one branch of a transaction.

        The keys differ, because a store refuses a transaction that puts one key twice. In some
        branches, all operations except the first are in a nested transaction. `reads` is the share
        of reads.
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
                branch.append(self._put_of_branch(random, key, values))
            else:
                branch.append(Delete(key, prev_kv=random.random() < 0.5))
        return tuple(branch)

    def _put_of_branch(self, random: Random, key: str, values: UniqueValues) -> Put:
        """Draw a put inside a transaction.

        Some puts keep the previous value or the previous lease of the key. If the key does not
        exist, the store refuses the whole transaction.
        """
        put = Put(key, self._value(random, values), prev_kv=random.random() < 0.2)
        draw = random.random()
        if draw < KEPT_VALUE_SHARE:
            return Put(key, prev_kv=put.prev_kv, ignore_value=True)
        return replace(put, ignore_lease=draw < KEPT_VALUE_SHARE + KEPT_LEASE_SHARE)

    def _read_txn(self, random: Random, values: UniqueValues) -> Draft:
        """Draw a transaction that only reads.

        If one of its ranges is linearizable, the whole transaction must be linearizable. If all
        ranges are serializable, the member answers from its own state.
        """
        serializable = random.choice((0.2, 0.5, 1.0))

        def reads(most: int) -> tuple[Range, ...]:
            return tuple(
                self._range(random, serializable=random.random() < serializable)
                for _ in range(random.randint(1, most))
            )

        comparisons = (self._compare(random),) if random.random() < 0.5 else ()
        failure = reads(2) if comparisons else ()
        draft = Draft("txn", Txn(comparisons, reads(4), failure))
        return with_ranges_back(
            draft, lambda one: draw_back(random) if random.random() < 0.2 else None
        )

    def _range(self, random: Random, *, serializable: bool) -> Range:
        kind = random.random()
        if kind < 0.5:
            return Range(self._key(random), serializable=serializable)
        if kind < 0.6 and self.many_percent:
            return Range("many/", "many0", limit=5, serializable=serializable)
        key, end = self._bounds(random) if kind < 0.9 else ("k", "l")
        return Range(
            key, end, limit=random.choice((0, 0, 2)), serializable=serializable,
            count_only=random.random() < 0.1,
        )

    def _refused_txn(self, random: Random, values: UniqueValues) -> Draft:
        """Draw a transaction of puts and deletes, and of one operation that the store refuses.

        That operation is a put with a lease that does not exist, or a range at a compacted or
        future revision. With `keep_after_delete`, it can be a put that keeps the value of a key
        which the transaction deletes before.
        """
        if self.keep_after_delete and random.random() < 0.3:
            key = self._key(random)
            kept = Put(key, ignore_value=True)
            return Draft("txn", Txn((), (Delete(key, "\0"), kept)))
        keys = [f"k{number:03d}" for number in random.sample(range(self.keys), 2)]
        first = Put(keys[0], self._value(random, values))
        last = Put(keys[1], values.take()) if random.random() < 0.7 else Delete(keys[1])
        at_revision = self.txn_revisions and random.random() < 0.7
        refused: Put | Range = (
            Range(self._key(random)) if at_revision
            else Put("k", values.take(), lease=NEVER_GRANTED)
        )
        branch: list[Operation] = [first, last]
        branch.insert(random.randrange(3), refused)
        if random.random() < 0.2:
            branch = [branch[0], Txn((), tuple(branch[1:]))]
        draft = Draft("txn", Txn((), tuple(branch)))
        return with_ranges_back(draft, lambda one: draw_refused_back(random))

    # --- many and large values

    def _many(self, random: Random, values: UniqueValues) -> Draft:
        """Draw puts of many keys at one revision, or a read or delete of these keys."""
        kind = random.random()
        if kind < 0.6:
            count = random.randint(*MANY)
            puts = tuple(Put(f"many/{number:02d}", values.take()) for number in range(count))
            return Draft("txn", Txn((), puts))
        if kind < 0.7:
            return Draft("delete", Delete("many/", "many0"))
        limit = random.choice((0, 3, 50))
        return Draft(
            "range", Range("many/", "many0", limit=limit, serializable=random.random() < 0.3)
        )

    def _large(self, random: Random, values: UniqueValues) -> Draft:
        """Draw a put, a read or a delete of a large value. Some puts are in a transaction."""
        kind = random.random()
        key = f"large/{random.randrange(LARGE_KEYS)}"
        if kind < 0.4:
            return Draft("get", Range(key))
        put = Put(key, values.take(random.choice(LARGE)), prev_kv=random.random() < 0.2)
        if kind < 0.6:
            return Draft("put", put)
        if kind < 0.7:
            return Draft("delete", Delete("large/", "large0", prev_kv=random.random() < 0.5))
        first, last = (f"k{number:03d}" for number in random.sample(range(self.keys), 2))
        small = (Put(first, values.take()), put, Put(last, values.take()))
        return Draft("txn", Txn((), small))
