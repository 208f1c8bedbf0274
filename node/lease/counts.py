"""Counts what happens to leases on one member, such as renewals, for its metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class LeaseCounts:
    """Counters since the start of the member.

    `renewed` and `expired` increase only while this member is the primary lessor
    (`splitbrain.node.lease.lessor`). `ttls_s` maps a time to live, in seconds, to the number of
    granted leases that have it.
    """

    granted: int = 0
    revoked: int = 0
    """The number of leases that have ended for any reason."""
    renewed: int = 0
    expired: int = 0
    """The number of leases that the primary lessor has found expired."""
    ttls_s: Counter[int] = field(default_factory=Counter)
