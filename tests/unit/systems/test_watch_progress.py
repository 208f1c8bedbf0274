"""The interval of progress notifications of each system, which the checker `watch` needs."""

from __future__ import annotations

import pytest

from splitbrain.harness.systems.member_settings.watch_progress import watch_progress_ms

FLAG = "--experimental-watch-progress-notify-interval"


@pytest.mark.parametrize(("system", "flags", "versions", "expected"), [
    ("python_node", (), {}, 250),
    ("simulated", (), {}, 250),
    ("etcd", (), {"etcd": "3.5.1"}, 250),
    ("etcd", (), {"etcd": "3.4.23"}, 0),
    ("etcd", (f"{FLAG}=5s",), {"etcd": "3.5.1"}, 0),
    ("etcd", (FLAG, "5s"), {"etcd": "3.5.1"}, 0),
    ("package.module:Store", (), {}, 0),
])
def test_the_interval_of_progress_notifications_is_known_for_some_systems(
    system: str, flags: tuple[str, ...], versions: dict[str, str], expected: int
) -> None:
    assert watch_progress_ms(system, flags, versions) == expected


def test_a_schedule_can_contain_the_interval() -> None:
    assert watch_progress_ms("simulated", (), {}, {"watch_progress_interval_ms": 40}) == 40
