"""The page of a run shows the data in the run's folder, safely and without a network."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from plotly.offline import get_plotlyjs_version

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.html import plotly_js, render_figures
from splitbrain.harness.report.write_report import write_report
from tests.unit.report.synthetic_run import SyntheticRun, write_run

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;{{ 7*7 }}\x00\x1b[31m"
)
STALE = Anomaly("stale read", "n2 answered revision 41 after 57", (30, 33), ("n2",), {"depth": 3})


class Page(HTMLParser):
    """The resources that a browser would load, the scripts it would run, and the text it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.loaded: list[str] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._script = tag == "script"
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
            if name in ("src", "href", "action", "data", "srcset") and not (value or "").startswith(
                "#"
            ):
                self.loaded.append(value or "")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data
        else:
            self.text += data


def report_of(folder: Path, made: SyntheticRun) -> str:
    return write_report(write_run(folder, made)).read_text()


@pytest.mark.parametrize(
    ("valid", "word"), [(True, "Valid"), (False, "Invalid"), (None, "Unknown")]
)
def test_the_verdict_is_a_word_and_a_shape_on_top(
    tmp_path: Path, valid: bool | None, word: str
) -> None:
    anomalies = (STALE,) if valid is False else ()
    text = report_of(tmp_path, SyntheticRun(valid=valid, anomalies=anomalies))
    assert f"<strong>{word}</strong>" in text
    assert f"<title>{word.lower()} · " in text
    assert f'aria-label="{word.lower()}"' in text
    assert f"splitbrain replay {tmp_path}/repro.json" in text


def test_a_page_loads_nothing_and_runs_two_scripts_of_ours_alone(tmp_path: Path) -> None:
    text = report_of(tmp_path, SyntheticRun(valid=False, anomalies=(STALE,)))
    page = Page(text)
    assert page.loaded == []
    assert "default-src 'none'" in unescape(text)
    run = [script for script in page.scripts if not script.startswith(("{", "["))]
    assert len(run) == 2
    library = plotly_js(whole=False)
    assert run[0] == library
    ours = text.replace(library, "")
    assert re.findall(r"https?://(?!127\.0\.0\.1)[^\s\"<]+", ours) == []


def test_the_part_of_plotly_js_has_the_version_of_the_package_plotly() -> None:
    head = plotly_js(whole=False)[:200]
    assert f"* plotly.js (cartesian - minified) v{get_plotlyjs_version()}\n" in head


def test_a_report_without_webgl_contains_only_the_part_for_cartesian_charts(
    tmp_path: Path,
) -> None:
    text = report_of(tmp_path, SyntheticRun(valid=True))
    assert len(text) < 2_000_000


def test_many_anomalies_of_one_kind_do_not_hide_another(tmp_path: Path) -> None:
    many = [Anomaly("often", f"number {number}", (30, 33)) for number in range(30)]
    one = Anomaly("once", "the only one", (30, 33))
    text = report_of(tmp_path, SyntheticRun(valid=False, anomalies=(*many, one)))
    assert re.findall(r"<h3>(\d+)\. (\w+) ", text)[:3] == [
        ("1", "often"), ("2", "once"), ("3", "often")
    ]
    assert "19 more, without pictures" in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    anomaly = Anomaly(HOSTILE, HOSTILE, (30, 33), (HOSTILE,), {HOSTILE: HOSTILE})
    made = SyntheticRun(hostile=HOSTILE, valid=False, anomalies=(anomaly,))
    made.faults = ((HOSTILE, 3, 6, (HOSTILE,), {"fault": HOSTILE, HOSTILE: HOSTILE}),)
    text = report_of(tmp_path, made)
    page = Page(text)
    assert "img" not in page.elements
    assert page.handlers == []
    assert page.loaded == []
    assert "alert(1)" in page.text  # shown as text
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|49", page.text)[:1]
    run = [script for script in page.scripts if not script.startswith(("{", "["))]
    assert len(run) == 2
    assert "\x00" not in text
    assert "\x1b" not in text


def test_hostile_text_has_no_markup_in_figures(tmp_path: Path) -> None:
    anomaly = Anomaly("k", "b", (30, 33), (), {})
    link = '<a href="javascript:alert(1)">x</a>'
    made = SyntheticRun(hostile=link, valid=False, anomalies=(anomaly,))
    page = Page(report_of(tmp_path, made))
    figures = [json.loads(script) for script in page.scripts if script.startswith('{"data"')]
    assert len(figures) == 5
    labels = [
        label
        for figure in figures
        for trace in figure["data"]
        for label in [trace.get("name", ""), *(trace.get("text") or [])]
    ]
    assert not any("<a" in label for label in labels)


def test_the_report_of_an_empty_folder_lists_the_missing_files(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path).read_text())
    for missing in ("run.json is missing", "results.json is missing", "history.jsonl is missing"):
        assert missing in page.text
    assert "the run was not judged" in page.text


FILES = (
    "run.json",
    "results.json",
    "history.jsonl",
    "schedule.json",
    "n1/state.json",
    "n1/trace.jsonl",
    "n1/log",
)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"null\n"])
def test_a_run_whose_files_are_all_damaged_has_a_report(tmp_path: Path, content: bytes) -> None:
    folder = write_run(tmp_path, SyntheticRun(40, valid=False, anomalies=(STALE,)))
    for name in FILES:
        (folder / name).write_bytes(content)
    assert "</html>" in write_report(folder).read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_run_with_a_file_of_another_shape_has_a_report(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path, SyntheticRun(40, valid=False, anomalies=(STALE,)))
    (folder / name).write_bytes(b'{"valid": "perhaps", "members": 3}\n[]\n')
    assert "</html>" in write_report(folder).read_text()


