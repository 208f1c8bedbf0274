"""Runs with TLS for clients and peers are valid, with members of this project and of etcd."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options
from tests.conformance.server_pair import etcd_binary
from tests.conformance.test_local_cluster import COMMAND, PATIENCE_S, free_ports

pytestmark = pytest.mark.cluster


def options(folder: Path, **given: Any) -> Any:
    return read_options({
        "store": str(folder), "tls": True, "nodes": [3], "time_limit_s": 3.0, "rate": 100.0,
        "seed": 11, "nemesis": ["partition"], **given,
    })  # fmt: skip


def test_watches_over_grpc_under_partitions_are_valid(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, client="grpc", workload="watch"))
    assert result.valid is True, (result.error, result.results.verdicts)
    assert all(one.client_url.startswith("https://") for one in result_members(tmp_path))


@pytest.mark.etcd
@pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`")
def test_etcd_over_json_under_partitions_is_valid(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, system="etcd", workload="register"))
    assert result.valid is True, (result.error, result.results.verdicts)


def result_members(folder: Path) -> Any:
    from splitbrain.harness.store.run_folder import RunFolder

    return RunFolder((folder / "latest").resolve()).read_record().members


@pytest.mark.parametrize("given", [{"system": "simulated"}, {"client": "a.b:C"}])
def test_a_system_without_certificates_is_refused(given: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="--tls with"):
        options(tmp_path, **given)


@pytest.mark.etcd
@pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`")
def test_a_local_cluster_prints_a_command_that_works(tmp_path: Path) -> None:
    port = str(free_ports())
    running = subprocess.Popen(
        [
            *COMMAND, "cluster", "--tls", "--members", "1", "--data-dir", str(tmp_path),
            "--client-port", port,
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        running.stdout.readline()
        printed = shlex.split(running.stdout.readline())
        assert printed[0] == "etcdctl"
        program = etcd_binary()
        assert program is not None
        printed[0] = str(Path(program).with_name("etcdctl"))
        done = subprocess.run(
            printed, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert (done.returncode, done.stdout) == (0, "OK\n"), done.stderr
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE_S)
    assert running.returncode == 0
