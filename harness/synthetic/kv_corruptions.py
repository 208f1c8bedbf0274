"""Corrupts valid histories of a key-value store, in ways that a checker must find.

A corruption is applied once, at the first place where a checker can find it. It imitates a bug of a
store by changing one effect, one answer, the change log or one member's state. The resulting
history is invalid, whatever operations follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.model.sequential_store import Made
from splitbrain.harness.synthetic.pending_operation import Call
from splitbrain.harness.synthetic.recorded_store import RecordedStore
from splitbrain.histories.kv import (
    DeleteResult,
    Header,
    KeyValue,
    Put,
    Range,
    RangeResult,
    Result,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change, MemberState

AnswerCorruption = Callable[[RecordedStore, Call, Any], Result | None]
EffectCorruption = Callable[[RecordedStore, Call, Made], Made | None]
StateCorruption = Callable[[list[MemberState]], list[MemberState] | None]


@dataclass(frozen=True, slots=True)
class Corruption:
    """A way to corrupt a history. Exactly one of these fields is set:

    - `answer` changes the answer of an operation.
    - `effect` replaces the changes that an operation makes in the store, and may change the outcome
      of the operation.
    - `before` makes an operation take effect before it is invoked, and sets its answer.
    - `states` changes the states of the members.
    - `compaction` makes the store answer a read below the compacted revision.
    - `refused` makes the store execute the first operation of a transaction that it refuses.

    The functions in the first four fields return None if they cannot corrupt their arguments.
    `members_min` is the number of members' states that a checker needs to find the corruption.
    """

    description: str
    answer: AnswerCorruption | None = None
    effect: EffectCorruption | None = None
    before: EffectCorruption | None = None
    states: StateCorruption | None = None
    compaction: bool = False
    refused: bool = False
    members_min: int = 0


@dataclass(slots=True)
class Corruptor:
    """Applies `corruption` once, after `after` operations have been invoked.

    The simulation calls the methods for every operation. Their argument `number` is the number of
    operations invoked so far.
    """

    corruption: Corruption
    after: int
    done: bool = False

    def _is_idle(self, number: int) -> bool:
        return self.done or number < self.after

    def answer(self, store: RecordedStore, call: Call, result: Result, number: int) -> Result:
        """Return the answer of `call`: `result`, or a corrupted copy of it."""
        if self.corruption.answer is None or self._is_idle(number):
            return result
        corrupted = self.corruption.answer(store, call, result)
        self.done = corrupted is not None
        return result if corrupted is None else corrupted

    def effect(self, store: RecordedStore, call: Call, changes: Made, number: int) -> Made:
        """Return the changes that `call` makes in the store: `changes`, or corrupted ones."""
        if self.corruption.effect is None or self._is_idle(number):
            return changes
        if call.fate != "ok" or not changes:
            return changes
        corrupted = self.corruption.effect(store, call, changes)
        self.done = corrupted is not None
        return changes if corrupted is None else corrupted

    def before(self, store: RecordedStore, call: Call, number: int) -> bool:
        """Let `call` take effect before it is invoked, if the corruption requires this.

        Returns whether `call` took effect.
        """
        if self.corruption.before is None or self._is_idle(number) or call.fate != "ok":
            return False
        _, changes = evaluate(store, call.request)
        if not changes or self.corruption.before(store, call, changes) is None:
            return False
        self.done = True
        return True

    def states(self, members: list[MemberState]) -> list[MemberState]:
        """Return the states of the members at the end of the run: `members`, or corrupted ones."""
        if self.corruption.states is None or not any(member.changes for member in members):
            return members
        corrupted = self.corruption.states(members)
        self.done = corrupted is not None
        return members if corrupted is None else corrupted

    def refused(self, store: RecordedStore, call: Call, number: int) -> Made:
        """Return the changes that a corrupted store makes although it refuses the operation `call`.

        A correct store makes none.
        """
        request = call.request
        if not self.corruption.refused or self._is_idle(number) or not isinstance(request, Txn):
            return ()
        put = next(iter(request.success), None)
        if request.compare or not isinstance(put, Put):
            return ()
        self.done = True
        return evaluate(store, put)[1]

    def ignores_compaction(self, call: Call, number: int) -> bool:
        """Return whether the store answers the read `call` although its revision is compacted.

        Such an answer is itself a corruption.
        """
        if not self.corruption.compaction or self._is_idle(number) or call.fate != "ok":
            return False
        request = call.request
        if not isinstance(request, Range) or request.serializable:
            return False
        if request.revision >= call.compacted:
            return False
        self.done = True
        return True


# --- answers --------------------------------------------------------------------


def _stale_read(store: RecordedStore, call: Call, result: Any) -> Result | None:
    request = call.request
    recent = isinstance(request, Range) and not request.serializable and not request.revision
    if not recent or call.floor < 3:
        return None
    revision = call.floor - 1
    then = replace(request, revision=revision)
    answer, _ = evaluate(store, then)
    corrupted: Result = replace(answer, header=replace(result.header, revision=revision))
    return corrupted


def _stale_transaction(store: RecordedStore, call: Call, result: Any) -> Result | None:
    request = call.request
    if not isinstance(request, Txn) or request.compare or call.floor < 3:
        return None
    reads = [one for one in request.success if isinstance(one, Range)]
    if len(reads) < len(request.success) or not must_be_recent(request):
        return None
    revision = call.floor - 1
    then = replace(request, success=tuple(
        replace(one, revision=one.revision or revision) for one in reads
    ))
    answer, _ = evaluate(store, then)
    corrupted: Result = replace(answer, header=replace(result.header, revision=revision))
    return corrupted


def _first_key_value(**fields: Callable[[KeyValue], Any]) -> AnswerCorruption:
    def corrupt(store: RecordedStore, call: Call, result: Any) -> Result | None:
        whole = isinstance(call.request, Range) and not call.request.keys_only
        if not whole or not isinstance(result, RangeResult) or not result.kvs:
            return None
        first = result.kvs[0]
        wrong = replace(first, **{name: change(first) for name, change in fields.items()})
        return replace(result, kvs=(wrong, *result.kvs[1:]))

    return corrupt


def _wrong_count(store: RecordedStore, call: Call, result: Any) -> Result | None:
    return replace(result, count=result.count + 1) if isinstance(result, RangeResult) else None


def _missing_key(store: RecordedStore, call: Call, result: Any) -> Result | None:
    if not isinstance(result, RangeResult) or not result.kvs:
        return None
    return replace(result, kvs=result.kvs[1:], count=result.count - 1)


def _wrong_deleted(store: RecordedStore, call: Call, result: Any) -> Result | None:
    if isinstance(result, DeleteResult) and result.deleted:
        return replace(result, deleted=result.deleted + 1)
    return None


def _flipped_branch(store: RecordedStore, call: Call, result: Any) -> Result | None:
    if isinstance(result, TxnResult):
        return replace(result, succeeded=not result.succeeded)
    return None


def _present_as_past(store: RecordedStore, call: Call, result: Any) -> Result | None:
    request = call.request
    if not isinstance(request, Range) or not request.revision:
        return None
    now, _ = evaluate(store, replace(request, revision=0))
    now = replace(now, header=result.header)
    return None if now == result else now


def _revision_before(store: RecordedStore, call: Call, result: Any) -> Result | None:
    if not made_revision(result) or result.header.revision < 4:
        return None
    before = Header(result.header.revision - 1, result.header.member_id)
    corrupted: Result = replace(result, header=before)
    return corrupted


# --- effects --------------------------------------------------------------------


def _lost_write(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    return ()


def _applied_twice(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    if not isinstance(call.request, Put):
        return None
    store.commit(changes)
    return evaluate(store, call.request)[1]


def _torn_transaction(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    keys = {one if isinstance(one, str) else one.key for one in changes}
    return changes[:1] if isinstance(call.request, Txn) and len(keys) > 1 else None


def _phantom_write(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    one = changes[0]
    if not isinstance(call.request, Put) or isinstance(one, str) or one.version < 2:
        return None
    store.commit([replace(one, value="nobody's")])
    return evaluate(store, call.request)[1]


def _failed_write(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    if not isinstance(call.request, Put):
        return None
    call.fate = "fail"
    return changes


def _early_effect(store: RecordedStore, call: Call, changes: Made) -> Made | None:
    result, _ = evaluate(store, call.request)
    store.commit(changes)
    header = Header(store.revision, call.client % 3 + 1)
    call.result = replace(result, header=header)
    return changes


# --- members --------------------------------------------------------------------


def _log_without_revision(members: list[MemberState]) -> list[MemberState] | None:
    changes = members[0].changes
    gone = changes[len(changes) // 2].revision
    left = tuple(one for one in changes if one.revision != gone)
    return [replace(member, changes=left) for member in members]


def _log_with_other_version(members: list[MemberState]) -> list[MemberState] | None:
    place = _first_put(members[0].changes)
    if place is None:
        return None
    change = members[0].changes[place]
    changes = _replaced(members[0].changes, place, replace(change, version=change.version + 1))
    return [replace(member, changes=changes) for member in members]


def _diverged(members: list[MemberState]) -> list[MemberState] | None:
    last = members[-1]
    place = _first_put(last.changes)
    if place is None or len(members) < 2:
        return None
    changes = _replaced(last.changes, place, replace(last.changes[place], value="another's"))
    return [*members[:-1], replace(last, changes=changes)]


def _hash_mismatch(members: list[MemberState]) -> list[MemberState] | None:
    if len(members) < 2:
        return None
    return [*members[:-1], replace(members[-1], hash=members[-1].hash + 1)]


def _first_put(changes: Sequence[Change]) -> int | None:
    """Return the index of the first put in the second half of the change log.

    Returns None if there is none.
    """
    places = range(len(changes) // 2, len(changes))
    return next((place for place in places if changes[place].kind == "put"), None)


def _replaced(changes: tuple[Change, ...], place: int, change: Change) -> tuple[Change, ...]:
    return (*changes[:place], change, *changes[place + 1 :])


CORRUPTIONS: Mapping[str, Corruption] = {
    "stale-read": Corruption(
        "a linearizable read misses an acknowledged write", answer=_stale_read,
    ),
    "wrong-value": Corruption(
        "a read returns a value that the key does not have at the revision",
        answer=_first_key_value(value=lambda kv: f"{kv.value}?"),
    ),
    "wrong-version": Corruption(
        "a read returns a version that is one too high",
        answer=_first_key_value(version=lambda kv: kv.version + 1),
    ),
    "wrong-create-revision": Corruption(
        "a read returns a create revision that is one too low",
        answer=_first_key_value(create_revision=lambda kv: kv.create_revision - 1),
    ),
    "wrong-count": Corruption("the count of a read is one too high", answer=_wrong_count),
    "missing-key": Corruption("a read leaves out a key of its interval", answer=_missing_key),
    "wrong-deleted": Corruption("the count of a delete is one too high", answer=_wrong_deleted),
    "flipped-branch": Corruption(
        "a transaction reports the branch that it did not execute", answer=_flipped_branch,
    ),
    "past-as-present": Corruption(
        "a read at a past revision returns the present values", answer=_present_as_past,
    ),
    "earlier-revision": Corruption(
        "a write returns the revision before its own", answer=_revision_before,
    ),
    "compacted-read": Corruption(
        "a read below the compacted revision is answered", compaction=True,
    ),
    "stale-transaction": Corruption(
        "a transaction that reads, in part serializably, misses an acknowledged write",
        answer=_stale_transaction,
    ),
    "refused-half-way": Corruption(
        "a transaction is refused after its first operation took effect", refused=True,
    ),
    "lost-write": Corruption("an acknowledged write has no effect", effect=_lost_write),
    "applied-twice": Corruption(
        "an acknowledged put is applied twice, at two revisions", effect=_applied_twice,
    ),
    "torn-transaction": Corruption(
        "a transaction makes only its first change", effect=_torn_transaction,
    ),
    "phantom-write": Corruption(
        "a revision has a change that no client requested", effect=_phantom_write,
    ),
    "failed-write": Corruption("a put that failed takes effect", effect=_failed_write),
    "early-effect": Corruption(
        "a write takes effect 5 ms before it is invoked", before=_early_effect,
    ),
    "log-without": Corruption(
        "the change log of all members lacks a revision",
        states=_log_without_revision, members_min=1,
    ),
    "log-otherwise": Corruption(
        "the change log of all members has a wrong version of a key",
        states=_log_with_other_version, members_min=1,
    ),
    "diverged": Corruption(
        "one member has a different value of a key", states=_diverged, members_min=2,
    ),
    "hash-mismatch": Corruption(
        "one member has a different HashKV", states=_hash_mismatch, members_min=2,
    ),
}
"""Maps the value of `splitbrain generate --corrupt` to the corruption."""
