"""Describes a wrong prev_kv of an event: where in its stream it arrived.

etcd keeps the flag `prev_kv` of a watch apart from the watch. It sets the flag after the watch has
begun, and deletes the flag before the last events of a cancelled watch are sent. So the first and
the last events of a watch may lack their prev_kv. The facts of this module show whether a wrong
prev_kv is one of these.
"""

from __future__ import annotations

from splitbrain.histories.kv import KeyValue
from splitbrain.histories.watch import Cancelled, Events, WatchStream

CANCEL_NS = 1_000_000_000
"""The longest time between an event and the answer to the cancellation that was sent before it."""


def facts_of(stream: WatchStream, batch: Events, given: KeyValue | None) -> dict[str, bool]:
    """Return the facts about the prev_kv `given`, which an event of the answer `batch` has.

    first_answers_without  The prev_kv is missing, and so are those of all earlier events.
    before_cancel          The client cancels the watch, and the member soon confirms that.
    """
    return {
        "first_answers_without": given is None and _is_first_without_previous(stream, batch),
        "before_cancel": stream.request.cancel and any(
            isinstance(answer, Cancelled) and 0 <= answer.time - batch.time <= CANCEL_NS
            for answer in stream.answers
        ),
    }


def _is_first_without_previous(stream: WatchStream, batch: Events) -> bool:
    """Return whether no answer of the stream, up to and including `batch`, has a prev_kv."""
    for answer in stream.answers:
        if isinstance(answer, Events) and any(answer.previous):
            return False
        if answer is batch:
            break
    return True
