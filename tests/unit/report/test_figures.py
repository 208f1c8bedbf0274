"""Figures show each operation, fault and proof once, at its time."""

from __future__ import annotations

import base64
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.anomaly.bar_positions import places_in_order
from splitbrain.harness.report.anomaly.page import Found, write_pictures
from splitbrain.harness.report.anomaly.picture import picture_in_order, picture_to_scale
from splitbrain.harness.report.anomaly.proof import (
    NEIGHBOURS_MAX,
    WIDTH_WITH_NEIGHBOURS_PX_MAX,
    label_lines,
    proof_of,
)
from splitbrain.harness.report.anomaly.rows import rows_of
from splitbrain.harness.report.figures.fault_bands import bands, lane_bars, lane_names
from splitbrain.harness.report.figures.latency import bin_seconds, latency
from splitbrain.harness.report.figures.rate import rate
from splitbrain.harness.report.figures.timeline import timeline
from splitbrain.harness.report.operation_sample import sample
from splitbrain.harness.report.operation_spans import Span, lanes, pair
from splitbrain.harness.report.operation_tables import fault_rows, kind_rows
from splitbrain.histories.event import Event
from splitbrain.histories.history import FaultWindow, Outcome
from splitbrain.histories.kv import Put, Range

S = 1_000_000_000


def span(
    event: int,
    call: int,
    ended: int | None,
    process: int = 0,
    outcome: Outcome = "ok",
    key: str = "r1",
) -> Span:
    request = msgspec.json.encode(Put(key, str(event)) if event % 2 else Range(key))
    f = "put" if event % 2 else "get"
    returned = None if ended is None else event + 100_000
    return Span(process, f, "n1", outcome, request, b"", None, event, returned, call, ended)


@st.composite
def histories(draw: st.DrawFn) -> list[Span]:
    """Draw operations of a few clients, each of which has one at a time.

    A process ends with its `info`.
    """
    spans: list[Span] = []
    event, next_process = 0, 4
    for client in range(draw(st.integers(1, 4))):
        at, process = draw(st.integers(0, 50)), client
        for _ in range(draw(st.integers(0, 8))):
            outcome: Outcome = draw(st.sampled_from(("ok", "ok", "fail", "info")))
            took = draw(st.integers(0, 30))
            ended = None if outcome == "info" and draw(st.booleans()) else at + took
            key = draw(st.sampled_from(("a", "b")))
            spans.append(span(event, at * S, ended and ended * S, process, outcome, key))
            event += 1
            if ended is None:
                break
            at = ended + draw(st.integers(0, 10))
            if outcome == "info":
                process, next_process = next_process, next_process + 1
    return sorted(spans, key=lambda one: (one.call, one.invoked))


def numbers(spec: Any) -> list[float]:
    """A typed array of a figure, read back."""
    code = {"f4": "f", "f8": "d", "i4": "i"}[spec["dtype"]]
    read: array[Any] = array(code, base64.b64decode(spec["bdata"]))
    return read.tolist()


def drawn_events(figure: Any) -> list[int]:
    """The operation of each bar of a timeline: those of its line traces."""
    events: list[int] = []
    for trace in figure.to_plotly_json()["data"]:
        if trace.get("mode") == "lines" and "customdata" in trace:
            data = numbers(trace["customdata"])
            assert len(data) % 4 == 0
            for at in range(0, len(data), 4):
                assert data[at] == data[at + 1] == data[at + 2]
                assert data[at + 3] == -1
                events.append(int(data[at]))
    return events


@settings(max_examples=40, deadline=None)
@given(histories())
def test_every_operation_is_in_the_timeline_once(spans: list[Span]) -> None:
    figure = timeline(spans, (), ("n1",), 200 * S)
    assert sorted(drawn_events(figure)) == sorted(one.invoked for one in spans)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_a_row_never_contains_two_processes_at_a_time(spans: list[Span]) -> None:
    rows = lanes(spans)
    assert rows.keys() == {one.process for one in spans}
    for row in set(rows.values()):
        own = sorted((s for s in spans if rows[s.process] == row), key=lambda s: s.call)
        for earlier, later in pairwise(own):
            if earlier.process != later.process:
                assert earlier.outcome == "info"
            assert earlier.ended is not None
            assert earlier.ended <= later.call


def test_bars_are_at_the_times_of_their_operations() -> None:
    figure = timeline([span(1, 2 * S, 5 * S, process=3)], (), (), 10 * S)
    bar = next(t for t in figure.to_plotly_json()["data"] if "customdata" in t)
    assert numbers(bar["x"])[:3] == [2, 3.5, 5]


def fault(number: int, begin: int, end: int | None, *members: str, f: str = "kill") -> FaultWindow:
    return FaultWindow(number, f, members, begin * S, None if end is None else end * S)


FAULTS = (
    fault(1, 1, 4, "n1"),
    fault(2, 2, 3, "n1", "n2", f="pause"),
    fault(3, 5, None, f="partition"),
)


