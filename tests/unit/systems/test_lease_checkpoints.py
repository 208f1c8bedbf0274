"""Whether the members of a system record the remaining time of leases, so that checkers know it."""

from __future__ import annotations

import pytest

from splitbrain.harness.systems.member_settings.lease_checkpoints import lease_checkpoints


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
    assert lease_checkpoints("etcd", flags, {}) == expected
    assert lease_checkpoints("tests.other:Store", flags, {}) == (0, False)


@pytest.mark.parametrize(("flags", "settings", "interval_s"), [
    ((), {}, 300),
    ((), {"lease_checkpoint_interval_s": 2}, 2),
    (("--lease-checkpoint-interval", "5"), {}, 5),
    (("--lease-checkpoint-interval=5",), {"lease_checkpoint_interval_s": 2}, 5),
])
def test_own_members_always_record_the_remaining_time(
    flags: tuple[str, ...], settings: dict[str, int | bool], interval_s: int
) -> None:
    for system in ("python_node", "simulated"):
        assert lease_checkpoints(system, flags, settings) == (interval_s, True)
