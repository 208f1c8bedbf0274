"""The results of a simulated run besides its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """The facts of one simulated run that is over."""

    digest: str
    """SHA-256 over the run's history, and the states and traces of its members (`digest.py`)."""
    simulated_s: float
    """Virtual time."""
    wall_s: float
    events: int
    """The number of callbacks that the loop ran."""
    violations: tuple[str, ...]
    """Invariants that were violated, and exceptions that no task handled."""
    conditions: Mapping[str, int]
    """How often each condition of `harness/simulation/conditions.py` was reached."""
    first_reached_s: Mapping[str, float]
    """The virtual time at which each reached condition was first reached, in this order."""
