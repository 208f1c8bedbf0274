"""Finds the uncertain operations that can have made the changes of a revision.

The operations are grouped by their paths (`model/transaction_branches.py`): first by the writes of
the path, then by the condition of the path. All operations of such a group make the same changes in
every state. A group is therefore evaluated once for a revision, no matter how many operations it
contains.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from splitbrain.checkers.model.evaluation import effect
from splitbrain.checkers.model.key_order import name_of
from splitbrain.checkers.model.sequential_store import State, in_interval
from splitbrain.checkers.model.transaction_branches import (
    ALWAYS,
    Condition,
    Path,
    Writes,
    path_at,
    paths,
)
from splitbrain.checkers.mvcc.change_match import makes
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compare, KeyValue, Put
from splitbrain.histories.member_state import Change


class Pool:
    """Interchangeable writes without an answer, in the order of their invocations.

    All of them make the same changes in each state of the store that fulfils `condition`.
    """

    __slots__ = ("_calls", "_era", "_unused", "condition", "operations")

    def __init__(self, operations: Sequence[Operation], condition: Condition = ALWAYS) -> None:
        self.operations = operations
        self.condition = condition
        self._calls = [op.invoked for op in operations]
        self._unused = 0
        """All operations before this position were used in the era `_era`."""
        self._era = 0

    def available(self, deadline: int | None) -> int:
        """Return the number of operations that were invoked before `deadline`."""
        return len(self._calls) if deadline is None else bisect_left(self._calls, deadline)

    def unused(
        self, deadline: int | None, used: Mapping[int, int], era: int
    ) -> Operation | None:
        """Return the first operation of the pool that is not assigned yet, or None.

        Returns None if all operations of the pool are assigned. Also returns None if the first one
        that is not assigned was not invoked before `deadline`, an index of an event. `used`
        contains the invocation indexes of the assigned operations. `era` is a number that changes
        when an operation is removed from `used`.
        """
        calls, place = self._calls, self._unused if era == self._era else 0
        while place < len(calls) and calls[place] in used:
            place += 1
        self._unused, self._era = place, era
        if place == len(calls) or (deadline is not None and calls[place] >= deadline):
            return None
        return self.operations[place]


class WriteSequence:
    """The writes without an answer that may make the same list of puts and deletes.

    They differ only in the conditions under which they do so.
    """

    def __init__(self, writes: Writes, found: Iterable[tuple[Operation, Condition]]) -> None:
        self.writes = writes
        by_condition: dict[Condition, list[Operation]] = {}
        for op, condition in found:
            by_condition.setdefault(condition, []).append(op)
        self._pools: list[Pool] = []
        self._by_operand: dict[tuple[str, str], dict[str | int, list[Pool]]] = {}
        """Pools whose condition requires that a field of a key is equal to an operand: by the key
        and the field, then by the operand. Many conditions differ only in this operand, for
        example if each delete compares the mod_revision that its client has read."""
        for condition, operations in by_condition.items():
            pool = Pool(operations, condition)
            equality = _equality(condition)
            if equality is None:
                self._pools.append(pool)
            else:
                field = (equality.key, equality.target)
                operand = _comparable(equality.target, equality.operand)
                self._by_operand.setdefault(field, {}).setdefault(operand, []).append(pool)

    def pools(self, state: State) -> Iterator[Pool]:
        """Yield all pools whose condition `state` may fulfil."""
        yield from self._pools
        for (key, target), by_operand in self._by_operand.items():
            held = state.held(key)
            yield from by_operand.get(_field(held or KeyValue(key), target), ())


def _equality(condition: Condition) -> Compare | None:
    """Return a comparison in `condition` that tests a field of one key for equality, or None."""
    for compares, wanted in condition.tests:
        for compare in compares if wanted else ():
            if compare.result == "=" and not compare.range_end:
                return compare
    return None


def _field(kv: KeyValue, target: str) -> str | int:
    if target == "value":
        return name_of(kv.value)
    if target == "version":
        return kv.version
    if target == "create":
        return kv.create_revision
    return kv.mod_revision if target == "mod" else kv.lease


def _comparable(target: str, operand: str | int) -> str | int:
    return name_of(str(operand)) if target == "value" else operand


class _Paths:
    """Paths of operations. They are grouped by their puts and deletes when they are first read.

    A path is the list of writes that an operation makes under a condition.
    """

    def __init__(self) -> None:
        self._found: list[tuple[Operation, Path]] = []
        self._sequences: list[WriteSequence] = []

    def add(self, op: Operation, path: Path) -> None:
        self._found.append((op, path))

    def sequences(self) -> Sequence[WriteSequence]:
        """Return the paths, grouped by the list of their writes.

        A path is the list of writes that an operation makes under a condition.
        """
        if self._found:
            by_writes: dict[Writes, list[tuple[Operation, Condition]]] = {}
            for op, path in self._found:
                by_writes.setdefault(path.writes, []).append((op, path.condition))
            self._sequences = [WriteSequence(*one) for one in by_writes.items()]
            self._found = []
        return self._sequences


class UncertainWrites:
    """Finds the writes without an answer that can have made the changes of a revision."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._putting: dict[tuple[str, str | None], _Paths] = {}
        """The paths with puts, by key and value of their first put (None: the value is kept)."""
        self._deleting: dict[str, _Paths] = {}
        """The paths that only delete, by each key that a delete names."""
        self._clearing: dict[tuple[str, str], _Paths] = {}
        """The paths that only delete, by each interval that a delete names."""
        self._deleting_sequences: dict[str, list[WriteSequence]] = {}
        self._intricate: list[Pool] = []
        """Operations with too many paths, one in each pool."""
        for op in operations:
            found = paths(op.request)
            if found is None:
                self._intricate.append(Pool((op,)))
                continue
            for path in found:
                self._add(op, path)

    def _add(self, op: Operation, path: Path) -> None:
        intervals: dict[tuple[str, str], None] = {}
        for write in path.writes:
            if isinstance(write, Put):
                value = None if write.ignore_value else write.value
                self._putting.setdefault((write.key, value), _Paths()).add(op, path)
                return
            intervals[write.key, write.range_end] = None
        for key, end in intervals:
            if end:
                self._clearing.setdefault((key, end), _Paths()).add(op, path)
            else:
                self._deleting.setdefault(key, _Paths()).add(op, path)

    def making(self, changes: Sequence[Change], state: State) -> Iterator[Pool]:
        """Yield the pools whose operations make exactly `changes` in `state`, if they are executed.

        The operations are executed only if `state` fulfils the condition of the pool. The caller
        must test the condition.
        """
        for sequence in self._naming(changes):
            if makes(effect(state, sequence.writes), changes):
                yield from sequence.pools(state)
        for pool in self._intricate:
            (op,) = pool.operations
            if makes(effect(state, path_at(op.request, state).writes), changes):
                yield pool

    def _naming(self, changes: Sequence[Change]) -> Sequence[WriteSequence]:
        """Return the writes without an answer that contain the first put of `changes`.

        If `changes` contains no put, return the writes that delete the first key in `changes`. The
        writes are grouped by the list of their puts and deletes.
        """
        for change in changes:
            if change.kind == "put":
                found: list[WriteSequence] = []
                for value in (change.value, None):
                    of_value = self._putting.get((change.key, value))
                    found += () if of_value is None else of_value.sequences()
                return found
        return self._deletes_of(changes[0].key) if changes else ()

    def _deletes_of(self, key: str) -> Sequence[WriteSequence]:
        known = self._deleting_sequences.get(key)
        if known is None:
            known = self._deleting_sequences[key] = []
            if key in self._deleting:
                known += self._deleting[key].sequences()
            for (begin, end), found in self._clearing.items():
                if in_interval(key, begin, end):
                    known += found.sequences()
        return known
