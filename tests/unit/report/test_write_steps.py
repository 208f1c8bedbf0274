"""Traces are joined by write, and the waterfall of a write shows its steps."""

from __future__ import annotations

from pathlib import Path

import msgspec

from splitbrain.harness.report.percentile import percentile
from splitbrain.harness.report.run_data import read_run
from splitbrain.harness.report.write_path.steps import WriteSteps, read_steps, step_times
from splitbrain.harness.report.write_path.waterfall import StepBar, bars_of, choose_writes
from splitbrain.harness.report.write_path.waterfall_options import integers_under, waterfall_options
from splitbrain.histories.trace import STEPS, TraceEvent
from tests.unit.report.synthetic_run import SyntheticRun, write_run

MS = 1_000_000


def traces(tmp_path: Path, *events: TraceEvent) -> WriteSteps:
    paths = {}
    for member in dict.fromkeys(event.member for event in events):
        paths[member] = tmp_path / f"{member}.jsonl"
        own = [msgspec.json.encode(e) + b"\n" for e in events if e.member == member]
        paths[member].write_bytes(b"".join(own))
    steps, problems = read_steps(paths)
    assert problems == ()
    assert steps is not None
    return steps


def test_a_bar_lasts_from_the_step_before_it_on_whichever_member(tmp_path: Path) -> None:
    steps = traces(
        tmp_path,
        TraceEvent("n2", "client_request", 10 * MS, 5),
        TraceEvent("n2", "follower_forward", 11 * MS, 5),
        TraceEvent("n1", "leader_receive", 13 * MS, 5),
        TraceEvent("n1", "replicate", 14 * MS, 5, 1, 9),
        TraceEvent("n1", "leader_wal", 20 * MS, 5, 1, 9),
        TraceEvent("n2", "follower_wal", 17 * MS, 5, 1, 9),
        TraceEvent("n1", "quorum_ack", 21 * MS, 5, 1, 9),
    )
    assert bars_of(steps, 0) == (
        StepBar("client_request", "n2", 0, 0),
        StepBar("follower_forward", "n2", 0, 1),
        StepBar("leader_receive", "n1", 1, 3),
        StepBar("replicate", "n1", 3, 4),
        StepBar("follower_wal", "n2", 4, 7),
        StepBar("leader_wal", "n1", 3, 10),
        StepBar("quorum_ack", "n1", 10, 11),
    )


def test_an_event_that_names_only_the_entry_finds_its_write(tmp_path: Path) -> None:
    steps = traces(
        tmp_path,
        TraceEvent("n1", "backend_flush", 30, 0, 1, 9),
        TraceEvent("n2", "leader_wal", 20, 5, 1, 9),
        TraceEvent("n1", "leader_commit", 10, 0, 1, 8),
    )
    assert steps.at(0, "backend_flush", "n1") == 30
    assert steps.requests == [5]


def test_a_step_traced_twice_counts_the_first_time(tmp_path: Path) -> None:
    steps = traces(
        tmp_path,
        TraceEvent("n1", "apply_mvcc", 10, 5, 1, 9, 2),
        TraceEvent("n1", "apply_mvcc", 90, 5, 1, 9, 2),
        TraceEvent("n1", "start", 95, 0, 0, 9),
    )
    assert steps.at(0, "apply_mvcc", "n1") == 10
    assert steps.revisions == [2]


def test_percentiles_are_of_all_writes(tmp_path: Path) -> None:
    events = []
    for request in range(1, 101):
        events.append(TraceEvent("n1", "client_request", 0, request))
        events.append(TraceEvent("n1", "respond", request * MS, request))
    times = {row.step: row for row in step_times(traces(tmp_path, *events))}
    assert (times["respond"].first_p50, times["respond"].last_p99) == (50, 99)
    assert times["respond"].writes == 100


def test_a_percentile_is_the_least_value_that_enough_do_not_exceed() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile([1, 2, 3, 4], 0.51) == 3
    assert percentile([7], 0.99) == 7
    assert percentile([1, 2], 1.0) == 2


def test_the_writes_offered_are_few_none_twice_and_hold_the_slowest(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, SyntheticRun(2_000)))
    assert run.steps is not None
    chosen = choose_writes(run.steps, 1, revisions=(50,))
    rows = [one.row for one in chosen]
    assert len(rows) == len(set(rows)) <= 200
    assert run.steps.revisions[rows[0]] == 50
    slowest = max(range(len(run.steps.requests)), key=lambda row: run.steps.latency_ns(row) or 0)  # type: ignore[union-attr]
    assert slowest in rows
    assert chosen == choose_writes(run.steps, 1, revisions=(50,))


def test_an_option_is_named_after_the_operation_that_made_its_revision(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, SyntheticRun(200)))
    assert run.steps is not None
    options = waterfall_options(run.steps, run.spans, (), seed=7)
    assert options
    assert all("put r" in option.name for option in options)
    assert all(step in STEPS for option in options for step, *_ in option.bars)


def test_numbers_named_are_found_in_any_detail() -> None:
    detail = {"revision": 3, "at": [{"revisions": [4, 5]}, {"key": 9}], "requests": 6}
    assert sorted(integers_under(detail, "revision")) == [3, 4, 5]
    assert list(integers_under(detail, "request")) == [6]


def test_the_waterfall_names_the_carrier_of_the_request(tmp_path: Path) -> None:
    steps = traces(
        tmp_path,
        TraceEvent("n1", "client_request", 1 * MS, 5, carrier="grpc"),
        TraceEvent("n1", "respond", 2 * MS, 5, revision=3, carrier="grpc"),
        TraceEvent("n1", "client_request", 1 * MS, 6),
    )
    options = waterfall_options(steps, (), (), 0)
    carriers = {option.bars[-1][0]: option.carrier for option in options}
    assert carriers == {"respond": "gRPC", "client_request": ""}
