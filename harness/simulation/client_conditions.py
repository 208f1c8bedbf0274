"""Which conditions of `splitbrain.harness.simulation.conditions` an answer shows."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import (
    CompactionResponse,
    DeleteRangeResponse,
    RangeRequest,
    RangeResponse,
    TxnResponse,
)

COMPACTED, FUTURE = str(errors.compacted()), str(errors.future_revision())


def conditions_of_answer(asked: object, answer: object) -> Iterator[str]:
    """By what a member answers to a request."""
    match answer:
        case RangeResponse(more=more):
            if isinstance(asked, RangeRequest) and asked.revision:
                yield "a read was of an earlier revision"
            if more:
                yield "a read was cut by its limit"
        case TxnResponse(succeeded=succeeded):
            yield f"a transaction took its {'first' if succeeded else 'second'} branch"
        case DeleteRangeResponse(deleted=deleted):
            if deleted == 0:
                yield "a delete found nothing"
            elif deleted > 1:
                yield "a delete took several keys"
        case CompactionResponse():
            yield "history was compacted"


def conditions_of_error(refusal: RpcError) -> Iterator[str]:
    if str(refusal) == COMPACTED:
        yield "a read of a compacted revision was refused"
    elif str(refusal) == FUTURE:
        yield "a read of a revision to come was refused"


def conditions_of_watch_answer(request: WatchRequest, answer: WatchAnswer) -> Iterator[str]:
    if answer.created and 0 < request.start_revision <= answer.revision:
        yield "a watch began in the past"
    elif answer.created and request.start_revision > answer.revision:
        yield "a watch waited for a revision to come"
    if answer.cancelled and answer.compact_revision:
        yield "a watch was cancelled by a compaction"
    if answer.fragment:
        yield "what a watch was told came in fragments"
    if not (answer.created or answer.cancelled or answer.changes):
        yield "a watch was told its progress"
