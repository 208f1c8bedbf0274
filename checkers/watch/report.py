"""The type of the functions that report an anomaly of a stream."""

from __future__ import annotations

from typing import Any, Protocol


class Report(Protocol):
    """A function that reports an anomaly of a stream. `facts` are added to the anomaly's detail."""

    def __call__(self, kind: str, because: str, revision: int, **facts: Any) -> None: ...
