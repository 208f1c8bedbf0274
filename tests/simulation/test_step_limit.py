"""A simulated member that never comes to rest is reported and paused, and the run goes on."""

from __future__ import annotations

import asyncio

from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.step_limit import StepLimit
from splitbrain.harness.simulation.virtual_loop import VirtualLoop


def run_for_3_s(pause_s: float) -> tuple[list[str], int]:
    """Run a member that takes a step every `pause_s` s, of which 1,000 in 1 s are allowed.

    Returns the violations, and the number of steps.
    """
    loop, process, found = VirtualLoop(), Process("n1", 1), list[str]()
    limit = StepLimit(
        loop=loop, violated=found.append, pause=lambda _: process.pause(), steps_per_s_max=1000
    )
    loop.judge_steps, limit.when_exceeded = limit, lambda: found.append("interrupted")

    async def work() -> None:
        while True:
            process.frames += 1
            await asyncio.sleep(pause_s)

    loop.soon(process, lambda: loop.create_task(work()))
    loop.run_until_complete(asyncio.sleep(3))
    loop.close()
    return found, process.steps


def test_a_member_that_rests_takes_as_many_steps_as_it_needs() -> None:
    found, steps = run_for_3_s(0.0025)
    assert not found
    assert steps > 2000


def test_a_member_that_does_not_rest_is_paused_and_reported_once() -> None:
    found, steps = run_for_3_s(0.0001)
    assert found[1:] == ["interrupted"]
    assert "n1 took 1,000 steps and sent" in found[0]
    assert steps < 1100


def test_a_member_that_spins_at_one_moment_is_paused_and_the_run_ends() -> None:
    found, _ = run_for_3_s(0)
    assert len(found) == 2
    assert "in 0.000 s of virtual time" in found[0]
