"""Which operations are drawn when there are more than a page can bear.

Never silently: the page says how many of how many, and what is always among them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splitbrain.harness.report.spans import Span

DRAWN_MAX = 20_000
SLOWEST_KEPT = 1_000
UNCERTAIN_MAX = 100_000
"""Of those that failed or are unknown; past it they too are thinned out, and that is said."""


@dataclass(frozen=True, slots=True)
class Sample:
    spans: tuple[Span, ...]
    of: int
    uncertain_left_out: int = 0

    @property
    def complete(self) -> bool:
        return len(self.spans) == self.of

    def says(self) -> str:
        """A sentence for the reader, "" if all are drawn."""
        if self.complete:
            return ""
        left_out = (
            f", but {self.uncertain_left_out:,} of the failed and unknown that are too many"
            if self.uncertain_left_out
            else ""
        )
        return (
            f"Drawn: {len(self.spans):,} of {self.of:,} operations: every one that failed, is "
            f"unknown or stands in an anomaly{left_out}, the {SLOWEST_KEPT:,} slowest, and the "
            "rest evenly thinned out. Figures in tables and percentiles count all."
        )


def sample(spans: Sequence[Span], named: Iterable[int], drawn_max: int = DRAWN_MAX) -> Sample:
    """At most `drawn_max` of `spans`, more only if that many failed or are unknown.

    `named` are indexes of events, of invocations or completions, that must be there.
    """
    if len(spans) <= drawn_max:
        return Sample(tuple(spans), len(spans))
    must = set(named)
    kept = {at for at, span in enumerate(spans) if span.invoked in must or span.returned in must}
    uncertain = [at for at, span in enumerate(spans) if span.outcome != "ok" and at not in kept]
    held = _evenly(uncertain, UNCERTAIN_MAX)
    kept.update(held)
    slowest = heapq.nlargest(
        SLOWEST_KEPT, range(len(spans)), key=lambda at: (spans[at].latency_ms or 0.0, -at)
    )
    kept.update(slowest[: max(0, drawn_max - len(kept))])
    rest = [at for at in range(len(spans)) if at not in kept and spans[at].outcome == "ok"]
    kept.update(_evenly(rest, max(0, drawn_max - len(kept))))
    drawn = tuple(span for at, span in enumerate(spans) if at in kept)
    return Sample(drawn, len(spans), len(uncertain) - len(held))


def _evenly(places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [places[at * len(places) // count] for at in range(count)]
