"""Summarizes a campaign of simulated runs as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from splitbrain.checkers.verdict import merge
from splitbrain.harness.counted import counted
from splitbrain.harness.exit_codes import exit_code_of
from splitbrain.harness.schedule.command_line import sim_line
from splitbrain.harness.seeds.seed_runs import SeedResult
from splitbrain.harness.simulation.coverage import CONDITIONS

SHOWN_MAX = 10


class Summary:
    """The totals of a campaign. `add` adds the result of one run."""

    def __init__(self) -> None:
        self.runs = 0
        self.simulated_s = 0.0
        self.wall_s = 0.0
        self.not_valid: list[SeedResult] = []
        self.conditions: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()

    def add(self, result: SeedResult) -> None:
        """Add the result of one run to the totals."""
        self.runs += 1
        self.simulated_s += result.simulated_s
        self.wall_s += result.wall_s
        self.conditions.update(result.conditions)
        self.operations.update(result.operations)
        if result.valid is not True:
            self.not_valid.append(result)

    @property
    def exit_code(self) -> int:
        valids = [one.valid for one in self.not_valid]
        return exit_code_of(merge(valids or [True if self.runs else None]))

    def lines(self, elapsed_s: float, given: Mapping[str, Any]) -> Iterator[str]:
        done = ", ".join(f"{count:,} {outcome}" for outcome, count in self.operations.items())
        yield f"operations: {done or 'none'}"
        speed = self.simulated_s / max(elapsed_s, 1e-9)
        yield (
            f"{counted(self.runs, 'run')}, {self.simulated_s:,.0f} s simulated in "
            f"{elapsed_s:.1f} s: {speed:.1f} simulated s per wall s"
        )
        yield from self._coverage()
        wrong = sorted(self.not_valid, key=lambda one: (one.valid is None, one.seed))
        for one in wrong[:SHOWN_MAX]:
            yield from result_lines(one, given)
        if len(wrong) > SHOWN_MAX:
            yield f"  … and {len(wrong) - SHOWN_MAX} more"
        yield f"verdict: {('valid', 'invalid', 'unknown')[self.exit_code]}"

    def _coverage(self) -> Iterator[str]:
        never = [name for name in CONDITIONS if not self.conditions[name]]
        yield f"conditions reached: {len(CONDITIONS) - len(never)} of {len(CONDITIONS)}"
        for name in CONDITIONS:
            if self.conditions[name]:
                yield f"  {self.conditions[name]:>9,}  {name}"
        for name in never:
            yield f"  {'never':>9}  {name}"


def result_lines(one: SeedResult, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield two lines about a run that is not valid.

    The first line contains its anomaly, and the second one the command that repeats the run.
    """
    word = "INVALID" if one.valid is False else "unknown"
    yield f"  {word} seed {one.seed} by {', '.join(one.found_by) or '-'}: {one.because}"
    yield f"    {one.reproduce or sim_line(one.seed, given)}"
