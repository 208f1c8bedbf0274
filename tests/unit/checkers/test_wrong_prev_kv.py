"""The facts about a wrong prev_kv, by which etcd's known bug is recognised."""

from __future__ import annotations

import pytest

from splitbrain.checkers.watch.wrong_prev_kv import facts_of
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import Cancelled, Events, WatchRequest, WatchStream

LATER = Events(9, 0, 3, (Change(3, "put", "a", "2", 2, 2),))
WITH = Events(5, 0, 2, (Change(2, "put", "a", "1", 2, 1),), (KeyValue("a", "0", 1, 1, 1),))


def stream_of(request: WatchRequest, *answers: Events | Cancelled) -> WatchStream:
    stream = WatchStream(0, 0, "n1", request, opened=1)
    stream.answers.extend(answers)
    return stream


@pytest.mark.parametrize(("cancel", "cancelled_at", "marked"), [
    (True, 10, True), (False, 10, False), (True, 2_000_000_000, False), (True, 8, False),
])
def test_events_before_the_answer_to_the_clients_cancellation_are_marked(
    cancel: bool, cancelled_at: int, marked: bool
) -> None:
    request = WatchRequest("a", prev_kv=True, cancel=cancel)
    stream = stream_of(request, LATER, Cancelled(cancelled_at, 0))
    assert facts_of(stream, LATER, None)["before_cancel"] is marked


def test_the_first_events_without_prev_kv_are_marked() -> None:
    request = WatchRequest("a", prev_kv=True)
    assert facts_of(stream_of(request, LATER), LATER, None)["first_answers_without"]
    assert not facts_of(stream_of(request, WITH, LATER), LATER, None)["first_answers_without"]
