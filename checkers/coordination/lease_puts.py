"""Checks that a put attaches its key only to an existing lease, for the checker `lease`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.lease_end import seen_ended
from splitbrain.checkers.coordination.lease_evidence import LeaseEvidence
from splitbrain.checkers.coordination.leases_of_history import Lease, answer
from splitbrain.checkers.coordination.revision_times import answered_revision
from splitbrain.checkers.findings import Findings
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Put, Request, Result, Txn, TxnResult
from splitbrain.histories.lease import LeaseRevokeResult
from splitbrain.histories.service_operation import ServiceOperation


@dataclass(frozen=True, slots=True)
class _LeasePut:
    """A put that attached its key to a lease, according to its answer or to the change log."""

    key: str
    lease: int
    revision: int
    operation: Operation | None

    def __str__(self) -> str:
        if self.operation is None:
            return f"a put of {self.key} with lease {self.lease} made revision {self.revision}"
        return (
            f"{wording.operation(self.operation)} attached {self.key} to lease {self.lease} at "
            f"revision {self.revision} and was answered at "
            f"{wording.seconds(self.operation.ret or 0)}"
        )


def check_puts(given: LeaseEvidence, found: Findings) -> None:
    """Check that no put takes effect with a lease that was never granted or has ended."""
    ends: dict[int, list[_End]] = {}
    for put in _puts(given):
        lease = given.leases.by_id.get(put.lease)
        ops = () if put.operation is None else (put.operation,)
        by = given.clock.made_before(put.revision)
        if put.operation is not None:
            by = put.operation.ret
        if not given.leases.may_exist(put.lease, by):
            found.add(
                "put with an unknown lease", f"{put}, but no operation had granted that lease",
                *ops, *(lease.grants[:1] if lease else ()), revision=put.revision,
            )
        elif lease is not None and len(lease.grants) == 1:
            if put.lease not in ends:
                ends[put.lease] = list(_ends(given, lease))
            for end in ends[put.lease]:
                if end.before(put):
                    found.add(
                        "put with an ended lease", f"{put}, but that lease had ended {end.because}",
                        *ops, *end.shown_by, revision=put.revision,
                    )
                    break


def _puts(given: LeaseEvidence) -> Iterator[_LeasePut]:
    """Yield each put that attached its key to a lease, from the answers and the change log."""
    known: set[tuple[int, str]] = set()
    for op in given.history.operations:
        if op.result is not None:
            for put in _made_puts(op.request, op.result):
                if put.ignore_lease:
                    continue  # only the change log shows the lease
                known.add((answered_revision(op), put.key))
                if put.lease:
                    yield _LeasePut(put.key, put.lease, answered_revision(op), op)
    for change in given.changes or ():
        if (
            change.kind == "put" and change.lease and (change.revision, change.key) not in known
            and change.key.rpartition("/")[0] not in given.queues
        ):
            yield _LeasePut(change.key, change.lease, change.revision, None)


def _made_puts(request: Request, result: Result) -> Iterator[Put]:
    if isinstance(request, Put):
        yield request
    elif isinstance(request, Txn) and isinstance(result, TxnResult):
        branch = request.success if result.succeeded else request.failure
        for one, inner in zip(branch, result.responses, strict=False):
            yield from _made_puts(one, inner)


@dataclass(frozen=True, slots=True)
class _End:
    """A time or a revision at which a lease had certainly ended.

    `time` is in ns since the start of the run, and None if it is unknown. `revision` is 0 if it is
    unknown. `because` is the reason in words, and `shown_by` are the operations that show the end.
    """

    time: int | None
    revision: int
    because: str
    shown_by: tuple[ServiceOperation, ...]

    def before(self, put: _LeasePut) -> bool:
        """Return whether the lease had certainly ended before `put` took effect."""
        if self.revision and put.revision > self.revision:
            return True
        return (
            self.time is not None and put.operation is not None and put.operation.call > self.time
        )


def _ends(given: LeaseEvidence, lease: Lease) -> Iterator[_End]:
    for op in lease.revokes:
        if isinstance(op.result, LeaseRevokeResult):
            revision = answered_revision(op)
            yield _End(
                op.ret, revision,
                f"at revision {revision}: {answer(op)} at {wording.seconds(op.ret or 0)}", (op,),
            )
    for seen, how, witness, revision in seen_ended(given, lease):
        if witness is None:
            yield _End(seen, revision, f"at revision {revision}, {how}", ())
        else:
            yield _End(seen, 0, f"by {wording.seconds(seen)}, {how}", (witness,))
