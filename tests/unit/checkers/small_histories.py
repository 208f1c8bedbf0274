"""Draws small random histories of a v3 store, valid and corrupt, with hypothesis."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st
from msgspec.structs import replace

from splitbrain.checkers.model.evaluation import Evaluation, evaluate
from splitbrain.checkers.model.request_parts import reads_made
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.histories.history import History, Operation, Outcome
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    Header,
    Put,
    Range,
    Txn,
)
from splitbrain.histories.member_state import Change, MemberState

Target = Literal["value", "version", "create", "mod", "lease"]
Branch = Put | Range | Delete | Txn

KEYS = ("a", "b")
COMPARED: tuple[tuple[Target, str | int], ...] = (
    ("version", 0), ("value", "x"), ("mod", 2), ("create", 3), ("version", 1), ("lease", 7),
)
COMPACTED = "etcdserver: mvcc: required revision has been compacted"
ABSENT = "etcdserver: key not found"
FUTURE = "etcdserver: mvcc: required revision is a future revision"


@st.composite
def requests(draw: st.DrawFn, number: int, unique: bool) -> Any:
    key = draw(st.sampled_from(KEYS))
    value = f"v{number}" if unique else draw(st.sampled_from("xy"))
    kind = draw(st.integers(0, 12))
    if kind <= 2:
        lease = draw(st.sampled_from((0, 0, 7, None)))
        prev_kv = draw(st.booleans())
        if draw(st.integers(0, 5)) == 5:
            return Put(key, lease=lease or 0, prev_kv=prev_kv, ignore_value=True)
        return Put(key, value, lease or 0, prev_kv=prev_kv, ignore_lease=lease is None)
    if kind == 3:
        return Delete(key, prev_kv=draw(st.booleans()))
    if kind == 4:
        return Delete("a", "c")
    if kind == 5:
        return Range(key, serializable=draw(st.booleans()))
    if kind == 6:
        return _interval(draw)
    if kind == 7:
        past = draw(st.integers(1, 3))
        return Range("a", "c", revision=past, serializable=draw(st.booleans()))
    if kind == 8:
        return Compact(draw(st.integers(1, 4)))
    if kind == 11:
        return _reads(draw, key)
    if kind == 12:  # refused as a whole if the revision is compacted or in the future
        refused = Range(key, revision=draw(st.integers(1, 4)))
        return Txn((), (Put("a", value), refused))
    others: tuple[Branch, ...] = (Delete("a", "c"), Range(key), Put("b", value))
    other = draw(st.sampled_from(others))
    within = draw(st.sampled_from((Range("a", "c"), Range("a", "c", keys_only=True),
                                   Range("a", revision=2), Range(key, "\0", limit=1))))
    if draw(st.booleans()):
        inner = Txn((Compare("b", "version", ">", 0),), (Put("b", f"{value}i"),), (within,))
        return Txn((_comparison(draw, key),), (Put("a", value), inner), (other,))
    changes: tuple[Branch, ...] = (Put(key, value), Delete("a", "c", prev_kv=True))
    gone = draw(st.sampled_from(changes))
    return Txn((_comparison(draw, key),), (gone, within), (other,))


def _interval(draw: st.DrawFn) -> Range:
    """A range, which normally shows only a part of the keys."""
    bound = draw(st.sampled_from(("", "", "min_mod", "max_mod", "min_create", "max_create")))
    request = Range(
        "a", draw(st.sampled_from(("b", "c", "\0"))), limit=draw(st.integers(0, 1)),
        count_only=draw(st.booleans()), keys_only=draw(st.booleans()),
    )
    return replace(request, **{bound: draw(st.integers(2, 4))}) if bound else request


def _reads(draw: st.DrawFn, key: str) -> Txn:
    """A transaction that only reads, in part serializably, and in part at a revision."""
    reads = tuple(
        Range(
            "a", draw(st.sampled_from(("", "c"))), revision=draw(st.sampled_from((0, 0, 1, 3))),
            serializable=draw(st.booleans()),
        )
        for _ in range(draw(st.integers(1, 2)))
    )
    return Txn((_comparison(draw, key),), reads, (Range(key),))


def _comparison(draw: st.DrawFn, key: str) -> Compare:
    target, operand = draw(st.sampled_from(COMPARED))
    end = draw(st.sampled_from(("", "", "c")))
    return Compare(key, target, draw(st.sampled_from(("=", "!=", "<", ">"))), operand, end)


@st.composite
def recorded(draw: st.DrawFn, operations_max: int = 6) -> tuple[list[Operation], list[Change]]:
    """The operations of a valid run, with random times of invocation, effect and return."""
    count = draw(st.integers(1, operations_max))
    unique = draw(st.booleans())
    # The times have gaps, so that a changed time is not equal to that of another event.
    instants = [100 * at for at in draw(st.permutations(range(3 * count)))]
    calls: list[tuple[int, int, int, Outcome, bool, Any]] = []
    for number in range(count):
        call, effect, ret = sorted(instants[3 * number : 3 * number + 3])
        outcome: Outcome = draw(st.sampled_from(("ok", "ok", "ok", "ok", "info", "fail")))
        happens = outcome == "ok" or (outcome == "info" and draw(st.booleans()))
        late = 100 * draw(st.integers(0, 12)) if outcome == "info" else 0
        calls.append((call, effect + late, ret, outcome, happens, draw(requests(number, unique))))
    store = SequentialStore()
    changes: list[Change] = []
    results: dict[int, Any] = {}
    compacted = 0
    reached: list[tuple[int, int]] = []
    for number in sorted(range(count), key=lambda n: (calls[n][1], n)):
        call, effect, _, _, happens, request = calls[number]
        if not happens:
            continue
        if draw(st.integers(0, 9)) == 0:
            _end_lease(store, changes)
        refused = _refusal(request, store, compacted)
        if refused:
            # The error of a transaction does not show which branch was refused.
            results[number] = "refused" if isinstance(request, Txn) else refused
            continue
        if isinstance(request, Compact):
            compacted = request.revision
        results[number] = _take_effect(draw, store, request, changes)
        reached.append((effect, store.revision))
    for number, result in results.items():
        if isinstance(result, CompactResult):
            results[number] = _answered_later(draw, result, calls[number][1:3], reached)
    # Each operation has its own process.
    ops = []
    for number, (call, _, ret, outcome, _, request) in enumerate(calls):
        result = results.get(number) if outcome == "ok" else None
        error: str | None = None
        if isinstance(result, str):
            outcome, result, error = "fail", None, result
        ops.append(
            Operation(
                process=number, f="any", node=f"n{number % 3}", outcome=outcome, request=request,
                result=result, error=error, invoked=call, returned=ret, call=call,
                ret=None if outcome == "info" else ret, ended=ret,
            )
        )
    return sorted(ops, key=lambda op: op.invoked), changes


def _answered_later(
    draw: st.DrawFn, result: CompactResult, times: tuple[int, int], reached: list[tuple[int, int]]
) -> CompactResult:
    """`result` with a revision that the store had between two `times`: effect and return."""
    effect, ret = times
    shown = [revision for at, revision in reached if effect <= at < ret]
    revision = draw(st.sampled_from((result.header.revision, *shown)))
    return CompactResult(Header(revision=revision))


def _refusal(request: Any, store: SequentialStore, compacted: int) -> str:
    if isinstance(request, Txn):
        answer, _ = evaluate(store, request)
        of_each = [_refusal(one, store, compacted) for one in reads_made(request, answer)]
        return next(filter(None, of_each), "")
    if isinstance(request, Put) and request.keeps and request.key not in store.now:
        return ABSENT
    if not isinstance(request, Range | Compact) or not request.revision:
        return ""
    if request.revision > store.revision:
        return FUTURE
    kept = compacted if isinstance(request, Range) else compacted + 1
    return COMPACTED if request.revision < kept else ""


def _end_lease(store: SequentialStore, changes: list[Change]) -> None:
    gone = sorted(store.leases.get(7, ()))
    if gone:
        store.write(store.revision + 1, gone)
        changes.extend(Change(store.revision, "delete", key) for key in gone)


def _take_effect(
    draw: st.DrawFn, store: SequentialStore, request: Any, changes: list[Change]
) -> Any:
    if isinstance(request, Range) and request.serializable and not request.revision:
        revision = draw(st.integers(1, store.revision))
        held = store.past(request.key, request.range_end, revision)
        past = SequentialStore()
        past.now = {kv.key: kv for kv in held}
        answer = Evaluation(past, request).result
        return replace(answer, header=Header(revision=revision))
    evaluation = Evaluation(store, request)
    if evaluation.changes:
        store.apply(store.revision + 1, evaluation.changes)
        changes.extend(evaluation.changes)
    return replace(evaluation.result, header=Header(revision=store.revision))


@st.composite
def maybe_corrupted(
    draw: st.DrawFn, operations_max: int = 6
) -> tuple[list[Operation], list[Change]]:
    ops, changes = draw(recorded(operations_max))
    for turn in range(draw(st.integers(1, 3))):
        if ops:
            _spoil(draw, ops, changes, turn)
    return sorted(ops, key=lambda op: op.invoked), changes


def _spoil(draw: st.DrawFn, ops: list[Operation], changes: list[Change], turn: int) -> None:
    place = draw(st.integers(0, len(ops) - 1))
    op = ops[place]
    kind = draw(st.integers(0, 10))
    by = draw(st.sampled_from((-1, 1)))
    result: Any = op.result
    if kind == 0 and result is not None:
        header = Header(revision=max(1, result.header.revision + by))
        ops[place] = replace(op, result=replace(result, header=header))
    elif kind == 1 and result is not None and bool(getattr(result, "kvs", ())):
        spoils = (("value", "z"), ("version", 7), ("mod_revision", 2), ("create_revision", 9))
        field, value = draw(st.sampled_from(spoils))
        corrupted = replace(result.kvs[0], **{field: value})
        kvs = (corrupted, *result.kvs[1:])
        ops[place] = replace(op, result=replace(result, kvs=kvs))
    elif kind == 2 and hasattr(result, "count"):
        ops[place] = replace(op, result=replace(result, count=result.count + 1))
    elif kind == 3 and hasattr(result, "succeeded"):
        ops[place] = replace(
            op, result=replace(result, succeeded=not result.succeeded)
        )
    elif kind == 4:
        outcome = draw(st.sampled_from(("fail", "info")))
        ops[place] = replace(op, outcome=outcome, result=None, ret=None)
    elif kind == 5:
        shift = 100 * draw(st.integers(-6, 6)) + 10 * (op.process + 1) + turn
        assert op.returned is not None
        call = op.invoked + shift
        ops[place] = replace(op, invoked=call, call=call, returned=op.returned + shift)
    elif kind == 6 and changes:
        del changes[draw(st.integers(0, len(changes) - 1))]
    elif kind == 7 and changes:
        at = draw(st.integers(0, len(changes) - 1))
        field, value = draw(st.sampled_from((("version", 5), ("value", "z"), ("key", "b"))))
        changes[at] = replace(changes[at], **{field: value})
    elif kind == 9 and isinstance(op.request, Range | Compact) and op.request.revision:
        error = draw(st.sampled_from((COMPACTED, FUTURE)))
        ops[place] = replace(op, outcome="fail", result=None, ret=None, error=error)
    elif kind == 10 and isinstance(op.request, Range | Compact) and op.request.revision:
        ops[place] = replace(op, request=replace(op.request, revision=op.request.revision + 1))
    elif kind == 8 and result is not None and hasattr(result, "prev_kv"):
        ops[place] = replace(op, result=replace(result, prev_kv=None))


def history_of(ops: list[Operation]) -> History:
    return History((), tuple(ops), ())


def members_of(
    changes: list[Change], first: int = 1, revision: int = 0
) -> tuple[MemberState, ...]:
    """Members whose change log contains the `changes` from revision `first` on."""
    revision = max([revision, 1, *(change.revision for change in changes)])
    kept = tuple(change for change in changes if change.revision >= first)
    return tuple(
        MemberState(f"n{n}", revision=revision, first_revision=first, changes=kept)
        for n in range(3)
    )


def plain_log(changes: list[Change]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (c.revision, "delete", c.key)
        if c.kind == "delete"
        else (c.revision, "put", c.key, c.value, c.create_revision, c.version, c.lease)
        for c in changes
    )
