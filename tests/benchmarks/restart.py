"""Time and memory of a restart of one member with 1,000,000 keys of 100 bytes.

The member is stopped by SIGTERM. The time is from its start until it acknowledges a put.
"""

from __future__ import annotations

import base64
import json
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psutil

from tests.benchmarks.figure import Figure, load_average
from tests.conformance.server_pair import OURS_COMMAND, free_port, spawn_server

KEYS = 1_000_000
KEY_BYTES = VALUE_BYTES = 100
PUTS_AT_ONCE = 125
CONNECTIONS = 4
REQUIRED_S, REQUIRED_MIB = 10.0, 1024.0
LIMIT_S = 300.0
MAX_QUOTA = ["--quota-backend-bytes", str(8 * 1024**3)]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _fill(port: int, first: int) -> None:
    """Write every `CONNECTIONS`-th batch of keys, from the batch `first` on."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    value = _text(b"v" * VALUE_BYTES)
    for batch in range(first, KEYS // PUTS_AT_ONCE, CONNECTIONS):
        puts = [
            {"request_put": {"key": _text(b"%0*d" % (KEY_BYTES, batch * PUTS_AT_ONCE + one)),
                             "value": value}}
            for one in range(PUTS_AT_ONCE)
        ]
        connection.request("POST", "/v3/kv/txn", json.dumps({"success": puts}))
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
    connection.close()


def _count(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"key": "AA==", "range_end": "AA==", "count_only": True}
    connection.request("POST", "/v3/kv/range", json.dumps(body))
    return int(json.loads(connection.getresponse().read()).get("count", 0))


def _wait_for_a_put(port: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            connection.request("POST", "/v3/kv/put", '{"key":"eg=="}')
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the member acknowledged no put within {LIMIT_S} s")


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = {"n1": f"http://127.0.0.1:{free_port()}"}
        command = [*OURS_COMMAND, *MAX_QUOTA]
        server = spawn_server("ours", command, folder / "data", folder / "log", "n1", peers)
        try:
            _wait_for_a_put(server.port)
            began = time.perf_counter()
            with ThreadPoolExecutor(CONNECTIONS) as threads:
                list(threads.map(lambda one: _fill(server.port, one), range(CONNECTIONS)))
            filled_s = time.perf_counter() - began
            before_mib = psutil.Process(server.process.pid).memory_info().rss / 1024**2
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(60)
        finally:
            server.stop()
        began = time.perf_counter()
        server = spawn_server("ours", command, folder / "data", folder / "log2", "n1", peers)
        try:
            _wait_for_a_put(server.port)
            seconds = time.perf_counter() - began
            process = psutil.Process(server.process.pid)
            times, memory = process.cpu_times(), process.memory_info().rss
            keys = _count(server.port)
        finally:
            server.stop()
    assert keys >= KEYS, f"{keys} of {KEYS} keys are left"
    notes: dict[str, float | str] = {
        "CPU s": round(times.user + times.system, 2), "MiB before the stop": round(before_mib),
        "s to write the keys": round(filled_s), "load average": load_average(),
    }  # fmt: skip
    return [
        Figure(
            name=f"restart of a member with {KEYS:,} keys of {KEY_BYTES} bytes, values as long",
            unit="wall s", value=round(seconds, 2), bound=REQUIRED_S, bound_kind="at most",
            notes=notes,
        ),
        Figure(
            name="resident memory after this restart", unit="MiB", value=round(memory / 1024**2),
            bound=REQUIRED_MIB, bound_kind="at most",
        ),
    ]  # fmt: skip
