"""Recognizes watches that a member refused because the client has no permission."""

from __future__ import annotations

from splitbrain.histories.watch import Cancelled, Progress, WatchStream


def was_not_permitted(stream: WatchStream) -> bool:
    """Return whether the only answer refuses the watch, because the client has no permission.

    This happens if the run has enabled authentication, because watches are sent without a user.
    Progress notifications for the whole connection are not counted as answers to the watch.
    """
    of_the_watch = [
        one for one in stream.answers if not (isinstance(one, Progress) and one.whole)
    ]
    return len(of_the_watch) == 1 and (
        isinstance(of_the_watch[0], Cancelled) and "permission denied" in of_the_watch[0].reason
    )
