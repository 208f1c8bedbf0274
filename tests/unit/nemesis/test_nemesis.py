"""The nemesis injects and heals the faults of a schedule, on a cluster that records the actions.

The tests run in virtual time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.histories.event import FaultEvent
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Fault, Kill, Latency, Partition, Pause, ScheduledFault
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.fault_kinds import supported_kinds
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import inject
from splitbrain.nemesis.nemesis import Nemesis


class VirtualTime(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer when no other callback is ready."""

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._now = 0.0
        select = selector.select

        def jump(timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout:
                self._now += timeout
            return select(0)

        selector.select = jump  # type: ignore[assignment, method-assign]

    def time(self) -> float:
        return self._now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(main)


class Cluster:
    """A cluster that records the actions on it, and raises for those in `broken`."""

    def __init__(
        self, members: tuple[str, ...] = ("n1", "n2", "n3"), leader: str = "n1", slow_s: float = 0.0
    ) -> None:
        self.members = members
        self.current_leader = leader
        self.slow_s = slow_s
        self.running = dict.fromkeys(members, True)
        self.paused = dict.fromkeys(members, False)
        self.links: dict[tuple[str, str], LinkState] = {}
        self.log: list[tuple[str, ...]] = []
        self.broken: set[str] = set()

    async def _act(self, action: str, *members: str) -> None:
        if action in self.broken:
            raise RuntimeError(f"{action} is broken")
        await asyncio.sleep(self.slow_s)
        self.log.append((action, *members))

    async def leader(self) -> str:
        return self.current_leader

    async def kill(self, member: str) -> None:
        await self._act("kill", member)
        self.running[member] = self.paused[member] = False

    async def restart(self, member: str) -> None:
        await self._act("restart", member)
        self.running[member] = True

    async def pause(self, member: str) -> None:
        await self._act("pause", member)
        self.paused[member] = self.running[member]

    async def resume(self, member: str) -> None:
        await self._act("resume", member)
        self.paused[member] = False

    async def set_link(self, source: str, target: str, state: LinkState) -> None:
        await self._act("set_link", source, target)
        self.links[source, target] = state

    def healthy(self) -> bool:
        return (
            all(self.running.values())
            and not any(self.paused.values())
            and all(state == NORMAL for state in self.links.values())
        )


class Unsupported:
    """A cluster that supports no faults."""

    members = ("n1",)

    async def leader(self) -> None:
        return None


def run_schedule(
    schedule: Sequence[ScheduledFault], cluster: Cluster, until_ms: int | None = None
) -> list[tuple[float, str, FaultEvent]]:
    """Run a schedule and heal everything; returns each recorded event with its time and name."""
    recorded: list[tuple[float, str, FaultEvent]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()

        def now_ms() -> float:
            return (loop.time() - start) * 1000

        nemesis = Nemesis(
            schedule, cluster, lambda f, value: recorded.append((now_ms(), f, value)), now_ms
        )
        running = asyncio.create_task(nemesis.run())
        if until_ms is None:
            await running
        else:
            await asyncio.sleep(until_ms / 1000)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await nemesis.heal_all()
        assert nemesis.current() == ()
        await nemesis.heal_all()

    run(main())
    return recorded


def at(begin_ms: int, end_ms: int, fault: Fault) -> ScheduledFault:
    return ScheduledFault(begin_ms, end_ms, fault, seed=begin_ms)


def test_a_fault_begins_and_ends_at_its_times_and_its_events_name_its_members() -> None:
    cluster = Cluster()
    recorded = run_schedule([at(1000, 3000, Kill("leader"))], cluster)
    assert [(round(ms), f, v.phase, v.members) for ms, f, v in recorded] == [
        (1000, "kill", "begin", ()),
        (1000, "kill", "began", ("n1",)),
        (3000, "kill", "end", ("n1",)),
        (3000, "kill", "ended", ("n1",)),
    ]
    assert bytes(recorded[0][2].detail) == b'{"fault":"kill","target":"leader","on":[]}'
    assert cluster.log == [("kill", "n1"), ("restart", "n1")]


def test_a_member_killed_twice_restarts_when_the_last_kill_ends() -> None:
    cluster = Cluster()
    run_schedule([at(0, 2000, Kill("all")), at(1000, 3000, Kill("leader"))], cluster)
    assert cluster.log[-3:] == [("restart", "n2"), ("restart", "n3"), ("restart", "n1")]


def test_a_member_that_restarts_while_a_pause_is_in_force_is_paused_again() -> None:
    cluster = Cluster()
    run_schedule([at(0, 2000, Kill("leader")), at(1000, 3000, Pause("leader"))], cluster)
    assert cluster.log == [
        ("kill", "n1"), ("restart", "n1"), ("pause", "n1"), ("resume", "n1"),
    ]


def test_a_paused_member_that_is_killed_is_not_resumed_but_restarted() -> None:
    cluster = Cluster()
    run_schedule([at(0, 2000, Pause("leader")), at(1000, 3000, Kill("leader"))], cluster)
    assert cluster.log == [("pause", "n1"), ("kill", "n1"), ("restart", "n1")]


def test_overlapping_conditions_of_a_link_add_up_and_are_removed_one_by_one() -> None:
    cluster = Cluster()
    in_force = FaultsInForce(cluster)

    async def main() -> None:
        slow = await inject(Latency("leader", 50, 10, 4096), in_force, Random(1))
        slower = await inject(Latency("leader", 100, 0, 1024), in_force, Random(1))
        cut = await inject(Partition("isolate_leader"), in_force, Random(1))
        assert cluster.links["n1", "n2"] == LinkState(False, False, 150, 10, 1024)
        await slow.undo()
        await slow.undo()
        assert cluster.links["n1", "n2"] == LinkState(False, False, 100, 0, 1024)
        await cut.undo()
        assert cluster.links["n2", "n1"] == LinkState(True, False, 100, 0, 1024)
        await slower.undo()

    run(main())
    assert cluster.healthy()
    assert ("n2", "n3") not in cluster.links


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 30_000), st.sampled_from((0.0, 0.3, 2.0)))
def test_heal_all_heals_a_run_that_was_cancelled_at_any_time(
    seed: int, until_ms: int, slow_s: float
) -> None:
    kinds = ("kill", "pause", "partition", "latency")
    cluster = Cluster(slow_s=slow_s)
    schedule = draw_faults(seed, kinds, 20_000, cluster.members)
    recorded = run_schedule(schedule, cluster, until_ms)
    assert cluster.healthy()
    phases: dict[int, list[str]] = {}
    for _, _, value in recorded:
        phases.setdefault(value.fault, []).append(value.phase)
    assert all(
        one in (["begin", "began", "end", "ended"], ["begin", "end", "ended"])
        for one in phases.values()
    )


