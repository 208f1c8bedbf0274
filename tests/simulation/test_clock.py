"""Each simulated machine has its own clocks, which drift, jump and restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from splitbrain.harness.simulation.clock import MachineClock, SimulatedClock
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import Livelock, VirtualLoop


@pytest.mark.parametrize("ppm", [-300_000, -200, 0, 7, 50_000, 300_000])
def test_a_timer_fires_at_its_time_by_the_machines_own_clock(ppm: int) -> None:
    loop, process = VirtualLoop(), Process("n1", 1)
    machine = MachineClock(loop, drift_ppm=ppm)
    clock = SimulatedClock(loop, machine, process)
    due_ns, rang = 2_000_000_001, []

    def ring() -> None:
        left_ns = due_ns - clock.monotonic_ns()
        if left_ns > 0:
            clock.call_later(left_ns / 1e9, ring)
        else:
            rang.append(loop.time())

    async def main() -> None:
        loop.soon(process, ring)
        await asyncio.sleep(5)

    loop.run_until_complete(main())
    assert rang == [pytest.approx(2.0 / (1 + ppm / 1e6))]


def test_the_wall_clock_jumps_and_the_monotonic_one_does_not() -> None:
    loop = VirtualLoop()
    machine = MachineClock(loop)
    before = machine.monotonic_ns(), machine.wall_ns()
    machine.jump(-5_000_000_000)
    assert machine.monotonic_ns() == before[0]
    assert machine.wall_ns() == before[1] - 5_000_000_000


def test_after_a_power_loss_the_monotonic_clock_restarts_and_the_wall_clock_continues() -> None:
    loop = VirtualLoop()
    machine = MachineClock(loop)
    loop.run_until_complete(asyncio.sleep(3))
    wall_ns = machine.wall_ns()
    machine.reboot()
    assert (machine.monotonic_ns(), machine.wall_ns()) == (0, wall_ns)


def test_endless_timers_at_the_same_time_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbrain.harness.simulation.virtual_loop.EVENTS_AT_ONE_MOMENT_MAX", 1000)
    loop = VirtualLoop()
    again: list[Callable[[], None]] = []

    def ring() -> None:
        loop.call_later(0, again[0])

    again.append(ring)
    loop.call_soon(ring)
    with pytest.raises(Livelock):
        loop.run_forever()
