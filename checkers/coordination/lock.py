"""`fencing` and `mutual_exclusion`: what a lock with a lease promises, and what it does not.

A lock on a lease can run out under a holder that is paused or cut off, while it believes
that it still has it: two clients then hold it at once, by the time on the wall, however
right the store is. What etcd's lock promises is fencing by revision: a write made under the
condition that the lock's key is still there takes effect only while it is this key's turn.

    mutual_exclusion  no two clients hold one lock at the same time: from the answer to the
                      lock to the invocation of its release
    fencing           a lock is answered when it is its key's turn, at the revision answered;
                      each write that compares a lock's key (`version` > 0, or its create or
                      mod revision) took effect while it was that key's turn; so the holders'
                      revisions never go back among the writes of a protected key

The first is judged by times alone, the second exactly, by the members' change log. A
history may be `fencing` and not `mutual_exclusion`: `fencing` then counts the pairs.

Cost: n log n in the locks that were held, and in the writes.

Source: Jepsen's analysis of etcd 3.4.3 (2020); Kleppmann, "How to do distributed locking"
(2016); etcd's concurrency package.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.revision_times import answered_revision
from splitbrain.checkers.coordination.wait_queue import Turns
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import ANOMALIES_MAX
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Put, Txn
from splitbrain.histories.lease import LeaseRevoke
from splitbrain.histories.lock import Lock, LockResult, Unlock
from splitbrain.histories.service import ServiceOperation

MUTUAL_EXCLUSION = "mutual_exclusion"
FENCING = "fencing"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock as its client held it: from the answer to the release's invocation."""

    name: str
    key: str
    lock: ServiceOperation
    release: ServiceOperation

    @property
    def begin(self) -> int:
        return self.lock.ret or 0

    @property
    def end(self) -> int:
        return self.release.call


def check_mutual_exclusion(evidence: Evidence) -> Verdict:
    """No two clients hold one lock at the same time, by their own clocks, without fencing.

    Judges histories with locks; to others it does not apply.
    """
    held = _held(evidence.history)
    if not any(isinstance(op.request, Lock) for op in evidence.history.services):
        return not_applicable(MUTUAL_EXCLUSION, "no lock was asked for")
    pairs = list(_overlapping(held))
    anomalies = tuple(_overlap(*pair) for pair in pairs[:ANOMALIES_MAX])
    counts = {"locks held": len(held), "held by two at once": len(pairs)}
    return Verdict(MUTUAL_EXCLUSION, not pairs, anomalies, counts)


def check_fencing(evidence: Evidence) -> Verdict:
    """A lock is granted when it is its key's turn, and writes fenced by its key only then.

    Judges histories with locks; to others it does not apply. Says too, as a count, how
    often two clients held a lock at once by their clocks, which fencing is there to survive.
    """
    history = evidence.history
    locks = [op for op in history.services if isinstance(op.request, Lock)]
    if not locks:
        return not_applicable(FENCING, "no lock was asked for")
    known = reference(evidence.members)
    if known is None:
        return Verdict(FENCING, None, why="no member's change log tells whose turn it was")
    turns = Turns((op.request.name for op in locks if isinstance(op.request, Lock)), known.changes)
    anomalies = list(_wrong_grants(locks, turns))
    fences = _fences(history.operations, turns.of_name)
    written = 0
    last: dict[str, tuple[int, str, int]] = {}
    for change in known.changes:
        fenced = fences.get((change.key, change.value)) if change.kind == "put" else None
        if fenced is None:
            continue
        written += 1
        operation, key = fenced
        anomaly = _write_out_of_turn(operation, key, change.key, change.revision, turns)
        if anomaly is not None:
            anomalies.append(anomaly)
        turn = turns.of_key(key, change.revision)
        token = turn.created if turn is not None else 0
        lock = key.rpartition("/")[0]
        before = last.get(f"{lock}\0{change.key}")
        if before is not None and token < before[0]:
            anomalies.append(_went_back(operation, key, token, change.revision, before))
        last[f"{lock}\0{change.key}"] = (token, key, change.revision)
    why = ""
    if known.first_revision > 2:
        why = f"the change log begins at revision {known.first_revision}"
    counts = {
        "locks granted": sum(op.outcome == "ok" for op in locks),
        "fenced writes": written,
        "held by two at once": sum(1 for _ in _overlapping(_held(history))),
        "anomalies": len(anomalies),
    }
    valid = merge((not anomalies, None if why else True))
    return Verdict(FENCING, valid, tuple(anomalies[:ANOMALIES_MAX]), counts, why=why)


# --- who held what ------------------------------------------------------------------


def _held(history: History) -> list[Held]:
    """Locks that were granted and given back, in the order in which they were granted."""
    releases: dict[str | int, ServiceOperation] = {}
    for op in history.services:
        if isinstance(op.request, Unlock):
            releases.setdefault(op.request.key, op)
        elif isinstance(op.request, LeaseRevoke):
            releases.setdefault(op.request.id, op)
    held = []
    for op in history.services:
        request, result = op.request, op.result
        if not isinstance(request, Lock) or not isinstance(result, LockResult):
            continue
        ends = [
            release for release in (releases.get(result.key), releases.get(request.lease))
            if release is not None and release.call >= (op.ret or 0)
        ]
        if ends:
            release = min(ends, key=lambda end: end.call)
            held.append(Held(request.name, result.key, op, release))
    return sorted(held, key=lambda one: one.begin)


