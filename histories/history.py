"""Defines a whole history: its events, operations, and faults with their times.

A run is written event by event (`splitbrain.histories.recorder`) and judged as a `History`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.histories.event import Event
from splitbrain.histories.fault_window import FaultWindow, fault_windows
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.operation import Operation, Outcome
from splitbrain.histories.pairing import pair_events
from splitbrain.histories.reader import UnusualLine, read_blocks, read_events
from splitbrain.histories.service_operation import ServiceOperation

__all__ = ["FaultWindow", "History", "Operation", "Outcome", "fault_windows", "read_events"]


@dataclass(frozen=True, slots=True)
class History:
    """Events in the order in which they were observed, and the operations and faults in them."""

    events: Sequence[Event]
    """If the history was read from a file, the events are rebuilt from the operations at the first
    access."""
    operations: tuple[Operation, ...]
    """Operations of the key-value service, in the order of their invocations."""
    faults: tuple[FaultWindow, ...]
    services: tuple[ServiceOperation, ...] = ()
    """Operations of the other services of the store, in the order of their invocations."""

    @property
    def end_ns(self) -> int:
        """Return the latest time of any operation or fault, in ns since the start of the run.

        Returns 0 for an empty history.
        """
        times = [op.call if op.ended is None else op.ended for op in self.operations]
        times += [op.call if op.ended is None else op.ended for op in self.services]
        times += [fault.begin if fault.end is None else fault.end for fault in self.faults]
        return max(times, default=0)

    @classmethod
    def read(cls, path: Path) -> History:
        """Read the JSON Lines file `path`. Raises HistoryError for a line that is invalid.

        The fast reader reads most files. If the fast reader does not support a line, the file is
        read again event by event. The second reader also reports which line is invalid, and why.
        """
        with collector_paused():
            try:
                found = read_blocks(path)
            except (UnusualLine, msgspec.MsgspecError):
                return cls.of(read_events(path))
            return cls(found.events, found.operations, found.faults)

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """Return the history of `events`. Raises HistoryError if the events do not pair up."""
        ordered = tuple(events)
        operations, services = pair_events(ordered)
        return cls(ordered, tuple(operations), tuple(fault_windows(ordered)), tuple(services))
