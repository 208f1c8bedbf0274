"""Lists the writes whose waterfalls the user can select on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.value_text import answered_write, revision_of
from splitbrain.harness.report.write_path.steps import WriteSteps
from splitbrain.harness.report.write_path.waterfall import bars_of, choose_writes

DETAIL_DEPTH_MAX = 4


class WaterfallOption(msgspec.Struct, frozen=True):
    """A write that the user can select, and the bars of its waterfall.

    Each bar is (step, member, begin, end), with times in ms since the request was accepted. The
    bars are in the order of their ends. `carrier` is the protocol of the request: gRPC, JSON, or ""
    if it is unknown.
    """

    group: str
    name: str
    bars: tuple[tuple[str, str, float, float], ...]
    carrier: str = ""


CARRIERS = {"grpc": "gRPC", "json": "JSON"}


def waterfall_options(
    steps: WriteSteps, spans: Sequence[Span], anomalies: Sequence[Anomaly], seed: int
) -> tuple[WaterfallOption, ...]:
    """Return the writes whose waterfalls the user can select on the page.

    They are at most 200 writes, chosen by `choose_writes`.
    """
    by_revision = writes_by_revision(spans)
    details = [anomaly.detail for anomaly in anomalies]
    revisions = {
        *_revisions_of_anomalies(spans, anomalies), *integers_under(details, "revision")
    }
    requests = set(integers_under(details, "request"))
    options = []
    for chosen in choose_writes(steps, seed, revisions, requests):
        row = chosen.row
        bars = tuple(
            (bar.step, bar.member, round(bar.begin_ms, 4), round(bar.end_ms, 4))
            for bar in bars_of(steps, row)
        )
        latency_ns = steps.latency_ns(row)
        span = by_revision.get(steps.revisions[row])
        words = [
            f"{latency_ns / 1e6:.2f} ms" if latency_ns is not None else "no answer",
            span.request_text() if span else "",
            f"revision {steps.revisions[row]}" if steps.revisions[row] else "",
            f"entry {steps.indexes[row]}" if steps.indexes[row] else "",
        ]
        carrier = CARRIERS.get(steps.carriers[row], "")
        name = " · ".join(word for word in words if word)
        options.append(WaterfallOption(chosen.group, name, bars, carrier))
    return tuple(options)


def writes_by_revision(spans: Iterable[Span]) -> dict[int, Span]:
    """Return each write with outcome `ok`, by the revision that it made."""
    found: dict[int, Span] = {}
    for span in spans:
        if span.outcome == "ok" and answered_write(span.request, span.answer):
            found.setdefault(revision_of(span.answer), span)
    return found


def _revisions_of_anomalies(spans: Sequence[Span], anomalies: Sequence[Anomaly]) -> set[int]:
    """Return the revisions in the answers of the operations that anomalies name."""
    events = {event for anomaly in anomalies for event in anomaly.events}
    return {
        revision_of(span.answer)
        for span in spans
        if span.outcome == "ok" and (span.invoked in events or span.returned in events)
    }


def integers_under(value: Any, word: str, depth: int = 0) -> Iterable[int]:
    """Yield the integers in `value`, below keys that begin with `word`.

    `value` is JSON: mappings and lists that contain each other. Deeper levels than
    `DETAIL_DEPTH_MAX` are not searched. `depth` is the level of `value` itself.
    """
    if depth > DETAIL_DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if str(name).startswith(word):
                many = inner if isinstance(inner, list | tuple) else [inner]
                yield from (one for one in many if isinstance(one, int))
            yield from integers_under(inner, word, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from integers_under(inner, word, depth + 1)
