"""Finds the paths through a request: which writes it makes, and under which comparisons.

A put or a delete has one path. A transaction has one path for each branch that it may take, and
each nested transaction multiplies the paths of its branch. Different requests often have paths with
the same writes. For example, two transactions may put different values in their success branches,
and have the same failure branch. The search for uncertain writes therefore groups paths, not
requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from splitbrain.checkers.model.evaluation import holds
from splitbrain.checkers.model.sequential_store import State
from splitbrain.histories.kv import Compare, Delete, Put, Range, Request, Txn

Writes = tuple[Put | Delete, ...]
"""The puts and deletes of a path in order, without `prev_kv`, which changes no state."""
Test = tuple[tuple[Compare, ...], bool]
"""The comparisons of one transaction, and whether all of them must be true."""

PATHS_MAX = 32
"""A request with more paths is resolved by `path_at` for each state. Nested transactions multiply
the number of paths."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition on the state of the store under which a request makes certain writes.

    The comparisons in `tests` must have certain results, and the past revisions in `reads` must be
    readable.
    """

    tests: tuple[Test, ...] = ()
    reads: tuple[int, ...] = ()
    """The lowest and the highest past revision that the path reads, if it reads any. The store
    refuses the whole request if one of them is compacted or a future revision."""

    def holds(self, state: State) -> bool:
        """Return whether `state` fulfils the condition."""
        for compares, wanted in self.tests:
            if all(holds(state, compare) for compare in compares) is not wanted:
                return False
        reads = self.reads
        return not reads or (state.compacted <= reads[0] and reads[-1] <= state.revision)


ALWAYS = Condition()


@dataclass(frozen=True, slots=True)
class Path:
    """One path of a request: the writes that it makes in the states that fulfil `condition`.

    A put or a delete has one path. A transaction has one path for each combination of branches.
    """

    writes: Writes
    condition: Condition = ALWAYS


def paths(request: Request) -> list[Path] | None:
    """Return the paths of `request` that contain a write, or None if it has more than PATHS_MAX.

    A path is the list of the writes that one combination of branches makes, with its condition.
    """
    if isinstance(request, Put) and request.keeps:
        exists = Compare(request.key, "version", ">", 0)
        return [Path((_plain(request),), Condition((((exists,), True),)))]
    if type(request) is not Txn:
        return [Path((_plain(request),))] if isinstance(request, Put | Delete) else []
    found = _transaction_paths(request)
    return None if found is None else [path for path in found if path.writes]


def _transaction_paths(txn: Txn) -> list[Path] | None:
    found: list[Path] = []
    for wanted, branch in ((True, txn.success), (False, txn.failure)):
        if wanted or txn.compare:
            tests = ((txn.compare, wanted),) if txn.compare else ()
            of_branch = _branch_paths(tests, branch)
            if of_branch is None or len(found) + len(of_branch) > PATHS_MAX:
                return None
            found += of_branch
    return found


def _branch_paths(
    tests: tuple[Test, ...], branch: Sequence[Put | Range | Delete | Txn]
) -> list[Path] | None:
    """Return the paths through `branch`, the operations of one branch of a transaction.

    A path is a list of writes with the condition under which they are made. There is one path for
    each combination of paths of the nested transactions. The condition of each path begins with
    `tests`. Returns None if there are more than PATHS_MAX paths.
    """
    begun: list[tuple[Writes, tuple[Test, ...], tuple[int, ...]]] = [((), tests, ())]
    for one in branch:
        if type(one) is Range:
            if one.revision > 0:
                read = (one.revision,)
                begun = [(writes, so_far, reads + read) for writes, so_far, reads in begun]
        elif type(one) is Txn:
            nested = _transaction_paths(one)
            if nested is None or len(begun) * len(nested) > PATHS_MAX:
                return None
            begun = [
                (
                    writes + inner.writes,
                    so_far + inner.condition.tests,
                    reads + inner.condition.reads,
                )
                for writes, so_far, reads in begun
                for inner in nested
            ]
        else:
            assert isinstance(one, Put | Delete)
            write = (_plain(one),)
            begun = [(writes + write, so_far, reads) for writes, so_far, reads in begun]
    return [
        Path(writes, Condition(so_far, (min(reads), max(reads)) if reads else ()))
        for writes, so_far, reads in begun
    ]


def _plain(write: Put | Delete) -> Put | Delete:
    if not write.prev_kv:
        return write
    if isinstance(write, Put):
        return Put(
            write.key, write.value, write.lease, ignore_lease=write.ignore_lease,
            ignore_value=write.ignore_value,
        )
    return Delete(write.key, write.range_end)


def path_at(request: Request, state: State) -> Path:
    """Return the writes that `request` makes in `state`, as a path without a condition.

    The path contains no writes if the store refuses the request.
    """
    writes: list[Put | Delete] = []
    for part in _taken(request, state):
        if isinstance(part, Put) and part.keeps and state.held(part.key) is None:
            return Path(())
        if isinstance(part, Put | Delete):
            writes.append(_plain(part))
        elif part.revision > 0 and not state.compacted <= part.revision <= state.revision:
            return Path(())
    return Path(tuple(writes))


def _taken(request: Request, state: State) -> Iterator[Put | Delete | Range]:
    """Yield the parts of `request` that are executed in `state`, in order."""
    if isinstance(request, Txn):
        holding = all(holds(state, compare) for compare in request.compare)
        for one in request.success if holding else request.failure:
            yield from _taken(one, state)
    elif isinstance(request, Put | Delete | Range):
        yield request
