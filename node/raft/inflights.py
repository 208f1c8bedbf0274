"""Limits the appends that were sent to a follower and are not acknowledged yet."""

from __future__ import annotations

from collections import deque

from splitbrain.node.raft.message import Index


class Inflights:
    """The window of unacknowledged appends to one follower. It limits their number and their bytes.

    The byte limit is soft, as in etcd-io/raft: the message that exceeds it is still sent, and the
    next message waits.
    """

    __slots__ = ("_bytes", "_bytes_max", "_messages_max", "_window")

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._window: deque[tuple[Index, int]] = deque()

    def add(self, last_index: Index, size_bytes: int) -> None:
        """Record that an append whose last entry is `last_index` was sent."""
        assert not self.full(), "an append was sent into a full window"
        assert not self._window or last_index > self._window[-1][0], "appends sent out of order"
        self._window.append((last_index, size_bytes))
        self._bytes += size_bytes

    def free_up_to(self, index: Index) -> None:
        """Record that the follower acknowledged everything up to `index`."""
        window = self._window
        while window and window[0][0] <= index:
            self._bytes -= window.popleft()[1]

    def full(self) -> bool:
        """Return whether no further append may be sent now."""
        return len(self._window) >= self._messages_max or self._bytes >= self._bytes_max

    @property
    def oldest(self) -> Index | None:
        """The last index of the oldest append in the window, or None if the window is empty."""
        return self._window[0][0] if self._window else None

    def clear(self) -> None:
        self._window.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._window)