def _overlapping(held: Sequence[Held]) -> Iterator[tuple[Held, Held]]:
    """Pairs, each with the one that lasts longest of those granted before."""
    longest: dict[str, Held] = {}
    for one in held:
        before = longest.get(one.name)
        if before is not None and one.begin < before.end and one.key != before.key:
            yield before, one
        if before is None or one.end > before.end:
            longest[one.name] = one


def _overlap(first: Held, second: Held) -> Anomaly:
    return Anomaly(
        "held by two at once",
        f"{second.name}: process {first.lock.process} held it from {wording.seconds(first.begin)} "
        f"to {wording.seconds(first.end)}, but {second.lock.node} granted it to process "
        f"{second.lock.process} at {wording.seconds(second.begin)} "
        f"({first.key} by {first.lock.node}, then {second.key})",
        _events(first.lock, second.lock, first.release),
        tuple(dict.fromkeys(op.node for op in (first.lock, second.lock) if op.node)),
    )


# --- by revisions -------------------------------------------------------------------


def _wrong_grants(locks: Sequence[ServiceOperation], turns: Turns) -> Iterator[Anomaly]:
    for op in locks:
        if not isinstance(op.request, Lock) or not isinstance(op.result, LockResult):
            continue
        revision, key, name = answered_revision(op), op.result.key, op.request.name
        turn = turns.of_key(key, revision)
        if turn is not None and turn.has_turn_at(revision):
            continue
        holder = turns.holder(name, revision)
        if turn is None or not turn.there_at(revision):
            kind, why = "granted without a key", f"{key} was not there at that revision"
            if turn is not None and turn.ended is not None:
                why = f"{key} had gone at revision {turn.ended}"
        else:
            kind, why = "granted out of turn", f"{key} was not the first in the queue"
        whose = f"; it was {holder.key}'s turn" if holder is not None else ""
        yield Anomaly(
            kind,
            f"{op.node} granted {name} to process {op.process} at revision {revision}, at "
            f"{wording.seconds(op.ret or 0)}, but {why}{whose}",
            _events(op), (op.node,) if op.node else (), {"revision": revision},
        )


def has_fenced_writes(history: History) -> bool:
    """Whether some write asks for a lock's key: who does so counts on fencing, not on the lock."""
    names = {op.request.name for op in history.services if isinstance(op.request, Lock)}
    return bool(names and _fences(history.operations, names))


def _fences(
    operations: Sequence[Operation], names: Container[str]
) -> dict[tuple[str, str], tuple[Operation, str]]:
    """What each fenced write puts → the operation, and the lock's key that it compares."""
    found: dict[tuple[str, str], tuple[Operation, str]] = {}
    for op in operations:
        request = op.request
        if not isinstance(request, Txn) or op.outcome == "fail":
            continue
        keys = [
            one.key for one in request.compare
            if one.key.rpartition("/")[0] in names
            and (one.target, one.result) in _HOLDS_ONLY_THERE and one.operand != -1
            and (one.result == ">" or one.operand != 0)
        ]
        for key in keys[:1]:
            for put in request.success:
                if isinstance(put, Put):
                    found[put.key, put.value] = op, key
    return found


_HOLDS_ONLY_THERE = {("version", ">"), ("create", ">"), ("create", "="), ("mod", "="), ("mod", ">")}
"""Comparisons that hold of no key that is not there, with an operand of more than 0 for "="."""


def _write_out_of_turn(
    op: Operation, key: str, written: str, revision: int, turns: Turns
) -> Anomaly | None:
    """A comparison looks at the revision before that which its transaction makes."""
    turn = turns.of_key(key, revision - 1)
    if turn is not None and turn.has_turn_at(revision - 1):
        return None
    holder = turns.holder(key.rpartition("/")[0], revision - 1)
    state = "was not there" if turn is None or not turn.there_at(revision - 1) else "had no turn"
    whose = f"; it was {holder.key}'s turn" if holder is not None else ""
    return Anomaly(
        "fence passed",
        f"{wording.operation(op)} wrote {written} at revision {revision} on the condition that "
        f"{key} is there, but {key} {state}{whose}",
        wording.indexes(op), (wording.node(op),), {"revision": revision},
    )


def _went_back(
    op: Operation, key: str, token: int, revision: int, before: tuple[int, str, int]
) -> Anomaly:
    return Anomaly(
        "fence went back",
        f"{wording.operation(op)} wrote at revision {revision} under {key}, created at "
        f"{token}, after a write at revision {before[2]} under {before[1]}, created at {before[0]}",
        wording.indexes(op), (wording.node(op),), {"revision": revision},
    )


def _events(*ops: ServiceOperation) -> tuple[int, ...]:
    return tuple(sorted({
        index for op in ops for index in (op.invoked, op.returned) if index is not None
    }))
