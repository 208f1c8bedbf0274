"""Known ways to spoil a valid history, each once, at the first place where it shows.

A spoil is a store's bug in small: what it does to one effect, one answer, the change log
or one member makes the history invalid for certain, whatever comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.sequential_store import Made
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

if TYPE_CHECKING:
    from splitbrain.harness.synthetic.simulation import Call, Simulation

AnswerSpoil = Callable[["Simulation", "Call", Any], Result | None]
EffectSpoil = Callable[["Simulation", "Call", Made], Made | None]
StateSpoil = Callable[[list[MemberState]], list[MemberState] | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is spoilt; each function gives None where it cannot be. `members_min`: so many
    members' states are needed to see it."""

    describe: str
    answer: AnswerSpoil | None = None
    effect: EffectSpoil | None = None
    before: EffectSpoil | None = None
    states: StateSpoil | None = None
    compaction: bool = False
    members_min: int = 0


@dataclass(slots=True)
class Spoil:
    """Spoils once, not before `after` operations were begun."""

    kind: Kind
    after: int
    done: bool = False

    def _waits(self, number: int) -> bool:
        return self.done or number < self.after

    def answer(self, simulation: Simulation, call: Call, result: Result, number: int) -> Result:
        if self.kind.answer is None or self._waits(number):
            return result
        spoilt = self.kind.answer(simulation, call, result)
        self.done = spoilt is not None
        return result if spoilt is None else spoilt

    def effect(self, simulation: Simulation, call: Call, made: Made, number: int) -> Made:
        if self.kind.effect is None or self._waits(number) or call.fate != "ok" or not made:
            return made
        spoilt = self.kind.effect(simulation, call, made)
        self.done = spoilt is not None
        return made if spoilt is None else spoilt

    def before(self, simulation: Simulation, call: Call, number: int) -> bool:
        """Whether `call` takes effect before it is invoked."""
        if self.kind.before is None or self._waits(number) or call.fate != "ok":
            return False
        _, made = evaluate(simulation.store, call.request)
        if not made or self.kind.before(simulation, call, made) is None:
            return False
        self.done = True
        return True

    def states(self, members: list[MemberState]) -> list[MemberState]:
        if self.kind.states is None or not any(member.changes for member in members):
            return members
        spoilt = self.kind.states(members)
        self.done = spoilt is not None
        return members if spoilt is None else spoilt

    def ignores_compaction(self, call: Call, number: int) -> bool:
        """Whether the read `call` is answered though a compaction beyond it was acknowledged."""
        if not self.kind.compaction or self._waits(number) or call.fate != "ok":
            return False
        request = call.request
        if not isinstance(request, Range) or request.serializable or request.revision >= call.gone:
            return False
        self.done = True
        return True


# --- answers --------------------------------------------------------------------


def _stale_read(simulation: Simulation, call: Call, result: Any) -> Result | None:
    request = call.request
    recent = isinstance(request, Range) and not request.serializable and not request.revision
    if not recent or call.floor < 3:
        return None
    revision = call.floor - 1
    then = replace(request, revision=revision)
    answer, _ = evaluate(simulation.store, then)
    spoilt: Result = replace(answer, header=replace(result.header, revision=revision))
    return spoilt


def _of_first(**fields: Callable[[KeyValue], Any]) -> AnswerSpoil:
    def spoil(simulation: Simulation, call: Call, result: Any) -> Result | None:
        whole = isinstance(call.request, Range) and not call.request.keys_only
        if not whole or not isinstance(result, RangeResult) or not result.kvs:
            return None
        first = result.kvs[0]
        wrong = replace(first, **{name: change(first) for name, change in fields.items()})
        return replace(result, kvs=(wrong, *result.kvs[1:]))

    return spoil


def _wrong_count(simulation: Simulation, call: Call, result: Any) -> Result | None:
    return replace(result, count=result.count + 1) if isinstance(result, RangeResult) else None


def _missing_key(simulation: Simulation, call: Call, result: Any) -> Result | None:
    if not isinstance(result, RangeResult) or not result.kvs:
        return None
    return replace(result, kvs=result.kvs[1:], count=result.count - 1)


def _wrong_deleted(simulation: Simulation, call: Call, result: Any) -> Result | None:
    if isinstance(result, DeleteResult) and result.deleted:
        return replace(result, deleted=result.deleted + 1)
    return None


def _flipped_branch(simulation: Simulation, call: Call, result: Any) -> Result | None:
    if isinstance(result, TxnResult):
        return replace(result, succeeded=not result.succeeded)
    return None


def _past_as_present(simulation: Simulation, call: Call, result: Any) -> Result | None:
    request = call.request
    if not isinstance(request, Range) or not request.revision:
        return None
    now, _ = evaluate(simulation.store, replace(request, revision=0))
    now = replace(now, header=result.header)
    return None if now == result else now


def _revision_of_before(simulation: Simulation, call: Call, result: Any) -> Result | None:
    if not made_revision(result) or result.header.revision < 4:
        return None
    before = Header(result.header.revision - 1, result.header.member_id)
    spoilt: Result = replace(result, header=before)
    return spoilt


