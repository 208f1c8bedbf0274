"""The watchers of a run are drawn from the seed, and run in simulation."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.drawing.schedule_drawing import draw_for
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact, Delete
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


def test_some_watchers_share_a_connection_read_slowly_or_stay_at_one_member() -> None:
    options = msgspec.structs.replace(WATCHING, bound_share=0.4)
    watchers = draw_for(options, make_workload("watch", {"watchers": 60})).watchers
    shared = [len(one.others) for one in watchers]
    assert max(shared) >= 4
    assert 10 <= sum(count > 0 for count in shared) <= 15
    slow = [all(one.pause_us for one in watcher.streams) for watcher in watchers]
    assert 5 <= sum(slow) <= 20
    bound = [len({one.member for one in watcher.streams}) == 1 for watcher in watchers]
    assert 15 <= sum(bound) <= 35
    starts = {(one.start, one.distance) for watcher in watchers for one in watcher.streams}
    assert starts >= {("compacted", 0), ("compacted", -1), ("compacted", 1), ("future", 1)}
    plain = make_workload("watch", {"watchers": 60, "watches": 1, "slow_percent": 0})
    for watcher in draw_for(WATCHING, plain).watchers:
        assert not watcher.others
        assert not any(one.pause_us for one in watcher.streams)


def test_clients_delete_all_keys_and_compact_to_the_newest_revision_if_asked() -> None:
    given = {"clear_percent": 40, "compact_percent": 50, "compact_back": 1}
    drafts = list(islice(make_workload("watch", given).operations(Random(1), 0), 200))
    assert sum(one.request == Delete("k", "l") for one in drafts) >= 30
    backs = [one.revision_back for one in drafts if isinstance(one.request, Compact)]
    assert backs.count(0) >= len(backs) / 2
    with pytest.raises(BadArguments, match="compact_back=0"):
        make_workload("watch", {"compact_back": 0})


def test_watches_on_one_connection_receive_their_events_from_a_slow_reader(tmp_path: Path) -> None:
    options = msgspec.structs.replace(
        WATCHING, store=str(tmp_path), nemesis=(), bound_share=1.0,
        workload_options={"watchers": 8, "watches": 12, "slow_percent": 100, "long_percent": 0},
    )
    result = run_sync(options, report=False)
    assert result.valid is True, result.results
    streams = read_streams(result.folder / FILE_NAME)
    carried = Counter(one.connection for one in streams if one.connection >= 0)
    assert max(carried.values()) >= 3
    assert all(
        streams[number].watcher == one.watcher and streams[number].node == one.node
        for one in streams if (number := one.connection) >= 0
    )
    settled = [one for one in streams if one.closed and one.closed.settled]
    assert {one.watcher for one in settled} == set(range(8))
    assert len(settled) > 8


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
