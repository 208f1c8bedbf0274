"""Recognizes watches that a member refused because the client has no permission."""

from __future__ import annotations

from splitbrain.histories.watch import Cancelled, Progress, WatchStream


def was_not_permitted(stream: WatchStream) -> bool:
    """Return whether the only answer refuses the watch, because the client has no permission.

    The run has then enabled authentication, and the watch has no user. Notifications of progress of
    the whole connection do not count, because they answer a request for progress.
    """
    of_the_watch = [
        one for one in stream.answers if not (isinstance(one, Progress) and one.whole)
    ]
    return len(of_the_watch) == 1 and (
        isinstance(of_the_watch[0], Cancelled) and "permission denied" in of_the_watch[0].reason
    )
