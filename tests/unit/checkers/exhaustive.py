"""Implements oracles that try every order, independently of the checkers that they test.

`some_order_explains` returns whether an order of the operations in a small history of a v3 store
gives the answers and, if it is known, the change log. `linearizable` does the same for the
operations of any model of porcupine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from splitbrain.checkers.porcupine import Model
from splitbrain.checkers.porcupine import Operation as ModelOperation
from splitbrain.histories.history import Operation
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
    Txn,
    TxnResult,
)

Store = tuple[KeyValue, ...]
Changes = tuple[tuple[Any, ...], ...]


def linearizable(
    model: Model[Any, Any, Any], operations: Sequence[ModelOperation[Any, Any]]
) -> bool:
    """Try all permutations that real time allows, without a cache."""

    def explore(left: tuple[int, ...], state: Any) -> bool:
        if all(operations[n].ret == math.inf for n in left):
            return True
        first_return = min(operations[n].ret for n in left)
        for n in left:
            op = operations[n]
            if op.call <= first_return:
                fits, after = model.step(state, op.input, op.output)
                if fits and explore(tuple(m for m in left if m != n), after):
                    return True
        return False

    return explore(tuple(range(len(operations))), model.init())


def some_order_explains(
    operations: Sequence[Operation], log: Changes | None, first: int = 1, last: int = 0
) -> bool:
    """Whether an order of all certain operations and some uncertain ones explains the history.

    `log` is the change log of a store at revision `last`, from revision `first` on. An operation
    may come next if no remaining operation had returned before its invocation. A serializable
    read may come later. A refusal because of a compaction or a future revision is certain, too.
    Leases may end at any time, and without a change log the store may compact by itself. The store
    reads the revision in the answer to a compaction after the compaction has taken effect, and
    other operations may take effect in between.
    """
    certain = [op for op in operations if op.outcome == "ok" or _refusal(op)]
    uncertain = [op for op in operations if op.outcome == "info"]
    everything = [*certain, *uncertain]

    def explore(
        left: frozenset[int], histories: tuple[Store, ...], made: Changes, compacted: int,
        unanswered: frozenset[int] = frozenset(),
    ) -> bool:
        """Whether the rest explains the history. `unanswered` are compactions that took effect."""
        answered = frozenset(
            n for n in unanswered if _answered(everything[n]) == len(histories) - 1
        )
        left, unanswered = left - answered, unanswered - answered
        known = tuple(change for change in made if change[0] >= first)
        if log is not None and known != log[: len(known)]:
            return False
        ended = log is None or (known == log and len(histories) - 1 >= last)
        if ended and all(everything[n].outcome == "info" for n in left):
            return True
        for n in sorted(left - unanswered):
            op = everything[n]
            if not _exempt(op) and any(_before(everything[m], op) for m in left if m != n):
                continue
            refused = _must_refuse(op.request, histories, compacted)
            if _refusal(op) or refused:
                is_refused = op.outcome == "fail" and refused and refused in (op.error or "")
                if is_refused and explore(
                    left - {n}, histories, made, compacted, unanswered
                ):
                    return True
                continue
            if op.outcome == "ok" and isinstance(op.request, Compact):
                up_to, waiting = op.request.revision, unanswered | {n}
                if explore(left, histories, made, up_to, waiting):
                    return True
                continue
            result, after, changes = _apply(op.request, histories)
            if op.outcome == "ok" and not _same(op.result, result):
                continue
            reached = (*histories, after) if changes else histories
            compaction = isinstance(op.request, Compact)
            if op.outcome == "info" and not changes and not compaction:
                continue
            up_to = op.request.revision if isinstance(op.request, Compact) else compacted
            if explore(left - {n}, reached, made + changes, up_to, unanswered):
                return True
        if log is None and any(_refusal(everything[n]) for n in left):
            for up_to in range(compacted + 1, len(histories)):
                if explore(left, histories, made, up_to, unanswered):
                    return True
        for after, gone in _ended_leases(histories):
            if explore(left, (*histories, after), made + gone, compacted, unanswered):
                return True
        return False

    # The state of revision r is at index r; no operation made revision 0.
    return explore(frozenset(range(len(everything))), ((), ()), (), 0)


def _ended_leases(histories: tuple[Store, ...]) -> Iterator[tuple[Store, Changes]]:
    """For each lease that has keys: the store after its end, and the changes."""
    for lease in {kv.lease for kv in histories[-1] if kv.lease}:
        after = tuple(kv for kv in histories[-1] if kv.lease != lease)
        yield after, tuple(
            (len(histories), "delete", kv.key) for kv in histories[-1] if kv.lease == lease
        )


def _answered(op: Operation) -> int:
    assert op.result is not None
    return op.result.header.revision


def _before(one: Operation, other: Operation) -> bool:
    return one.outcome != "info" and one.returned is not None and one.returned < other.invoked


def _refusal(op: Operation) -> bool:
    return op.outcome == "fail" and "required revision" in (op.error or "")


def _must_refuse(request: Any, histories: tuple[Store, ...], compacted: int) -> str:
    now = len(histories) - 1
    if isinstance(request, Compact):
        if request.revision <= compacted:
            return "has been compacted"
        return "future" if request.revision > now else ""
    for one in _reads(request, {kv.key: kv for kv in histories[-1]}):
        if one.revision > now:
            return "future"
        if 0 < one.revision < compacted:
            return "has been compacted"
    return ""


def _reads(request: Any, before: dict[str, KeyValue]) -> Iterator[Range]:
    """The reads in the branches that will run."""
    if isinstance(request, Range):
        yield request
    elif isinstance(request, Txn):
        for one in request.success if _succeeds(request, before) else request.failure:
            yield from _reads(one, before)


def _exempt(op: Operation) -> bool:
    request = op.request
    if isinstance(request, Range):
        return request.serializable
    if isinstance(request, Txn):
        both = request.success + request.failure
        return all(isinstance(r, Range) and r.serializable for r in both)
    return False


def _same(given: Any, expected: Any) -> bool:
    return bool(_plain(given) == _plain(expected))


def _plain(result: Any) -> Any:
    """`result` without the fields of headers other than the revision, and without inner headers."""
    built = msgspec.to_builtins(result)
    built["header"] = built.get("header", {}).get("revision", 0)
    _drop_inner_headers(built)
    return built


def _drop_inner_headers(built: Any) -> None:
    for inner in built.get("responses", ()):
        inner.pop("header", None)
        _drop_inner_headers(inner)


def _apply(request: Any, histories: tuple[Store, ...]) -> tuple[Any, Store, Changes]:
    now = len(histories) - 1
    state = {kv.key: kv for kv in histories[-1]}
    before = dict(state)
    changes: list[tuple[Any, ...]] = []
    result = _do(request, state, before, histories, changes)
    header = Header(revision=now + 1 if changes else now)
    result = msgspec.structs.replace(result, header=header)
    return result, tuple(state[key] for key in sorted(state)), tuple(changes)


def _do(
    request: Any, state: dict[str, KeyValue], before: dict[str, KeyValue],
    histories: tuple[Store, ...], changes: list[tuple[Any, ...]],
) -> Any:
    new = len(histories)
    match request:
        case Put(key, value, lease, prev_kv):
            old = state.get(key)
            if request.keeps:
                if old is None:
                    return PutResult(prev_kv=KeyValue("the store refuses this put"))
                lease = old.lease if request.ignore_lease else lease
                value = old.value if request.ignore_value else value
            created = old.create_revision if old else new
            version = old.version + 1 if old else 1
            state[key] = KeyValue(key, value, created, new, version, lease)
            changes.append((new, "put", key, value, created, version, lease))
            return PutResult(prev_kv=old if prev_kv else None)
        case Delete(key, end, prev_kv):
            gone = _inside(state, key, end)
            for kv in gone:
                del state[kv.key]
                changes.append((new, "delete", kv.key))
            return DeleteResult(deleted=len(gone), prev_kvs=tuple(gone) if prev_kv else ())
        case Range():
            return _range(request, state, histories)
        case Txn(_, success, failure):
            branch = success if _succeeds(request, before) else failure
            responses = tuple(_do(one, state, before, histories, changes) for one in branch)
            return TxnResult(succeeded=_succeeds(request, before), responses=responses)
        case Compact():
            return CompactResult()
    raise AssertionError(request)


def _succeeds(txn: Txn, before: dict[str, KeyValue]) -> bool:
    """Evaluate the comparisons, which see the store before the outermost transaction."""
    return all(_holds(one, before) for one in txn.compare)


def _range(request: Range, state: dict[str, KeyValue], histories: tuple[Store, ...]) -> RangeResult:
    if request.revision and request.revision < len(histories):
        state = {kv.key: kv for kv in histories[request.revision]}
    kvs = _inside(state, request.key, request.range_end)
    count = len(kvs)
    more = False
    if request.count_only:
        kvs = []
    bounds = (
        ("mod_revision", request.min_mod, request.max_mod),
        ("create_revision", request.min_create, request.max_create),
    )
    for field, least, most in bounds:
        kvs = [kv for kv in kvs if least <= getattr(kv, field) <= (most or 1 << 62)]
    if request.limit and len(kvs) > request.limit:
        kvs, more = kvs[: request.limit], True
    if request.keys_only:
        kvs = [msgspec.structs.replace(kv, value="") for kv in kvs]
    return RangeResult(kvs=tuple(kvs), count=count, more=more)


def _inside(state: dict[str, KeyValue], key: str, end: str) -> list[KeyValue]:
    if not end:
        return [state[key]] if key in state else []
    return [state[k] for k in sorted(state) if k >= key and (end == "\0" or k < end)]


def _holds(compare: Compare, state: dict[str, KeyValue]) -> bool:
    if compare.range_end and (kvs := _inside(state, compare.key, compare.range_end)):
        return all(_holds(_of_key(compare, kv.key), state) for kv in kvs)
    if compare.range_end:
        return _holds(_of_key(compare, compare.key), {})
    kv = state.get(compare.key)
    if kv is None and compare.target == "value":
        return False
    kv = kv or KeyValue(compare.key)
    actual: Any = {
        "value": kv.value, "version": kv.version, "create": kv.create_revision,
        "mod": kv.mod_revision, "lease": kv.lease,
    }[compare.target]
    operand: Any = compare.operand
    return bool({
        "=": actual == operand, "!=": actual != operand,
        "<": actual < operand, ">": actual > operand,
    }[compare.result])


def _of_key(compare: Compare, key: str) -> Compare:
    return msgspec.structs.replace(compare, key=key, range_end="")