def test_each_fault_is_one_band_under_each_figure() -> None:
    spans = [span(1, 0, S), span(2, S, 2 * S, outcome="fail")]
    for figure in (
        timeline(spans, FAULTS, ("n1", "n2"), 9 * S),
        latency(spans, spans, FAULTS, 9 * S),
        rate(spans, FAULTS, 9 * S),
    ):
        shapes = figure.to_plotly_json()["layout"]["shapes"]
        assert [(shape["x0"], shape["x1"]) for shape in shapes] == [(1, 4), (2, 3), (5, 9)]


def test_each_member_that_a_fault_hit_has_it_on_its_lane_and_overlaps_are_apart() -> None:
    names = lane_names(FAULTS, ("n1", "n2", "n3"))
    assert names == ["n1", "n2", "n3", "cluster"]
    bars = lane_bars(FAULTS, names, 9 * S)
    assert [(bar.fault.fault, round(bar.y)) for bar in bars] == [(1, 0), (2, 0), (2, 1), (3, 3)]
    first, second = bars[:2]
    assert abs(first.y - second.y) >= (first.height + second.height) / 2 - 1e-9
    assert len(bands(FAULTS, 9 * S)) == len(FAULTS)


def test_a_sample_keeps_what_went_wrong_and_says_what_it_left_out() -> None:
    outcome: dict[int, Outcome] = {7: "fail", 1_500: "info"}
    spans = [span(at, at, at + 1, outcome=outcome.get(at, "ok")) for at in range(5_000)]
    taken = sample(spans, {42, 100_043}, drawn_max=2_000)
    kept = {one.invoked for one in taken.spans}
    assert {7, 42, 43, 1_500} <= kept
    assert len(taken.spans) == 2_000
    assert "2,000 of 5,000" in taken.summary()
    assert sample(spans, ()).summary() == ""


