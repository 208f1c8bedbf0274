"""Computes the answer of a sequential store to a request of etcd's v3 API, and its changes.

Transactions are evaluated as in etcd. All comparisons, including those of nested
transactions, are made before the first write. The operations of the chosen branch then run
in order, and each operation sees the effects of those before it. All changes have the same
revision.

Source: etcd 3.5, server/etcdserver/apply.go (applyTxn, compareToPath, applyCompare,
applyRange) and server/mvcc/kvstore_txn.go.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal

from splitbrain.checkers.model.key_order import name_of
from splitbrain.checkers.model.sequential_store import (
    Made,
    SequentialStore,
    State,
    changes_of,
    in_interval,
)
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change

Refusal = Literal["", "compacted", "future", "absent"]

Written = dict[str, KeyValue | None]
"""The keys that the operations of a transaction have changed so far. None: the key was deleted."""

NO_HEADER = Header()
NOTHING: Made = ()
OF_THE_FUTURE = -1
"""The count in the model's answer to a read of a future revision. A store refuses such a read, so
no real answer has this count."""
REFUSED = KeyValue("", version=-1)
"""The previous key-value in the model's answer to a put that the store refuses because the key does
not exist."""


def evaluate(
    store: SequentialStore, request: Request, given: Result | None = None
) -> tuple[Result, Made]:
    """Return the answer to `request`, and the changes of the request. `store` is not changed.

    `given` is the answer that was observed. Its headers are copied to the returned answer, so that
    a comparison of the two answers ignores the headers. Without `given`, the headers are empty.

    If the store should refuse a transaction (`refusal_of`), the changes depend on `given`. Without
    `given` there are none. With `given` the store has executed the transaction nevertheless, so the
    changes are returned.
    """
    header = NO_HEADER if given is None else given.header
    kind = type(request)
    if kind is Range:
        return _range(store, request, given), NOTHING  # type: ignore[arg-type]
    if kind is Put:
        return _put(store, request, header)  # type: ignore[arg-type]
    if kind is Txn:
        transaction = _Transaction(store)
        result = transaction.run(request, given)  # type: ignore[arg-type]
        if given is None and transaction.refusal:
            return result, NOTHING
        return result, transaction.made
    if kind is Delete:
        gone = store.interval(request.key, request.range_end)  # type: ignore[union-attr]
        prev_kvs = tuple(gone) if request.prev_kv else ()  # type: ignore[union-attr]
        return DeleteResult(header, len(gone), prev_kvs), [held.key for held in gone]
    assert kind is Compact
    return CompactResult(header), NOTHING


def refusal_of(store: SequentialStore, txn: Txn) -> Refusal:
    """Return the reason why the store refuses the whole transaction `txn`, or "".

    The store refuses it if a range in the transaction reads a compacted or a future revision. It
    also refuses a put that keeps the lease of an absent key.
    """
    transaction = _Transaction(store)
    transaction.run(txn, None)
    return transaction.refusal


def effect(state: State, writes: Sequence[Put | Delete]) -> Made:
    """Return the changes that `writes`, executed in order at one revision, make in `state`."""
    revision = state.revision + 1
    if len(writes) == 1:
        (write,) = writes
        if isinstance(write, Put):
            return (after_put(state.held(write.key), write, revision),)
        return [kv.key for kv in state.interval(write.key, write.range_end)]
    made: list[KeyValue | str] = []
    written: Written = {}
    for write in writes:
        if isinstance(write, Put):
            key = write.key
            before = written[key] if key in written else state.held(key)
            held = after_put(before, write, revision)
            made.append(held)
            written[key] = held
        else:
            for key in _present(state, written, write):
                made.append(key)
                written[key] = None
    return made


def _present(state: State, written: Written, delete: Delete) -> list[str]:
    """Return the keys that `delete` finds after the changes `written` were made in `state`.

    The keys are in order.
    """
    begin, end = delete.key, delete.range_end
    keys = {kv.key for kv in state.interval(begin, end)}
    keys.update(key for key in written if in_interval(key, begin, end))
    return sorted((key for key in keys if written.get(key, True) is not None), key=name_of)


class Evaluation:
    """The right answer of `store` to `request`, and the changes of the request.

    The changes are entries of a change log.
    """

    def __init__(self, store: SequentialStore, request: Request) -> None:
        self.result, made = evaluate(store, request)
        self.changes: list[Change] = changes_of(store.revision + 1, made)


def _put(store: SequentialStore, request: Put, header: Header) -> tuple[Result, Made]:
    before = store.now.get(request.key)
    if before is None and request.keeps:
        return PutResult(header, REFUSED), NOTHING
    held = after_put(before, request, store.revision + 1)
    return PutResult(header, before if request.prev_kv else None), (held,)


def after_put(before: KeyValue | None, request: Put, revision: int) -> KeyValue:
    """Return the key-value after the put `request` at `revision`.

    `before` is the key-value of the key before the put, or None if the key was absent.
    """
    if before is None:
        return KeyValue(request.key, request.value, revision, revision, 1, request.lease)
    return KeyValue(
        request.key, before.value if request.ignore_value else request.value,
        before.create_revision, revision, before.version + 1,
        before.lease if request.ignore_lease else request.lease,
    )


def _range(store: SequentialStore, request: Range, given: Result | None) -> RangeResult:
    key, end = request.key, request.range_end
    header = NO_HEADER if given is None else given.header
    if 0 < request.revision < store.revision:
        held = store.past(key, end, request.revision)
        return answer_range(request, held, len(held), given)
    if request.revision > store.revision:
        return RangeResult(header, (), OF_THE_FUTURE)
    if not end:
        one = store.now.get(key)
        held = [] if one is None else [one]
        return answer_range(request, held, len(held), given)
    if request.count_only:
        return RangeResult(header, (), store.count(key, end))
    if request.limit > 0 and not request.sort_by and not request.filtered:
        held = store.first(key, end, request.limit)
        return answer_range(request, held, store.count(key, end), given)
    held = store.interval(key, end)
    return answer_range(request, held, len(held), given)


def answer_range(
    request: Range, held: Sequence[KeyValue], count: int, given: Result | None = None
) -> RangeResult:
    """Return the answer to the read `request`.

    `count` is the number of keys in the interval of the request. `held` contains their key-values,
    in the order of the keys. If the request has a limit, and neither sorts nor filters, `held` may
    end at the limit.

    `given` is the observed answer. It decides the order of key-values where etcd does not define
    this order (see `in_order`). The `count` in the answer is the parameter `count`: as in etcd, it
    includes keys that the request's bounds on revisions exclude.
    """
    header = NO_HEADER if given is None else given.header
    if request.count_only:
        return RangeResult(header, (), count)
    passed = count
    if request.filtered:
        held = [kv for kv in held if passes(request, kv)]
        passed = len(held)
    if request.sort_by:
        held = in_order(request, held, given)
    more = 0 < request.limit < passed
    if more:
        held = held[: request.limit]
    if request.keys_only:
        held = [_without_value(kv) for kv in held]
    return RangeResult(header, tuple(held), count, more)


def passes(request: Range, kv: KeyValue) -> bool:
    """Return whether the revisions of `kv` are within the bounds of `request`."""
    return (
        request.min_mod <= kv.mod_revision
        and request.min_create <= kv.create_revision
        and (not request.max_mod or kv.mod_revision <= request.max_mod)
        and (not request.max_create or kv.create_revision <= request.max_create)
    )


_ORDERS: dict[str, Callable[[KeyValue], Any]] = {
    "key": lambda kv: name_of(kv.key),
    "value": lambda kv: name_of(kv.value),
    "version": lambda kv: kv.version,
    "create": lambda kv: kv.create_revision,
    "mod": lambda kv: kv.mod_revision,
}


def in_order(
    request: Range, held: Sequence[KeyValue], given: Result | None = None
) -> list[KeyValue]:
    """Sort the key-values `held` by the field that `request` names. `held` is sorted by key.

    etcd does not define the order of key-values with the same version or revision. They are
    returned in the order of the observed answer `given`. Of these, the key-values that `given`
    lacks come last.
    """
    order = _ORDERS[request.sort_by]
    if isinstance(given, RangeResult) and request.sort_by not in ("key", "value"):
        places = {kv.key: place for place, kv in enumerate(given.kvs)}
        held = sorted(held, key=lambda kv: places.get(kv.key, len(places)))
    # The sort is stable, also in descending order.
    return sorted(held, key=order, reverse=request.descend)


def _without_value(kv: KeyValue) -> KeyValue:
    return KeyValue(kv.key, "", kv.create_revision, kv.mod_revision, kv.version, kv.lease)


class _Transaction:
    """The evaluation of one transaction: the store before it, and its writes so far."""

    def __init__(self, store: SequentialStore) -> None:
        self.made: list[KeyValue | str] = []
        self.refusal: Refusal = ""
        """Why the store refuses the transaction, if it does."""
        self._store = store
        self._written: Written = {}
        self._held: dict[int, bool] = {}

    def run(self, txn: Txn, given: Result | None) -> TxnResult:
        """Return the answer of the store to `txn`. `given` is the observed answer, or None."""
        return self._txn(txn, self._compare_all(txn), given)

    def _compare_all(self, txn: Txn) -> bool:
        """Return whether all comparisons of `txn` are true.

        Also makes the comparisons of the nested transactions that will run, and stores their
        results. All comparisons are made before the first write.
        """
        succeeded = all(holds(self._store, compare) for compare in txn.compare)
        for request in txn.success if succeeded else txn.failure:
            if type(request) is Txn:
                self._held[id(request)] = self._compare_all(request)
        return succeeded

    def _txn(self, txn: Txn, succeeded: bool, given: Result | None) -> TxnResult:
        branch = txn.success if succeeded else txn.failure
        header = NO_HEADER if given is None else given.header
        observed: Sequence[Result | None] = ()
        if type(given) is TxnResult:
            observed = given.responses
        if len(observed) != len(branch):
            observed = (None,) * len(branch)
        responses: Any = tuple(map(self._one, branch, observed))
        return TxnResult(header, succeeded, responses)

    def _one(self, request: Request, given: Result | None) -> Result:
        header = NO_HEADER if given is None else given.header
        if type(request) is Put:
            return self._put(request, header)
        if type(request) is Range:
            if request.revision > 0:
                if request.revision > self._store.revision:
                    self.refusal = "future"
                elif request.revision < self._store.compacted:
                    self.refusal = "compacted"
            if not self._written or request.revision > 0:
                return _range(self._store, request, given)
            held = self._interval(request.key, request.range_end)
            return answer_range(request, held, len(held), given)
        if type(request) is Delete:
            gone = self._interval(request.key, request.range_end)
            for one in gone:
                self.made.append(one.key)
                self._written[one.key] = None
            return DeleteResult(header, len(gone), tuple(gone) if request.prev_kv else ())
        assert type(request) is Txn
        return self._txn(request, self._held[id(request)], given)

    def _put(self, request: Put, header: Header) -> PutResult:
        before = self._get(request.key)
        if before is None and request.keeps:
            self.refusal = "absent"
            return PutResult(header, REFUSED)
        held = after_put(before, request, self._store.revision + 1)
        self.made.append(held)
        self._written[request.key] = held
        return PutResult(header, before if request.prev_kv else None)

    def _get(self, key: str) -> KeyValue | None:
        return self._written[key] if key in self._written else self._store.now.get(key)

    def _interval(self, begin: str, end: str) -> list[KeyValue]:
        return interval_after(self._store, self._written, begin, end)


def interval_after(
    store: SequentialStore, written: Written, begin: str, end: str
) -> list[KeyValue]:
    """Return the key-values in an interval after the changes `written`, in the order of keys."""
    if not written:
        return store.interval(begin, end)
    now = store.now
    if not end:
        held = written[begin] if begin in written else now.get(begin)
        return [] if held is None else [held]
    keys = store.keys(begin, end)
    new = [key for key in written if key not in now and in_interval(key, begin, end)]
    if new:
        keys = sorted([*keys, *new], key=name_of)
    return [
        held
        for key in keys
        if (held := written[key] if key in written else now[key]) is not None
    ]


def holds(state: State, compare: Compare) -> bool:
    """Return whether the comparison `compare` is true in `state`."""
    if compare.range_end:
        return compared(state, compare)[1]
    held = state.held(compare.key)
    if held is not None:
        return _relation(held, compare)
    return compare.target != "value" and _relation(KeyValue(compare.key), compare)


def compared(state: State, compare: Compare) -> tuple[Sequence[KeyValue], bool]:
    """Return the key-values that `compare` tests, and whether `compare` is true in `state`.

    If the comparison is false, only the first key-value for which it is false is returned.
    """
    if not compare.range_end:
        one = state.held(compare.key)
        held = [] if one is None else [one]
    else:
        held = state.interval(compare.key, compare.range_end)
    if not held:
        # In etcd, a comparison with the value of an absent key is always false.
        return held, compare.target != "value" and _relation(KeyValue(compare.key), compare)
    for kv in held:
        if not _relation(kv, compare):
            return (kv,), False
    return held, True


_FIELDS: dict[str, Callable[[KeyValue], int]] = {
    "version": attrgetter("version"),
    "create": attrgetter("create_revision"),
    "mod": attrgetter("mod_revision"),
    "lease": attrgetter("lease"),
}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}


def _relation(kv: KeyValue, compare: Compare) -> bool:
    relation = _RELATIONS[compare.result]
    if compare.target == "value":
        return relation(name_of(kv.value), name_of(str(compare.operand)))
    return relation(_FIELDS[compare.target](kv), compare.operand)
