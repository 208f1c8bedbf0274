"""The reader of blocks returns the same history as the reader of single events."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.synthetic.generator import generate
from splitbrain.histories import reader
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.history import History, read_events
from splitbrain.histories.kv import Put, PutResult, Range
from splitbrain.histories.recorder import Recorder


@pytest.fixture
def kv_file(tmp_path: Path) -> Path:
    path = tmp_path / "kv.jsonl"
    generated = generate("kv", 500, clients=8, uncertain=0.05, failing=0.05, seed=4)
    path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in generated.events))
    return path


@pytest.mark.parametrize("block_bytes", [50, 4096, 1 << 20])
def test_operations_and_events_equal_those_of_the_single_lines(
    kv_file: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", block_bytes)
    whole = History.of(read_events(kv_file))
    history = History.read(kv_file)
    assert history.operations == whole.operations
    assert len(history.events) == len(whole.events)
    assert tuple(history.events) == whole.events


def test_a_last_line_that_is_cut_short_is_dropped_and_its_operation_has_no_completion(
    kv_file: Path,
) -> None:
    lines = kv_file.read_bytes()
    kv_file.write_bytes(lines[:-20])
    history = History.read(kv_file)
    assert history == History.of(read_events(kv_file))
    assert history.operations[-1].outcome == "info"
    assert history.operations[-1].returned is None
    kv_file.write_bytes(lines[:-1])
    assert History.read(kv_file).operations[-1].outcome == "ok"


def test_faults_and_pending_operations_are_read(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    with Recorder(path) as recorder:
        recorder.fault("kill", FaultEvent(0, "begin"))
        recorder.invoke(0, "put", Put("a", "1"), "n1")
        recorder.fault("kill", FaultEvent(0, "ended", ("n1",)))
    history = History.read(path)
    assert history == History.of(read_events(path))
    assert history.faults[0].members == ("n1",)
    assert history.operations[0].returned is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"index": 9}\n', "2: not an event of a history"),
        (b"nonsense\n", "2: not an event of a history"),
        (b'{"index":1,"time":1,"process":1,"type":"invoke","f":"put"}\n', "is not valid"),
        (b'{"index":1,"time":1,"process":3,"type":"fail","f":"put"}\n', "without an invocation"),
        (
            b'{"index":1,"time":1,"process":0,"type":"invoke","f":"get",'
            b'"value":{"op":"range","key":"a"}}\n',
            "while its operation of event 0 is still pending",
        ),
    ],
)
def test_the_error_for_an_invalid_history_names_the_line_or_the_event(
    tmp_path: Path, line: bytes, message: str
) -> None:
    path = tmp_path / "h.jsonl"
    with Recorder(path) as recorder:
        recorder.invoke(0, "put", Put("a", "1"), "n1")
    path.write_bytes(path.read_bytes() + line + b'{"index":')
    with pytest.raises(HistoryError, match=message):
        History.read(path)


def test_text_in_answers_and_errors_is_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    with Recorder(path) as recorder:
        recorder.invoke(0, "get", Range("ключ"), "n1")
        recorder.fail(0, "get", "n1", "refused")
        recorder.invoke(0, "put", Put("a", '"\\xff"'), "n2")
        recorder.ok(0, "put", PutResult(), "n2")
    assert History.read(path) == History.of(read_events(path))


def test_a_fault_that_failed_to_begin_has_ended_and_one_that_failed_to_heal_has_not(
    tmp_path: Path,
) -> None:
    with Recorder(tmp_path / "history.jsonl") as recorder:
        recorder.fault("kill", FaultEvent(0, "begin"))
        recorder.fault("kill", FaultEvent(0, "failed", error="no leader"))
        for phase in ("begin", "began", "end"):
            recorder.fault("pause", FaultEvent(1, phase, ("n1",)))
        recorder.fault("pause", FaultEvent(1, "failed", ("n1",), error="no SIGCONT"))
    first, second = History.read(tmp_path / "history.jsonl").faults
    assert first.end is not None
    assert (first.failed, second.failed, second.end) == ("no leader", "no SIGCONT", None)


def test_the_fast_reader_reads_every_kind_of_completion_that_a_run_records(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    with Recorder(path) as recorder:
        for process in range(3):
            recorder.invoke(process, "put", Put("a", "1"), "n1")
        recorder.ok(0, "put", PutResult(), "n1")
        recorder.fail(1, "put", "n1", "refused")
        recorder.info(2, "put", "n1", "timeout")
    found = reader.read_blocks(path)
    assert [op.outcome for op in found.operations] == ["ok", "fail", "info"]
    assert tuple(found.events) == tuple(read_events(path))
