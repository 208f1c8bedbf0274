"""The interval at which members send progress notifications to idle watchers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE, SIMULATED
from splitbrain.harness.systems.etcd_like.cluster_settings import WATCH_PROGRESS_MS

FLAGS = (
    "--experimental-watch-progress-notify-interval", "--watch-progress-notify-interval",
)
SETTING = "watch_progress_interval_ms"
NO_SETTINGS: Mapping[str, int | bool] = {}


def watch_progress_ms(
    system: str,
    member_flags: Sequence[str],
    versions: Mapping[str, str],
    settings: Mapping[str, int | bool] = NO_SETTINGS,
) -> int:
    """Return the interval of progress notifications, in ms; 0 if it is unknown.

    The interval is unknown in three cases:

    - The system is a user's own.
    - The system is etcd 3.4, which has no flag for the interval.
    - The user has given the members a flag for the interval.

    `settings` are the members' settings in the schedule.
    """
    if system not in (PYTHON_NODE, ETCD, SIMULATED):
        return 0
    if system == ETCD and versions.get("etcd", "").startswith("3.4."):
        return 0
    if any(flag.partition("=")[0] in FLAGS for flag in member_flags):
        return 0
    return interval_ms(settings)


def interval_ms(settings: Mapping[str, int | bool]) -> int:
    """Return the interval in ms that the members' settings in a schedule contain, or the default.
    """
    return int(settings.get(SETTING, WATCH_PROGRESS_MS))
