"""Judges which lease an answer names, and whether a stream of keep-alives has all its answers.

A store answers the requests of a stream in their order, so that the n-th answer is about the n-th
lease. `separated` splits a stream into one keep-alive for each lease, as the other rules of the
checker `lease` expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.leases_of_history import answer
from splitbrain.checkers.findings import Findings
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseKeepAlives,
    LeaseKeepAlivesResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.service_operation import ServiceOperation


def separated(services: Iterable[ServiceOperation]) -> Iterator[ServiceOperation]:
    """Yield `services`, but split each stream of keep-alives into one operation for each lease.

    The n-th answer of the stream must name the n-th lease. If this answer is missing or names
    another lease, the n-th keep-alive may or may not have taken effect, and gets the outcome
    `info`. If the stream failed, the keep-alive gets the outcome `fail`.
    """
    for op in services:
        if not isinstance(op.request, LeaseKeepAlives):
            yield op
            continue
        answers: Sequence[LeaseKeepAliveResult] = ()
        if isinstance(op.result, LeaseKeepAlivesResult):
            answers = op.result.answers
        for place, number in enumerate(op.request.ids):
            request = LeaseKeepAlive(number)
            if place < len(answers) and answers[place].id == number:
                yield msgspec.structs.replace(op, request=request, result=answers[place])
            else:
                outcome = "fail" if op.outcome == "fail" else "info"
                yield msgspec.structs.replace(
                    op, request=request, result=None, outcome=outcome, ret=None
                )


def check_names(services: Iterable[ServiceOperation], found: Findings) -> None:
    """Check that each answer names the lease of its request, and that no answer is missing."""
    for op in services:
        request, result = op.request, op.result
        if isinstance(request, LeaseKeepAlives) and isinstance(result, LeaseKeepAlivesResult):
            _check_stream(op, request.ids, [one.id for one in result.answers], found)
        elif (
            isinstance(request, LeaseGrant | LeaseKeepAlive | LeaseTimeToLive)
            and isinstance(result, LeaseGrantResult | LeaseKeepAliveResult | LeaseTimeToLiveResult)
            and request.id and result.id != request.id
        ):
            found.add(
                "another lease",
                f"{answer(op)} at {wording.seconds(op.ret or 0)} with an answer about lease "
                f"{result.id}", op,
            )


def _check_stream(
    op: ServiceOperation, asked: Sequence[int], answered: Sequence[int], found: Findings
) -> None:
    if list(asked) == list(answered):
        return
    shown = (
        f"{op.node or 'a member'} answered process {op.process}'s keep-alives of the leases "
        f"{', '.join(map(str, asked))} on one stream, at {wording.seconds(op.ret or 0)}, with "
        f"answers about {', '.join(map(str, answered)) or 'none'}"
    )
    if len(answered) < len(asked) and list(asked[: len(answered)]) == list(answered):
        found.add("missing answer", f"{shown}; expected one answer for each", op)
    elif sorted(asked) == sorted(answered):
        found.add("answers out of order", f"{shown}; expected them in that order", op)
    else:
        found.add("another lease", f"{shown}; expected one answer for each, in that order", op)
