"""The scheduler of an adaptive campaign chooses runs, here by invented results of earlier runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from splitbrain.harness.adaptive.scheduler import (
    CANDIDATES,
    CORPUS_MAX,
    AdaptiveScheduler,
    Attempt,
    configuration,
)
from splitbrain.harness.adaptive.thompson_sampling import Preferences
from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.seeds.seed_runs import SeedResult

SHORT = {"system": "simulated", "time_limit_s": 1.0, "rate": 20.0, "clients": 3}
Reaches = Callable[[Attempt], dict[str, float]]


def nothing(_: Attempt) -> dict[str, float]:
    return {}


def something_new(attempt: Attempt) -> dict[str, float]:
    return {f"condition {attempt.number}": 0.1}


def campaign_of(
    runs: int, reaches: Reaches, *, seed: int = 2, valid: bool | None = True, **given: object
) -> tuple[AdaptiveScheduler, list[Attempt]]:
    """An adaptive campaign whose runs reach what `reaches` returns."""
    scheduler = AdaptiveScheduler(seed, {**SHORT, **given})
    attempts = []
    for _ in range(runs):
        attempt = scheduler.attempt()
        attempts.append(attempt)
        scheduler.add(attempt, SeedResult(
            seed=attempt.schedule.seed, valid=valid, digest="", simulated_s=1.0, wall_s=1.0,
            first_reached_s=reaches(attempt), events=1_000,
        ))
    return scheduler, attempts


def test_the_same_seed_and_results_give_the_same_campaign() -> None:
    _, once = campaign_of(40, something_new)
    _, again = campaign_of(40, something_new)
    assert once == again
    assert any(one.parent for one in once)
    assert campaign_of(40, something_new, seed=3)[1] != once


def test_without_a_success_every_schedule_is_drawn_from_a_new_seed() -> None:
    _, attempts = campaign_of(20, nothing)
    assert all(one.parent == 0 for one in attempts)
    seeds = [one.schedule.seed for one in attempts]
    assert len(set(seeds)) == 20
    assert all(2 + CANDIDATES * k <= seed < 2 + CANDIDATES * (k + 1)
               for k, seed in enumerate(seeds))


@pytest.mark.parametrize("kind", ["partition", "clock"])
def test_a_configuration_whose_runs_reach_new_conditions_is_preferred(kind: str) -> None:
    wanted = f"faults: {kind}"

    def reaches(attempt: Attempt) -> dict[str, float]:
        return something_new(attempt) if wanted in attempt.choices else {}

    scheduler, attempts = campaign_of(80, reaches)
    drawn = [one for one in attempts[20:] if not one.parent]
    share = sum(1 for one in drawn if wanted in one.choices) / len(drawn)
    static = [configuration(seed, SHORT) for seed in range(400)]
    static_share = sum(1 for groups in static if wanted in groups[0]) / len(static)
    assert share > 1.4 * static_share
    assert any(wanted in line for line in scheduler.lines())


def test_a_change_that_reaches_new_conditions_is_preferred() -> None:
    def reaches(attempt: Attempt) -> dict[str, float]:
        changed = "change: faults moved" in attempt.choices
        wanted = changed if attempt.parent else attempt.number <= 3
        return something_new(attempt) if wanted else {}

    _, attempts = campaign_of(
        80, reaches, nemesis=["kill", "partition"], fault_pace=8.0, time_limit_s=6.0, rate=5.0
    )
    changes = Counter(one.choices[1] for one in attempts if one.parent)
    assert changes.most_common(1)[0][0] == "change: faults moved"


def test_schedules_that_reached_new_conditions_are_changed() -> None:
    def reaches(attempt: Attempt) -> dict[str, float]:
        return something_new(attempt) if attempt.number % 3 == 0 else {}

    _, attempts = campaign_of(60, reaches)
    parents = [one.parent for one in attempts if one.parent]
    assert parents
    assert all(parent % 3 == 0 for parent in parents)


@pytest.mark.parametrize("valid", [False, None])
def test_a_run_that_is_not_valid_is_never_changed(valid: bool | None) -> None:
    _, attempts = campaign_of(30, something_new, valid=valid)
    assert all(one.parent == 0 for one in attempts)


def test_options_that_are_given_are_the_same_in_every_run() -> None:
    _, attempts = campaign_of(
        60, something_new, workload="set", nodes=(5,), nemesis=["power"], swarm=False
    )
    assert any(one.parent for one in attempts)
    for one in attempts:
        assert len(one.schedule.members) == 5
        assert one.schedule.options.workload == "set"
        assert not one.schedule.buggify
        assert {type(fault.fault).__name__ for fault in one.schedule.faults} <= {"PowerLoss"}


def test_the_corpus_is_bounded() -> None:
    scheduler, _ = campaign_of(CORPUS_MAX + 20, something_new)
    assert f"the corpus contains {CORPUS_MAX} schedules" in list(scheduler.lines())


def test_a_run_without_a_result_is_not_counted() -> None:
    scheduler, _ = campaign_of(3, something_new)
    scheduler.attempt()
    first, *_ = scheduler.lines()
    assert first.startswith("3 runs reached 3 of ")


def test_the_configuration_of_a_seed_is_that_of_its_schedule() -> None:
    for seed in range(20):
        kinds, _, (workload,), (members,), (rare,) = configuration(seed, SHORT)
        schedule = draw_swarm_schedule(seed, SHORT)
        assert kinds == tuple(f"faults: {kind}" for kind in schedule.options.nemesis)
        assert workload == f"workload: {schedule.options.workload}"
        assert members == f"members: {len(schedule.members)}"
        assert ("frequent" in rare) == schedule.buggify


def test_the_choice_that_succeeds_more_often_wins_most_draws() -> None:
    preferences, random = Preferences(), Random(1)
    for _ in range(20):
        preferences.add(("good",), success=True)
        preferences.add(("bad",), success=False)
    wins = Counter(preferences.best(("bad", "good"), random) for _ in range(100))
    assert wins["good"] > 95
    # A choice that was never made is tried, too.
    assert Counter(preferences.best(("bad", "new"), random) for _ in range(100))["new"] > 80
