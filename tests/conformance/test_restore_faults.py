"""A restored cluster has all keys and revisions, and a new log."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.systems.etcd_like.etcd import find_binary
from splitbrain.harness.systems.etcd_like.snapshot_restoration import restore_program
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Kill, Restoration
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import Running, on_etcd

pytestmark = [pytest.mark.cluster, pytest.mark.etcd]


@on_etcd
async def test_members_restored_from_a_snapshot_have_all_writes_and_begin_a_new_log(
    running: Running,
) -> None:
    for _ in range(20):
        assert await running.put("n1")
    before = await running.agreement()
    index = (await running.system.state("n1")).raft_index
    kill = await inject(Kill(on=("n2",)), running.in_force, Random(1))
    fault = await inject(Restoration(), running.in_force, Random(1))
    await kill.undo()
    assert not any(running.system.alive(one) for one in running.system.members), "not healed"
    assert fault.effect() == "restored all members from a snapshot"
    await fault.undo()
    await running.leader()
    assert await running.agreement() == before
    assert (await running.system.state("n1")).raft_index < index
    assert await running.put(await running.leader())
    assert running.system.ended_by_themselves() == ()


def test_a_binary_without_etcdutl_cannot_restore(tmp_path: Path) -> None:
    assert restore_program(find_binary()).name == "etcdutl"
    with pytest.raises(FaultError, match="needs etcdutl or etcdctl in"):
        restore_program(tmp_path / "etcd")
