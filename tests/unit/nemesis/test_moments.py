"""A fault that waits for an event begins when the event has happened, and not before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.schedule.command_line import run_line
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.systems.processes.log_counts import LogCounts
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Kill, Partition, Pause, ScheduledFault
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.moment import Moment, MomentEvent
from splitbrain.nemesis.moment_drawing import aimed, parse_aims
from splitbrain.nemesis.nemesis import Nemesis
from tests.unit.nemesis.test_nemesis import Cluster, run


class Shown(Cluster):
    """A cluster that counts events which the test makes happen."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[MomentEvent, int] = {"snapshot": 5}

    def occurrences(self, event: MomentEvent) -> int | None:
        return self.counts.get(event)


def began(
    schedule: list[ScheduledFault], cluster: Cluster, events: dict[int, str]
) -> list[tuple[int, str, str]]:
    """Run the schedule for 10 s. `events` maps a time in ms to an event that then happens.

    Returns the time in ms, the fault and the phase of each record but the last ones of `heal_all`.
    """
    records: list[tuple[int, str, str]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()

        def now_ms() -> float:
            return (loop.time() - start) * 1000

        nemesis = Nemesis(
            schedule, cluster,
            lambda f, value: records.append((round(now_ms() / 50) * 50, f, value.phase)), now_ms,
        )
        running = asyncio.create_task(nemesis.run())
        for at_ms, event in sorted(events.items()):
            await asyncio.sleep(at_ms / 1000 - (loop.time() - start))
            if event == "operation":
                await nemesis.triggers.announce(at_ms)
            elif event.startswith("n"):
                cluster.current_leader = event
            else:
                assert isinstance(cluster, Shown)
                cluster.counts[event] += 1  # type: ignore[index]
        await asyncio.sleep(10 - (loop.time() - start))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await nemesis.heal_all()

    run(main())
    return records


def fault(when: Moment | None, begin_ms: int = 1_000, hold_ms: int = 500) -> ScheduledFault:
    return ScheduledFault(begin_ms, begin_ms + hold_ms, Kill("leader"), 0, when=when)


def test_a_fault_begins_at_the_nth_event_after_its_time_and_lasts_as_scheduled() -> None:
    events = {500: "snapshot", 2_000: "snapshot", 3_000: "snapshot"}
    records = began([fault(Moment("snapshot", 2))], Shown(), events)
    assert records == [
        (3_000, "kill", "begin"), (3_000, "kill", "began"),
        (3_500, "kill", "end"), (3_500, "kill", "ended"),
    ]


def test_an_operation_is_a_moment() -> None:
    events = {500: "operation", 1_500: "operation", 2_500: "operation"}
    assert began([fault(Moment("operation", 2))], Cluster(), events)[0] == (2_500, "kill", "begin")


def test_a_change_of_the_leader_is_an_election_if_the_system_counts_none() -> None:
    records = began([fault(Moment("election"))], Cluster(), {500: "n2", 4_000: "n3"})
    assert records[0] == (4_050, "kill", "begin") or records[0] == (4_000, "kill", "begin")


def test_faults_nest_at_the_moment_of_another_kind_of_fault() -> None:
    inner = fault(Moment("fault", 2, "partition"), begin_ms=0)
    links = [ScheduledFault(at, at + 3_000, Partition(), 0) for at in (1_000, 2_000)]
    pause = ScheduledFault(1_500, 1_600, Pause(), 0)
    records = began([inner, *links, pause], Cluster(), {})
    assert (2_000, "kill", "began") in records
    assert (2_500, "kill", "ended") in records


def test_a_fault_whose_moment_never_comes_leaves_no_trace() -> None:
    assert began([fault(Moment("snapshot"))], Shown(), {}) == []


def test_a_moment_that_the_system_does_not_show_fails_the_fault() -> None:
    records = began([fault(Moment("compaction"))], Cluster(), {})
    assert [phase for _, _, phase in records] == ["failed"]


def test_aimed_faults_are_drawn_with_a_moment_of_each_event() -> None:
    faults = draw_faults(1, ("kill", "partition", "pause"), 600_000, ("n1", "n2", "n3"))
    drawn = list(aimed(faults, parse_aims("election,fault,operation"), Random(1)))
    events = {one.when.event if one.when else None for one in drawn}
    assert events == {None, "election", "fault", "operation"}
    assert all(
        one.when.of not in ("", one.fault.__struct_config__.tag)
        for one in drawn if one.when and one.when.event == "fault"
    )


def test_the_command_line_contains_the_events_as_the_user_gave_them() -> None:
    given = {"aim": ["election", "fault"], "nemesis": ["kill"], "nodes": [3], "seed": 7}
    options = read_options(given)
    assert options.aim == ("election", "fault")
    assert "--aim election,fault" in run_line(options, 7)
    drawn = draw_schedule(options)
    assert any(one.when for one in drawn.faults)
    assert parse_schedule(as_text(drawn)).faults == drawn.faults


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(FaultError, match="no fault can wait for 'moonrise'"):
        parse_aims("election,moonrise")
    with pytest.raises(ValueError, match="nth=0"):
        Moment("election", 0)


def test_lines_of_a_growing_log_are_counted_once_and_only_when_complete(tmp_path: Path) -> None:
    log = tmp_path / "log"
    counts = LogCounts(log, {"election": "became leader", "snapshot": "saved"})
    assert counts.count("election") == 0
    log.write_bytes(b"n1 became leader at term 2\nsaved snapshot\nn1 became lea")
    assert (counts.count("election"), counts.count("snapshot")) == (1, 1)
    with log.open("ab") as file:
        file.write(b"der at term 3\n")
    assert (counts.count("election"), counts.count("election")) == (2, 2)
