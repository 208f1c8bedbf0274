"""Failing schedules become smaller, still fail, and can be run from a file and as a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import with_operations
from splitbrain.harness.schedule.text import parse_schedule, read_schedule
from splitbrain.harness.shrinking.reductions import simpler_operations, subsets
from splitbrain.harness.shrinking.search import shrink
from splitbrain.harness.systems.schedule_support import adapted
from splitbrain.histories.kv import Range, Txn
from splitbrain.nemesis.fault import AtStep

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from splitbrain.harness.cli.main import main; main()"


def splitbrain(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *words],
        cwd=cwd, capture_output=True, text=True, timeout=700, check=False,
    )


def test_a_smaller_transaction_reads_at_the_same_revisions() -> None:
    a, b, c = ('{"op":"range","key":"KEY"}'.replace("KEY", key) for key in "abc")
    request = f'{{"op":"txn","success":[{a},{b}],"failure":[{c}]}}'
    schedule = parse_schedule(f"""
        seed 1
        members n1
        option workload "kv"
        5 ms  client 0  txn on n1 ranges back 0:5,2:-2  {request}
        lasts 10 ms
    """)
    found = {
        (one.request, one.revision_back, one.ranges_back)
        for smaller in simpler_operations(schedule)
        for one in smaller.clients[0].operations
    }
    first, second, third = Range("a"), Range("b"), Range("c")
    assert found == {
        (first, 5, ()), (second, None, ()), (third, -2, ()),
        (Txn((), (first, second)), None, ((0, 5),)),
        (Txn((), (first,), (third,)), None, ((0, 5), (1, -2))),
        (Txn((), (second,), (third,)), None, ((1, -2),)),
    }


@pytest.fixture(scope="module")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of a planted bug's shrunk schedule, and what was printed."""
    file = tmp_path_factory.mktemp("shrunk") / "small.schedule"
    done = splitbrain(
        "shrink", "--mutant", "applied_twice_after_restart", "--seed", "1", "--at-steps",
        "--workload", "set", "--nodes", "3", "--nemesis", "kill", "--time-limit", "3",
        "--rate", "20", "--clients", "3", "--budget", "100", "--out", str(file),
    )
    assert done.returncode == 0, done.stderr
    return file, done.stdout


def test_a_planted_bug_shrinks_to_a_few_lines_whose_fault_is_at_a_step(
    shrunk: tuple[Path, str],
) -> None:
    schedule = read_schedule(shrunk[0])
    faults, operations = schedule.size
    assert faults <= 3
    assert operations <= 6
    assert any(isinstance(one.fault, AtStep) for one in schedule.faults)
    real = adapted(schedule, "python_node")
    assert (real.system, real.members) == ("python_node", schedule.members)


@pytest.mark.parametrize("words", [("sim", "--schedule"), ("replay",)], ids=["sim", "replay"])
def test_the_file_of_a_shrunk_schedule_fails_again(
    shrunk: tuple[Path, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    done = splitbrain(*words, str(shrunk[0]), "--store", str(tmp_path), "--quiet")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INVALID" in done.stdout
    assert "digest: " in done.stdout


def test_the_printed_source_is_a_test_that_fails(
    shrunk: tuple[Path, str], tmp_path: Path
) -> None:
    source = shrunk[1][shrunk[1].index("def test_"):]
    source = source[: source.index("schedule: ")]
    (tmp_path / "test_pasted.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pasted.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the run is invalid" in done.stdout
    without = source.replace('        option mutant "applied_twice_after_restart"\n', "")
    (tmp_path / "test_pasted.py").write_text(without)
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pasted.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_search_that_the_budget_ends_says_so_and_prints_no_long_schedule(tmp_path: Path) -> None:
    done = splitbrain(
        "shrink", "--mutant", "create_revision_kept_over_delete", "--seed", "1", "--rate", "25",
        "--workload", "kv", "--time-limit", "30", "--budget", "0.1", "--store", str(tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not minimal: the budget of 0.1 s ended first" in done.stdout
    assert "to continue: splitbrain shrink " in done.stdout
    assert "def test_" not in done.stdout
    assert len(done.stdout.splitlines()) < 10
    (file,) = (tmp_path / "shrunk").iterdir()
    assert str(file) in done.stdout


def test_a_large_schedule_shrinks_by_what_its_anomaly_shows(tmp_path: Path) -> None:
    file = tmp_path / "small.schedule"
    done = splitbrain(
        "shrink", "--mutant", "create_revision_kept_over_delete", "--seed", "1", "--rate", "25",
        "--workload", "kv", "--time-limit", "60", "--fault-pace", "3", "--out", str(file),
        "--budget", "600",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " faults, 1,562 operations, " in done.stdout.splitlines()[0]
    assert "not minimal" not in done.stdout
    assert done.stdout.count("lasts ") == 1  # nothing is printed twice
    faults, operations = read_schedule(file).size
    assert faults <= 6
    assert operations <= 12


def test_a_schedule_that_does_not_fail_is_refused() -> None:
    given = {"system": "simulated", "time_limit_s": 1.0, "nodes": (1,)}
    with pytest.raises(BadArguments, match="not invalid"):
        shrink(draw_swarm_schedule(3, given))


def test_a_fault_that_the_system_does_not_support_is_refused() -> None:
    text = "seed 1\nmembers n1 n2 n3\nlasts 50 ms\n"
    with pytest.raises(BadArguments, match="does not support the fault cpu"):
        adapted(parse_schedule(text + '1 ms  cpu n1 {"percent":10} until 5 ms'), "simulated")
    with pytest.raises(BadArguments, match="buggify"):
        adapted(parse_schedule(text + "buggify"), "python_node")


def test_a_fault_at_a_step_stays_with_its_operation_or_is_removed_with_it() -> None:
    schedule = parse_schedule("""
        seed 1
        members n1 n2 n3
        1 ms  client 0  get on n1  {"op":"range","key":"a"}
        2 ms  client 1  get on n1  {"op":"range","key":"a"}
        op 2  crash n1 before apply_mvcc for 5 ms
        lasts 50 ms
    """)
    first, second = schedule.operations
    (kept,) = with_operations(schedule, {2: second}).faults
    assert isinstance(kept.fault, AtStep)
    assert kept.fault.operation == 1
    assert with_operations(schedule, {1: first}).faults == ()


def test_parts_are_left_out_from_all_items_down_to_single_ones() -> None:
    assert list(subsets([1, 2, 3, 4])) == [
        [], [3, 4], [1, 2], [2, 3, 4], [1, 3, 4], [1, 2, 4], [1, 2, 3],
    ]
