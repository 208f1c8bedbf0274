"""Chooses each run of an adaptive campaign by the situations that earlier runs reached.

A run is either drawn from a seed that was not used before, or it is a changed copy of a schedule of
the corpus. The corpus contains the schedules that reached more new situations than others. Thompson
sampling (`splitbrain.harness.adaptive.thompson_sampling`) chooses between these two kinds of runs.
For a drawn run it also chooses the configuration. For a changed run it also chooses the schedule to
copy, and the kind of change.

The scheduler learns from each run whether it was a success. The rating of a run is its novelty
(`splitbrain.harness.adaptive.novelty`) divided by its cost. A run is a success if its rating is at
least the median rating of the last runs.

The scheduler is pure. The seed and the results determine all choices, so that a campaign with one
worker is repeatable. Sources: Meng et al., "Greybox Fuzzing of Distributed Systems" (Mallory), CCS
2023; Böhme et al., "Coverage-based Greybox Fuzzing as Markov Chain", CCS 2016.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Any

from splitbrain.harness.adaptive.novelty import Novelty, Reached
from splitbrain.harness.adaptive.thompson_sampling import Preferences
from splitbrain.harness.drawing.mutation import MUTATIONS, Source
from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.drawing.swarm_options import (
    KIND_WEIGHTS,
    OF_PROCESSES,
    draw_environment,
    draw_options,
)
from splitbrain.harness.schedule.schedule import Schedule, fixed
from splitbrain.harness.schedule.survivable_storage_faults import is_survivable
from splitbrain.harness.seeds.seed_runs import SeedResult
from splitbrain.harness.simulation.coverage import CONDITIONS
from splitbrain.histories.random_stream import stream

DRAWN = "a schedule drawn from a seed"
CHANGED = "a changed schedule of the corpus"
CANDIDATES = 24
"""To draw a run, this many seeds are drawn, and the one with the most promising configuration is
run. The seeds are drawn as in other campaigns, so the runs are as varied as in those campaigns."""
CORPUS_MAX = 64
MEDIAN_RUNS = 31
EVENTS_MIN = 5_000
"""The cost of a run is the number of its event-loop callbacks, plus this number for its start and
its judging."""
RATE_MIN = 0.001
PREFERRED_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A run that the scheduler has chosen."""

    number: int
    """The number of the run, from 1."""
    schedule: Schedule
    choices: tuple[str, ...]
    """The choices that led to this run, as texts. The result of the run counts for each of them."""
    parent: int = 0
    """The number of the run whose schedule was changed; 0 if the schedule was drawn from a seed."""


