"""A recorded history can be read back, also if the harness was killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from splitbrain.histories.event import FaultEvent
from splitbrain.histories.history import History, read_events
from splitbrain.histories.kv import Header, Put, PutResult, Range
from splitbrain.histories.recorder import Recorder


def test_recorded_events_are_read_as_a_history(tmp_path: Path) -> None:
    with Recorder(tmp_path / "h.jsonl", tmp_path / "n.jsonl") as recorder:
        recorder.invoke(0, "put", Put("a", "1"), "n1")
        recorder.invoke(1, "get", Range("a"), "n2")
        recorder.fault("kill", FaultEvent(0, "begin"))
        recorder.ok(0, "put", PutResult(Header(2)), "n1")
        recorder.info(1, "get", "n2", "timed out")
        recorder.invoke(11, "put", Put("b", "2"), "n1")
        recorder.fail(11, "put", "n1", "refused")
        recorder.fault("kill", FaultEvent(0, "ended", ("n1",)))
    history = History.read(tmp_path / "h.jsonl")
    assert [event.index for event in history.events] == list(range(8))
    times = [event.time for event in history.events]
    assert times == sorted(times)
    assert [(one.process, one.outcome, one.error) for one in history.operations] == [
        (0, "ok", None), (1, "info", "timed out"), (11, "fail", "refused"),
    ]
    assert history.operations[0].result == PutResult(Header(2))
    assert history.faults[0].members == ("n1",)
    assert len(list(read_events(tmp_path / "n.jsonl"))) == 2


def test_a_harness_that_is_killed_loses_no_recorded_event(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from splitbrain.histories.kv import Put; "
        "from splitbrain.histories.recorder import Recorder\n"
        "r = Recorder(Path(sys.argv[1]))\n"
        "for n in range(100): r.invoke(n, 'put', Put('a', str(n)), 'n1')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False,
                           env={**os.environ, "PYTHONPATH": "."})
    assert ended.returncode == -9
    assert len(list(read_events(path))) == 100


def test_recording_an_operation_takes_a_small_part_of_its_time(tmp_path: Path) -> None:
    count = 5_000
    with Recorder(tmp_path / "h.jsonl") as recorder:
        began = time.process_time()
        for number in range(count):
            recorder.invoke(number, "put", Put("a", str(number)), "n1")
            recorder.ok(number, "put", PutResult(Header(number)), "n1")
        seconds = time.process_time() - began
    assert seconds / count < 0.0005
