"""Renders the templates of `templates/` to HTML that is safe and needs no network.

The names, values, errors and logs of a run are untrusted text. All output is escaped. In addition,
the page has a content security policy, which forbids the page to load anything. The policy allows
only two scripts, plotly.js and `report.js`, and identifies them by their hashes. Therefore the
browser does not execute a hostile value even if one place in the templates forgets to escape it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from splitbrain.harness.judging.result_text import kinds_text
from splitbrain.harness.report.checker_counts import count_tables, single_counts
from splitbrain.harness.report.value_text import clean, clip

TEMPLATES = Path(__file__).parent / "templates"
CARTESIAN = Path(__file__).parent / "plotly_js" / "plotly-cartesian.min.js"
"""plotly.js without maps, 3D and WebGL, which is a third of the size of the whole library. It is
the file of the npm package plotly.js-cartesian-dist-min, in the version of plotly.js that the
Python package plotly contains."""

COUNT_CHARACTERS_MAX = 120
NO_VALUE = "–"  # noqa: RUF001 (a dash)


def render_figures(template: str, figures: dict[str, go.Figure], **values: Any) -> str:
    """Render `template` with embedded figures.

    The keys of `figures` are the ids of the elements in which the figures are drawn. `values` are
    the variables of the template.
    """
    script = (TEMPLATES / "report.js").read_text()
    uses_webgl = any(trace.type == "scattergl" for f in figures.values() for trace in f.data)
    library = plotly_js(whole=uses_webgl)
    return (
        environment()
        .get_template(template)
        .render(
            policy=_policy([library, script], eval_needed=uses_webgl),
            plotly_js=Markup(library),
            report_js=Markup(script),
            figures={name: embedded(figure.to_json()) for name, figure in figures.items()},
            **values,
        )
    )


def render_script(template: str, script: str, *, connects: bool = False, **values: Any) -> str:
    """Render `template` with `script`, the only script that the page's policy allows.

    With `connects`, the script may send requests to the server from which the page came. `values`
    are the variables of the template.
    """
    policy = _policy([script], eval_needed=False)
    policy += "; connect-src 'self'" if connects else ""
    return environment().get_template(template).render(
        policy=policy, script=Markup(script), **values
    )


@cache
def environment() -> jinja2.Environment:
    """Return the Jinja environment of all pages, with escaping on and the filters that they use."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["ms"] = _ms
    pages.filters["seconds"] = lambda ns: f"{ns / 1e9:.4f}"
    pages.filters["embedded"] = lambda value: embedded(to_json(value))
    pages.filters["count_text"] = _count_text
    pages.filters["single_counts"] = single_counts
    pages.filters["count_tables"] = count_tables
    pages.filters["kinds_text"] = kinds_text
    pages.filters["clip"] = clip
    return pages


def _printable(value: Any) -> Any:
    """Replace control characters in `value` by visible text.

    Jinja calls this function for every value that a template outputs.
    """
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def embedded(json: str) -> Markup:
    """Prepare the text `json` for a script element.

    Each "<" is escaped, so that no tag inside the text can end the element.
    """
    return Markup(json.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def to_json(value: Any, indent: int = 0) -> str:
    """Encode `value` as JSON, with `indent` spaces for each level (0: on one line).

    An object of an unknown type is written as its `str`.
    """
    data = msgspec.json.encode(value, enc_hook=str)
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


@cache
def plotly_js(*, whole: bool) -> str:
    """Return the source of plotly.js: the whole library, or its part for Cartesian charts."""
    return str(get_plotlyjs()) if whole else CARTESIAN.read_text()


def _policy(scripts: Sequence[str], *, eval_needed: bool) -> str:
    """Return a content security policy that allows only `scripts`, and forbids to load anything.

    With `eval_needed`, the policy also allows eval, because plotly's WebGL traces compile their
    drawing code with `Function`.
    """
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    ]
    allowed = " ".join([*hashes, *(["'unsafe-eval'"] if eval_needed else [])])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _ms(value: float | None) -> str:
    """Return a time in ms as text, with three significant digits."""
    if value is None:
        return NO_VALUE
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count_text(value: Any) -> str:
    """Return a count of a checker as text.

    A number has separators between thousands; any other value is written as text or JSON.
    """
    if value is None:
        return NO_VALUE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clip(value if isinstance(value, str) else to_json(value), COUNT_CHARACTERS_MAX)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
