"""The database agrees with the folders, and every filter finds exactly the runs that match it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.database import query
from splitbrain.harness.store.database.database import (
    FILE,
    DatabaseFailed,
    add_runs,
    open_database,
    rebuild,
    record_folder,
)
from splitbrain.harness.store.database.query import Filter, Page, Sort, find_runs
from splitbrain.harness.store.database.trends import trends
from splitbrain.harness.store.old_runs import OldRun, remove_runs
from splitbrain.harness.store.records import Results, RunRecord
from splitbrain.harness.store.run_folders import make_run_folder
from splitbrain.harness.store.run_row import RunRow
from tests.benchmarks.runs_database import LAST, synthetic_rows

ROWS = tuple(synthetic_rows(600))
STATISTICS = Verdict("statistics", True, counts={
    "get ok": {"count": 9, "p50 ms": 1.5, "p99 ms": 7.0},
    "put ok": {"count": 3, "p50 ms": 5.0, "p99 ms": 9.0},
})


def a_run(
    store: Path, day: int, valid: bool | None, *, anomaly: str = "", **options: object
) -> Path:
    folder = make_run_folder(store, "t", day, datetime(2026, 11, day, 12, tzinfo=UTC))
    changed = msgspec.structs.replace(Options(), **options)
    folder.write_record(RunRecord(
        test="t", seed=day, options=changed, started="", ended="time limit",
        versions={"splitbrain": "0.1.0", "etcd": "3.5.1", "commit": f"c{day}"},
    ))
    found = Verdict("watch", False, (Anomaly("event lost", anomaly),)) if anomaly else STATISTICS
    folder.write_results(Results(
        valid, (found,), {"all": {"ok": 12, "info": 1}}, (), "again", load_s=2.0, rate=6.0,
    ))
    return folder.path


def found(store: Path, wanted: Filter) -> Page:
    with open_database(store) as connection:
        return find_runs(connection, wanted)


def test_a_row_contains_what_the_folder_records(tmp_path: Path) -> None:
    folder = a_run(tmp_path, 3, True, system="etcd", workload="kv")
    (row,) = found(tmp_path, Filter()).runs
    assert (row.key, row.seed, row.test, row.system) == (f"t/{folder.name}", 3, "t", "etcd")
    assert (row.valid, row.ok, row.fail, row.info, row.rate) == (True, 12, 0, 1, 6.0)
    assert (row.p50_ms, row.p99_ms) == (1.5, 7.0)
    assert (row.version, row.commit) == ("3.5.1", "c3")
    assert datetime.fromtimestamp(row.started, UTC) == datetime(2026, 11, 3, 12, tzinfo=UTC)


def test_a_run_that_was_judged_again_replaces_its_row(tmp_path: Path) -> None:
    folder = a_run(tmp_path, 3, True)
    record_folder(tmp_path, folder)
    (folder / "results.json").unlink()
    record_folder(tmp_path, folder)
    page = found(tmp_path, Filter())
    assert page.counts == {"valid": 0, "invalid": 0, "unknown": 1}
    assert len(page.runs) == 1


def test_the_database_is_made_from_the_folders_when_it_is_missing_or_of_another_version(
    tmp_path: Path,
) -> None:
    for day in (1, 2, 3):
        a_run(tmp_path, day, day != 2, anomaly="n1 lost r7" if day == 2 else "")
    assert [row.seed for row in found(tmp_path, Filter()).runs] == [3, 2, 1]
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("DELETE FROM runs")
    (invalid,) = found(tmp_path, Filter(verdicts=("invalid",), text="lost R7")).runs
    assert (invalid.checker, invalid.kind, invalid.because) == ("watch", "event lost", "n1 lost r7")


def test_rebuilding_forgets_folders_that_are_gone_and_repairs_a_damaged_file(
    tmp_path: Path,
) -> None:
    kept, gone = a_run(tmp_path, 1, True), a_run(tmp_path, 2, True)
    assert len(found(tmp_path, Filter()).runs) == 2
    gone.rename(tmp_path / "elsewhere")
    assert rebuild(tmp_path) == 1
    (tmp_path / FILE).write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseFailed, match="splitbrain runs rebuild"):
        found(tmp_path, Filter())
    assert rebuild(tmp_path) == 1
    assert found(tmp_path, Filter()).runs[0].folder == kept.relative_to(tmp_path).as_posix()


def test_removed_runs_are_removed_from_the_database_and_from_its_totals(tmp_path: Path) -> None:
    folders = [a_run(tmp_path, day, None, anomaly="n1 lost r7") for day in (1, 2)]
    assert len(found(tmp_path, Filter()).runs) == 2
    remove_runs(tmp_path, [OldRun(folders[0], 0)])
    page = found(tmp_path, Filter(text="lost"))
    assert [row.seed for row in page.runs] == [2]
    with open_database(tmp_path) as connection:
        (day,) = trends(connection, "day", Filter())
    assert (day.name, day.runs, day.unknown) == ("2026-11-02", 1, 1)


def test_runs_that_end_at_the_same_time_are_all_recorded(tmp_path: Path) -> None:
    folders = [a_run(tmp_path, day, True) for day in range(1, 25)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda folder: record_folder(tmp_path, folder), folders * 2))
    assert found(tmp_path, Filter()).counts["valid"] == len(folders)


FILTERS: tuple[tuple[Filter, Callable[[RunRow], bool]], ...] = (
    (Filter(), lambda _: True),
    (Filter(verdicts=("invalid", "unknown")), lambda row: row.valid is not True),
    (Filter(verdicts=("valid",), workload="kv"),
     lambda row: row.valid is True and row.workload == "kv"),
    (Filter(system="etcd"), lambda row: row.system == "etcd"),
    (Filter(nemesis=("kill", "disk")), lambda row: {"kill", "disk"} <= set(row.nemesis)),
    (Filter(since=LAST - 9_000, until=LAST - 3_000),
     lambda row: LAST - 9_000 <= row.started <= LAST - 3_000),
    (Filter(version="0.3.0", members=3), lambda row: row.version == "0.3.0" and row.members == 3),
    (Filter(commit="00000000000"), lambda row: row.commit.startswith("00000000000")),
    (Filter(checker="watch"), lambda row: row.checker == "watch"),
    (Filter(campaign="nightly-0", system="simulated"),
     lambda row: row.campaign == "nightly-0" and row.system == "simulated"),
    (Filter(seed=17), lambda row: row.seed == 17),
    (Filter(text='r9 "expected'), lambda row: " r9" in row.because),
    (Filter(text="no such word"), lambda _: False),
    (Filter(test="etcd-kv", verdicts=("valid",)),
     lambda row: row.test == "etcd-kv" and row.valid is True),
)


@pytest.mark.parametrize("sorted_max", [0, 100_000], ids=("walked in order", "sorted"))
@pytest.mark.parametrize("sort", ["started", "rate", "p99_ms"])
def test_a_filter_finds_exactly_the_runs_that_match_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: Sort, sorted_max: int
) -> None:
    monkeypatch.setattr(query, "SORTED_MAX", sorted_max)
    with open_database(tmp_path) as connection:
        add_runs(connection, ROWS)
        for wanted, matches in FILTERS:
            expected = sorted(
                filter(matches, ROWS), key=lambda row: getattr(row, sort), reverse=True
            )
            page = find_runs(connection, wanted, sort=sort, limit=40, offset=1)
            assert list(page.runs) == expected[1:41], wanted
            assert sum(page.counts.values()) == len(expected), wanted
            lowest = find_runs(connection, wanted, sort=sort, descending=False, limit=1)
            assert list(lowest.runs) == expected[-1:], wanted


def test_a_trend_counts_every_run_once_and_takes_the_mean_of_its_rates(tmp_path: Path) -> None:
    with open_database(tmp_path) as connection:
        add_runs(connection, ROWS)
        found = list(trends(connection, "version", Filter(workload="kv")))
    rows = [row for row in ROWS if row.workload == "kv"]
    assert [one.name for one in found] == sorted({row.version for row in rows},
                                                 key=lambda name: int(name.split(".")[1]))
    for one in found:
        own = [row for row in rows if row.version == one.name]
        assert (one.runs, one.invalid) == (len(own), sum(row.valid is False for row in own))
        assert one.rate == pytest.approx(
            sum(row.rate or 0 for row in own) / len(own), abs=0.001
        )


def test_the_command_prints_runs_their_reasons_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(tmp_path, 1, True)
    bad = a_run(tmp_path, 2, False, anomaly="n1 lost r7")
    arguments = ["runs", "--store", str(tmp_path), "--invalid", "--since", "2026-11-02"]
    assert run_main(arguments) == 0
    shown = capsys.readouterr().out
    assert "1 run: 1 invalid" in shown
    assert "watch: event lost: n1 lost r7" in shown
    assert str(bad) in shown
    assert run_main([*arguments, "--json"]) == 0
    page = msgspec.json.decode(capsys.readouterr().out)
    assert [run["seed"] for run in page["runs"]] == [2]
    assert run_main(["runs", "trends", "--store", str(tmp_path), "--by", "commit"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["c1", "c2"]
    assert run_main(["runs", "rebuild", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 runs\n"


@pytest.mark.parametrize("arguments", [
    ["runs", "--since", "yesterday"],
    ["runs", "--nemesis", "flood"],
    ["runs", "--invalid", "rebuild"],
    ["runs", "--store", "no-such-folder"],
])
def test_wrong_arguments_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").mkdir()
    assert run_main(arguments) == 254
