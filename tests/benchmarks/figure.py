"""Defines a measured figure, with the figure of a peer and the requirement that it must meet."""

from __future__ import annotations

import os
from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the printed table.

    `value` and `peer` are in `unit`; where there are `samples` and `peer_samples`, they are their
    medians. `peer` is the same measurement of `peer_name`, taken alternately with ours. `of`
    names what `bound` limits: the value, or the ratio of the value to the peer.
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
    """Further measurements by name, such as CPU time per operation, latencies and load average."""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the requirement is met; None if there is no requirement."""
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


def load_average() -> float:
    """The load average of the last minute, which includes the load of the benchmark."""
    return round(os.getloadavg()[0], 2)
