"""One directed link between two members: computes when bytes must be delivered.

This module reads no clock. The caller passes the time, in seconds of the caller's clock, and the
result is a time in seconds of the same clock.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.nemesis.capabilities import NORMAL, LinkState

PACKET_BYTES = 1448
"""The number of bytes of a stream that a packet carries on Ethernet."""
RETRANSMIT_S = 0.2
"""The time after which TCP retransmits a lost packet. It doubles with each loss of the same packet.
Source: Linux's TCP_RTO_MIN."""
RETRANSMITS_MAX = 7
SLOW_PIECE_S = 0.02
"""A link with a limited rate passes bytes on in pieces, each of which takes about this long."""


class Link:
    """The state of one direction between two members. All its connections share it."""

    def __init__(self, random: Random, count: Callable[[int], None] = lambda _: None) -> None:
        self.state: LinkState = NORMAL
        self.count = count
        """A function that is called with the number of chunks and connections that the state has
        changed."""
        self._random = random
        self._free_at_s = 0.0
        """With a limited rate: the time at which the link has passed on all bytes that it accepted
        so far."""

    def set(self, state: LinkState) -> None:
        self.state = state
        self._free_at_s = 0.0

    @property
    def held(self) -> bool:
        """Return whether the link passes on no bytes at present."""
        return self.state.black_hole or not self.state.open

    @property
    def plain(self) -> bool:
        """Return whether the link passes on bytes immediately."""
        state = self.state
        return not (
            self.held or state.delay_ms or state.jitter_ms or state.rate_bytes_per_s
            or state.lost_percent or state.corrupt_percent
        )

    def piece_bytes_max(self) -> int:
        """Return the largest number of bytes in one piece; 0 means that there is no limit."""
        rate = self.state.rate_bytes_per_s
        return max(int(rate * SLOW_PIECE_S), 1) if rate else 0

    def due_s(self, now_s: float, size: int) -> float:
        """Return the time in s, by the caller's clock, at which a chunk of bytes must be delivered.

        The chunk has `size` bytes and arrives at `now_s`. If the link has a limited rate, the chunk
        waits until the link has passed on all bytes that it accepted before, from any connection.
        The delay of the link is added to that time. Jitter can give a later chunk an earlier time,
        so the caller must keep the chunks of a connection in order.
        """
        state = self.state
        due = now_s
        if state.rate_bytes_per_s:
            self._free_at_s = max(self._free_at_s, now_s) + size / state.rate_bytes_per_s
            due = self._free_at_s
        jitter_ms = self._random.uniform(-state.jitter_ms, state.jitter_ms)
        return due + max(state.delay_ms + jitter_ms, 0.0) / 1000 + self._resent_s(size)

    def _resent_s(self, size: int) -> float:
        """Return the delay in s that a chunk suffers because lost packets are sent again."""
        if not self.state.lost_percent:
            return 0.0
        late_s, pause_s, size_left = 0.0, RETRANSMIT_S, size
        for _ in range(RETRANSMITS_MAX):
            if not self._hits(self.state.lost_percent, size_left):
                break
            late_s += pause_s
            pause_s *= 2
            size_left = PACKET_BYTES  # TCP sends again only what was lost
        return late_s

    def altered(self, chunk: bytes) -> bytes:
        """Return the chunk as it arrives: with one bit flipped, if a packet of it is corrupted."""
        if not chunk or not self._hits(self.state.corrupt_percent, len(chunk)):
            return chunk
        place = self._random.randrange(len(chunk))
        changed = bytearray(chunk)
        changed[place] ^= 1 << self._random.randrange(8)
        self.count(1)
        return bytes(changed)

    def _hits(self, percent: float, size: int) -> bool:
        """Decide at random whether an event hits a chunk of `size` bytes.

        The event hits each packet of the chunk with the probability `percent`.
        """
        if not percent or not size:
            return False
        packets = -(-size // PACKET_BYTES)
        missed: float = (1 - min(percent, 100.0) / 100) ** packets
        return self._random.random() >= missed
