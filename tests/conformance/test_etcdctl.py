"""An unmodified etcdctl works with a member of this project, over gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server_pair import (
    OURS_COMMAND,
    Server,
    etcd_binary,
    free_port,
    start_server,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]
PATIENCE_S = 60


class Etcdctl:
    def __init__(self, url: str) -> None:
        program = etcd_binary()
        assert program is not None
        self._command = [str(Path(program).with_name("etcdctl")), f"--endpoints={url}"]
        self.environment = {"ETCDCTL_API": "3"}

    def __call__(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [*self._command, *arguments], env=self.environment, input=given, text=True,
            capture_output=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--write-out=json"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments], env=self.environment, text=True, stdout=subprocess.PIPE
        )


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("etcdctl")
    server = start_server("ours", OURS_COMMAND, folder / "data", folder / "log")
    yield server
    server.stop()


@pytest.fixture
def ctl(member: Server) -> Etcdctl:
    return Etcdctl(f"127.0.0.1:{member.port}")


def test_keys_are_put_read_and_deleted(ctl: Etcdctl) -> None:
    assert ctl("put", "a/1", "one") == "OK\n"
    assert ctl("put", "a/2", "two", "--prev-kv") == "OK\n"
    assert ctl("put", "a/2", "zwei", "--prev-kv") == "OK\na/2\ntwo\n"
    assert ctl("get", "a/", "--prefix", "--sort-by=VALUE", "--order=DESCEND") == (
        "a/2\nzwei\na/1\none\n"
    )
    assert ctl("get", "a/", "--prefix", "--keys-only", "--limit=1") == "a/1\n\n"
    assert '"Count" : 2' in ctl("get", "a/", "--prefix", "--count-only", "--write-out=fields")
    assert ctl("del", "a/", "--prefix", "--prev-kv") == "2\na/1\none\na/2\nzwei\n"
    assert ctl("get", "a/1", "--consistency=s") == ""


def test_a_transaction_executes_one_of_its_branches(ctl: Etcdctl) -> None:
    ctl("put", "t", "1")
    text = 'value("t") = "{}"\n\nput t 2\nget t\n\nget t\n\n'
    assert "SUCCESS\n\nOK\n\nt\n2" in ctl("txn", given=text.format("1"))
    assert "FAILURE\n\nt\n2" in ctl("txn", given=text.format("1"))


def test_a_watch_reports_past_and_present_changes(ctl: Etcdctl) -> None:
    first = ctl.json("put", "w/1", "past")["header"]["revision"]
    watch = ctl.start("watch", "w/", "--prefix", f"--rev={first}")
    try:
        assert watch.stdout is not None
        read = watch.stdout.readline
        assert [read(), read(), read()] == ["PUT\n", "w/1\n", "past\n"]
        ctl("put", "w/2", "present")
        assert [read(), read(), read()] == ["PUT\n", "w/2\n", "present\n"]
        ctl("del", "w/1")
        assert [read(), read()] == ["DELETE\n", "w/1\n"]
    finally:
        watch.kill()
        watch.communicate()


def test_a_compaction_refuses_older_reads(ctl: Etcdctl) -> None:
    ctl("put", "c", "1")
    revision = ctl.json("put", "c", "2")["header"]["revision"]
    ctl("compaction", str(revision))
    with pytest.raises(AssertionError, match="required revision has been compacted"):
        ctl("get", "c", f"--rev={revision - 1}")


def test_the_member_describes_itself(ctl: Etcdctl, member: Server) -> None:
    (status,) = ctl.json("endpoint", "status")
    assert status["Status"]["version"] == "3.5.1"
    assert status["Status"]["leader"] == status["Status"]["header"]["member_id"]
    (hashed,) = ctl.json("endpoint", "hashkv")
    assert hashed["HashKV"]["hash"]
    (listed,) = ctl.json("member", "list")["members"]
    assert listed["clientURLs"] == [f"http://127.0.0.1:{member.port}"]
    assert ctl.json("endpoint", "health")[0]["health"] is True


def test_alarms_and_defragmentation(ctl: Etcdctl) -> None:
    ctl("defrag")
    assert ctl("alarm", "list") == ""
    raised = ctl.start("alarm", "disarm")
    assert raised.wait(PATIENCE_S) == 0


def test_a_saved_snapshot_restores_a_new_cluster(ctl: Etcdctl, tmp_path: Path) -> None:
    ctl("put", "kept", "before")
    ctl("snapshot", "save", str(tmp_path / "backup"))
    ctl("put", "kept", "after")
    data = tmp_path / "data"
    port = free_port()
    cluster = ("--name", "solo", "--initial-cluster", f"solo=http://127.0.0.1:{port}")
    program = "from splitbrain.harness.cli.main import main; main()"
    restore = [
        sys.executable, "-c", program, "node", "restore", str(tmp_path / "backup"),
        "--data-dir", str(data), *cluster,
    ]  # fmt: skip
    done = subprocess.run(restore, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = subprocess.run(restore, capture_output=True, text=True, check=False)
    assert "contains data" in again.stderr
    restored = start_server("restored", OURS_COMMAND, data, tmp_path / "log", peer_port=port)
    try:
        new = Etcdctl(f"127.0.0.1:{restored.port}")
        assert new("get", "kept", "--print-value-only") == "before\n"
        new("put", "kept", "again")
        assert new("get", "kept", "--print-value-only") == "again\n"
    finally:
        restored.stop()
