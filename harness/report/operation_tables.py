"""Computes the rows of the report's tables of operations, errors and faults."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from splitbrain.harness.report.figures.fault_bands import band_end
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.percentile import percentile
from splitbrain.harness.report.value_text import clip, json_text
from splitbrain.histories.history import FaultWindow

ERRORS_MAX = 20


NO_EFFECT = "none"


@dataclass(frozen=True, slots=True)
class KindRow:
    """The counts and latencies of the operations with one function `f`.

    Latencies are in ms, and include only operations with outcome `ok`. They are None if there is no
    such operation.
    """

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
    """An error text, and the number of operations that ended with it."""

    outcome: str
    f: str
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault, and the outcomes of the operations that were invoked while it was active."""

    fault: int
    f: str
    members: tuple[str, ...]
    detail: str
    begin_s: float
    end_s: float
    """The time at which the fault was healed; the end of the run if it never was."""
    healed: bool
    ok: int
    fail: int
    info: int
    p99: float | None
    """The 99th percentile of latencies in ms, of operations with outcome `ok`; None if there are
    none."""
    longest_without_ok_s: float
    """The longest time without a successful operation while the fault was active."""
    failed: str = ""
    """The reason why the fault could not be injected or healed; "" if it could."""
    effect: str = "unknown"
    """What the fault has changed in the system under test, as text."""


def kind_rows(spans: Sequence[Span]) -> tuple[KindRow, ...]:
    """Return a row for each function, in the order of their first operations.

    If there are several functions, a further row "all" counts all operations.
    """
    by_f: dict[str, list[Span]] = {}
    for span in spans:
        by_f.setdefault(span.f, []).append(span)
    rows = [_kind(f, own) for f, own in by_f.items()]
    return tuple(rows if len(rows) < 2 else [*rows, _kind("all", spans)])


def _kind(f: str, spans: Sequence[Span]) -> KindRow:
    outcomes = Counter(span.outcome for span in spans)
    latencies = _ok_latencies_ms(spans)
    p50, p90, p99, longest = (
        percentile(latencies, share) if latencies else None for share in (0.5, 0.9, 0.99, 1.0)
    )
    return KindRow(
        f=clip(f, 60), ok=outcomes["ok"], fail=outcomes["fail"], info=outcomes["info"],
        p50=p50, p90=p90, p99=p99, longest=longest,
    )


def _ok_latencies_ms(spans: Sequence[Span]) -> list[float]:
    """Return the latencies in ms, ascending, of the operations with outcome `ok`."""
    return sorted(
        ms for span in spans if span.outcome == "ok" and (ms := span.latency_ms) is not None
    )


def error_rows(spans: Sequence[Span]) -> tuple[tuple[ErrorRow, ...], int]:
    """Return the most frequent errors, and the number of distinct errors that were left out."""
    seen = Counter(
        (span.outcome, span.f, span.result_text()) for span in spans if span.outcome != "ok"
    )
    most = seen.most_common(ERRORS_MAX)
    return tuple(ErrorRow(*key, count) for key, count in most), len(seen) - len(most)


def fault_rows(
    spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> tuple[FaultRow, ...]:
    """Return a row for each of `faults`, in the same order.

    A fault that was never healed lasts until `end_ns`, the end of the run.
    """
    ordered = sorted(spans, key=lambda span: span.call)
    calls = [span.call for span in ordered]
    ok_ends = sorted(s.ended for s in spans if s.outcome == "ok" and s.ended is not None)
    return tuple(_fault(fault, ordered, calls, ok_ends, end_ns) for fault in faults)


def _fault(
    fault: FaultWindow,
    ordered: Sequence[Span],
    calls: Sequence[int],
    ok_ends: Sequence[int],
    end_ns: int,
) -> FaultRow:
    end = band_end(fault, end_ns)
    within = ordered[bisect_left(calls, fault.begin) : bisect_right(calls, end)]
    outcomes = Counter(span.outcome for span in within)
    latencies = _ok_latencies_ms(within)
    inside = ok_ends[bisect_left(ok_ends, fault.begin) : bisect_right(ok_ends, end)]
    edges = [fault.begin, *inside, end]
    longest_gap = max(later - earlier for earlier, later in pairwise(edges))
    return FaultRow(
        fault=fault.fault,
        f=clip(fault.f, 60),
        members=fault.members,
        detail=_detail(fault),
        begin_s=fault.begin / 1e9,
        end_s=end / 1e9,
        healed=fault.end is not None,
        ok=outcomes["ok"],
        fail=outcomes["fail"],
        info=outcomes["info"],
        p99=percentile(latencies, 0.99) if latencies else None,
        longest_without_ok_s=longest_gap / 1e9,
        failed=clip(fault.failed, 200),
        effect="unknown" if fault.effect is None else clip(fault.effect, 200) or NO_EFFECT,
    )


def _detail(fault: FaultWindow) -> str:
    """Return the settings of `fault` as text, such as `shape=halves how=cut`."""
    try:
        value = msgspec.json.decode(fault.detail)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return json_text(bytes(fault.detail))
    if not isinstance(value, dict):
        return json_text(bytes(fault.detail))
    words = [f"{name}={setting}" for name, setting in value.items() if name != "fault"]
    return clip(" ".join(words))
