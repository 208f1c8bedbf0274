"""Finds out from requests, answers and errors which conditions (`coverage.py`) occurred.

For example, a delete that found no key is the condition "a delete found nothing".
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.lease import LeaseKeepAliveResponse, LeaseTimeToLiveResponse
from splitbrain.node.messages.rpc import (
    CompactionResponse,
    DeleteRangeResponse,
    RangeRequest,
    RangeResponse,
    TxnResponse,
)

COMPACTED, FUTURE = str(errors.compacted()), str(errors.future_revision())


def conditions_of_answer(request: object, answer: object) -> Iterator[str]:
    """Yield the conditions that a member's `answer` to `request` shows.

    An example of a condition is "a delete found nothing".
    """
    match answer:
        case RangeResponse(more=more):
            if isinstance(request, RangeRequest) and request.revision:
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
        case LeaseKeepAliveResponse(ttl=0) | LeaseTimeToLiveResponse(ttl=-1):
            yield "a lease was not found"
        case CompactionResponse():
            yield "history was compacted"


def conditions_of_error(error: RpcError) -> Iterator[str]:
    """Yield the conditions that an error of a member shows.

    An example of a condition is "a read of a compacted revision was refused".
    """
    if str(error) == COMPACTED:
        yield "a read of a compacted revision was refused"
    elif str(error) == FUTURE:
        yield "a read of a future revision was refused"


def conditions_of_watch_answer(request: WatchRequest, answer: WatchAnswer) -> Iterator[str]:
    """Yield the conditions that one answer of a watch shows.

    An example of a condition is "a watch began in the past".
    """
    if answer.created and 0 < request.start_revision <= answer.revision:
        yield "a watch began in the past"
    elif answer.created and request.start_revision > answer.revision:
        yield "a watch waited for a future revision"
    if answer.cancelled and answer.compact_revision:
        yield "a watch was cancelled by a compaction"
    if answer.fragment:
        yield "the events of a watch came in fragments"
    if not (answer.created or answer.cancelled or answer.changes):
        yield "a watch received a progress notification"
