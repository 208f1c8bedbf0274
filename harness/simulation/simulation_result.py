"""The results of a simulated run besides its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """What is known after one simulated run: its digest, its duration, and what it reached."""

    digest: str
    """SHA-256 over the run's history, and the states and traces of its members (`digest.py`)."""
    simulated_s: float
    """The duration of the run in virtual time."""
    wall_s: float
    events: int
    """The number of callbacks that the loop ran."""
    violations: tuple[str, ...]
    """The texts of violated invariants, and of exceptions that no task handled."""
    conditions: Mapping[str, int]
    """How often each condition of `harness/simulation/coverage.py` was reached."""
    first_reached_s: Mapping[str, float]
    """Maps each condition that was reached to the virtual time at which it was first reached. The
    conditions are in the order of these times."""
