"""Faults of a schedule add, remove and promote members, and move the leadership."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.simulation.cluster import peer_url
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import MembershipChange
from splitbrain.node.config import Joined
from splitbrain.node.join_cluster import is_confirmed
from tests.simulation.three_members import ThreeMembers, run_three

EACH_CHANGE = """
seed 7
members n1 n2 n3
option workload "register"
500 ms  members n2 {"do":"replace","contended":true} until 3000 ms
6000 ms  members n3 {"do":"remove","learner":true} until 8000 ms
12000 ms  transfer n3 until 13000 ms
14000 ms  joint n1 {"explicit":true} until 15000 ms
lasts 17000 ms
"""
WITH_AUTHENTICATION = """
seed 3
members n1 n2 n3
option workload "auth"
500 ms  members n2 {"do":"replace","learner":true} until 1500 ms
2000 ms  transfer n3 until 3000 ms
lasts 4000 ms
"""
UNDER_OTHER_FAULTS = """
seed 11
members n1 n2 n3
300 ms  members leader {"do":"replace"} until 900 ms
350 ms  partition leader {"how":"black_hole"} until 2500 ms
400 ms  kill any until 3000 ms
lasts 5000 ms
"""


def run(schedule: Schedule, path: Path) -> RunResult:
    folder = RunFolder(path)
    folder.write_schedule(schedule)
    return execute_simulated(schedule, folder)


def effects(path: Path) -> list[str]:
    """The effect of each fault, in the order of the schedule."""
    lines = RunFolder(path).nemesis.read_bytes().splitlines()
    values = [msgspec.json.decode(line)["value"] for line in lines]
    found = {one["fault"]: one["effect"] for one in values if "effect" in one}
    return [effect for _, effect in sorted(found.items())]


def reached(result: RunResult, condition: str) -> bool:
    assert result.simulated is not None
    return result.simulated.conditions[condition] > 0


def test_each_change_of_the_members_takes_effect_and_is_recorded(tmp_path: Path) -> None:
    result = run(parse_schedule(EACH_CHANGE), tmp_path)
    assert not [one for one in result.results.verdicts if one.valid is False]
    assert effects(tmp_path) == [
        "removed n2", "removed n3", "moved the leadership to n3", "made n1 learners",
    ]
    for condition in (
        "a member was removed", "a voter was added", "a learner was added",
        "a learner was promoted", "a joint configuration was entered",
        "the leadership was transferred",
    ):
        assert reached(result, condition), condition


def test_a_change_that_meets_other_faults_is_completed_after_them(tmp_path: Path) -> None:
    result = run(parse_schedule(UNDER_OTHER_FAULTS), tmp_path)
    assert not [one for one in result.results.verdicts if one.valid is False]
    assert any("removed" in one for one in effects(tmp_path))
    assert reached(result, "a voter was added")


def test_the_members_of_a_store_with_authentication_are_changed_by_an_administrator(
    tmp_path: Path,
) -> None:
    result = run(parse_schedule(WITH_AUTHENTICATION), tmp_path)
    assert not [one for one in result.results.verdicts if one.valid is False]
    assert effects(tmp_path) == ["removed n2", "moved the leadership to n3"]


def test_a_change_of_the_members_survives_the_form_as_text() -> None:
    schedule = parse_schedule(EACH_CHANGE)
    assert schedule.faults[1].fault == MembershipChange("any", "remove", learner=True, on=("n3",))
    assert parse_schedule(as_text(schedule)) == schedule


@pytest.mark.parametrize("seed", [7_001, 7_002, 7_003, 7_004])
def test_drawn_changes_of_the_members_leave_the_store_correct(seed: int, tmp_path: Path) -> None:
    kinds = ("partition", "kill", "members", "transfer", "joint")
    schedule = draw_swarm_schedule(seed, {"nemesis": kinds, "time_limit_s": 5.0, "nodes": (3,)})
    result = run(schedule, tmp_path)
    assert not [one for one in result.results.verdicts if one.valid is False]


@pytest.mark.campaign
def test_many_drawn_changes_of_the_members_leave_the_store_correct(tmp_path: Path) -> None:
    for seed in range(8_000, 8_300):
        schedule = draw_swarm_schedule(seed, {"nemesis": ("partition", "members", "transfer")})
        path = tmp_path / str(seed)
        path.mkdir()
        result = run(schedule, path)
        assert not [one for one in result.results.verdicts if one.valid is False], seed


def test_of_two_additions_of_one_url_only_one_succeeds(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        system = three.system
        listed = await system.list_members("n1")
        await system.remove_member("n1", listed["n3"])
        await three.sleep(3.0)
        three.cluster.kill("n3")
        await system.clear_member("n3")
        answers = await asyncio.gather(
            *(system.add_member(at, "n3", learner=False) for at in ("n1", "n2", "n1")),
            return_exceptions=True,
        )
        assert sum(isinstance(one, FaultError) for one in answers) == 2, answers
        await system.fill_member("n3", start=True)
        await three.sleep(3.0)
        for name in ("n1", "n2", "n3"):
            server = three.cluster.members[name].server
            assert server is not None
            urls = [member.peer_urls for member in server.members()]
            assert sorted(urls) == [(peer_url(one),) for one in ("n1", "n2", "n3")]
            assert len(server.raft.voters) == 3

    run_three(tmp_path, body)


def test_a_new_member_takes_an_id_only_from_half_of_the_other_voters() -> None:
    def answer(member_id: int) -> Joined:
        return Joined(1, member_id, initial=(), contacts=(), voters=(1, 2, 3, 4))

    old, new = answer(5), answer(6)
    assert not is_confirmed(old, {1: old})
    assert not is_confirmed(old, {1: old, 2: new})
    assert is_confirmed(new, {1: old, 2: new, 3: new})
