"""Reads files again when they have changed, such as the certificates of a member that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from splitbrain.node.api.member_interface import Log
from splitbrain.node.config import ConfigError

T = TypeVar("T")


class Reloaded(Generic[T]):
    """The result of `make`, which is called again when one of `files` has changed.

    If the new files cannot be used, the old result is kept, and the reason is logged once. If the
    files cannot be used at the start, the error of `make` is raised.
    """

    def __init__(self, make: Callable[[], T], files: Iterable[str], log: Log) -> None:
        self._make = make
        self._files = [Path(file) for file in files if file]
        self._log = log
        self._read = self._times()
        self._made = make()

    def current(self) -> T:
        """Return the result. If a file has changed since the last call, call `make` again first."""
        now = self._times()
        if now != self._read:
            self._read = now
            try:
                self._made = self._make()
            except (OSError, ConfigError) as problem:
                self._log("error", "cannot load the changed certificates", why=str(problem))
        return self._made

    def _times(self) -> list[int]:
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in self._files]
