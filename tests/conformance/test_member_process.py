"""A member as a process refuses wrong flags and data, logs messages, and catches up with others."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from tests.conformance.server_pair import etcd_binary

pytestmark = pytest.mark.cluster


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def flags(folder: Path, **changed: str) -> list[str]:
    """The flags of a cluster of one member; `changed` overrides flags, named with underscores."""
    peer = f"http://127.0.0.1:{free_port()}"
    values = {
        "name": "n1",
        "data-dir": str(folder / "d"),
        "listen-client-urls": f"http://127.0.0.1:{free_port()}",
        "listen-peer-urls": peer,
        "initial-cluster": f"n1={peer}",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return [argument for name, value in values.items() for argument in (f"--{name}", value)]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "splitbrain.node", *arguments]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def expect_refusal(arguments: list[str]) -> tuple[int, str]:
    """Start a member that must refuse to start; returns its exit code and its output."""
    process = start(arguments)
    try:
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, output


def start_serving(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a member and wait until it has acknowledged a put of the key `a`."""
    process = start(arguments)
    url = arguments[arguments.index("--listen-client-urls") + 1]
    for _ in range(200):
        try:
            body = {"key": "YQ==", "value": "Yg=="}
            if requests.post(f"{url}/v3/kv/put", json=body, timeout=5).status_code == 200:
                return process
        except requests.ConnectionError:
            pass
        assert process.poll() is None, process.communicate()
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    raise AssertionError("the member did not serve")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "n2"}, "--name 'n2' is not in --initial-cluster"),
        ({"listen_client_urls": "https://127.0.0.1:1"}, "needs a certificate"),
        ({"peer_cert_file": "/x", "peer_key_file": "/x"}, "--peer-cert-file /x with /x cannot be"),
        ({"election_timeout": "200"}, "at least 5 times --heartbeat-interval"),
        ({"heartbeat_interval": "soon"}, "is not a valid integer"),
        ({"initial_cluster": "n1"}, "expected NAME=URL"),
        ({"backend_batch_limit": "0"}, "--backend-batch-limit is 0; expected 1 or more"),
        ({"snapshot_catchup_entries": "-1"}, "expected 0 or more"),
    ],
)
def test_wrong_flags_are_refused_without_a_traceback(
    changed: dict[str, str], message: str, tmp_path: Path
) -> None:
    code, text = expect_refusal(flags(tmp_path, **changed))
    assert code == 2
    assert message in text
    assert "Traceback" not in text


def test_data_and_addresses_in_use_are_refused_and_sigterm_stops_a_member(
    tmp_path: Path,
) -> None:
    arguments = flags(tmp_path)
    running = start_serving(arguments)
    try:
        code, text = expect_refusal(flags(tmp_path))
        assert (code, "is in use by another process" in text) == (1, True), text
        url_in_use = arguments[arguments.index("--listen-client-urls") + 1]
        other_data = flags(tmp_path / "other", listen_client_urls=url_in_use)
        code, text = expect_refusal(other_data)
        assert (code, f"something else listens on {url_in_use}" in text) == (1, True), text
        url_in_use = arguments[arguments.index("--listen-peer-urls") + 1]
        code, text = expect_refusal(flags(tmp_path / "third", listen_peer_urls=url_in_use))
        assert (code, f"something else listens on {url_in_use}" in text) == (1, True), text
        assert not (tmp_path / "third" / "d" / "member").exists()
    finally:
        running.terminate()
        assert running.wait(10) == 0


def test_a_member_that_cannot_start_reports_the_reason_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "incarnation").write_text("many\n")
    for changed, message in (
        ({"trace_file": str(tmp_path / "file" / "trace")}, "cannot be written: "),
        ({"data_dir": str(tmp_path / "file")}, "File exists"),
        ({"data_dir": str(tmp_path / "damaged")}, "data directory contains b'many'"),
        ({"quota_backend_bytes": str(2**60)}, "decrease --quota-backend-bytes"),
    ):
        code, text = expect_refusal(flags(tmp_path, **changed))
        assert (code, message in text, "Traceback" in text) == (1, True, False), text


def test_the_data_of_another_member_is_refused(tmp_path: Path) -> None:
    arguments = flags(tmp_path)
    first = start_serving(arguments)
    first.terminate()
    first.wait(10)
    code, text = expect_refusal(flags(tmp_path, initial_cluster_token="another"))
    assert code == 1
    assert "belongs to" in text
    assert "or another --data-dir" in text


async def listed_client_urls(system: ProcessCluster, member: str) -> dict[str, list[str]]:
    """The client URLs of all members as `member` lists them, in its order."""
    url = f"{system.address(member).client_url}/v3/cluster/member/list"
    try:
        answer = await asyncio.to_thread(requests.post, url, json={}, timeout=5)
    except requests.ConnectionError:
        return {}  # the member does not serve yet
    assert answer.status_code == 200, answer.text
    members = answer.json()["members"]
    assert [int(one["ID"]) for one in members] == sorted(int(one["ID"]) for one in members)
    return {one["name"]: one.get("clientURLs", []) for one in members}


def etcd(settings: ClusterSettings) -> ProcessCluster:
    if etcd_binary() is None:
        pytest.skip("no etcd: install the extra `etcd`")
    return Etcd(settings)


@pytest.mark.parametrize("make", [PythonNode, etcd], ids=["python_node", "etcd"])
def test_each_member_lists_the_client_urls_of_all_members_also_after_a_restart(
    tmp_path: Path, make: Callable[[ClusterSettings], ProcessCluster]
) -> None:
    async def scenario() -> None:
        system = make(
            ClusterSettings(
                members=("n1", "n2", "n3"), folder=tmp_path, heartbeat_ms=50, election_ms=500,
                proxied=False,
            )
        )
        try:
            await system.start()
            expected = {name: [system.address(name).client_url] for name in system.members}

            async def all_agree() -> None:
                async with asyncio.timeout(20):
                    for name in system.members:
                        while await listed_client_urls(system, name) != expected:
                            await asyncio.sleep(0.05)

            await all_agree()
            await asyncio.gather(*(system.kill(name) for name in system.members))
            await asyncio.gather(*(system.restart(name) for name in system.members))
            await all_agree()
        finally:
            await system.stop()

    asyncio.run(scenario())


def test_a_member_that_missed_the_tail_of_the_log_catches_up_from_a_snapshot(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        system = PythonNode(
            ClusterSettings(
                members=("n1", "n2", "n3"),
                folder=tmp_path,
                heartbeat_ms=50,
                election_ms=500,
                extra_args=("--snapshot-count", "20", "--snapshot-catchup-entries", "5"),
            )
        )
        try:
            await system.start()
            leader = await system.leader()
            assert leader is not None
            late = next(name for name in system.members if name != leader)
            await system.kill(late)
            url = f"{system.address(leader).client_url}/v3/kv/put"
            for number in range(200):
                body = {"key": "azE=", "value": f"{number:04}"}
                answer = await asyncio.to_thread(requests.post, url, json=body, timeout=5)
                assert answer.status_code == 200
            await system.restart(late)
            async with asyncio.timeout(20):
                while True:
                    states = [await system.state(name) for name in system.members]
                    if len({(state.revision, state.hash) for state in states}) == 1:
                        break
                    await asyncio.sleep(0.1)
            assert states[0].revision == 201
            assert "restored a snapshot" in system.log_path(late).read_text()
            # The snapshot contains the client URLs that were published before it.
            assert await listed_client_urls(system, late) == {
                name: [system.address(name).client_url] for name in system.members
            }
        finally:
            await system.stop()

    asyncio.run(scenario())
