"""A run can be exported as a Perfetto trace, valid by the format's schema, and complete."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.report.perfetto.export import rows_of
from splitbrain.harness.report.run_data import Run, read_run

SIMULATED = [
    "sim", "--mutant", "compare_lost", "--workload", "kv", "--nodes", "3", "--nemesis",
    "kill,partition", "--time-limit", "3", "--seed", "3", "--no-report",
]


def problems_of(data: bytes) -> list[str]:
    """What is wrong with a trace, by the schema and by the rules of track events."""
    trace = Trace.FromString(data)
    if trace.SerializeToString() != data:
        return ["the file contains fields that the schema does not have, or in another form"]
    problems = []
    parents: dict[int, int] = {}
    depth: Counter[int] = Counter()
    last: dict[int, int] = {}
    for packet in trace.packet:
        kind = packet.WhichOneof("data")
        if kind == "track_descriptor":
            descriptor = packet.track_descriptor
            parents[descriptor.uuid] = descriptor.parent_uuid
            if descriptor.parent_uuid and descriptor.parent_uuid not in parents:
                problems.append(f"track {descriptor.name} is before its parent")
            continue
        if kind != "track_event":
            problems.append(f"a packet contains {kind}")
            continue
        event = packet.track_event
        track = event.track_uuid
        if track not in parents:
            problems.append(f"an event is on the track {track}, which is not described")
        if not packet.trusted_packet_sequence_id:
            problems.append("an event belongs to no sequence")
        if packet.timestamp < last.get(track, 0):
            problems.append(f"the events of track {track} are not in the order of time")
        last[track] = packet.timestamp
        depth[track] += {TrackEvent.TYPE_SLICE_BEGIN: 1, TrackEvent.TYPE_SLICE_END: -1}.get(
            event.type, 0
        )
        if not 0 <= depth[track] <= 1:
            problems.append(f"the slices of track {track} overlap, or one ends that did not begin")
    problems += [f"a slice of track {track} does not end" for track, one in depth.items() if one]
    return problems


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a planted bug. It has a process of its own, because the bug stays in the process."""
    store = tmp_path_factory.mktemp("store")
    command = [sys.executable, "-m", "splitbrain", *SIMULATED, "--store", str(store)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    return read_run((store / "latest").resolve())


@pytest.fixture(scope="module")
def trace(run: Run, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("out") / "run.pftrace"
    words = ["export", str(run.folder), "--format", "perfetto", "-o", str(out)]
    assert run_main(words) == 0
    return out.read_bytes()


def test_the_trace_is_valid(trace: bytes) -> None:
    assert problems_of(trace) == []


def test_a_damaged_trace_is_not_valid(trace: bytes) -> None:
    whole = Trace.FromString(trace)
    ends = [
        place for place, packet in enumerate(whole.packet)
        if packet.track_event.type == TrackEvent.TYPE_SLICE_END
    ]
    without_end = Trace()
    without_end.packet.extend(one for at, one in enumerate(whole.packet) if at != ends[5])
    assert any("end" in one for one in problems_of(without_end.SerializeToString()))
    without_tracks = Trace()
    without_tracks.packet.extend(
        one for one in whole.packet if one.WhichOneof("data") != "track_descriptor"
    )
    assert any("described" in one for one in problems_of(without_tracks.SerializeToString()))
    with pytest.raises(DecodeError):
        problems_of(trace[:-3])


def test_the_trace_contains_every_operation_fault_anomaly_and_step(run: Run, trace: bytes) -> None:
    packets = Trace.FromString(trace).packet
    begun = [one for one in packets if one.track_event.type == TrackEvent.TYPE_SLICE_BEGIN]
    names = {one.track_descriptor.uuid: one.track_descriptor.name for one in packets
             if one.WhichOneof("data") == "track_descriptor"}
    where = Counter(names[one.track_event.track_uuid].split()[0] for one in begun)
    assert run.steps is not None
    assert run.faults
    assert where["process"] == len(run.spans)
    assert where["faults"] == len(run.faults)
    assert where["phases"] == len(run.facts.phases)
    steps = [one for one in run.steps.ns if one >= 0]
    assert sum(where[name] for name in run.steps.members) == len(steps) > 100
    instants = [one for one in packets if one.track_event.type == TrackEvent.TYPE_INSTANT]
    assert run.results is not None
    assert len(instants) == len(run.results.anomalies) > 0
    counted = [one.track_event.counter_value for one in packets
               if one.track_event.type == TrackEvent.TYPE_COUNTER]
    assert sum(counted) == len([one for one in run.spans if one.ended is not None])


def test_an_arrow_leads_from_a_write_to_its_steps_on_all_members_in_its_time(
    run: Run, trace: bytes
) -> None:
    packets = Trace.FromString(trace).packet
    names = {one.track_descriptor.uuid: one.track_descriptor.name for one in packets
             if one.WhichOneof("data") == "track_descriptor"}
    of_flow: dict[int, list[tuple[str, str, int]]] = {}
    for one in packets:
        for flow in one.track_event.flow_ids:
            track = names[one.track_event.track_uuid]
            of_flow.setdefault(flow, []).append((track, one.track_event.name, one.timestamp))
    whole = [found for found in of_flow.values()
             if any(track.startswith("process") for track, _, _ in found)]
    assert len(whole) > 3
    for found in whole:
        (call,) = [at for track, _, at in found if track.startswith("process")]
        (accepted,) = [at for _, name, at in found if name == "1 client_request"]
        assert call <= accepted < call + 1_000_000_000
    members = {track.split()[0] for found in whole for track, _, _ in found} - {"process"}
    assert members == {"n1", "n2", "n3"}


def test_rows_never_contain_two_intervals_at_one_time() -> None:
    assert rows_of([(0, 5), (1, 2), (2, 3), (4, 9), (5, 6)]) == [0, 1, 1, 1, 0]


def test_a_file_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", str(tmp_path / "none"), "--format", "perfetto", "-o", str(tmp_path / "x")]
    assert run_main(words) == 254
    assert "expected the folder of a run" in capsys.readouterr().err
