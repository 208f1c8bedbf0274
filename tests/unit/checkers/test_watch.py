"""The checker `watch` passes valid streams, and reports each violation by its name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.verdict import Verdict
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.synthetic.watch import generate_watched
from splitbrain.harness.synthetic.watch_corruptions import WATCH_CORRUPTIONS, corrupt_watched
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.fault_window import FaultWindow
from splitbrain.histories.history import History
from splitbrain.histories.kv import KeyValue, PutResult, Range, RangeResult
from splitbrain.histories.kv import Put as PutRequest
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Created,
    Events,
    Line,
    Listed,
    Opened,
    Progress,
    Stray,
    WatchRecorder,
    WatchRequest,
    collect,
    read_streams,
    write_streams,
)
from tests.unit.checkers.scripted_history import MS, ScriptedHistory, members

A2 = Change(2, "put", "a", "1", 2, 1)
B2 = Change(2, "put", "b", "1", 2, 1)
A3 = Change(3, "delete", "a")
B4 = Change(4, "put", "b", "2", 2, 2)
LOG = [A2, B2, A3, B4]
ALL = WatchRequest("a", "c", start_revision=1)


def judged(*lines: Line, request: WatchRequest = ALL, log: list[Change] = LOG) -> Verdict:
    opened: list[Line] = [Opened(0, 0, 0, "n2", request), Created(1, 0, 4)]
    return check_watch(
        Evidence(History.of(()), members(log), watches=collect([*opened, *lines]))
    )


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.anomalies]


def sent(*changes: Change, time: int = 5, revision: int = 4, fragment: bool = False) -> Events:
    return Events(time, 0, revision, changes, fragment=fragment)


def test_a_watch_that_receives_all_events_in_order_is_valid() -> None:
    end = Closed(9, 0, "end", settled=4)
    assert judged(sent(A2, B2), sent(A3), Progress(6, 0, 3), sent(B4), end).valid is True
    assert judged(
        sent(A2, fragment=True), Progress(5, 0, 1, whole=True), sent(B2, A3, B4), end,
        request=msgspec.structs.replace(ALL, fragment=True),
    ).valid is True
    assert judged(sent(B2, B4), end, request=WatchRequest("b", start_revision=2)).valid is True
    assert judged(sent(A2), Closed(6, 0, "broken"), request=WatchRequest("a", start_revision=1)
                  ).valid is True


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([sent(A2, B2), sent(B4)], ["lost event"]),
        ([sent(A2, B2), sent(A3), Closed(9, 0, "end", settled=4)], ["lost event"]),
        ([sent(A2, B2), sent(A2, B2), sent(A3)], ["duplicated event", "duplicated event"]),
        ([sent(A2, B2), sent(B4), sent(A3)], ["reordered event"]),
        ([sent(B2, A2)], ["reordered event"]),
        ([sent(A2), sent(B2, A3)], ["split transaction"]),
        ([sent(A2, B2), Progress(6, 0, 3), sent(A3)], ["false progress"]),
        ([sent(A2, B2, A3, B4), Progress(6, 0, 5)], ["false progress"]),
        ([sent(A2, B2), sent(Change(3, "put", "a", "x", 2, 2))], ["wrong event"]),
        ([sent(A2, B2), sent(Change(3, "put", "b", "x", 2, 2)), sent(A3)], ["phantom event"]),
        ([sent(A2, B2), sent(A3, revision=2)], ["wrong header"]),
        ([sent(A2, B2), Cancelled(6, 0, 3)], ["false cancel"]),
    ],
)
def test_each_violation_is_reported_by_its_name(lines: list[Line], expected: list[str]) -> None:
    verdict = judged(*lines)
    assert (verdict.valid, kinds(verdict)) == (False, expected)
    assert all(one.members == ("n2",) for one in verdict.anomalies)


def test_a_watch_with_a_future_start_receives_nothing_before_it() -> None:
    request = WatchRequest("a", "c", start_revision=4)
    assert judged(sent(B4), Progress(6, 0, 4), request=request).valid is True
    assert kinds(judged(sent(A3), sent(B4), request=request)) == ["event before start"]
    assert judged(Progress(4, 0, 3), sent(B4), request=request).valid is True
    assert kinds(judged(Progress(4, 0, 2), sent(B4), request=request)) == ["early progress"]


V_A2, V_B2 = KeyValue("a", "1", 2, 2, 1), KeyValue("b", "1", 2, 2, 1)
V_B4 = KeyValue("b", "2", 2, 4, 2)


@pytest.mark.parametrize(
    ("revision", "kvs", "expected"),
    [
        (2, [V_A2, V_B2], []),
        (3, [V_B2], []),
        (4, [V_B4], []),
        (2, [V_A2], ["wrong list"]),
        (3, [V_A2, V_B2], ["wrong list"]),
        (3, [V_B4], ["wrong list"]),
        (2, [V_A2, V_B2, KeyValue("bb", "3", 2, 2, 1)], ["wrong list"]),
        (2, [V_A2, V_B2, V_B2], ["wrong list"]),
    ],
)
def test_a_list_before_a_watch_contains_the_keys_at_its_revision(
    revision: int, kvs: list[KeyValue], expected: list[str]
) -> None:
    request = WatchRequest("a", "c", start_revision=revision + 1)
    lines: list[Line] = [Listed(1, 0, 0, revision, tuple(kvs)), sent(B4)]
    verdict = judged(*lines[: 1 + (revision < 4)], request=request, log=LOG)
    lists = [one for one in kinds(verdict) if "list" in one]
    assert lists == expected
    assert verdict.counts["lists"] == 1


def test_a_list_is_not_older_than_a_write_that_was_acknowledged_before_it() -> None:
    history = ScriptedHistory()
    history.did(PutRequest("b", "2"), PutResult(), 4)
    later = 5 * MS
    lines: list[Line] = [
        Opened(later, 0, 0, "n2", WatchRequest("a", "c", start_revision=4)),
        Listed(later, 0, later, 3, (V_B2,)), Created(later, 0, 4), Events(later, 0, 4, (B4,)),
    ]
    verdict = check_watch(
        Evidence(history.history(), members(LOG), watches=collect(lines))
    )
    assert "stale list" in kinds(verdict)


def test_an_answer_on_a_connection_belongs_to_one_of_its_watches() -> None:
    assert kinds(judged(sent(A2, B2), Stray(6, 0, 5, 3))) == ["stray answer"]


def test_events_outside_the_filters_and_the_interval_are_reported() -> None:
    only_deletes = WatchRequest("a", "c", start_revision=1, no_put=True)
    assert judged(sent(A3), request=only_deletes).valid is True
    assert kinds(judged(sent(A2), request=only_deletes)) == ["filter leak"]
    only_a = WatchRequest("a", start_revision=1)
    assert kinds(judged(sent(A2), sent(B2), request=only_a)) == ["foreign event"]


def test_a_prev_kv_is_the_previous_key_value() -> None:
    request = WatchRequest("b", start_revision=1, prev_kv=True)
    right = KeyValue("b", "1", 2, 2, 1)
    batch = Events(5, 0, 4, (B2, B4), (None, right))
    assert judged(batch, request=request).valid is True
    wrong = msgspec.structs.replace(batch, previous=(None, None))
    assert kinds(judged(wrong, request=request)) == ["wrong prev_kv"]
    unasked = WatchRequest("b", start_revision=1)
    assert kinds(judged(batch, request=unasked)) == ["wrong prev_kv"]


def test_a_store_may_compact_by_itself_if_its_members_show_it() -> None:
    lines: list[Line] = [
        Opened(0, 0, 0, "n2", WatchRequest("a", "c", start_revision=1)), Created(1, 0, 4),
        Cancelled(6, 0, 3),
    ]
    asked, streams = History.of(()), collect(lines)
    assert kinds(check_watch(Evidence(asked, members(LOG), watches=streams))) == ["false cancel"]
    compacted = members([B4], first_revision=4, compact_revision=3)
    assert kinds(check_watch(Evidence(asked, compacted, watches=streams))) == []


def test_events_agree_in_time_with_the_rest_of_the_history() -> None:
    script = ScriptedHistory()
    script.did(PutRequest("a", "1"), PutResult(), 2)
    script.did(Range("a"), RangeResult(), 1)
    history = script.history()
    log = [A2]

    def at(time: int) -> list[str]:
        lines: list[Line] = [
            Opened(0, 0, 0, "n2", WatchRequest("a", start_revision=1)), Created(0, 0, 1),
            Events(time, 0, 2, (A2,)),
        ]
        return kinds(check_watch(Evidence(history, members(log), watches=collect(lines))))

    invoked, read = history.operations[0].call, history.operations[1].call
    assert at(invoked - 1) == ["event from the future", "stale answer"]
    assert at(read - 1) == ["stale answer"]
    assert at(read + 1) == []


def test_without_a_change_log_watchers_are_compared_with_each_other() -> None:
    def lines(stream: int, *changes: Change) -> list[Line]:
        return [
            Opened(0, stream, stream, "n1", ALL), Created(1, stream, 4),
            Events(5, stream, 4, changes),
        ]

    alike = collect([*lines(0, A2, B2, A3), *lines(1, A2, B2, A3)])
    assert check_watch(Evidence(History.of(()), watches=alike)).valid is None
    differ = collect([*lines(0, A2, B2, A3, B4), *lines(1, A2, B2, B4)])
    assert kinds(check_watch(Evidence(History.of(()), watches=differ))) == ["lost event"]


def test_the_checker_does_not_apply_to_runs_without_watchers() -> None:
    verdict = check_watch(Evidence(History.of(())))
    assert verdict.valid is True
    assert "not applicable" in verdict.why


def test_watches_that_were_never_created_are_undecided() -> None:
    streams = collect([Opened(0, 0, 0, "n1", ALL), Closed(1, 0, "refused")])
    assert check_watch(Evidence(History.of(()), members(LOG), watches=streams)).valid is None


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_valid_runs_pass_and_each_corruption_is_found(seed: int) -> None:
    run = generate_watched(600, 6, seed)
    verdict = check_watch(run.evidence())
    assert (verdict.valid, verdict.anomalies) == (True, ())
    for kind, (_, _, shows_as) in WATCH_CORRUPTIONS.items():
        corrupted = corrupt_watched(run, kind, seed)
        if corrupted is not None:
            assert shows_as in kinds(check_watch(corrupted.evidence())), kind


def test_each_corruption_is_possible_in_some_run() -> None:
    run = generate_watched(1500, 12, seed=3)
    assert [kind for kind in WATCH_CORRUPTIONS if corrupt_watched(run, kind, 3) is None] == []


def test_a_recorded_file_of_watches_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    recorder = WatchRecorder(path, iter(range(100)).__next__)
    (stream,) = recorder.open_streams(4, "n1", [ALL])
    recorder.write(Created(recorder.now(), stream, 9))
    recorder.write(Events(recorder.now(), stream, 9, (A2, B2), (None, None)))
    recorder.close()
    recorder.close()
    (found,) = read_streams(path)
    assert (found.watcher, found.node, found.request, found.opened) == (4, "n1", ALL, 0)
    assert found.created == Created(1, 0, 9)
    assert found.answers == [Events(2, 0, 9, (A2, B2), (None, None))]
    assert (found.closed, found.connection) == (None, -1)
    assert read_streams(tmp_path / "none") == ()


def test_the_watches_of_one_connection_are_separate_streams(tmp_path: Path) -> None:
    recorder = WatchRecorder(tmp_path / "watch.jsonl", iter(range(100)).__next__)
    recorder.open_streams(1, "n1", [ALL])
    assert list(recorder.open_streams(2, "n1", [ALL, ALL])) == [1, 2]
    recorder.write(Progress(9, 2, 4, whole=True))
    recorder.write(Stray(9, 1, 5, 4))
    recorder.close()
    first, second, third = read_streams(tmp_path / "watch.jsonl")
    assert [one.connection for one in (first, second, third)] == [-1, 1, 1]
    assert (second.strays, third.answers) == ([Stray(9, 1, 5, 4)], [Progress(9, 2, 4, whole=True)])


def test_a_file_that_is_not_a_record_of_watches_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    write_streams(path, [Opened(0, 0, 0, "n1", ALL)])
    path.write_bytes(path.read_bytes() + b'{"type":"what"}\n')
    with pytest.raises(HistoryError, match=r"watch\.jsonl:2: not an event of a watch"):
        read_streams(path)
    write_streams(path, [Created(0, 7, 1)])
    with pytest.raises(HistoryError, match="stream 7 has a line of the type 'created' before"):
        read_streams(path)
    path.write_bytes(b'{"type":"opened","ti')
    assert read_streams(path) == ()


# --- progress notifications that are owed

S = 1_000_000_000
PERIODIC = WatchRequest("a", "c", start_revision=1, progress_notify=True)


def owed(
    *lines: Line, request: WatchRequest = PERIODIC, faults: tuple[FaultWindow, ...] = (),
    interval_ms: int = 250, system: str = "simulated", created: int = 4,
) -> list[str]:
    opened: list[Line] = [Opened(0, 0, 0, "n2", request), Created(1, 0, created)]
    history = History((), (), faults)
    return kinds(check_watch(Evidence(
        history, members(LOG), watches=collect([*opened, *lines]),
        watch_progress_ms=interval_ms, system=system,
    )))


def at(second: float, revision: int = 4) -> Progress:
    return Progress(round(second * S), 0, revision)


def end(second: float) -> Closed:
    return Closed(round(second * S), 0, "reconnects")


EVENTS = sent(A2, B2, A3, B4, time=S)


def test_a_silent_stream_owes_a_notification_after_two_intervals() -> None:
    assert owed(EVENTS, at(2), at(2.3), at(2.5), end(4)) == []
    assert owed(EVENTS, at(2), end(3.5)) == []
    assert owed(EVENTS, at(2), end(3.6)) == ["missing progress"]
    assert owed(EVENTS, at(3), end(4)) == ["missing progress"]
    assert owed(EVENTS, end(4), interval_ms=1000) == []
    assert owed(EVENTS, end(90), interval_ms=0) == []
    unasked = WatchRequest("a", "c", start_revision=1)
    assert owed(EVENTS, end(90), request=unasked) == []


@pytest.mark.parametrize(("fault", "expected"), [
    (FaultWindow(1, "pause", ("n2",), 2 * S, 3 * S), []),
    (FaultWindow(1, "kill", ("n2",), 2 * S, None), []),
    (FaultWindow(1, "drift", (), 1 * S, 5 * S), []),
    (FaultWindow(1, "pause", ("n1",), 2 * S, 3 * S), ["missing progress"]),
    (FaultWindow(1, "partition", ("n2",), 1 * S, 9 * S), ["missing progress"]),
    (FaultWindow(1, "pause", ("n2",), 0, S // 2), ["missing progress"]),
    (FaultWindow(1, "power", ("n2",), S // 4, S // 2), []),
    (FaultWindow(1, "power", ("n1",), S // 4, S // 2), ["missing progress"]),
])
def test_a_member_that_is_hit_by_a_fault_owes_no_notification(
    fault: FaultWindow, expected: list[str]
) -> None:
    assert owed(EVENTS, end(9), faults=(fault,)) == expected


def test_a_watch_that_has_not_reached_its_start_is_owed_no_notification() -> None:
    future = WatchRequest("a", "c", start_revision=4, progress_notify=True)
    assert owed(end(9), request=future, created=3) == []
    assert owed(sent(B4, time=S), end(9), request=future, created=3) == ["missing progress"]
    assert owed(end(9), request=future, created=4) == ["missing progress"]
    now = WatchRequest("a", "c", progress_notify=True)
    assert owed(end(9), request=now) == ["missing progress"]
    assert owed(Cancelled(S, 0, 3, "compacted"), end(9), request=future) != ["missing progress"]


def answer(second: float, revision: int = 4) -> Progress:
    return Progress(round(second * S), 0, revision, whole=True)


@pytest.mark.parametrize(("lines", "expected"), [
    ([answer(0.5), end(9)], []),
    ([end(0.9)], []),
    ([end(9)], ["missing progress"]),
    ([answer(3), end(9)], ["missing progress"]),
    ([at(0.9), at(1.8), at(2.7), end(3)], []),
    ([at(0.9), at(1.8), at(3.7), end(4)], ["missing progress"]),
    ([], []),
])
def test_a_progress_request_is_answered(lines: list[Line], expected: list[str]) -> None:
    asks = WatchRequest("a", "c", ask_progress=True)
    assert owed(*lines, request=asks) == expected
    # A watch that begins in the past may not be synced yet, and then the request is dropped.
    past = WatchRequest("a", "c", start_revision=2, ask_progress=True)
    assert owed(EVENTS, *lines, request=past) == []


def test_an_event_that_was_written_later_does_not_overtake_the_answer() -> None:
    script = ScriptedHistory()
    script.at(3_000)
    script.did(PutRequest("a", "9"), PutResult(), 5)
    late = Change(5, "put", "a", "9", 5, 1)

    def judge(*lines: Line) -> list[str]:
        opened: list[Line] = [
            Opened(0, 0, 0, "n2", WatchRequest("a", ask_progress=True)), Created(1, 0, 4),
        ]
        steady = [Events(round(n * S / 2), 0, 5, ()) for n in range(1, 7)]
        ordered = sorted([*opened, *steady, *lines], key=lambda line: line.time)
        return kinds(check_watch(Evidence(
            script.history(), members([*LOG, late]), watches=collect(ordered), system="simulated",
        )))

    event = Events(round(3.4 * S), 0, 5, (late,))
    assert judge(event) == ["missing progress"]
    assert judge(answer(3.3), event) == []
    assert judge(Progress(round(3.3 * S), 0, 4), event) == ["missing progress"]


@pytest.mark.parametrize(("invoked_s", "expected"), [(1.2, []), (3.2, ["missing progress"])])
def test_a_connection_that_is_read_slowly_owes_a_notification_before_a_later_event(
    invoked_s: float, expected: list[str]
) -> None:
    script = ScriptedHistory()
    script.at(round(invoked_s * 1000))
    script.did(PutRequest("a", "9"), PutResult(), 5)
    late = Change(5, "put", "a", "9", 5, 1)
    lines: list[Line] = [
        Opened(0, 0, 0, "n2", PERIODIC, connection=0), Created(1, 0, 4),
        Opened(0, 1, 0, "n2", ALL, connection=0), Created(1, 1, 4), EVENTS,
        # The watcher reads one answer of the other stream at a time.
        *(Events(round(n * S / 2), 1, 5, ()) for n in range(2, 7)),
        Events(round(3.4 * S), 0, 5, (late,)), Closed(round(3.5 * S), 0, "end"),
    ]
    ordered = sorted(lines, key=lambda line: line.time)
    verdict = check_watch(Evidence(
        script.history(), members([*LOG, late]), watches=collect(ordered), watch_progress_ms=250,
        system="simulated",
    ))
    assert [kind for kind in kinds(verdict) if kind == "missing progress"] == expected


@pytest.mark.parametrize(("watches", "expected"), [(8, []), (1, ["missing progress"])])
def test_a_connection_whose_reader_still_reads_that_watches_were_created_is_not_silent(
    watches: int, expected: list[str]
) -> None:
    lines: list[Line] = []
    for number in range(watches + 1):
        request = PERIODIC if number == 0 else ALL
        lines.append(Opened(0, number, 0, "n2", request, connection=0))
    # The watcher reads an answer every 200 ms.
    lines += [Created(number * S // 5, number, 4) for number in range(watches)]
    lines += [Progress(round(1.6 * S), 0, 4), Closed(round(1.7 * S), 0, "end")]
    verdict = check_watch(Evidence(
        History.of(()), members(LOG), watches=collect(lines), watch_progress_ms=250,
        system="simulated",
    ))
    assert [kind for kind in kinds(verdict) if kind == "missing progress"] == expected


def test_progress_is_not_judged_while_the_harness_recorded_nothing() -> None:
    assert owed(EVENTS, end(9), system="etcd") == []
    opened: list[Line] = [
        Opened(0, 0, 0, "n2", PERIODIC), Created(1, 0, 4), EVENTS, end(9),
        Opened(0, 1, 1, "n1", ALL), Created(1, 1, 4),
        *(Progress(round(n * S / 2), 1, 1) for n in range(1, 18)),
        Closed(9 * S, 1, "end"),
    ]
    ordered = sorted(opened, key=lambda line: line.time)
    verdict = check_watch(Evidence(
        History.of(()), members(LOG), watches=collect(ordered), watch_progress_ms=250,
        system="etcd",
    ))
    assert kinds(verdict) == ["missing progress"]
    assert verdict.anomalies[0].because.endswith(
        "received nothing from 1.000 s to 9.000 s; expected a progress notification every 250 ms, "
        "at the latest after 5.55 s of silence"
    )


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        ([sent(A2, fragment=True), sent(B2)], False),
        ([sent(A2, B2, fragment=True), Progress(6, 0, 2)], True),
        ([sent(A2, B2, A3, B4, fragment=True), Closed(9, 0, "end", settled=4)], True),
        ([sent(A2, fragment=True), sent(B2, revision=3)], True),
    ],
)
def test_a_fragment_is_followed_by_the_next_part(lines: list[Line], asked: bool) -> None:
    request = msgspec.structs.replace(ALL, fragment=asked)
    assert kinds(judged(*lines, request=request)) == ["wrong fragment"]


def on_one_connection(*lines: Line, first: WatchRequest, second: WatchRequest) -> Verdict:
    opened: list[Line] = [Opened(0, 0, 0, "n2", first, 0), Opened(0, 1, 0, "n2", second, 0)]
    return check_watch(
        Evidence(History.of(()), members(LOG), watches=collect([*opened, *lines, sent(A2, B2)]))
    )


LATER = WatchRequest("x", later_us=1)


@pytest.mark.parametrize(
    ("lines", "first", "expected"),
    [
        ([Created(1, 0, 4, 7), Created(2, 1, 4, 7)], ALL, ["wrong watch id"]),
        ([Created(1, 0, 4, 7), Created(2, 1, 4, 8)], ALL, []),
        ([Created(1, 0, 4), Created(2, 1, 4)], ALL, []),
        ([Created(1, 0, 4, 7), Cancelled(2, 0), Created(3, 1, 4, 7)], ALL, ["event after cancel"]),
        ([Created(1, 0, 4, 7)], msgspec.structs.replace(ALL, watch_id=3), ["wrong watch id"]),
        ([Created(1, 0, 4, 3)], msgspec.structs.replace(ALL, watch_id=3, cancel=True), []),
        (
            [Created(1, 0, 4, 3), Created(2, 1, 4, 4)],
            msgspec.structs.replace(ALL, watch_id=3, cancel=True), ["not cancelled"],
        ),
    ],
)
def test_watches_of_one_connection_have_different_ids(
    lines: list[Line], first: WatchRequest, expected: list[str]
) -> None:
    assert kinds(on_one_connection(*lines, first=first, second=LATER)) == expected