# --- effects --------------------------------------------------------------------


def _lost(simulation: Simulation, call: Call, made: Made) -> Made | None:
    return ()


def _twice(simulation: Simulation, call: Call, made: Made) -> Made | None:
    if not isinstance(call.request, Put):
        return None
    simulation.make(made)
    return evaluate(simulation.store, call.request)[1]


def _torn(simulation: Simulation, call: Call, made: Made) -> Made | None:
    keys = {one if isinstance(one, str) else one.key for one in made}
    return made[:1] if isinstance(call.request, Txn) and len(keys) > 1 else None


def _phantom(simulation: Simulation, call: Call, made: Made) -> Made | None:
    one = made[0]
    if not isinstance(call.request, Put) or isinstance(one, str) or one.version < 2:
        return None
    simulation.make([replace(one, value="nobody's")])
    return evaluate(simulation.store, call.request)[1]


def _refused(simulation: Simulation, call: Call, made: Made) -> Made | None:
    if not isinstance(call.request, Put):
        return None
    call.fate = "fail"
    return made


def _early(simulation: Simulation, call: Call, made: Made) -> Made | None:
    result, _ = evaluate(simulation.store, call.request)
    simulation.make(made)
    header = Header(simulation.store.revision, call.client % 3 + 1)
    call.result = replace(result, header=header)
    return made


# --- members --------------------------------------------------------------------


def _log_without(members: list[MemberState]) -> list[MemberState] | None:
    changes = members[0].changes
    gone = changes[len(changes) // 2].revision
    left = tuple(one for one in changes if one.revision != gone)
    return [replace(member, changes=left) for member in members]


def _log_otherwise(members: list[MemberState]) -> list[MemberState] | None:
    place = _a_put(members[0].changes)
    if place is None:
        return None
    change = members[0].changes[place]
    changes = _with(members[0].changes, place, replace(change, version=change.version + 1))
    return [replace(member, changes=changes) for member in members]


def _diverged(members: list[MemberState]) -> list[MemberState] | None:
    last = members[-1]
    place = _a_put(last.changes)
    if place is None or len(members) < 2:
        return None
    changes = _with(last.changes, place, replace(last.changes[place], value="another's"))
    return [*members[:-1], replace(last, changes=changes)]


def _other_hash(members: list[MemberState]) -> list[MemberState] | None:
    if len(members) < 2:
        return None
    return [*members[:-1], replace(members[-1], hash=members[-1].hash + 1)]


def _a_put(changes: Sequence[Change]) -> int | None:
    """The place of the first put behind the middle of the log."""
    places = range(len(changes) // 2, len(changes))
    return next((place for place in places if changes[place].kind == "put"), None)


def _with(changes: tuple[Change, ...], place: int, change: Change) -> tuple[Change, ...]:
    return (*changes[:place], change, *changes[place + 1 :])


SPOILS: Mapping[str, Kind] = {
    "stale-read": Kind("a read that must be recent misses an acknowledged write",
                       answer=_stale_read),
    "wrong-value": Kind("a read shows a value that its revision does not have",
                        answer=_of_first(value=lambda kv: f"{kv.value}?")),
    "wrong-version": Kind("a read shows a key's version one too high",
                          answer=_of_first(version=lambda kv: kv.version + 1)),
    "wrong-create-revision": Kind("a read shows a key created one revision too early",
                                  answer=_of_first(
                                      create_revision=lambda kv: kv.create_revision - 1)),
    "wrong-count": Kind("a read counts one key too many", answer=_wrong_count),
    "missing-key": Kind("a read misses a key of its interval", answer=_missing_key),
    "wrong-deleted": Kind("a delete counts one key too many", answer=_wrong_deleted),
    "flipped-branch": Kind("a transaction says that the other branch ran",
                           answer=_flipped_branch),
    "past-as-present": Kind("a read at a past revision shows the present",
                            answer=_past_as_present),
    "earlier-revision": Kind("a write claims the revision before its own",
                             answer=_revision_of_before),
    "compacted-read": Kind("a read below the compacted revision is answered", compaction=True),
    "lost-write": Kind("an acknowledged write is not there", effect=_lost),
    "applied-twice": Kind("an acknowledged put makes two revisions", effect=_twice),
    "torn-transaction": Kind("only the first change of a transaction is made", effect=_torn),
    "phantom-write": Kind("a revision that nobody asked for", effect=_phantom),
    "failed-write": Kind("a put that was refused is there", effect=_refused),
    "early-effect": Kind("a write takes effect 5 ms before it is invoked", before=_early),
    "log-without": Kind("the members' change log lacks a revision", states=_log_without,
                        members_min=1),
    "log-otherwise": Kind("the members' change log has another version", states=_log_otherwise,
                          members_min=1),
    "diverged": Kind("one member holds another value", states=_diverged, members_min=2),
    "hash-mismatch": Kind("one member has another HashKV", states=_other_hash, members_min=2),
}
"""By the name that `splitbrain generate --spoil` knows."""
