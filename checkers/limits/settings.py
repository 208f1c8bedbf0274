"""Reads the limits of the members of a run from the members' settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MS = 1_000_000
"""One millisecond in ns."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The members' limits. 0: the limit is not set, or it is unknown."""

    quota_bytes: int = 0
    request_bytes_max: int = 0
    txn_operations_max: int = 0
    keep_revisions: int = 0
    """Automatic compaction keeps this number of revisions."""
    keep_ns: int = 0
    """Automatic compaction keeps the revisions of this period."""
    interval_ns: int = 0
    """The time between two automatic compactions."""

    @classmethod
    def of(cls, settings: Mapping[str, int | bool]) -> Limits:
        """Return the limits in the members' settings."""
        period_ms = int(settings.get("compaction_period_ms", 0))
        return cls(
            quota_bytes=int(settings.get("backend_quota_bytes", 0)),
            request_bytes_max=int(settings.get("request_bytes_max", 0)),
            txn_operations_max=int(settings.get("txn_operations_max", 0)),
            # With both settings, the period decides.
            keep_revisions=0 if period_ms else int(settings.get("compaction_revisions", 0)),
            keep_ns=period_ms * MS,
            interval_ns=(period_ms or int(settings.get("compaction_interval_ms", 300_000))) * MS,
        )

    @property
    def any(self) -> bool:
        """Return whether at least one limit is set."""
        return bool(
            self.quota_bytes or self.request_bytes_max or self.txn_operations_max
            or self.keep_revisions or self.keep_ns
        )
