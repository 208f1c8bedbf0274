"""A v3 key-value store that does one thing after another: what an answer must say.

Transactions as etcd applies them: all comparisons, also those of nested transactions,
are made before anything is written; operations of the branch then run in order and see
one another; all changes bear one revision.

Source: etcd 3.5, server/etcdserver/apply.go (applyTxn, compareToPath, applyCompare,
applyRange) and server/mvcc/kvstore_txn.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sortedcontainers import SortedDict

from histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
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
from histories.member_state import Change

UNKNOWN = KeyValue("", version=-1)
"""Stands where it is not known what a key holds."""


class UnknowableError(Exception):
    """The answer depends on a key of which it is not known what it holds."""


def text_order(text: str) -> bytes:
    """Keys are ordered, and values compared, by their bytes."""
    return text.encode("utf-8", "surrogateescape")


def in_interval(key: str, begin: str, end: str) -> bool:
    """Whether `key` is in a request's interval: one key, `[begin, end)`, or all from `begin` on."""
    if not end:
        return key == begin
    name = text_order(key)
    return name >= text_order(begin) and (end == "\0" or name < text_order(end))


class SequentialStore:
    """Keys and their values at one revision, and at all revisions before it.

    `apply` is given what changed; `Evaluation` says what a request would change.
    """

    def __init__(self) -> None:
        self.revision = 1
        self.now: dict[str, KeyValue] = {}
        """What each key holds; UNKNOWN where that is not known."""
        self.unknown: dict[str, None] = {}
        """Keys of which it is not known what they hold."""
        self._ordered: SortedDict = SortedDict()
        self._versions: dict[str, tuple[list[int], list[KeyValue | None]]] = {}
        self._ever: SortedDict = SortedDict()

    def apply(self, revision: int, changes: Iterable[Change]) -> None:
        """Move on to `revision`, at which `changes` were made."""
        self.revision = revision
        for change in changes:
            if change.kind == "delete":
                self._set(change.key, None)
            else:
                self._set(
                    change.key,
                    KeyValue(
                        change.key, change.value, change.create_revision, revision,
                        change.version, change.lease,
                    ),
                )

    def forget(self, revision: int, keys: Iterable[str]) -> None:
        """From `revision` on it is not known what `keys` hold."""
        self.revision = max(self.revision, revision)
        for key in keys:
            self._set(key, UNKNOWN)

    def learn(self, key: str, held: KeyValue | None) -> None:
        """`key`, unknown until now, was seen to hold `held`."""
        self._set(key, held)

    def _set(self, key: str, held: KeyValue | None) -> None:
        name = text_order(key)
        if held is UNKNOWN:
            self.unknown[key] = None
        elif self.unknown:
            self.unknown.pop(key, None)
        if held is None:
            if self.now.pop(key, None) is not None:
                del self._ordered[name]
        else:
            if key not in self.now:
                self._ordered[name] = key
            self.now[key] = held
        versions = self._versions.get(key)
        if versions is None:
            versions = self._versions[key] = ([], [])
            self._ever[name] = key
        revisions, holdings = versions
        if revisions and revisions[-1] == self.revision:
            holdings[-1] = held
        else:
            revisions.append(self.revision)
            holdings.append(held)

    def keys(self, begin: str, end: str) -> Iterator[str]:
        """Keys in the interval that are there now, in order."""
        return _between(self._ordered, begin, end)

    def count(self, begin: str, end: str) -> int:
        """How many keys of the interval (not of one key) are there now."""
        low: int = self._ordered.bisect_left(text_order(begin))
        high: int = len(self._ordered)
        if end != "\0":
            high = self._ordered.bisect_left(text_order(end))
        return max(0, high - low)

    def past(self, begin: str, end: str, revision: int) -> list[KeyValue]:
        """What the keys of the interval held at `revision`."""
        found = []
        for key in [begin] if not end else _between(self._ever, begin, end):
            if key in self._versions:
                revisions, holdings = self._versions[key]
                place = bisect_right(revisions, revision)
                held = holdings[place - 1] if place else None
                if held is UNKNOWN:
                    raise UnknowableError(key)
                if held is not None:
                    found.append(held)
        return found


