"""Describes watches and their events, for the sentences of anomalies."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import WatchRequest


def request(watch: WatchRequest) -> str:
    """Describe what a watch asks for: `all keys without deletes from revision 41 on`."""
    end = watch.range_end
    what = f"key {watch.key}" if not end else f"[{watch.key}, {'∞' if end == chr(0) else end})"
    if (watch.key, end) == ("\0", "\0"):
        what = "all keys"
    if watch.no_put:
        what += " without puts"
    if watch.no_delete:
        what += " without deletes"
    since = f"revision {watch.start_revision}" if watch.start_revision else "its creation"
    return f"{what} from {since} on"


def events(changes: Sequence[Change]) -> str:
    """Describe the first event of `changes`, and how many events there are."""
    first = f"{wording.change(changes[0])} of revision {changes[0].revision}"
    return first if len(changes) == 1 else f"{len(changes)} events, the first of them {first}"


def pair(held: KeyValue | None) -> str:
    """Describe a key with its value, its mod revision and its version."""
    if held is None:
        return "nothing"
    value = wording.value(held.value)
    return f"{held.key}={value} (mod {held.mod_revision}, version {held.version})"
