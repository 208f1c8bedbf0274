"""Reads the limits of a budget from text: `p99=200ms,availability=99%,recovery=5s`."""

from __future__ import annotations

import re
from typing import NamedTuple

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|min)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%|(0(?:\.\d+)?|1(?:\.0*)?)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)|max")
_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}

EXAMPLE = "p99=200ms,availability=99%,recovery=5s"


class Limit(NamedTuple):
    """One limit of a budget, such as `p99.put=200ms`."""

    measure: str
    """p50 to p99.9 or max (of the latencies), availability, or recovery."""
    of: str
    """For a latency: the function of the operations, such as `put`. For availability: the kind of
    fault. Empty: all operations."""
    bound: float
    """The limit, in ns. For availability, the limit is a share from 0 to 1."""

    @property
    def percent(self) -> float:
        """Return the percentile of a latency limit, such as 99.9 for `p99.9`."""
        return 100.0 if self.measure == "max" else float(self.measure[1:])

    def shown(self) -> str:
        """Return the bound with its unit, such as `200 ms` or `99 %`."""
        return shown(self.measure, self.bound)


def shown(measure: str, value: float) -> str:
    """Return the value of the quantity `measure` with its unit: `200 ms`, `5 s` or `99 %`.

    Times are given in ns, and the availability as a share from 0 to 1.
    """
    if measure == "availability":
        return f"{value * 100:.4g} %"
    return f"{value / 1e6:.4g} ms" if value < 1e9 else f"{value / 1e9:.4g} s"


def read_limits(text: str) -> tuple[Limit, ...]:
    """Parse limits that are separated by commas, such as `p99=200ms,availability=99%`.

    Raises ValueError for text that is not a limit.
    """
    return tuple(_limit(part.strip()) for part in text.split(",") if part.strip())


def _limit(text: str) -> Limit:
    name, equals, value = (part.strip() for part in text.partition("="))
    # The name of a percentile such as p99.9 contains a dot.
    measure, _, of = name.partition(".")
    decimals, _, rest = of.partition(".")
    if measure.startswith("p") and decimals.isdigit():
        measure, of = f"{measure}.{decimals}", rest
    if measure == "availability" and equals:
        found = _SHARE.fullmatch(value)
        share = 0.0 if found is None else float(found[1]) / 100 if found[1] else float(found[2])
        if found is not None and share <= 1:
            return Limit(measure, of, share)
        raise ValueError(f"{text!r}: expected a share such as 99% or 0.99")
    if equals and ((measure == "recovery" and not of) or _PERCENTILE.fullmatch(measure)):
        found = _DURATION.fullmatch(value)
        if found is not None:
            return Limit(measure, of, float(found[1]) * _NS[found[2]])
        raise ValueError(f"{text!r}: expected a time such as 200ms or 5s")
    raise ValueError(
        f"{text!r} is not a limit of a budget; expected limits such as {EXAMPLE} "
        "(p50 to p99.9 or max, availability, recovery; p99.put limits the puts only, "
        "availability.kill the operations during kills only)"
    )
