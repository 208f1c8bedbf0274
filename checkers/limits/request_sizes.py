"""Judges the sizes of requests, for the checker `limits`."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.limits.settings import Limits
from splitbrain.histories.kv import Put, Request, Txn
from splitbrain.histories.operation import Operation

TOO_LARGE = "request is too large"
TOO_MANY = "too many operations in txn request"
OVERHEAD_BYTES = 128
"""The maximal overhead of an encoded operation: its bytes without the key and the value."""


def puts(request: Request) -> Iterator[Put]:
    """Yield all puts of `request`, in both branches of a transaction."""
    if isinstance(request, Put):
        yield request
    elif isinstance(request, Txn):
        for one in (*request.success, *request.failure):
            yield from puts(one)


def content_bytes(request: Request) -> int:
    """Return the bytes of the keys and values that `request` puts."""
    return sum(len(one.key.encode()) + len(one.value.encode()) for one in puts(request))


def operations_of(request: Request) -> int:
    """Return the number of operations of `request` that the store compares with its limit.

    Only transactions have such a number; for other requests it is 0. A transaction has three parts:
    the comparisons, the success branch and the failure branch. Its number is the length of the
    longest part, plus the largest number of its nested transactions.
    """
    if not isinstance(request, Txn):
        return 0
    parts = (request.compare, request.success, request.failure)
    inner = (operations_of(one) for one in (*request.success, *request.failure))
    return max(map(len, parts)) + max(inner, default=0)


def _count(request: Request) -> int:
    """Return one (for `request` itself) plus the number of comparisons and operations in it."""
    if not isinstance(request, Txn):
        return 1
    inner = sum(_count(one) for one in (*request.success, *request.failure))
    return 1 + len(request.compare) + inner


def check_sizes(limits: Limits, op: Operation, found: Findings) -> None:
    """Check that a request is refused as too large if and only if it exceeds a limit."""
    least = content_bytes(op.request)
    most = least + OVERHEAD_BYTES * _count(op.request)
    bound = limits.request_bytes_max
    if bound and op.outcome == "ok" and least > bound:
        found.add(
            "too large", f"{wording.operation(op)} was acknowledged although it contains at least "
            f"{least:,} bytes; the limit is {bound:,}", op,
        )
    if bound and TOO_LARGE in (op.error or "") and most <= bound:
        found.add(
            "refused as too large", f"{wording.operation(op)} was refused although it contains at "
            f"most {most:,} bytes; the limit is {bound:,}", op,
        )
    count, bound = operations_of(op.request), limits.txn_operations_max
    if bound and op.outcome == "ok" and count > bound:
        found.add(
            "too many operations", f"{wording.operation(op)} was acknowledged although it contains "
            f"{count} operations; the limit is {bound}", op,
        )
    if bound and TOO_MANY in (op.error or "") and count <= bound:
        found.add(
            "refused for its operations", f"{wording.operation(op)} was refused although it "
            f"contains {count} operations; the limit is {bound}", op,
        )