def _between(ordered: SortedDict, begin: str, end: str) -> Iterator[str]:
    low = text_order(begin)
    high = None if end == "\0" else text_order(end)
    if high is not None and high <= low:
        return
    for name in ordered.irange(low, high, (True, False)):
        yield ordered[name]


class Evaluation:
    """What one request answers and changes in `store`, which it leaves as it is.

    `result` has empty headers. Raises UnknowableError where that depends on what is not known.
    """

    def __init__(self, store: SequentialStore, request: Request) -> None:
        self.changes: list[Change] = []
        self._store = store
        self._revision = store.revision + 1
        self._written: dict[str, KeyValue | None] = {}
        self._held: dict[int, bool] = {}
        if isinstance(request, Txn):
            self._compare_all(request)
        self.result: Result = self._run(request)

    def _run(self, request: Request) -> Result:
        if isinstance(request, Range):
            return self._range(request)
        if isinstance(request, Put):
            return self._put(request)
        if isinstance(request, Txn):
            return self._txn(request)
        if isinstance(request, Delete):
            return self._delete(request)
        assert isinstance(request, Compact)
        return CompactResult()

    def _get(self, key: str) -> KeyValue | None:
        held = self._written[key] if key in self._written else self._store.now.get(key)
        if held is UNKNOWN:
            raise UnknowableError(key)
        return held

    def _interval(self, begin: str, end: str) -> list[KeyValue]:
        if not end:
            held = self._get(begin)
            return [] if held is None else [held]
        keys: Iterable[str] = self._store.keys(begin, end)
        if self._written:
            inside = dict.fromkeys(keys)
            inside.update((key, None) for key in self._written if in_interval(key, begin, end))
            keys = sorted(inside, key=text_order)
        return [held for key in keys if (held := self._get(key)) is not None]

    def _put(self, request: Put) -> PutResult:
        before = self._get(request.key)
        change = Change(
            self._revision,
            "put",
            request.key,
            request.value,
            before.create_revision if before else self._revision,
            before.version + 1 if before else 1,
            request.lease,
        )
        self.changes.append(change)
        self._written[request.key] = KeyValue(
            request.key, request.value, change.create_revision, self._revision,
            change.version, request.lease,
        )
        return PutResult(prev_kv=before if request.prev_kv else None)

    def _delete(self, request: Delete) -> DeleteResult:
        gone = self._interval(request.key, request.range_end)
        for held in gone:
            self.changes.append(Change(self._revision, "delete", held.key))
            self._written[held.key] = None
        return DeleteResult(deleted=len(gone), prev_kvs=tuple(gone) if request.prev_kv else ())

    def _range(self, request: Range) -> RangeResult:
        if 0 < request.revision <= self._store.revision:
            held = self._store.past(request.key, request.range_end, request.revision)
        elif request.range_end and not self._written:
            return self._range_as_it_stands(request)
        else:
            held = self._interval(request.key, request.range_end)
        return answer_range(request, held, len(held))

    def _range_as_it_stands(self, request: Range) -> RangeResult:
        """Without looking at more keys than are answered."""
        begin, end = request.key, request.range_end
        for key in self._store.unknown:
            if in_interval(key, begin, end):
                raise UnknowableError(key)
        count = self._store.count(begin, end)
        keys = self._store.keys(begin, end)
        if request.count_only:
            keys = iter(())
        elif request.limit > 0:
            keys = islice(keys, request.limit)
        return answer_range(request, [self._store.now[key] for key in keys], count)

    def _compare_all(self, txn: Txn) -> None:
        """Comparisons of the branches that will run, before anything runs."""
        holds = all(self._holds(compare) for compare in txn.compare)
        self._held[id(txn)] = holds
        for request in txn.success if holds else txn.failure:
            if isinstance(request, Txn):
                self._compare_all(request)

    def _txn(self, request: Txn) -> TxnResult:
        holds = self._held[id(request)]
        branch = request.success if holds else request.failure
        responses: Any = tuple(self._run(one) for one in branch)
        return TxnResult(succeeded=holds, responses=responses)

    def _holds(self, compare: Compare) -> bool:
        held = self._interval(compare.key, compare.range_end)
        if not held:
            # A value is never equal, unequal or anything to one that is not there.
            return compare.target != "value" and _relation(KeyValue(compare.key), compare)
        return all(_relation(kv, compare) for kv in held)


