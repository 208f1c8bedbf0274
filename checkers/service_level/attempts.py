"""Collects the attempts to write or read through a member, and whether the member served them.

A member serves an attempt if it answers with success. It also serves an attempt that it refuses for
a reason in the request, such as a compacted revision, or a key that the user may not read. An
answer such as "no leader", "too many requests" or "database space exceeded", a broken connection,
and no answer at all are failures of the service.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.service_level.periods import Period
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Compact, writes

Kind = Literal["write", "linearizable read"]
KINDS: tuple[Kind, ...] = ("write", "linearizable read")

PATIENCE_NS = 1_000_000_000
"""In ns. An attempt that its client gives up sooner is ignored, because it shows nothing about the
store."""
TIMED_OUT = ("timed out", "connect timed out")
"""The beginning of the errors that the client itself causes by giving up."""

_REFUSALS = re.compile(
    # Status codes of the gateway: malformed or impossible requests.
    r"^(400(?!.*leader)|404|405|413|415)\b"
    r"|required revision has been compacted|required revision is a future revision"
    r"|(key|value|lease) is (not )?provided|key not found|requested lease not found"
    r"|permission denied|user name is empty|invalid auth token"
    r"|revision (of auth store|in header) is old"
    r"|too many operations in txn|duplicate key given|request is too large|etcdserver: invalid"
)
"""Errors that are about the request and not about the service. Source: etcd's rpctypes."""


class Attempt(NamedTuple):
    """An attempt of a client to write or read, from `begin` to `end` in ns.

    `served` is False if the service failed. A refusal for a reason in the request is not a failure.
    """

    begin: int
    end: int
    served: bool
    op: Operation


class Route(NamedTuple):
    """A kind of operation (write or read), and the member through which clients send it."""

    member: str
    """"" if the history does not name the members."""
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind} through {self.member}" if self.member else self.kind


def attempts_by_route(history: History) -> dict[Route, list[Attempt]]:
    """Return the attempts to write or read, by kind and member, in the order of invocations."""
    found: dict[Route, list[Attempt]] = {}
    end_ns = history.end_ns
    for op in history.operations:
        kind = kind_of(op)
        if kind is None:
            continue
        end = end_ns if op.ended is None else op.ended
        served = op.outcome == "ok" or _is_refusal(op)
        if not served and end - op.call < PATIENCE_NS and _gave_up(op):
            continue
        found.setdefault(Route(op.node or "", kind), []).append(Attempt(op.call, end, served, op))
    for attempts in found.values():
        attempts.sort(key=lambda one: one.begin)
    return found


def by_period(attempts: Sequence[Attempt], periods: Sequence[Period]) -> list[list[Attempt]]:
    """Return for each of `periods` the attempts that were pending at some time of the period.

    The periods and the attempts are in the order of their begins.
    """
    found: list[list[Attempt]] = [[] for _ in periods]
    ends = [period.end for period in periods]
    for one in attempts:
        place = bisect_left(ends, one.begin)
        while place < len(periods) and periods[place].begin <= one.end:
            found[place].append(one)
            place += 1
    return found


def kind_of(op: Operation) -> Kind | None:
    """Return whether `op` is a write or a read, or None if it shows nothing about the cluster.

    The result is None for a compaction, and for a read that one member may answer alone.
    """
    if isinstance(op.request, Compact):
        return None
    if writes(op.request):
        return "write"
    return "linearizable read" if must_be_recent(op.request) else None


def errors_of(attempts: Iterable[Attempt]) -> str:
    """Return the most frequent errors, such as `503 no leader (61 times), timed out (2 times)`."""
    counts: dict[str, int] = {}
    for one in attempts:
        if not one.served:
            error = one.op.error or "no answer"
            counts[error] = counts.get(error, 0) + 1
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{error} ({count} time{'s' * (count > 1)})" for error, count in frequent)


def _is_refusal(op: Operation) -> bool:
    return op.error is not None and _REFUSALS.search(op.error) is not None


def _gave_up(op: Operation) -> bool:
    return op.error is None or op.error.startswith(TIMED_OUT)
