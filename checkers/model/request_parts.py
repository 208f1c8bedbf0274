"""Finds the parts of a request, and decides how recent its answer must be."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.histories.kv import Compare, Delete, Put, Range, Request, Result, Txn, TxnResult


def parts(request: Request) -> Iterator[Put | Delete]:
    """Yield all puts and deletes in `request`, in both branches of a transaction."""
    match request:
        case Put() | Delete():
            yield request
        case Txn():
            for one in (*request.success, *request.failure):
                yield from parts(one)
        case _:
            return


def ranges(request: Request) -> Iterator[Range]:
    """Yield all reads in `request`, in both branches of a transaction."""
    if isinstance(request, Range):
        yield request
    elif isinstance(request, Txn):
        for one in (*request.success, *request.failure):
            yield from ranges(one)


def reads_made(request: Request, result: Result | None) -> Iterator[Range]:
    """Yield the reads that took place. In a transaction, `result` shows the executed branch."""
    if isinstance(request, Range):
        yield request
    elif isinstance(request, Txn) and isinstance(result, TxnResult):
        branch = request.success if result.succeeded else request.failure
        for one, answer in zip(branch, result.responses, strict=False):
            yield from reads_made(one, answer)


def put_keys(request: Request, result: Result) -> Iterator[str]:
    """Yield the keys that `request` put. In a transaction, `result` shows the executed branch."""
    if isinstance(request, Put):
        yield request.key
    elif isinstance(request, Txn) and isinstance(result, TxnResult):
        branch = request.success if result.succeeded else request.failure
        for one, answer in zip(branch, result.responses, strict=False):
            yield from put_keys(one, answer)


def compares(request: Request) -> Iterator[Compare]:
    """Yield all comparisons in `request`, including those of nested transactions."""
    if isinstance(request, Txn):
        yield from request.compare
        for one in (*request.success, *request.failure):
            yield from compares(one)


def must_be_recent(request: Request) -> bool:
    """Return whether the answer must reflect all writes acknowledged before the invocation.

    This is true for each request that is linearizable and does not read a past revision.
    """
    match request:
        case Range(serializable=serializable, revision=revision):
            return not serializable and revision <= 0
        case Txn():
            return not _only_serializable_ranges(request)
        case _:
            return True


def reaches_the_present(request: Request) -> bool:
    """Return whether the revision in the header of the answer must be recent.

    This is the case for each request for which `must_be_recent` is true. It is also the case for a
    linearizable read of a past revision, because the header contains the current revision.
    """
    if isinstance(request, Range):
        return not request.serializable
    return must_be_recent(request)


def _only_serializable_ranges(txn: Txn) -> bool:
    """Return whether `txn` contains only serializable ranges, or no operation at all.

    A member answers such a transaction from its local state, without asking the leader. Source:
    etcd, isTxnSerializable.
    """
    return all(
        isinstance(op, Range) and op.serializable for op in (*txn.success, *txn.failure)
    )
