"""A member that is stopped by SIGTERM trims its log, and starts from it again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import requests

from tests.conformance.test_member_process import flags, start_serving

pytestmark = pytest.mark.cluster

SEGMENT_BYTES = 64 * 1024**2


def wal_bytes(data_dir: Path) -> tuple[int, int]:
    """The total size of the log's files, and the disk space that they occupy."""
    found = [path.stat() for path in (data_dir / "member" / "wal").iterdir()]
    return sum(one.st_size for one in found), sum(one.st_blocks * 512 for one in found)


def test_a_stopped_member_keeps_no_preallocated_space_and_starts_again(tmp_path: Path) -> None:
    arguments = flags(tmp_path)
    url = arguments[arguments.index("--listen-client-urls") + 1]
    versions = []
    for stop in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        member = start_serving(arguments)
        try:
            answer = requests.post(f"{url}/v3/kv/range", json={"key": "YQ=="}, timeout=5).json()
            versions.append(int(answer["kvs"][0]["version"]))
            assert wal_bytes(tmp_path / "d")[0] >= SEGMENT_BYTES
            member.send_signal(stop)
            member.wait(10)
        finally:
            member.kill()
            member.wait()
        size, occupied = wal_bytes(tmp_path / "d")
        if stop == signal.SIGTERM:
            assert member.returncode == 0
            assert max(size, occupied) < 64 * 1024
        else:
            assert size >= SEGMENT_BYTES
    # `start_serving` puts the key once after each start.
    assert versions == [1, 2, 3, 4]
