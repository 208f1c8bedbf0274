"""Recognizes watches that a member refused because the client has no permission."""

from __future__ import annotations

from splitbrain.histories.watch import Cancelled, WatchStream


def was_not_permitted(stream: WatchStream) -> bool:
    """Return whether the only answer refuses the watch, because the client has no permission.

    The run has then enabled authentication, and the watch has no user.
    """
    first, *more = stream.answers
    return isinstance(first, Cancelled) and not more and "permission denied" in first.reason
