"""A member that samples where the CPU time of its main thread goes.

    python -m tests.benchmarks.sampled_member FILE -- FLAGS…

At SIGUSR1, the samples begin. At SIGUSR2, they end, and `FILE.PID` receives them as JSON: CPU
seconds by stage, and CPU seconds of the other threads by name. A timer of the process's CPU time
interrupts the main thread. Each sample adds the CPU time of the main thread since the sample before
to the stage of the function that runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STAGES: tuple[tuple[str, str], ...] = (
    ("node/real/client_splice.py", "gRPC: bytes between the client port and grpcio"),
    ("grpc/", "gRPC: grpcio's Python code"),
    ("node/api/grpc_server.py", "gRPC: the server's functions"),
    ("node/api/protobuf_codec.py", "request and response: protobuf"),
    ("google/protobuf", "request and response: protobuf"),
    ("node/real/http_", "HTTP: connections, with the parser"),
    ("node/real/eager_call.py", "HTTP: connections, with the parser"),
    ("node/real/client_port.py", "HTTP: connections, with the parser"),
    ("node/api/fast_json_requests.py", "request and response: JSON"),
    ("node/api/exact_json_requests.py", "request and response: JSON"),
    ("node/api/json", "request and response: JSON"),
    ("node/api/http", "HTTP: the gateway's functions"),
    ("node/api/", "service: checks, answers, metrics"),
    ("node/messages/", "service: checks, answers, metrics"),
    ("node/auth/", "service: checks, answers, metrics"),
    ("node/metrics", "service: checks, answers, metrics"),
    ("prometheus_client/", "service: checks, answers, metrics"),
    ("node/waiting_requests.py", "service: the request that waits"),
    ("node/server.py", "service: the request that waits"),
    ("node/step_trace.py", "service: the request that waits"),
    ("node/raft_driver.py", "Raft: driver"),
    ("node/raft/", "Raft: core"),
    ("node/peer", "peers: frames and connections"),
    ("node/transport.py", "peers: frames and connections"),
    ("node/real/peer_connection.py", "peers: frames and connections"),
    ("node/storage/", "write-ahead log and backend"),
    ("node/member_storage.py", "write-ahead log and backend"),
    ("node/real/disk.py", "write-ahead log and backend"),
    ("concurrent/futures", "write-ahead log and backend"),
    ("node/mvcc/", "apply: store"),
    ("node/apply/", "apply: entries"),
    ("node/lease/", "apply: entries"),
    ("node/", "other functions of the member"),
)
"""A part of a file's path → the stage of its functions. The first one that matches counts."""
LOOP = "event loop and sockets; over gRPC, also grpcio's compiled code"


class Sampler:
    def __init__(self, target: str) -> None:
        self._target = target
        self._seconds: dict[str, float] = defaultdict(float)
        self._stage_of: dict[str, str] = {}
        self._last_s = 0.0
        self._threads: dict[int, tuple[str, float]] = {}

    def begin(self, _number: int, _frame: FrameType | None) -> None:
        self._seconds.clear()
        self._threads = threads()
        self._last_s = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def sample(self, _number: int, frame: FrameType | None) -> None:
        now_s = time.thread_time()
        self._seconds[self._stage(frame)] += now_s - self._last_s
        self._last_s = time.thread_time()

    def end(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        for thread, (name, seconds) in threads().items():
            if thread != os.getpid():
                before = self._threads.get(thread, ("", 0.0))[1]
                self._seconds[f"thread {name}"] += seconds - before
        path = Path(f"{self._target}.{os.getpid()}")
        path.with_suffix(".part").write_text(json.dumps(self._seconds))
        path.with_suffix(".part").rename(path)

    def _stage(self, frame: FrameType | None) -> str:
        while frame is not None:
            path = frame.f_code.co_filename
            stage = self._stage_of.get(path)
            if stage is None:
                stage = next((name for part, name in STAGES if part in path), "")
                self._stage_of[path] = stage
            if stage and not path.endswith("node/__main__.py"):
                return stage
            frame = frame.f_back
        return LOOP


def threads() -> dict[int, tuple[str, float]]:
    """Thread id → its name and its CPU seconds."""
    names = {one.native_id: one.name for one in threading.enumerate()}
    found = {}
    for place in Path("/proc/self/task").iterdir():
        text = (place / "stat").read_text()
        name = names.get(int(place.name), text[text.index("(") + 1 : text.rindex(")")])
        fields = text[text.rindex(")") + 2 :].split()
        found[int(place.name)] = (name, (int(fields[11]) + int(fields[12])) / TICKS_PER_S)
    return found


if __name__ == "__main__":
    from splitbrain.node.__main__ import main

    sampler = Sampler(sys.argv[1])
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, sampler.end)
    main(args=sys.argv[3:], prog_name="python -m splitbrain.node")
