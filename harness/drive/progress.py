"""The progress of a run, and the protocol of an object that displays it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The progress of a run at one moment. Times are in seconds since the load began.

    Outside the load, only `phase` is set.
    """

    phase: str
    elapsed_s: float = 0.0
    limit_s: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    rate: float = 0.0
    leader: str | None = None
    faults: tuple[str, ...] = ()
    """The faults in force, such as "kill n2"."""


class Progress(Protocol):
    """Receives the progress of a run, every `period_s` seconds during the load."""

    period_s: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def say(self, line: str) -> None:
        """Print one line that stays on the screen."""
        ...

    def show(self, snapshot: Snapshot) -> None: ...


class Silent:
    """Displays nothing."""

    period_s = 3600.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        pass
