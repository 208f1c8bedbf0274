"""`fencing` and `mutual_exclusion`: check the guarantees of a lock that is held with a lease.

The lease of a lock can end while its holder is paused or partitioned and still believes that it has
the lock. Then two clients hold the lock at the same time, although the store is correct.

The clients of a lock wait in a queue of keys (`coordination/wait_queue.py`). The *turn* of a key
begins when the key is first in the queue, and ends when the key is deleted. A transaction is
*fenced* by a lock if it has the condition that the lock's key exists. A correct store then executes
the writes of the transaction only during the turn of the key.

    mutual_exclusion  No two clients hold a lock at the same time. A client holds a lock from the
                      answer to its lock request until it invokes the release.
    fencing           When a lock is granted, its key has its turn at the revision of the answer,
                      and is attached to the lease of the request. Each fenced write took effect
                      during the turn of the lock's key. Therefore no fenced write of an earlier
                      holder follows a fenced write of a later holder. When a release is
                      acknowledged, the key does not exist at the revision of the answer.

A write is fenced if its transaction compares the version, the create revision or the mod revision
of a lock's key, and the comparison is false for an absent key. An example is `version` > 0.

`mutual_exclusion` is judged by times only. `fencing` is judged exactly, by the members' change log.
A history can violate `mutual_exclusion` and satisfy `fencing`. The verdict of `fencing` therefore
also contains the number of pairs of simultaneous holders.

Cost: n log n in the number of locks that were held, and in the number of writes.

Source: Jepsen's analysis of etcd 3.4.3 (2020); Kleppmann, "How to do distributed locking" (2016);
etcd's concurrency package.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.revision_times import answered_revision
from splitbrain.checkers.coordination.wait_queue import Turns
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import first_of_each_kind
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable, with_evidence
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Put, Txn
from splitbrain.histories.lease import LeaseRevoke
from splitbrain.histories.lock_and_election import Lock, LockResult, Unlock, UnlockResult
from splitbrain.histories.service_operation import ServiceOperation

MUTUAL_EXCLUSION = "mutual_exclusion"
FENCING = "fencing"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that a client holds, from the answer to its request until it invokes the release."""

    name: str
    key: str
    lock: ServiceOperation
    release: ServiceOperation

    @property
    def begin(self) -> int:
        """Return the time of the answer to the lock request, in ns."""
        return self.lock.ret or 0

    @property
    def end(self) -> int:
        """Return the time of the invocation of the release, in ns."""
        return self.release.call


def check_mutual_exclusion(evidence: Evidence) -> Verdict:
    """No two clients hold the same lock at the same time.

    The checker applies only to histories that contain lock operations.
    """
    held = _held(evidence.history)
    if not any(isinstance(op.request, Lock) for op in evidence.history.services):
        return not_applicable(MUTUAL_EXCLUSION, "the history has no lock")
    pairs = list(_overlapping(held))
    anomalies, kinds = first_of_each_kind(_overlap(*pair) for pair in pairs)
    counts = {"locks held": len(held), "held by two at once": len(pairs)}
    verdict = Verdict(MUTUAL_EXCLUSION, not pairs, anomalies, counts, kinds=kinds)
    return with_evidence(verdict, len(held) > 1, "fewer than two locks were held and released")


def check_fencing(evidence: Evidence) -> Verdict:
    """A lock's grants and its fenced writes happen only during the turn of the lock's key.

    The checker applies only to histories that contain lock operations. The verdict is unknown if no
    member's change log begins at the first revision. The counts of the verdict show how often two
    clients held a lock at the same time. For `fencing` this is not an anomaly.

    The clients of a lock wait in a queue of keys. The turn of a key begins when the key is first in
    the queue, and ends when the key is deleted.
    """
    history = evidence.history
    locks = [op for op in history.services if isinstance(op.request, Lock)]
    if not locks:
        return not_applicable(FENCING, "the history has no lock")
    known = reference(evidence.members)
    if known is None:
        return Verdict(FENCING, None, why="no member's change log is known")
    turns = Turns((op.request.name for op in locks if isinstance(op.request, Lock)), known.changes)
    anomalies = [*_wrong_grants(locks, turns), *_unlocks_in_vain(history.services, turns)]
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
        why = f"the change log contains no revision before {known.first_revision}"
    counts = {
        "locks granted": sum(op.outcome == "ok" for op in locks),
        "fenced writes": written,
        "held by two at once": sum(1 for _ in _overlapping(_held(history))),
        "anomalies": len(anomalies),
    }
    valid = merge((not anomalies, None if why else True))
    kept, kinds = first_of_each_kind(anomalies)
    verdict = Verdict(FENCING, valid, kept, counts, why=why, kinds=kinds)
    return with_evidence(verdict, counts["locks granted"] or written, "no lock was granted")


# --- holders, by times


def _held(history: History) -> list[Held]:
    """Return the locks that clients got and later released, in the order in which they got them."""
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
    """Return pairs of clients that held one lock at the same time.

    Each holder is paired with at most one earlier holder: the one that releases the lock last.
    """
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


# --- turns, by revisions


