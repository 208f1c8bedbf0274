"""The watchers of a run: how they are drawn, their streams, and logs that are compacted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_client import Completion
from splitbrain.harness.clients.watch_codec import WatchAnswer, decode_line, encode_watch
from splitbrain.harness.drawing.draw import draw_for
from splitbrain.harness.drive.change_archive import ArchivingClient, ChangeArchive
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact, KeyValue, Put
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service import AnyRequest
from splitbrain.histories.watch import FILE_NAME, WatchRequest, read_streams

WATCHING = Options(
    system="simulated", workload="watch", nodes=(3,), time_limit_s=3.0, seed=6,
    nemesis=("kill", "pause", "partition"),
)


def test_watchers_are_drawn_with_the_plan_and_only_where_the_workload_has_them() -> None:
    plan = draw_for(WATCHING, make_workload("watch", {"watchers": 3}))
    assert len(plan.watchers) == 3
    assert plan == draw_for(WATCHING, make_workload("watch", {"watchers": 3}))
    assert draw_for(WATCHING, make_workload("kv", {})).watchers == ()


def test_a_simulated_run_with_watchers_is_valid_and_recorded(tmp_path: Path) -> None:
    options = msgspec.structs.replace(WATCHING, store=str(tmp_path))
    result = run_sync(options, report=False)
    assert result.valid is True, result.results
    streams = read_streams(result.folder / FILE_NAME)
    assert {stream.watcher for stream in streams} == set(range(8))
    assert {stream.node for stream in streams} == {"n1", "n2", "n3"}
    assert sum(len(stream.answers) for stream in streams) > 200
    last = {stream.watcher: stream for stream in streams}
    assert all(one.closed and one.closed.settled for one in last.values())
    again = run_sync(options, report=False)
    assert again.digest == result.digest
    lines = [result.folder / FILE_NAME, again.folder / FILE_NAME]
    assert lines[0].read_bytes() == lines[1].read_bytes()
    evidence = Evidence(History.read(result.folder / "history.jsonl"), watches=streams)
    assert check_watch(evidence).valid is None


def test_a_request_contains_only_the_fields_that_are_set() -> None:
    assert encode_watch(WatchRequest("a")) == b'{"create_request":{"key":"YQ=="}}'
    full = WatchRequest(
        "a", "b", 7, prev_kv=True, no_put=True, progress_notify=True, fragment=True,
        ask_progress=True,
    )
    assert encode_watch(full) == (
        b'{"create_request":{"key":"YQ==","range_end":"Yg==","start_revision":"7","prev_kv":true,'
        b'"progress_notify":true,"fragment":true,"filters":["NOPUT"]}}{"progress_request":{}}'
    )


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
    ("line", "said"),
    [
        (b'{"error":{"message":"stopped"}}', "the stream failed: stopped"),
        (b"<html>", "not a line of a watch"),
    ],
)
def test_a_line_that_cannot_be_decoded_breaks_the_stream(line: bytes, said: str) -> None:
    with pytest.raises(ConnectionLost, match=said):
        decode_line(line)


class Told:
    """A system that returns the given states, one after the other."""

    name = "told"

    def __init__(self, *states: MemberState) -> None:
        self._states = list(states)

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        return self._states.pop(0)


def state(first: int, last: int) -> MemberState:
    changes = tuple(Change(one, "put", "a", str(one)) for one in range(max(first, 2), last + 1))
    return MemberState("n1", revision=last, first_revision=first, changes=changes)


def test_changes_are_read_before_they_are_compacted() -> None:
    async def scenario() -> MemberState:
        archive = ChangeArchive(Told(state(1, 5), state(4, 9)), ("n1",))  # type: ignore[arg-type]
        await archive.read()
        await archive.read()
        return archive.prolonged((state(8, 12),))[0]

    assert asyncio.run(scenario()) == state(1, 12)


def test_a_log_with_a_gap_is_not_extended() -> None:
    async def scenario() -> MemberState:
        archive = ChangeArchive(Told(state(1, 5)), ("n1",))  # type: ignore[arg-type]
        await archive.read()
        return archive.prolonged((state(8, 12),))[0]

    assert asyncio.run(scenario()) == state(8, 12)


class Sent:
    """A client that records the requests."""

    def __init__(self) -> None:
        self.requests: list[AnyRequest] = []

    async def call(self, url: str, request: AnyRequest) -> Completion:
        self.requests.append(request)
        return Completion("info")


def test_a_compaction_of_changes_that_were_not_read_is_not_sent() -> None:
    async def scenario() -> list[Completion]:
        archive = ChangeArchive(Told(state(1, 5), state(4, 9), state(20, 30)), ("n1",))  # type: ignore[arg-type]
        client = ArchivingClient(sent, archive)  # type: ignore[arg-type]
        return [
            await client.call("", request)
            for request in (Compact(6), Compact(9), Put("k"), Compact(25))
        ]

    sent = Sent()
    outcomes = [one.outcome for one in asyncio.run(scenario())]
    assert outcomes == ["fail", "info", "info", "fail"]
    assert sent.requests == [Compact(9), Put("k")]