def answer_range(request: Range, held: Sequence[KeyValue], count: int) -> RangeResult:
    """The answer to `request` where `count` keys are in its interval, of which `held` are at
    least as many as it asks for."""
    if request.count_only:
        return RangeResult(count=count)
    more = 0 < request.limit < count
    if more:
        held = held[: request.limit]
    if request.keys_only:
        held = [_without_value(kv) for kv in held]
    return RangeResult(kvs=tuple(held), count=count, more=more)


def _without_value(kv: KeyValue) -> KeyValue:
    return KeyValue(kv.key, "", kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _relation(kv: KeyValue, compare: Compare) -> bool:
    actual: Any
    operand: Any = compare.operand
    match compare.target:
        case "value":
            actual, operand = text_order(kv.value), text_order(str(operand))
        case "version":
            actual = kv.version
        case "create":
            actual = kv.create_revision
        case "mod":
            actual = kv.mod_revision
        case "lease":
            actual = kv.lease
    match compare.result:
        case "=":
            return bool(actual == operand)
        case "!=":
            return bool(actual != operand)
        case "<":
            return bool(actual < operand)
        case ">":
            return bool(actual > operand)


def made_revision(result: Result) -> bool:
    """Whether the answer `result` says that something was written."""
    if isinstance(result, PutResult):
        return True
    if isinstance(result, DeleteResult):
        return result.deleted > 0
    return isinstance(result, TxnResult) and any(made_revision(one) for one in result.responses)


def mismatch(expected: Result, given: Result) -> str:
    """How `given` differs from `expected`, headers aside; "" if it does not."""
    if type(expected) is not type(given):
        return f"answered {_kind(given)}, expected {_kind(expected)}"
    if isinstance(expected, PutResult) and isinstance(given, PutResult):
        return _field("prev_kv", expected.prev_kv, given.prev_kv)
    if isinstance(expected, RangeResult) and isinstance(given, RangeResult):
        return (
            _field("kvs", expected.kvs, given.kvs)
            or _field("count", expected.count, given.count)
            or _field("more", expected.more, given.more)
        )
    if isinstance(expected, DeleteResult) and isinstance(given, DeleteResult):
        return _field("deleted", expected.deleted, given.deleted) or _field(
            "prev_kvs", expected.prev_kvs, given.prev_kvs
        )
    if isinstance(expected, TxnResult) and isinstance(given, TxnResult):
        return _txn_mismatch(expected, given)
    return ""


def _txn_mismatch(expected: TxnResult, given: TxnResult) -> str:
    different = _field("succeeded", expected.succeeded, given.succeeded) or _field(
        "responses", len(expected.responses), len(given.responses)
    )
    if different:
        return different
    for number, (wanted, got) in enumerate(zip(expected.responses, given.responses, strict=True)):
        different = mismatch(wanted, got)
        if different:
            return f"response {number}: {different}"
    return ""


def _field(name: str, expected: Any, given: Any) -> str:
    if expected == given:
        return ""
    return f"{name} {_text(given)}, expected {_text(expected)}"


def _text(value: Any) -> str:
    if isinstance(value, KeyValue):
        return (
            f"{value.key}={value.value!r} (create {value.create_revision}, "
            f"mod {value.mod_revision}, version {value.version})"
        )
    if isinstance(value, tuple):
        shown = ", ".join(_text(one) for one in value[:4])
        return f"[{shown}{', …' if len(value) > 4 else ''}]"
    return "nothing" if value is None else str(value)


def _kind(result: Result) -> str:
    return type(result).__name__
