"""The faults of a run are drawn from a seed: their times, kinds and targets."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Partition, ScheduledFault
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.fault_events import name_of
from splitbrain.nemesis.fault_frequency import tempo_for
from splitbrain.nemesis.fault_kinds import KINDS, parse_kinds

THREE = ("n1", "n2", "n3")
ALL = tuple(KINDS)
WITH_A_DECK = tuple(name for name in KINDS if name != "storage")
OF_PROCESSES = tuple(name for name, kind in KINDS.items() if kind.common)

some_kinds = st.lists(st.sampled_from(ALL), unique=True, max_size=4)
seeds = st.integers(0, 2**64)


@given(seeds, some_kinds, st.integers(0, 300_000), st.integers(1, 7))
def test_faults_begin_and_end_within_the_load_and_before_its_tail(
    seed: int, kinds: list[str], duration_ms: int, count: int
) -> None:
    members = tuple(f"n{i}" for i in range(count))
    scheduled = draw_faults(seed, kinds, duration_ms, members)
    tail_begin_ms = duration_ms - tempo_for(duration_ms).tail_ms
    assert all(0 <= one.begin_ms <= one.end_ms <= tail_begin_ms for one in scheduled)
    assert [one.begin_ms for one in scheduled] == sorted(one.begin_ms for one in scheduled)
    of_storage = {"rot", "lost", "disk", "kill", "power"} if "storage" in kinds else set()
    assert {name_of(one.fault) for one in scheduled} <= {*kinds, *of_storage}


@given(seeds, st.integers(1_000, 300_000))
def test_faults_of_one_kind_do_not_overlap(seed: int, duration_ms: int) -> None:
    scheduled = draw_faults(seed, WITH_A_DECK, duration_ms, THREE)
    for kind in WITH_A_DECK:
        line = [one for one in scheduled if name_of(one.fault) == kind]
        assert all(a.end_ms < b.begin_ms for a, b in pairwise(line))


@given(seeds)
def test_adding_a_kind_does_not_change_the_faults_of_the_others(seed: int) -> None:
    alone = draw_faults(seed, ("kill",), 60_000, THREE)
    together = draw_faults(seed, ("latency", "kill", "pause"), 60_000, THREE)
    assert alone == tuple(one for one in together if name_of(one.fault) == "kill")


@given(seeds)
def test_a_run_of_thirty_seconds_has_several_faults_of_each_kind(seed: int) -> None:
    scheduled = draw_faults(seed, WITH_A_DECK, 30_000, THREE)
    counts = Counter(name_of(one.fault) for one in scheduled)
    assert all(counts[kind] >= 3 for kind in WITH_A_DECK)


@given(seeds, st.integers(10_000, 120_000))
def test_the_first_or_the_second_fault_of_each_kind_hits_the_leader(
    seed: int, duration_ms: int
) -> None:
    scheduled = draw_faults(seed, WITH_A_DECK, duration_ms, THREE)
    for kind in WITH_A_DECK:
        if kind in ("transfer", "restore"):
            continue  # a transfer to the leader has no effect, and all members are restored
        first = [one.fault.target for one in scheduled if name_of(one.fault) == kind][:2]
        assert "leader" in first


def test_a_run_of_thirty_seconds_has_no_fault_for_a_third_of_the_time() -> None:
    def faulty_ms(seed: int) -> int:
        scheduled = draw_faults(seed, ("kill", "pause", "partition"), 30_000, THREE)
        return len({ms for one in scheduled for ms in range(one.begin_ms, one.end_ms)})

    assert sum(faulty_ms(seed) for seed in range(50)) / 50 < 20_000


def test_faults_of_different_kinds_overlap_in_most_runs() -> None:
    def overlaps(seed: int) -> bool:
        scheduled = draw_faults(seed, ("kill", "pause", "partition"), 30_000, THREE)
        return any(a.end_ms > b.begin_ms for a, b in pairwise(scheduled))

    assert sum(overlaps(seed) for seed in range(50)) > 45


def test_a_long_run_has_every_shape_of_partition_with_both_ways_of_cutting() -> None:
    scheduled = draw_faults(7, ("partition",), 600_000, THREE)
    drawn = {(f.fault.shape, f.fault.how) for f in scheduled if isinstance(f.fault, Partition)}
    assert len(drawn) == 12


def test_a_schedule_is_equal_after_encoding_and_decoding() -> None:
    scheduled = draw_faults(3, ALL, 30_000, THREE)
    encoded = msgspec.json.encode(scheduled)
    assert msgspec.json.decode(encoded, type=tuple[ScheduledFault, ...]) == scheduled


def test_a_schedule_is_the_same_in_another_interpreter_with_another_hash_seed() -> None:
    code = (
        "import msgspec;from splitbrain.nemesis.fault_drawing import draw_faults;"
        "print(msgspec.json.encode(draw_faults(11,('kill','pause','partition','latency'),"
        "60000,('n1','n2','n3'))).decode())"
    )
    outputs = {
        subprocess.run(
            (sys.executable, "-c", code),
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_single_member_has_no_links_to_cut() -> None:
    scheduled = draw_faults(1, OF_PROCESSES, 30_000, ("n1",))
    assert {name_of(one.fault) for one in scheduled} == {"kill", "pause"}


def test_the_error_for_an_unknown_kind_lists_the_known_kinds() -> None:
    with pytest.raises(FaultError, match="no fault is called 'flood': expected kill, pause"):
        draw_faults(1, ("flood",), 30_000, THREE)


def test_a_kind_that_the_system_does_not_support_is_refused() -> None:
    message = r"does not support the fault 'partition'.*supports kill, pause"
    with pytest.raises(FaultError, match=message):
        draw_faults(1, ("partition",), 30_000, THREE, ("kill", "pause"))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("kill,pause", ("kill", "pause")),
        (" kill , kill", ("kill",)),
        ("none", ()),
        ("", ()),
        ("all", OF_PROCESSES),
    ],
)
def test_kinds_are_parsed_from_the_text_of_an_option(text: str, kinds: tuple[str, ...]) -> None:
    assert parse_kinds(text) == kinds
