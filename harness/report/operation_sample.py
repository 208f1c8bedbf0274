"""Chooses which operations are drawn when a run has more than a page can show.

The page reports how many operations are drawn, and which ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splitbrain.harness.report.operation_spans import Span

DRAWN_MAX = 20_000
SLOWEST_KEPT = 1_000
UNCERTAIN_MAX = 100_000
"""The maximal number of operations with outcome `fail` or `info` that are always drawn."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The operations to draw, in the order of their invocations."""

    spans: tuple[Span, ...]
    of: int
    """The number of operations in the run."""
    uncertain_left_out: int = 0
    """The number of operations with outcome `fail` or `info` that are not drawn."""

    @property
    def complete(self) -> bool:
        return len(self.spans) == self.of

    def summary(self) -> str:
        """Sentences for the page about which operations are drawn; "" if all are drawn."""
        if self.complete:
            return ""
        left_out = (
            f" (except {self.uncertain_left_out:,} with outcome fail or info, which are too many)"
            if self.uncertain_left_out
            else ""
        )
        return (
            f"The figures draw {len(self.spans):,} of {self.of:,} operations: all with outcome "
            f"fail or info{left_out}, all in the pictures of anomalies, the {SLOWEST_KEPT:,} "
            "slowest, and an even sample of the rest. Tables, rates and percentiles count all "
            "operations."
        )


def sample(spans: Sequence[Span], named: Iterable[int], drawn_max: int = DRAWN_MAX) -> Sample:
    """Choose about `drawn_max` operations of `spans`, or all of them if they are fewer.

    These operations are always chosen:

    - operations whose invocation or completion is an event in `named`;
    - up to `UNCERTAIN_MAX` further operations with outcome `fail` or `info`.

    The other operations fill the sample up to `drawn_max`. If the first two groups contain more
    operations than `drawn_max`, the sample is larger.
    """
    if len(spans) <= drawn_max:
        return Sample(tuple(spans), len(spans))
    must = set(named)
    kept = {at for at, span in enumerate(spans) if span.invoked in must or span.returned in must}
    uncertain = [at for at, span in enumerate(spans) if span.outcome != "ok" and at not in kept]
    uncertain_kept = _evenly(uncertain, UNCERTAIN_MAX)
    kept.update(uncertain_kept)
    slowest = heapq.nlargest(
        SLOWEST_KEPT, range(len(spans)), key=lambda at: (spans[at].latency_ms or 0.0, -at)
    )
    kept.update(slowest[: max(0, drawn_max - len(kept))])
    rest = [at for at in range(len(spans)) if at not in kept and spans[at].outcome == "ok"]
    kept.update(_evenly(rest, max(0, drawn_max - len(kept))))
    drawn = tuple(span for at, span in enumerate(spans) if at in kept)
    return Sample(drawn, len(spans), len(uncertain) - len(uncertain_kept))


def _evenly(places: Sequence[int], count: int) -> list[int]:
    """Return at most `count` elements of `places`, at even distances."""
    if len(places) <= count:
        return list(places)
    return [places[at * len(places) // count] for at in range(count)]
