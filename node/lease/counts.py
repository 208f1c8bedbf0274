"""Counts the events of leases on one member, such as renewals, for its metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class LeaseCounts:
    """The numbers since the start of the member.

    `renewed` and `expired` count only while this member is the primary lessor. `ttls_s` contains
    the times to live of the granted leases, with the number of leases for each.
    """

    granted: int = 0
    revoked: int = 0
    """The leases that have ended for any reason."""
    renewed: int = 0
    expired: int = 0
    """The leases that the primary has found expired."""
    ttls_s: Counter[int] = field(default_factory=Counter)