class AdaptiveScheduler:
    """Chooses the runs of a campaign. `add` must be called with the result of each run.

    All runs have the options in `given`. The other options are drawn.
    """

    def __init__(self, seed: int, given: Mapping[str, Any]) -> None:
        self._random = stream(seed, "adaptive")
        self._given = dict(given)
        self._next_seed = seed
        self._number = 0
        self._ended = 0
        self._corpus: dict[int, Schedule] = {}
        self._reached = Reached()
        self._gains: deque[float] = deque(maxlen=MEDIAN_RUNS)
        self.preferences = Preferences()

    def attempt(self) -> Attempt:
        """Choose the next run: a new seed, or a changed schedule of the corpus."""
        self._number += 1
        origin = self.preferences.best((DRAWN, CHANGED), self._random)
        if self._corpus and origin == CHANGED:
            changed = self._changed()
            if changed is not None:
                return changed
        return self._drawn()

    def add(self, attempt: Attempt, result: SeedResult) -> Novelty:
        """Learn from the result of `attempt`. Return the things that this run was the first to
        reach.

        The schedule is added to the corpus if the run was a success and valid.
        """
        self._ended += 1
        novelty = self._reached.add(result.first_reached_s)
        gain = novelty.score / (EVENTS_MIN + result.events)
        # A run with an unknown verdict is no success, whatever it reached.
        self._gains.append(gain)
        success = result.valid is not None and gain > 0 and gain >= median(self._gains)
        self.preferences.add(attempt.choices, success=success)
        # Changed copies of an invalid schedule would find the same bug again.
        if success and result.valid:
            self._corpus[attempt.number] = attempt.schedule
            self._limit_corpus()
        return novelty

    def _drawn(self) -> Attempt:
        """Draw several seeds, and return the run with the most promising configuration."""
        seeds = range(self._next_seed, self._next_seed + CANDIDATES)
        self._next_seed += CANDIDATES
        choices = {seed: configuration(seed, self._given) for seed in seeds}
        texts = sorted({one for own in choices.values() for group in own for one in group})
        odds = {text: _log_odds(self.preferences.draw(text, self._random)) for text in texts}

        def promise(seed: int) -> float:
            return sum(sum(odds[one] for one in own) / len(own) for own in choices[seed])

        seed = max(seeds, key=promise)
        return Attempt(
            number=self._number,
            schedule=fixed(draw_swarm_schedule(seed, self._given)),
            choices=(DRAWN, *(one for own in choices[seed] for one in own)),
        )

    def _changed(self) -> Attempt | None:
        """Return a run with a changed schedule of the corpus.

        Returns None if the chosen change is impossible, or if correct members could fail under the
        changed schedule.
        """
        random = self._random
        parent = self._chosen_parent()
        schedule = self._corpus[parent]
        swarm = self._given.get("swarm") is not False
        kinds = self._given.get("nemesis", tuple(KIND_WEIGHTS) if swarm else OF_PROCESSES)
        other = self._corpus[random.choice(list(self._corpus))]
        source = Source(random=random, kinds=tuple(kinds), swarm=swarm, other=other)
        name = self.preferences.best((f"change: {one}" for one in MUTATIONS), random)
        changed = MUTATIONS[name.removeprefix("change: ")](schedule, source)
        if changed is None or changed == schedule or not is_survivable(changed):
            return None
        return Attempt(
            number=self._number, schedule=changed, parent=parent,
            choices=(CHANGED, name, _parent_choice(parent)),
        )

    def _chosen_parent(self) -> int:
        names = {_parent_choice(number): number for number in self._corpus}
        return names[self.preferences.best(names, self._random)]

    def _limit_corpus(self) -> None:
        """Remove one schedule if the corpus is too large.

        The schedule with the lowest expected rate of success is removed.
        """
        if len(self._corpus) <= CORPUS_MAX:
            return
        rates = {choice: rate for rate, _, choice in self.preferences.rates()}
        worst = min(self._corpus, key=lambda one: (rates.get(_parent_choice(one), 0.5), one))
        del self._corpus[worst]

    def lines(self) -> Iterator[str]:
        """Yield lines of text: what the campaign has reached, and which choices it prefers."""
        total = self._reached.total
        yield (
            f"{self._ended:,} runs reached {total.conditions} of {len(CONDITIONS)} conditions, "
            f"{total.pairs:,} pairs and {total.orders:,} orders of conditions"
        )
        yield f"the corpus contains {len(self._corpus)} schedules"
        yield "preferred (the expected share of runs that reach something new, for their cost):"
        rates = sorted(
            (one for one in self.preferences.rates() if not one[2].startswith("parent: ")),
            key=lambda one: (-one[0], one[2]),
        )
        for rate, _, choice in rates[:PREFERRED_SHOWN]:
            yield f"  {rate:4.0%}  {choice}"


def _log_odds(rate: float) -> float:
    """Return the logarithm of the odds of `rate`.

    The odds of independent choices multiply, so their logarithms can be added.
    """
    return log((rate + RATE_MIN) / (1 - rate + RATE_MIN))


def _parent_choice(number: int) -> str:
    return f"parent: {number}"


def configuration(seed: int, given: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return the choices that describe the schedule that `seed` draws, in groups.

    Each choice is a text. The groups are: the kinds of faults, the number of these kinds, the
    workload, the number of members, and whether rare conditions are forced inside the members.
    """
    options = draw_options(seed, given)
    kinds: Collection[str] = options["nemesis"]
    together = f"faults: {next(iter(kinds))} alone" if len(kinds) == 1 else (
        f"faults: {len(kinds)} kinds together"
    )
    buggify = options.get("swarm") is not False and draw_environment(seed).buggify
    return (
        tuple(f"faults: {kind}" for kind in kinds) or ("faults: none",),
        (together,),
        (f"workload: {options['workload']}",),
        (f"members: {', '.join(map(str, options['nodes'])) or 'drawn'}",),
        (f"rare conditions: {'frequent' if buggify else 'as they come'}",),
    )
