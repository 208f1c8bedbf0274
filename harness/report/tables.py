"""What a run's operations and faults come to, in rows of a table.

Named after what each row is: a kind of operation, an error, the time under a fault.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from splitbrain.harness.report.bands import band_end
from splitbrain.harness.report.spans import Span
from splitbrain.harness.report.value_text import clip, json_text
from splitbrain.harness.report.write_steps import percentile
from splitbrain.histories.history import FaultWindow

ERRORS_MAX = 20


@dataclass(frozen=True, slots=True)
class KindRow:
    """Latencies in ms, of the answered ones; None where there are none."""

    f: str
    ok: int
    fail: int
    info: int
    p50: float | None
    p90: float | None
    p99: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    outcome: str
    f: str
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault, and how the operations fared that were invoked while it was in force.

    `longest_without_ok_s` is the longest time of the window in which nothing was answered.
    """

    fault: int
    f: str
    members: tuple[str, ...]
    detail: str
    begin_s: float
    end_s: float
    healed: bool
    ok: int
    fail: int
    info: int
    p99: float | None
    longest_without_ok_s: float
    failed: str = ""


def kind_rows(spans: Sequence[Span]) -> tuple[KindRow, ...]:
    """A row for each `f`, in the order of their first operations, and "all" if several."""
    by_f: dict[str, list[Span]] = {}
    for span in spans:
        by_f.setdefault(span.f, []).append(span)
    rows = [_kind(f, own) for f, own in by_f.items()]
    return tuple(rows if len(rows) < 2 else [*rows, _kind("all", spans)])


def _kind(f: str, spans: Sequence[Span]) -> KindRow:
    outcomes = Counter(span.outcome for span in spans)
    took = _answered_ms(spans)
    return KindRow(
        clip(f, 60),
        outcomes["ok"],
        outcomes["fail"],
        outcomes["info"],
        *((percentile(took, share) if took else None) for share in (0.5, 0.9, 0.99, 1.0)),
    )


def _answered_ms(spans: Sequence[Span]) -> list[float]:
    return sorted(
        ms for span in spans if span.outcome == "ok" and (ms := span.latency_ms) is not None
    )


def error_rows(spans: Sequence[Span]) -> tuple[tuple[ErrorRow, ...], int]:
    """The errors seen most, and how many more different ones there were."""
    seen = Counter(
        (span.outcome, span.f, span.answered()) for span in spans if span.outcome != "ok"
    )
    most = seen.most_common(ERRORS_MAX)
    return tuple(ErrorRow(*key, count) for key, count in most), len(seen) - len(most)


def fault_rows(
    spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> tuple[FaultRow, ...]:
    """A row for each fault, in the order in which they began."""
    ordered = sorted(spans, key=lambda span: span.call)
    calls = [span.call for span in ordered]
    answers = sorted(s.ended for s in spans if s.outcome == "ok" and s.ended is not None)
    return tuple(_fault(fault, ordered, calls, answers, end_ns) for fault in faults)


def _fault(
    fault: FaultWindow,
    ordered: Sequence[Span],
    calls: Sequence[int],
    answers: Sequence[int],
    end_ns: int,
) -> FaultRow:
    end = band_end(fault, end_ns)
    within = ordered[bisect_left(calls, fault.begin) : bisect_right(calls, end)]
    outcomes = Counter(span.outcome for span in within)
    took = _answered_ms(within)
    inside = answers[bisect_left(answers, fault.begin) : bisect_right(answers, end)]
    edges = [fault.begin, *inside, end]
    silent = max(later - earlier for earlier, later in pairwise(edges))
    return FaultRow(
        fault.fault,
        clip(fault.f, 60),
        fault.members,
        _detail(fault),
        fault.begin / 1e9,
        end / 1e9,
        fault.end is not None,
        outcomes["ok"],
        outcomes["fail"],
        outcomes["info"],
        percentile(took, 0.99) if took else None,
        silent / 1e9,
        clip(fault.failed, 200),
    )


def _detail(fault: FaultWindow) -> str:
    """The fault's own settings in words: `shape=halves how=cut`."""
    try:
        value = msgspec.json.decode(fault.detail)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return json_text(bytes(fault.detail))
    if not isinstance(value, dict):
        return json_text(bytes(fault.detail))
    words = [f"{name}={setting}" for name, setting in value.items() if name != "fault"]
    return clip(" ".join(words))
