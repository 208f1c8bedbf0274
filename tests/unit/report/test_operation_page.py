"""The page of one operation shows its steps, as a sequence diagram if there is a playback."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.playback.sequence_diagram import sequence_diagram
from splitbrain.harness.report.run_data import read_run
from splitbrain.harness.report.web.operation_page import followed, render_operation
from splitbrain.harness.report.write_path.waterfall_options import writes_by_revision
from splitbrain.harness.simulation.state_recording import MemberMoment, Recording, SentMessage
from tests.unit.report.synthetic_run import SyntheticRun, write_run

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_run(tmp_path / "store" / "t" / "r", SyntheticRun(60, hostile=HOSTILE))
    record = msgspec.json.decode((folder / "run.json").read_bytes())
    (folder / "run.json").write_bytes(msgspec.json.encode({**record, "clock_origin_ns": 0}))
    return folder


def page(folder: Path, **query: str) -> str:
    return render_operation(folder.parents[1], folder, query)


def test_a_write_is_followed_by_the_revision_in_its_answer(folder: Path) -> None:
    run = read_run(folder)
    assert run.steps is not None
    checked = 0
    for revision, span in writes_by_revision(run.spans).items():
        (write,), why = followed(run, span)
        assert why == ""
        assert write.revision == revision
        assert write.rows[0].step == "client_request"
        assert write.members == ("n1", "n2", "n3")
        for row in write.rows:
            for cell in row.cells:
                assert cell is None or 0 <= cell.left <= 100 >= cell.width > 0
        checked += 1
    assert checked > 5
    text = page(folder, event=str(span.invoked))
    assert f"revision {revision}" in text
    assert text.count("follower_wal") == 1


def test_a_read_and_a_run_without_traces_say_why_there_are_no_steps(
    folder: Path, tmp_path: Path
) -> None:
    run = read_run(folder)
    read = next(one for one in run.spans if one.request.startswith(b'{"op":"range"'))
    assert followed(run, read) == ((), "A read has no steps on the write path.")
    untraced = read_run(write_run(tmp_path / "untraced", SyntheticRun(30, traced=False)))
    assert "wrote no traces" in followed(untraced, untraced.spans[0])[1]


def test_an_unanswered_write_has_the_writes_that_its_member_accepted_in_its_time(
    folder: Path,
) -> None:
    run = read_run(folder)
    assert run.steps is not None
    row = 3
    accepted = run.steps.called(row)
    assert accepted is not None
    run.steps.revisions[row] = 0
    span = Span(
        process=99, f="put", node=accepted[1], outcome="info", error=None, invoked=1, returned=None,
        request=b'{"op":"put","key":"k","value":"v"}', answer=b"", call=accepted[0] - 1,
        ended=accepted[0] + 1,
    )  # fmt: skip
    found, why = followed(run, span)
    assert [one.request for one in found] == [run.steps.requests[row]]
    assert why == ""
    elsewhere = msgspec.structs.replace(span, node="n9")
    assert followed(run, elsewhere) == ((), "No trace shows that n9 accepted this request.")


def test_operations_are_listed_found_and_escaped(folder: Path) -> None:
    text = page(folder)
    assert "60 operations" in text
    assert HOSTILE not in text
    key = re.findall(r"<span>get (\w+)", text)[0]
    some = int(re.findall(r"([\d,]+) operations", page(folder, find=f"get {key}"))[0])
    assert 0 < some < 60


@pytest.mark.parametrize("event", ["x", "-1", "999999", "9" * 30])
def test_an_event_that_does_not_exist_is_an_error(folder: Path, event: str) -> None:
    with pytest.raises(BadArguments, match="no operation of this run"):
        page(folder, event=event)


# --- the sequence diagram ---------------------------------------------------------------


def recording(*messages: SentMessage) -> Recording:
    moments = (
        MemberMoment(us=0, member="n1", role="down"),
        MemberMoment(us=5, member="n1", role="leader", term=2),
        MemberMoment(us=5, member="n2", role="follower", term=2),
    )
    return Recording(members=("n1", "n2"), moments=moments, messages=messages, complete=True)


def put(process: int, call_us: int, ended_us: int) -> Span:
    return Span(
        process=process, f="put", node="n1", outcome="ok", error=None, invoked=0, returned=1,
        request=b'{"op":"put","key":"k","value":"v"}', answer=b'{"type":"put"}',
        call=call_us * 1000, ended=ended_us * 1000,
    )  # fmt: skip


def test_the_arrows_are_in_the_order_of_time_and_lost_messages_do_not_arrive() -> None:
    made = sequence_diagram(
        recording(
            SentMessage(20, "n1", "n2", "append 3 to 3, term 2", 40),
            SentMessage(30, "n2", "n1", "vote, term 3", None),
            SentMessage(35, "n1", "n2", "heartbeat, term 2", 36),
        ),
        [put(4, 10, 50)], [], [],
    )
    assert [one.name for one in made.lifelines] == ["client 4", "n1", "n2"]
    assert [one.is_client for one in made.lifelines] == [True, False, False]
    assert made.heartbeats == 1
    assert [one.kind for one in made.arrows] == ["request", "answer", "append", "vote"]
    request, answer, append, vote = made.arrows
    assert request.y1 == request.y2 < append.y1 < vote.y1 < append.y2 < answer.y1 < made.height
    assert (append.x1, append.x2) == (made.lifelines[1].x, made.lifelines[2].x)
    assert vote.lost
    assert made.lifelines[1].x < vote.x2 < made.lifelines[2].x
    assert "leader, term 2" in [one.text for one in made.notes]


def test_the_diagram_ends_with_the_first_anomaly_and_keeps_the_last_messages() -> None:
    messages = [
        SentMessage(at, "n1", "n2", f"append {at}, term 2", at + 1) for at in range(10, 400, 2)
    ]
    made = sequence_diagram(
        recording(*messages), [put(1, 11, 12)], [(300, "later"), (250, "stale read")],
        [(240, 260, "kill n2")],
    )
    texts = [one.text for one in made.notes]
    assert "stale read" in texts
    assert "kill n2 begins" in texts
    assert "kill n2 ends" not in texts
    assert made.arrows[-1].whole == "append 250, term 2"
    assert made.left_out == len(range(10, 251, 2)) - 80
    assert [one.kind for one in made.arrows[:2]] == ["request", "answer"]