def test_the_same_schedule_gives_the_same_events_and_actions() -> None:
    schedule = draw_faults(5, ("kill", "pause", "partition"), 60_000, ("n1", "n2", "n3"))
    first, second = Cluster(slow_s=0.1), Cluster(slow_s=0.1)
    assert run_schedule(schedule, first) == run_schedule(schedule, second)
    assert first.log == second.log


def test_a_fault_that_fails_is_recorded_and_healed_and_the_others_continue() -> None:
    cluster = Cluster()
    cluster.broken.add("pause")
    recorded = run_schedule([at(0, 100, Pause("leader")), at(50, 200, Kill("leader"))], cluster)
    assert [(f, v.phase, v.error) for _, f, v in recorded][:2] == [
        ("pause", "begin", ""), ("pause", "failed", "RuntimeError: pause is broken"),
    ]
    assert cluster.log[-2:] == [("kill", "n1"), ("restart", "n1")]
    assert recorded[-1][2].phase == "ended"
    assert cluster.healthy()


def test_heal_all_heals_a_fault_that_failed_to_heal() -> None:
    cluster = Cluster()
    recorded = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        nemesis = Nemesis(
            [at(0, 100, Kill("leader"))], cluster,
            lambda f, value: recorded.append(value.phase), lambda: loop.time() * 1000,
        )
        cluster.broken.add("restart")
        await nemesis.run()
        assert recorded == ["begin", "began", "end", "failed"]
        with pytest.raises(RuntimeError):
            await nemesis.heal_all()
        cluster.broken.clear()
        await nemesis.heal_all()
        assert recorded[-1] == "ended"

    run(main())
    assert cluster.healthy()


def test_current_returns_the_faults_in_force() -> None:
    cluster = Cluster()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        schedule = [at(0, 2000, Kill("leader")), at(1000, 3000, Partition("isolate", "all"))]
        nemesis = Nemesis(schedule, cluster, lambda f, value: None, lambda: loop.time() * 1000)
        running = asyncio.create_task(nemesis.run())
        await asyncio.sleep(1.5)
        assert [(one.name, one.members) for one in nemesis.current()] == [
            ("kill", ("n1",)), ("partition", ("n1", "n2", "n3")),
        ]
        await asyncio.sleep(1)
        assert [one.name for one in nemesis.current()] == ["partition"]
        await running

    run(main())


def test_the_methods_of_a_system_decide_which_faults_it_supports() -> None:
    assert supported_kinds(Cluster()) == {"kill", "pause", "partition", "latency"}
    assert supported_kinds(Unsupported()) == frozenset()


def test_a_fault_that_the_system_does_not_support_is_refused() -> None:
    with pytest.raises(FaultError, match="Unsupported cannot be killed"):
        run(inject(Kill(), FaultsInForce(Unsupported()), Random(1)))


def test_a_value_that_is_not_a_fault_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a fault that the nemesis can inject"):
        run(inject("rain", FaultsInForce(Cluster()), Random(1)))
