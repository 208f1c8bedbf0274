"""The interval at which members send progress notifications to idle watchers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE, SIMULATED
from splitbrain.harness.systems.etcd_like.cluster_settings import WATCH_PROGRESS_MS

FLAGS = (
    "--experimental-watch-progress-notify-interval", "--watch-progress-notify-interval",
)


def watch_progress_ms(
    system: str, member_flags: Sequence[str], versions: Mapping[str, str]
) -> int:
    """Return the interval of progress notifications, in ms; 0 if it is unknown.

    The interval is unknown in three cases:

    - The system is a user's own.
    - The system is etcd 3.4, which has no flag for the interval.
    - The user has given the members a flag for the interval.
    """
    if system not in (PYTHON_NODE, ETCD, SIMULATED):
        return 0
    if system == ETCD and versions.get("etcd", "").startswith("3.4."):
        return 0
    if any(flag.partition("=")[0] in FLAGS for flag in member_flags):
        return 0
    return WATCH_PROGRESS_MS
