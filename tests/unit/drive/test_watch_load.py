"""The watchers of a run, drawn and simulated."""

from __future__ import annotations

from pathlib import Path

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.drawing.draw import draw_for
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.history import History
from splitbrain.histories.watch import FILE_NAME, read_streams

WATCHING = Options(
    system="simulated", workload="watch", nodes=(3,), time_limit_s=3.0, seed=6,
    nemesis=("kill", "pause", "partition"),
)


def test_watchers_are_drawn_with_the_schedule_if_the_workload_has_them() -> None:
    schedule = draw_for(WATCHING, make_workload("watch", {"watchers": 3}))
    assert len(schedule.watchers) == 3
    assert schedule == draw_for(WATCHING, make_workload("watch", {"watchers": 3}))
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
