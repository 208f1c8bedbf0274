"""Clients write watch requests, and read the lines of a watch stream."""

from __future__ import annotations

import pytest

from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.watch_codec import (
    NO_WATCH,
    WatchAnswer,
    WatchPlaces,
    decode_line,
    encode_watches,
)
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import WatchRequest


def test_a_watch_request_contains_only_the_fields_that_are_set() -> None:
    assert encode_watches([WatchRequest("a")]) == b'{"create_request":{"key":"YQ=="}}'
    full = WatchRequest(
        "a", "b", 7, prev_kv=True, no_put=True, progress_notify=True, fragment=True,
        ask_progress=True,
    )
    assert encode_watches([full]) == (
        b'{"create_request":{"key":"YQ==","range_end":"Yg==","start_revision":"7","prev_kv":true,'
        b'"progress_notify":true,"fragment":true,"filters":["NOPUT"]}}{"progress_request":{}}'
    )


def test_the_watches_of_a_connection_are_sent_before_one_progress_request() -> None:
    asking = WatchRequest("b", ask_progress=True)
    assert encode_watches([asking, WatchRequest("a"), asking]) == (
        b'{"create_request":{"key":"Yg=="}}{"create_request":{"key":"YQ=="}}'
        b'{"create_request":{"key":"Yg=="}}{"progress_request":{}}'
    )


def test_watches_are_cancelled_before_others_are_created() -> None:
    first = WatchRequest("a", watch_id=5, cancel=True)
    kept, later = WatchRequest("b", ask_progress=True), WatchRequest("c", later_us=9)
    assert encode_watches([first, kept, later]) == (
        b'{"create_request":{"key":"YQ==","watch_id":"5"}}{"create_request":{"key":"Yg=="}}'
        b'{"progress_request":{}}{"cancel_request":{"watch_id":"5"}}'
        b'{"create_request":{"key":"Yw=="}}'
    )
    assert b"cancel" not in encode_watches([first, kept])


def test_a_progress_request_follows_the_watches_that_are_created_later() -> None:
    later = WatchRequest("c", later_us=9, ask_progress=True)
    assert encode_watches([WatchRequest("b"), later]) == (
        b'{"create_request":{"key":"Yg=="}}{"create_request":{"key":"Yw=="}}'
        b'{"progress_request":{}}'
    )


def test_a_cancelled_watch_gets_no_more_answers() -> None:
    places = WatchPlaces(2)
    assert places.of(WatchAnswer(9, 0, created=True)) == (0,)
    assert places.of(WatchAnswer(9, 0, cancelled=True)) == (0,)
    assert places.of(WatchAnswer(9, NO_WATCH)) == ()
    assert places.of(WatchAnswer(9, 0, created=True)) == (1,)
    assert places.of(WatchAnswer(9, NO_WATCH)) == (1,)


def test_an_answer_belongs_to_the_watch_whose_confirmation_had_its_id() -> None:
    places = WatchPlaces(3)
    events = (Change(9, "delete", "a"),)
    refused = WatchAnswer(9, NO_WATCH, created=True, cancelled=True)
    answers = [
        (WatchAnswer(9, 0, changes=events), ()),
        (WatchAnswer(9, 0, created=True), (0,)), (refused, (1,)),
        (WatchAnswer(9, 7, created=True), (2,)), (WatchAnswer(9, 8, created=True), ()),
        (WatchAnswer(9, 7, changes=events), (2,)), (WatchAnswer(9, 0), (0,)),
        (WatchAnswer(9, NO_WATCH), (0, 2)), (WatchAnswer(9, NO_WATCH, changes=events), ()),
        (WatchAnswer(9, 3), ()),
    ]
    assert [tuple(places.of(answer)) for answer, _ in answers] == [one for _, one in answers]


def test_a_line_of_a_stream_is_decoded() -> None:
    line = (
        b'{"result":{"header":{"revision":"9"},"events":[{"type":"DELETE","kv":{"key":"YQ==",'
        b'"mod_revision":"9"},"prev_kv":{"key":"YQ==","value":"MQ==","create_revision":"3",'
        b'"mod_revision":"3","version":"1"}}]}}'
    )
    assert decode_line(line) == WatchAnswer(
        9, changes=(Change(9, "delete", "a"),), previous=(KeyValue("a", "1", 3, 3, 1),)
    )
    cancelled = b'{"result":{"header":{},"canceled":true,"compact_revision":"4"}}'
    assert decode_line(cancelled) == WatchAnswer(0, cancelled=True, compact_revision=4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"error":{"message":"stopped"}}', "the stream failed: stopped"),
        (b"<html>", "not a line of a watch"),
    ],
)
def test_a_line_that_is_not_an_answer_breaks_the_stream(line: bytes, message: str) -> None:
    with pytest.raises(ConnectionLost, match=message):
        decode_line(line)


def test_a_watch_that_a_compaction_has_cancelled_can_be_cancelled_again() -> None:
    places = WatchPlaces(2)
    places.of(WatchAnswer(revision=5, watch_id=7, created=True))
    ended = WatchAnswer(revision=5, watch_id=7, cancelled=True, compact_revision=3)
    again = WatchAnswer(revision=5, watch_id=7, cancelled=True)
    assert not places.is_cancelled_again(ended)
    assert places.of(ended) == (0,)
    assert places.of(again) == ()
    assert places.is_cancelled_again(again)
    assert not places.is_cancelled_again(WatchAnswer(revision=5, watch_id=8, cancelled=True))
    assert not places.is_cancelled_again(WatchAnswer(revision=5, watch_id=7))
    # A new watch has got the id.
    places.of(WatchAnswer(revision=6, watch_id=7, created=True))
    assert not places.is_cancelled_again(again)
