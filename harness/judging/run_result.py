"""Defines the result of a judged run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from splitbrain.harness.exit_codes import exit_code_of
from splitbrain.harness.simulation.simulation_result import SimulatedRun
from splitbrain.harness.store.records import Results


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a judged run. `results` are also in `results.json` in the folder of the run."""

    folder: Path
    results: Results
    ended: str
    """How the run ended: "time limit", "interrupted" or "failed"."""
    error: str = ""
    """The reason why the harness or the system under test failed; "" if neither failed."""
    report: Path | None = None
    """The path of the report; None if none was written."""
    simulated: SimulatedRun | None = None
    """Further facts about a simulated run; None for a run of real processes."""

    @property
    def valid(self) -> bool | None:
        return self.results.valid

    @property
    def digest(self) -> str:
        """The digest of a simulated run; "" for other runs.

        The same schedule and sources give the same digest.
        """
        return self.results.digest

    @property
    def exit_code(self) -> int:
        """The exit code, as in Jepsen: 0 valid, 1 invalid, 2 unknown, 255 the harness failed.

        A run with a proven anomaly is invalid, even if it failed later.
        """
        return exit_code_of(self.valid, self.error)