def test_a_torn_history_is_reported_up_to_where_it_is_torn(tmp_path: Path) -> None:
    folder = write_run(tmp_path, SyntheticRun(200))
    history = folder / "history.jsonl"
    lines = history.read_bytes().splitlines(keepends=True)
    history.write_bytes(b"".join(lines[:100]) + b'{"index": 1, "ti\n' + b"".join(lines[100:]))
    page = Page(write_report(folder).read_text())
    assert "history.jsonl is read up to a line that is not an event" in page.text
    assert "p99 of ok" in "".join(page.scripts)


def test_a_run_without_traces_says_so_and_shows_the_rest(tmp_path: Path) -> None:
    text = report_of(tmp_path, SyntheticRun(100, traced=False))
    assert "No member traced a write" in text
    assert 'id="timeline"' in text


def test_a_workload_that_knows_no_keys_is_shown_as_json(tmp_path: Path) -> None:
    lines = [
        {
            "index": 0,
            "time": 0,
            "process": 0,
            "type": "invoke",
            "f": "txn",
            "value": [["append", 1, 2]],
        },
        {
            "index": 1,
            "time": 9,
            "process": 0,
            "type": "ok",
            "f": "txn",
            "value": [["append", 1, 2]],
        },
    ]
    (tmp_path / "history.jsonl").write_bytes(
        b"".join(msgspec.json.encode(v) + b"\n" for v in lines)
    )
    assert '[["append",1,2]]' in write_report(tmp_path).read_text().replace("\\", "")


def test_members_their_logs_and_the_faults_are_in_the_page(tmp_path: Path) -> None:
    page = Page(report_of(tmp_path, SyntheticRun()))
    assert "info n2 line 119" in page.text
    assert "info n2 line 69" not in page.text  # the last fifty lines
    assert "3735928559" in page.text
    assert "shape=isolate how=cut" in page.text
    assert "never healed" in page.text


def test_counts_are_tables_and_a_checker_without_anything_to_judge_says_so(
    tmp_path: Path,
) -> None:
    folder = write_run(tmp_path, SyntheticRun(20))
    results = json.loads((folder / "results.json").read_bytes())
    outcomes = {"ok": 31, "fail": 7, "info": 2}
    results["verdicts"] += [
        {
            "checker": "availability", "valid": True,
            "counts": {
                "outcomes": outcomes, "during": {"kill": outcomes, "no fault": outcomes},
                "members answered after ms": {"n1": 0.25}, "recovered after ms": 12.5,
            },
        },
        {"checker": "set_full", "valid": True, "why": "not applicable: nothing was added"},
    ]  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    shown = write_report(folder).read_text()
    body = shown[: shown.index('<section id="files">')]
    assert '{"ok"' not in unescape(body[body.index("<h3>Checkers</h3>") :]).partition("<script")[0]
    for row in ("outcomes", "during kill", "during no fault"):
        cells = "".join(f'<td class="num">{count}</td>' for count in (31, 7, 2))
        assert f"<tr><td>{row}</td>{cells}</tr>" in body
    assert '<td>members answered after ms</td><td class="num">0.25</td>' in body
    assert "recovered after ms</span> 12.5" in body
    found = re.search(r'<td class="nowrap">set_full</td>\s*(.*?)</tr>', body, re.DOTALL)
    assert found is not None
    assert "not applicable</td>" in found[1]
    assert ">valid" not in found[1]


def test_a_path_in_the_run_that_leads_out_of_it_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do not show")
    folder = write_run(tmp_path / "run", SyntheticRun(20))
    record = json.loads((folder / "run.json").read_bytes())
    record["members"][0]["log"] = "../secret"
    (folder / "run.json").write_text(json.dumps(record))
    assert "do not show" not in write_report(folder).read_text()


def test_the_report_of_3000_operations_is_small(tmp_path: Path) -> None:
    path = write_report(write_run(tmp_path, SyntheticRun(3_000)))
    assert path.stat().st_size < 8_000_000


def test_only_a_page_with_webgl_may_compile_code() -> None:
    from splitbrain.harness.report.figures.timeline import SVG_SPANS_MAX, timeline
    from splitbrain.harness.report.operation_sample import Sample
    from tests.unit.report.test_figures import span

    few = timeline([span(0, 0, 5)], (), ("n1",), 100)
    many = timeline([span(at, at, at + 1) for at in range(SVG_SPANS_MAX + 1)], (), ("n1",), 10**6)
    assert Sample((), 0).complete
    assert policy_of(few).count("unsafe-eval") == 0
    assert policy_of(many).count("unsafe-eval") == 1


def policy_of(figure: object) -> str:
    from splitbrain.harness.report.anomaly.drawn_anomaly import DrawnAnomaly
    from splitbrain.harness.report.anomaly.proof import Proof

    drawn = DrawnAnomaly(1, "", Anomaly("k", "b"), Proof((), (), (), 0), None, None)
    text = render_figures(
        "picture.html.j2", {"timeline": figure}, title="t", anomalies=[drawn], left_out=0, spans={},
        fault_words={},
    )
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    return found[1]
