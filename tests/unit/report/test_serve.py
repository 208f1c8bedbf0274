"""The index lists every run, and the server shows only files in the store."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.report.runs_index import render_index, write_index
from splitbrain.harness.report.web.server import application, listen
from splitbrain.harness.report.write_report import write_report
from tests.unit.report.synthetic_run import SyntheticRun, write_run


def make_store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    write_run(store / "python_node-register" / "20260102T030405Z-7", SyntheticRun(30))
    bad = Anomaly("stale read", "n2 answered <b>old</b>", (3,))
    late = write_run(
        store / "etcd-kv" / "20260102T030505Z-8", SyntheticRun(30, valid=False, anomalies=(bad,))
    )
    write_report(late)
    torn = store / "etcd-kv" / "20260102T030605Z-9"
    torn.mkdir()
    (torn / "run.json").write_text("{")
    (store / "latest").symlink_to("etcd-kv/20260102T030605Z-9")
    (tmp_path / "secret").write_text("do not show")
    return store


def get(store: Path, *paths: str) -> list[tuple[int, dict[str, str], str]]:
    """Status, headers and text of each answer, without following redirections."""

    async def ask() -> list[tuple[int, dict[str, str], str]]:
        answers = []
        async with TestClient(TestServer(application(store))) as client:
            for path in paths:
                asked = URL(path, encoded=True)
                async with client.get(asked, allow_redirects=False) as answer:
                    body = (await answer.read()).decode("utf-8", "replace")
                    answers.append((answer.status, dict(answer.headers), body))
        return answers

    return asyncio.run(ask())


def test_the_index_lists_every_run_the_newest_first(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    text = write_index(store).read_text()
    places = [text.index(name) for name in ("030605Z-9", "030505Z-8", "030405Z-7")]
    assert places == sorted(places)
    assert "3 runs" in text
    assert "n2 answered &lt;b&gt;old&lt;/b&gt;" in text
    assert 'href="etcd-kv/20260102T030505Z-8/report.html"' in text
    assert "<script" not in text


class RunsTable(HTMLParser):
    """The table of runs: the cells of its header, and each run's rows of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.header: list[str] = []
        self.runs: list[list[list[str]]] = []
        self.colspans: list[int] = []
        self._cells: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tbody":
            self.runs.append([])
        elif tag == "tr":
            self._cells = []
            if self.runs:
                self.runs[-1].append(self._cells)
            else:
                self.header = self._cells
        elif tag in ("td", "th") and self._cells is not None:
            self._cells.append("")
            self.colspans += [int(value or 0) for name, value in attrs if name == "colspan"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._cells = None

    def handle_data(self, data: str) -> None:
        if self._cells:
            self._cells[-1] += data


def test_the_first_anomaly_is_whole_in_a_row_of_its_own_under_its_run(tmp_path: Path) -> None:
    store = tmp_path / "store"
    because = "n2 answered " + "r1=40 (mod 41), " * 60 + "expected r1=57"
    bad = Anomaly("stale read", because, (3,))
    write_run(store / "t" / "20260102T030405Z-1", SyntheticRun(30))
    twice = SyntheticRun(30, valid=False, anomalies=(bad, bad))
    write_run(store / "t" / "20260102T030406Z-2", twice)
    table = RunsTable(write_index(store).read_text())
    invalid, valid = table.runs
    assert len(valid) == 1
    assert [len(row) for row in invalid] == [len(table.header), 1]
    assert invalid[1] == [f"linearizability: stale read: {because}"]
    assert table.colspans == [len(table.header)]
    assert "stale read" not in "".join(invalid[0])


def test_the_reason_why_a_run_is_unknown_or_broke_off_is_under_its_row(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_run(store / "t" / "20260102T030405Z-1", SyntheticRun(30, valid=None, traced=False))
    broken = write_run(store / "t" / "20260102T030406Z-2", SyntheticRun(30, valid=None))
    record = json.loads((broken / "run.json").read_bytes())
    (broken / "run.json").write_text(json.dumps({**record, "error": "no port is free"}))
    table = RunsTable(write_index(store).read_text())
    assert [run[1] for run in table.runs] == [
        ["The run failed: no port is free"],
        ["linearizability: unknown; write_path: no member traced"],
    ]


def test_an_index_of_no_runs_says_so(tmp_path: Path) -> None:
    assert "This folder contains no runs" in render_index(tmp_path)


def test_an_index_of_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder of runs"):
        write_index(tmp_path / "none")


def test_the_server_shows_index_folders_logs_and_reports(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    run = "/python_node-register/20260102T030405Z-7"
    index, folder, log, report, member, data = get(
        store, "/", f"{run}/", f"{run}/n1/log", f"{run}/report.html", f"{run}/n1/", f"{run}/n1"
    )
    assert index[0] == 200
    assert f'href="{run}/report.html"' in index[2]
    assert "history.jsonl" in folder[2]
    assert (log[0], log[1]["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "info n1 line 3" in log[2]
    assert report[0] == 200
    assert report[1]["Content-Type"].startswith("text/html")
    assert "<strong>Valid</strong>" in report[2]
    assert not (store / run[1:] / "report.html").exists()  # rendered for this request only
    assert "trace.jsonl" in member[2]
    assert data[0] == 301


def test_a_run_that_appears_is_in_the_index_at_the_next_look(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    assert "3 runs" in get(store, "/")[0][2]
    write_run(store / "etcd-kv" / "20270101T000000Z-1", SyntheticRun(5))
    assert "4 runs" in get(store, "/")[0][2]


OUTSIDE = [
    "/../secret",
    "/..%2fsecret",
    "/%2e%2e/secret",
    "/%2e%2e%2fsecret",
    "/etcd-kv/../../secret",
    "/etcd-kv/..%2f..%2fsecret",
    "/.//etc/passwd",
    "/%2fetc%2fpasswd",
    "/etcd-kv%00/x",
    "/out/secret",
    "/nothing",
    "/" + "x" * 3_000,
]


def test_nothing_out_of_the_store_is_served(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    (store / "out").symlink_to(tmp_path)
    for path, (status, _, text) in zip(OUTSIDE, get(store, *OUTSIDE), strict=True):
        assert status in (400, 404), path
        assert "do not show" not in text
        assert "root:" not in text


def test_a_page_that_a_run_left_behind_is_saved_and_not_shown(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    run = store / "etcd-kv" / "20260102T030505Z-8"
    (run / "n1" / "report.html").write_text("<script>alert(1)</script>")
    (run / "n1" / "data" / "db").write_bytes(b"\x00\x01")
    page, database, latest = get(
        store,
        "/etcd-kv/20260102T030505Z-8/n1/report.html",
        "/etcd-kv/20260102T030505Z-8/n1/data/db",
        "/latest/run.json",
    )
    for answer in (page, database):
        assert answer[1]["Content-Type"] == "application/octet-stream"
        assert answer[1]["X-Content-Type-Options"] == "nosniff"
        assert answer[1]["Content-Disposition"] == "attachment"
    assert latest[2] == "{"


def test_a_report_is_made_of_a_run_that_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "store"
    run = write_run(store / "t" / "20260102T030405Z-7", SyntheticRun(30))
    record = json.loads((run / "run.json").read_bytes())
    (run / "results.json").unlink()
    (run / "run.json").write_text(json.dumps({**record, "ended": "running"}))
    index, report = get(store, "/", "/t/20260102T030405Z-7/report.html")
    assert "still running" in index[2]
    assert "the run was not judged" in report[2]


def test_a_port_that_is_taken_is_refused_in_words() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadArguments, match=f"cannot listen at 127.0.0.1 port {port}"):
            listen("127.0.0.1", port)


def test_serve_says_where_it_is_and_answers_there(tmp_path: Path) -> None:
    make_store(tmp_path)
    code = "import sys; from pathlib import Path; "
    code += "from splitbrain.harness.report.web.server import serve; "
    code += "serve(Path(sys.argv[1]), port=0)"
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"3 runs" in answer.read()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=10) == 0