def _wrong_grants(locks: Sequence[ServiceOperation], turns: Turns) -> Iterator[Anomaly]:
    for op in locks:
        if not isinstance(op.request, Lock) or not isinstance(op.result, LockResult):
            continue
        revision, key, name = answered_revision(op), op.result.key, op.request.name
        turn = turns.of_key(key, revision)
        if turn is not None and turn.has_turn_at(revision):
            if op.request.lease in (0, turn.lease_at(revision)):
                continue
            what = turn.lease_text(revision)
            kind, why = "wrong lease", f"{key} is attached to {what}, not to {op.request.lease}"
        elif turn is None or not turn.exists_at(revision):
            kind, why = "granted without a key", f"{key} did not exist at that revision"
            if turn is not None and turn.ended is not None:
                why = f"{key} was deleted at revision {turn.ended}"
        else:
            kind, why = "granted out of turn", f"{key} was not first in the queue"
        holder = None if kind == "wrong lease" else turns.holder(name, revision)
        whose = f"; it was the turn of {holder.key}" if holder is not None else ""
        yield Anomaly(
            kind=kind,
            because=f"{op.node} granted {name} to process {op.process} at revision {revision}, at "
            f"{wording.seconds(op.ret or 0)}, but {why}{whose}",
            events=_events(op), members=(op.node,) if op.node else (),
            detail={"revision": revision},
        )


def _unlocks_in_vain(
    services: Sequence[ServiceOperation], turns: Turns
) -> Iterator[Anomaly]:
    """Yield each release that was acknowledged although the key of the lock still exists."""
    for op in services:
        if not isinstance(op.request, Unlock) or not isinstance(op.result, UnlockResult):
            continue
        revision, key = answered_revision(op), op.request.key
        turn = turns.of_key(key, revision)
        if turn is not None and turn.exists_at(revision):
            yield Anomaly(
                kind="released without effect",
                because=f"{op.node} acknowledged process {op.process}'s release of {key} at "
                f"revision {revision}, at {wording.seconds(op.ret or 0)}, but the key still exists "
                "at that revision",
                events=_events(op), members=(op.node,) if op.node else (),
                detail={"revision": revision},
            )


def has_fenced_writes(history: History) -> bool:
    """Return whether the history contains a write that is fenced by a lock.

    The transaction of such a write has the condition that the lock's key exists.
    """
    names = {op.request.name for op in history.services if isinstance(op.request, Lock)}
    return bool(names and _fences(history.operations, names))


def _fences(
    operations: Sequence[Operation], names: Container[str]
) -> dict[tuple[str, str], tuple[Operation, str]]:
    """Return the fenced writes: a map from (key, value) to (operation, the lock's key).

    The lock's key is the one in the comparison of the transaction. `names` are the names of the
    locks. Operations that failed are left out.
    """
    found: dict[tuple[str, str], tuple[Operation, str]] = {}
    for op in operations:
        request = op.request
        if not isinstance(request, Txn) or op.outcome == "fail":
            continue
        keys = [
            one.key for one in request.compare
            if one.key.rpartition("/")[0] in names
            and (one.target, one.result) in _TRUE_ONLY_IF_PRESENT and one.operand != -1
            and (one.result == ">" or one.operand != 0)
        ]
        for key in keys[:1]:
            for put in request.success:
                if isinstance(put, Put):
                    found[put.key, put.value] = op, key
    return found


_TRUE_ONLY_IF_PRESENT = {
    ("version", ">"), ("create", ">"), ("create", "="), ("mod", "="), ("mod", ">"),
}
"""Comparisons (target, relation) that are false for an absent key. A comparison with "=" also
needs an operand above 0."""


def _write_out_of_turn(
    op: Operation, key: str, written: str, revision: int, turns: Turns
) -> Anomaly | None:
    """Return an anomaly if the lock's key `key` did not have its turn at the fenced write `op`.

    A key has its turn while it is the first in the queue for the lock. `revision` is the revision
    that `op` made, and `written` the key that it wrote. The turn is judged at the revision before
    `revision`, because the comparison of a transaction sees the store before its writes. Returns
    None if `key` had its turn.
    """
    turn = turns.of_key(key, revision - 1)
    if turn is not None and turn.has_turn_at(revision - 1):
        return None
    holder = turns.holder(key.rpartition("/")[0], revision - 1)
    exists = turn is not None and turn.exists_at(revision - 1)
    state = "did not have its turn" if exists else "did not exist"
    whose = f"; it was the turn of {holder.key}" if holder is not None else ""
    return Anomaly(
        kind="fence passed",
        because=f"{wording.operation(op)} wrote {written} at revision {revision} on the condition "
        f"that {key} exists, but {key} {state}{whose}",
        events=wording.indexes(op), members=(wording.node(op),), detail={"revision": revision},
    )


def _went_back(
    op: Operation, key: str, token: int, revision: int, before: tuple[int, str, int]
) -> Anomaly:
    return Anomaly(
        kind="fence went back",
        because=f"{wording.operation(op)} wrote at revision {revision} with the lock key {key}, "
        f"created at {token}, after a write at revision {before[2]} with {before[1]}, created at "
        f"{before[0]}",
        events=wording.indexes(op), members=(wording.node(op),), detail={"revision": revision},
    )


def _events(*ops: ServiceOperation) -> tuple[int, ...]:
    return tuple(sorted({
        index for op in ops for index in (op.invoked, op.returned) if index is not None
    }))
