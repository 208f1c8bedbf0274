"""The checker `mvcc` finds the operations that may have written a revision without a known writer.

The results are compared with plain searches through all operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.sequential_store import SequentialStore, changes_of
from splitbrain.checkers.model.transaction_branches import PATHS_MAX, paths
from splitbrain.checkers.mvcc.change_match import makes
from splitbrain.checkers.mvcc.uncertain_writes import Pool, UncertainWrites
from splitbrain.checkers.mvcc.writer_matching import Demand, Makers
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn
from tests.unit.checkers.small_histories import requests


def uncertain(number: int, request: Any) -> Operation:
    return Operation(number, "any", "n1", "info", request, None, None, number, None, number, None)


def store_after(setup: list[Any]) -> SequentialStore:
    store = SequentialStore()
    for request in setup:
        _, made = evaluate(store, request)
        if made:
            store.write(store.revision + 1, made)
    return store


@given(st.data(), st.booleans())
def test_the_pools_contain_exactly_the_operations_that_make_the_changes(
    data: st.DataObject, unique: bool
) -> None:
    drawn = [
        data.draw(requests(number, unique)) for number in range(data.draw(st.integers(1, 14)))
    ]
    setup, rest = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    store = store_after(setup)
    store.compacted = data.draw(st.integers(0, 3))
    ops = [uncertain(number, request) for number, request in enumerate(rest)]
    found = UncertainWrites(ops)
    made_by = [evaluate(store, op.request)[1] for op in ops]
    for made in filter(None, made_by):
        logged = changes_of(store.revision + 1, made)
        pools = [pool for pool in found.making(logged, store) if pool.condition.holds(store)]
        able = {op.invoked for pool in pools for op in pool.operations}
        assert able == {
            op.invoked for op, other in zip(ops, made_by, strict=True) if makes(other, logged)
        }


def test_a_transaction_with_too_many_paths_is_resolved_for_each_state() -> None:
    nested = [
        Txn((Compare(key, "version", ">", 0),), (Put(key, "2"),), (Delete(key),))
        for key in "abcdef"
    ]
    request = Txn((), tuple(nested))
    assert 2 ** len(nested) > PATHS_MAX
    assert paths(request) is None
    store = store_after([Put("a", "1"), Put("c", "1")])
    _, made = evaluate(store, request)
    logged = changes_of(store.revision + 1, made)
    found = UncertainWrites([uncertain(0, request), uncertain(1, Put("a", "2"))])
    assert [pool.operations[0].invoked for pool in found.making(logged, store)] == [0]
    future = Txn((), (*nested, Range("a", revision=9)))
    assert not list(UncertainWrites([uncertain(0, future)]).making(logged, store))


@pytest.mark.parametrize("matching", [0, 4_999])
def test_a_compared_revision_leads_to_its_delete(matching: int) -> None:
    deletes = [
        Txn((Compare("a", "mod", "=", revision),), (Delete("a"),)) for revision in range(5_000)
    ]
    store = store_after([Put("a", "1")])
    store.now["a"] = replace(store.now["a"], mod_revision=matching)
    logged = changes_of(3, ["a"])
    ops = [uncertain(number, request) for number, request in enumerate(deletes)]
    (pool,) = UncertainWrites(ops).making(logged, store)
    assert pool.operations == [ops[matching]]


@given(st.data())
def test_as_many_revisions_have_writers_as_a_maximum_matching_allows(data: st.DataObject) -> None:
    """After each demand. A revision may use any operation that was invoked before its deadline."""
    operations = [uncertain(number, Delete("a")) for number in range(data.draw(st.integers(1, 8)))]
    some = st.sets(st.sampled_from(operations).map(lambda op: op.invoked), min_size=1)
    pools = [
        Pool([operations[number] for number in sorted(chosen)])
        for chosen in data.draw(st.lists(some, min_size=1, max_size=4))
    ]
    deadlines = sorted(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=8)))
    makers = Makers(SequentialStore(), SequentialStore().at)
    edges = np.zeros((len(deadlines) + 2, len(operations)), bool)
    for revision, deadline in enumerate(deadlines, start=2):
        of = data.draw(st.lists(st.sampled_from(pools), max_size=3))
        makers.demand(Demand(revision, deadline, lambda state, of=of: of))  # type: ignore[misc]
        for pool in of:
            edges[revision, [op.invoked for op in pool.operations if op.invoked < deadline]] = True
        matched = maximum_bipartite_matching(csr_array(edges), perm_type="column")
        assert len(makers.of) == (matched >= 0).sum()
        assert makers.made == {op.invoked: made for made, op in makers.of.items()}
        assert all(edges[made, op.invoked] for made, op in makers.of.items())
        if data.draw(st.integers(0, 5)) == 0:
            makers.withdraw_from(revision)
            edges[revision] = False
