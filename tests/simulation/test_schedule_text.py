"""A schedule can be written as text and read again, and wrong text gives a clear error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_for, draw_swarm_schedule
from splitbrain.harness.drawing.swarm_options import DRAWN_OPTIONS
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule, fixed
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.systems.schedule_support import refuse_unsupported
from splitbrain.harness.workloads.catalogue import BUILT_IN, make_workload
from splitbrain.nemesis.fault import AtStep, Kill, Partition

SMALL = """
    seed 7
    members n1 n2 n3, led by n2
    option workload "kv"
    setting snapshot_count 3
    5.25 ms  client 0  put on n1  {"op":"put","key":"k1","value":"0.1"}
    op 1  crash n1 before leader_wal visit 2 for 400 ms
    6 ms  client 1  get on follower 1  {"op":"range","key":"k1"}
    10 ms  kill n1,n2 until 900 ms
    10 ms  partition leader {"how":"black_hole"} until 900 ms seed 5
    lasts 1000 ms
"""


@pytest.mark.parametrize("seed", range(30))
def test_a_drawn_schedule_is_unchanged_by_writing_and_reading(seed: int) -> None:
    drawn = draw_swarm_schedule(seed, {"system": "simulated", "time_limit_s": 3.0})
    schedule = fixed(drawn)
    assert parse_schedule(as_text(schedule)) == schedule


def test_watchers_are_unchanged_by_writing_and_reading() -> None:
    given = {"system": "simulated", "workload": "watch", "time_limit_s": 3.0}
    schedule = fixed(draw_swarm_schedule(4, given))
    assert schedule.watchers
    assert parse_schedule(as_text(schedule)) == schedule


def test_revisions_relative_to_what_a_client_saw_are_read_and_written() -> None:
    lines = """
    6 ms  client 0  compact on n1 back 0  {"op":"compact","revision":0}
    6 ms  client 0  range on n1 back -3  {"op":"range","key":"k1"}
    7 ms  client 0  txn on n1 ranges back 0:5,1:-2  {"op":"txn","compare":[]}
    8 ms  client 0  range on n1  {"op":"range","key":"k1"}
    """
    schedule = parse_schedule(SMALL + lines)
    (own, _) = (one.operations for one in schedule.clients)
    assert [(one.revision_back, one.ranges_back) for one in own[1:]] == [
        (0, ()), (-3, ()), (None, ((0, 5), (1, -2))), (None, ()),
    ]
    assert parse_schedule(as_text(schedule)) == schedule


def test_a_schedule_written_by_hand_is_read() -> None:
    schedule = parse_schedule(SMALL)
    assert [one.fault for one in schedule.faults] == [
        AtStep("before_leader_wal", operation=1, visit=2, on=("n1",)),
        Kill(on=("n1", "n2")),
        Partition(target="leader", how="black_hole"),
    ]
    assert [(one.at_us, one.client, one.operation.to_follower) for one in schedule.operations] == [
        (5250, 0, False), (6000, 1, True),
    ]
    assert schedule.leader == "n2"
    assert schedule.settings["snapshot_count"] == 3
    assert parse_schedule(as_text(schedule)) == schedule


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("5 ms  kill n9 until 6 ms", "names n9; its members are n1, n2, n3"),
        ("5 ms  kill n1 until 4 ms", "ends before it begins"),
        ("5 ms  murder n1 until 6 ms", "there is no fault murder; there are kill, pause"),
        ("op 1  crash n1 before lunch for 5 ms", "no failpoint before_lunch"),
        ("option wrkload 1", "did you mean workload"),
        ('option clients "many"', "an option is wrong"),
        ("hello", "not understood"),
        ('5 ms  client 0  txn on n1 ranges back 5  {"op":"txn"}', "expected pairs"),
        ("5 ms  client 0  put on n1  {}", "line"),
    ],
)
def test_the_error_names_a_line_that_is_not_understood(line: str, message: str) -> None:
    with pytest.raises(BadArguments, match=message):
        parse_schedule(SMALL + line)


def test_the_error_names_missing_lines() -> None:
    with pytest.raises(BadArguments, match="has no line for: seed, members, lasts"):
        parse_schedule("buggify")


def test_operations_are_numbered_in_the_order_in_which_they_begin() -> None:
    schedule: Schedule = parse_schedule(SMALL)
    assert schedule.operation_numbers() == ((1,), (2,))


def examples(path: str) -> list[str]:
    """The schedules on a page of the docs."""
    text = (Path(__file__).resolve().parents[2] / path).read_text()
    pasted = re.findall(r'splitbrain_schedule\(r"""\n(.*?)"""\)', text, re.DOTALL)
    indented = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    whole = [one for one in indented if " members n1" in one and " lasts " in one]
    return pasted + [one for one in whole if "splitbrain_schedule" not in one]


@pytest.mark.parametrize("path", ["docs/howto/simulate.md", "docs/reference/schedules.md"])
def test_the_schedules_of_the_docs_can_be_read(path: str) -> None:
    found = examples(path)
    assert found
    for text in found:
        parse_schedule(text)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("seed 8", "`seed` appears twice"),
        ("lasts 5 ms", "`lasts` appears twice"),
        ("op 99  crash n1 before leader_wal for 5 ms", "a fault at operation 99"),
    ],
)
def test_a_line_that_contradicts_another_one_is_refused(line: str, why: str) -> None:
    with pytest.raises(BadArguments, match=why):
        parse_schedule(f"seed 7\nmembers n1\nlasts 100 ms\n{line}\n")


@pytest.mark.parametrize("system", ["simulated", "python_node", "etcd"])
@pytest.mark.parametrize("workload", sorted(BUILT_IN))
def test_a_schedule_of_any_workload_is_the_same_after_writing_and_reading(
    workload: str, system: str
) -> None:
    options = Options(
        system=system, workload=workload, seed=11, time_limit_s=5.0, nodes=(3,), clients=6
    )
    drawn = draw_for(options, make_workload(workload, {}), ("kill", "pause", "partition"))
    schedule = fixed(drawn)
    assert parse_schedule(as_text(schedule)) == schedule


@pytest.mark.parametrize(("line", "message"), [
    ("setting nonsense 3", "a member has no such setting"),
    ('setting snapshot_count "x"', "expected a whole number"),
    ("setting pre_vote 1", "expected true or false"),
    ("setting snapshot_count 0", "--snapshot-count"),
    ("setting jwt_ttl_ms true", "expected a whole number"),
])
def test_a_wrong_setting_is_refused_before_the_run(line: str, message: str) -> None:
    with pytest.raises(BadArguments, match=message):
        refuse_unsupported(parse_schedule(f"seed 1\nmembers n1\n{line}\nlasts 5 ms"))


@pytest.mark.parametrize(
    ("workload", "option", "value"),
    [
        (workload, option, value)
        for workload, drawn in DRAWN_OPTIONS.items()
        for option, values in drawn.items()
        for value in sorted(set(values))
    ],
)
def test_every_drawn_option_gives_a_schedule_that_simulated_members_accept(
    workload: str, option: str, value: int
) -> None:
    options = Options(
        system="simulated", workload=workload, workload_options={option: value}, seed=11,
        nemesis=(), time_limit_s=1.0, nodes=(3,), clients=3,
    )
    refuse_unsupported(draw_for(options, make_workload(workload, {option: value}), ()))
