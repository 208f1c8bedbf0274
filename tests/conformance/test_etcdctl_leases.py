"""The leases, locks and elections of an unmodified etcdctl work with a member of this project."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.server_pair import OURS_COMMAND, Server, etcd_binary, start_server
from tests.conformance.test_etcdctl import Etcdctl

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]


@pytest.fixture(scope="module")
def ctl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcdctl]:
    folder: Path = tmp_path_factory.mktemp("etcdctl")
    server: Server = start_server("ours", OURS_COMMAND, folder / "data", folder / "log")
    yield Etcdctl(f"127.0.0.1:{server.port}")
    server.stop()


def granted(ctl: Etcdctl, ttl: int) -> str:
    """Grant a lease, and return its id in hexadecimal digits."""
    found = re.fullmatch(rf"lease ([0-9a-f]+) granted with TTL\({ttl}s\)\n", ctl(
        "lease", "grant", str(ttl)
    ))
    assert found is not None
    return found[1]


def end(process: subprocess.Popen[str]) -> None:
    """End a command that runs until it is interrupted. It may have ended already."""
    process.terminate()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def test_a_lease_is_granted_renewed_queried_and_revoked(ctl: Etcdctl) -> None:
    lease = granted(ctl, 600)
    ctl("put", "leased", "1", f"--lease={lease}")
    kept = ctl("lease", "keep-alive", lease, "--once")
    assert kept == f"lease {lease} keepalived with TTL(600)\n"
    queried = ctl("lease", "timetolive", lease, "--keys")
    assert re.fullmatch(
        rf"lease {lease} granted with TTL\(600s\), remaining\((599|600)s\), "
        r"attached keys\(\[leased\]\)\n", queried,
    )
    assert lease in ctl("lease", "list")
    assert ctl("lease", "revoke", lease) == f"lease {lease} revoked\n"
    assert ctl("get", "leased") == ""
    assert ctl("lease", "timetolive", lease) == f"lease {lease} already expired\n"
    with pytest.raises(AssertionError, match="requested lease not found"):
        ctl("put", "leased", "1", f"--lease={lease}")


def test_a_lease_that_is_kept_alive_outlives_its_time(ctl: Etcdctl) -> None:
    lease = granted(ctl, 2)
    kept = ctl.start("lease", "keep-alive", lease)
    try:
        assert kept.stdout is not None
        # etcdctl renews a lease three times in its time to live.
        for _ in range(5):
            assert kept.stdout.readline() == f"lease {lease} keepalived with TTL(2)\n"
        assert lease in ctl("lease", "list")
    finally:
        end(kept)


def test_a_lock_is_held_by_one_client_at_a_time(ctl: Etcdctl) -> None:
    holder = ctl.start("lock", "door")
    try:
        assert holder.stdout is not None
        key = holder.stdout.readline().strip()
        assert re.fullmatch(r"door/[0-9a-f]+", key)
        waiting = ctl.start("lock", "door", "/bin/echo", "inside")
        try:
            assert waiting.stdout is not None
            while ctl("get", "door/", "--prefix", "--keys-only").count("door/") < 2:
                pass
            end(holder)
            assert waiting.stdout.readline() == "inside\n"
            assert waiting.wait() == 0
        finally:
            end(waiting)
    finally:
        end(holder)
    assert ctl("get", "door/", "--prefix", "--keys-only") == ""


def test_a_candidate_is_elected_when_the_leader_leaves(ctl: Etcdctl) -> None:
    leader = ctl.start("elect", "throne", "first")
    try:
        assert leader.stdout is not None
        assert re.fullmatch(r"throne/[0-9a-f]+\n", leader.stdout.readline())
        assert leader.stdout.readline() == "first\n"
        observer = ctl.start("elect", "throne", "-l")
        candidate = ctl.start("elect", "throne", "second")
        try:
            assert observer.stdout is not None
            assert candidate.stdout is not None
            observed = [observer.stdout.readline() for _ in range(2)]
            assert observed[1] == "first\n"
            while ctl("get", "throne/", "--prefix", "--keys-only").count("throne/") < 2:
                pass
            end(leader)
            assert candidate.stdout.readline().startswith("throne/")
            assert candidate.stdout.readline() == "second\n"
            assert [observer.stdout.readline() for _ in range(2)][1] == "second\n"
        finally:
            end(candidate)
            end(observer)
    finally:
        end(leader)
