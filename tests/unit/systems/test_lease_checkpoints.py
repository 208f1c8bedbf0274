from __future__ import annotations

import pytest

from splitbrain.harness.systems.lease_checkpoints import lease_checkpoints


@pytest.mark.parametrize(("flags", "expected"), [
    ((), (0, False)),
    (("--experimental-enable-lease-checkpoint",), (300, False)),
    (("--experimental-enable-lease-checkpoint=true",), (300, False)),
    (("--experimental-enable-lease-checkpoint=false",), (0, False)),
    (("--experimental-enable-lease-checkpoint-persist=true",), (0, False)),
    (("--experimental-enable-lease-checkpoint=true",
      "--experimental-enable-lease-checkpoint-persist"), (300, True)),
    (("--feature-gates=LeaseCheckpoint=true,LeaseCheckpointPersist=true",), (300, True)),
    (("--feature-gates", "LeaseCheckpoint=true"), (300, False)),
])
def test_flags_of_etcd_tell_whether_the_remaining_time_of_leases_is_recorded(
    flags: tuple[str, ...], expected: tuple[int, bool]
) -> None:
    assert lease_checkpoints("etcd", flags) == expected
    assert lease_checkpoints("python_node", flags) == (0, False)
