"""Renders the page of one run: fills `templates/report.html.j2` with values and figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.anomaly.anomaly_order import each_kind_first
from splitbrain.harness.report.anomaly.drawn_anomaly import DrawnAnomaly, draw_anomaly
from splitbrain.harness.report.figures.latency import latency
from splitbrain.harness.report.figures.rate import rate
from splitbrain.harness.report.figures.timeline import timeline
from splitbrain.harness.report.html import render_figures
from splitbrain.harness.report.operation_sample import Sample, sample
from splitbrain.harness.report.operation_spans import lanes, span_columns
from splitbrain.harness.report.operation_tables import error_rows, fault_rows, kind_rows
from splitbrain.harness.report.run_data import Run
from splitbrain.harness.report.write_path.steps import NUMBER_IN_PATH, step_times
from splitbrain.harness.report.write_path.waterfall_options import (
    WaterfallOption,
    waterfall_options,
)

ANOMALIES_DRAWN_MAX = 12
ANOMALIES_LISTED_MAX = 200
PROBLEMS_LISTED_MAX = 30


def render_run(run: Run) -> str:
    """Return the whole page of `run` as HTML."""
    anomalies = tuple(_anomalies(run))
    shown = sample(run.spans, _must_be_drawn(anomalies))
    options = _waterfalls(run)
    figures = _time_figures(run, shown)
    for drawn in anomalies:
        figures |= drawn.figures
    return render_figures(
        "report.html.j2",
        figures,
        title=run.facts.test or run.folder.name,
        run=run,
        anomalies=anomalies,
        anomalies_open=ANOMALIES_DRAWN_MAX,
        anomalies_beyond=_anomalies_beyond(run),
        sample=shown,
        spans=span_columns(shown.spans),
        fault_words=_fault_words(run),
        reproduce=_reproduce(run),
        kinds=kind_rows(run.spans),
        errors=error_rows(run.spans),
        faults=fault_rows(run.spans, run.faults, run.end_ns),
        waterfalls=options,
        waterfall_groups=_grouped(options),
        step_times=step_times(run.steps) if run.steps else (),
        numbers=NUMBER_IN_PATH,
        leaders=_leaders(run),
        problems=run.problems[:PROBLEMS_LISTED_MAX],
        problems_beyond=max(0, len(run.problems) - PROBLEMS_LISTED_MAX),
    )


def _anomalies(run: Run) -> Iterator[DrawnAnomaly]:
    found = each_kind_first(run.results.anomalies if run.results else ())
    members = [member.name for member in run.members]
    for number, (checker, anomaly) in enumerate(found[:ANOMALIES_LISTED_MAX], start=1):
        yield draw_anomaly(
            number, checker, anomaly,
            spans=run.spans, faults=run.faults, members=members, end_ns=run.end_ns,
            with_pictures=number <= ANOMALIES_DRAWN_MAX,
        )


def _anomalies_beyond(run: Run) -> int:
    """Return the number of anomalies that the page does not list."""
    if run.results is None:
        return 0
    listed = min(len(run.results.anomalies), ANOMALIES_LISTED_MAX)
    return sum(verdict.anomaly_count for verdict in run.results.verdicts) - listed


def _must_be_drawn(anomalies: Iterable[DrawnAnomaly]) -> set[int]:
    """Return the indexes of the invocations of all operations in the pictures of `anomalies`.

    The figures must draw these operations even if they draw only a sample of the run.
    """
    return {span.invoked for drawn in anomalies for span in drawn.proof.spans}


def _time_figures(run: Run, shown: Sample) -> dict[str, go.Figure]:
    if not run.spans:
        return {}
    members = [member.name for member in run.members]
    rows = lanes(run.spans)
    return {
        "timeline": timeline(shown.spans, run.faults, members, run.end_ns, rows, run.facts.crashes),
        "latency": latency(shown.spans, run.spans, run.faults, run.end_ns),
        "rate": rate(run.spans, run.faults, run.end_ns),
    }


def _fault_words(run: Run) -> dict[str, str]:
    """Return the tooltip of each fault, by the number of the fault."""
    return {
        str(row.fault): f"fault {row.fault}: {row.f} {', '.join(row.members)} {row.detail}, "
        f"{row.begin_s:.3f} s to {row.end_s:.3f} s{'' if row.healed else ', never healed'}"
        for row in fault_rows((), run.faults, run.end_ns)
    }


def _reproduce(run: Run) -> str:
    """Return the command that repeats the run."""
    if run.results and run.results.reproduce:
        return run.results.reproduce
    return f"splitbrain replay {run.folder / 'repro.json'}"


def _waterfalls(run: Run) -> tuple[WaterfallOption, ...]:
    """Return the writes for which the page can show a waterfall.

    A waterfall shows when each member completed each step of a write. Returns () if no member wrote
    a trace.
    """
    if run.steps is None:
        return ()
    anomalies = [anomaly for _, anomaly in run.results.anomalies] if run.results else []
    return waterfall_options(run.steps, run.spans, anomalies, run.facts.seed or 0)


def _grouped(options: Sequence[WaterfallOption]) -> dict[str, list[tuple[int, WaterfallOption]]]:
    """Return the writes that the user can select, by group, each with its index in `options`."""
    groups: dict[str, list[tuple[int, WaterfallOption]]] = {}
    for place, option in enumerate(options):
        groups.setdefault(option.group, []).append((place, option))
    return groups


def _leaders(run: Run) -> dict[int, str]:
    """Return the name of each member, by its id."""
    return {m.state.member_id: m.name for m in run.members if m.state and m.state.member_id}
