"""Counts events in the log of a member while the log grows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from splitbrain.nemesis.moment import MomentEvent

LINE_BYTES_MAX = 65_536


class LogCounts:
    """Counts the lines of the file `path` that match the pattern of each event.

    Each call reads only the text that was written since the previous call. A line is counted when
    it is complete.
    """

    def __init__(self, path: Path, patterns: Mapping[MomentEvent, str]) -> None:
        self._path = path
        self._patterns = {event: re.compile(text.encode()) for event, text in patterns.items()}
        self._counts: dict[MomentEvent, int] = dict.fromkeys(patterns, 0)
        self._place = 0
        self._rest = b""

    def count(self, event: MomentEvent) -> int:
        """Return how many complete lines have shown `event`.

        Raises KeyError for an unknown event.
        """
        self._read()
        return self._counts[event]

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                new = file.read()
        except FileNotFoundError:
            return
        self._place += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        self._rest = self._rest[-LINE_BYTES_MAX:]
        for line in lines:
            for event, pattern in self._patterns.items():
                self._counts[event] += pattern.search(line) is not None
