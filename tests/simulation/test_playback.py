"""The playback shows what happened, and recording a run does not change it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drawing.schedule_drawing import draw_schedule, draw_swarm_schedule
from splitbrain.harness.report.playback.page import Mark, playback, render
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.simulation.simulate import simulate
from splitbrain.harness.simulation.state_recording import (
    MemberMoment,
    Recording,
    SentMessage,
    StateRecorder,
)
from splitbrain.harness.store.run_folder import RunFolder

SHORT = {
    "system": "simulated", "workload": "register", "nodes": [3], "nemesis": ["kill", "partition"],
    "time_limit_s": 1.5,
}
COMMAND = "from splitbrain.harness.cli.main import main; main()"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_recorded_run_is_the_same_run(tmp_path: Path) -> None:
    schedule = draw_swarm_schedule(3, SHORT)
    recorder = StateRecorder()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = simulate(schedule, RunFolder(tmp_path / "a"))
    recorded = simulate(schedule, RunFolder(tmp_path / "b"), recorder=recorder)
    assert (recorded.digest, recorded.events) == (plain.digest, plain.events)
    recording = recorder.recording()
    assert recording.complete
    assert recording.members == ("n1", "n2", "n3")
    roles = {one.role for one in recording.moments}
    assert {"leader", "follower", "down"} <= roles
    times = [one.us for one in recording.moments]
    assert times == sorted(times)
    for one in recording.moments:
        assert one.compacted <= one.last
        assert one.committed <= one.last
        assert one.role != "leader" or one.leader == one.member
    arrived = [one for one in recording.messages if one.arrived_us is not None]
    assert arrived
    assert all(one.sent_us <= (one.arrived_us or 0) for one in arrived)
    assert any(one.text.startswith("append ") for one in arrived)
    assert all(one.source != one.target for one in arrived)


def test_the_page_marks_faults_and_no_anomaly_of_a_valid_run() -> None:
    data = data_of(playback(draw_swarm_schedule(3, SHORT)))
    assert data["marks"] == []
    assert data["faults"]
    assert data["end"] > 1_500_000


def test_the_moment_at_which_a_planted_bug_commits_too_early_is_marked(tmp_path: Path) -> None:
    schedule = tmp_path / "early.schedule"
    lines = [
        "# A schedule of Splitbrain, format 2", "seed 1", "members n1 n2 n3",
        'option mutant "commit_before_quorum"', "lasts 500 ms",
    ]
    schedule.write_text("\n".join(lines) + "\n")
    page = tmp_path / "page.html"
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "playback", str(schedule), "-o", str(page)], check=False,
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    data = data_of(page.read_text())
    first_us, text = data["marks"][0]
    assert re.search(r"n\d committed entry \d+ of term \d+, which is durable only on n\d", text)
    commits = [one for one in data["moments"] if one[0] == first_us and one[9] > 0]
    assert commits, "a member's commit index changes at the marked moment"


def test_a_run_of_processes_cannot_be_played_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(system="python_node", seed=1, time_limit_s=0.2, nemesis=(), nodes=(1,))
    RunFolder(tmp_path).write_schedule(draw_schedule(options))
    assert run_main(["playback", str(tmp_path)]) == 254
    assert "only a simulated run" in capsys.readouterr().err


HOSTILE = "</script><b>x</b>"
RECORDING = Recording(
    members=("n1", "n2"),
    moments=(
        MemberMoment(us=0, member="n1", role="down"), MemberMoment(us=0, member="n2", role="down"),
        MemberMoment(us=100, member="n1", role="leader", term=7, leader="n1", last=9, committed=8),
        MemberMoment(us=200, member="n2", role="follower", term=7, leader="n1", last=9),
    ),
    messages=(
        SentMessage(150, "n1", "n2", f"append 9 to 9 {HOSTILE}", 400),
        SentMessage(160, "n2", "n1", "vote"),
    ),
    complete=False,
)


def a_page() -> str:
    begin = Mark(120, f"kill n2 {HOSTILE}")
    return render(RECORDING, [Mark(300, f"mvcc: {HOSTILE}")], [(begin, None)], f"title {HOSTILE}")


def test_nothing_in_a_run_becomes_html_or_a_script() -> None:
    page = a_page()
    assert "<b>x</b>" not in page
    assert page.count("<script") == 2
    assert "The run is longer than the recording" in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1400, 500])
def test_the_page_shows_the_states_at_the_first_anomaly_in_a_browser(
    tmp_path: Path, width: int
) -> None:
    file = tmp_path / "page.html"
    file.write_text(a_page())
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom",
         file.as_uri()],
        capture_output=True, text=True, check=False, timeout=120,
    )
    rows = re.findall(r"<tr[^>]*>(<td.*?)</tr>", done.stdout)
    cells = [re.findall(r">([^<]*)</td>", row) for row in rows]
    assert [one[:4] for one in cells] == [
        ["n1", "leader", "7", "n1"], ["n2", "follower", "7", "n1"],
    ]
    assert "append 9 to 9 &lt;/script&gt;" in done.stdout
    assert "(lost)" in done.stdout
    assert "in force: kill n2" in done.stdout
