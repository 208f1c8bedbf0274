"""The page of one run: its values and figures put into `templates/report.html.j2`.

One file without a network: plotly.js stands in it, a content security policy lets
nothing be loaded and no script run but the two whose hashes it names, so that a
hostile value of a history stays text even where escaping were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.anomaly_picture import (
    Proof,
    picture_in_order,
    picture_to_scale,
    proof_of,
)
from splitbrain.harness.report.count_tables import count_tables, single_counts
from splitbrain.harness.report.cycle_picture import cycle_picture
from splitbrain.harness.report.latency import latency
from splitbrain.harness.report.rate import rate
from splitbrain.harness.report.run_data import Run
from splitbrain.harness.report.sample import Sample, sample
from splitbrain.harness.report.spans import Span, lanes
from splitbrain.harness.report.tables import error_rows, fault_rows, kind_rows
from splitbrain.harness.report.timeline import timeline
from splitbrain.harness.report.value_text import clean, clip
from splitbrain.harness.report.waterfall_choice import WaterfallOption, waterfall_options
from splitbrain.harness.report.write_steps import NUMBER_IN_PATH, step_times

TEMPLATES = Path(__file__).parent / "templates"

ANOMALIES_DRAWN_MAX = 12
ANOMALIES_LISTED_MAX = 200
EVENTS_LISTED_MAX = 60
"""Of each anomaly."""
PROBLEMS_LISTED_MAX = 30


@dataclass(frozen=True, slots=True)
class DrawnAnomaly:
    """An anomaly as the page shows it; figures only for the first few."""

    number: int
    checker: str
    anomaly: Anomaly
    proof: Proof
    in_order: go.Figure | None
    to_scale: go.Figure | None

    @property
    def listed(self) -> tuple[Span, ...]:
        return self.proof.involved[:EVENTS_LISTED_MAX]

    @property
    def figures(self) -> dict[str, go.Figure]:
        """By the id of the element that each is drawn in."""
        if self.in_order is None or self.to_scale is None:
            return {}
        return {
            f"anomaly-{self.number}-order": self.in_order,
            f"anomaly-{self.number}-scale": self.to_scale,
        }

    @property
    def cycle(self) -> Markup:
        """The cycle of transactions that it is, drawn; empty if it is none."""
        cycle = self.anomaly.detail.get("cycle")
        return Markup(cycle_picture(cycle) if cycle else "")

    @property
    def detail(self) -> str:
        detail = self.anomaly.detail
        return clip(to_json(detail, indent=2), 4_000) if detail else ""


def render(run: Run) -> str:
    """The whole page of `run`."""
    anomalies = tuple(_anomalies(run))
    shown = sample(run.spans, _must_be_drawn(anomalies))
    options = waterfall_options(run)
    figures = _time_figures(run, shown)
    for drawn in anomalies:
        figures |= drawn.figures
    return page(
        "report.html.j2",
        figures,
        title=run.facts.test or run.folder.name,
        run=run,
        anomalies=anomalies,
        anomalies_open=ANOMALIES_DRAWN_MAX,
        anomalies_beyond=_anomalies_beyond(run),
        sample=shown,
        spans=span_table(shown.spans),
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


def page(template: str, figures: dict[str, go.Figure], **values: Any) -> str:
    """`template` with the figures embedded, by the id of the element that each is drawn in."""
    script = (TEMPLATES / "report.js").read_text()
    uses_webgl = any(trace.type == "scattergl" for f in figures.values() for trace in f.data)
    return (
        environment()
        .get_template(template)
        .render(
            policy=_policy([_plotly_js(), script], eval_needed=uses_webgl),
            plotly_js=Markup(_plotly_js()),
            report_js=Markup(script),
            figures={name: embedded(figure.to_json()) for name, figure in figures.items()},
            **values,
        )
    )


@cache
def environment() -> jinja2.Environment:
    """Autoescape is on for all: names, values, errors and logs are untrusted text."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["ms"] = _ms
    made.filters["seconds"] = lambda ns: f"{ns / 1e9:.4f}"
    made.filters["embedded"] = lambda value: embedded(to_json(value))
    made.filters["count_text"] = _count_text
    made.filters["single_counts"] = single_counts
    made.filters["count_tables"] = count_tables
    made.filters["clip"] = clip
    return made


