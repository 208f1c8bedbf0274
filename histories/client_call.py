"""Defines an operation of a store that is tested through a client of the user.

A schedule contains the operation as a `Call`. An event of a history contains only the plain value
`Call.value`, as in Jepsen. Operations of a v3 store are defined in other modules, such as
`histories/kv.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="call"):
    """A call of a function of the user's client, with the plain JSON value `value`.

    The event or the scheduled operation that contains the call also names the function. For a
    function `write`, the value can be `["x", 3]`.
    """

    value: Any = None


Plain = None | bool | int | float | str | list[Any] | dict[str, Any]
"""A plain value, in the history of a client of the user."""

READS = frozenset(("read",))
"""Functions that change nothing in any store."""


def only_reads(f: str, value: Any) -> bool:
    """Return whether a call changes nothing: it is a read, or a transaction of reads."""
    if f == "txn" and isinstance(value, list | tuple):
        return all(micro[0] == "r" for micro in value)
    return f in READS
