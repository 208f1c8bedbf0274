"""A measured figure, what it is compared with, and what it must reach."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`value` and `peer` are medians of `samples` and `peer_samples`, in `unit`.

    `peer` is what the same measurement gave for `peer_name`, in turn with ours.
    `of` says what `bound` limits: the value, or its ratio to the peer's.
    """

    name: str
    unit: str
    value: float
    samples: tuple[float, ...] = ()
    peer_name: str = ""
    peer: float | None = None
    peer_samples: tuple[float, ...] = ()
    bound: float | None = None
    bound_kind: Literal["at least", "at most"] = "at least"
    of: Literal["value", "ratio"] = "value"
    notes: dict[str, float | str] = {}
    """What else was seen: CPU time an operation, latencies, load averages."""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """None where nothing is required."""
        bounded = self.value if self.of == "value" else self.ratio
        if self.bound is None or bounded is None:
            return None
        return bounded >= self.bound if self.bound_kind == "at least" else bounded <= self.bound

    @property
    def required(self) -> str:
        if self.bound is None:
            return ""
        sign = "≥" if self.bound_kind == "at least" else "≤"
        return f"{sign} {self.bound:g}" + (" of peer" if self.of == "ratio" else "")


def middle(samples: Sequence[float]) -> float:
    return median(samples)


def load_average() -> float:
    """Of the last minute, the benchmark's own included."""
    return round(os.getloadavg()[0], 2)