def _readable(value: Any) -> Any:
    """Each value as it is put into a page: what no page can show is made visible."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def embedded(json: str) -> Markup:
    """JSON that may stand in a script element: "<" occurs in its strings alone."""
    return Markup(json.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def to_json(value: Any, indent: int = 0) -> str:
    data = msgspec.json.encode(value, enc_hook=str)
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


@cache
def _plotly_js() -> str:
    return str(get_plotlyjs())


def _policy(scripts: Sequence[str], *, eval_needed: bool) -> str:
    """Nothing is fetched; only `scripts` run. plotly's WebGL traces compile their
    drawing code with `Function`, which a policy calls eval."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    ]
    allowed = " ".join([*hashes, *(["'unsafe-eval'"] if eval_needed else [])])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


# --- figures ------------------------------------------------------------------


def _anomalies(run: Run) -> Iterator[DrawnAnomaly]:
    found = in_turns(run.results.anomalies if run.results else ())
    names = [member.name for member in run.members]
    for number, (checker, anomaly) in enumerate(found[:ANOMALIES_LISTED_MAX], start=1):
        proof = proof_of(anomaly, run.spans, run.faults, run.end_ns)
        if number > ANOMALIES_DRAWN_MAX or not proof.involved:
            yield DrawnAnomaly(number, checker, anomaly, proof, None, None)
            continue
        in_order, to_scale = picture_in_order(proof, names), picture_to_scale(proof, names)
        yield DrawnAnomaly(number, checker, anomaly, proof, in_order, to_scale)


def in_turns(found: Sequence[tuple[str, Anomaly]]) -> list[tuple[str, Anomaly]]:
    """The first of each checker and kind, then the second of each: a hundred of one kind
    must not hide the only one of another."""
    kinds: dict[tuple[str, str], list[tuple[str, Anomaly]]] = {}
    for checker, anomaly in found:
        kinds.setdefault((checker, anomaly.kind), []).append((checker, anomaly))
    turns = zip_longest(*kinds.values())
    return [one for turn in turns for one in turn if one is not None]


def _anomalies_beyond(run: Run) -> int:
    return max(0, len(run.results.anomalies) - ANOMALIES_LISTED_MAX) if run.results else 0


def _must_be_drawn(anomalies: Iterable[DrawnAnomaly]) -> set[int]:
    return {span.invoked for drawn in anomalies for span in drawn.proof.spans}


def _time_figures(run: Run, shown: Sample) -> dict[str, go.Figure]:
    if not run.spans:
        return {}
    members = [member.name for member in run.members]
    rows = lanes(run.spans)
    return {
        "timeline": timeline(shown.spans, run.faults, members, run.end_ns, rows),
        "latency": latency(shown.spans, run.spans, run.faults, run.end_ns),
        "rate": rate(run.spans, run.faults, run.end_ns),
    }


def span_table(spans: Sequence[Span]) -> dict[str, list[Any]]:
    """What a pointer shows of each operation drawn, by columns."""
    return {
        "event": [span.invoked for span in spans],
        "returned": [span.returned for span in spans],
        "process": [span.process for span in spans],
        "node": [span.node or "" for span in spans],
        "outcome": [span.outcome for span in spans],
        "call_us": [span.call // 1_000 for span in spans],
        "took_us": [None if s.ended is None else (s.ended - s.call) // 1_000 for s in spans],
        "asked": [span.asked() for span in spans],
        "answered": [span.answered() for span in spans],
    }


def _fault_words(run: Run) -> dict[str, str]:
    return {
        str(row.fault): f"fault {row.fault}: {row.f} {', '.join(row.members)} {row.detail}, "
        f"{row.begin_s:.3f} s to {row.end_s:.3f} s{'' if row.healed else ', never healed'}"
        for row in fault_rows((), run.faults, run.end_ns)
    }


# --- words --------------------------------------------------------------------


def _reproduce(run: Run) -> str:
    if run.results and run.results.reproduce:
        return run.results.reproduce
    return f"splitbrain replay {run.folder / 'repro.json'}"


def _grouped(options: Sequence[WaterfallOption]) -> dict[str, list[tuple[int, WaterfallOption]]]:
    groups: dict[str, list[tuple[int, WaterfallOption]]] = {}
    for place, option in enumerate(options):
        groups.setdefault(option.group, []).append((place, option))
    return groups


def _leaders(run: Run) -> dict[int, str]:
    """The name of each member id."""
    return {m.state.member_id: m.name for m in run.members if m.state and m.state.member_id}


NOTHING = "–"  # noqa: RUF001 (a dash)


def _ms(value: float | None) -> str:
    """Milliseconds with three digits that count."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count_text(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clip(value if isinstance(value, str) else to_json(value), 120)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