def test_latencies_and_rates_count_every_operation() -> None:
    spans = [span(at, at * S // 10, at * S // 10 + S // 100) for at in range(100)]
    points = latency(spans, spans, (), 10 * S).to_plotly_json()["data"][0]
    assert numbers(points["y"]) == [10.0] * 100
    rates = rate(spans, (), 10 * S).to_plotly_json()["data"]
    width = 2 * bin_seconds(10 * S)
    assert abs(sum(numbers(rates[0]["y"])) * width - 100) < 0.01
    by_f = [trace for trace in rates if trace["name"] != "ok"]
    assert [trace["name"] for trace in by_f] == ["ok get", "ok put"]
    assert abs(sum(sum(numbers(trace["y"])) for trace in by_f) * width - 100) < 0.01


def test_a_fault_row_counts_the_operations_that_it_could_have_hit() -> None:
    outcome: dict[int, Outcome] = {2: "fail", 3: "info"}
    spans = [span(at, at * S, at * S + S // 2, outcome=outcome.get(at, "ok")) for at in range(8)]
    first, second, third = fault_rows(spans, FAULTS, 9 * S)
    assert (first.ok, first.fail, first.info) == (2, 1, 1)
    assert (second.ok, second.fail, second.info) == (0, 1, 1)
    assert not third.healed
    assert first.longest_without_ok_s == 2.5  # from the answer at 1.5 s to the end at 4 s
    assert [row.f for row in kind_rows(spans)] == ["get", "put", "all"]


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_every_operation_that_an_anomaly_names_is_in_its_pictures(
    spans: list[Span], data: st.DataObject
) -> None:
    known = [e for s in spans for e in (s.invoked, s.returned) if e is not None]
    if not known:
        return
    named = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
    proof = proof_of(Anomaly("k", "b", tuple(named)), spans, FAULTS, 200 * S)
    must = {s.invoked for s in spans if s.invoked in named or s.returned in named}
    assert {s.invoked for s in proof.involved} == must
    assert len(proof.neighbours) <= NEIGHBOURS_MAX
    for figure in (picture_in_order(proof, ("n1",)), picture_to_scale(proof, ("n1",))):
        shown = [
            event
            for trace in figure.to_plotly_json()["data"]
            for event in trace["customdata"]
            if isinstance(event, int)
        ]
        assert sorted(shown) == sorted(s.invoked for s in proof.spans)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_a_picture_in_order_keeps_the_order_and_gives_each_bar_its_words(spans: list[Span]) -> None:
    if not spans:
        return
    proof = proof_of(Anomaly("k", "b", tuple(s.invoked for s in spans)), spans, (), 200 * S)
    labels = label_lines(proof)
    places, _ = places_in_order(proof.spans, labels)
    for one in spans:
        width = places[one.invoked].end - places[one.invoked].begin
        assert width >= 6 * max(map(len, labels[one.invoked]))
        for other in spans:
            if one.outcome != "info" and one.ended is not None and one.ended < other.call:
                assert places[one.invoked].end < places[other.invoked].begin


def test_an_anomaly_that_names_no_operation_has_an_empty_proof() -> None:
    assert proof_of(Anomaly("k", "b", (999,)), [span(1, 0, 1)], (), S).spans == ()


def test_events_that_are_no_history_can_be_paired() -> None:
    events = [
        Event(0, 0, 1, "invoke", "get"),
        Event(1, 5, 1, "invoke", "put"),
        Event(2, 6, 1, "ok", "put"),
        Event(3, 7, 2, "ok", "put"),
        Event(4, 8, 3, "invoke", "get"),
    ]
    spans, odd = pair(events)
    assert [(s.f, s.outcome, s.ended) for s in spans] == [
        ("get", "info", None),
        ("put", "ok", 6),
        ("get", "info", None),
    ]
    assert len(odd) == 2


def test_one_anomaly_makes_a_page_of_its_own(tmp_path: Path) -> None:
    spans = [span(1, 0, S), span(2, S, 2 * S)]
    anomaly = Anomaly("lost write", "r1=1 was acknowledged and is gone", (1,), ("n1",))
    found = [Found("mvcc", anomaly, spans)]
    text = write_pictures(tmp_path / "picture.html", found, FAULTS, ("n1",)).read_text()
    assert "r1=1 was acknowledged and is gone" in text
    assert 'data-for="anomaly-1-order"' in text


@settings(max_examples=100, deadline=None)
@given(histories())
def test_bars_of_one_process_never_overlap_in_a_picture_in_order(spans: list[Span]) -> None:
    if not spans:
        return
    proof = proof_of(Anomaly("k", "b", tuple(s.invoked for s in spans)), spans, (), 200 * S)
    places, _ = places_in_order(proof.spans, label_lines(proof))
    for process in {one.process for one in spans}:
        own = sorted((s for s in spans if s.process == process), key=lambda s: s.invoked)
        for earlier, later in pairwise(own):
            assert places[earlier.invoked].end < places[later.invoked].begin


def test_neighbours_that_would_make_the_picture_too_wide_are_left_out() -> None:
    spans = [span(at, at * S, at * S + S // 2, key="k" * 40) for at in range(40)]
    proof = proof_of(Anomaly("k", "b", (20,)), spans, (), 40 * S)
    places, _ = places_in_order(proof.spans, label_lines(proof))
    assert 0 < len(proof.neighbours) < NEIGHBOURS_MAX
    assert max(place.end for place in places.values()) <= WIDTH_WITH_NEIGHBOURS_PX_MAX


def test_many_bands_over_each_other_stay_pale_and_their_numbers_do_not_touch() -> None:
    faults = [fault(number, number, None) for number in range(100)]
    shapes = bands(faults, 1_000 * S)
    opacity = float(shapes[0]["fillcolor"].rstrip(")").rpartition(",")[2])
    assert opacity * len(faults) <= 0.31
    labelled = [shape["x0"] for shape in shapes if "label" in shape]
    assert labelled == [0, 20, 40, 60, 80]


def test_faults_at_one_time_on_one_member_are_apart_in_the_picture_of_an_anomaly() -> None:
    proof = proof_of(Anomaly("k", "b", (1,)), [span(1, 2 * S, 3 * S)], FAULTS, 9 * S)
    traces = picture_in_order(proof, ("n1", "n2")).to_plotly_json()["data"]
    kill, pause = (t for t in traces if t["name"] in ("kill", "pause"))
    assert abs(kill["y"][0] - pause["y"][0]) >= (kill["width"][0] + pause["width"][0]) / 2 - 1e-9


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 3))
def test_rows_do_not_overlap_and_hold_the_whole_label_of_each_named_operation(
    spans: list[Span], lanes: int
) -> None:
    if not spans:
        return
    order = tuple(one.invoked for one in spans)
    anomaly = Anomaly("k", "b", order, detail={"stuck": order[-1], "linearization": order[:-1]})
    proof = proof_of(anomaly, spans, (), 200 * S)
    labels = label_lines(proof)
    for one in proof.involved:
        words = f"{one.request_text()} → {one.result_text()} · n1"
        assert "".join(labels[one.invoked]).replace(" ", "") == words.replace(" ", "")
    rows = rows_of(proof, labels, lanes)
    for above, below in pairwise(rows.centres):
        assert rows.upper_edge(below) - rows.lower_edge(above) == rows.gap
    for one in proof.spans:
        assert rows.bars[one.process] >= 11 * len(labels[one.invoked])
    last = max(rows.lower_edge(process) for process in rows.centres)
    assert all(last < lane < rows.height for lane in rows.lanes)
    assert len(rows.lanes) == lanes


def test_the_numbers_of_an_order_are_below_the_bars() -> None:
    spans = [span(1, 0, S), span(2, S, 2 * S, process=1), span(3, 2 * S, 3 * S, process=2)]
    anomaly = Anomaly("k", "b", (1, 2, 3), detail={"stuck": 3, "linearization": [1, 2]})
    proof = proof_of(anomaly, spans, (), 9 * S)
    rows = rows_of(proof, label_lines(proof), 0)
    figure = picture_in_order(proof, ()).to_plotly_json()
    name = "an order of the other operations"
    (numbered,) = (one for one in figure["data"] if one["name"] == name)
    radius = numbered["marker"]["size"] / 2
    for y, process in zip(numbered["y"], (0, 1), strict=True):
        assert y - radius >= rows.lower_edge(process)
        assert y + radius <= rows.upper_edge(process + 1)
    (line,) = figure["layout"]["shapes"]
    assert line["layer"] == "below"
